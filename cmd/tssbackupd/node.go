package main

import (
	"fmt"

	"cosmossdk.io/log/v2"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/server"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	genutilcli "github.com/cosmos/cosmos-sdk/x/genutil/client/cli"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/app"
)

// newApp builds the app of a node from its settings.
func newApp(logger log.Logger, db dbm.DB, appOpts servertypes.AppOptions) *app.App {
	a, err := app.New(logger, db, true, appOpts, server.DefaultBaseappOptions(appOpts)...)
	if err != nil {
		panic(err) // the type of this function leaves no other way
	}
	return a
}

// exportApp writes the state at a height, or the latest state for -1.
func exportApp(
	logger log.Logger,
	db dbm.DB,
	height int64,
	forZeroHeight bool,
	_ []string,
	appOpts servertypes.AppOptions,
	modules []string,
) (servertypes.ExportedApp, error) {
	latest := height == -1
	a, err := app.New(logger, db, latest, appOpts, server.DefaultBaseappOptions(appOpts)...)
	if err != nil {
		return servertypes.ExportedApp{}, err
	}
	if !latest {
		if err := a.LoadHeight(height); err != nil {
			return servertypes.ExportedApp{}, fmt.Errorf("load height %d: %w", height, err)
		}
	}
	return a.ExportAppStateAndValidators(forZeroHeight, modules)
}

// initCmd is the SDK's command with the chain's own limits of a block.
func initCmd(basicManager module.BasicManager, home string) *cobra.Command {
	cmd := genutilcli.InitCmd(basicManager, home)
	initialize := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := initialize(cmd, args); err != nil {
			return err
		}
		path := server.GetServerContextFromCmd(cmd).Config.GenesisFile()
		genesis, err := genutiltypes.AppGenesisFromFile(path)
		if err != nil {
			return err
		}
		genesis.Consensus.Params.Block = app.DefaultConsensusParams().Block
		return genesis.SaveAs(path)
	}
	return cmd
}
