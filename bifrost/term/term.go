// Package term has one instance of a signer act at a time: the one whose claim is the latest on
// chain. A home remembers its claims. An instance claims the next term when the latest is its
// home's; otherwise another instance has acted since, and this one acts in nothing until somebody
// promotes it.
//
// Every process claims anew, so that of two that began with copies of one home the later one fences
// the earlier one, and neither acts in the term of the other. It goes by the word of its node:
// should that be a lie, consensus refuses the claim. That another instance has the term it believes
// from a verified record alone.
package term

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/gogoproto/proto"
	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

var (
	// ErrFenced means that another instance of the signer has a later term.
	ErrFenced = errors.New("another instance of this signer acts")
	// ErrNotPromoted means that an instance did not take the term that was expected of it.
	ErrNotPromoted = errors.New("not promoted")
)

const (
	// defaultPoll is the time between two looks at the chain.
	defaultPoll = 2 * time.Second
	// timeout is the number of blocks in which a claim finds one, or never does.
	timeout = 20
	// resendPolls is after how many polls a claim is handed to the node once more.
	resendPolls = 5
)

// Chain is what a claim needs of a node; chain.Client is one.
type Chain interface {
	// SignerTerm is the latest claim of a signer, and the block after which it was so.
	SignerTerm(ctx context.Context, address string) (types.QuerySignerTermResponse, int64, error)
	// Account is the number and the next sequence of the signer's account.
	Account(ctx context.Context, address string) (number, sequence uint64, err error)
	// Broadcast hands a transaction to the node. The errors to tell apart are the SDK's.
	Broadcast(ctx context.Context, tx []byte) error
}

// Config is what a Holder works with. All fields but Poll are needed.
type Config struct {
	ChainID string
	// Address is the signer's account.
	Address string
	// Path is the file in which the home remembers its claims.
	Path string
	// Addresses are where other members and tools reach this instance, for the claim.
	Addresses string
	Chain     Chain
	// Sign signs a claim with the signer's key.
	Sign func(msg proto.Message, p chain.TxParams) ([]byte, error)
	// Verified is the verified record of the signer's latest claim, the zeroth when there is none.
	Verified func(context.Context) (types.SignerTerm, error)
	// Standby has an instance wait to be promoted although nobody has claimed yet. Once its home
	// has the latest claim it goes on after a restart as any other does.
	Standby bool
	Log     zerolog.Logger
	Poll    time.Duration
}

// A Holder takes a term, and finds out when it is lost.
type Holder struct {
	cfg Config

	requests chan request

	mu       sync.Mutex // guards what follows
	file     file
	status   Status
	promoted bool // the term that this instance has came by a promotion
	acted    bool // this process has had a term
}

// request asks a fenced instance for a promotion.
type request struct {
	expect uint64
	answer chan<- error
}

// State is how an instance stands with its signer's term.
type State string

const (
	// Waiting is that there is no answer of the node yet, a claim is under way, or none is free.
	Waiting State = "claiming"
	// Acting is that the term is this instance's.
	Acting State = "acting"
	// Fenced is that another instance has claimed since this home did.
	Fenced State = "FENCED"
	// Standby is the same of an instance that is meant to stand by, and has not acted itself since
	// it started.
	Standby State = "standby"
)

// Status is what an operator may know of the term.
type Status struct {
	State State `json:"state"`
	// Term is the latest that was seen on chain, Height the block of its claim, and Addresses what
	// it says of where its instance is reached.
	Term      uint64 `json:"term"`
	Height    int64  `json:"height"`
	Addresses string `json:"addresses"`
	// Reason is why this instance does not act, empty when it does.
	Reason string `json:"reason"`
}

// Open reads what the home remembers. It errs when that is damaged, or of another signer or chain.
func Open(cfg Config) (*Holder, error) {
	if cfg.Poll <= 0 {
		cfg.Poll = defaultPoll
	}
	h := &Holder{
		cfg: cfg, requests: make(chan request),
		status: Status{State: Waiting, Reason: "the node has not said the signer's term yet"},
	}
	var err error
	h.file, err = load(cfg.Path, cfg.ChainID, cfg.Address)
	return h, err
}

// Status returns a copy.
func (h *Holder) Status() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status
}

// Promoted reports whether the term that [Holder.Acquire] returned came by a promotion: then the
// home may lack what the instance before has made.
func (h *Holder) Promoted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.promoted
}

// Idle reports whether this instance waits to be promoted.
func (s Status) Idle() bool { return s.State == Fenced || s.State == Standby }

// Problems are what keeps this instance from acting, unless it is to stand by.
func (s Status) Problems() []string {
	if s.State == Acting || s.State == Standby {
		return nil
	}
	return []string{s.Reason}
}

// Promote has an instance that is fenced or stands by claim the term after the expected one, and
// returns when that is this instance's. It errs with [ErrNotPromoted] when another term is the
// latest: so a command that is repeated changes nothing.
func (h *Holder) Promote(ctx context.Context, expect uint64) error {
	answer := make(chan error, 1)
	poll := time.NewTicker(h.cfg.Poll)
	defer poll.Stop()
	for {
		if st := h.Status(); !st.Idle() {
			return fmt.Errorf("%w: this instance does not wait for it, it is %s: term %d",
				ErrNotPromoted, st.State, st.Term)
		}
		select {
		case h.requests <- request{expect, answer}:
			select {
			case err := <-answer:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// attempt is a claim of this process that is under way.
type attempt struct {
	pending
	number, sequence uint64
	tx               []byte
	sent             int // polls since it was handed to the node
}

// Acquire claims the next term when the latest is this home's, or when a promotion says so, and
// returns the new one once it holds.
func (h *Holder) Acquire(ctx context.Context) (uint64, error) {
	var mine *attempt
	var promoted chan<- error // of the promotion whose claim is under way
	answer := func(err error) {
		if promoted != nil {
			promoted <- err
			promoted = nil
		}
	}
	defer func() { answer(fmt.Errorf("%w: bifrost stops", ErrNotPromoted)) }()
	for {
		seen, height, err := h.cfg.Chain.SignerTerm(ctx, h.cfg.Address)
		if err != nil {
			h.say(Waiting, nil, fmt.Sprintf("the signer's term is not known: %v", err))
		} else {
			latest := claim{Term: seen.Term, Nonce: seen.Nonce}
			if mine != nil && mine.claim == latest {
				if err := h.keep(file{claim: latest}); err != nil {
					return 0, err
				}
				h.say(Acting, &seen, "")
				h.mu.Lock()
				h.promoted, h.acted = promoted != nil, true
				h.mu.Unlock()
				answer(nil)
				return latest.Term, nil
			}
			fenced := ""
			if h.cfg.Standby && latest.Term == 0 && promoted == nil {
				h.idle(&seen, "nobody has claimed")
			} else if mine, fenced, err = h.step(ctx, mine, latest, seen, height); err != nil {
				return 0, err
			}
			if fenced != "" {
				answer(fmt.Errorf("%w: %s", ErrNotPromoted, fenced))
			}
		}
		requests := h.requests
		if promoted != nil {
			requests = nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case r := <-requests:
			promoted = r.answer
			if err := h.promote(r.expect, seen); err != nil {
				answer(err)
			}
		case <-time.After(h.cfg.Poll):
		}
	}
}

// step does what can be done for a claim after a look at the chain. It says by whom the instance is
// fenced, if it is. An error is the disk's.
func (h *Holder) step(
	ctx context.Context, mine *attempt,
	latest claim, seen types.QuerySignerTermResponse, height int64,
) (now *attempt, fenced string, err error) {
	h.mu.Lock()
	known := h.file
	h.mu.Unlock()
	if p := known.Pending; p != nil && p.claim == latest {
		// That of a process before this one in the same home.
		known = file{claim: latest}
		if err := h.keep(known); err != nil {
			return nil, "", err
		}
	}
	switch {
	case latest.Term < known.Term:
		h.say(Waiting, &seen, fmt.Sprintf("the node shows term %d of the signer, and this home has had "+
			"term %d: it lags behind, or is of another chain of the same name", latest.Term, known.Term))
		return mine, "", nil
	case latest != known.claim:
		return nil, h.idle(&seen, fmt.Sprintf("term %d, claimed in block %d, is another instance's",
			latest.Term, seen.Height)), nil
	case mine != nil && height <= mine.Timeout:
		h.send(ctx, mine, &seen)
		return mine, "", nil
	case mine == nil && known.Pending != nil && height <= known.Pending.Timeout:
		h.say(Waiting, &seen, fmt.Sprintf("a claim of this home's from before it started may find a "+
			"block until %d", known.Pending.Timeout))
		return nil, "", nil
	case seen.FreeClaims == 0:
		h.say(Waiting, &seen, fmt.Sprintf("%d starts in a while: the next claim is free in block %d, "+
			"and until then this instance acts in nothing", types.MaxExemptClaims, seen.FreeClaimsHeight))
		return nil, "", nil
	}
	nonce := make([]byte, types.ClaimNonceSize)
	_, _ = rand.Read(nonce) // never fails
	mine = &attempt{pending: pending{
		claim: newClaim(latest.Term+1, nonce), Timeout: height + timeout,
	}}
	// On the disk before anybody sees it: should this process die, the next one knows it.
	if err := h.keep(file{claim: latest, Pending: &mine.pending}); err != nil {
		return nil, "", err
	}
	h.send(ctx, mine, &seen)
	return mine, "", nil
}

// idle says why the instance waits to be promoted, and returns it.
func (h *Holder) idle(seen *types.QuerySignerTermResponse, why string) (reason string) {
	h.mu.Lock()
	stands := h.cfg.Standby && !h.acted
	h.mu.Unlock()
	if stands {
		reason = fmt.Sprintf("standing by: %s; to have this one act: bifrost promote --expect %d",
			why, seen.Term)
		if h.say(Standby, seen, reason) {
			h.cfg.Log.Info().Uint64("term", seen.Term).Int64("claimed", seen.Height).
				Str("addresses", seen.Addresses).Msg("standing by, and acting in nothing")
		}
		return reason
	}
	reason = fmt.Sprintf("fenced: %s; if that one is gone for good: bifrost promote --expect %d",
		why, seen.Term)
	if h.say(Fenced, seen, reason) {
		h.cfg.Log.Error().Uint64("term", seen.Term).Int64("claimed", seen.Height).
			Str("addresses", seen.Addresses).
			Msg("FENCED: another instance of this signer acts, and this one acts in nothing")
	}
	return reason
}

// promote takes over the latest claim as this home's, when it is the expected one.
func (h *Holder) promote(expect uint64, seen types.QuerySignerTermResponse) error {
	switch {
	case !h.Status().Idle():
		return fmt.Errorf("%w: this instance does not wait for it", ErrNotPromoted)
	case seen.Term != expect:
		return fmt.Errorf("%w: term %d is the latest, not %d", ErrNotPromoted, seen.Term, expect)
	}
	h.cfg.Log.Warn().Uint64("expected", expect).Msg("this instance is promoted: it claims the next term")
	err := h.keep(file{claim: claim{Term: seen.Term, Nonce: seen.Nonce}})
	if err == nil {
		h.say(Waiting, &seen, "promoted, and claiming the next term")
	}
	return err
}

// send signs a claim if need be and hands it to the node, now and then.
func (h *Holder) send(ctx context.Context, a *attempt, seen *types.QuerySignerTermResponse) {
	if a.sent--; a.sent > 0 {
		return
	}
	err := h.broadcast(ctx, a)
	switch {
	case err == nil, errors.Is(err, sdkerrors.ErrTxInMempoolCache):
		a.sent = resendPolls
		h.say(Waiting, seen, fmt.Sprintf("claiming term %d, until block %d", a.Term, a.Timeout))
	case errors.Is(err, sdkerrors.ErrWrongSequence):
		// Another transaction waits, or has found its block: signed again at the next look.
		a.tx = nil
		h.say(Waiting, seen, fmt.Sprintf("claiming term %d after a transaction that waits", a.Term))
	default:
		a.tx, a.sent = nil, resendPolls
		if h.say(Waiting, seen, fmt.Sprintf("the node did not take the claim of term %d: %v", a.Term, err)) {
			h.cfg.Log.Warn().Err(err).Uint64("term", a.Term).Msg("the node did not take the claim")
		}
	}
}

func (h *Holder) broadcast(ctx context.Context, a *attempt) error {
	number, sequence, err := h.cfg.Chain.Account(ctx, h.cfg.Address)
	if err != nil {
		return err
	}
	if a.tx == nil || a.number != number || a.sequence != sequence {
		nonce, err := a.bytes()
		if err != nil {
			return err
		}
		msg := &types.MsgClaimSigner{
			Signer: h.cfg.Address, ExpectedTerm: a.Term - 1, Nonce: nonce,
			Addresses: h.cfg.Addresses,
		}
		gas, err := types.SignerGas(msg, 0)
		if err != nil {
			return err
		}
		a.tx, err = h.cfg.Sign(msg, chain.TxParams{
			ChainID: h.cfg.ChainID, AccountNumber: number, Sequence: sequence, Gas: gas,
			TimeoutHeight: uint64(a.Timeout),
		})
		if err != nil {
			return fmt.Errorf("signing the claim: %w", err)
		}
		a.number, a.sequence = number, sequence
	}
	return h.cfg.Chain.Broadcast(ctx, a.tx)
}

// Watch looks at the term that [Holder.Acquire] returned until another instance has a later one: it
// returns [ErrFenced] then.
func (h *Holder) Watch(ctx context.Context) error {
	h.mu.Lock()
	own := h.file.claim
	h.mu.Unlock()
	later := func(c claim) bool { return c.Term > own.Term || c.Term == own.Term && c != own }
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(h.cfg.Poll):
		}
		// The loop of this process says so when the chain cannot be asked.
		seen, _, err := h.cfg.Chain.SignerTerm(ctx, h.cfg.Address)
		if err != nil || !later(claim{Term: seen.Term, Nonce: seen.Nonce}) {
			continue
		}
		verified, err := h.cfg.Verified(ctx)
		if err != nil || !later(newClaim(verified.Term, verified.Nonce)) {
			continue // the node's word alone, or ahead of the verified header
		}
		h.say(Fenced, &seen, fmt.Sprintf("fenced: term %d is another instance's", verified.Term))
		return fmt.Errorf("%w: in term %d, since block %d", ErrFenced, verified.Term, verified.Height)
	}
}

// keep makes what the home remembers durable.
func (h *Holder) keep(f file) error {
	if err := f.save(h.cfg.Path, h.cfg.ChainID, h.cfg.Address); err != nil {
		return fmt.Errorf("the signer's term: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.file = f
	return nil
}

// say notes how the instance stands. It reports whether that is new.
func (h *Holder) say(state State, seen *types.QuerySignerTermResponse, reason string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	fresh := h.status.State != state || h.status.Reason != reason
	h.status.State, h.status.Reason = state, reason
	if seen != nil {
		h.status.Term, h.status.Height = seen.Term, seen.Height
		h.status.Addresses = seen.Addresses
	}
	return fresh
}
