package tssbackup

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"cosmossdk.io/core/appmodule"
	"cosmossdk.io/core/store"
	"cosmossdk.io/depinject"
	"cosmossdk.io/depinject/appconfig"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/codec"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
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
	// Validators is the chain's own validator set, and XStaking the keeper of x/staking. There is
	// one of them; where there are both, the chain's own counts.
	Validators types.StakingKeeper `optional:"true"`
	XStaking   types.XStaking      `optional:"true"`
	// AppOpts say where the node's home is. Without a home, as in a command that only needs the
	// codecs, there is no archive.
	AppOpts servertypes.AppOptions `optional:"true"`
}

// ModuleOutputs are what the module gives to the app.
type ModuleOutputs struct {
	depinject.Out

	Keeper *keeper.Keeper
	// Archive is nil where there is no home.
	Archive *archive.Archive
	Module  appmodule.AppModule
}

// ArchiveDir is the folder of the archive of a node with this home.
func ArchiveDir(home string) string {
	return filepath.Join(home, "data", "tssbackup-archive")
}

// ProvideModule builds the module.
func ProvideModule(in ModuleInputs) (ModuleOutputs, error) {
	authority, err := authorityOf(in.Config.Authority, in.AccountKeeper)
	if err != nil {
		return ModuleOutputs{}, err
	}
	validators := in.Validators
	switch {
	case validators != nil:
	case in.XStaking != nil:
		validators = types.NewStakingKeeper(in.XStaking)
	default:
		return ModuleOutputs{}, errors.New("module tssbackup does not know who the validators are: " +
			"the app has neither x/staking nor a types.StakingKeeper of its own")
	}
	k, err := keeper.NewKeeper(
		in.Cdc,
		in.StoreService,
		in.AccountKeeper,
		validators,
		authority,
	)
	if err != nil {
		return ModuleOutputs{}, err
	}
	a, err := openArchive(in.AppOpts)
	if err != nil {
		return ModuleOutputs{}, fmt.Errorf("open the archive of envelopes: %w", err)
	}
	return ModuleOutputs{Keeper: k, Archive: a, Module: NewAppModule(k, a)}, nil
}

func openArchive(opts servertypes.AppOptions) (*archive.Archive, error) {
	if opts == nil {
		return nil, nil
	}
	home, ok := opts.Get(flags.FlagHome).(string)
	if !ok || home == "" {
		return nil, nil
	}
	return archive.Open(ArchiveDir(home))
}

// authorityOf is the bech32 address that a module name or an address stands for; the gov module's
// when it is empty.
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

// HookInputs are the hooks of an app. It has those that modules provide or those that it supplies:
// depinject refuses both at once.
type HookInputs struct {
	depinject.In

	Keeper *keeper.Keeper
	// Supplied comes first: once depinject has made the map, it has forgotten what was supplied.
	Supplied types.SuppliedHooks `optional:"true"`
	Provided map[string]types.TssbackupHooksWrapper
}

// InvokeSetHooks gives the keeper the hooks that the app supplies, or those that modules provide,
// in the order of the modules' names.
func InvokeSetHooks(in HookInputs) {
	var list []types.TssbackupHooks
	if in.Supplied != nil {
		list = append(list, in.Supplied)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Provided)) {
		list = append(list, in.Provided[name])
	}
	if len(list) > 0 {
		in.Keeper.SetHooks(list...)
	}
}
