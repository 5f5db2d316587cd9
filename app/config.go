package app

import (
	runtimev1alpha1 "cosmossdk.io/api/cosmos/app/runtime/v1alpha1"
	appv1alpha1 "cosmossdk.io/api/cosmos/app/v1alpha1"
	authmodulev1 "cosmossdk.io/api/cosmos/auth/module/v1"
	bankmodulev1 "cosmossdk.io/api/cosmos/bank/module/v1"
	consensusmodulev1 "cosmossdk.io/api/cosmos/consensus/module/v1"
	distrmodulev1 "cosmossdk.io/api/cosmos/distribution/module/v1"
	genutilmodulev1 "cosmossdk.io/api/cosmos/genutil/module/v1"
	govmodulev1 "cosmossdk.io/api/cosmos/gov/module/v1"
	slashingmodulev1 "cosmossdk.io/api/cosmos/slashing/module/v1"
	stakingmodulev1 "cosmossdk.io/api/cosmos/staking/module/v1"
	txconfigv1 "cosmossdk.io/api/cosmos/tx/config/v1"
	upgrademodulev1 "cosmossdk.io/api/cosmos/upgrade/module/v1"
	"cosmossdk.io/core/appconfig"
	"cosmossdk.io/depinject"
	"github.com/cosmos/cosmos-sdk/types/module"
	// Each of these registers its module's wiring with depinject.
	_ "github.com/cosmos/cosmos-sdk/x/auth"
	_ "github.com/cosmos/cosmos-sdk/x/auth/tx/config"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	_ "github.com/cosmos/cosmos-sdk/x/bank"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	_ "github.com/cosmos/cosmos-sdk/x/consensus"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	_ "github.com/cosmos/cosmos-sdk/x/distribution"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	"github.com/cosmos/cosmos-sdk/x/genutil"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	_ "github.com/cosmos/cosmos-sdk/x/gov"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	_ "github.com/cosmos/cosmos-sdk/x/staking"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	_ "github.com/cosmos/cosmos-sdk/x/upgrade"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	_ "github.com/tssbackup/tssbackup/x/tssbackup" // embed
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
	tssbackupmodulev1 "github.com/tssbackup/tssbackup/x/tssbackup/types/module"
)

// Name is the name of the chain's application and of its node daemon.
const Name = "tssbackupd"

// Bech32Prefix is the human-readable part of the chain's account addresses.
const Bech32Prefix = "cosmos"

// Config is what depinject builds the app from. The order of the modules in each list is the order
// in which they run.
func Config() depinject.Config {
	return depinject.Configs(
		appconfig.Compose(&appv1alpha1.Config{Modules: moduleConfigs()}),
		// The genutil module as the genesis commands want it: with the check of the transactions
		// that they collect. The slashing module with a window of its own.
		depinject.Supply(map[string]module.AppModuleBasic{
			genutiltypes.ModuleName: genutil.NewAppModuleBasic(
				genutiltypes.DefaultMessageValidator,
			),
			slashingtypes.ModuleName: slashingBasic{},
		}),
	)
}

func moduleConfigs() []*appv1alpha1.ModuleConfig {
	return []*appv1alpha1.ModuleConfig{
		{
			Name: "runtime",
			Config: appconfig.WrapAny(&runtimev1alpha1.Module{
				AppName: Name,
				// The upgrade runs before all else that is in its block.
				PreBlockers: []string{upgradetypes.ModuleName, authtypes.ModuleName},
				BeginBlockers: []string{
					distrtypes.ModuleName,
					slashingtypes.ModuleName,
					stakingtypes.ModuleName,
				},
				EndBlockers: []string{
					banktypes.ModuleName,
					govtypes.ModuleName,
					stakingtypes.ModuleName,
					// After staking, so that a churn that opens in this block sees the validator
					// set that the block leaves.
					types.ModuleName, // embed
				},
				Precommiters: []string{types.ModuleName}, // embed
				// genutil delivers genesis transactions, so the modules whose messages they hold
				// come before it.
				InitGenesis: []string{
					authtypes.ModuleName,
					banktypes.ModuleName,
					distrtypes.ModuleName,
					stakingtypes.ModuleName,
					slashingtypes.ModuleName,
					govtypes.ModuleName,
					consensustypes.ModuleName,
					upgradetypes.ModuleName,
					types.ModuleName, // embed
					genutiltypes.ModuleName,
				},
			}),
		},
		{
			Name: authtypes.ModuleName,
			Config: appconfig.WrapAny(&authmodulev1.Module{
				Bech32Prefix: Bech32Prefix,
				ModuleAccountPermissions: []*authmodulev1.ModuleAccountPermission{
					{Account: authtypes.FeeCollectorName},
					{Account: distrtypes.ModuleName},
					{
						Account:     stakingtypes.BondedPoolName,
						Permissions: []string{authtypes.Burner, stakingtypes.ModuleName},
					},
					{
						Account:     stakingtypes.NotBondedPoolName,
						Permissions: []string{authtypes.Burner, stakingtypes.ModuleName},
					},
					{
						Account:     stakingtypes.KeyRotationFeePoolName,
						Permissions: []string{authtypes.Burner},
					},
					{Account: govtypes.ModuleName, Permissions: []string{authtypes.Burner}},
				},
			}),
		},
		{Name: banktypes.ModuleName, Config: appconfig.WrapAny(&bankmodulev1.Module{})},
		{Name: stakingtypes.ModuleName, Config: appconfig.WrapAny(&stakingmodulev1.Module{})},
		{Name: slashingtypes.ModuleName, Config: appconfig.WrapAny(&slashingmodulev1.Module{})},
		// gov pays into the community pool, which is distribution's.
		{Name: distrtypes.ModuleName, Config: appconfig.WrapAny(&distrmodulev1.Module{})},
		{Name: govtypes.ModuleName, Config: appconfig.WrapAny(&govmodulev1.Module{})},
		{Name: consensustypes.ModuleName, Config: appconfig.WrapAny(&consensusmodulev1.Module{})},
		{Name: upgradetypes.ModuleName, Config: appconfig.WrapAny(&upgrademodulev1.Module{})},
		{Name: genutiltypes.ModuleName, Config: appconfig.WrapAny(&genutilmodulev1.Module{})},
		// The ante chain is built in app.go: it exempts votes from fees.
		{Name: "tx", Config: appconfig.WrapAny(&txconfigv1.Config{SkipAnteHandler: true})}, // embed
		{Name: types.ModuleName, Config: appconfig.WrapAny(&tssbackupmodulev1.Module{})},   // embed
	}
}
