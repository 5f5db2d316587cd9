package keeper

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// A term is that of the one instance of a signer that may act. Whoever claims the next one fences
// all others: what they sign says their term, and is refused from the block after the claim on,
// before it is counted. In the claim's own block the term before holds, so that what was sent in
// time counts, and a claim cannot have it fail uncounted.

// nextBlock is the block in which a message runs that is looked at now: while a node only checks
// it, or answers a query, the one after its latest.
func nextBlock(ctx context.Context) int64 {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	if sdkCtx.IsCheckTx() {
		return sdkCtx.BlockHeight() + 1
	}
	return sdkCtx.BlockHeight()
}

// claimed is the latest claim of a signer, the zeroth before the first.
func (k Keeper) claimed(ctx context.Context, signer []byte) (types.SignerTerm, error) {
	t, err := k.Terms.Get(ctx, signer)
	if errors.Is(err, collections.ErrNotFound) {
		return types.SignerTerm{}, nil
	}
	return t, err
}

// checkTerm checks whether a signer's message is of the term that holds in its block.
func (k Keeper) checkTerm(ctx context.Context, signer sdk.AccAddress, term uint64) error {
	t, err := k.claimed(ctx, signer)
	if err != nil {
		return err
	}
	holds := t.Term
	if t.Term != 0 && t.Height >= nextBlock(ctx) {
		holds--
	}
	if term != holds {
		return types.ErrOtherTerm.Wrapf("the message is of term %d, and term %d holds", term, holds)
	}
	return nil
}

// checkClaim checks whether a claim may stand now, and returns who claims and the claim before. It
// is cheap, and looks at all that the claim holds.
func (k Keeper) checkClaim(
	ctx context.Context, msg *types.MsgClaimSigner,
) (signer sdk.AccAddress, before types.SignerTerm, err error) {
	if signer, err = k.accounts.AddressCodec().StringToBytes(msg.Signer); err != nil {
		return nil, before, types.ErrInvalidSigner.Wrap(err.Error())
	}
	if err := types.CheckClaim(msg.Nonce, msg.Addresses); err != nil {
		return nil, before, types.ErrInvalidClaim.Wrap(err.Error())
	}
	known, err := k.SignerOwners.Has(ctx, signer)
	if err != nil {
		return nil, before, err
	}
	if !known {
		return nil, before, types.ErrInvalidSigner.Wrapf("%s was never registered", msg.Signer)
	}
	if before, err = k.claimed(ctx, signer); err != nil {
		return nil, before, err
	}
	switch {
	case msg.ExpectedTerm != before.Term:
		return nil, before, types.ErrOtherTerm.Wrapf(
			"the claim follows term %d, and the latest is %d", msg.ExpectedTerm, before.Term)
	case before.Term != 0 && before.Height >= nextBlock(ctx):
		return nil, before, types.ErrOtherTerm.Wrapf(
			"term %d was claimed in this block, and holds from the next on", before.Term)
	case bytes.Equal(before.Nonce, msg.Nonce):
		return nil, before, types.ErrInvalidClaim.Wrap("the claim before has this nonce")
	}
	return signer, before, nil
}

// ClaimSigner begins the next term of a signer.
func (s msgServer) ClaimSigner(
	ctx context.Context,
	msg *types.MsgClaimSigner,
) (*types.MsgClaimSignerResponse, error) {
	signer, before, err := s.k.checkClaim(ctx, msg)
	if err != nil {
		return nil, err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	term := types.SignerTerm{
		Term:      before.Term + 1,
		Nonce:     msg.Nonce,
		Height:    sdkCtx.BlockHeight(),
		Addresses: msg.Addresses,
	}
	if err := s.k.Terms.Set(ctx, signer, term); err != nil {
		return nil, err
	}
	address, err := s.k.bech32(signer)
	if err != nil {
		return nil, err
	}
	return &types.MsgClaimSignerResponse{Term: term.Term}, sdkCtx.EventManager().EmitTypedEvent(
		&types.EventSignerClaimed{
			Signer:    address,
			Term:      term.Term,
			Nonce:     hex.EncodeToString(msg.Nonce),
			Addresses: msg.Addresses,
		},
	)
}

// exemptClaim checks whether a claim may pass without a fee: its signer has something to act for.
func (k Keeper) exemptClaim(
	ctx context.Context, msg *types.MsgClaimSigner,
) (types.Exemption, error) {
	signer, _, err := k.checkClaim(ctx, msg)
	if err != nil {
		return types.Exemption{}, err
	}
	acts, err := k.acts(ctx, signer)
	if err != nil {
		return types.Exemption{}, err
	}
	if !acts {
		return types.Exemption{}, types.ErrNotMember.Wrapf(
			"%s is neither a validator's signer nor in a vault that lives: its claims cost a fee",
			msg.Signer)
	}
	return types.Exemption{Member: signer, Small: true, Claim: true}, nil
}

// acts reports whether a signer is that of a validator, or a member of a keygen that is open or of
// a vault that is not retired.
func (k Keeper) acts(ctx context.Context, signer sdk.AccAddress) (bool, error) {
	operator, err := k.operatorOf(ctx, signer)
	if err != nil {
		return false, err
	}
	present, err := k.Signers.Get(ctx, operator)
	if err != nil {
		return false, err
	}
	if bytes.Equal(present.Address, signer) {
		if has, err := k.staking.HasValidator(ctx, operator); has || err != nil {
			return has, err
		}
	}
	live, err := k.live(ctx)
	if err != nil {
		return false, err
	}
	for _, v := range live.Vaults {
		has, err := k.Memberships.Has(ctx, collections.Join([]byte(signer), v.Epoch))
		if has || err != nil {
			return has, err
		}
	}
	id, err := k.OpenChurn.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	churn, err := k.Churns.Get(ctx, id)
	if err != nil {
		return false, err
	}
	for _, keygen := range churn.KeygenIds {
		// Every member of a keygen has the record of its proof from the opening on.
		has, err := k.Proofs.Has(ctx, collections.Join(keygen, []byte(signer)))
		if has || err != nil {
			return has, err
		}
	}
	return false, nil
}

// claimWindow is the count of a signer's exempt claims in the next block: none, once its window is
// over.
func (k Keeper) claimWindow(ctx context.Context, signer []byte) (types.Window, error) {
	w, err := k.Claims.Get(ctx, signer)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return types.Window{}, err
	}
	if w.Count == 0 || nextBlock(ctx) >= w.Start+types.ClaimWindowBlocks {
		return types.Window{}, nil
	}
	return w, nil
}

// countClaim counts an exempt claim.
func (k Keeper) countClaim(ctx context.Context, signer []byte) error {
	w, err := k.claimWindow(ctx, signer)
	if err != nil {
		return err
	}
	if w.Count == 0 {
		w.Start = nextBlock(ctx)
	}
	w.Count++
	return k.Claims.Set(ctx, signer, w)
}
