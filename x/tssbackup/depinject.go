package tssbackup

import (
	"maps"
	"slices"

	"cosmossdk.io/core/appmodule"
	"cosmossdk.io/core/store"
	"cosmossdk.io/depinject"
	"cosmossdk.io/depinject/appconfig"
	"github.com/cosmos/cosmos-sdk/codec"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
	modulev1 "github.com/tssbackup/tssbackup/x/tssbackup/types/module"
)

func init() {
	appconfig.RegisterModule(&modulev1.Module{},
		appconfig.Provide(ProvideModule),
		appconfig.Invoke(InvokeSetHooks),
	)
}

// ModuleInputs are what the module takes from the app.
type ModuleInputs struct {
	depinject.In

	Config        *modulev1.Module
	Cdc           codec.Codec
	StoreService  store.KVStoreService
	AccountKeeper types.AccountKeeper
	StakingKeeper types.StakingKeeper
}

// ModuleOutputs are what the module gives to the app.
type ModuleOutputs struct {
	depinject.Out

	Keeper *keeper.Keeper
	Module appmodule.AppModule
}

// ProvideModule builds the module.
func ProvideModule(in ModuleInputs) (ModuleOutputs, error) {
	authority, err := authorityOf(in.Config.Authority, in.AccountKeeper)
	if err != nil {
		return ModuleOutputs{}, err
	}
	k, err := keeper.NewKeeper(in.Cdc, in.StoreService, in.AccountKeeper, in.StakingKeeper, authority)
	if err != nil {
		return ModuleOutputs{}, err
	}
	return ModuleOutputs{Keeper: k, Module: NewAppModule(k)}, nil
}

// authorityOf is the bech32 address that a module name or an address stands for;
// the gov module's when it is empty.
func authorityOf(config string, accounts types.AccountKeeper) (string, error) {
	codec := accounts.AddressCodec()
	if config == "" {
		config = govtypes.ModuleName
	}
	if _, err := codec.StringToBytes(config); err == nil {
		return config, nil
	}
	return codec.BytesToString(authtypes.NewModuleAddress(config))
}

// InvokeSetHooks gives the keeper the hooks that modules provide, in the order
// of the modules' names.
func InvokeSetHooks(k *keeper.Keeper, hooks map[string]types.TssbackupHooksWrapper) {
	if k == nil || len(hooks) == 0 {
		return
	}
	var list []types.TssbackupHooks
	for _, name := range slices.Sorted(maps.Keys(hooks)) {
		list = append(list, hooks[name])
	}
	k.SetHooks(list...)
}
