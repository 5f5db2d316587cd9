package publish

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	// maxBackoff bounds the polls between two attempts at the same step.
	maxBackoff = 15
	// defaultPoll is the time between two looks at the chain.
	defaultPoll = 2 * time.Second
)

// Config is what a Publisher works with. All fields but Poll are needed.
type Config struct {
	ChainID string
	// Address is the signer's account, PubKey its compressed key.
	Address string
	PubKey  []byte
	// Prefix is the bech32 prefix of accounts; keyshare files are named with it.
	Prefix string
	// Home is the folder in which "outbox" and "keyshares" are.
	Home string

	Chain  Chain
	SignTx SignTx
	Tss    Tss
	// Seal makes an envelope. It is never called twice at a time.
	Seal func(files []envelope.File) ([]byte, error)
	// Prove proves the statement with the mnemonic's recipient key at the index. The
	// error wraps ErrRecipient when that is not the statement's. It does not keep the
	// shares, which are wiped when it returns.
	Prove func(st verenc.Statement, index uint32, shares []verenc.Share) ([]byte, error)

	Log     zerolog.Logger
	Metrics *Metrics
	// Poll is the time between two looks at the chain.
	Poll time.Duration
}

// Publisher takes every open keygen of one signer to a vote in state. Only one
// may work in a home at a time.
type Publisher struct {
	cfg    Config
	chain  Chain
	log    zerolog.Logger
	store  *keystore.Store
	outbox outbox

	// sealing is held while scrypt works: a run takes 256 MiB.
	sealing sync.Mutex

	mu      sync.Mutex // guards what follows, and the entries' fields
	entries map[string]*entry
	status  Status
	// published are the vaults whose backup was seen in state, proven those whose
	// proof was.
	published, proven map[string]bool

	workers sync.WaitGroup

	// afterStep is asked after each durable step; tests let the process die there.
	afterStep func(point string) error
	dead      atomic.Bool
	died      chan struct{}
	// checkKeyshare tells whether a keyshare file belongs to this vault and member.
	checkKeyshare func(file []byte, vault keyshare.VaultKeys, member []byte, members [][]byte) error
	// readShares reads the shares of an epoch from a vault's two keyshare files.
	readShares func(epoch uint64, files []envelope.File) (*vaultShares, error)
}

// entry is a record with what the process remembers of it.
type entry struct {
	rec *record
	// stop is set while a worker runs, and ends it. late ends its ceremonies, as
	// their deadline does.
	stop context.CancelFunc
	late context.CancelCauseFunc
	// over tells that this process has nothing more to do for the record, and why.
	over error
	err  error

	lastBlame *blame // of the last ceremony that failed because of others
	signings  int
	// differs are the members that are known to have other public shares.
	differs map[string]bool

	resign   bool
	lastSent time.Time
	sentTx   []byte
	retryAt  time.Time
}

// New opens the outbox. It errs when a record cannot be read or belongs to
// another chain or signer.
func New(cfg Config) (*Publisher, error) {
	if cfg.Poll <= 0 {
		cfg.Poll = defaultPoll
	}
	p := &Publisher{
		cfg:           cfg,
		chain:         cfg.Chain,
		log:           cfg.Log,
		store:         keystore.NewStore(filepath.Join(cfg.Home, "keyshares")),
		outbox:        outbox{dir: filepath.Join(cfg.Home, "outbox")},
		entries:       map[string]*entry{},
		published:     map[string]bool{},
		proven:        map[string]bool{},
		died:          make(chan struct{}),
		checkKeyshare: checkKeyshare,
		readShares:    readShares,
	}
	records, err := p.outbox.load()
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	for _, r := range records {
		if r.ChainID != cfg.ChainID || r.Signer != cfg.Address {
			return nil, fmt.Errorf("outbox: %s is of signer %s on chain %s: this home was used for something else", r.name(), r.Signer, r.ChainID)
		}
		p.entries[r.name()] = &entry{rec: r}
	}
	return p, nil
}

// Run polls until the context ends, and returns when all of its work has
// stopped.
func (p *Publisher) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer p.workers.Wait()
	defer cancel()
	tick := time.NewTicker(p.cfg.Poll)
	defer tick.Stop()
	for {
		err := p.poll(ctx)
		if p.dead.Load() {
			return errDied
		}
		p.polled(ctx, err)
		select {
		case <-ctx.Done():
			return nil
		case <-p.died:
			return errDied
		case <-tick.C:
		}
	}
}

var (
	// errDied is what a test's process dies of.
	errDied = errors.New("died")
	// errOver ends a worker: the keygen is closed, or voted on.
	errOver = errors.New("over")
	// errLost says that the keyshares of a keygen that others finished are not here.
	errLost = errors.New("the other members have finished this keygen, and its keyshares are not here: they were lost before they were stored")
	// errLate says that there is no time for another ceremony.
	errLate = errors.New("the deadline is near and the result is not complete")
)

func (p *Publisher) poll(ctx context.Context) error {
	height, err := p.chain.Height(ctx)
	if err != nil {
		return err
	}
	all, err := p.chain.OpenKeygens(ctx)
	if err != nil {
		return err
	}
	open := map[string]types.KeygenInfo{}
	for _, k := range all {
		if p.isMember(k.Members) {
			open[voteName(k.Id)] = k
		}
	}
	p.mu.Lock()
	if height < p.status.Height {
		p.mu.Unlock()
		return fmt.Errorf("the node shows block %d after block %d: it lags behind", height, p.status.Height)
	}
	p.status.Height = height
	for name, e := range p.entries {
		if e.stop == nil {
			continue
		}
		if k, ok := open[name]; !ok {
			e.stop()
		} else if height >= lastCall(k) {
			e.late(context.DeadlineExceeded)
		}
	}
	p.mu.Unlock()

	var errs []error
	for name, k := range open {
		errs = append(errs, p.pursue(ctx, name, k, height))
	}
	return errors.Join(append(errs, p.deliver(ctx, height, open), p.republish(ctx))...)
}

func (p *Publisher) isMember(members []types.MemberInfo) bool {
	for _, m := range members {
		if m.Address == p.cfg.Address {
			return true
		}
	}
	return false
}

// lastCall is the height from which no ceremony is begun or awaited: what is left
// is needed to vote.
func lastCall(k types.KeygenInfo) int64 {
	margin := min(max((k.Deadline-k.OpenedHeight)/10, 2), 20)
	return k.Deadline - margin
}

// pursue starts a worker for an open keygen that needs one.
func (p *Publisher) pursue(ctx context.Context, name string, k types.KeygenInfo, height int64) error {
	if height >= k.Deadline || voteOf(k, p.cfg.Address) != nil {
		return nil
	}
	p.mu.Lock()
	e := p.entries[name]
	p.mu.Unlock()
	if e == nil {
		closed, err := p.outbox.closed(name)
		if err != nil {
			return err
		}
		if closed != nil {
			// The node lags behind: this keygen was closed before.
			return closed.sameKeygen(k)
		}
		e = &entry{rec: p.newVote(k)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := e.rec.sameKeygen(k); err != nil {
		return err
	}
	p.entries[name] = e
	if e.stop != nil || e.over != nil || e.rec.final() || p.dead.Load() {
		return nil
	}
	work, stop := context.WithCancel(ctx)
	ceremonies, late := context.WithCancelCause(work)
	e.stop, e.late = stop, late
	if height >= lastCall(k) {
		late(context.DeadlineExceeded)
	}
	p.workers.Go(func() {
		defer stop()
		p.work(work, ceremonies, e, k)
		p.mu.Lock()
		e.stop, e.late = nil, nil
		p.mu.Unlock()
	})
	return nil
}

func (p *Publisher) newVote(k types.KeygenInfo) *record {
	return &record{
		Version: recordVersion, ChainID: p.cfg.ChainID, Signer: p.cfg.Address,
		KeygenID: k.Id, OpenedHeight: k.OpenedHeight, Deadline: k.Deadline,
	}
}

// work takes a record to its message, step by step.
func (p *Publisher) work(ctx, ceremonies context.Context, e *entry, k types.KeygenInfo) {
	log := p.log.With().Uint64("keygen", k.Id).Logger()
	failures := 0
	// next is kept until it is on the disk: what a ceremony gave cannot be had again.
	var next *record
	for {
		var err error
		if next == nil {
			next, err = p.advance(ctx, ceremonies, e, k)
		}
		if err == nil {
			err = p.save(e, next)
		}
		switch {
		case err == nil:
			log.Info().Str("step", string(next.Step)).Str("vault", next.Vault).Bool("blame", next.Blame).Msg("keygen goes on")
			if next.final() {
				return
			}
			next, e.lastBlame = nil, nil
			failures = 0
			continue
		case ctx.Err() != nil || p.dead.Load() || errors.Is(err, errOver):
			return
		case errors.Is(err, errLost), errors.Is(err, errLate) && e.rec.Step == StepNone:
			p.setErr(e, err, err)
			log.Error().Err(err).Msg("no vote will be cast on this keygen")
			return
		}
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

// save makes a step durable. Nothing of it is visible before.
func (p *Publisher) save(e *entry, r *record) error {
	if p.dead.Load() {
		return errDied
	}
	if err := p.outbox.save(r); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	p.mu.Lock()
	e.rec, e.err = r, nil
	p.mu.Unlock()
	return p.reached(string(r.Step))
}

// reached lets tests end the process at a point.
func (p *Publisher) reached(point string) error {
	if p.afterStep == nil {
		return nil
	}
	if p.dead.Load() {
		return errDied
	}
	if err := p.afterStep(point); err != nil {
		if p.dead.CompareAndSwap(false, true) {
			close(p.died)
		}
		return errDied
	}
	return nil
}

// setErr notes an error, or that there is none, for the status. It tells whether
// the error is a new one.
func (p *Publisher) setErr(e *entry, err, over error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := err != nil && (e.err == nil || e.err.Error() != err.Error())
	e.err, e.over = err, over
	return fresh
}

func voteOf(k types.KeygenInfo, member string) *types.VoteInfo {
	for i := range k.Votes {
		if k.Votes[i].Member == member {
			return &k.Votes[i]
		}
	}
	return nil
}
