package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cosmossdk.io/log/v2"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
)

const (
	// sweepEvery is the number of blocks between two sweeps of a node that runs.
	sweepEvery = 1_000
	// keepRetired is the number of blocks for which a retired vault's envelopes stay: a few days,
	// in case it was retired too early.
	keepRetired = 50_000
)

// noPrecommit tells what is wrong with an app whose blocks are committed without Precommit.
const noPrecommit = "the Precommit of module tssbackup does not run: the runtime module of the " +
	"app config lacks Precommiters: []string{tssbackuptypes.ModuleName}, " +
	"or an app without that module lacks SetPrecommiter"

// EndBlock holds the envelopes of the block that was executed until Precommit writes them. Another
// execution of the same block, or of one that takes its place, replaces them.
//
// It fails, and the node must not go on, when an earlier block was committed and its envelopes were
// not written: a vault would be active, and this node would have no backup of it. That Precommit
// does not run is logged before there is anything to lose.
func (a *Archive) EndBlock(ctx context.Context, envelopes [][]byte) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stagedAt != 0 && a.stagedAt < sdkCtx.BlockHeight() {
		if len(a.staged) > 0 {
			return fmt.Errorf(
				"block %d was committed and its envelopes (%d) are not in the archive: %s",
				a.stagedAt, len(a.staged), noPrecommit,
			)
		}
		if !a.warned {
			a.warned = true
			sdkCtx.Logger().Error("the archive will lose envelopes: " + noPrecommit)
		}
	}
	a.staged, a.stagedAt = envelopes, sdkCtx.BlockHeight()
	return nil
}

// Precommit writes the envelopes of the block that is about to be committed, and deletes what
// nobody needs any more, at the first block after the start and now and then. Only the writing can
// fail it: the caller must not commit then.
func (a *Archive) Precommit(ctx context.Context, k *keeper.Keeper) error {
	// A module that runs messages at the end of the block, after this one, has them stage late.
	late, err := k.StagedEnvelopes(ctx)
	if err != nil {
		return err
	}
	if err := a.writeStaged(late); err != nil {
		return err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	if a.hasSwept() && sdkCtx.BlockHeight()%sweepEvery != 0 {
		return nil
	}
	keep, err := keepHashes(sdkCtx, k)
	if err == nil {
		err = a.Sweep(keep)
	}
	if err != nil {
		sdkCtx.Logger().Error("archive of envelopes is not swept", "err", err)
	}
	return nil
}

// writeStaged writes what is staged, and what was staged late.
func (a *Archive) writeStaged(late [][]byte) error {
	a.mu.Lock()
	staged := a.staged
	a.mu.Unlock()
	if err := a.Put(append(slices.Clip(staged), late...)...); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.staged, a.stagedAt = nil, 0
	return nil
}

func (a *Archive) hasSwept() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.swept
}

// keepHashes are the hashes of the envelopes that a node keeps.
func keepHashes(ctx sdk.Context, k *keeper.Keeper) (map[string]bool, error) {
	kept, err := k.Kept(ctx)
	if err != nil {
		return nil, err
	}
	retired, err := k.KeptRetired(ctx, ctx.BlockHeight()-keepRetired)
	if err != nil {
		return nil, err
	}
	keep := make(map[string]bool)
	for _, e := range append(kept, retired...) {
		keep[string(e.Commitment.Sha256)] = true
	}
	return keep, nil
}

// KeptAt are the envelopes that a node keeps by its state after the block at height, in the order
// of the store's keys.
func KeptAt(cms storetypes.MultiStore, k *keeper.Keeper, height int64) ([]keeper.Kept, error) {
	if height <= 0 {
		return nil, errors.New("there is no state yet")
	}
	state, err := cms.CacheMultiStoreWithVersion(height)
	if err != nil {
		return nil, err
	}
	return k.Kept(sdk.NewContext(state, cmtproto.Header{Height: height}, false, log.NewNopLogger()))
}
