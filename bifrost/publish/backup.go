package publish

import (
	"context"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/vault"
)

// backedUp returns when the home is backed up with the keyshares that a keygen made, and an error
// of what a backup is not waited for any more. Unless it is strict, that takes at most half of the
// blocks in which the vote can be cast: a full disk must not silence a signer.
func (p *Publisher) backedUp(ctx, ceremonies context.Context, e *entry, k vault.Keygen) error {
	if p.cfg.Backup == nil || e.backedUp {
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
			e.backedUp = true
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
		e.backedUp = true
		return nil
	}
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
