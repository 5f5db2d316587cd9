package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
)

// entry is a record with what the process remembers of it.
type entry struct {
	rec *outbox.Record
	// stop is set while a worker runs, and ends it. late ends its ceremonies, as their deadline
	// does.
	stop context.CancelFunc
	late context.CancelCauseFunc
	// over says why this process has nothing more to do for the record.
	over error
	err  error

	attempt uint64 // the last one that this process saw begin
	nonce   []byte // of a join
	beacon  int64  // of a heartbeat
	// after is the block after which a check is sent.
	after int64
	// backedUp says that a backup of the vote is made, or not waited for any more.
	backedUp bool
	// keyshares are those that the proof was made of, until the message is.
	keyshares *keyshares
	// envelope is what a later publication gives the other members to hold, and deposited where
	// their receipts come, while they are asked.
	envelope  []byte
	deposited chan deposited

	resign   bool
	lastSent time.Time
	sentTx   []byte
	retryAt  time.Time
}

var (
	// errOver ends a worker: the keygen is closed, or voted on.
	errOver = errors.New("over")
	// errLost says that the keyshares of a keygen's result are not here.
	errLost = errors.New(
		"all members have signed for a result of this keygen, and its keyshares are not here: they were lost after they were stored",
	)
)

// work takes a record to its message, step by step.
func (p *Publisher) work(ctx, ceremonies context.Context, e *entry, k vault.Keygen) {
	defer e.forgetKeyshares()
	log := p.log.With().Uint64("keygen", k.Id).Logger()
	failures := 0
	// next is kept until it is on the disk: what a ceremony gave cannot be had again.
	var next *outbox.Record
	for {
		p.mu.Lock()
		held := p.held(e)
		p.mu.Unlock()
		// Otherwise the vote is another one from now on.
		if held && (p.backedUp(ctx, ceremonies, e, k) == nil || ctx.Err() != nil) {
			return
		}
		var err error
		if next == nil {
			if next, err = p.advance(ctx, ceremonies, e, k); err != nil {
				next = nil // the step was not made
			}
		}
		if err == nil {
			err = p.save(e, next)
		}
		switch {
		case err == nil:
			log.Info().
				Str("step", string(next.Step)).
				Str("vault", next.Vault).
				Bool("blame", next.Blame).
				Msg("keygen goes on")
			p.mu.Lock()
			held = p.held(e)
			p.mu.Unlock()
			if next.Final() && !held {
				return
			}
			next, failures = nil, 0
			continue
		case ctx.Err() != nil || errors.Is(err, errOver):
			return
		case errors.Is(err, errLost) && p.cfg.CatchUp == nil:
			p.setErr(e, err, err)
			log.Error().Err(err).Msg("no vote will be cast on this keygen")
			return
		case errors.Is(err, errLost):
			if missed := p.cfg.CatchUp(ctx); missed != nil && ctx.Err() == nil {
				log.Warn().Err(missed).Msg("what another instance has backed up is not to be had; trying again")
			}
		}
		e.forgetKeyshares()
		var other *ceremony.BlameError
		if errors.As(err, &other) {
			failures = 1 // joining is waiting
		} else {
			failures++
		}
		if p.setErr(e, err, nil) {
			log.Error().Err(err).Msg("the keygen does not go on; trying again")
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(p.cfg.Poll * time.Duration(min(failures, maxBackoff))):
		}
	}
}

// advance does what comes after the record's step and returns the record of the next one, which the
// caller saves. It changes nothing that the record depends on.
func (p *Publisher) advance(
	ctx, ceremonies context.Context,
	e *entry,
	k vault.Keygen,
) (*outbox.Record, error) {
	next := *e.rec
	if ceremonies.Err() != nil && ctx.Err() == nil {
		now, err := p.ask(ctx, next.Epoch)
		if err != nil {
			return nil, err
		}
		if next.Kind == outbox.Deal {
			return nil, errOver
		}
		if now.Certificate == nil {
			if now.AsOf < now.CertificateDeadline {
				return nil, fmt.Errorf(
					"the node lags behind: it shows the keygen after block %d, and until block %d it may come by its result",
					now.AsOf,
					now.CertificateDeadline,
				)
			}
			return p.giveUp(now, &next)
		}
	}
	switch e.rec.Step {
	case outbox.StepNone, outbox.StepResult:
		return p.keygen(ctx, ceremonies, e, &next)
	case outbox.StepCertified:
		return p.keepResult(k, &next)
	case outbox.StepSaved, outbox.StepProven:
		return p.complete(ctx, e, k, &next)
	}
	return nil, errOver
}

// save makes a step durable. Nothing of it is visible before.
func (p *Publisher) save(e *entry, r *outbox.Record) error {
	if r.Kind.IsKept() {
		if err := p.outbox.Save(r); err != nil {
			return fmt.Errorf("outbox: %w", err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !sameFiles(e.rec.Keyshares, r.Keyshares) {
		keyfiles.Wipe(e.rec.Keyshares)
	}
	e.rec, e.err = r, nil
	return nil
}

// sameFiles reports whether two steps of a record hold the same keyshares, not another copy.
func sameFiles(a, b []envelope.File) bool {
	return len(a) > 0 && len(a) == len(b) && &a[0] == &b[0]
}

// setErr notes an error, or that there is none, for the status. It reports whether the error is a
// new one.
func (p *Publisher) setErr(e *entry, err, over error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := err != nil && (e.err == nil || e.err.Error() != err.Error())
	e.err, e.over = err, over
	return fresh
}
