package keeper_test

import (
	"fmt"
	"testing"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// failChurn opens a churn in which nobody votes, and ends its blocks.
func (c *chain) failChurn() {
	c.t.Helper()
	c.startChurn()
	c.endBlocks(int(testParams().KeygenDeadline) + 1)
}

// reads is the gas that a question takes, which tells how much of the store it reads.
func (c *chain) reads(ask func() error) uint64 {
	c.t.Helper()
	before := c.ctx
	defer func() { c.ctx = before }()
	c.ctx = c.ctx.WithGasMeter(storetypes.NewInfiniteGasMeter())
	require.NoError(c.t, ask())
	return c.ctx.GasMeter().GasConsumed()
}

// TestHistoryIsNotRead asks what is asked again and again of a chain with little history and with
// much.
func TestHistoryIsNotRead(t *testing.T) {
	params := testParams()
	params.PenaltyBlocks, params.KeygenRetention = 0, 0
	c, vals := startChain(t, params, 3)
	questions := map[string]func() error{
		"the open keygens": func() error {
			_, err := c.query.Keygens(c.ctx, &types.QueryKeygensRequest{Status: open})
			return err
		},
		"the vaults of a member": func() error {
			_, err := c.query.Vaults(c.ctx, &types.QueryVaultsRequest{Member: vals[0].account()})
			return err
		},
		"all vaults": func() error {
			_, err := c.query.Vaults(c.ctx, &types.QueryVaultsRequest{})
			return err
		},
		"one page of a member's history": func() error {
			_, err := c.query.History(c.ctx, &types.QueryHistoryRequest{
				Member: vals[0].account(), Pagination: &query.PageRequest{Limit: 1, Reverse: true},
			})
			return err
		},
		"what was retired lately": func() error {
			_, err := c.k.KeptRetired(c.ctx, c.ctx.BlockHeight()-2)
			return err
		},
	}
	for i := range 2 {
		c.complete(c.startChurn()[0], newVault(fmt.Sprint("first ", i)))
	}
	before := map[string]uint64{}
	grow := func(rounds int) {
		for i := range rounds {
			former := c.live()[0]
			c.failChurn()
			c.complete(c.startChurn()[0], newVault(fmt.Sprint(rounds, " and ", i)))
			c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: former})
			c.endBlock()
		}
	}
	grow(1)
	for name, ask := range questions {
		before[name] = c.reads(ask)
	}
	grow(20)
	for name, ask := range questions {
		require.InDelta(t, before[name], c.reads(ask), 300, name)
	}
}

// live are the names of the vaults that are not retired, the oldest first.
func (c *chain) live() []string {
	c.t.Helper()
	res, err := c.query.Vaults(c.ctx, &types.QueryVaultsRequest{Status: types.VaultStatus_VAULT_STATUS_RETIRING})
	require.NoError(c.t, err)
	active, err := c.query.Vaults(c.ctx, &types.QueryVaultsRequest{Status: types.VaultStatus_VAULT_STATUS_ACTIVE})
	require.NoError(c.t, err)
	var names []string
	for _, v := range append(res.Vaults, active.Vaults...) {
		names = append(names, v.Vault)
	}
	return names
}

func TestHistory(t *testing.T) {
	c, vals := startChain(t, testParams(), 4)
	var names []string
	for i := range 3 {
		vault := newVault(fmt.Sprint(i))
		names = append(names, vault.name())
		// The last validator is in the first and the last vault.
		vals[3].bonded = i != 1
		c.complete(c.startChurn()[0], vault)
	}
	c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: names[0]})
	again := envelope("again", 100)
	c.mustRun(&types.MsgPublishBackup{Signer: vals[3].account(), Vault: names[2], KeysharesBackup: again})

	ask := func(page *query.PageRequest) *types.QueryHistoryResponse {
		res, err := c.query.History(c.ctx, &types.QueryHistoryRequest{Member: vals[3].account(), Pagination: page})
		require.NoError(t, err)
		return res
	}
	all := ask(nil).History
	require.Len(t, all, 2)
	require.Equal(t, names[0], all[0].Vault)
	require.EqualValues(t, 1, all[0].Epoch)
	require.Equal(t, types.VaultStatus_VAULT_STATUS_RETIRED, all[0].Status)
	require.Positive(t, all[0].RetiredHeight)
	require.Len(t, all[0].Commitments, 1)
	require.True(t, all[0].Asked)
	require.Equal(t, names[2], all[1].Vault)
	require.Equal(t, commitment(again), all[1].Commitments[0].Sha256)
	require.Len(t, all[1].Commitments, 2)

	newest := ask(&query.PageRequest{Limit: 1, Reverse: true})
	require.Equal(t, all[1:], newest.History)
	oldest := ask(&query.PageRequest{Limit: 1, Reverse: true, Key: newest.Pagination.NextKey})
	require.Equal(t, all[:1], oldest.History)
	require.Empty(t, oldest.Pagination.NextKey)

	res, err := c.query.History(c.ctx, &types.QueryHistoryRequest{Member: bech(newValidator(99).addr())})
	require.NoError(t, err)
	require.Empty(t, res.History)
	_, err = c.query.History(c.ctx, &types.QueryHistoryRequest{Member: "x"})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

func TestFailedChurnsAreDeleted(t *testing.T) {
	params := testParams()
	params.PenaltyBlocks, params.RetryInterval, params.KeygenRetention = 0, 0, 30
	c, vals := startChain(t, params, 3)
	vault := newVault("v")
	c.complete(c.startChurn()[0], vault)
	keygen := c.keygen(c.startChurn()[0])
	c.untilBlame(keygen)
	c.mustRun(blame(keygen.Id, vals[0].account(), vals[1].account()))
	c.untilClosed(keygen.Id)
	require.True(t, c.emitted("EventKeygenFailed"))
	for range params.KeygenRetention - 1 {
		c.endBlock()
	}
	require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_FAILED, c.keygen(keygen.Id).Status)
	require.Len(t, c.export().Votes, 1)

	c.endBlock()
	require.True(t, c.emitted("EventChurnDeleted"))
	gs := c.export()
	require.Empty(t, gs.Votes)
	require.Empty(t, gs.ChurnExpiries)
	require.Len(t, gs.Churns, 1)
	require.Len(t, gs.Keygens, 1, "the keygen of a vault stays")
	require.NoError(t, gs.Validate())
	require.Equal(t, c.dump(), exportInto(t, c).dump())
	_, err := c.query.Keygen(c.ctx, &types.QueryKeygenRequest{Id: keygen.Id})
	require.Equal(t, codes.NotFound, status.Code(err))
	require.ErrorIs(t, c.run(blame(keygen.Id, vals[2].account(), vals[1].account())), types.ErrKeygenNotFound)
	require.Equal(t, keygen.Id+1, c.startChurn()[0], "no number is given out twice")
	c.endBlocks(int(10 * params.KeygenRetention))
	require.Equal(t, vault.name(), c.live()[0])
}

func TestFailedChurnsThatStay(t *testing.T) {
	params := testParams()
	params.PenaltyBlocks, params.RetryInterval, params.KeygenRetention = 0, 0, 0
	c, _ := startChain(t, params, 3)
	c.failChurn()
	c.endBlocks(1000)
	require.Len(t, c.export().Churns, 1, "for ever")
	require.Empty(t, c.export().ChurnExpiries)
}

// TestOneChurnIsDeletedABlock has several be due at once: after the parameter was lowered, say.
func TestOneChurnIsDeletedABlock(t *testing.T) {
	params := testParams()
	params.PenaltyBlocks, params.RetryInterval = 0, 0
	c, _ := startChain(t, params, 3)
	for range 3 {
		c.failChurn()
	}
	gs := c.export()
	require.Len(t, gs.ChurnExpiries, 3)
	for i := range gs.ChurnExpiries {
		gs.ChurnExpiries[i].Height = c.ctx.BlockHeight() + 5
	}
	next := newChain(t, c.staking)
	next.ctx = next.ctx.WithBlockHeight(c.ctx.BlockHeight())
	require.NoError(t, next.k.InitGenesis(next.ctx, *gs))
	for left := 3; left > 0; left-- {
		for next.ctx.BlockHeight() < gs.ChurnExpiries[0].Height {
			next.endBlock()
		}
		require.Len(t, next.export().Churns, left)
		next.endBlock()
	}
	require.Empty(t, next.export().Churns)
}
