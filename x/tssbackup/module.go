// Package tssbackup is the module that has every validator of a chain back up its
// threshold-signature keyshares through consensus: it opens keygens, counts their members' votes
// and envelopes, and lets a vault become active only when enough envelopes are published to recover
// it and enough members have proven that their shares can be opened.
//
// An app embeds it with the depinject config of types/module, or by hand with NewAppModule, lists
// it among its EndBlockers and Precommiters, and puts the two decorators of package ante into its
// ante chain, so that votes cost no fee and nothing else is free. docs/embedding.md has every line.
//
// The state machine is package keeper, its messages and the layout of its store are package types.
// The envelopes themselves are no state: the node keeps them in package archive, which Precommit
// writes.
package tssbackup

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"cosmossdk.io/core/appmodule"
	"github.com/cometbft/cometbft/libs/fail"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	gwruntime "github.com/grpc-ecosystem/grpc-gateway/runtime"

	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

var (
	_ module.AppModuleBasic = AppModule{}
	_ module.HasGenesis     = AppModule{}
	_ module.HasServices    = AppModule{}

	_ appmodule.AppModule     = AppModule{}
	_ appmodule.HasEndBlocker = AppModule{}
	_ appmodule.HasPrecommit  = AppModule{}
)

// consensusVersion changes when the state does, or what is in it means something else. Every
// version has a migration from the one before.
//
//   - 1: what there was before the first release.
//   - 2: a churn may have named members. What version 1 wrote means the same.
//   - 3: keygens and vaults may be split. What version 2 wrote means the same.
//   - 4: signers have terms, heartbeats are due, and the chain may pause. What version 3 wrote
//     means the same: nobody has claimed a term, and no heartbeat is due.
const consensusVersion = 4

// AppModule is the tssbackup module of an app.
type AppModule struct {
	keeper  *keeper.Keeper
	archive *archive.Archive
	// noArchive says once that there is no archive.
	noArchive *sync.Once
}

// NewAppModule returns the module around its keeper and the node's archive of envelopes. archive is
// nil where no blocks are executed, as in a command that only needs the codecs. A node that
// executes blocks without one says so in its log.
func NewAppModule(k *keeper.Keeper, archive *archive.Archive) AppModule {
	return AppModule{keeper: k, archive: archive, noArchive: new(sync.Once)}
}

// IsAppModule implements appmodule.AppModule.
func (AppModule) IsAppModule() {}

// IsOnePerModuleType implements depinject.OnePerModuleType.
func (AppModule) IsOnePerModuleType() {}

// Name is the module's name.
func (AppModule) Name() string { return types.ModuleName }

// ConsensusVersion is the version of the module's state.
func (AppModule) ConsensusVersion() uint64 { return consensusVersion }

// RegisterLegacyAminoCodec registers the messages for amino JSON signing.
func (AppModule) RegisterLegacyAminoCodec(cdc *codec.LegacyAmino) {
	types.RegisterLegacyAminoCodec(cdc)
}

// RegisterInterfaces registers the messages.
func (AppModule) RegisterInterfaces(registry codectypes.InterfaceRegistry) {
	types.RegisterInterfaces(registry)
}

// RegisterGRPCGatewayRoutes registers the REST routes of the queries.
func (AppModule) RegisterGRPCGatewayRoutes(clientCtx client.Context, mux *gwruntime.ServeMux) {
	if err := types.RegisterQueryHandlerClient(
		context.Background(),
		mux,
		types.NewQueryClient(clientCtx),
	); err != nil {
		panic(err)
	}
}

// RegisterServices registers the servers of messages and queries, and the migrations.
func (am AppModule) RegisterServices(cfg module.Configurator) {
	types.RegisterMsgServer(cfg.MsgServer(), keeper.NewMsgServer(am.keeper))
	var envelopes keeper.Envelopes
	if am.archive != nil {
		envelopes = am.archive
	}
	types.RegisterQueryServer(cfg.QueryServer(), keeper.NewQueryServer(am.keeper, envelopes))
	for i, migrate := range []module.MigrationHandler{migrate1to2, migrate2to3, migrate3to4} {
		err := cfg.RegisterMigration(types.ModuleName, uint64(i)+1, migrate)
		if err != nil {
			panic(err) // it is registered twice
		}
	}
}

// migrate1to2 changes nothing: the churns of version 1 are those of which no members were named.
func migrate1to2(sdk.Context) error { return nil }

// migrate2to3 changes nothing: the keygens and vaults of version 2 are not split, and neither are
// those that follow until the parameters say so.
func migrate2to3(sdk.Context) error { return nil }

// migrate3to4 changes nothing: a signer that has not claimed is in term 0, of which are the
// messages of version 3, and no heartbeat is due and no pause allowed until the parameters say so.
func migrate3to4(sdk.Context) error { return nil }

// DefaultGenesis is the state of a new chain.
func (AppModule) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return cdc.MustMarshalJSON(types.DefaultGenesis())
}

// ValidateGenesis checks a state before a chain starts with it.
func (AppModule) ValidateGenesis(
	cdc codec.JSONCodec,
	_ client.TxEncodingConfig,
	bz json.RawMessage,
) error {
	var gs types.GenesisState
	if err := cdc.UnmarshalJSON(bz, &gs); err != nil {
		return fmt.Errorf("%s genesis state: %w", types.ModuleName, err)
	}
	return gs.Validate()
}

// InitGenesis writes the state with which a chain starts.
func (am AppModule) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, bz json.RawMessage) {
	var gs types.GenesisState
	cdc.MustUnmarshalJSON(bz, &gs)
	if err := am.keeper.InitGenesis(ctx, gs); err != nil {
		panic(err)
	}
}

// ExportGenesis returns the state as it is now.
func (am AppModule) ExportGenesis(ctx sdk.Context, cdc codec.JSONCodec) json.RawMessage {
	gs, err := am.keeper.ExportGenesis(ctx)
	if err != nil {
		panic(err)
	}
	return cdc.MustMarshalJSON(gs)
}

// EndBlock closes and opens churns, and takes the block's envelopes out of the state for Precommit.
func (am AppModule) EndBlock(ctx context.Context) error {
	envelopes, err := am.keeper.EndBlocker(ctx)
	if err != nil {
		return err
	}
	if am.archive == nil {
		am.noArchive.Do(func() {
			sdk.UnwrapSDKContext(ctx).Logger().Warn(
				"this node keeps no archive of envelopes and cannot serve any: " +
					"the app options given to depinject name no home",
			)
		})
		return nil
	}
	return am.archive.EndBlock(ctx, envelopes)
}

// Precommit puts the block's envelopes into the node's archive before the application commits the
// block. It panics when it cannot, because a Precommiter has no other way to stop the node: the
// block is replayed when it starts again.
func (am AppModule) Precommit(ctx context.Context) error {
	if am.archive == nil {
		return nil
	}
	if err := am.archive.Precommit(ctx, am.keeper); err != nil {
		panic(
			fmt.Errorf(
				"keep the envelopes of block %d: %w",
				sdk.UnwrapSDKContext(ctx).BlockHeight(),
				err,
			),
		)
	}
	fail.Fail() // between archive and commit
	return nil
}
