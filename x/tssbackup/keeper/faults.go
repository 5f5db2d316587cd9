package keeper

import (
	"context"
	"errors"
	"slices"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// atFault are the members that at least the threshold of members blamed, and those that were silent
// when the votes ended. Both are in the order of the members.
//
// At most n - threshold members are taken to be malicious. So where more who voted would be at
// fault for blame, some of them are honest, and none of them is; and where no more have voted, it
// is the votes that failed to come, and nobody's silence is a fault. Members of an epoch that is
// reshared who leave it do not vote, and follow those who do; where more of that epoch would be at
// fault for blame than it bears, none of those who leave is.
func (c closing) atFault(due bool) (blamed, silent [][]byte) {
	count := make(map[string]uint32)
	voted := make(map[string]bool)
	for _, v := range c.votes {
		voted[string(v.member)] = true
		for _, addr := range v.Blamed {
			count[string(addr)]++
		}
	}
	bears := len(c.Members) - int(c.Threshold)
	voters := 0 // among the blamed
	for _, m := range c.Members {
		addr := m.Address()
		if count[string(addr)] >= c.Threshold {
			blamed = append(blamed, addr)
			if voted[string(addr)] {
				voters++
			}
		}
		if due && !voted[string(addr)] && len(c.votes) > bears {
			silent = append(silent, addr)
		}
	}
	if voters > bears {
		blamed = slices.DeleteFunc(blamed, func(addr []byte) bool { return voted[string(addr)] })
	}
	named := 0 // of the epoch that is reshared
	var leave [][]byte
	for _, m := range c.dealing.members {
		addr := m.Address()
		if count[string(addr)] < c.Threshold {
			continue
		}
		named++
		if _, stays := types.FindMember(c.Members, addr); !stays {
			leave = append(leave, addr)
		}
	}
	if named <= len(c.dealing.members)-int(c.dealing.threshold) {
		blamed = append(blamed, leave...)
	}
	return blamed, silent
}

// sitOut makes the operators of members at fault sit out, so that one dead signer cannot block
// every churn, and twice as long when one is at fault again soon. A member that was silent about a
// keygen that is ready all the same sits out too: the next ceremony would wait for it.
func (k Keeper) sitOut(ctx context.Context, params types.Params, c closing) error {
	if params.PenaltyBlocks == 0 {
		return nil
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	for _, m := range c.dealing.with(c.Members) {
		if !c.AtFault(m.Address()) {
			continue
		}
		operator, err := k.operatorOf(ctx, m.Address())
		if err != nil {
			return err
		}
		before, err := k.sitOutOf(ctx, operator)
		if err != nil {
			return err
		}
		after := params.Penalty(before, sdkCtx.BlockHeight())
		if err := k.SitOuts.Set(ctx, operator, after); err != nil {
			return err
		}
		event := &types.EventSitOut{Until: after.Until, Count: after.Count}
		if event.Operator, err = k.staking.ValidatorAddressCodec().
			BytesToString(operator); err != nil {
			return err
		}
		if err := sdkCtx.EventManager().EmitTypedEvent(event); err != nil {
			return err
		}
	}
	return nil
}

// sitOutOf is what is known of the faults of an operator, the zero SitOut when nothing is.
func (k Keeper) sitOutOf(ctx context.Context, operator []byte) (types.SitOut, error) {
	sitOut, err := k.SitOuts.Get(ctx, operator)
	if errors.Is(err, collections.ErrNotFound) {
		return types.SitOut{}, nil
	}
	return sitOut, err
}
