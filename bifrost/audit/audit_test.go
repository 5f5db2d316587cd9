package audit

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	cosmossecp256k1 "github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/cosmos-sdk/x/authz"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	chainID = "chain-2"
	former  = "chain-1"
	keygen  = 5
	// blockOf is the block of the first two members' proofs; the others' is the next.
	blockOf = 40
)

// scene is a vault of four members that have proven, and the blocks that carried their proofs.
type scene struct {
	record Record
	txs    map[int64][][]byte
	// proofs are in the order of the members.
	proofs [][]byte
}

// address is that of a member in bech32.
func (s *scene) address(member int) string {
	address, err := bech32.ConvertAndEncode("cosmos", s.record.Vault.Members[member].Address())
	if err != nil {
		panic(err)
	}
	return address
}

// play gives the vault that follows from a name, whose proofs were made under a chain id, to change
// at will except for the bytes in it. Proofs take time, so it is made once.
func play(t testing.TB, name, id string) *scene {
	t.Helper()
	made, ok := scenes[name+id]
	if !ok {
		made = newScene(t, name, id)
		scenes[name+id] = made
	}
	s := &scene{record: made.record, txs: map[int64][][]byte{}, proofs: slices.Clone(made.proofs)}
	s.record.Vault.Members = slices.Clone(s.record.Vault.Members)
	s.record.Shares.Secp256k1 = slices.Clone(s.record.Shares.Secp256k1)
	s.record.Shares.Ed25519 = slices.Clone(s.record.Shares.Ed25519)
	s.record.Proofs = slices.Clone(s.record.Proofs)
	for height, txs := range made.txs {
		s.txs[height] = slices.Clone(txs)
	}
	return s
}

var scenes = map[string]*scene{}

func newScene(t testing.TB, name, id string) *scene {
	t.Helper()
	private := dealer.NewPrivateKeys(name)
	var members [][]byte
	for i := range 4 {
		members = append(members, cosmossecp256k1.GenPrivKeyFromSecret(fmt.Append(nil, "member ", i)).PubKey().Bytes())
	}
	dealt := private.Deal(members)
	pubKey, pubKeyEd25519 := private.PubKey(), private.PubKeyEd25519()
	s := &scene{txs: map[int64][][]byte{}, record: Record{
		Vault: vault.Vault{PubKey: pubKey, Vault: types.Vault{
			PubKeyEd25519: pubKeyEd25519, Epoch: keygen, Threshold: 3,
			SharesHash: dealt.Public.Hash(pubKey, pubKeyEd25519),
		}},
		Shares: dealt.Public,
	}}
	for i, m := range members {
		s.record.Vault.Members = append(s.record.Vault.Members, types.Member{PubKey: m, Asked: true})
		recipient := dealer.RecipientKey(m, 1)
		st, ok := dealt.Public.Statement(id, keygen, pubKey, pubKeyEd25519, types.SignerAddress(m), recipient.Public())
		require.True(t, ok)
		proof, err := verenc.Prove(recipient, st, dealt.Shares(m))
		require.NoError(t, err)
		stored, err := verenc.Verify(st, proof)
		require.NoError(t, err)
		height := int64(blockOf + i/2)
		s.record.Proofs = append(s.record.Proofs, types.Proof{
			Recipient: types.Recipient{Key: recipient.Public(), Index: 1}, Stored: stored.Bytes(), Height: height,
		})
		s.proofs = append(s.proofs, proof)
		s.txs[height] = append(s.txs[height], transaction(t, &types.MsgTssPool{Signer: s.address(i), KeygenId: keygen, Proof: proof}))
	}
	return s
}

func transaction(t testing.TB, msgs ...proto.Message) []byte {
	t.Helper()
	var body tx.TxBody
	for _, msg := range msgs {
		packed, err := codectypes.NewAnyWithValue(msg)
		require.NoError(t, err)
		body.Messages = append(body.Messages, packed)
	}
	raw, err := proto.Marshal(&body)
	require.NoError(t, err)
	outer, err := proto.Marshal(&tx.TxRaw{BodyBytes: raw, AuthInfoBytes: []byte{1}, Signatures: [][]byte{make([]byte, 64)}})
	require.NoError(t, err)
	return outer
}

// audit goes through all blocks, and returns the results and what failed.
func (s *scene) audit(t testing.TB, formerChainIDs ...string) ([]Result, error) {
	t.Helper()
	a, err := New(chainID, formerChainIDs, s.record)
	require.NoError(t, err)
	var failed error
	for _, height := range a.Heights() {
		if txs, ok := s.txs[height]; ok {
			if err := a.Block(height, txs); err != nil {
				require.ErrorIs(t, err, ErrCheck)
				failed = err
			}
		}
	}
	a.Judge(1)
	var results []Result
	for _, m := range a.Members() {
		require.Equal(t, m.Result == Failed, m.Err != nil)
		if m.Err != nil {
			failed = m.Err
		}
		results = append(results, m.Result)
	}
	return results, failed
}

func TestEveryProofIsRepeated(t *testing.T) {
	s := play(t, "vault", chainID)
	a, err := New(chainID, nil, s.record)
	require.NoError(t, err)
	require.Equal(t, []int64{40, 41}, a.Heights())
	results, err := s.audit(t)
	require.NoError(t, err)
	require.Equal(t, []Result{Repeated, Repeated, Repeated, Repeated}, results)
}

func TestWhatIsNotRepeated(t *testing.T) {
	t.Run("a block that is pruned leaves what consensus said", func(t *testing.T) {
		s := play(t, "vault", chainID)
		delete(s.txs, 40)
		results, err := s.audit(t)
		require.NoError(t, err)
		require.Equal(t, []Result{Accepted, Accepted, Repeated, Repeated}, results)
	})
	t.Run("a member that never proved", func(t *testing.T) {
		s := play(t, "vault", chainID)
		s.record.Proofs[1] = types.Proof{Recipient: s.record.Proofs[1].Recipient}
		results, err := s.audit(t)
		require.NoError(t, err)
		require.Equal(t, []Result{Repeated, None, Repeated, Repeated}, results)
	})
	t.Run("a vault that was made without proofs", func(t *testing.T) {
		s := play(t, "vault", chainID)
		s.record.Shares, s.record.Vault.SharesHash, s.record.Proofs = types.PublicShares{}, nil, make([]types.Proof, 4)
		results, err := s.audit(t)
		require.NoError(t, err)
		require.Equal(t, []Result{None, None, None, None}, results)
	})
	t.Run("proofs from before the chain was exported", func(t *testing.T) {
		s := play(t, "vault", former)
		s.txs = map[int64][][]byte{40: {transaction(t)}, 41: {[]byte("others")}} // blocks of this chain
		results, err := s.audit(t)
		require.NoError(t, err)
		require.Equal(t, []Result{Imported, Imported, Imported, Imported}, results)
		results, err = s.audit(t, "chain-0", former)
		require.NoError(t, err)
		require.Equal(t, []Result{Imported, Imported, Imported, Imported}, results)
		_, err = s.audit(t, "chain-0")
		require.ErrorContains(t, err, "made under none of the chain's names")
	})
}

// TestTamperedRecords changes a record of the vault as a whole.
func TestTamperedRecords(t *testing.T) {
	other := play(t, "other", chainID)
	for name, tc := range map[string]struct {
		change func(r *Record)
		// rehashed has the vault name the hash of the changed shares.
		rehashed bool
		err      string
	}{
		"a list with one other point":                    {func(r *Record) { r.Shares.Secp256k1[1].Point = other.record.Shares.Secp256k1[1].Point }, false, "have the hash"},
		"a list with one other point, and its hash":      {func(r *Record) { r.Shares.Secp256k1[1].Point = other.record.Shares.Secp256k1[1].Point }, true, "secp256k1: verenc: the public shares"},
		"another ed25519 point, and its hash":            {func(r *Record) { r.Shares.Ed25519[3].Point = other.record.Shares.Ed25519[3].Point }, true, "ed25519: verenc: the public shares"},
		"swapped members":                                {func(r *Record) { swapMembers(r.Shares.Secp256k1) }, false, "have the hash"},
		"another vault's lists":                          {func(r *Record) { r.Shares = other.record.Shares }, true, "secp256k1: verenc: the public shares"},
		"a list without a member":                        {func(r *Record) { r.Shares.Ed25519 = r.Shares.Ed25519[1:] }, true, "ed25519: 3 entries for 4 members"},
		"a list with a member twice":                     {func(r *Record) { r.Shares.Ed25519[1] = r.Shares.Ed25519[0] }, true, "of a stranger"},
		"two members with each other's points":           {func(r *Record) { swapMembers(r.Shares.Secp256k1) }, true, "is not where its member's share lies"},
		"no lists":                                       {func(r *Record) { r.Shares = types.PublicShares{} }, false, "have the hash"},
		"no hash":                                        {func(r *Record) { r.Vault.SharesHash = nil }, false, "the vault names none"},
		"proofs, and neither lists nor a hash":           {func(r *Record) { r.Shares, r.Vault.SharesHash = types.PublicShares{}, nil }, false, "names no public shares"},
		"another vault's keys":                           {func(r *Record) { r.Vault.PubKey = other.record.Vault.PubKey }, true, "secp256k1: verenc"},
		"a threshold that is too low":                    {func(r *Record) { r.Vault.Threshold = 2 }, false, "the threshold is 2, and that of 4 members is 3"},
		"a proof too few":                                {func(r *Record) { r.Proofs = r.Proofs[1:] }, false, "3 records of proofs for 4 members"},
		"a member fewer, although the lists have it all": {func(r *Record) { r.Vault.Members, r.Proofs, r.Vault.Threshold = r.Vault.Members[:3], r.Proofs[:3], 2 }, false, "4 entries for 3 members"},
	} {
		t.Run(name, func(t *testing.T) {
			s := play(t, "vault", chainID)
			tc.change(&s.record)
			if tc.rehashed {
				r := &s.record
				r.Vault.SharesHash = r.Shares.Hash(r.Vault.PubKey, r.Vault.PubKeyEd25519)
			}
			_, err := New(chainID, nil, s.record)
			require.ErrorIs(t, err, ErrCheck)
			require.ErrorContains(t, err, tc.err)
		})
	}
}

func swapMembers(list []types.PublicShare) {
	list[0].Member, list[1].Member = list[1].Member, list[0].Member
}

// TestTamperedProofs changes what state keeps of the first member's proof.
func TestTamperedProofs(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(s *scene, p *types.Proof)
		err    string
		// pruned is what is found without the block; empty means the same failure.
		pruned Result
	}{
		"another member's stored form": {func(s *scene, p *types.Proof) { p.Stored = s.record.Proofs[1].Stored }, "the stored form is that of member 2", ""},
		"another member's record":      {func(s *scene, p *types.Proof) { *p = s.record.Proofs[1] }, "the stored form is that of member 2", ""},
		"a stored form cut off":        {func(_ *scene, p *types.Proof) { p.Stored = p.Stored[:2000] }, "2000 bytes are no stored proof", ""},
		"a stored form of one share":   {func(_ *scene, p *types.Proof) { p.Stored = p.Stored[:verenc.StoredSize(1)] }, "holds 1 shares, and the vault has 2 keys", ""},
		"another suite":                {func(_ *scene, p *types.Proof) { p.Stored = slices.Clone(p.Stored); p.Stored[0]++ }, "unknown suite", ""},
		"flipped bits in a row":        {func(_ *scene, p *types.Proof) { p.Stored = flip(p.Stored, 500) }, "gives another stored form than state's", Accepted},
		"flipped bits in the context":  {func(_ *scene, p *types.Proof) { p.Stored = flip(p.Stored, 1) }, "it gives another stored form than state's", Imported},
		"flipped bits in D":            {func(_ *scene, p *types.Proof) { p.Stored = flip(p.Stored, 33) }, "gives another stored form than state's", Accepted},
		"another recipient":            {func(_ *scene, p *types.Proof) { p.Recipient.Key = dealer.RecipientKey([]byte("x"), 0).Public() }, "verenc: the", Imported},
		"no recipient":                 {func(_ *scene, p *types.Proof) { p.Recipient.Key = nil }, "recipient key", ""},
		"a recipient of small order":   {func(_ *scene, p *types.Proof) { p.Recipient.Key = make([]byte, 32) }, "recipient key", ""},
		"no block":                     {func(_ *scene, p *types.Proof) { p.Height = 0 }, "block 0 cannot have carried", ""},
		"another block":                {func(_ *scene, p *types.Proof) { p.Height = 41 }, "the block carries no proof of the member", Accepted},
		"a proof cut off in its block": {func(s *scene, _ *types.Proof) { s.carry(0, s.proofs[0][:len(s.proofs[0])-1]) }, "another stored form", Accepted},
		"a proof with a flipped seed":  {func(s *scene, _ *types.Proof) { s.carry(0, flipAt(s.proofs[0], 70)) }, "verenc: the proof does not hold", Accepted},
		"a proof with another salt":    {func(s *scene, _ *types.Proof) { s.carry(0, flipAt(s.proofs[0], 2)) }, "verenc: the proof does not hold", Accepted},
		"no proof in its block":        {func(s *scene, _ *types.Proof) { s.txs[blockOf] = s.txs[blockOf][1:] }, "the block carries no proof of the member", Accepted},
		"another member's in its name": {func(s *scene, _ *types.Proof) { s.carry(0, s.proofs[1]) }, "another stored form", Accepted},
	} {
		t.Run(name, func(t *testing.T) {
			s := play(t, "vault", chainID)
			tc.change(s, &s.record.Proofs[0])
			results, err := s.audit(t)
			require.Equal(t, Failed, results[0])
			require.ErrorContains(t, err, tc.err)
			require.Equal(t, []Result{Repeated, Repeated}, results[2:], "the others do not suffer")

			s.txs = nil
			results, err = s.audit(t)
			if tc.pruned == "" {
				tc.pruned = Failed
				require.ErrorContains(t, err, tc.err)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, []Result{tc.pruned, Accepted, Accepted, Accepted}, results)
		})
	}
}

// carry replaces the proof that the block carries for a member.
func (s *scene) carry(member int, proof []byte) {
	height := int64(blockOf + member/2)
	packed, err := codectypes.NewAnyWithValue(&types.MsgTssPool{Signer: s.address(member), KeygenId: keygen, Proof: proof})
	if err != nil {
		panic(err)
	}
	body, _ := proto.Marshal(&tx.TxBody{Messages: []*codectypes.Any{packed}})
	s.txs[height][member%2], _ = proto.Marshal(&tx.TxRaw{BodyBytes: body})
}

// flip changes bits of a stored form at four bytes, so that it can still be parsed.
func flip(form []byte, at int) []byte {
	for n := uint32(1); ; n++ {
		changed := slices.Clone(form)
		binary.BigEndian.PutUint32(changed[at:], n^binary.BigEndian.Uint32(changed[at:]))
		if _, err := verenc.ParseStored(changed); err == nil {
			return changed
		}
	}
}

func flipAt(b []byte, i int) []byte {
	b = slices.Clone(b)
	b[i] ^= 1
	return b
}

// TestWhereProofsAreFound puts a member's proof into its block in other ways.
func TestWhereProofsAreFound(t *testing.T) {
	s := play(t, "vault", chainID)
	address := s.address(0)
	vote := &types.MsgTssPool{Signer: address, KeygenId: keygen, Proof: s.proofs[0]}
	refused := &types.MsgTssPool{Signer: address, KeygenId: keygen, Proof: flipAt(s.proofs[0], 2)}
	executed := func(depth int) proto.Message {
		var msg proto.Message = vote
		for range depth {
			packed, err := codectypes.NewAnyWithValue(msg)
			require.NoError(t, err)
			msg = &authz.MsgExec{Grantee: "cosmos1grantee", Msgs: []*codectypes.Any{packed}}
		}
		return msg
	}
	publication := &types.MsgPublishBackup{Signer: address, Vault: s.record.Vault.Name(), Proof: s.proofs[0]}
	// decoys differ from the proof in seeds, of which the stored form has none.
	decoys := func(n int) (list []proto.Message) {
		for i := range n {
			list = append(list, &types.MsgTssPool{Signer: address, KeygenId: keygen, Proof: flipAt(s.proofs[0], 70+i)})
		}
		return list
	}
	for name, tc := range map[string]struct {
		tx    []byte
		found bool
	}{
		"in a vote":                               {transaction(t, vote), true},
		"in a publication":                        {transaction(t, publication), true},
		"behind other messages":                   {transaction(t, &types.MsgStartChurn{}, &types.MsgTssPool{Signer: "nobody"}, vote), true},
		"behind one that was refused":             {transaction(t, refused, vote), true},
		"behind the same one many times":          {transaction(t, append(slices.Repeat([]proto.Message{refused}, 100), vote)...), true},
		"behind others that resemble it":          {transaction(t, append(decoys(maxTries-1), vote)...), true},
		"behind so many that nobody tries all":    {transaction(t, append(decoys(maxTries), vote)...), false},
		"with an address in upper case":           {transaction(t, &types.MsgTssPool{Signer: strings.ToUpper(address), KeygenId: keygen, Proof: s.proofs[0]}), true},
		"in a message that executes it":           {transaction(t, executed(1)), true},
		"in one that executes one that does":      {transaction(t, executed(2)), true},
		"as deep as the SDK goes":                 {transaction(t, executed(9)), true},
		"deeper than any chain goes":              {transaction(t, executed(10)), false},
		"in a vote on another keygen":             {transaction(t, &types.MsgTssPool{Signer: address, KeygenId: keygen + 1, Proof: s.proofs[0]}), false},
		"in a publication for another vault":      {transaction(t, &types.MsgPublishBackup{Signer: address, Vault: "02ab", Proof: s.proofs[0]}), false},
		"in another member's vote":                {transaction(t, &types.MsgTssPool{Signer: s.address(1), KeygenId: keygen, Proof: s.proofs[0]}), false},
		"in a transaction with something behind":  {append(transaction(t, vote), 0x42, 0x00), false},
		"in a transaction that is cut off":        {transaction(t, vote)[:1000], false},
		"in no message but among its bytes alone": {s.proofs[0], false},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := New(chainID, nil, s.record)
			require.NoError(t, err)
			err = a.Block(blockOf, [][]byte{[]byte("others"), tc.tx})
			require.Error(t, err, "the second member's proof is missing")
			a.Judge(1)
			want := Failed
			if tc.found {
				want = Repeated
			}
			require.Equal(t, want, a.Members()[0].Result)
		})
	}
}

// TestANodeThatShowsAnotherBlock has a second view of the block bear out what the first did not.
func TestANodeThatShowsAnotherBlock(t *testing.T) {
	s := play(t, "vault", chainID)
	a, err := New(chainID, nil, s.record)
	require.NoError(t, err)
	require.ErrorIs(t, a.Block(blockOf, s.txs[blockOf][:1]), ErrCheck)
	require.Equal(t, []Result{Repeated, Accepted}, []Result{a.Members()[0].Result, a.Members()[1].Result})
	require.Error(t, a.Members()[1].Err)
	require.NoError(t, a.Block(blockOf, s.txs[blockOf]))
	a.Judge(2)
	require.Equal(t, []Result{Repeated, Repeated}, []Result{a.Members()[0].Result, a.Members()[1].Result})
	require.NoError(t, a.Block(blockOf, nil), "what was repeated stays so")
}

// TestOneNodesViewAgainstPrunedOnes has a block shown in which a proof is not.
func TestOneNodesViewAgainstPrunedOnes(t *testing.T) {
	s := play(t, "vault", chainID)
	for _, row := range []struct {
		name         string
		views, nodes int
		want         Result
	}{
		{"by the only node", 1, 1, Failed},
		{"by one of two nodes, of which the other has pruned it", 1, 2, Accepted},
		{"by two of three", 2, 3, Failed},
		{"by none", 0, 2, Accepted},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, err := New(chainID, nil, s.record)
			require.NoError(t, err)
			for range row.views {
				require.ErrorIs(t, a.Block(blockOf, nil), ErrCheck)
			}
			a.Judge(row.nodes)
			require.Equal(t, row.want, a.Members()[0].Result)
			require.Equal(t, row.views > 0, a.Members()[0].Err != nil, "a doubt is told")
		})
	}
}

// TestAMadeUpBlockOfAnImportedProof has one node show a proof under this chain's name, where
// another shows the block that there is, without any.
func TestAMadeUpBlockOfAnImportedProof(t *testing.T) {
	s := play(t, "vault", "another name")
	a, err := New(chainID, nil, s.record)
	require.NoError(t, err)
	madeUp := transaction(t, &types.MsgTssPool{Signer: s.address(0), KeygenId: keygen, Proof: s.proofs[1]})
	require.ErrorIs(t, a.Block(blockOf, [][]byte{madeUp}), ErrCheck)
	require.NoError(t, a.Block(blockOf, nil))
	a.Judge(2)
	require.Equal(t, Imported, a.Members()[0].Result)
}

// FuzzBlock shows blocks of anything.
func FuzzBlock(f *testing.F) {
	s := play(f, "vault", chainID)
	f.Add(s.txs[blockOf][0])
	f.Add([]byte{10, 2, 10, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := New(chainID, nil, s.record)
		require.NoError(t, err)
		_ = a.Block(blockOf, [][]byte{raw})
		require.NotEqual(t, Repeated, a.Members()[1].Result)
	})
}

// split makes the vault a split one, with the same points in its group part.
func (s *scene) split(t testing.TB) {
	t.Helper()
	r := &s.record
	entries := make([]sanity.GroupMember, len(r.Vault.Members))
	for i, m := range r.Vault.Members {
		own, ok := r.Shares.Of(m.Address())
		require.True(t, ok)
		entries[i] = sanity.GroupMember{
			Secp256k1: own[0].Point, Ed25519: own[1].Point, Parameters: make([]byte, sanity.ParametersBytes),
		}
	}
	group, err := sanity.MakeGroup(entries)
	require.NoError(t, err)
	r.Group = types.NewGroup(group, entries, blockOf)
	r.Vault.Split = true
	s.rehash(t)
}

// rehash has the vault name the hash of the group part's record.
func (s *scene) rehash(t testing.TB) {
	t.Helper()
	v := &s.record.Vault
	hash, err := types.GroupHash(v.PubKey, v.PubKeyEd25519, v.Members, s.record.Group.Points)
	require.NoError(t, err)
	v.SharesHash = hash
}

// TestASplitVault audits a vault whose public shares are in its group part.
func TestASplitVault(t *testing.T) {
	s := play(t, "vault", chainID)
	s.split(t)
	results, err := s.audit(t)
	require.NoError(t, err)
	require.Equal(t, []Result{Repeated, Repeated, Repeated, Repeated}, results)

	other := play(t, "other", chainID)
	other.split(t)
	point := func(s *scene, i int) []byte {
		return s.record.Group.Points[i*sanity.GroupPointsBytes : (i+1)*sanity.GroupPointsBytes]
	}
	public := func(s *scene) {
		var err error
		s.record.Shares, err = s.record.Group.PublicShares(keygen, s.record.Vault.Members)
		require.NoError(t, err)
	}
	for name, tc := range map[string]struct {
		change func(s *scene)
		// rehashed has the vault name the hash of the changed record.
		rehashed bool
		err      string
	}{
		"another vault's group part":            {func(s *scene) { s.record.Group = other.record.Group; public(s) }, false, "have the hash"},
		"another vault's group part, its hash":  {func(s *scene) { s.record.Group = other.record.Group; public(s) }, true, "secp256k1: verenc: the public shares"},
		"a member's other point":                {func(s *scene) { copy(point(s, 1), point(other, 1)[:33]); public(s) }, true, "secp256k1: verenc: the public shares"},
		"other parameters of a member":          {func(s *scene) { point(s, 2)[70] ^= 1 }, false, "have the hash"},
		"lists that are not in the group part":  {func(s *scene) { s.record.Shares = other.record.Shares }, false, "not the points of the group part"},
		"no group part":                         {func(s *scene) { s.record.Group = types.Group{} }, false, "0 bytes of points"},
		"the lists' hash for the group part's":  {func(s *scene) { s.record.Vault.SharesHash = play(t, "vault", chainID).record.Vault.SharesHash }, false, "have the hash"},
		"a group part, and a vault without one": {func(s *scene) { s.record.Vault.SharesHash, s.record.Shares = nil, types.PublicShares{} }, false, "the vault names none"},
		"a vault that is not said to be split":  {func(s *scene) { s.record.Vault.Split = false }, false, "have the hash"},
	} {
		t.Run(name, func(t *testing.T) {
			s := play(t, "vault", chainID)
			s.split(t)
			tc.change(s)
			if tc.rehashed {
				s.rehash(t)
			}
			_, err := New(chainID, nil, s.record)
			require.ErrorIs(t, err, ErrCheck)
			require.ErrorContains(t, err, tc.err)
		})
	}
}
