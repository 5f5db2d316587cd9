package keeper

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// checkJoiner checks whether a member may join now: the keygen is open and has no certificate, an
// attempt can still begin, and the member has not voted. It is cheap, and says nothing about what
// the join holds.
func (k Keeper) checkJoiner(ctx context.Context, msg *types.MsgTssJoin) (ballot, error) {
	b, err := k.openBallot(ctx, msg.Signer, msg.KeygenId, msg.Term, true)
	if err != nil {
		return ballot{}, err
	}
	if b.certificate != nil {
		return ballot{}, types.ErrCertified.Wrapf("keygen %d needs no attempt more", msg.KeygenId)
	}
	if last := b.keygen.JoinDeadline(); nextBlock(ctx) > last {
		return ballot{}, types.ErrJoinClosed.Wrapf(
			"keygen %d took joins until %d", msg.KeygenId, last)
	}
	return b, nil
}

// TssJoin takes a member's join for the next attempt, which begins when it was the last one.
func (s msgServer) TssJoin(
	ctx context.Context,
	msg *types.MsgTssJoin,
) (*types.MsgTssJoinResponse, error) {
	b, err := s.k.checkJoiner(ctx, msg)
	if err != nil {
		return nil, err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	sdkCtx.GasMeter().ConsumeGas(gasPerSignature, "possession of the session key")
	if err := msg.CheckJoin(sdkCtx.ChainID(), b.member.PubKey); err != nil {
		return nil, err
	}
	session, err := s.k.session(ctx, msg.KeygenId)
	if err != nil {
		return nil, err
	}
	key := collections.Join(msg.KeygenId, []byte(b.signer))
	before, err := s.k.Joins.Get(ctx, key)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return nil, err
	}
	// A transaction that was signed twice would join the attempt after the one that was meant, with
	// a secret that is spent.
	if bytes.Equal(before.Nonce, msg.Nonce) {
		return nil, types.ErrInvalidJoin.Wrap("the member's latest join has this nonce")
	}
	failedBy, err := s.k.parseFailedBy(msg, b)
	if err != nil {
		return nil, err
	}
	join := types.Join{
		FailedBy:   failedBy,
		Nonce:      msg.Nonce,
		SessionKey: msg.SessionKey,
		Attempt:    session.Attempt + 1,
		Height:     sdkCtx.BlockHeight(),
	}
	if err := s.k.Joins.Set(ctx, key, join); err != nil {
		return nil, err
	}
	member, err := s.k.bech32(b.signer)
	if err != nil {
		return nil, err
	}
	events := []proto.Message{
		&types.EventTssJoin{KeygenId: msg.KeygenId, Member: member, Attempt: join.Attempt},
	}
	if before.Attempt != join.Attempt {
		if b.votes {
			session.Joined++
		}
		if b.deals {
			session.Ready++
		}
	}
	all := int(session.Joined) == len(b.keygen.Members)
	if all && b.keygen.Reshare != nil {
		if session.Ready, err = s.k.exclude(ctx, &b, join.Attempt); err != nil {
			return nil, err
		}
	}
	if all && session.Ready >= b.dealing.threshold {
		if session, err = s.k.begin(ctx, b, join.Attempt); err != nil {
			return nil, err
		}
		events = append(events, &types.EventSessionBegun{
			KeygenId: msg.KeygenId,
			Attempt:  session.Attempt,
			Session:  hex.EncodeToString(session.Id),
		})
	}
	if err := s.k.Sessions.Set(ctx, msg.KeygenId, session); err != nil {
		return nil, err
	}
	if err := sdkCtx.EventManager().EmitTypedEvents(events...); err != nil {
		return nil, err
	}
	return &types.MsgTssJoinResponse{Attempt: join.Attempt}, nil
}

// begin makes a session of all members' joins, in a reshare with those of as many dealers as it
// takes.
func (k Keeper) begin(ctx context.Context, b ballot, attempt uint64) (types.Session, error) {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	keygen := b.keygen
	session := types.Session{Attempt: attempt, Height: sdkCtx.BlockHeight()}
	for _, m := range keygen.Members {
		join, err := k.Joins.Get(ctx, collections.Join(keygen.Id, []byte(m.Address())))
		if err != nil {
			return session, err
		}
		session.Members = append(session.Members, join)
	}
	if keygen.Reshare == nil {
		session.Id = types.SessionID(
			sdkCtx.ChainID(), keygen.Id, attempt, keygen.Members, session.Members,
		)
		return session, nil
	}
	var err error
	if session.Dealers, err = k.chooseDealers(ctx, b, attempt); err != nil {
		return session, err
	}
	session.Id = types.ReshareSessionID(
		sdkCtx.ChainID(), keygen.Id, attempt, keygen.Members, session.Members,
		keygen.Reshare.Epoch, session.Dealers,
	)
	return session, nil
}

// session is the latest attempt at a keygen, the zeroth before the first.
func (k Keeper) session(ctx context.Context, keygenID uint64) (types.Session, error) {
	session, err := k.Sessions.Get(ctx, keygenID)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Session{}, nil
	}
	return session, err
}

// removeCeremony removes what state knows of the attempts at a keygen that is closed, of their
// result, and of its members' exempt transactions.
func (k Keeper) removeCeremony(
	ctx context.Context, keygenID uint64, members []types.Member,
) error {
	for _, m := range members {
		key := collections.Join(keygenID, []byte(m.Address()))
		if err := errors.Join(
			k.Attempts.Remove(ctx, key),
			k.JoinAttempts.Remove(ctx, key),
			k.Joins.Remove(ctx, key),
		); err != nil {
			return err
		}
	}
	return errors.Join(k.Sessions.Remove(ctx, keygenID), k.Certificates.Remove(ctx, keygenID))
}
