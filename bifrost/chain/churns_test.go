package chain

import (
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestChurnsAndTheirKeygens has a churn of an open keygen, one that failed and one that made a
// vault, and a number of which state keeps nothing any more.
func TestChurnsAndTheirKeygens(t *testing.T) {
	p := newScene(t, 3)
	var members []types.Member
	var raws [][]byte
	for _, m := range p.members {
		key, err := hex.DecodeString(m.PubKey)
		require.NoError(t, err)
		members = append(members, types.Member{PubKey: key, Asked: true})
		_, raw, err := bech32.DecodeAndConvert(m.Address)
		require.NoError(t, err)
		raws = append(raws, raw)
	}
	result := &types.Result{PubKey: vaultKey(9), PubKeyEd25519: make([]byte, 32)}
	p.Records[string(types.ChurnSequenceKey())] = binary.BigEndian.AppendUint64(nil, 4)
	for key, record := range map[string]proto.Message{
		string(types.ChurnKey(3)): &types.Churn{Id: 3, Status: types.ChurnStatus_CHURN_STATUS_OPEN, KeygenIds: []uint64{8}, FailedIds: []uint64{7}},
		string(types.ChurnKey(1)): &types.Churn{Id: 1, Status: types.ChurnStatus_CHURN_STATUS_COMPLETE, KeygenIds: []uint64{1}},
		string(types.KeygenKey(8)): &types.Keygen{
			Id: 8, ChurnId: 3, Status: types.KeygenStatus_KEYGEN_STATUS_OPEN, Members: members, OpenedHeight: 90, Deadline: 190,
		},
		string(types.SessionKey(8)):        &types.Session{Attempt: 2, Id: make([]byte, 32), Height: 91, Members: make([]types.Join, 3)},
		string(types.JoinKey(8, raws[0])):  &types.Join{Attempt: 3, Height: 95},
		string(types.JoinKey(8, raws[1])):  &types.Join{Attempt: 2, Height: 91},
		string(types.VoteKey(8, raws[1])):  &types.Vote{Height: 96, Result: result},
		string(types.VoteKey(8, raws[2])):  &types.Vote{Height: 97, Blamed: [][]byte{raws[0]}},
		string(types.ProofKey(8, raws[1])): &types.Proof{Stored: []byte("stored"), Height: 96},
		string(types.KeygenKey(1)):         &types.Keygen{Id: 1, ChurnId: 1, Status: types.KeygenStatus_KEYGEN_STATUS_READY, Vault: vaultKey(1)},
		string(types.KeygenKey(9)): &types.Keygen{
			Id: 9, ChurnId: 4, Status: types.KeygenStatus_KEYGEN_STATUS_OPEN, Members: members[:2],
			Reshare: &types.Reshare{Vault: vaultKey(1), Epoch: 1, Excluded: [][]byte{raws[1]}},
		},
		string(types.SessionKey(9)): &types.Session{
			Attempt: 1, Id: make([]byte, 32), Members: make([]types.Join, 2), Dealers: []types.Dealer{{PubKey: members[2].PubKey}},
		},
		string(types.SitOutKey(raws[2])): &types.SitOut{Until: 500, Count: 2},
	} {
		p.Put([]byte(key), record)
	}
	p.Monikers[string(raws[0])] = "first <b>"
	s, err := p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	ctx := t.Context()

	churns, err := s.Churns(ctx, 10)
	require.NoError(t, err)
	require.Len(t, churns, 2)
	require.EqualValues(t, 3, churns[0].Id)
	require.EqualValues(t, 1, churns[1].Id)
	churns, err = s.Churns(ctx, 2)
	require.NoError(t, err)
	require.Len(t, churns, 1, "of two numbers state keeps one")

	k, err := s.Keygen(ctx, 8)
	require.NoError(t, err)
	require.Len(t, k.Members, 3)
	require.EqualValues(t, 2, k.Session.Attempt)
	require.Len(t, k.Joins, 1)
	require.Equal(t, raws[0], k.Joins[0].Member)
	require.Nil(t, k.VoteOf(raws[0]))
	require.True(t, k.VoteOf(raws[1]).Proven)
	require.Equal(t, [][]byte{raws[0]}, k.VoteOf(raws[2]).Blamed)

	k, err = s.Keygen(ctx, 1)
	require.NoError(t, err)
	require.Len(t, k.Members, 3, "those of its vault")
	k, err = s.Keygen(ctx, 9)
	require.NoError(t, err)
	require.Equal(t, [][]byte{raws[0], raws[2]}, k.Able, "all of its vault but who is excluded")
	require.Equal(t, 2, k.Deal)
	_, deals := k.Session.Of(raws[2])
	require.True(t, deals)
	k, err = s.Keygen(ctx, 7)
	require.NoError(t, err)
	require.Zero(t, k.Status, "state keeps it no more")

	operators, err := s.OperatorsOf(ctx, [][]byte{raws[0], make([]byte, 20)})
	require.NoError(t, err)
	require.Equal(t, [][]byte{raws[0], nil}, operators)
	outs, err := s.SitOuts(ctx, raws)
	require.NoError(t, err)
	require.Equal(t, []types.SitOut{{}, {}, {Until: 500, Count: 2}}, outs)
	names, err := s.Monikers(ctx, raws)
	require.NoError(t, err)
	require.Equal(t, []string{"first <b>", "", ""}, names)
}

func TestThereAreNoChurnsBeforeTheFirst(t *testing.T) {
	p := newScene(t, 1)
	s, err := p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	churns, err := s.Churns(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, churns)
}
