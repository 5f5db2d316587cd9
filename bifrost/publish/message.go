package publish

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// result makes the vote for a result: with the public shares of all members, and, when the member
// is asked for its envelope, with that and the proof that the record holds.
func (p *Publisher) result(
	ctx context.Context, s *keyshares, v vault.Vault, isAsked bool, next *outbox.Record,
) (*outbox.Record, error) {
	msg := &types.MsgTssPool{
		Signer:           p.cfg.Address,
		KeygenId:         next.Epoch,
		PubKey:           next.Vault,
		PubKeyEd25519:    next.PubKeyEd25519,
		Signature:        next.Signature,
		SignatureEd25519: next.SignatureEd25519,
		PublicShares:     &s.public,
	}
	if isAsked {
		var err error
		if msg.KeysharesBackup, err = p.seal(ctx, next.Vault, s.files); err != nil {
			return nil, err
		}
		msg.Proof = next.Proof
		next.EnvelopeSHA256 = commitmentOf(msg.KeysharesBackup)
	}
	next.Step = outbox.StepMessage
	next.SharesHash = hex.EncodeToString(s.public.Hash(v.PubKey, v.PubKeyEd25519))
	return next, setMessage(next, msg)
}

// giveUp makes a blame of the last failure of a ceremony, now that there is no time for another. A
// failure that was not the others' makes none.
func (p *Publisher) giveUp(e *entry, next *outbox.Record) (*outbox.Record, error) {
	if e.lastBlame == nil {
		return nil, errLate
	}
	blame := &types.Blame{Reason: e.lastBlame.reason}
	for _, m := range e.lastBlame.members {
		blame.Members = append(blame.Members, p.text(m))
	}
	next.Step = outbox.StepMessage
	next.Blame = true
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
	default:
		msg = &types.MsgPublishBackup{}
	}
	if err := proto.Unmarshal(r.Message, msg); err != nil {
		return nil, fmt.Errorf("the outbox holds a malformed message: %w", err)
	}
	return msg, nil
}

// gasMembers is of how many members the public shares are that a message carries, or that the chain
// reads for it.
func gasMembers(r *outbox.Record, msg proto.Message) int {
	if vote, ok := msg.(*types.MsgTssPool); ok {
		if vote.PublicShares == nil {
			return 0
		}
		return len(vote.PublicShares.Secp256k1)
	}
	return r.Members
}

// kindOf names what a record brings to state.
func kindOf(r *outbox.Record) string {
	switch {
	case r.Kind == outbox.Join:
		return "join"
	case r.Kind == outbox.Backup:
		return "backup"
	case r.Blame:
		return "blame"
	default:
		return "result"
	}
}
