package main

import (
	"context"
	"fmt"
	"os"

	"cosmossdk.io/client/v2/autocli"
	"cosmossdk.io/core/address"
	"cosmossdk.io/core/appmodule"
	"cosmossdk.io/depinject"
	"cosmossdk.io/log/v2"
	cmtcfg "github.com/cometbft/cometbft/config"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/config"
	"github.com/cosmos/cosmos-sdk/client/debug"
	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	nodeservice "github.com/cosmos/cosmos-sdk/client/grpc/node"
	"github.com/cosmos/cosmos-sdk/client/keys"
	"github.com/cosmos/cosmos-sdk/client/pruning"
	"github.com/cosmos/cosmos-sdk/client/rpc"
	"github.com/cosmos/cosmos-sdk/client/snapshot"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/server"
	serverconfig "github.com/cosmos/cosmos-sdk/server/config"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	authcli "github.com/cosmos/cosmos-sdk/x/auth/client/cli"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/archivecmd"
)

// minGasPrices is what a new node asks for transactions that are not exempt.
const minGasPrices = "0.001stake"

// newRootCmd builds the whole command line. home is the default of --home.
func newRootCmd(home string) (*cobra.Command, error) {
	var (
		cdc            codec.Codec
		registry       codectypes.InterfaceRegistry
		txConfig       client.TxConfig
		amino          *codec.LegacyAmino
		basicManager   module.BasicManager
		modules        map[string]appmodule.AppModule
		addressCodec   address.Codec
		validatorCodec runtime.ValidatorAddressCodec
		consensusCodec runtime.ConsensusAddressCodec
	)
	err := depinject.Inject(
		depinject.Configs(app.Config(), depinject.Supply(log.NewNopLogger())),
		&cdc, &registry, &txConfig, &amino, &basicManager, &modules,
		&addressCodec, &validatorCodec, &consensusCodec,
	)
	if err != nil {
		return nil, fmt.Errorf("wire the commands: %w", err)
	}
	clientCtx := client.Context{}.
		WithCodec(cdc).
		WithInterfaceRegistry(registry).
		WithTxConfig(txConfig).
		WithLegacyAmino(amino).
		WithInput(os.Stdin).
		WithAccountRetriever(authtypes.AccountRetriever{}).
		WithHomeDir(home).
		WithViper(envPrefix)

	root := &cobra.Command{
		Use:           app.Name,
		Short:         "Node of the tssbackup chain",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.OutOrStdout())
			cmd.SetErr(cmd.ErrOrStderr())

			ctx, err := client.ReadPersistentCommandFlags(
				clientCtx.WithCmdContext(cmd.Context()).WithViper(""),
				cmd.Flags(),
			)
			if err != nil {
				return err
			}
			if ctx, err = config.ReadFromClientConfig(ctx); err != nil {
				return err
			}
			if err := client.SetCmdClientContextHandler(ctx, cmd); err != nil {
				return err
			}
			appConfig := serverconfig.DefaultConfig()
			appConfig.MinGasPrices = minGasPrices
			return server.InterceptConfigsPreRunHandler(
				cmd,
				serverconfig.DefaultConfigTemplate,
				appConfig,
				cmtcfg.DefaultConfig(),
			)
		},
	}
	var running *app.App
	start := func(
		logger log.Logger, db dbm.DB, appOpts servertypes.AppOptions,
	) servertypes.Application {
		running = newApp(logger, db, appOpts)
		return running
	}
	server.AddCommandsWithStartCmdOptions(root, home, start, exportApp, server.StartCmdOptions{
		PostSetup: func(
			svrCtx *server.Context, _ client.Context, ctx context.Context, g *errgroup.Group,
		) error {
			rpc := svrCtx.Config.RPC.ListenAddress
			g.Go(func() error { return archivecmd.KeepWhole(ctx, running.ArchiveNode(), rpc) })
			return nil
		},
	})
	root.AddCommand(
		initCmd(basicManager, home),
		genesisCmd(txConfig, basicManager, home),
		configCmd(),
		keys.Commands(),
		queryCmd(),
		txCmd(),
		server.StatusCommand(),
		debug.Cmd(),
		pruning.Cmd(start, home),
		snapshot.Cmd(start),
		archivecmd.New(newApp),
	)

	modules["node"] = nodeservice.NewNodeCommands()
	modules["comet"] = cmtservice.NewCometBFTCommands()
	moduleCommands := autocli.AppOptions{
		Modules:               modules,
		AddressCodec:          addressCodec,
		ValidatorAddressCodec: validatorCodec,
		ConsensusAddressCodec: consensusCodec,
		ClientCtx:             clientCtx,
	}
	if err := enhance(root, moduleCommands); err != nil {
		return nil, fmt.Errorf("make the modules' commands: %w", err)
	}
	return root, nil
}

func queryCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:                        "query",
		Aliases:                    []string{"q"},
		Short:                      "Ask a node about the chain",
		SuggestionsMinimumDistance: 2,
		RunE:                       client.ValidateCmd,
	}
	cmd.AddCommand(
		rpc.WaitTxCmd(),
		rpc.ValidatorCommand(),
		server.QueryBlockCmd(),
		server.QueryBlocksCmd(),
		server.QueryBlockResultsCmd(),
		authcli.QueryTxCmd(),
		authcli.QueryTxsByEventsCmd(),
	)
	return cmd
}

func txCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:                        "tx",
		Short:                      "Make, sign and send transactions",
		SuggestionsMinimumDistance: 2,
		RunE:                       client.ValidateCmd,
	}
	cmd.AddCommand(
		authcli.GetSignCommand(),
		authcli.GetSignBatchCommand(),
		authcli.GetMultiSignCommand(),
		authcli.GetMultiSignBatchCmd(),
		authcli.GetValidateSignaturesCommand(),
		authcli.GetBroadcastCommand(),
		authcli.GetEncodeCommand(),
		authcli.GetDecodeCommand(),
		authcli.GetSimulateCmd(),
	)
	return cmd
}
