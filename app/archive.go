package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
)

// errNoArchive is returned where the archive is asked for and the app was built without a home.
var errNoArchive = errors.New("the app has no home, and so no archive")

// KeptEnvelopes are the envelopes that the node's archive is to hold by the last committed state.
func (app *App) KeptEnvelopes() ([]keeper.Kept, error) {
	return archive.KeptAt(app.CommitMultiStore(), app.TssbackupKeeper, app.LastBlockHeight())
}

// RepairArchive looks for envelopes that the node's archive cannot serve, asks the sources for
// them, and returns those that it still cannot serve.
func (app *App) RepairArchive(
	ctx context.Context,
	sources ...archive.Source,
) ([]archive.Fault, error) {
	if app.Archive == nil {
		return nil, errNoArchive
	}
	kept, err := app.KeptEnvelopes()
	if err != nil {
		return nil, err
	}
	return app.Archive.Repair(ctx, app.Archive.Verify(kept), sources...)
}

// KeepArchiveWhole repairs the archive from the blocks of the node's own store and logs what cannot
// be repaired. A node runs it beside its work when it has started.
func (app *App) KeepArchiveWhole(ctx context.Context, blocks archive.BlockClient) {
	if app.LastBlockHeight() == 0 {
		return // a node without a state misses nothing
	}
	faults, err := app.RepairArchive(ctx, archive.FromBlock(blocks))
	if err != nil {
		if ctx.Err() == nil {
			app.Logger().Error("archive of envelopes is not checked", "err", err)
		}
		return
	}
	for _, f := range faults {
		app.Logger().Error("archive cannot serve an envelope: run `archive repair`",
			"vault", fmt.Sprintf("%x", f.Vault), "member", fmt.Sprintf("%x", f.Member), "err", f.Err)
	}
}
