package tssbackup

import (
	"testing"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestAnUpgradeFromEachVersion runs the migrations of an app whose state has a former version of
// the module, and of one that has none of it.
func TestAnUpgradeFromEachVersion(t *testing.T) {
	registry := codectypes.NewInterfaceRegistry()
	types.RegisterInterfaces(registry)
	cdc := codec.NewProtoCodec(registry)
	key := storetypes.NewKVStoreKey(types.StoreKey)
	k, err := keeper.NewKeeper(cdc, runtime.NewKVStoreService(key), accounts{}, nil, sdk.AccAddress("authority").String())
	require.NoError(t, err)
	manager := module.NewManager(NewAppModule(k, nil))
	messages, queries := baseapp.NewMsgServiceRouter(), baseapp.NewGRPCQueryRouter()
	messages.SetInterfaceRegistry(registry)
	queries.SetInterfaceRegistry(registry)
	cfg := module.NewConfigurator(cdc, messages, queries)
	require.NoError(t, manager.RegisterServices(cfg))
	state := func(ctx sdk.Context) map[string]string {
		values := map[string]string{}
		iter := ctx.KVStore(key).Iterator(nil, nil)
		defer iter.Close()
		for ; iter.Valid(); iter.Next() {
			values[string(iter.Key())] = string(iter.Value())
		}
		return values
	}
	newContext := func() sdk.Context {
		return testutil.DefaultContextWithKeys(map[string]*storetypes.KVStoreKey{types.StoreKey: key}, nil, nil)
	}

	ctx := newContext()
	versions, err := manager.RunMigrations(ctx, cfg, module.VersionMap{})
	require.NoError(t, err)
	require.Equal(t, module.VersionMap{types.ModuleName: consensusVersion}, versions)
	params, err := k.Params.Get(ctx)
	require.NoError(t, err)
	require.Equal(t, types.DefaultParams(), params, "a new module begins with its default genesis")

	for version := uint64(1); version <= consensusVersion; version++ {
		ctx := newContext()
		// What version 1 wrote of a churn has no field for whether its members were named, and what
		// version 2 wrote none for whether keygens are split.
		params := types.DefaultParams()
		params.RetryInterval++
		params.SplitBackups = false
		require.NoError(t, k.InitGenesis(ctx, types.GenesisState{Params: params}))
		require.NoError(t, k.Churns.Set(ctx, 1, types.Churn{Id: 1, Status: types.ChurnStatus_CHURN_STATUS_COMPLETE}))
		before := state(ctx)
		versions, err := manager.RunMigrations(ctx, cfg, module.VersionMap{types.ModuleName: version})
		require.NoError(t, err, "from version %d", version)
		require.Equal(t, module.VersionMap{types.ModuleName: consensusVersion}, versions)
		require.Equal(t, before, state(ctx), "these migrations change nothing")
	}
	_, err = manager.RunMigrations(newContext(), cfg, module.VersionMap{types.ModuleName: 0})
	require.Error(t, err, "there was no version 0")
}
