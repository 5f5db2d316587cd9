package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/cosmos/gogoproto/jsonpb"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// split divides a member's keyshares of a vault. The epoch is that of the vault unless another is
// given.
func (m *members) split(name string, member int, epoch uint64) (envelope.File, []byte, error) {
	files := m.vaults[name].Files[member]
	if epoch == 0 {
		epoch = keygens[name]
	}
	secrets, group, err := keyshare.Split([2][]byte{files[0].Data, files[1].Data}, epoch)
	if err != nil {
		return envelope.File{}, nil, err
	}
	data, err := secrets.Encode()
	return envelope.File{Name: secrets.FileName(), Data: data}, group, err
}

// sealSecrets makes the envelope of a secrets file.
func sealSecrets(mnemonic *sanity.Mnemonic, file envelope.File) ([]byte, error) {
	return envelope.Seal([]envelope.File{file}, mnemonic, envelope.WithWorkFactor(10))
}

// group FILE VAULT FORM writes the group part of a vault to a file, as the query shows it or raw.
func cmdGroup(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	_, data, err := s.split(args[1], 0, 0)
	ts.Check(err)
	if args[2] != "raw" {
		v := s.members.record(args[1])
		slices.SortFunc(v.Members, func(a, b types.Member) int { return bytes.Compare(a.PubKey, b.PubKey) })
		switch args[2] {
		case "good":
		case "genesis": // with the group part of another vault before it
			ts.Check(os.WriteFile(ts.MkAbs(args[0]), s.genesis(ts, "retiring", "active"), 0o600))
			return
		case "another-epoch":
			v.Epoch += 7
		case "other-member": // one of the members has another key, and the hash is right
			v.Members[2].PubKey = dealer.NewPrivateKeys("stranger").PubKey()
			slices.SortFunc(v.Members, func(a, b types.Member) int { return bytes.Compare(a.PubKey, b.PubKey) })
		case "changed": // a byte of another member's parameters, and the hash is right
			data[len(data)-1] ^= 1
		default:
			ts.Fatalf("no form %q", args[2])
		}
		data, err = v.EncodeGroup(data)
		ts.Check(err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

// secrets FILE VAULT MEMBER KIND writes a member's secrets file, or the envelope of it.
func cmdSecrets(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	member, err := strconv.Atoi(args[2])
	ts.Check(err)
	epoch := uint64(0)
	if args[3] == "another-epoch" {
		epoch = 77
	}
	file, _, err := s.split(args[1], member, epoch)
	ts.Check(err)
	data := file.Data
	switch args[3] {
	case "file", "another-epoch":
	case "envelope":
		data, err = sealSecrets(s.mnemonics[member], file)
		ts.Check(err)
	case "damaged": // the shares are those of another vault
		secrets, err := sanity.ParseSecrets(data)
		ts.Check(err)
		other, _, err := s.split(map[string]string{"active": "retiring", "retiring": "active"}[args[1]], member, 0)
		ts.Check(err)
		wrong, err := sanity.ParseSecrets(other.Data)
		ts.Check(err)
		secrets.Secret = wrong.Secret
		data, err = secrets.Encode()
		ts.Check(err)
	default:
		ts.Fatalf("no kind %q", args[3])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

// sealSplit makes the first member's envelope of a split vault.
func (s *scene) sealSplit(vault string) ([]byte, error) {
	file, _, err := s.split(vault, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", vault, err)
	}
	return sealSecrets(s.mnemonics[0], file)
}

// genesis is the one that a chain with these vaults exports.
func (s *scene) genesis(ts *testscript.TestScript, vaults ...string) []byte {
	var state types.GenesisState
	for _, name := range vaults {
		_, group, err := s.split(name, 0, 0)
		ts.Check(err)
		v := s.members.record(name)
		slices.SortFunc(v.Members, func(a, b types.Member) int { return bytes.Compare(a.PubKey, b.PubKey) })
		hash, err := v.GroupHash(group)
		ts.Check(err)
		state.Vaults = append(state.Vaults, types.GenesisVault{PubKey: v.PubKey, Vault: v.Vault})
		state.Groups = append(state.Groups, types.GenesisGroup{KeygenId: v.Epoch, Hash: hash, Group: group})
	}
	raw, err := (&jsonpb.Marshaler{OrigName: true, EmitDefaults: true}).MarshalToString(&state)
	ts.Check(err)
	return []byte(`{"chain_id":"a","app_state":{"tssbackup":` + raw + `}}`)
}
