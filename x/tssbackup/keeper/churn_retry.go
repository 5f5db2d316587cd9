package keeper

import (
	"context"
	"slices"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// failedForGood reports whether a keygen in a churn of so many vaults has failed and is not tried
// again: it failed in an earlier block of a churn that was lost by then, it is alone or was tried
// often enough, or too few of its members were not at fault.
func (c closing) failedForGood(params types.Params, vaults int) bool {
	if c.Status != types.KeygenStatus_KEYGEN_STATUS_FAILED {
		return false
	}
	return !c.failed || vaults == 1 || c.Try >= params.MaxTries || c.tooFewLeft()
}

// tooFewLeft reports whether the members that were not at fault are too few for another try: fewer
// than any keygen has, or so few that the malicious ones that the first try bears would be a
// threshold of them. The latter takes honest members that were silent.
func (c closing) tooFewLeft() bool {
	n := len(c.innocent())
	return n < types.MinMembers || verenc.Threshold(n) <= int(c.Bears)
}

// innocent are the members that were not at fault.
func (c closing) innocent() []types.Member {
	return slices.DeleteFunc(slices.Clone(c.Members), func(m types.Member) bool {
		return c.AtFault(m.Address())
	})
}

// reopen opens the keygens that failed in this block again, without those at fault, for as long as
// a keygen has. Members and keys stay as they froze with the churn; a number of its own keeps what
// was voted, proven and signed for one try from counting for another.
func (k Keeper) reopen(
	ctx context.Context,
	params types.Params,
	churn types.Churn,
	keygens []closing,
) error {
	reopened := false
	for _, c := range keygens {
		if !c.failed {
			continue
		}
		reopened = true
		innocent := c.innocent()
		candidates := make([]candidate, len(innocent))
		for i, m := range innocent {
			proof, err := k.Proofs.Get(ctx, collections.Join(c.Id, []byte(m.Address())))
			if err != nil {
				return err
			}
			candidates[i] = candidate{pubKey: m.PubKey, recipient: proof.Recipient}
		}
		keygen, err := k.openKeygen(ctx, params, c.Keygen, candidates)
		if err != nil {
			return err
		}
		churn.KeygenIds = append(
			slices.DeleteFunc(churn.KeygenIds, func(id uint64) bool { return id == c.Id }),
			keygen.Id,
		)
		churn.FailedIds = append(churn.FailedIds, c.Id)
		churn.Deadline = max(churn.Deadline, keygen.Deadline)
		err = sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(&types.EventKeygenReopened{
			ChurnId:  churn.Id,
			FailedId: c.Id,
			KeygenId: keygen.Id,
			Try:      keygen.Try,
			Deadline: keygen.Deadline,
		})
		if err != nil {
			return err
		}
	}
	if !reopened {
		return nil
	}
	slices.Sort(churn.FailedIds)
	return k.Churns.Set(ctx, churn.Id, churn)
}
