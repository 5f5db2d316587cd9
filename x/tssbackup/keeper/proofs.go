package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// What proofs cost before the work is done. It is at least ten units of gas for a microsecond on a
// slow core, so that the gas of a block bounds its time: a proof takes about 7 ms, a public share
// about 90 µs and a little more for each member, since weighing the points grows with the square of
// their number. The chain's block.max_gas must be set for that; docs/embedding.md says how.
const (
	gasPerProof                = 250_000
	gasPerPublicShare          = 2_500
	gasPerPublicShareAndMember = 8
)

// openProofs freezes the recipient keys of a keygen's members: proofs must be made to these,
// whatever is registered later.
func (k Keeper) openProofs(ctx context.Context, keygenID uint64, candidates []candidate) error {
	for _, c := range candidates {
		key := collections.Join(keygenID, []byte(types.SignerAddress(c.pubKey)))
		if err := k.Proofs.Set(ctx, key, types.Proof{Recipient: c.recipient}); err != nil {
			return err
		}
	}
	return nil
}

// checkShares checks the public shares of a result and writes them down. Those that a vote for the
// same result brought before were checked then.
func (k Keeper) checkShares(
	ctx context.Context,
	keygen types.Keygen,
	result types.Result,
	shares *types.PublicShares,
) error {
	if shares == nil {
		return nil
	}
	key := collections.Join(keygen.Id, result.SharesHash)
	known, err := k.PublicShares.Has(ctx, key)
	if err != nil || known {
		return err
	}
	if err := shares.CheckForm(keygen.Id, keygen.Members); err != nil {
		return types.ErrInvalidShares.Wrap(err.Error())
	}
	if err := k.checkPublicShares(ctx, keygen, result, *shares); err != nil {
		return err
	}
	return k.PublicShares.Set(ctx, key, *shares)
}

// checkPublicShares checks, and charges before, whether public shares in form are those of the
// keys of a result.
func (k Keeper) checkPublicShares(
	ctx context.Context, keygen types.Keygen, result types.Result, shares types.PublicShares,
) error {
	members := uint64(len(keygen.Members))
	sdk.UnwrapSDKContext(ctx).
		GasMeter().
		ConsumeGas(2*members*(gasPerPublicShare+gasPerPublicShareAndMember*members), "public shares")
	if err := shares.Check(result.PubKey, result.PubKeyEd25519); err != nil {
		return types.ErrInvalidShares.Wrap(err.Error())
	}
	return nil
}

// acceptProof verifies a member's proof, the dearest check of all, and writes down its stored form.
func (k Keeper) acceptProof(
	ctx context.Context, keygenID uint64, pubKey, pubKeyEd25519, member []byte,
	shares []verenc.PublicShare, proof []byte,
) error {
	key := collections.Join(keygenID, member)
	slot, err := k.Proofs.Get(ctx, key)
	if errors.Is(err, collections.ErrNotFound) {
		return types.ErrInvalidProof.Wrap("this keygen takes none any more")
	}
	if err != nil {
		return err
	}
	if slot.IsProven() {
		return types.ErrProofPresent.Wrapf("keygen %d", keygenID)
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	st := types.Statement(
		sdkCtx.ChainID(),
		keygenID,
		pubKey,
		pubKeyEd25519,
		member,
		slot.Recipient.Key,
		shares,
	)
	if size := verenc.MaxProofSize(len(st.Shares)); len(proof) > size {
		return types.ErrInvalidProof.Wrapf("%d bytes, more than %d", len(proof), size)
	}
	sdkCtx.GasMeter().ConsumeGas(gasPerProof, "proof")
	stored, err := k.verify(st, proof)
	if err != nil {
		return types.ErrInvalidProof.Wrap(err.Error())
	}
	slot.Stored, slot.Height = stored, sdkCtx.BlockHeight()
	return k.Proofs.Set(ctx, key, slot)
}

// verify is verenc's check of a proof; it returns the stored form.
func verify(st verenc.Statement, proof []byte) ([]byte, error) {
	stored, err := verenc.Verify(st, proof)
	if err != nil {
		return nil, err
	}
	return stored.Bytes(), nil
}

// countProven counts the members whose proof of the keygen's result was accepted.
func (k Keeper) countProven(
	ctx context.Context, keygenID uint64, members []types.Member,
) (proven uint32, err error) {
	for _, m := range members {
		slot, err := k.proofOf(ctx, keygenID, m.Address())
		if err != nil {
			return 0, err
		}
		if slot.IsProven() {
			proven++
		}
	}
	return proven, nil
}

// deleteProofs forgets everything about the proofs of a keygen.
func (k Keeper) deleteProofs(ctx context.Context, keygenID uint64) error {
	of := collections.NewPrefixedPairRange[uint64, []byte](keygenID)
	if err := k.Proofs.Clear(ctx, of); err != nil {
		return err
	}
	return errors.Join(
		k.PublicShares.Clear(ctx, of),
		k.Groups.Clear(ctx, of),
		k.GroupParameters.Clear(ctx, of),
	)
}

// expireProofs says when the proofs of a vault that is retired now are deleted, or those of a
// former epoch whose grace is over.
func (k Keeper) expireProofs(ctx context.Context, pubKey []byte, keygenID uint64) error {
	params, err := k.Params.Get(ctx)
	if err != nil || params.ProofRetention == 0 {
		return err
	}
	height := uint64(sdk.UnwrapSDKContext(ctx).BlockHeight()) + params.ProofRetention
	return k.ProofExpiries.Set(ctx, collections.Join(height, keygenID), pubKey)
}

// deleteExpired deletes the proofs of vaults that have been retired for long enough, and those of
// epochs that have been over for as long.
func (k Keeper) deleteExpired(ctx context.Context) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	due := collections.NewPrefixUntilPairRange[uint64, uint64](uint64(sdkCtx.BlockHeight()))
	iter, err := k.ProofExpiries.Iterate(ctx, due)
	if err != nil {
		return err
	}
	expired, err := iter.KeyValues()
	if err != nil {
		return err
	}
	for _, e := range expired {
		if err := k.deleteProofs(ctx, e.Key.K2()); err != nil {
			return err
		}
		if err := k.forgetShares(ctx, e.Value, e.Key.K2()); err != nil {
			return err
		}
		if err := k.ProofExpiries.Remove(ctx, e.Key); err != nil {
			return err
		}
		event := &types.EventProofsDeleted{Vault: types.VaultName(e.Value), KeygenId: e.Key.K2()}
		if err := sdkCtx.EventManager().EmitTypedEvent(event); err != nil {
			return err
		}
	}
	return nil
}

// forgetShares has the record of an epoch name no public shares any more: that of its vault, or of
// its keygen when it is a former one.
func (k Keeper) forgetShares(ctx context.Context, pubKey []byte, epoch uint64) error {
	vault, err := k.Vaults.Get(ctx, pubKey)
	if err != nil {
		return err
	}
	if vault.Epoch == epoch {
		vault.SharesHash = nil
		return k.Vaults.Set(ctx, pubKey, vault)
	}
	keygen, err := k.Keygens.Get(ctx, epoch)
	if err != nil {
		return err
	}
	keygen.Ended.SharesHash = nil
	return k.setKeygen(ctx, keygen, keygen.Status)
}

// proofOf is what state keeps of a member's proof, empty when it keeps nothing.
func (k Keeper) proofOf(ctx context.Context, keygenID uint64, member []byte) (types.Proof, error) {
	proof, err := k.Proofs.Get(ctx, collections.Join(keygenID, member))
	if errors.Is(err, collections.ErrNotFound) {
		return types.Proof{}, nil
	}
	return proof, err
}
