package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// A reshare is a keygen of which the keys are known, and goes its steps: a member of the next epoch
// joins, keeps what the ceremony made, signs for it, proves, votes. What is different is here: who
// deals, and what.

// handing is what a reshare hands on. That of a keygen is nil, and has nothing.
type handing struct {
	Present
	// files are this member's own keyshares of the present epoch, if it may deal.
	files []envelope.File
}

// handing finds out what a reshare hands on, before this member joins it. Who may deal can be
// chosen to, so it does not join before it can: its keyshares are here, and those that state knows.
func (p *Publisher) handing(ctx context.Context, k vault.Keygen) (*handing, error) {
	if k.Reshare == nil {
		return nil, nil
	}
	present, err := p.cfg.Reshares.Present(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("the epoch that reshare %d hands on: %w", k.Id, err)
	}
	h := &handing{Present: present}
	if !k.MayDeal(p.address) {
		return h, nil
	}
	s, err := p.readKeyshares(present.Vault)
	if err == nil && !bytes.Equal(s.hash, present.SharesHash) {
		s.wipe()
		err = errOtherShares
	}
	if err != nil {
		return nil, fmt.Errorf("this member may deal in reshare %d, and cannot from epoch %d: %w",
			k.Id, present.Epoch, err)
	}
	h.files, s.files = s.files, nil
	s.wipe()
	return h, nil
}

// wipe overwrites the secrets.
func (h *handing) wipe() {
	if h != nil {
		keyfiles.Wipe(h.files)
	}
}

// with are members and, after them, those of the epoch that is handed on who are none of them.
func (h *handing) with(members []types.Member) []types.Member {
	if h == nil {
		return members
	}
	return types.Participants(members, h.Members)
}

// maxFailedBy is how many a join may name.
const maxFailedBy = 8

// failedBy are those of the epoch that is handed on whom the attempt before failed by: when enough
// members name one as they join anew, it does not deal in the next. In a keygen nobody is named so.
func (p *Publisher) failedBy(h *handing, r *outbox.Record) (names []string) {
	if h == nil {
		return nil
	}
	for _, m := range h.Members {
		if name := p.text(m.Address()); slices.Contains(r.FailedBy, name) &&
			!p.isMe(m.PubKey) && len(names) < maxFailedBy {
			names = append(names, name)
		}
	}
	return names
}

// check errs when a ceremony did not end with the keys of the vault.
func (h *handing) check(res ceremony.KeygenResult) error {
	if h != nil && (!bytes.Equal(res.Secp256k1, h.PubKey) ||
		!bytes.Equal(res.Ed25519, h.PubKeyEd25519)) {
		return errors.New("the reshare made other keys than the vault's: nothing of it is kept")
	}
	return nil
}

// epoch is the present one as the ceremony takes it, with those who deal in an attempt.
func (h *handing) epoch(attempt *vault.Session) (ceremony.Epoch, error) {
	from := ceremony.Epoch{
		Number: h.Epoch, Members: h.MemberKeys(), Threshold: int(h.Threshold),
	}
	for _, d := range attempt.Dealers {
		m, ok := h.Member(d.Member)
		if !ok {
			return from, fmt.Errorf("%x deals and is no member of epoch %d", d.Member, h.Epoch)
		}
		from.Dealers = append(from.Dealers, m.PubKey)
	}
	for _, m := range h.Members {
		from.Secp256k1 = append(from.Secp256k1, pointOf(h.Shares.Secp256k1, m))
		from.Ed25519 = append(from.Ed25519, pointOf(h.Shares.Ed25519, m))
	}
	return from, nil
}

// pointOf is the public share of a member, nil when there is none.
func pointOf(shares []types.PublicShare, m types.Member) []byte {
	for _, s := range shares {
		if bytes.Equal(s.Member, m.Address()) {
			return s.Point
		}
	}
	return nil
}

// run runs the ceremony of an attempt: a keygen, or a reshare when something is handed on.
func (p *Publisher) run(
	ctx context.Context, h *handing, attempt *vault.Session, req ceremony.KeygenRequest, id uint64,
) (res *ceremony.KeygenResult, err error) {
	begin, kind := time.Now(), "keygen"
	if h == nil {
		res, err = p.cfg.Tss.Keygen(ctx, req)
	} else {
		kind = "reshare"
		reshare := ceremony.ReshareRequest{
			KeygenRequest: req, Epoch: id, Secp256k1: h.PubKey, Ed25519: h.PubKeyEd25519,
		}
		if reshare.From, err = h.epoch(attempt); err != nil {
			return nil, err
		}
		if contains(reshare.From.Dealers, p.cfg.PubKey) {
			reshare.Keyshares = h.files
		}
		res, err = p.cfg.Reshares.Reshare(ctx, reshare)
	}
	p.cfg.Metrics.Ceremony(kind, time.Since(begin), err)
	return res, err
}

// dealt waits for what comes after an attempt in which this member has dealt, and gets nothing. It
// returns errOver when the members have the result, and nil when one of them waits for the next
// attempt.
func (p *Publisher) dealt(ctx, ceremonies context.Context, id uint64) error {
	for {
		k, err := p.ask(ctx, id)
		switch {
		case errors.Is(err, errOver), err == nil && k.Certificate != nil:
			return errOver
		case err == nil && membersWaiting(k) > 0:
			return nil
		}
		select {
		case <-ceremonies.Done():
			return ceremonies.Err()
		case <-time.After(p.cfg.Poll):
		}
	}
}

// membersWaiting is how many members wait for the next attempt.
func membersWaiting(k vault.Keygen) (n int) {
	for _, m := range k.Members {
		if _, ok := k.Waits(m.Address()); ok {
			n++
		}
	}
	return n
}

// dealersWaiting is how many of those who may deal wait for the next attempt.
func dealersWaiting(k vault.Keygen) (n int) {
	for _, address := range k.Able {
		if _, ok := k.Waits(address); ok {
			n++
		}
	}
	return n
}
