package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/trust"
)

const (
	// period is how long the nodes are left alone between two looks, at least: as long as a look
	// took, if that is longer.
	period = 5 * time.Second
	// stillAfter is how old the latest block may be before the chain is said to stand still, and
	// staleAfter how long nothing may be verified before that is said.
	stillAfter = 3 * time.Minute
	staleAfter = time.Minute
	// slowAfter is how long a look may take before that is said of what was verified before it.
	slowAfter = 5 * time.Minute
)

// view is what is shown at a time. Nothing in it changes any more.
type view struct {
	*report
	segments []segment
	// Content is another number whenever more than the verified block is another.
	content uint64
	// next is closed when there is a newer view.
	next chan struct{}
}

// follower looks at the chain again and again, and has the latest view.
type follower struct {
	nodes  []*chain.Client
	rules  chain.Trust
	looker *looker
	log    *log
	now    func() time.Time
	db     *bbolt.DB
	// patience is slowAfter; tests have less.
	patience time.Duration

	history *history
	// notifier is nil when nobody is to be told.
	notifier *notifier
	// failingSince is when the first of the looks that failed since the last good one did.
	failingSince time.Time

	mu   sync.Mutex
	view *view
	// looks and failures count, for the metrics.
	looks, failures uint64
	took            time.Duration
}

// view returns the latest view.
func (f *follower) latest() *view {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.view
}

// start loads what is known from an earlier time of the chain with this name, without one of the
// chain that was followed last. Nobody is told of anything yet.
func (f *follower) start(chainID string) error {
	if chainID == "" {
		chainID = lastFollowed(f.db)
	}
	r := &report{
		ChainID: chainID, State: stateStarting, Since: f.now().UTC(),
		Vaults: []vault{}, Churns: []churn{}, SitOut: []sitOut{},
	}
	if chainID != "" {
		var before *report
		var err error
		f.history, before, f.looker.audits, err = openHistory(f.db, chainID)
		if err != nil {
			return err
		}
		if before != nil {
			r = before
			r.State, r.Since = stateStale, f.now().UTC()
			r.Failure = "it has only just been started again"
		}
	}
	r.judge()
	f.show(r)
	return nil
}

// tell tells others of the problems of a report.
func (f *follower) tell(r *report) {
	if f.notifier == nil {
		return
	}
	if err := f.notifier.look(r, f.now()); err != nil {
		f.log.problem("notifying", err.Error())
	}
}

// show makes a report the latest view.
func (f *follower) show(r *report) {
	var segments []segment
	if f.history != nil {
		segments = append(segments, f.history.segments...)
	}
	f.put(r, segments)
}

// put makes a report and a history the latest view.
func (f *follower) put(r *report, segments []segment) {
	v := &view{report: r, segments: segments, next: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.view
	f.view = v
	if before == nil {
		// A page that stayed open from before a restart must not take what it shows for the same.
		v.content = uint64(f.now().UnixMilli())
		return
	}
	v.content = before.content
	if !sameContent(before.report, r) {
		v.content++
	}
	close(before.next)
}

// run looks until the context ends.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		begin := time.Now()
		_ = f.once(ctx) // it has shown what came of it
		wait := time.NewTimer(max(period, time.Since(begin)))
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

// close writes what is not written yet.
func (f *follower) close() {
	r := f.latest().report
	if f.history.of(r.ChainID) && r.Verified != nil && len(f.history.segments) > 0 {
		if err := f.history.save(r, f.looker.audits, f.now()); err != nil {
			f.log.problem("the history", err.Error())
		}
	}
}

// once is one look, and shows what came of it. Its error is why nothing could be verified.
func (f *follower) once(ctx context.Context) error {
	begin := f.now()
	r, err := f.attend(ctx, begin)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	now := f.now()
	f.mu.Lock()
	before := f.view.report
	f.looks++
	if err != nil {
		f.failures++
	}
	f.took = now.Sub(begin)
	f.mu.Unlock()
	if err != nil {
		f.log.problem("looking at the chain", err.Error())
		r, lasts := f.failed(before, err, now)
		if lasts {
			f.tell(r)
		}
		f.show(r)
		return err
	}
	f.failingSince = time.Time{}
	f.log.solved("looking at the chain")
	r.State, r.Since = stateVerified, r.Verified.At
	if begin.Sub(r.Verified.BlockTime) > stillAfter {
		r.State, r.Since = stateStill, r.Verified.BlockTime
	} else if before.State == stateVerified {
		r.Since = before.Since
	}
	if f.history != nil {
		if err := f.history.add(r, f.looker.audits, now, !sameContent(before, r)); err != nil {
			f.log.problem("the history", err.Error())
		}
	}
	f.tell(r)
	f.show(r)
	return nil
}

// recall opens what is known of a chain unless it is open, and returns the report to go on from.
func (f *follower) recall(chainID string) *report {
	latest := f.latest().report
	if f.history.of(chainID) {
		return latest
	}
	history, before, audits, err := openHistory(f.db, chainID)
	if err != nil {
		f.log.problem("the history", err.Error())
		f.history = nil
		return latest
	}
	f.history, f.looker.audits = history, audits
	if before != nil {
		return before
	}
	return latest
}

// attend reads a report, and says meanwhile when that takes too long: a node that answers each
// question just in time must not keep what is shown from growing old.
func (f *follower) attend(ctx context.Context, begin time.Time) (r *report, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err = f.look(ctx, begin)
	}()
	late := time.NewTimer(f.patience)
	defer late.Stop()
	select {
	case <-done:
		return r, err
	case <-late.C:
	}
	if v := f.latest(); v.Verified != nil && v.State != stateStale {
		slow := *v.report
		slow.State, slow.Since = stateStale, slow.Verified.At
		slow.Failure = "the nodes take too long to answer"
		f.tell(&slow)
		f.put(&slow, v.segments)
	}
	<-done
	return r, err
}

// look reads a report.
func (f *follower) look(ctx context.Context, now time.Time) (*report, error) {
	light, err := chain.NewLight(ctx, f.nodes, f.looker.prefix, f.rules, now)
	if err != nil {
		return nil, trust.Advise(err)
	}
	state, err := light.Head(ctx, now)
	if err != nil {
		return nil, trust.Advise(err)
	}
	before := f.recall(command.OneLine(light.ChainID()))
	return f.looker.look(ctx, light.ChainID(), state, before, now)
}

// failed is what is shown when a look did not succeed: what was verified before, and why there is
// nothing newer once that lasts.
func (f *follower) failed(before *report, err error, now time.Time) (shown *report, lasts bool) {
	r := *before
	if f.failingSince.IsZero() {
		f.failingSince = now
	}
	r.Failure = reason(err)
	lasts = chain.IsUntrusted(err) || now.Sub(f.failingSince) > staleAfter
	if r.Verified == nil {
		r.State = stateStarting
		return &r, lasts
	}
	if lasts {
		if r.State != stateStale {
			r.State, r.Since = stateStale, r.Verified.At
		}
	} else {
		r.Failure = before.Failure
	}
	return &r, lasts
}

// reason is an error for the public, which learns nothing of the nodes' addresses.
func reason(err error) string {
	switch {
	case errors.Is(err, chain.ErrAttack):
		return "validators have signed two different blocks of one height: an attack is going on"
	case errors.Is(err, chain.ErrExpired):
		return "the last verified block is too old to be built upon"
	case errors.Is(err, chain.ErrUnverified), errors.Is(err, chain.ErrNoHeader),
		errors.Is(err, chain.ErrConflict):
		return "what the nodes show is not what the validators have signed"
	case errors.Is(err, chain.ErrPruned), errors.Is(err, chain.ErrNoBlock):
		return "the nodes do not have the blocks that are needed"
	case chain.IsUntrusted(err), errors.Is(err, trust.ErrUntrusted):
		return "there is no block to trust"
	case errors.Is(err, chain.ErrState):
		return "the chain's records cannot be read: it runs another version of the module"
	}
	return "no node answers"
}

// sameContent reports whether two reports differ in nothing but the verified block.
func sameContent(a, b *report) bool {
	x, y := *a, *b
	x.Verified, y.Verified = nil, nil
	if a.State == b.State {
		x.Since, y.Since = time.Time{}, time.Time{}
	}
	one, _ := json.Marshal(x)
	other, _ := json.Marshal(y)
	return bytes.Equal(one, other)
}

// log writes what happens to standard error, and says what goes on once an hour.
type log struct {
	in  *command.Invocation
	now func() time.Time

	mu   sync.Mutex
	said map[string]time.Time
}

func (l *log) line(text string) {
	l.in.Progress("%s %s", l.now().UTC().Format(time.RFC3339), command.OneLine(text))
}

// problem says what is wrong with something, unless that was said within the hour: with other
// numbers it is the same.
func (l *log) problem(of, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for key, at := range l.said {
		if now.Sub(at) > time.Hour {
			delete(l.said, key)
		}
	}
	key := of + ": " + strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
	if _, ok := l.said[key]; !ok {
		l.said[key] = now
		l.line("warning: " + of + ": " + text)
	}
}

// solved says that something is well again, if it was not.
func (l *log) solved(of string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range l.said {
		if strings.HasPrefix(key, of+": ") {
			delete(l.said, key)
			l.line(of + " works again")
		}
	}
}
