package tssbackup_test

import (
	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	stakingkeeper "github.com/cosmos/cosmos-sdk/x/staking/keeper"

	"github.com/tssbackup/tssbackup/x/tssbackup"
	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// An app that is wired by hand makes the keeper, the node's archive and the module. Depinject does
// it by itself.
func Example() {
	wire := func(
		app *baseapp.BaseApp, cdc codec.Codec, home, authority string,
		accounts types.AccountKeeper, staking *stakingkeeper.Keeper,
	) (tssbackup.AppModule, *archive.Node, error) {
		key := storetypes.NewKVStoreKey(types.StoreKey)
		app.MountStores(key)
		k, err := keeper.NewKeeper(cdc, runtime.NewKVStoreService(key),
			accounts, types.NewStakingKeeper(staking), authority)
		if err != nil {
			return tssbackup.AppModule{}, nil, err
		}
		envelopes, err := archive.Open(tssbackup.ArchiveDir(home))
		if err != nil {
			return tssbackup.AppModule{}, nil, err
		}
		node := archive.NewNode(app, k, envelopes)
		// After every module that runs messages at the end of a block, among the Precommiters, and
		// anywhere in the genesis: see docs/embedding.md, also for the ante chain.
		return tssbackup.NewAppModule(k, envelopes), node, node.RegisterSnapshotter()
	}
	_ = wire
}
