package ante_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestAVoteThatNamesTheListWaitsForTheCommittedOne has votes without envelopes pass without a fee
// where the members hold them: one that names the list once the vote that lists them is committed,
// and one that lists them at any time.
func TestAVoteThatNamesTheListWaitsForTheCommittedOne(t *testing.T) {
	c := newSplitChain(t, 4, func(p *types.Params) { p.Placement = types.Placement_PLACEMENT_MEMBERS })
	var envelopes [][]byte
	for _, m := range c.ballot.Members {
		envelopes = append(envelopes, network.Seal(t, m, 1_000))
	}
	c.ballot.Held = envelopes
	vote := func(i int) *types.MsgTssPool { return c.ballot.Vote(c.vault, c.ballot.Members[i], envelopes[i]) }
	require.Empty(t, vote(0).KeysharesBackup)
	// The group part is carried, so that the list alone is not known.
	unlisted := vote(1)
	unlisted.EnvelopesHash, unlisted.Envelopes, unlisted.Certificate = types.EnvelopesHash(unlisted.Envelopes), nil, nil
	names := c.tx(c.ballot.Members[1], unlisted)
	second := c.ballot.Members[1]
	lists := c.tx(c.ballot.Members[0], vote(0))
	for _, mempool := range []bool{false, true} {
		if mempool {
			res := c.Check(lists)
			require.Zero(t, res.Code, res.Log)
		}
		res := c.Check(names)
		requireError(t, types.ErrEnvelopesUnknown, res.Codespace, res.Code, res.Log)
		require.False(t, c.attempted(second), "it costs the member nothing")
	}
	results := c.Block(names, lists, c.tx(c.ballot.Members[2], vote(2)))
	requireError(t, types.ErrEnvelopesUnknown, results[0].Codespace, results[0].Code, results[0].Log)
	require.False(t, c.attempted(second))
	require.Zero(t, results[1].Code, results[1].Log)
	require.Zero(t, results[2].Code, "two may list them in one block: %s", results[2].Log)

	res := c.Check(names)
	require.Zero(t, res.Code, res.Log)
	last := c.tx(c.ballot.Members[3], c.ballot.Named(vote(3)))
	check := c.Tx(c.ballot.Members[0], network.TxOptions{}, c.ballot.Check(c.vault, c.ballot.Members[0]))
	for _, result := range c.Block(names, last, check) {
		require.Zero(t, result.Code, result.Log)
	}
	vault, err := c.App.TssbackupKeeper.Vaults.Get(c.Ctx(), c.vault.PubKey())
	require.NoError(t, err)
	require.True(t, vault.IsHeld() && vault.IsLive())
	kept, err := c.App.ArchiveNode().Kept()
	require.NoError(t, err)
	require.Empty(t, kept)

	// What carries an envelope all the same is refused before anything counts.
	publication := &types.MsgPublishBackup{Signer: second.Bech32(), Vault: c.vault.Name(), KeysharesBackup: envelopes[1]}
	got := c.Check(c.Tx(second, network.TxOptions{}, publication))
	requireError(t, types.ErrHeldByMembers, got.Codespace, got.Code, got.Log)
}
