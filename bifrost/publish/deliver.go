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
	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	// gasPerByte is what a chain charges for a byte of a transaction, unless it
	// has changed that parameter of x/auth. The chain bounds the gas of a vote
	// by the size and types.VoteGas, of at least as many members.
	gasPerByte = 10
	// backupTimeout is the number of blocks after which a later publication that
	// found no block is signed again.
	backupTimeout = 100
	// resendPolls is after how many polls a transaction is handed to the node
	// once more, which may have lost it.
	resendPolls = 5
)

// deliver takes every record with a message to state, one transaction at a time:
// the next one is signed when the one before has found its block.
func (p *Publisher) deliver(ctx context.Context, height int64, open map[string]types.KeygenInfo) error {
	var errs []error
	account := &account{}
	waiting := false
	for _, e := range p.idle() {
		settled, err := p.settle(ctx, e, open)
		if p.dead.Load() {
			return errDied
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.rec.name(), err))
			continue
		}
		if settled || waiting || !e.rec.final() || e.rec.Step == StepDone {
			continue
		}
		waiting, err = p.send(ctx, e, height, account)
		if p.dead.Load() {
			return errDied
		}
		if err != nil && p.setErr(e, err, nil) {
			p.log.Error().Err(err).Str("record", e.rec.name()).Msg("it does not reach the chain; trying again")
		}
	}
	return errors.Join(errs...)
}

// idle are the entries that no worker holds: votes by their deadline, then later
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
		if a.isVote() != b.isVote() {
			return a.isVote()
		}
		if a.Deadline != b.Deadline {
			return a.Deadline < b.Deadline
		}
		return a.name() < b.name()
	})
	return list
}

// settle looks whether a record has reached its end in state. It tells whether
// nothing is left to send.
func (p *Publisher) settle(ctx context.Context, e *entry, open map[string]types.KeygenInfo) (bool, error) {
	if !e.rec.isVote() {
		return p.settleBackup(ctx, e)
	}
	k, isOpen := open[e.rec.name()]
	if !isOpen {
		var err error
		if k, err = p.chain.Keygen(ctx, e.rec.KeygenID); err != nil {
			return false, err
		}
		// It may have opened between the two questions.
		isOpen = k.Status == types.KeygenStatus_KEYGEN_STATUS_OPEN
	}
	if err := e.rec.sameKeygen(k); err != nil {
		return false, err
	}
	p.compareShares(e, k)
	if vote := voteOf(k, p.cfg.Address); vote != nil && e.rec.Step != StepDone {
		p.compare(e, vote)
		if err := p.done(e); err != nil {
			return true, err
		}
	}
	if isOpen {
		return e.rec.Step == StepDone, nil
	}
	if e.rec.final() && e.rec.Step != StepDone && k.Status == types.KeygenStatus_KEYGEN_STATUS_READY {
		// The votes are gone once the vault is active: what remains are the backups, and
		// who was silent.
		stands := !slices.Contains(k.Silent, p.cfg.Address)
		if e.rec.EnvelopeSHA256 != "" && k.Vault == e.rec.Vault {
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

// compare looks whether the vote in state is the one that was sent. Another one
// means that a second process votes with this signer's key.
func (p *Publisher) compare(e *entry, vote *types.VoteInfo) {
	got := ""
	if vote.Commitment != nil {
		got = vote.Commitment.Sha256
	}
	if e.rec.final() && (got != e.rec.EnvelopeSHA256 || vote.SharesHash != e.rec.SharesHash || e.rec.Blame != (vote.Vault == "")) {
		p.log.Error().Uint64("keygen", e.rec.KeygenID).Msg("ANOTHER PROCESS VOTES WITH THIS SIGNER'S KEY: the vote in state is not the one that this bifrost made")
	}
}

// stands reports whether a commitment of this member's is in state.
func (p *Publisher) stands(ctx context.Context, vault, sha256 string) (bool, error) {
	commitments, err := p.chain.Backup(ctx, vault, p.cfg.Address)
	stands := slices.ContainsFunc(commitments, func(c types.CommitmentInfo) bool { return c.Sha256 == sha256 })
	return stands, err
}

// done records that the vote stands in state. What had to be sent is not kept, but
// for the proof, of which there must never be another one.
func (p *Publisher) done(e *entry) error {
	next := *e.rec
	if next.Step == StepResult {
		saved, err := p.saveKeyshares(&next)
		if err != nil {
			return err
		}
		next = *saved
	}
	next.Step = StepDone
	next.Message, next.Tx = nil, nil
	if err := p.save(e, &next); err != nil {
		return err
	}
	p.cfg.Metrics.delivered(next.kind()).Inc()
	p.log.Info().Str("record", next.name()).Str("kind", next.kind()).Str("vault", next.Vault).Msg("it stands in state")
	return nil
}

func (r *record) kind() string {
	switch {
	case !r.isVote():
		return "backup"
	case r.Blame:
		return "blame"
	default:
		return "result"
	}
}

// closeVote puts the record of a closed keygen aside. One whose vote did not
// reach its block keeps its message: should the vault live all the same, the
// envelope in it is the one to publish.
func (p *Publisher) closeVote(e *entry, k types.KeygenInfo) error {
	next := *e.rec
	if next.Step == StepResult {
		saved, err := p.saveKeyshares(&next)
		if err != nil {
			return err
		}
		next = *saved
	}
	next.Outcome = "failed"
	if k.Status == types.KeygenStatus_KEYGEN_STATUS_READY {
		next.Outcome = "ready"
	}
	next.Tx = nil
	if next.Step != StepDone {
		p.log.Error().Uint64("keygen", k.Id).Str("step", string(next.Step)).Str("outcome", next.Outcome).Msg("the keygen closed without this member's vote")
		p.cfg.Metrics.missed.Inc()
	}
	return p.close(e, &next)
}

func (p *Publisher) close(e *entry, next *record) error {
	if p.dead.Load() {
		return errDied
	}
	if next.Step == StepNone {
		p.forget(e) // nothing was ever saved
		return nil
	}
	if err := p.outbox.close(next); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	p.forget(e)
	return p.reached("closed")
}

func (p *Publisher) forget(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.entries, e.rec.name())
}

// account is asked for once in a poll.
type account struct {
	known            bool
	number, sequence uint64
}

// send signs the message if need be and hands it to the node. It tells whether
// the transaction may still find a block, so that no other may take its sequence.
func (p *Publisher) send(ctx context.Context, e *entry, height int64, a *account) (waiting bool, err error) {
	if e.rec.isVote() && height >= e.rec.Deadline {
		return false, nil // the next block is too late for it
	}
	if time.Now().Before(e.retryAt) {
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
	if len(r.Tx) == 0 || r.Sequence < a.sequence || e.resign || expired {
		if err := p.signTx(e, height, a); err != nil {
			return false, err
		}
		r = e.rec
	}
	if bytes.Equal(e.sentTx, r.Tx) && time.Since(e.lastSent) < resendPolls*p.cfg.Poll {
		return true, nil
	}
	err = p.chain.Broadcast(ctx, r.Tx)
	if dead := p.reached("sent"); dead != nil {
		return true, dead
	}
	e.sentTx, e.lastSent = r.Tx, time.Now()
	switch {
	case err == nil, errors.Is(err, sdkerrors.ErrTxInMempoolCache):
		p.cfg.Metrics.sent("accepted").Inc()
		p.setErr(e, nil, nil)
		p.log.Info().Str("record", r.name()).Uint64("sequence", r.Sequence).Int("bytes", len(r.Tx)).Msg("sent")
		return true, nil
	case errors.Is(err, sdkerrors.ErrWrongSequence):
		// Signed again at the next poll: the same message, the same envelope.
		p.cfg.Metrics.sent("sequence").Inc()
		e.resign, e.sentTx = true, nil
		return false, nil
	default:
		p.cfg.Metrics.sent("refused").Inc()
		e.retryAt = time.Now().Add(resendPolls * p.cfg.Poll)
		e.resign, e.sentTx = true, nil
		return false, fmt.Errorf("the node did not take the transaction: %w", err)
	}
}

// signTx signs the record's message for the account's sequence.
func (p *Publisher) signTx(e *entry, height int64, a *account) error {
	next := *e.rec
	msg, err := next.message()
	if err != nil {
		return err
	}
	next.Sequence = a.sequence
	next.TimeoutHeight = uint64(next.Deadline)
	if !next.isVote() {
		next.TimeoutHeight = uint64(height) + backupTimeout
	}
	next.Tx, err = p.cfg.SignTx(msg, TxParams{
		AccountNumber: a.number,
		Sequence:      a.sequence,
		Gas:           types.VoteGas(next.gasMembers(msg)) + gasPerByte*uint64(len(next.Message)),
		TimeoutHeight: next.TimeoutHeight,
	})
	if err != nil {
		return fmt.Errorf("signing the transaction: %w", err)
	}
	next.Step = StepTx
	e.resign = false
	return p.save(e, &next)
}

// gasMembers is of how many members the public shares are that a message carries, or
// that the chain reads for it.
func (r *record) gasMembers(msg proto.Message) int {
	if vote, ok := msg.(*types.MsgTssPool); ok {
		if vote.PublicShares == nil {
			return 0
		}
		return len(vote.PublicShares.Secp256k1)
	}
	return r.Members
}

// message decodes the message of a final record.
func (r *record) message() (proto.Message, error) {
	var msg proto.Message = &types.MsgTssPool{}
	if !r.isVote() {
		msg = &types.MsgPublishBackup{}
	}
	if err := proto.Unmarshal(r.Message, msg); err != nil {
		return nil, fmt.Errorf("the outbox holds a malformed message: %w", err)
	}
	return msg, nil
}
