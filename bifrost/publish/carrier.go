package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// In a split keygen one vote carries the group part, and the certificate with it, and the others
// name it by its hash, which the chain takes from the block on that has the first. All members have
// the group part: they take turns to carry it, in an order in which nobody can put itself first
// before the result is known.

const (
	// carrierPause is how many blocks a member waits for the one before it.
	carrierPause = 2
	// fewCarriers is how many members carry at once when time runs short: one that is dead and one
	// that is slow lose nothing then.
	fewCarriers = 3
	// lastBlocks is with how many blocks left everyone carries who has not voted.
	lastBlocks = 10
)

// carrierRank is how many of a keygen's members, given by their keys, come before one of them to
// carry the group part with this hash.
func carrierRank(epoch uint64, hash []byte, members [][]byte, own []byte) int {
	turn := func(member []byte) []byte {
		h := sha256.New()
		h.Write(binary.BigEndian.AppendUint64(nil, epoch))
		h.Write(hash)
		h.Write(member)
		return h.Sum(nil)
	}
	rank, mine := 0, turn(own)
	for _, m := range members {
		if bytes.Compare(turn(m), mine) < 0 {
			rank++
		}
	}
	return rank
}

// carries reports whether the member of this rank, of n, carries the group part that its node does
// not know: it could vote for as many blocks as it waited, and so many are left for the vote.
func carries(rank, n int, waited, left int64) bool {
	return waited >= carrierPause*int64(rank) ||
		left <= 2*int64(n) && rank < fewCarriers ||
		left <= lastBlocks
}

// carryGroup puts the group part and the certificate into the vote when it is this member's turn to
// carry them, or the hash once its node shows that another member's vote did. The node takes no
// vote by hash before. What carries them is good for ever: that another one came first does not
// matter to it.
func (p *Publisher) carryGroup(
	ctx context.Context, s *keyshares, next *outbox.Record, msg *types.MsgTssPool,
) error {
	for since := int64(-1); ; {
		k, err := p.ask(ctx, next.Epoch)
		if err != nil {
			return err
		}
		if err := certifiesOther(k, s); err != nil {
			return err
		}
		if k.Certificate != nil {
			msg.GroupHash, msg.EnvelopesHash = s.hash, k.Certificate.EnvelopesHash
			return nil
		}
		if since < 0 {
			since = k.AsOf
		}
		rank := carrierRank(k.Id, s.hash, vault.MemberKeys(k.Members), p.cfg.PubKey)
		if carries(rank, len(k.Members), k.AsOf-since, k.CertificateDeadline-k.AsOf) {
			msg.Group, msg.Certificate, msg.Envelopes = s.group, next.Certificate, next.Envelopes
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(p.cfg.Poll):
		}
	}
}

// checkGroup errs with errOtherShares when the members have agreed on another group part by now:
// nothing has to be sealed for a vote that cannot be cast.
func (p *Publisher) checkGroup(ctx context.Context, epoch uint64, s *keyshares) error {
	k, err := p.ask(ctx, epoch)
	if err != nil {
		return err
	}
	return certifiesOther(k, s)
}

func certifiesOther(k vault.Keygen, s *keyshares) error {
	if k.Certificate != nil && !bytes.Equal(k.Certificate.SharesHash, s.hash) {
		return errOtherShares
	}
	return nil
}
