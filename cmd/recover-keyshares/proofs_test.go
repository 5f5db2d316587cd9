package main

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strconv"

	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/gogoproto/proto"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// prove VAULT MEMBER [CHAIN-ID] has a member, by its number, prove: in a block of this chain, or,
// with another's id, before that was exported.
func cmdProve(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	member, err := strconv.Atoi(args[1])
	ts.Check(err)
	chainID := s.node.ChainID
	if len(args) > 2 {
		chainID = args[2]
	}
	v, of := s.vaults[args[0]], s.infos[member]
	recipient, err := s.recipient(member)
	ts.Check(err)
	st, ok := s.node.Shares[v.Name()].Statement(chainID, keygens[args[0]], v.Keys.Secp256k1, v.Keys.Ed25519,
		types.SignerAddress(s.keys[member]), recipient.Public())
	if !ok {
		ts.Fatalf("no public shares")
	}
	proof, err := verenc.Prove(recipient, st, s.dealt(args[0]).Shares(s.keys[member]))
	ts.Check(err)
	stored, err := verenc.Verify(st, proof)
	ts.Check(err)
	if chainID == s.node.ChainID {
		s.node.PublishTx(s.height, voteTx(ts, &types.MsgTssPool{Signer: of.Address, KeygenId: keygens[args[0]], Proof: proof}))
	}
	s.record(args[0], member, types.Proof{
		Recipient: types.Recipient{Key: recipient.Public()}, Stored: stored.Bytes(), Height: s.height,
	})
	s.height++
}

func voteTx(ts *testscript.TestScript, msg proto.Message) []byte {
	packed, err := codectypes.NewAnyWithValue(msg)
	ts.Check(err)
	body, err := proto.Marshal(&tx.TxBody{Messages: []*codectypes.Any{packed}})
	ts.Check(err)
	raw, err := proto.Marshal(&tx.TxRaw{BodyBytes: body})
	ts.Check(err)
	return raw
}

// record has the state say this of a member's proof.
func (s *scene) record(vault string, member int, proof types.Proof) {
	s.node.Lock()
	defer s.node.Unlock()
	name := s.vaults[vault].Name()
	if s.node.Proofs[name] == nil {
		s.node.Proofs[name] = map[string]types.Proof{}
	}
	s.node.Proofs[name][s.infos[member].Address] = proof
}

// tamper VAULT WHAT changes what the state says of a vault's proofs, as no chain does.
func cmdTamper(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	name := s.vaults[args[0]].Name()
	proofs := s.node.Proofs[name]
	first := proofs[s.infos[0].Address]
	switch args[1] {
	case "swapped": // two members' stored forms
		second := proofs[s.infos[1].Address]
		first.Stored, second.Stored = second.Stored, first.Stored
		s.record(args[0], 1, second)
	case "cut": // the first member's
		first.Stored = first.Stored[1:]
	case "flipped": // a bit of the first member's
		first.Stored = slices.Clone(first.Stored)
		first.Stored[1000] ^= 1
	case "point": // of the list
		shares := s.node.Shares[name]
		shares.Secp256k1 = slices.Clone(shares.Secp256k1)
		shares.Secp256k1[0].Point = shares.Secp256k1[1].Point
		s.node.Lock()
		s.node.Shares[name] = shares
		s.node.Unlock()
	default:
		ts.Fatalf("no way %q", args[1])
	}
	s.record(args[0], 0, first)
}

// state FILE VAULT writes what the query proofs prints.
func cmdState(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	v := s.vaults[args[1]]
	var proofs []types.Proof
	for _, m := range s.infos {
		proofs = append(proofs, s.node.Proofs[v.Name()][m.Address])
	}
	record, err := recordOf(s.members.record(args[1]), "cosmos", s.node.Shares[v.Name()], proofs)
	ts.Check(err)
	data, err := json.Marshal(record)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

// rebuilt FILE VAULT requires that a file holds the vault's private keys.
func cmdRebuilt(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(sceneKey{}).(*scene)
	v := s.vaults[args[1]]
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if info.Mode().Perm() != 0o600 {
		ts.Fatalf("%s has mode %o", args[0], info.Mode().Perm())
	}
	var got map[string]string
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &got))
	want := hex.EncodeToString(v.Secp256k1.Serialize())
	if got["vault"] != v.Name() || got["secp256k1"] != want || got["ed25519_scalar"] != hex.EncodeToString(scalarOf(v.Ed25519)) {
		ts.Fatalf("%s does not hold the vault's keys", args[0])
	}
	for _, stream := range []string{"stdout", "stderr"} {
		for _, key := range []string{got["secp256k1"], got["ed25519_scalar"]} {
			if text := ts.ReadFile(stream); len(key) != 64 || containsFold(text, key) {
				ts.Fatalf("%s holds a private key", stream)
			}
		}
	}
}
