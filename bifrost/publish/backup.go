package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
)

// backUpResult has the keyshares that an attempt made backed up before this member signs for them:
// so a member that is lost from then on comes back with them. Unless it is strict, that takes at
// most half of the time that is left to sign in.
func (p *Publisher) backUpResult(
	ctx context.Context, k vault.Keygen, files []envelope.File,
) error {
	if p.cfg.Backup == nil {
		return nil
	}
	if err := p.storeFiles(k.Id, k.Reshare != nil, files); err != nil {
		return fmt.Errorf("keyshares: %w", err)
	}
	wait := ctx
	if until, ok := ctx.Deadline(); ok && !p.cfg.StrictBackup {
		var stop context.CancelFunc
		wait, stop = context.WithTimeout(ctx, time.Until(until)/2)
		defer stop()
	}
	err := p.cfg.Backup(wait)
	if err == nil || ctx.Err() != nil || p.cfg.StrictBackup {
		return err
	}
	p.log.Error().Err(err).Uint64("keygen", k.Id).Msg("THE KEYSHARES ARE NOT BACKED UP, or a required " +
		"sink lacks the copy: this member signs for them all the same, not to fail the keygen")
	return nil
}

// backedUp returns when the home is backed up with the message of a vote, and an error of what a
// backup is not waited for any more: what leaves this host is elsewhere before. Unless it is
// strict, that takes at most half of the blocks in which the vote can be cast: a full disk must not
// silence a signer.
func (p *Publisher) backedUp(ctx, ceremonies context.Context, e *entry, k vault.Keygen) error {
	if p.cfg.Backup == nil {
		return nil
	}
	var until int64
	if now, err := p.ask(ctx, k.Id); err == nil {
		until = halfway(now)
	}
	ctx, stop := context.WithCancel(ctx)
	made := make(chan struct{})
	p.workers.Go(func() {
		if p.cfg.Backup(ctx) == nil {
			close(made)
		}
	})
	defer stop()
	tick := time.NewTicker(p.cfg.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-made:
			p.release(e)
			return nil
		case <-tick.C:
		}
		now, err := p.ask(ctx, k.Id)
		switch {
		case err != nil:
			continue
		case ceremonies.Err() != nil && now.Certificate == nil:
			return ceremonies.Err() // the vote is another one from now on
		case p.cfg.StrictBackup:
			continue
		}
		if until == 0 {
			until = halfway(now)
		}
		if now.AsOf < until {
			continue
		}
		p.log.Error().Uint64("keygen", k.Id).Msg("THE HOME IS NOT BACKED UP, or a required sink " +
			"lacks the copy: the vote is cast without, because half of the blocks for it are over")
		p.cfg.Metrics.NotBackedUp()
		p.release(e)
		return nil
	}
}

// release lets a vote be sent.
func (p *Publisher) release(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.backedUp = true
}

// held reports whether a vote waits for its backup. It is called with the lock held.
func (p *Publisher) held(e *entry) bool {
	return p.cfg.Backup != nil && !e.backedUp &&
		e.rec.Kind == outbox.Vote && e.rec.Step == outbox.StepMessage && !e.rec.Blame
}

// halfway is the block in the middle between that of a keygen's state and the last one in which a
// result can come to stand.
func halfway(k vault.Keygen) int64 {
	last := k.Deadline
	if k.Certificate == nil {
		last = k.CertificateDeadline
	}
	return k.AsOf + max(last-k.AsOf, 0)/2
}
