// Package manual is a chain that wires its modules by hand, as gaia, ZetaChain and THORNode do:
// with a prefix and a coin type of its own, its own validator set, fee market and ante chain, and
// x/upgrade. It embeds the tssbackup module from one version on: docs/embedding.md takes every line
// from here. What the embedding added is marked, and scripts/embedding-lines.sh counts it.
package manual

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"cosmossdk.io/core/appmodule"
	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/std"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
	"github.com/cosmos/cosmos-sdk/version"
	"github.com/cosmos/cosmos-sdk/x/auth"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/bank"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/consensus"
	consensuskeeper "github.com/cosmos/cosmos-sdk/x/consensus/keeper"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	"github.com/cosmos/cosmos-sdk/x/tx/signing"
	"github.com/cosmos/cosmos-sdk/x/upgrade"
	upgradekeeper "github.com/cosmos/cosmos-sdk/x/upgrade/keeper"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"
	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/x/tssbackup"
	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/blockgas"
	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	// Name is that of the application.
	Name = "manual"
	// Prefix begins the addresses of accounts.
	Prefix = "thor"
	// OperatorPrefix begins those of operators.
	OperatorPrefix = "thorv"
	// HDPath is where accounts are derived.
	HDPath = "m/44'/931'/0'/0/0"
	// UpgradeName is the plan by which a running chain embeds the module.
	UpgradeName = "vaults"
	// MaxBlockGas bounds a block from the upgrade on.
	MaxBlockGas = 100_000_000
)

// Line is one of the things that the embedding adds.
type Line string

// The lines that a version can forget, for the tests that show what that does.
const (
	StoreKey       Line = "the store key"
	Hooks          Line = "the hooks"
	Precommit      Line = "Precommit"
	Snapshotter    Line = "the snapshotter"
	UpgradeHandler Line = "the upgrade's handler"
	BlockGasMeter  Line = "the block gas meter"
	Proposals      Line = "the handler of proposals"
	FeeDecorator   Line = "the fee decorator"
	VoteDecorator  Line = "the vote decorator"
)

// Version is a version of the chain: the one before the module, or one that embeds it.
type Version struct {
	Embeds  bool
	Forgets Line
}

// has reports whether the version embeds the module, and this line of it is not forgotten.
func (v Version) has(line Line) bool { return v.Embeds && v.Forgets != line }

// App is the chain's application.
type App struct {
	*baseapp.BaseApp

	version  Version
	cdc      codec.Codec
	registry codectypes.InterfaceRegistry
	txConfig client.TxConfig
	manager  *module.Manager
	cfg      module.Configurator

	AccountKeeper   authkeeper.AccountKeeper
	BankKeeper      bankkeeper.Keeper
	ConsensusKeeper consensuskeeper.Keeper
	UpgradeKeeper   *upgradekeeper.Keeper
	Nodes           Nodes
	TssbackupKeeper *keeper.Keeper // embed
	archiveNode     *archive.Node  // embed

	treasury *treasury
}

// New builds a version of the app over db in its home, with the latest state. The admin is who may
// upgrade the chain.
func New(
	logger log.Logger,
	db dbm.DB,
	home string,
	admin sdk.AccAddress,
	runs Version,
	options ...func(*baseapp.BaseApp),
) (*App, error) {
	sdk.GetConfig().SetBech32PrefixForAccount(Prefix, Prefix+"pub")
	sdk.GetConfig().SetBech32PrefixForValidator(OperatorPrefix, OperatorPrefix+"pub")
	accounts := addresscodec.NewBech32Codec(Prefix)
	operators := addresscodec.NewBech32Codec(OperatorPrefix)
	registry, err := codectypes.NewInterfaceRegistryWithOptions(codectypes.InterfaceRegistryOptions{
		ProtoFiles:     proto.HybridResolver,
		SigningOptions: signing.Options{AddressCodec: accounts, ValidatorAddressCodec: operators},
	})
	if err != nil {
		return nil, err
	}
	std.RegisterInterfaces(registry)
	cdc := codec.NewProtoCodec(registry)
	txConfig := authtx.NewTxConfig(cdc, authtx.DefaultSignModes)
	app := &App{
		BaseApp:  baseapp.NewBaseApp(Name, logger, db, txConfig.TxDecoder(), options...),
		version:  runs,
		cdc:      cdc,
		registry: registry,
		txConfig: txConfig,
		treasury: new(treasury),
	}
	app.SetInterfaceRegistry(registry)
	app.SetVersion(version.Version)

	keys := storetypes.NewKVStoreKeys(authtypes.StoreKey, banktypes.StoreKey,
		consensustypes.StoreKey, upgradetypes.StoreKey, NodesName)
	authority, err := accounts.BytesToString(admin)
	if err != nil {
		return nil, err
	}
	app.AccountKeeper = authkeeper.NewAccountKeeper(cdc,
		runtime.NewKVStoreService(keys[authtypes.StoreKey]), authtypes.ProtoBaseAccount,
		map[string][]string{authtypes.FeeCollectorName: nil}, accounts, Prefix, authority)
	app.BankKeeper = bankkeeper.NewBaseKeeper(cdc,
		runtime.NewKVStoreService(keys[banktypes.StoreKey]), app.AccountKeeper, nil, authority,
		logger)
	app.ConsensusKeeper = consensuskeeper.NewKeeper(cdc,
		runtime.NewKVStoreService(keys[consensustypes.StoreKey]), authority, runtime.EventService{})
	app.SetParamStore(app.ConsensusKeeper.ParamsStore)
	app.UpgradeKeeper = upgradekeeper.NewKeeper(nil,
		runtime.NewKVStoreService(keys[upgradetypes.StoreKey]), cdc, home, app.BaseApp, authority)
	app.Nodes = newNodes(runtime.NewKVStoreService(keys[NodesName]), operators)

	modules := map[string]appmodule.AppModule{
		authtypes.ModuleName:      auth.NewAppModule(cdc, app.AccountKeeper, nil),
		banktypes.ModuleName:      bank.NewAppModule(cdc, app.BankKeeper, app.AccountKeeper),
		consensustypes.ModuleName: consensus.NewAppModule(cdc, app.ConsensusKeeper),
		upgradetypes.ModuleName:   upgrade.NewAppModule(app.UpgradeKeeper, accounts),
	}
	genesis := []string{
		authtypes.ModuleName, banktypes.ModuleName, consensustypes.ModuleName,
		upgradetypes.ModuleName, NodesName,
	}
	endBlock := []string{banktypes.ModuleName, NodesName}
	if runs.has(StoreKey) {
		keys[types.StoreKey] = storetypes.NewKVStoreKey(types.StoreKey) // embed
	}
	if runs.Embeds {
		// embed: begin
		app.TssbackupKeeper, err = keeper.NewKeeper(cdc,
			runtime.NewKVStoreService(keys[types.StoreKey]),
			app.AccountKeeper, app.Nodes, authority)
		if err != nil {
			return nil, err
		}
		envelopes, err := archive.Open(tssbackup.ArchiveDir(home))
		if err != nil {
			return nil, err
		}
		modules[types.ModuleName] = tssbackup.NewAppModule(app.TssbackupKeeper, envelopes)
		genesis = append(genesis, types.ModuleName)
		endBlock = append(endBlock, types.ModuleName)
		app.archiveNode = archive.NewNode(app.BaseApp, app.TssbackupKeeper, envelopes)
		// embed: end
	}
	if runs.has(Hooks) {
		app.TssbackupKeeper.SetHooks(app.treasury) // embed
	}
	modules[NodesName] = nodesModule{app.Nodes, app.TssbackupKeeper}
	app.manager = module.NewManagerFromMap(modules)
	module.NewBasicManagerFromManager(app.manager, nil).RegisterInterfaces(registry)
	app.manager.SetOrderInitGenesis(genesis...)
	app.manager.SetOrderMigrations(genesis...)
	app.manager.SetOrderPreBlockers(upgradetypes.ModuleName, authtypes.ModuleName)
	app.manager.SetOrderBeginBlockers()
	app.manager.SetOrderEndBlockers(endBlock...)
	app.cfg = module.NewConfigurator(cdc, app.MsgServiceRouter(), app.GRPCQueryRouter())
	if err := app.manager.RegisterServices(app.cfg); err != nil {
		return nil, err
	}
	if err := msgservice.ValidateProtoAnnotations(proto.HybridResolver); err != nil {
		return nil, err
	}

	app.MountKVStores(keys)
	app.SetInitChainer(app.initChain)
	app.SetPreBlocker(
		func(ctx sdk.Context, _ *abci.RequestFinalizeBlock) (*sdk.ResponsePreBlock, error) {
			return app.manager.PreBlock(ctx)
		})
	app.SetBeginBlocker(app.manager.BeginBlock)
	app.SetEndBlocker(app.manager.EndBlock)
	app.SetAnteHandler(app.anteHandler())
	if err := app.embed(); err != nil {
		return nil, err
	}
	if err := app.LoadLatestVersion(); err != nil {
		return nil, fmt.Errorf("load the state: %w", err)
	}
	return app, nil
}

// embed does what a version with the module does beside its modules, before it loads the state.
func (app *App) embed() error {
	v := app.version
	if v.has(Precommit) {
		// embed: begin
		app.SetPrecommiter(func(ctx sdk.Context) {
			if err := app.manager.Precommit(ctx); err != nil {
				panic(err)
			}
		})
		// embed: end
	}
	if v.has(Proposals) {
		// embed: begin
		process := baseapp.NewDefaultProposalHandler(app.Mempool(), app).ProcessProposalHandler()
		app.SetProcessProposal(blockgas.NewProcessProposal(app.TxDecode, process))
		// embed: end
	}
	if v.has(BlockGasMeter) {
		app.SetDisableBlockGasMeter(false) // embed
	}
	if v.has(Snapshotter) {
		// embed: begin
		if err := app.archiveNode.RegisterSnapshotter(); err != nil {
			return err
		}
		// embed: end
	}
	if v.has(UpgradeHandler) {
		app.UpgradeKeeper.SetUpgradeHandler(UpgradeName, app.addVaults) // embed
	}
	if v.Embeds {
		// embed: begin
		info, err := app.UpgradeKeeper.ReadUpgradeInfoFromDisk()
		if err != nil {
			return err
		}
		if info.Name == UpgradeName {
			added := &storetypes.StoreUpgrades{Added: []string{types.StoreKey}}
			app.SetStoreLoader(upgradetypes.UpgradeStoreLoader(info.Height, added))
		}
		// embed: end
	}
	return nil
}

// addVaults is the upgrade of a running chain: blocks are bounded before the module's messages can
// come, and the module begins with its default genesis.
func (app *App) addVaults(
	ctx context.Context,
	_ upgradetypes.Plan,
	from module.VersionMap,
) (module.VersionMap, error) {
	// embed: begin
	params, err := app.ConsensusKeeper.ParamsStore.Get(ctx)
	if err != nil {
		return nil, err
	}
	params.Block.MaxGas = MaxBlockGas
	if err := app.ConsensusKeeper.ParamsStore.Set(ctx, params); err != nil {
		return nil, err
	}
	return app.manager.RunMigrations(ctx, app.cfg, from)
	// embed: end
}

// ArchiveNode is the node's archive of envelopes, for the daemon.
func (app *App) ArchiveNode() *archive.Node { return app.archiveNode } // embed

// treasury is what the chain does with vaults. This one only knows which is the last active one.
type treasury struct {
	mu     sync.Mutex
	active []byte
}

// AfterVaultActive is where a chain begins to move money.
func (t *treasury) AfterVaultActive(_ context.Context, pubKey []byte, _ types.Vault) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.active = pubKey
	return nil
}

// AfterEpochActive is where a chain may take note of a vault's members: its keys are the same.
func (*treasury) AfterEpochActive(context.Context, []byte, types.Vault) error { return nil }

// AfterVaultRetired is where a chain stops to watch a vault.
func (*treasury) AfterVaultRetired(context.Context, []byte, types.Vault) error { return nil }

// AfterKeygenFailed is where a chain may slash.
func (*treasury) AfterKeygenFailed(
	context.Context, uint64, []types.HookMember, []types.HookMember,
) error {
	return nil
}

// AfterHeartbeatMissed is where a chain may jail.
func (*treasury) AfterHeartbeatMissed(context.Context, types.HookMember, uint64, uint64) error {
	return nil
}

// Active is the vault that became active last, nil if none has.
func (app *App) Active() []byte {
	app.treasury.mu.Lock()
	defer app.treasury.mu.Unlock()
	return app.treasury.active
}

// initChain writes the genesis, and which versions the modules have.
func (app *App) initChain(
	ctx sdk.Context,
	req *abci.RequestInitChain,
) (*abci.ResponseInitChain, error) {
	var state map[string]json.RawMessage
	if err := json.Unmarshal(req.AppStateBytes, &state); err != nil {
		return nil, err
	}
	if err := app.UpgradeKeeper.SetModuleVersionMap(ctx, app.manager.GetVersionMap()); err != nil {
		return nil, err
	}
	return app.manager.InitGenesis(ctx, app.cdc, state)
}

// DefaultGenesis is that of all modules.
func (app *App) DefaultGenesis() map[string]json.RawMessage {
	state := make(map[string]json.RawMessage)
	for name, m := range app.manager.Modules {
		if m, ok := m.(module.HasGenesisBasics); ok {
			state[name] = m.DefaultGenesis(app.cdc)
		}
	}
	return state
}

// AppCodec is the app's proto codec.
func (app *App) AppCodec() codec.Codec { return app.cdc }

// TxConfig encodes and decodes the chain's transactions.
func (app *App) TxConfig() client.TxConfig { return app.txConfig }

// At is the state after the block at height.
func (app *App) At(height int64) (sdk.Context, error) {
	return app.CreateQueryContext(height, false)
}
