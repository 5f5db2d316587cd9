package keeper

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// commit checks the form of an envelope, which is charged before, binds the chain to it, and stages
// it for the archive.
func (k Keeper) commit(ctx context.Context, envelope []byte) (*types.Commitment, error) {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	kib := (uint64(len(envelope)) + 1023) / 1024
	sdkCtx.GasMeter().ConsumeGas(kib*gasPerEnvelopeKiB, "envelope form and hash")
	if err := k.CheckForm(ctx, envelope); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(envelope)
	if err := k.stage(ctx, sum[:], envelope); err != nil {
		return nil, err
	}
	return &types.Commitment{
		Sha256: sum[:],
		Size_:  uint64(len(envelope)),
		Height: sdkCtx.BlockHeight(),
	}, nil
}

// CheckForm reports by its error whether the bytes have the form and the size of an envelope that
// the parameters accept. The error wraps ErrEnvelopeForm.
func (k Keeper) CheckForm(ctx context.Context, envelope []byte) error {
	params, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	if err := sanity.CheckEnvelopeForm(envelope, params.EnvelopeRules()); err != nil {
		return types.ErrEnvelopeForm.Wrap(err.Error())
	}
	return nil
}

// PublishBackup writes down a member's envelope of a vault that exists, or that other members hold
// it.
func (s msgServer) PublishBackup(
	ctx context.Context,
	msg *types.MsgPublishBackup,
) (*types.MsgPublishBackupResponse, error) {
	pubKey, vault, signer, err := s.k.checkPublisher(ctx, msg)
	if err != nil {
		return nil, err
	}
	key := collections.Join(vault.Epoch, []byte(signer))
	before, err := s.k.Backups.Get(ctx, key)
	missing := errors.Is(err, collections.ErrNotFound)
	if err != nil && !missing {
		return nil, err
	}
	var commitment *types.Commitment
	if vault.IsHeld() {
		commitment, err = s.k.commitReceived(ctx, msg, vault, signer)
	} else {
		commitment, err = s.k.commit(ctx, msg.KeysharesBackup)
	}
	if err != nil {
		return nil, err
	}
	backup := types.Backup{First: *commitment}
	if !missing {
		if bytes.Equal(before.Commitments()[0].Sha256, commitment.Sha256) {
			return nil, types.ErrBackupPresent.Wrap("this envelope is the latest")
		}
		backup = before.With(*commitment)
	}
	if len(msg.Proof) != 0 {
		if err := s.k.acceptLaterProof(ctx, pubKey, vault, signer, msg.Proof); err != nil {
			return nil, err
		}
	}
	if err := s.k.Backups.Set(ctx, key, backup); err != nil {
		return nil, err
	}
	if err := s.k.Attempts.Remove(ctx, collections.Join(vault.Epoch, []byte(signer))); err != nil {
		return nil, err
	}
	member, err := s.k.bech32(signer)
	if err != nil {
		return nil, err
	}
	err = sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(&types.EventBackupPublished{
		Vault:      msg.Vault,
		Member:     member,
		Commitment: hex.EncodeToString(commitment.Sha256),
		Size_:      commitment.Size_,
		Proven:     len(msg.Proof) != 0,
		Placement:  commitment.Placement,
	})
	if err != nil {
		return nil, err
	}
	return &types.MsgPublishBackupResponse{}, nil
}

// acceptLaterProof verifies and accepts the proof of a member of a vault that exists.
func (k Keeper) acceptLaterProof(
	ctx context.Context, pubKey []byte, vault types.Vault, signer sdk.AccAddress, proof []byte,
) error {
	if len(vault.SharesHash) == 0 {
		return types.ErrInvalidProof.Wrap("the vault has no public shares")
	}
	all, err := k.publicShares(ctx, vault)
	if err != nil {
		return err
	}
	shares, ok := all.Of(signer)
	if !ok {
		return types.ErrInvalidProof.Wrap("the member has no public shares")
	}
	return k.acceptProof(ctx, vault.Epoch, pubKey, vault.PubKeyEd25519, signer, shares, proof)
}

// checkPublisher finds the live vault that a publication names, whose present epoch the envelope is
// of and of which the signer is a member whose term this is. It is cheap, and says nothing about
// the envelope and the receipts.
func (k Keeper) checkPublisher(
	ctx context.Context,
	msg *types.MsgPublishBackup,
) (pubKey []byte, vault types.Vault, signer sdk.AccAddress, err error) {
	if signer, err = k.accounts.AddressCodec().StringToBytes(msg.Signer); err != nil {
		return nil, vault, nil, types.ErrNotMember.Wrap(err.Error())
	}
	if pubKey, err = types.ParseVault(msg.Vault); err != nil {
		return nil, vault, nil, err
	}
	if vault, err = k.vault(ctx, pubKey); err != nil {
		return nil, vault, nil, err
	}
	if !vault.IsLive() {
		return nil, vault, nil, types.ErrVaultNotLive.Wrap(msg.Vault)
	}
	if epoch := cmp.Or(msg.Epoch, vault.FirstEpoch()); epoch != vault.Epoch {
		return nil, vault, nil, types.ErrOtherEpoch.Wrapf(
			"the envelope is of epoch %d, and vault %s in epoch %d", epoch, msg.Vault, vault.Epoch)
	}
	if _, ok := types.FindMember(vault.Members, signer); !ok {
		return nil, vault, nil, types.ErrNotMember.Wrapf("%s in vault %s", msg.Signer, msg.Vault)
	}
	if err := checkPublication(msg, vault); err != nil {
		return nil, vault, nil, err
	}
	return pubKey, vault, signer, k.checkTerm(ctx, signer, msg.Term)
}
