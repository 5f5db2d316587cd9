package archivecmd_test

import (
	"context"

	"cosmossdk.io/log/v2"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/server"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/archivecmd"
)

// A daemon takes the commands, and has its node look after the archive while it runs.
func Example() {
	var running *app.App
	newApp := func(logger log.Logger, db dbm.DB, options servertypes.AppOptions) *app.App {
		a, err := app.New(logger, db, true, options)
		if err != nil {
			panic(err)
		}
		running = a
		return a
	}
	root := &cobra.Command{Use: "chaind"}
	root.AddCommand(archivecmd.New(newApp))
	_ = server.StartCmdOptions{
		PostSetup: func(
			svrCtx *server.Context, _ client.Context, ctx context.Context, g *errgroup.Group,
		) error {
			rpc := svrCtx.Config.RPC.ListenAddress
			g.Go(func() error { return archivecmd.KeepWhole(ctx, running.ArchiveNode(), rpc) })
			return nil
		},
	}
}
