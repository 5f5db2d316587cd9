package vault

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// ErrGroup means that bytes are not the group part of a vault.
var ErrGroup = errors.New("not the group part of the vault")

// groupFile is a group part with all that it takes to join keyshares, in the JSON in which the
// module's query Group shows it.
type groupFile struct {
	Vault         string `json:"vault"`
	PubKeyEd25519 string `json:"pub_key_ed25519"`
	Epoch         uint64 `json:"epoch,string"`
	GroupHash     string `json:"group_hash"`
	Group         []byte `json:"group"`
	Sha256        string `json:"sha256"`
	// Height is that of the block whose transaction carries it, 0 when that is not known.
	Height int64 `json:"height,string"`
	// Members are the members' compressed keys in hex, in the order of the group part.
	Members []string `json:"members"`
}

// EncodeGroup gives the file in which the group part of the vault is kept: the JSON that the query
// Group answers, which [ParseGroup] reads. The group part alone does not name the members. It errs
// when the bytes are not the group part of so many members.
func (v Vault) EncodeGroup(group []byte) ([]byte, error) {
	hash, err := v.GroupHash(group)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(group)
	f := groupFile{
		Vault: v.Name(), PubKeyEd25519: hex.EncodeToString(v.PubKeyEd25519), Epoch: v.Epoch,
		GroupHash: hex.EncodeToString(hash), Group: group, Sha256: hex.EncodeToString(sum[:]),
		Members: []string{},
	}
	for _, m := range v.Members {
		f.Members = append(f.Members, hex.EncodeToString(m.PubKey))
	}
	data, err := json.Marshal(f)
	return append(data, '\n'), err
}

// ParseGroup reads what the query Group answered, or [Vault.EncodeGroup] gave: the group part, and
// the vault as far as it shows, its keys, its epoch and its members. All of it must have the group
// hash that stands beside it; whether that is the vault's only its record tells, and secrets that
// are joined with it do.
func ParseGroup(data []byte) (v Vault, group []byte, err error) {
	var f groupFile
	if err := json.Unmarshal(data, &f); err != nil {
		return v, nil, errors.New("it is not the JSON that the query group prints")
	}
	v = Vault{Vault: types.Vault{Epoch: f.Epoch, Split: true}}
	if v.PubKey, err = decodeHex("vault", f.Vault, types.PubKeySize); err != nil {
		return v, nil, err
	}
	v.PubKeyEd25519, err = decodeHex("ed25519 key", f.PubKeyEd25519, types.PubKeyEd25519Size)
	if err != nil {
		return v, nil, err
	}
	if v.SharesHash, err = decodeHex("group hash", f.GroupHash, types.HashSize); err != nil {
		return v, nil, err
	}
	for _, key := range f.Members {
		raw, err := decodeHex("member's key", key, types.PubKeySize)
		if err != nil {
			return v, nil, err
		}
		v.Members = append(v.Members, types.Member{PubKey: raw})
	}
	hash, err := v.GroupHash(f.Group)
	if err != nil {
		return v, nil, err
	}
	if !bytes.Equal(hash, v.SharesHash) {
		return v, nil, fmt.Errorf("its group hash is %x, and what is in it has %x", v.SharesHash, hash)
	}
	return v, f.Group, nil
}

// GroupHash names a group part in the results and the record of the vault. It errs when the bytes
// are none of so many members.
func (v Vault) GroupHash(group []byte) ([]byte, error) {
	entries, err := sanity.ParseGroup(group, len(v.Members))
	if err != nil {
		return nil, err
	}
	return types.GroupHash(v.PubKey, v.PubKeyEd25519, v.Members, sanity.GroupPoints(entries))
}

// NamedGroup is the group hash that the vault's record names, also when state keeps the group part
// no more. It is nil when there is no record yet, or the vault is not split.
func (v Vault) NamedGroup() []byte {
	switch {
	case v.Group != nil:
		return v.Group.Hash
	case v.Split:
		return v.SharesHash
	}
	return nil
}

// CheckGroup errs with [ErrGroup] unless bytes are the group part of the vault, as the hash in its
// record tells. Before there is a record it takes all that has the form.
func (v Vault) CheckGroup(group []byte) error {
	hash, err := v.GroupHash(group)
	named := v.NamedGroup()
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrGroup, err)
	case len(named) > 0 && !bytes.Equal(hash, named):
		return fmt.Errorf("%w: its hash is %x, and the record has %x", ErrGroup, hash, named)
	}
	return nil
}

// ResultHash names what all members have to agree on beside the keys of the vault: the group part
// if it is a split one, and otherwise their public shares.
func (v Vault) ResultHash(public types.PublicShares, group []byte) ([]byte, error) {
	if !v.Split {
		return public.Hash(v.PubKey, v.PubKeyEd25519), nil
	}
	return v.GroupHash(group)
}

// groupTag begins the group part in an encoded MsgTssPool: it is field 11, of bytes.
const groupTag = 11<<3 | 2

// maxCandidates bounds how often a transaction is searched for what its length allows to be in it.
const maxCandidates = 16

// FindGroup finds the vault's group part in transactions that somebody shows, whatever is around
// it.
func (v Vault) FindGroup(txs [][]byte) ([]byte, bool) {
	size := len(v.Members) * sanity.GroupMemberBytes
	if size == 0 {
		return nil, false
	}
	head := binary.AppendUvarint([]byte{groupTag}, uint64(size))
	for _, rest := range txs {
		for range len(rest)/size + maxCandidates {
			at := bytes.Index(rest, head)
			if at < 0 || len(rest)-at-len(head) < size {
				break
			}
			rest = rest[at+len(head):]
			if group := rest[:size]; v.CheckGroup(group) == nil {
				return bytes.Clone(group), true
			}
		}
	}
	return nil, false
}
