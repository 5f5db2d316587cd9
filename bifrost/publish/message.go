package publish

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// result makes the vote for a result: with the public shares of all members, or in a split keygen
// the group part or its hash, and, when the member is asked for its envelope, with that, unless the
// members hold it, and the proof that the record holds.
func (p *Publisher) result(
	ctx context.Context, s *keyshares, v vault.Vault, isAsked bool, next *outbox.Record,
) (*outbox.Record, error) {
	msg := &types.MsgTssPool{
		Signer:        p.cfg.Address,
		KeygenId:      next.Epoch,
		PubKey:        next.Vault,
		PubKeyEd25519: next.PubKeyEd25519,
	}
	if v.Split {
		if err := p.checkGroup(ctx, next.Epoch, s); err != nil {
			return nil, err
		}
	}
	if isAsked && !v.IsHeld() {
		var err error
		if msg.KeysharesBackup, err = p.seal(ctx, v, s); err != nil {
			return nil, err
		}
		next.EnvelopeSHA256 = commitmentOf(msg.KeysharesBackup)
	}
	if isAsked {
		msg.Proof = next.Proof
	}
	if v.Split {
		if err := p.carryGroup(ctx, s, next, msg); err != nil {
			return nil, err
		}
	} else {
		msg.PublicShares = &s.public
		if err := p.carry(ctx, next, msg); err != nil {
			return nil, err
		}
	}
	next.Step = outbox.StepMessage
	next.SharesHash = hex.EncodeToString(s.hash)
	return next, setMessage(next, msg)
}

// carry puts the certificate into the vote, unless one stands by then: the chain looks at no other.
// All members have it at about the same time, and one that carries it is enough. So all but the
// first of them wait a little for that.
func (p *Publisher) carry(
	ctx context.Context, next *outbox.Record, msg *types.MsgTssPool,
) error {
	for polls := 0; ; polls++ {
		k, err := p.ask(ctx, next.Epoch)
		if err != nil {
			return err
		}
		if k.Certificate != nil {
			msg.EnvelopesHash = k.Certificate.EnvelopesHash
			return nil
		}
		n := uint64(len(k.Members))
		own := slices.IndexFunc(k.Members, func(m types.Member) bool { return p.isMe(m.PubKey) })
		rank := (uint64(own) + k.Id) % n
		if polls >= int(min(rank, maxCarriers))*resendPolls {
			msg.Certificate, msg.Envelopes = next.Certificate, next.Envelopes
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(p.cfg.Poll):
		}
	}
}

// maxCarriers is after how many members that should have carried a certificate all others do.
const maxCarriers = 3

// giveUp makes a vote that the keygen has failed, now that no certificate can come to stand any
// more: a blame of those whom the record names, or who did not come again, or of nobody.
func (p *Publisher) giveUp(
	k vault.Keygen, next *outbox.Record,
) (*outbox.Record, error) {
	if b := p.absent(k); b != nil {
		p.nameIn(next, b)
	}
	blame := &types.Blame{Reason: "no attempt came to its end in time"}
	if len(next.FailedBy) > 0 {
		blame.Reason, blame.Members = next.FailedReason, next.FailedBy
	}
	next.Step = outbox.StepMessage
	next.Blame = true
	next.EnvelopeSHA256, next.SharesHash, next.Envelopes = "", "", nil
	next.Tx, next.Sequence, next.Term, next.TimeoutHeight = nil, 0, 0, 0
	return next, setMessage(next, &types.MsgTssPool{
		Signer: p.cfg.Address, KeygenId: next.Epoch, Blame: blame,
	})
}

// text is an address in bech32. The prefix is the signer's own, which the chain knows, and an
// address of 20 bytes always has a text.
func (p *Publisher) text(address []byte) string {
	text, err := bech32.ConvertAndEncode(p.cfg.Prefix, address)
	if err != nil {
		panic(err)
	}
	return text
}

func setMessage(r *outbox.Record, msg proto.Message) (err error) {
	r.Message, err = proto.Marshal(msg)
	return err
}

// messageOf decodes the message of a final record.
func messageOf(r *outbox.Record) (proto.Message, error) {
	var msg proto.Message
	switch r.Kind {
	case outbox.Vote:
		msg = &types.MsgTssPool{}
	case outbox.Join:
		msg = &types.MsgTssJoin{}
	case outbox.Check:
		msg = &types.MsgTssCheck{}
	case outbox.Heartbeat:
		msg = &types.MsgHeartbeat{}
	default:
		msg = &types.MsgPublishBackup{}
	}
	if err := proto.Unmarshal(r.Message, msg); err != nil {
		return nil, fmt.Errorf("the outbox holds a malformed message: %w", err)
	}
	return msg, nil
}

// setTerm puts the term into a message that is signed next.
func setTerm(msg proto.Message, term uint64) {
	switch msg := msg.(type) {
	case *types.MsgTssPool:
		msg.Term = term
	case *types.MsgTssJoin:
		msg.Term = term
	case *types.MsgTssCheck:
		msg.Term = term
	case *types.MsgPublishBackup:
		msg.Term = term
	}
}

// kindOf names what a record brings to state.
func kindOf(r *outbox.Record) string {
	switch {
	case r.Kind != outbox.Vote:
		return string(r.Kind)
	case r.Blame:
		return "blame"
	default:
		return "result"
	}
}
