// Package app is the smallest chain that embeds the tssbackup module: accounts, bank, staking,
// slashing, governance, upgrades and what these need. Governance is the module's authority.
//
// An existing chain needs less than this package: the module in its app config, its name among the
// end blockers and precommiters, the two decorators of package ante in its ante chain, and blocks
// that are held to their gas. New shows each of these in place.
package app

import (
	"fmt"
	"sync"

	"cosmossdk.io/depinject"
	"cosmossdk.io/log/v2"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	authante "github.com/cosmos/cosmos-sdk/x/auth/ante"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	slashingkeeper "github.com/cosmos/cosmos-sdk/x/slashing/keeper"
	stakingkeeper "github.com/cosmos/cosmos-sdk/x/staking/keeper"
	upgradekeeper "github.com/cosmos/cosmos-sdk/x/upgrade/keeper"

	"github.com/tssbackup/tssbackup/x/tssbackup/ante"
	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/blockgas"
	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
)

// App is the chain's application.
type App struct {
	*runtime.App

	cdc               codec.Codec
	txConfig          client.TxConfig
	interfaceRegistry codectypes.InterfaceRegistry

	// The keepers are for tests and for code that embeds the app.
	AccountKeeper   authkeeper.AccountKeeper
	BankKeeper      bankkeeper.Keeper
	StakingKeeper   *stakingkeeper.Keeper
	SlashingKeeper  slashingkeeper.Keeper
	UpgradeKeeper   *upgradekeeper.Keeper
	TssbackupKeeper *keeper.Keeper // embed
	// Archive is the node's store of envelopes. It is nil when the app has no home.
	Archive *archive.Archive // embed

	archiveNode *archive.Node // embed

	closeOnce sync.Once
	closeErr  error
}

var _ servertypes.Application = (*App)(nil)

// New builds the app over db. With loadLatest it loads the latest state; without, the caller loads
// the height it wants with LoadHeight before using the app.
func New(
	logger log.Logger,
	db dbm.DB,
	loadLatest bool,
	appOpts servertypes.AppOptions,
	baseAppOptions ...func(*baseapp.BaseApp),
) (*App, error) {
	var (
		app     App
		builder *runtime.AppBuilder
	)
	err := depinject.Inject(
		depinject.Configs(Config(), depinject.Supply(logger, appOpts)),
		&builder,
		&app.cdc,
		&app.txConfig,
		&app.interfaceRegistry,
		&app.AccountKeeper,
		&app.BankKeeper,
		&app.StakingKeeper,
		&app.SlashingKeeper,
		&app.UpgradeKeeper,
		&app.TssbackupKeeper, // embed
		&app.Archive,         // embed
	)
	if err != nil {
		return nil, fmt.Errorf("wire the app: %w", err)
	}
	app.App = builder.Build(db, baseAppOptions...)
	app.TssbackupKeeper.SetHooks(jailer{staking: app.StakingKeeper, slashing: app.SlashingKeeper})

	// embed: begin
	anteHandler, err := ante.NewAnteHandler(ante.HandlerOptions{
		HandlerOptions: authante.HandlerOptions{
			AccountKeeper:   app.AccountKeeper,
			BankKeeper:      app.BankKeeper,
			SignModeHandler: app.txConfig.SignModeHandler(),
			SigGasConsumer:  authante.DefaultSigVerificationGasConsumer,
		},
		Keeper: app.TssbackupKeeper,
	})
	if err != nil {
		return nil, fmt.Errorf("build the ante chain: %w", err)
	}
	app.SetAnteHandler(anteHandler)

	// Every block is held to block.max_gas: validators vote against a proposal above it, and should
	// one be decided all the same, the block gas meter ends its execution.
	proposals := baseapp.NewDefaultProposalHandler(app.Mempool(), app.BaseApp)
	app.SetProcessProposal(
		blockgas.NewProcessProposal(app.TxDecode, proposals.ProcessProposalHandler()),
	)
	app.SetDisableBlockGasMeter(false)

	app.archiveNode = archive.NewNode(app.BaseApp, app.TssbackupKeeper, app.Archive)
	if err := app.archiveNode.RegisterSnapshotter(); err != nil {
		return nil, err
	}
	// embed: end

	if err := app.Load(loadLatest); err != nil {
		return nil, fmt.Errorf("load the state: %w", err)
	}
	return &app, nil
}

// ArchiveNode is the node's archive of envelopes beside the state that says what it is to hold.
func (app *App) ArchiveNode() *archive.Node { return app.archiveNode } // embed

// AppCodec is the app's proto codec.
func (app *App) AppCodec() codec.Codec { return app.cdc }

// TxConfig encodes, decodes and builds the chain's transactions.
func (app *App) TxConfig() client.TxConfig { return app.txConfig }

// InterfaceRegistry knows every message and key type of the chain.
func (app *App) InterfaceRegistry() codectypes.InterfaceRegistry { return app.interfaceRegistry }

// Close releases the app's databases. Only the first call does, because a node that stops calls it
// more than once.
func (app *App) Close() error {
	app.closeOnce.Do(func() { app.closeErr = app.App.Close() })
	return app.closeErr
}
