package publish

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// ask returns the keygen as it is now, or errOver when it wants nothing more of this member.
func (p *Publisher) ask(ctx context.Context, id uint64) (vault.Keygen, error) {
	k, err := p.chain.Keygen(ctx, id)
	if err != nil {
		return k, err
	}
	if k.Status != types.KeygenStatus_KEYGEN_STATUS_OPEN || k.VoteOf(p.address) != nil {
		return k, errOver
	}
	return k, nil
}

// errCertified says that the chain has learnt of the result before this member did.
var errCertified = errors.New("a certificate stands already")

// keygen runs one attempt at the keygen, or at the reshare, unless its result is known by then.
func (p *Publisher) keygen(
	ctx, ceremonies context.Context,
	e *entry,
	next *outbox.Record,
) (*outbox.Record, error) {
	k, err := p.ask(ctx, next.Epoch)
	if err != nil {
		return nil, err
	}
	if k.Certificate != nil {
		return p.adopt(k, next)
	}
	h, err := p.handing(ctx, k)
	if err != nil {
		return nil, err
	}
	defer h.wipe()
	p.log.Info().
		Uint64("keygen", k.Id).
		Bool("reshare", k.Reshare != nil).
		Int("members", len(k.Members)).
		Int64("deadline", k.Deadline).
		Msg("joining a keygen")
	attempt, secret, err := p.join(ctx, ceremonies, e, k, p.failedBy(h, e.rec))
	defer clear(secret)
	if errors.Is(err, errCertified) {
		if k, err = p.ask(ctx, next.Epoch); err == nil {
			return p.adopt(k, next)
		}
	}
	if err != nil {
		return nil, err
	}
	watch, stop := context.WithCancel(ceremonies)
	defer stop()
	res, err := p.run(ceremonies, h, attempt, ceremony.KeygenRequest{
		ID: fmt.Sprintf("%s/keygen/%d", p.cfg.ChainID, k.Id),
		Session: ceremony.Session{
			ID: attempt.ID, Keys: attempt.Keys(), Secret: secret,
		},
		Envelopes: p.envelopes(k),
		Left:      p.watchJoins(watch, k.Id, h.with(k.Members), attempt),
		Members:   vault.MemberKeys(k.Members),
		Threshold: int(k.Threshold),
		Keep: func(ctx context.Context, res ceremony.KeygenResult) ([]byte, error) {
			if err := h.check(res); err != nil {
				return nil, err
			}
			return p.keep(ctx, e, k, attempt.ID, res)
		},
	}, k.Id)
	if err != nil {
		if ctx.Err() == nil && ceremonies.Err() == nil {
			err = errors.Join(err, p.failed(e, blameOf(err, p.address, h.with(k.Members))))
		}
		return nil, err
	}
	if next.Kind == outbox.Deal {
		return next, p.dealt(ctx, ceremonies, k.Id)
	}
	height, err := p.chain.Height(ctx)
	if err != nil {
		return nil, err
	}
	if height > k.AttemptDeadline {
		return nil, fmt.Errorf(
			"the attempt ended in block %d, too late for its certificate: that was to be had until block %d",
			height,
			k.AttemptDeadline,
		)
	}
	*next = *e.rec
	next.Step = outbox.StepCertified
	next.Certificate = slices.Concat(res.Certificate...)
	return next, nil
}

// adopt takes the result that the chain has a certificate of, when its keyshares are here: in the
// record, or in their store, where the instance before this one may have had them backed up.
func (p *Publisher) adopt(k vault.Keygen, next *outbox.Record) (*outbox.Record, error) {
	if next.Kind == outbox.Deal {
		return nil, errOver
	}
	pubKey, pubKeyEd25519 := k.Certificate.PubKey, k.Certificate.PubKeyEd25519
	if next.Vault == types.VaultName(pubKey) &&
		next.PubKeyEd25519 == hex.EncodeToString(pubKeyEd25519) {
		next.Step = outbox.StepCertified
		return next, nil
	}
	s, err := p.readKeyshares(k.Makes(pubKey, pubKeyEd25519))
	if errors.Is(err, errNoKeyshares) {
		return nil, errLost
	}
	if err != nil {
		return nil, err
	}
	defer s.wipe()
	if !bytes.Equal(s.hash, k.Certificate.SharesHash) {
		return nil, errLost
	}
	next.Vault, next.PubKeyEd25519 = types.VaultName(pubKey), hex.EncodeToString(pubKeyEd25519)
	next.Keyshares = nil
	p.noteEnvelopes(next, k, k.Certificate.Envelopes)
	next.FailedBy, next.FailedReason = nil, ""
	next.Step = outbox.StepSaved
	return next, nil
}

// keep puts the result of an attempt into the record, in place of that of an earlier one, which
// nobody can make valid any more, and returns what members sign once they have it. What is kept has
// passed the checks that a restore makes.
func (p *Publisher) keep(
	ctx context.Context, e *entry, k vault.Keygen, session []byte, res ceremony.KeygenResult,
) ([]byte, error) {
	v := k.Makes(res.Secp256k1, res.Ed25519)
	names, err := keyfiles.Names(v, p.cfg.Prefix)
	if err != nil {
		return nil, err
	}
	if !slices.EqualFunc(
		res.Files,
		names[:],
		func(f envelope.File, name string) bool { return f.Name == name },
	) {
		return nil, fmt.Errorf(
			"the keygen did not make the two keyshare files %s and %s",
			names[0],
			names[1],
		)
	}
	checked, err := p.checkFiles(v, res.Files)
	if err != nil {
		return nil, fmt.Errorf("the keyshares that the keygen made: %w", err)
	}
	defer checked.Wipe()
	_, _, hash, err := agreed(v, checked)
	if err != nil {
		return nil, err
	}
	next := *e.rec
	next.Step = outbox.StepResult
	next.Vault = v.Name()
	next.PubKeyEd25519 = hex.EncodeToString(v.PubKeyEd25519)
	next.Keyshares = res.Files
	next.FailedBy, next.FailedReason = nil, "" // should it be too late, that is nobody's fault
	result := types.Result{PubKey: v.PubKey, PubKeyEd25519: v.PubKeyEd25519, SharesHash: hash}
	if k.IsHeld() {
		if err := p.hold(k, res.Envelopes, &next, &result); err != nil {
			return nil, err
		}
	}
	if err := p.save(e, &next); err != nil {
		return nil, err
	}
	if err := p.backUpResult(ctx, k, res.Files); err != nil {
		return nil, err
	}
	return types.DoneMessage(session, result), nil
}

// made is the vault that the keygen made, as the record has it.
func made(r *outbox.Record, k vault.Keygen) (vault.Vault, error) {
	pubKey, pubKeyEd25519, err := r.Keys()
	return k.Makes(pubKey, pubKeyEd25519), err
}

// keepResult stores what the keygen made, as read from the record, when it is this member's
// keyshares of the vault: what is stored has passed the checks that a restore makes.
func (p *Publisher) keepResult(k vault.Keygen, next *outbox.Record) (*outbox.Record, error) {
	v, err := made(next, k)
	if err != nil {
		return nil, err
	}
	checked, err := p.checkFiles(v, next.Keyshares)
	if err != nil {
		return nil, fmt.Errorf("the keyshares in the outbox: %w", err)
	}
	checked.Wipe()
	next.Step = outbox.StepSaved
	return next, p.saveKeyshares(next)
}

// saveKeyshares moves the keyshares from the record, if it holds any, to their store.
func (p *Publisher) saveKeyshares(next *outbox.Record) error {
	if len(next.Keyshares) == 0 {
		return nil
	}
	if err := p.storeFiles(next.Epoch, next.Reshare, next.Keyshares); err != nil {
		return fmt.Errorf("keyshares: %w", err)
	}
	next.Keyshares = nil
	return nil
}

// storeFiles stores what a keygen made. Each attempt at it makes other keys, whose files have other
// names; those of a reshare have the same ones, and what an earlier attempt made is of no use.
func (p *Publisher) storeFiles(epoch uint64, reshare bool, files []envelope.File) error {
	if reshare {
		return p.store.Replace(epoch, files)
	}
	return p.store.Save(epoch, files)
}

// failed puts into the record whom an attempt failed by, if it is known. Should the disk not take
// that, it gets there with the record's next step.
func (p *Publisher) failed(e *entry, b *blame) error {
	if b == nil {
		return nil
	}
	next := *e.rec
	p.nameIn(&next, b)
	err := p.save(e, &next)
	if err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		e.rec = &next
	}
	return err
}

func (p *Publisher) nameIn(r *outbox.Record, b *blame) {
	r.FailedBy, r.FailedReason = nil, b.reason
	for _, m := range b.members {
		r.FailedBy = append(r.FailedBy, p.text(m))
	}
}
