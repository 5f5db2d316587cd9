package network_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestChurn takes four validators through a churn, of which one is away in the middle, and then
// lets the exported state go on as a new network.
func TestChurn(t *testing.T) {
	n := network.New(t, network.Config{})
	n.RegisterSigners()
	churn := n.StartChurn()
	require.Len(t, churn.KeygenIds, 1)
	keygen := churn.KeygenIds[0]

	// Two members vote; the validator of the third goes away, and comes back after it has missed
	// the third vote.
	vault := network.NewVault("churn")
	ballot := n.Ballot(keygen)
	vote := func(i int) {
		member := n.Validators[i].Signer
		n.SendVote(member, ballot.Vote(vault, member, network.Seal(t, member, 64<<10)))
	}
	vote(0)
	n.SendVote(n.Validators[3].Signer, ballot.Check(vault, n.Validators[3].Signer))
	vote(1)
	n.Stop(3)
	vote(2)
	n.WaitBlocks(2)
	n.WaitChurn(types.ChurnStatus_CHURN_STATUS_OPEN)
	n.Start(3)
	n.WaitBlocks(2)
	vote(3)
	churn = n.WaitChurn(types.ChurnStatus_CHURN_STATUS_COMPLETE)

	coverage, err := n.Query().Coverage(context.Background(), &types.QueryCoverageRequest{Vault: vault.Name()})
	require.NoError(t, err)
	require.Len(t, coverage.Vaults, 1)
	require.EqualValues(t, 4, coverage.Vaults[0].Published)
	require.True(t, coverage.Vaults[0].Recoverable)

	// All agree on the state after every block of the churn and after it.
	n.WaitBlocks(2)
	for height := churn.OpenedHeight; height <= n.FirstRunning().Height()-2; height++ {
		want := n.AppHash(0, height)
		for i := range n.Validators {
			require.Equal(t, want, n.AppHash(i, height), "%s at height %d", n.Validators[i], height)
		}
	}

	before := answers(t, n, vault, keygen)
	n.StopAll()
	_, err = n.LastState(0).(*app.App).ExportAppStateAndValidators(true, nil)
	require.ErrorIs(t, err, app.ErrForZeroHeight)
	again := network.New(t, network.Config{GenesisDoc: n.ExportGenesis(n.ChainID)})
	require.Equal(t, before, answers(t, again, vault, keygen))

	// The new network's chain lives: it can churn.
	again.StartChurn()
}

// answers are what the module's queries say of everything that a churn leaves.
func answers(t *testing.T, n *network.Network, vault network.Vault, keygen uint64) map[string]string {
	t.Helper()
	ctx := context.Background()
	query := n.Query()
	answers := make(map[string]string)
	add := func(name string, res any, err error) {
		require.NoError(t, err, name)
		text, err := json.MarshalIndent(res, "", "  ")
		require.NoError(t, err, name)
		answers[name] = string(text)
	}
	params, err := query.Params(ctx, &types.QueryParamsRequest{})
	add("params", params, err)
	signers, err := query.Signers(ctx, &types.QuerySignersRequest{})
	add("signers", signers, err)
	churns, err := query.Churns(ctx, &types.QueryChurnsRequest{})
	add("churns", churns, err)
	keygenInfo, err := query.Keygen(ctx, &types.QueryKeygenRequest{Id: keygen})
	add("keygen", keygenInfo, err)
	vaults, err := query.Vaults(ctx, &types.QueryVaultsRequest{})
	add("vaults", vaults, err)
	coverage, err := query.Coverage(ctx, &types.QueryCoverageRequest{})
	add("coverage", coverage, err)
	for _, v := range n.Validators {
		backup, err := query.Backup(ctx, &types.QueryBackupRequest{Vault: vault.Name(), Member: v.Signer.Bech32()})
		add("backup of "+v.Moniker, backup, err)
	}
	return answers
}
