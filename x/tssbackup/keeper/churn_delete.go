package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// deleteFailed deletes the failed keygens of a churn that ended long enough ago and their votes,
// and the churn with them when it failed: one churn a block, so that more of them wait for the next
// blocks.
func (k Keeper) deleteFailed(ctx context.Context) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	due := collections.NewPrefixUntilPairRange[uint64, uint64](uint64(sdkCtx.BlockHeight()))
	iter, err := k.ChurnExpiries.Iterate(ctx, due)
	if err != nil {
		return err
	}
	if !iter.Valid() {
		return iter.Close()
	}
	expiry, err := iter.Key()
	if err = errors.Join(err, iter.Close()); err != nil {
		return err
	}
	churn, err := k.Churns.Get(ctx, expiry.K2())
	if err != nil {
		return err
	}
	if err := k.ChurnExpiries.Remove(ctx, expiry); err != nil {
		return err
	}
	if churn.Status == types.ChurnStatus_CHURN_STATUS_FAILED {
		ids := churn.AllKeygenIds()
		if err := k.deleteKeygens(ctx, ids); err != nil {
			return err
		}
		if err := k.Churns.Remove(ctx, churn.Id); err != nil {
			return err
		}
		return sdkCtx.EventManager().EmitTypedEvent(
			&types.EventChurnDeleted{ChurnId: churn.Id, KeygenIds: ids},
		)
	}
	tries := churn.FailedIds
	if err := k.deleteKeygens(ctx, tries); err != nil {
		return err
	}
	churn.FailedIds = nil
	if err := k.Churns.Set(ctx, churn.Id, churn); err != nil {
		return err
	}
	return sdkCtx.EventManager().EmitTypedEvent(
		&types.EventTriesDeleted{ChurnId: churn.Id, KeygenIds: tries},
	)
}

// deleteKeygens deletes keygens that failed, and their votes.
func (k Keeper) deleteKeygens(ctx context.Context, ids []uint64) error {
	for _, id := range ids {
		of := collections.NewPrefixedPairRange[uint64, []byte](id)
		if err := k.Votes.Clear(ctx, of); err != nil {
			return err
		}
		key := collections.Join(uint32(types.KeygenStatus_KEYGEN_STATUS_FAILED), id)
		if err := k.KeygensOf.Remove(ctx, key); err != nil {
			return err
		}
		if err := k.Keygens.Remove(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
