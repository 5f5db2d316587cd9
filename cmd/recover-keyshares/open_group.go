package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/legacy/saved"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
)

const (
	// maxGroupFile bounds a file that holds a group part: that of 512 members has less than 1 MB.
	maxGroupFile = 8 << 20
	// maxGenesis bounds the genesis of a whole chain.
	maxGenesis = 1 << 30
)

// groupPart is one that the user gave.
type groupPart struct {
	path  string
	vault vault.Vault
	part  []byte
}

// readGroups reads the files of --group.
func (o *opening) readGroups() (groups []groupPart, err error) {
	for _, path := range o.groups {
		data, err := readFile(path, maxGenesis)
		if err != nil {
			return nil, err
		}
		vaults, parts, err := parseGroups(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: not a group part: %w", path, restore.ErrKeyshares, err)
		}
		for i, v := range vaults {
			groups = append(groups, groupPart{path, v, parts[i]})
		}
	}
	return groups, nil
}

// parseGroups reads the group parts of a chain's exported genesis, or the one of a saved answer.
func parseGroups(data []byte) ([]vault.Vault, [][]byte, error) {
	if vault.IsGenesis(data) {
		return vault.ParseGenesis(data)
	}
	v, group, err := parseGroup(data)
	return []vault.Vault{v}, [][]byte{group}, err
}

// parseGroup reads a saved answer of the query Group, in any of the encodings that answers are
// saved in.
func parseGroup(data []byte) (vault.Vault, []byte, error) {
	switch {
	case len(data) > maxGroupFile:
		return vault.Vault{}, nil, fmt.Errorf("it has more than %d bytes", maxGroupFile)
	case len(data) > 0 && len(data)%sanity.GroupMemberBytes == 0 && data[0] != '{':
		return vault.Vault{}, nil, errors.New("it is the bytes of one alone, which do not name the " +
			"members: give what 'query tssbackup group VAULT' prints with --output json")
	}
	object, err := saved.Object(data, "group_hash")
	if err != nil {
		return vault.Vault{}, nil, err
	}
	return vault.ParseGroup(object)
}

// join makes keyshare files of the secrets among files, and leaves the others as they are. The
// caller wipes what it gave and what it gets.
func (o *opening) join(files []envelope.File, groups []groupPart) ([]envelope.File, error) {
	var out []envelope.File
	joined := false
	for _, f := range files {
		if !envelope.IsSecretsName(f.Name) {
			out = append(out, f)
			continue
		}
		joined = true
		made, err := joinWith(f, groups)
		if err != nil {
			return out, err
		}
		out = append(out, made...)
	}
	if !joined && len(groups) > 0 {
		o.Progress("the keyshares are whole: no group part is needed")
	}
	return out, nil
}

// joinWith joins a secrets file with the group part of its vault and epoch.
func joinWith(file envelope.File, groups []groupPart) ([]envelope.File, error) {
	secrets, err := sanity.ParseSecrets(file.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", restore.ErrKeyshares, err)
	}
	secrets.Secret.Wipe() // whose they are is all that is asked here
	var others strings.Builder
	for _, g := range groups {
		if bytes.Equal(g.vault.PubKey, secrets.PubKey) && g.vault.Epoch == secrets.Epoch {
			files, err := keyfiles.Join(g.vault, file, g.part)
			if err != nil {
				err = fmt.Errorf("%s: %w", command.OneLine(g.path), err)
			}
			return files, err
		}
		fmt.Fprintf(&others, "; %s is of epoch %d of vault %s",
			command.OneLine(g.path), g.vault.Epoch, vault.Short(g.vault.Name()))
	}
	return nil, fmt.Errorf("%w: the envelope opens, and holds the secrets of one member alone, of "+
		"epoch %d of vault %x. They are keyshares again with the vault's group part of that epoch: "+
		"give it with --group. It is what 'query tssbackup group %[3]x --output json' prints for any "+
		"node of the chain, and the file HASH.group beside the envelopes of a sink, named by the "+
		"group hash. When nobody has it any more, 'recover-keyshares rebuild --secrets' takes the "+
		"envelopes of as many members as sign together%s",
		restore.ErrGroup, secrets.Epoch, secrets.PubKey, others.String())
}
