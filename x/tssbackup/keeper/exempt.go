package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// ExemptVote reports whether a message may pass without a fee now. For a message that is neither a
// vote, a join, a check, a publication, a heartbeat nor a claim, ok is false and there is no error.
// One that is not eligible has an error that says why; one that is has ok and what is still to be
// done: check the form of the envelope and the signature of the transaction, and count the attempt.
//
// It costs a few reads, and says nothing about whether the message will succeed.
func (k Keeper) ExemptVote(
	ctx context.Context,
	msg sdk.Msg,
) (v types.Exemption, ok bool, err error) {
	switch msg := msg.(type) {
	case *types.MsgClaimSigner:
		if v, err = k.exemptClaim(ctx, msg); err != nil {
			return types.Exemption{}, false, err
		}
	case *types.MsgTssJoin:
		b, err := k.checkJoiner(ctx, msg)
		if err != nil {
			return types.Exemption{}, false, err
		}
		v = b.small()
	case *types.MsgTssCheck:
		b, err := k.checkChecker(ctx, msg)
		if err != nil {
			return types.Exemption{}, false, err
		}
		v = b.small()
	case *types.MsgHeartbeat:
		b, err := k.checkBeater(ctx, msg)
		if err != nil {
			return types.Exemption{}, false, err
		}
		v = b.exemption(msg.Epoch)
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
		if msg.Blame == nil {
			v.Members = len(b.keygen.Members)
			v.CarriesGroup, v.NamesGroup = len(msg.Group) != 0, len(msg.GroupHash) != 0
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
	if _, err := k.attempts(ctx, v); err != nil {
		return types.Exemption{}, false, err
	}
	return v, true, nil
}

// small is the exemption of a join or a check.
func (b ballot) small() types.Exemption {
	return types.Exemption{
		KeygenID: b.keygen.Id, Member: b.signer, Small: true,
		Members: len(b.keygen.Members) + len(b.dealing.members),
	}
}

// CountAttempt adds one to the exempt attempts of a member for a keygen: to vote or to publish, or
// to join or to check. Of heartbeats those in a window of blocks are counted, so that what came too
// late keeps nobody from sending the next. The error wraps ErrTooManyAttempts when there were
// MaxExemptAttempts before, MaxExemptJoins, or MaxExemptHeartbeats. A claim is one of the signer's
// MaxExemptClaims in ClaimWindowBlocks.
func (k Keeper) CountAttempt(ctx context.Context, v types.Exemption) error {
	count, err := k.attempts(ctx, v)
	if err != nil {
		return err
	}
	key := collections.Join(v.KeygenID, []byte(v.Member))
	switch {
	case v.Claim:
		return k.countClaim(ctx, v.Member)
	case v.Heartbeat:
		return k.HeartbeatAttempts.Set(ctx, key, types.Window{
			Start: heartbeatWindow(ctx), Count: count + 1,
		})
	case v.Small:
		return k.JoinAttempts.Set(ctx, key, count+1)
	}
	return k.Attempts.Set(ctx, key, count+1)
}

// heartbeatWindow is the first block of the window in which an exempt heartbeat is counted that
// comes now.
func heartbeatWindow(ctx context.Context) int64 {
	height := nextBlock(ctx)
	return height - height%types.BeaconInterval
}

// attempts is how many there were, when another one is exempt.
func (k Keeper) attempts(ctx context.Context, v types.Exemption) (count uint64, err error) {
	if v.Claim {
		w, err := k.claimWindow(ctx, v.Member)
		if err == nil && w.Count >= types.MaxExemptClaims {
			err = types.ErrTooManyAttempts.Wrapf("%d claims since block %d, more from block %d on",
				w.Count, w.Start, w.Start+types.ClaimWindowBlocks)
		}
		return w.Count, err
	}
	key := collections.Join(v.KeygenID, []byte(v.Member))
	limit := uint64(types.MaxExemptAttempts)
	switch {
	case v.Heartbeat:
		limit = types.MaxExemptHeartbeats
		var in types.Window
		window := heartbeatWindow(ctx)
		if in, err = k.HeartbeatAttempts.Get(ctx, key); in.Start == window {
			count = in.Count
		}
		if count >= limit {
			return 0, types.ErrTooManyAttempts.Wrapf(
				"%d heartbeats in epoch %d since block %d, more from block %d on",
				count, v.KeygenID, window, window+types.BeaconInterval)
		}
	case v.Small:
		limit = types.MaxExemptJoins
		count, err = k.JoinAttempts.Get(ctx, key)
	default:
		count, err = k.Attempts.Get(ctx, key)
	}
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return 0, err
	}
	if count >= limit {
		return 0, types.ErrTooManyAttempts.Wrapf("%d for keygen %d", limit, v.KeygenID)
	}
	return count, nil
}
