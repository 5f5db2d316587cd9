package network_test

import (
	"bytes"
	"context"
	"testing"

	coretypes "github.com/cometbft/cometbft/rpc/core/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestAChurnWhoseMembersHoldTheEnvelopes takes four validators through one: the vault is active, no
// block and no archive has an envelope, a member publishes later by the others' receipts, and the
// state goes on as a new network.
func TestAChurnWhoseMembersHoldTheEnvelopes(t *testing.T) {
	ctx := context.Background()
	n := network.New(t, network.Config{Tssbackup: func(gs *types.GenesisState) {
		gs.Params.Placement = types.Placement_PLACEMENT_MEMBERS
		// The last of the four is not asked, so that its backup is missing.
		gs.Params.Sample = types.Fraction{Numerator: 1, Denominator: 2}
		gs.Params.MaxVaultMembers = 40
		gs.Params.SplitBackups = true
	}})
	n.RegisterSigners()
	keygen := n.StartChurn().KeygenIds[0]
	ballot := n.Ballot(keygen)
	shown, err := n.Query().Keygen(ctx, &types.QueryKeygenRequest{Id: keygen})
	require.NoError(t, err)
	var late network.Account
	envelopes := map[string][]byte{}
	for i, m := range shown.Keygen.Members {
		if !m.Asked {
			late = ballot.Members[i]
			continue
		}
		envelopes[m.Address] = network.Seal(t, ballot.Members[i], 1_000)
		ballot.Held = append(ballot.Held, envelopes[m.Address])
	}
	require.Len(t, ballot.Held, 3)
	vault := network.NewVault("held")
	for i, m := range ballot.Members {
		vote := ballot.Vote(vault, m, envelopes[m.Bech32()])
		if i > 0 {
			vote = ballot.Named(vote)
		}
		n.SendVote(m, vote) // without a fee
		if i == 0 {
			n.SendVote(m, ballot.Check(vault, m))
		}
	}
	n.WaitChurn(types.ChurnStatus_CHURN_STATUS_COMPLETE)
	n.WaitBlocks(2)

	// An outsider sees who has published, and that no node has it.
	coverage, err := n.Query().Coverage(ctx, &types.QueryCoverageRequest{Vault: vault.Name()})
	require.NoError(t, err)
	of := coverage.Vaults[0]
	require.EqualValues(t, []any{uint32(3), uint32(3), true}, []any{of.Published, of.Proven, of.ProvenRecoverable})
	require.Equal(t, types.Placement_PLACEMENT_MEMBERS, of.Placement)
	node, err := chain.New(n.Validators[0].RPC(), 0)
	require.NoError(t, err)
	for _, m := range of.List {
		if !m.Asked {
			continue
		}
		commitment, err := m.Commitments[0].Commitment()
		require.NoError(t, err)
		require.True(t, commitment.Matches(envelopes[m.Address]), "it is the member's own")
		_, err = n.Query().Envelope(ctx, &types.QueryEnvelopeRequest{Vault: vault.Name(), Member: m.Address})
		require.ErrorContains(t, err, "members hold the envelope")
		_, err = node.Envelope(ctx, commitment)
		require.ErrorIs(t, err, chain.ErrHeld)
		_, err = node.ArchivedEnvelope(ctx, vault.Name(), m.Address, commitment)
		require.ErrorIs(t, err, chain.ErrHeld)
	}

	// Of the receipts a threshold of three takes two. What shows at once is refused by every node, the
	// rest in its block.
	sealed := network.Seal(t, late, 1_500)
	var by []network.Account
	for _, m := range ballot.Members {
		if m.Mnemonic != late.Mnemonic {
			by = append(by, m)
		}
	}
	published := func() uint32 {
		coverage, err := n.Query().Coverage(ctx, &types.QueryCoverageRequest{Vault: vault.Name()})
		require.NoError(t, err)
		return coverage.Vaults[0].Published
	}
	free := func(msg *types.MsgPublishBackup) *coretypes.ResultBroadcastTx {
		gas, err := types.SignerGas(msg, 4)
		require.NoError(t, err)
		return n.Broadcast(n.Sign(late, network.TxOptions{Gas: gas}, msg))
	}
	beside := ballot.Publication(vault, late, sealed, by[0], by[1])
	beside.KeysharesBackup = sealed
	for name, msg := range map[string]*types.MsgPublishBackup{
		"too few":           ballot.Publication(vault, late, sealed, by[0]),
		"with the envelope": beside,
	} {
		require.NotZero(t, free(msg).Code, name)
	}
	for name, second := range map[string]network.Account{
		"one of a stranger": network.NewAccount("stranger"), "one twice": by[0],
	} {
		res := free(ballot.Publication(vault, late, sealed, by[0], second))
		require.Zero(t, res.Code, "%s: %s", name, res.Log)
		n.WaitBlocks(2)
		require.EqualValues(t, 3, published(), name)
	}
	n.SendVote(late, ballot.Publication(vault, late, sealed, by[0], by[1]))
	require.EqualValues(t, 4, published())

	// Nothing of an envelope is in a block.
	txs := 0
	for height := int64(1); height <= n.FirstRunning().Height(); height++ {
		block, err := node.BlockTxs(ctx, height)
		require.NoError(t, err)
		for _, tx := range block {
			txs++
			for _, e := range append(ballot.Held, sealed) {
				require.False(t, bytes.Contains(tx, e[len(sanity.EnvelopePrefix):]), "block %d", height)
			}
		}
	}
	require.Greater(t, txs, 15)
	for _, v := range n.Validators {
		kept, err := v.App().ArchiveNode().Kept()
		require.NoError(t, err)
		require.Empty(t, kept, "%s keeps none", v)
	}
	before := answers(t, n, vault, keygen)
	n.StopAll()
	again := network.New(t, network.Config{GenesisDoc: n.ExportGenesis(n.ChainID)})
	require.Equal(t, before, answers(t, again, vault, keygen))
}
