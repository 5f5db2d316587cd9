package keeper

import (
	"context"
	"fmt"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// runHooks runs one hook of every module that has hooks, each in a branch of the state of its own,
// which is dropped when the hook fails. An error is the module's own, never a hook's.
func (k Keeper) runHooks(
	ctx context.Context,
	name string,
	call func(context.Context, types.TssbackupHooks) error,
) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	for _, hooks := range k.hooks.list {
		branch, write := sdkCtx.CacheContext()
		if err := recovered(
			sdkCtx.GasMeter(),
			func() error { return call(branch, hooks) },
		); err != nil {
			sdkCtx.Logger().Error("tssbackup hook failed", "hook", name, "err", err)
			// The event names the hook alone: what an error says may differ between nodes.
			if err := sdkCtx.EventManager().
				EmitTypedEvent(&types.EventHookFailed{Hook: name}); err != nil {
				return err
			}
			continue
		}
		write()
	}
	return nil
}

// recovered makes a panic an error, unless the transaction is out of gas, by its own meter:
// otherwise it could skip a hook by its gas limit. At the end of a block there is no such limit,
// and a hook that runs out of one it has set itself has failed as any other.
func recovered(meter storetypes.GasMeter, f func() error) (err error) {
	defer func() {
		r := recover()
		switch {
		case r == nil:
		case meter.IsPastLimit():
			panic(r)
		default:
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

// hookMembers are members, given by raw address, as hooks see them.
func (k Keeper) hookMembers(ctx context.Context, addresses [][]byte) ([]types.HookMember, error) {
	members := make([]types.HookMember, len(addresses))
	for i, addr := range addresses {
		operator, err := k.operatorOf(ctx, addr)
		if err != nil {
			return nil, err
		}
		members[i] = types.HookMember{Address: addr, Operator: operator}
	}
	return members, nil
}
