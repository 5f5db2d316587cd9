package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	// backupTimeout is the number of blocks after which a later publication that found no block is
	// signed again.
	backupTimeout = 100
	// heartbeatTimeout is the same for a heartbeat.
	heartbeatTimeout = 10
	// resendPolls is after how many polls a transaction is handed to the node once more, which may
	// have lost it.
	resendPolls = 5
)

// deliver takes every record with a message to state, one transaction at a time: the next one is
// signed when the one before has found its block.
func (p *Publisher) deliver(ctx context.Context, height int64, open map[string]vault.Keygen) error {
	var errs []error
	account := &account{}
	waiting := false
	for _, e := range p.idle() {
		settled, err := p.settle(ctx, e, height, open)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.rec.Name(), err))
			continue
		}
		p.mu.Lock()
		held := p.held(e)
		p.mu.Unlock()
		if settled || waiting || held || !e.rec.Final() || e.rec.Step == outbox.StepDone {
			continue
		}
		waiting, err = p.send(ctx, e, height, account)
		if err != nil && p.setErr(e, err, nil) {
			p.log.Error().
				Err(err).
				Str("record", e.rec.Name()).
				Msg("it does not reach the chain; trying again")
		}
	}
	return errors.Join(errs...)
}

// idle are the entries that no worker holds: joins, checks, votes by their deadline, later
// publications.
func (p *Publisher) idle() []*entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []*entry
	for _, e := range p.entries {
		if e.stop == nil {
			list = append(list, e)
		}
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i].rec, list[j].rec
		if a.Kind != b.Kind {
			return rank(a.Kind) < rank(b.Kind)
		}
		if a.Deadline != b.Deadline {
			return a.Deadline < b.Deadline
		}
		return a.Name() < b.Name()
	})
	return list
}

// rank puts first what others wait for, and last what has no deadline.
func rank(k outbox.Kind) int {
	return slices.Index([]outbox.Kind{
		outbox.Join, outbox.Check, outbox.Vote, outbox.Backup, outbox.Heartbeat,
	}, k)
}

// account is asked for once in a poll.
type account struct {
	known            bool
	number, sequence uint64
}

// send signs the message if need be and hands it to the node. It reports whether the transaction
// may still find a block, so that no other may take its sequence.
func (p *Publisher) send(
	ctx context.Context,
	e *entry,
	height int64,
	a *account,
) (waiting bool, err error) {
	if e.rec.Kind != outbox.Backup && height >= e.rec.Deadline {
		return false, nil // the next block is too late for it
	}
	if height <= e.after || time.Now().Before(e.retryAt) {
		return false, nil
	}
	if !a.known {
		if a.number, a.sequence, err = p.chain.Account(ctx, p.cfg.Address); err != nil {
			return true, err
		}
		a.known = true
	}
	r := e.rec
	expired := r.TimeoutHeight != 0 && height >= int64(r.TimeoutHeight)
	if len(r.Tx) == 0 || r.Sequence < a.sequence || r.Term != p.cfg.Term || e.resign || expired {
		if err := p.signTx(e, height, a); err != nil {
			return false, err
		}
		r = e.rec
	}
	if bytes.Equal(e.sentTx, r.Tx) && time.Since(e.lastSent) < resendPolls*p.cfg.Poll {
		return true, nil
	}
	err = p.chain.Broadcast(ctx, r.Tx)
	e.sentTx, e.lastSent = r.Tx, time.Now()
	switch {
	case err == nil, errors.Is(err, sdkerrors.ErrTxInMempoolCache):
		p.cfg.Metrics.Sent("accepted")
		p.setErr(e, nil, nil)
		p.log.Info().
			Str("record", r.Name()).
			Uint64("sequence", r.Sequence).
			Int("bytes", len(r.Tx)).
			Msg("sent")
		return true, nil
	case errors.Is(err, sdkerrors.ErrWrongSequence):
		// Signed again at the next poll: the same message, the same envelope.
		p.cfg.Metrics.Sent("sequence")
		e.resign, e.sentTx = true, nil
		return false, nil
	default:
		p.cfg.Metrics.Sent("refused")
		e.retryAt = time.Now().Add(resendPolls * p.cfg.Poll)
		e.resign, e.sentTx = true, nil
		return false, fmt.Errorf("the node did not take the transaction: %w", err)
	}
}

// signTx signs the record's message for the account's sequence, in the term of this process. The
// message itself is without one: what was fixed in an earlier term is what is sent in a later one.
func (p *Publisher) signTx(e *entry, height int64, a *account) error {
	next := *e.rec
	msg, err := messageOf(&next)
	if err != nil {
		return err
	}
	setTerm(msg, p.cfg.Term)
	next.Sequence, next.Term = a.sequence, p.cfg.Term
	next.TimeoutHeight = uint64(next.Deadline)
	switch next.Kind {
	case outbox.Backup:
		next.TimeoutHeight = uint64(height) + backupTimeout
	case outbox.Heartbeat: // nothing that others wait for may wait for it for long
		next.TimeoutHeight = min(uint64(next.Deadline), uint64(height)+heartbeatTimeout)
	}
	gas, err := types.SignerGas(msg, next.Members)
	if err != nil {
		return err
	}
	next.Tx, err = p.cfg.SignTx(msg, TxParams{
		AccountNumber: a.number,
		Sequence:      a.sequence,
		Gas:           gas,
		TimeoutHeight: next.TimeoutHeight,
	})
	if err != nil {
		return fmt.Errorf("signing the transaction: %w", err)
	}
	next.Step = outbox.StepTx
	e.resign = false
	return p.save(e, &next)
}
