package publish

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// settle looks whether a record has reached its end in state. It reports whether nothing is left to
// send.
func (p *Publisher) settle(
	ctx context.Context, e *entry, height int64, open map[string]vault.Keygen,
) (bool, error) {
	switch e.rec.Kind {
	case outbox.Backup:
		return p.settleBackup(ctx, e)
	case outbox.Heartbeat:
		return p.settleHeartbeat(ctx, e, height)
	}
	k, isOpen := open[outbox.VoteName(e.rec.Epoch)]
	switch e.rec.Kind {
	case outbox.Deal:
		if !isOpen {
			p.forget(e)
		}
		return true, nil
	case outbox.Join:
		return isOpen && p.settleJoin(e, k), nil
	case outbox.Check:
		return p.settleCheck(e, k, isOpen), nil
	}
	if !isOpen {
		var err error
		if k, err = p.chain.Keygen(ctx, e.rec.Epoch); err != nil {
			return false, err
		}
		if k.Status == types.KeygenStatus_KEYGEN_STATUS_UNSPECIFIED {
			return p.settleForgotten(e, height)
		}
		// It may have opened between the two questions.
		isOpen = k.Status == types.KeygenStatus_KEYGEN_STATUS_OPEN
	}
	if err := sameKeygen(e.rec, k); err != nil {
		return false, err
	}
	if vote := k.VoteOf(p.address); vote != nil && e.rec.Step != outbox.StepDone {
		p.compare(e, vote)
		if err := p.done(e); err != nil {
			return true, err
		}
	}
	if isOpen {
		if e.rec.Step == outbox.StepDone {
			p.setErr(e, unchecked(k, height), nil)
		}
		return e.rec.Step == outbox.StepDone, nil
	}
	if e.rec.Final() && e.rec.Step != outbox.StepDone &&
		k.Status == types.KeygenStatus_KEYGEN_STATUS_READY {
		// The votes are gone once the vault is active: what remains are the backups, and who was
		// silent.
		stands := !contains(k.Silent, p.address)
		if e.rec.EnvelopeSHA256 != "" && types.VaultName(k.Vault) == e.rec.Vault {
			var err error
			if stands, err = p.stands(ctx, e.rec.Vault, e.rec.EnvelopeSHA256); err != nil {
				return false, err
			}
		}
		if stands {
			if err := p.done(e); err != nil {
				return true, err
			}
		}
	}
	return true, p.closeVote(e, k)
}

// settleForgotten closes the record of a keygen that state holds no more: it failed so long ago
// that it was deleted. A node that is still behind may not know it yet.
func (p *Publisher) settleForgotten(e *entry, height int64) (bool, error) {
	if height <= e.rec.Deadline {
		return false, fmt.Errorf(
			"the node at height %d does not know keygen %d", height, e.rec.Epoch)
	}
	failed := vault.Keygen{Keygen: types.Keygen{
		Id: e.rec.Epoch, Status: types.KeygenStatus_KEYGEN_STATUS_FAILED,
	}}
	return true, p.closeVote(e, failed)
}

// compare looks whether the vote in state is the one that was sent. Another one means that a second
// process votes with this signer's key.
func (p *Publisher) compare(e *entry, vote *vault.Vote) {
	envelope, shares := "", ""
	if vote.Commitment != nil {
		envelope = hex.EncodeToString(vote.Commitment.Sha256)
	}
	if vote.Result != nil {
		shares = hex.EncodeToString(vote.Result.SharesHash)
	}
	if e.rec.Final() &&
		(envelope != e.rec.EnvelopeSHA256 || shares != e.rec.SharesHash ||
			e.rec.Blame != (vote.Result == nil)) {
		p.log.Error().
			Uint64("keygen", e.rec.Epoch).
			Msg("ANOTHER PROCESS VOTES WITH THIS SIGNER'S KEY: the vote in state is not the one that this bifrost made")
	}
}

// stands reports whether a commitment of this member's is in state.
func (p *Publisher) stands(ctx context.Context, vault, sha256 string) (bool, error) {
	commitments, err := p.chain.Backup(ctx, vault, p.cfg.Address)
	stands := slices.ContainsFunc(commitments, func(c types.Commitment) bool {
		return hex.EncodeToString(c.Sha256) == sha256
	})
	return stands, err
}

// done records that the vote stands in state. What had to be sent is not kept, but for the proof,
// of which there must never be another one.
func (p *Publisher) done(e *entry) error {
	next := *e.rec
	if err := p.saveKeyshares(&next); err != nil {
		return err
	}
	next.Step = outbox.StepDone
	next.Message, next.Tx = nil, nil
	if err := p.save(e, &next); err != nil {
		return err
	}
	p.cfg.Metrics.Delivered(kindOf(&next))
	p.log.Info().
		Str("record", next.Name()).
		Str("kind", kindOf(&next)).
		Str("vault", next.Vault).
		Msg("it stands in state")
	return nil
}

// closeVote puts the record of a closed keygen aside. One whose vote did not reach its block keeps
// its message: should the vault live all the same, the envelope in it is the one to publish.
func (p *Publisher) closeVote(e *entry, k vault.Keygen) error {
	next := *e.rec
	if err := p.saveKeyshares(&next); err != nil {
		return err
	}
	next.Outcome = "failed"
	if k.Status == types.KeygenStatus_KEYGEN_STATUS_READY {
		next.Outcome = "ready"
	}
	next.Tx = nil
	if next.Step != outbox.StepDone {
		p.log.Error().
			Uint64("keygen", k.Id).
			Str("step", string(next.Step)).
			Str("outcome", next.Outcome).
			Msg("the keygen closed without this member's vote")
		p.cfg.Metrics.Missed()
	}
	return p.close(e, &next)
}

func (p *Publisher) close(e *entry, next *outbox.Record) error {
	if next.Step == outbox.StepNone && len(next.FailedBy) == 0 {
		p.forget(e) // nothing was ever saved
		return nil
	}
	if err := p.outbox.Close(next); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	p.forget(e)
	return nil
}

func (p *Publisher) forget(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	keyfiles.Wipe(e.rec.Keyshares)
	delete(p.entries, e.rec.Name())
}
