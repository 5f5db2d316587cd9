package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// ExemptVote reports whether a message may pass without a fee now. For a message that is neither a
// vote nor a publication, ok is false and there is no error. A vote or a publication that is not
// eligible has an error that says why; one that is has ok and what is still to be done: check the
// form of the envelope and the signature of the transaction, and count the attempt.
//
// It costs a few reads, and says nothing about whether the message will succeed.
func (k Keeper) ExemptVote(
	ctx context.Context,
	msg sdk.Msg,
) (v types.Exemption, ok bool, err error) {
	switch msg := msg.(type) {
	case *types.MsgTssPool:
		b, err := k.checkBallot(ctx, msg)
		if err != nil {
			return types.Exemption{}, false, err
		}
		v = types.Exemption{
			KeygenID: msg.KeygenId,
			Member:   b.signer,
			Envelope: msg.KeysharesBackup,
		}
		if msg.PublicShares != nil {
			v.Members = len(b.keygen.Members)
		}
	case *types.MsgPublishBackup:
		_, vault, signer, err := k.checkPublisher(ctx, msg)
		if err != nil {
			return types.Exemption{}, false, err
		}
		present, err := k.Backups.Has(ctx, collections.Join(vault.Epoch, []byte(signer)))
		if err != nil {
			return types.Exemption{}, false, err
		}
		if present {
			return types.Exemption{}, false, types.ErrBackupPresent.Wrap(
				"publishing again costs a fee",
			)
		}
		v = types.Exemption{
			KeygenID: vault.Epoch,
			Member:   signer,
			Envelope: msg.KeysharesBackup,
			Members:  len(vault.Members),
		}
	default:
		return types.Exemption{}, false, nil
	}
	count, err := k.attempts(ctx, v.KeygenID, v.Member)
	if err != nil {
		return types.Exemption{}, false, err
	}
	if count >= types.MaxExemptAttempts {
		return types.Exemption{}, false, tooManyAttempts(v.KeygenID)
	}
	return v, true, nil
}

// CountAttempt adds one to the exempt attempts of a member for a keygen. The error wraps
// ErrTooManyAttempts when there were MaxExemptAttempts before.
func (k Keeper) CountAttempt(ctx context.Context, keygenID uint64, member sdk.AccAddress) error {
	count, err := k.attempts(ctx, keygenID, member)
	if err != nil {
		return err
	}
	if count >= types.MaxExemptAttempts {
		return tooManyAttempts(keygenID)
	}
	return k.Attempts.Set(ctx, collections.Join(keygenID, []byte(member)), count+1)
}

func (k Keeper) attempts(ctx context.Context, keygenID uint64, member []byte) (uint64, error) {
	count, err := k.Attempts.Get(ctx, collections.Join(keygenID, member))
	if errors.Is(err, collections.ErrNotFound) {
		return 0, nil
	}
	return count, err
}

func tooManyAttempts(keygenID uint64) error {
	return types.ErrTooManyAttempts.Wrapf("%d for keygen %d", types.MaxExemptAttempts, keygenID)
}
