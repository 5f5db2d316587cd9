package keeper

import (
	"bytes"
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Where the members of a keygen hold each other's envelopes, a result names these, so that all
// members have signed for them in the certificate: each has the others' on its disk. The vote that
// brings the certificate lists their hashes, which the certificate keeps, and others name the list.
// What the chain keeps of a member's envelope when it votes is the same as elsewhere, but that no
// block and no archive has it.

// checkListed checks whether a vote for a result has the list of envelopes as its keygen demands.
// It costs a few comparisons, and says nothing about what a list holds.
func checkListed(msg *types.MsgTssPool, b ballot) error {
	id := b.keygen.Id
	lists, names := len(msg.Envelopes) != 0, len(msg.EnvelopesHash) != 0
	switch asked := types.CountAsked(b.keygen.Members); {
	case !b.keygen.IsHeld():
		if lists || names {
			return types.ErrInvalidEnvelopes.Wrapf("the envelopes of keygen %d are in the votes", id)
		}
		return nil
	case len(msg.KeysharesBackup) != 0:
		return types.ErrHeldByMembers.Wrapf("no vote on keygen %d carries one", id)
	case lists == names:
		return types.ErrInvalidEnvelopes.Wrap(
			"a vote for a result lists the members' envelopes, or names the list")
	case lists:
		if len(msg.Envelopes) != asked*types.EnvelopeEntryBytes {
			return types.ErrInvalidEnvelopes.Wrapf("it has %d bytes, not %d for each of %d members",
				len(msg.Envelopes), types.EnvelopeEntryBytes, asked)
		}
		return nil
	case len(msg.EnvelopesHash) != types.HashSize:
		return types.ErrInvalidEnvelopes.Wrapf("the hash of a list has %d bytes", types.HashSize)
	case len(msg.Certificate) != 0:
		return types.ErrInvalidEnvelopes.Wrap("a vote that names the list has no certificate")
	case b.certificate == nil:
		return types.ErrEnvelopesUnknown.Wrapf("keygen %d has none yet", id)
	case !bytes.Equal(b.certificate.Result.EnvelopesHash, msg.EnvelopesHash):
		return types.ErrEnvelopesUnknown.Wrapf("keygen %d has another", id)
	}
	return nil
}

// listed is the hash of the list of envelopes that a vote has, which is charged before, and what it
// lists; or the hash that it names.
func listed(
	ctx context.Context, msg *types.MsgTssPool, members []types.Member,
) ([]byte, []types.Commitment, error) {
	if len(msg.Envelopes) == 0 {
		return msg.EnvelopesHash, nil, nil
	}
	kib := (uint64(len(msg.Envelopes)) + 1023) / 1024
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(kib*gasPerEnvelopeKiB, "list of envelopes")
	envelopes, err := types.ParseEnvelopes(msg.Envelopes, types.CountAsked(members))
	return types.EnvelopesHash(msg.Envelopes), envelopes, err
}

// checkPublication checks whether a publication has what the vault's present epoch demands: an
// envelope, or who else holds it. It costs a few comparisons; signatures are not looked at.
func checkPublication(msg *types.MsgPublishBackup, vault types.Vault) error {
	switch {
	case !vault.IsHeld():
		if len(msg.Sha256) != 0 || msg.Size_ != 0 || len(msg.Receipts) != 0 {
			return types.ErrInvalidReceipts.Wrapf(
				"the envelopes of epoch %d are published themselves", vault.Epoch)
		}
		return nil
	case len(msg.KeysharesBackup) != 0:
		return types.ErrHeldByMembers.Wrapf("no publication in epoch %d carries one", vault.Epoch)
	case len(msg.Sha256) != types.HashSize || msg.Size_ == 0 || msg.Size_ > types.MaxHeldEnvelope:
		return types.ErrEnvelopeForm.Wrapf("a hash of %d bytes of an envelope of 1 to %d bytes",
			types.HashSize, types.MaxHeldEnvelope)
	}
	return types.CheckReceiptCount(len(msg.Receipts), len(vault.Members), vault.Threshold)
}

// commitReceived binds the chain to an envelope of which other members say that they hold it. Their
// signatures are charged before.
func (k Keeper) commitReceived(
	ctx context.Context, msg *types.MsgPublishBackup, vault types.Vault, signer sdk.AccAddress,
) (*types.Commitment, error) {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	sdkCtx.GasMeter().ConsumeGas(gasPerSignature*uint64(len(msg.Receipts)), "receipts")
	message := types.ReceiptMessage(sdkCtx.ChainID(), vault.Epoch, signer, msg.Sha256, msg.Size_)
	if err := types.CheckReceipts(
		msg.Receipts, message, signer, vault.Members, k.accounts.AddressCodec(),
	); err != nil {
		return nil, err
	}
	return &types.Commitment{
		Sha256: msg.Sha256, Size_: msg.Size_, Height: sdkCtx.BlockHeight(),
		Placement: types.Placement_PLACEMENT_MEMBERS,
	}, nil
}
