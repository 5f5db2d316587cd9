package keeper

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// StartChurn opens a churn now, for the embedding chain and for MsgStartChurn. The error is
// ErrChurnOpen while one is open, and ErrPaused while the module is paused.
//
// Without operators the members are the bonded validators who have a signer and do not sit out.
// When they are too few, an event says so and the churn returned is empty.
//
// A chain whose churn is the change of its validator set names the operators of the next set,
// bonded or not. All of them are members, or none is and the error says why: it is
// ErrInvalidOperator for one that is no validator or that is named twice, ErrInvalidSigner for one
// without a signer, ErrSitsOut for one that sits out, and ErrTooFewMembers for fewer than three.
// When such a churn fails, the module does not try another by itself: the chain, which
// AfterKeygenFailed tells, names the members of the next.
func (k Keeper) StartChurn(
	ctx context.Context,
	operators ...sdk.ValAddress,
) (types.Churn, error) {
	if err := k.checkMayOpen(ctx); err != nil {
		return types.Churn{}, err
	}
	params, err := k.Params.Get(ctx)
	if err != nil {
		return types.Churn{}, err
	}
	if len(operators) == 0 {
		return k.openAmongBonded(ctx, params)
	}
	candidates, err := k.namedCandidates(ctx, params, operators)
	if err != nil {
		return types.Churn{}, err
	}
	return k.openChurn(ctx, params, candidates, true)
}

// checkMayOpen errs while a churn is open, or a reshare, and while the module is paused.
func (k Keeper) checkMayOpen(ctx context.Context) error {
	open, err := k.OpenChurn.Has(ctx)
	if err != nil {
		return err
	}
	if open {
		return types.ErrChurnOpen
	}
	pause, err := k.pause(ctx)
	if err != nil {
		return err
	}
	if pause.Since != 0 {
		return types.ErrPaused.Wrapf("since block %d", pause.Since)
	}
	return nil
}

// openDue opens a churn when its time has come. One that is due while another is open, or while the
// module is paused, waits.
func (k Keeper) openDue(ctx context.Context) error {
	next, err := k.NextChurnHeight.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if sdk.UnwrapSDKContext(ctx).BlockHeight() < next {
		return nil
	}
	err = k.checkMayOpen(ctx)
	if errors.Is(err, types.ErrChurnOpen) || errors.Is(err, types.ErrPaused) {
		return nil
	}
	if err != nil {
		return err
	}
	params, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	churn, err := k.openAmongBonded(ctx, params)
	if err != nil || churn.Id != 0 {
		return err
	}
	// Too few can take part now. Those who sit out come back, so it is tried again as after a
	// failure.
	return k.scheduleChurn(ctx, cmp.Or(params.RetryInterval, params.ChurnInterval))
}

// scheduleChurn makes the next churn open by itself that many blocks from now, or never when it is
// 0.
func (k Keeper) scheduleChurn(ctx context.Context, blocks uint64) error {
	if blocks == 0 {
		return k.NextChurnHeight.Remove(ctx)
	}
	return k.NextChurnHeight.Set(ctx, sdk.UnwrapSDKContext(ctx).BlockHeight()+int64(blocks))
}

// openAmongBonded opens a churn among the bonded validators that can take part. When they are too
// few, an event says so and the churn returned is empty.
func (k Keeper) openAmongBonded(ctx context.Context, params types.Params) (types.Churn, error) {
	candidates, err := k.candidates(ctx, params)
	if err != nil {
		return types.Churn{}, err
	}
	if len(candidates) < types.MinMembers {
		event := &types.EventChurnSkipped{
			Members: uint32(len(candidates)),
			Reason:  "fewer than 3 bonded validators have a signer and do not sit out",
		}
		return types.Churn{}, sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(event)
	}
	return k.openChurn(ctx, params, candidates, false)
}

// openChurn freezes the members of a churn and opens its keygens. named says that the chain chose
// the members.
func (k Keeper) openChurn(
	ctx context.Context,
	params types.Params,
	candidates []candidate,
	named bool,
) (types.Churn, error) {
	churn, err := k.newChurn(ctx, params, named)
	if err != nil {
		return types.Churn{}, err
	}
	lot := lot(sdk.UnwrapSDKContext(ctx), churn.Id)
	for _, group := range assign(lot, candidates, int(params.MaxVaultMembers)) {
		keygen, err := k.openKeygen(ctx, params, types.Keygen{ChurnId: churn.Id}, group)
		if err != nil {
			return types.Churn{}, err
		}
		churn.KeygenIds = append(churn.KeygenIds, keygen.Id)
	}
	if err := k.scheduleChurn(ctx, params.ChurnInterval); err != nil {
		return types.Churn{}, err
	}
	return churn, k.setOpen(ctx, churn)
}

// newChurn is a churn that opens now and has no keygen yet.
func (k Keeper) newChurn(
	ctx context.Context, params types.Params, named bool,
) (types.Churn, error) {
	id, err := k.ChurnSequence.Next(ctx)
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	return types.Churn{
		Id:           id,
		Status:       types.ChurnStatus_CHURN_STATUS_OPEN,
		OpenedHeight: height,
		Deadline:     height + int64(params.KeygenDeadline),
		Named:        named,
	}, err
}

// setOpen writes down a churn that has its keygens: from now on it is the one that is open.
func (k Keeper) setOpen(ctx context.Context, churn types.Churn) error {
	if err := k.Churns.Set(ctx, churn.Id, churn); err != nil {
		return err
	}
	if err := k.OpenChurn.Set(ctx, churn.Id); err != nil {
		return err
	}
	return sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(&types.EventChurnOpened{
		ChurnId:   churn.Id,
		KeygenIds: churn.KeygenIds,
		Deadline:  churn.Deadline,
	})
}

// candidate is a signer that takes part in a churn.
type candidate struct {
	pubKey    []byte
	recipient types.Recipient
}

// candidate looks whether an operator can take part in a churn that opens now: it is not ok without
// a signer, and until is the height to which it sits out, or 0. Faults that do not count any more
// are forgotten.
func (k Keeper) candidate(
	ctx context.Context, params types.Params, operator sdk.ValAddress,
) (c candidate, until int64, ok bool, err error) {
	signer, err := k.Signers.Get(ctx, operator)
	if errors.Is(err, collections.ErrNotFound) {
		return c, 0, false, nil
	}
	if err != nil {
		return c, 0, false, err
	}
	sitOut, err := k.sitOutOf(ctx, operator)
	if err != nil {
		return c, 0, false, err
	}
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	if height < sitOut.Until {
		return c, sitOut.Until, true, nil
	}
	if !sitOut.Counts(params, height) {
		err = k.SitOuts.Remove(ctx, operator)
	}
	return candidate{signer.PubKey, signer.Recipient}, 0, true, err
}

// candidates are the signers that take part in a churn that opens now: those of bonded validators
// who do not sit out.
func (k Keeper) candidates(ctx context.Context, params types.Params) ([]candidate, error) {
	operators, err := k.staking.BondedOperators(ctx)
	if err != nil {
		return nil, err
	}
	var list []candidate
	for _, operator := range operators {
		c, until, ok, err := k.candidate(ctx, params, operator)
		if err != nil {
			return nil, err
		}
		if ok && until == 0 {
			list = append(list, c)
		}
	}
	return list, nil
}

// namedCandidates are the signers of the operators that the chain named, of whom each can take
// part.
func (k Keeper) namedCandidates(
	ctx context.Context,
	params types.Params,
	operators []sdk.ValAddress,
) ([]candidate, error) {
	if len(operators) < types.MinMembers {
		return nil, types.ErrTooFewMembers.Wrapf(
			"%d operators are named, and a vault has at least %d members",
			len(operators), types.MinMembers)
	}
	named := make(map[string]bool, len(operators))
	list := make([]candidate, len(operators))
	for i, operator := range operators {
		text, err := k.staking.ValidatorAddressCodec().BytesToString(operator)
		if err != nil {
			return nil, types.ErrInvalidOperator.Wrap(err.Error())
		}
		if named[string(operator)] {
			return nil, types.ErrInvalidOperator.Wrapf("%s is named twice", text)
		}
		named[string(operator)] = true
		has, err := k.staking.HasValidator(ctx, operator)
		if err != nil {
			return nil, err
		}
		if !has {
			return nil, types.ErrInvalidOperator.Wrap(text)
		}
		c, until, ok, err := k.candidate(ctx, params, operator)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return nil, types.ErrInvalidSigner.Wrapf("%s has registered none", text)
		case until > 0:
			return nil, types.ErrSitsOut.Wrapf("%s, until height %d", text, until)
		}
		list[i] = c
	}
	return list, nil
}

// assign parts the members of a churn into as many groups as needed, so that none is larger than
// size and their sizes differ by at most one. Who comes into which follows from a lot, so that no
// order of the validators decides it.
func assign(lot []byte, candidates []candidate, size int) [][]candidate {
	candidates = byHash(lot, candidates)
	count := (len(candidates) + size - 1) / size
	least, larger := len(candidates)/count, len(candidates)%count
	groups := make([][]candidate, count)
	for i := range groups {
		n := least
		if i < larger {
			n++
		}
		groups[i], candidates = candidates[:n:n], candidates[n:]
	}
	return groups
}

// openKeygen opens a keygen among members. It follows one that failed, or for the first time one
// that has nothing but the number of the churn and, in a reshare, what it reshares.
func (k Keeper) openKeygen(
	ctx context.Context,
	params types.Params,
	before types.Keygen,
	candidates []candidate,
) (types.Keygen, error) {
	id, err := k.KeygenSequence.Next(ctx)
	if err != nil {
		return types.Keygen{}, err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	n := len(candidates)
	members := make([]types.Member, n)
	for i, c := range byHash(lot(sdkCtx, id), candidates) {
		members[i] = types.Member{PubKey: c.pubKey, Asked: i < params.Asked(n)}
	}
	slices.SortFunc(
		members,
		func(a, b types.Member) int { return bytes.Compare(a.PubKey, b.PubKey) },
	)
	if err := k.openProofs(ctx, id, candidates); err != nil {
		return types.Keygen{}, err
	}
	height := sdkCtx.BlockHeight()
	threshold := verenc.Threshold(n)
	keygen := types.Keygen{
		Id:            id,
		ChurnId:       before.ChurnId,
		Status:        types.KeygenStatus_KEYGEN_STATUS_OPEN,
		Threshold:     uint32(threshold),
		Needed:        uint32(params.Needed(n)),
		Members:       members,
		RequireProofs: !params.ProofsOptional,
		Split:         params.SplitBackups,
		Placement:     params.Placement,
		OpenedHeight:  height,
		Deadline:      height + int64(params.KeygenDeadline),
		Try:           before.Try + 1,
		Bears:         before.Bears,
		Reshare:       before.Reshare,
	}
	if before.Try == 0 {
		keygen.Bears = uint32(n - threshold)
	}
	return keygen, k.setKeygen(ctx, keygen, types.KeygenStatus_KEYGEN_STATUS_UNSPECIFIED)
}

// lot is what decides about the members of a churn or a keygen that opens in this block: u64(id) ||
// the block's hash. Nobody knows it before the block is made, so that nobody can register a signer
// whose address falls where it is wanted.
func lot(ctx sdk.Context, id uint64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, id), ctx.HeaderHash()...)
}

// byHash returns signers in the order of SHA-256(lot || address).
func byHash(lot []byte, candidates []candidate) []candidate {
	type ranked struct {
		candidate
		hash [sha256.Size]byte
	}
	list := make([]ranked, len(candidates))
	for i, c := range candidates {
		list[i] = ranked{c, sha256.Sum256(slices.Concat(lot, types.SignerAddress(c.pubKey)))}
	}
	slices.SortFunc(list, func(a, b ranked) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	sorted := make([]candidate, len(list))
	for i, r := range list {
		sorted[i] = r.candidate
	}
	return sorted
}
