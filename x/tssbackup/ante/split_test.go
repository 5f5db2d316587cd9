package ante_test

import (
	"encoding/hex"
	"fmt"
	"testing"

	"cosmossdk.io/collections"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/appchain"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// splitChain is a chain on which a split keygen of so many members is open, who all must publish.
type splitChain struct {
	*appchain.Chain
	t      testing.TB
	vault  network.Vault
	ballot network.Ballot
	keys   [][]byte // of the members
	group  []byte
	hash   []byte
	// certificate is that of all members for the vault with the group part.
	certificate []byte
}

func newSplitChain(t testing.TB, members int, change func(*types.Params)) *splitChain {
	t.Helper()
	c := &splitChain{t: t, vault: network.NewVault("split")}
	c.Chain = appchain.New(t, appchain.Config{
		ChainID:      chainID + "-split",
		Members:      members,
		MinGasPrices: minGasPrices,
		Params: func(p *types.Params) {
			p.SplitBackups, p.MaxVaultMembers = true, uint32(max(members, 5))
			change(p)
		},
	})
	c.ballot = c.Ballot(keygenID)
	keygen := c.Keygen(keygenID)
	for _, m := range keygen.Members {
		c.keys = append(c.keys, m.PubKey)
	}
	vote := c.ballot.Vote(c.vault, c.ballot.Members[0], nil)
	c.group, c.certificate = vote.Group, vote.Certificate
	c.hash = c.ballot.Named(vote).GroupHash
	return c
}

// secretsEnvelope is how long an envelope is that holds a member's own secrets alone.
const secretsEnvelope = 1_150

// carries is a member's vote that carries the group part, and names one that names it.
func (c *splitChain) carries(member network.Account, proof bool) *types.MsgTssPool {
	envelope := network.Seal(c.t, member, 1_000)
	envelope = network.Seal(c.t, member, 1_000+secretsEnvelope-len(envelope))
	require.InDelta(c.t, secretsEnvelope, len(envelope), 200)
	// What the form of an envelope asks of its length lets us have exactly that many bytes.
	envelope = append(envelope, make([]byte, max(0, secretsEnvelope-len(envelope)))...)[:secretsEnvelope]
	vote := &types.MsgTssPool{
		Signer:          member.Bech32(),
		KeygenId:        keygenID,
		PubKey:          c.vault.Name(),
		PubKeyEd25519:   hex.EncodeToString(c.vault.PubKeyEd25519()),
		KeysharesBackup: envelope,
		Certificate:     c.certificate,
		Group:           c.group,
	}
	if proof {
		vote.Proof = c.vault.Prove(c.ChainID, keygenID, c.keys, member)
	}
	return vote
}

func (c *splitChain) names(member network.Account, proof bool) *types.MsgTssPool {
	vote := c.carries(member, proof)
	vote.Group, vote.Certificate, vote.GroupHash = nil, nil, c.hash
	return vote
}

// tx is a transaction with the gas limit that a signer asks for, without a fee.
func (c *splitChain) tx(member network.Account, vote *types.MsgTssPool) []byte {
	c.t.Helper()
	gas, err := types.SignerGas(vote, len(c.ballot.Members))
	require.NoError(c.t, err)
	return c.Tx(member, network.TxOptions{Gas: gas}, vote)
}

// attempted reports whether an attempt of the member counts.
func (c *splitChain) attempted(member network.Account) bool {
	c.t.Helper()
	key := collections.Join(uint64(keygenID), []byte(member.Address()))
	has, err := c.App.TssbackupKeeper.Attempts.Has(c.Ctx(), key)
	require.NoError(c.t, err)
	return has
}

func testDefaults(*types.Params) {}

// TestAVoteByHashWaitsForTheCommittedGroupPart has a vote that names a group part come before the
// vote that carries it: to the mempool, which holds that vote, and to blocks.
func TestAVoteByHashWaitsForTheCommittedGroupPart(t *testing.T) {
	c := newSplitChain(t, 4, testDefaults)
	first, second, third, fourth := c.ballot.Members[0], c.ballot.Members[1], c.ballot.Members[2], c.ballot.Members[3]
	names := c.tx(second, c.names(second, true))
	unknown := func(codespace string, code uint32, log string) {
		t.Helper()
		requireError(t, types.ErrGroupUnknown, codespace, code, log)
		require.False(t, c.attempted(second), "it costs the member nothing")
	}
	for range 5 {
		res := c.Check(names)
		unknown(res.Codespace, res.Code, res.Log)
	}
	// Nor when the mempool holds the group part: what is in it may never be committed.
	carries := c.tx(first, c.carries(first, true))
	res := c.Check(carries)
	require.Zero(t, res.Code, res.Log)
	res = c.Check(names)
	unknown(res.Codespace, res.Code, res.Log)
	// A proposer that puts it into a block all the same, before the group part or without it.
	result := c.Block(names)[0]
	unknown(result.Codespace, result.Code, result.Log)
	another := c.tx(third, c.carries(third, true))
	results := c.Block(names, carries, another)
	unknown(results[0].Codespace, results[0].Code, results[0].Log)
	require.Zero(t, results[1].Code, results[1].Log)
	require.Zero(t, results[2].Code, "two may carry it in one block: %s", results[2].Log)

	// From now on it passes, in each block until the keygen is closed.
	res = c.Check(names)
	require.Zero(t, res.Code, res.Log)
	keygen := c.Keygen(keygenID)
	for c.Height < keygen.Deadline-1 {
		c.Block()
		res = c.Recheck(names)
		require.Zero(t, res.Code, res.Log)
	}
	// So does one that carries what is known: a message that was fixed before stays good.
	late := c.tx(fourth, c.carries(fourth, true))
	results = c.Block(names, late, c.Tx(first, network.TxOptions{}, c.ballot.Check(c.vault, first)))
	for _, result := range results {
		require.Zero(t, result.Code, result.Log)
	}
	vault, err := c.App.TssbackupKeeper.Vaults.Get(c.Ctx(), c.vault.PubKey())
	require.NoError(t, err)
	require.True(t, vault.Split && vault.IsLive())
	require.Equal(t, c.hash, vault.SharesHash)
}

// TestACarrierIsBoundedByItsGroupPart has what may ride along with a vote of each kind be the same
// as with any other vote.
func TestACarrierIsBoundedByItsGroupPart(t *testing.T) {
	c := newSplitChain(t, 4, testDefaults)
	first, second := c.ballot.Members[0], c.ballot.Members[1]
	wrong := c.carries(first, true)
	wrong.Group = append(wrong.Group[:len(wrong.Group):len(wrong.Group)], wrong.Group[:sanity.GroupMemberBytes]...)
	res := c.Check(c.TxAt(first, c.Sequence(first), network.TxOptions{}, wrong))
	requireError(t, types.ErrInvalidGroup, res.Codespace, res.Code, res.Log)

	greedy := func(vote *types.MsgTssPool, more uint64) uint32 {
		gas, err := types.SignerGas(vote, 4)
		require.NoError(t, err)
		member := first
		if len(vote.GroupHash) != 0 {
			member = second
		}
		return c.Check(c.TxAt(member, c.Sequence(member), network.TxOptions{Gas: gas + more}, vote)).Code
	}
	require.NotZero(t, greedy(c.carries(first, true), 50_000))
	require.Zero(t, greedy(c.carries(first, true), 0))
	require.Zero(t, c.Block(c.tx(first, c.carries(first, true)))[0].Code)
	require.NotZero(t, greedy(c.names(second, true), 50_000))
	require.Zero(t, greedy(c.names(second, true), 0))
}

// TestTotalsOfASplitKeygen sums up the transactions in which all members of a keygen vote, one of
// which carries the group part, as they are encoded; the blocks take them.
func TestTotalsOfASplitKeygen(t *testing.T) {
	for _, row := range []struct {
		members int
		proofs  bool
		most    int
	}{
		{4, true, 28_000},
		{40, true, 280_000},
		{40, false, 120_000},
		{100, true, 700_000},
	} {
		t.Run(fmt.Sprintf("%d members, proofs %v", row.members, row.proofs), func(t *testing.T) {
			c := newSplitChain(t, row.members, func(p *types.Params) { p.ProofsOptional = !row.proofs })
			var txs [][]byte
			total := 0
			for i, m := range c.ballot.Members {
				vote := c.names(m, row.proofs)
				if i == 0 {
					vote = c.carries(m, row.proofs)
				}
				tx := c.tx(m, vote)
				total += len(tx)
				if i == 0 {
					results := c.Block(tx)
					require.Zero(t, results[0].Code, results[0].Log)
					continue
				}
				txs = append(txs, tx)
			}
			t.Logf("%d bytes of votes", total)
			require.LessOrEqual(t, total, row.most)
			// All others fit into one block.
			require.Len(t, c.Propose(txs...), row.members-1)
			require.True(t, c.Process(txs...))
			for _, result := range c.Block(txs...) {
				require.Zero(t, result.Code, result.Log)
				require.LessOrEqual(t, result.GasUsed, int64(900_000))
			}
			require.LessOrEqual(t, 100*900_000, int(app.DefaultConsensusParams().Block.MaxGas))
			require.Zero(t, c.Block(c.Tx(c.ballot.Members[0], network.TxOptions{}, c.ballot.Check(c.vault, c.ballot.Members[0])))[0].Code)
			vault, err := c.App.TssbackupKeeper.Vaults.Get(c.Ctx(), c.vault.PubKey())
			require.NoError(t, err)
			require.True(t, vault.IsLive())
		})
	}
}
