package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Pause keeps churns from opening, vaults from retiring by themselves and heartbeats from being
// due, for the embedding chain, until Resume or for max_pause blocks. A churn that is open goes on,
// and its deadlines stay. The error is ErrPaused while the module is paused, and when the
// parameters allow no pause.
func (k Keeper) Pause(ctx context.Context) error {
	params, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	pause, err := k.pause(ctx)
	if err != nil {
		return err
	}
	switch {
	case params.MaxPause == 0:
		return types.ErrPaused.Wrap("max_pause allows none")
	case pause.Since != 0:
		return types.ErrPaused.Wrapf("since block %d", pause.Since)
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	pause.Since = sdkCtx.BlockHeight()
	pause.Until = pause.Since + int64(params.MaxPause)
	if err := k.setPause(ctx, pause); err != nil {
		return err
	}
	return sdkCtx.EventManager().EmitTypedEvent(&types.EventPaused{Until: pause.Until})
}

// Resume ends a pause. What would have been due meanwhile is put back by as many blocks as the
// pause took of its time. The error is ErrNotPaused when there is none.
func (k Keeper) Resume(ctx context.Context) error {
	pause, err := k.pause(ctx)
	if err != nil {
		return err
	}
	if pause.Since == 0 {
		return types.ErrNotPaused
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	blocks := uint64(sdkCtx.BlockHeight() - pause.Since)
	if err := k.setPause(ctx, types.Pause{Total: pause.Total + blocks}); err != nil {
		return err
	}
	return sdkCtx.EventManager().EmitTypedEvent(&types.EventResumed{Blocks: blocks})
}

// endPause ends a pause that has taken as long as it may.
func (k Keeper) endPause(ctx context.Context) error {
	pause, err := k.pause(ctx)
	if err != nil || pause.Since == 0 ||
		sdk.UnwrapSDKContext(ctx).BlockHeight() < pause.Until {
		return err
	}
	return k.Resume(ctx)
}

// pause is whether the module is paused, and for how long it was before.
func (k Keeper) pause(ctx context.Context) (types.Pause, error) {
	pause, err := k.Pauses.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Pause{}, nil
	}
	return pause, err
}

// setPause writes it down, unless there is nothing to write: no value in the store is empty.
func (k Keeper) setPause(ctx context.Context, pause types.Pause) error {
	if pause == (types.Pause{}) {
		return k.Pauses.Remove(ctx)
	}
	return k.Pauses.Set(ctx, pause)
}
