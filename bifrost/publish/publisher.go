package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	// maxBackoff bounds the polls between two attempts at the same step.
	maxBackoff = 15
	// defaultPoll is the time between two looks at the chain.
	defaultPoll = 2 * time.Second
)

// Config is what a Publisher works with. All fields but Poll, Metrics, SignBeat and those of
// backups are needed.
type Config struct {
	ChainID string
	// Address is the signer's account, PubKey its compressed key.
	Address string
	PubKey  []byte
	// Prefix is the bech32 prefix of accounts; keyshare files are named with it.
	Prefix string

	// Outbox holds what is on its way. Only one publisher may work in it at a time.
	Outbox *outbox.Outbox
	// Store keeps the keyshare files.
	Store Store

	Chain  Chain
	SignTx SignTx
	Tss    Tss
	// Reshares is nil of a signer that takes part in no reshare.
	Reshares Reshares
	// Seal makes an envelope with this scrypt work factor. It is never called twice at a time:
	// scrypt takes 256 MiB × 2^(workFactor−18).
	Seal func(files []envelope.File, workFactor int) ([]byte, error)
	// Hold keeps the envelopes of an epoch's members, which is a keygen's number, and returns when
	// they are durable. Deposit brings the other members of a vault this member's envelope, and
	// returns as many receipts of theirs as a publication takes; the error says who gave none. It
	// takes as long as the slowest of them. Without the two the signer takes part in no keygen
	// whose members hold each other's envelopes.
	Hold    func(epoch uint64, envelopes [][]byte) error
	Deposit func(ctx context.Context, v vault.Vault, envelope []byte) ([]types.Receipt, error)

	// Prove proves the statement with the mnemonic's recipient key at the index. The error wraps
	// ErrRecipient when that is not the statement's. It does not keep the shares, which are wiped
	// when it returns.
	Prove func(st verenc.Statement, index uint32, shares []verenc.Share) ([]byte, error)

	// SignBeat signs a heartbeat with the mnemonic's recipient key. The error wraps ErrRecipient
	// when that is not this one. Nil is of a signer that sends none.
	SignBeat func(b verenc.Beat, recipient types.Recipient) ([]byte, error)

	// Backup returns when all that the Store and the Outbox keep is backed up elsewhere, or the
	// context has ended. Nil is of a home without backups.
	Backup func(context.Context) error
	// CatchUp looks for keyshares that an instance of this signer before has backed up, as one does
	// that still acted where it could not know that it has no term any more. It is asked again and
	// again while the keyshares of a result are missing. Nil is of one that follows no backups.
	CatchUp func(context.Context) error
	// StrictBackup has this member sign for no result, and send no vote for it, before its backup;
	// without it both wait for a part of their time.
	StrictBackup bool
	// Term is the signer's, in which this process acts: 0 where nobody claims one.
	Term uint64
	// NotBefore is the block that a keygen must open after for this signer to take part in it.
	NotBefore int64

	Log zerolog.Logger
	// Metrics is told how the loop goes; nil when nobody counts.
	Metrics Metrics
	// Poll is the time between two looks at the chain.
	Poll time.Duration
}

// Store keeps keyshare files; keystore.Store is one.
type Store interface {
	// Save keeps all files of an epoch or none and never replaces one that differs.
	Save(epoch uint64, files []envelope.File) error
	// Replace keeps files of an epoch in place of those of the same names: of an attempt at a
	// reshare in place of what the one before made. Without [Config.Reshares] nothing asks for it.
	Replace(epoch uint64, files []envelope.File) error
	// Load returns a file of an epoch that is there. The error of one that is not wraps
	// [fs.ErrNotExist].
	Load(epoch uint64, name string) ([]byte, error)
	// List returns the names of the files of an epoch that are there.
	List(epoch uint64) ([]string, error)
}

// Publisher takes every open keygen of one signer to a vote in state.
type Publisher struct {
	cfg    Config
	chain  Chain
	log    zerolog.Logger
	store  Store
	outbox *outbox.Outbox
	// address is this signer's, raw.
	address []byte
	// checkFiles finds out whether files are this member's keyshares of a vault.
	checkFiles func(v vault.Vault, files []envelope.File) (checkedKeyshares, error)
	// split makes the secrets file of two keyshare files that were checked.
	split func(v vault.Vault, files []envelope.File, group []byte) (envelope.File, error)

	// sealing is held while scrypt works.
	sealing sync.Mutex

	mu      sync.Mutex // guards what follows, and the entries' fields
	entries map[string]*entry
	signing map[uint64]*signing
	status  Status
	// published are the epochs of which a backup was seen in state, proven those of which the proof
	// was.
	published, proven map[uint64]bool
	// beats are what was last seen of the heartbeats in an epoch.
	beats map[uint64]*beats

	workers sync.WaitGroup
}

// New opens the outbox. It errs when a record cannot be read or belongs to another chain or signer.
func New(cfg Config) (*Publisher, error) {
	if cfg.Poll <= 0 {
		cfg.Poll = defaultPoll
	}
	if cfg.Metrics == nil {
		cfg.Metrics = uncounted{}
	}
	p := &Publisher{
		cfg:       cfg,
		chain:     cfg.Chain,
		log:       cfg.Log,
		store:     cfg.Store,
		outbox:    cfg.Outbox,
		address:   types.SignerAddress(cfg.PubKey),
		entries:   map[string]*entry{},
		signing:   map[uint64]*signing{},
		published: map[uint64]bool{},
		proven:    map[uint64]bool{},
		beats:     map[uint64]*beats{},
	}
	p.checkFiles = func(v vault.Vault, files []envelope.File) (checkedKeyshares, error) {
		return keyfiles.Check(v, files, cfg.PubKey)
	}
	p.split = keyfiles.SecretsFile
	records, err := p.outbox.Load()
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	for _, r := range records {
		if r.ChainID != cfg.ChainID || r.Signer != cfg.Address {
			return nil, fmt.Errorf(
				"outbox: %s is of signer %s on chain %s: this home was used for something else",
				r.Name(),
				r.Signer,
				r.ChainID,
			)
		}
		p.entries[r.Name()] = &entry{rec: r}
	}
	return p, nil
}

// Run polls until the context ends, and returns when all of its work has stopped.
func (p *Publisher) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer p.workers.Wait()
	defer cancel()
	tick := time.NewTicker(p.cfg.Poll)
	defer tick.Stop()
	for {
		p.polled(ctx, p.poll(ctx))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (p *Publisher) poll(ctx context.Context) error {
	height, err := p.chain.Height(ctx)
	if err != nil {
		return err
	}
	all, err := p.chain.OpenKeygens(ctx)
	if err != nil {
		return err
	}
	open := map[string]vault.Keygen{}
	for _, k := range all {
		if p.takesPart(k) && k.OpenedHeight > p.cfg.NotBefore {
			open[outbox.VoteName(k.Id)] = k
		}
	}
	p.mu.Lock()
	if height < p.status.Height {
		p.mu.Unlock()
		return fmt.Errorf(
			"the node shows block %d after block %d: it lags behind",
			height,
			p.status.Height,
		)
	}
	p.status.Height = height
	for _, e := range p.entries {
		if e.stop == nil {
			continue
		}
		if k, ok := open[outbox.VoteName(e.rec.Epoch)]; !ok {
			e.stop()
		} else if height > k.CertificateDeadline {
			e.late(context.DeadlineExceeded)
		}
	}
	p.mu.Unlock()

	var errs []error
	for _, k := range open {
		errs = append(errs, p.pursue(ctx, k, height), p.check(ctx, k, height))
	}
	p.stopSigning(open)
	return errors.Join(append(errs, p.deliver(ctx, height, open), p.republish(ctx))...)
}

// pursue starts a worker for an open keygen that needs one.
func (p *Publisher) pursue(ctx context.Context, k vault.Keygen, height int64) error {
	if height >= k.Deadline || k.VoteOf(p.address) != nil {
		return nil
	}
	late := height > k.CertificateDeadline
	if p.dealsOnly(k) && (late || k.Certificate != nil) {
		return nil // what is left of it is the members'
	}
	name := p.newRecord(k).Name()
	p.mu.Lock()
	e := p.entries[name]
	p.mu.Unlock()
	if e == nil {
		closed, err := p.outbox.Closed(name)
		if err != nil {
			return err
		}
		if closed != nil {
			// The node lags behind: this keygen was closed before.
			return sameKeygen(closed, k)
		}
		e = &entry{rec: p.newRecord(k)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := sameKeygen(e.rec, k); err != nil {
		return err
	}
	p.entries[name] = e
	// From then on, and only without a certificate, the chain takes votes that it has failed.
	failed := late && k.Certificate == nil && !e.rec.Blame && e.rec.Step != outbox.StepDone
	if e.stop != nil || e.over != nil || e.rec.Final() && !failed && !p.held(e) {
		return nil
	}
	work, stop := context.WithCancel(ctx)
	ceremonies, end := context.WithCancelCause(work)
	e.stop, e.late = stop, end
	if late {
		end(context.DeadlineExceeded)
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

// takesPart reports whether this signer has a part in a keygen: as a member, or in a reshare as one
// that may deal.
func (p *Publisher) takesPart(k vault.Keygen) bool {
	if k.Reshare != nil && p.cfg.Reshares == nil || k.IsHeld() && p.cfg.Hold == nil {
		return false
	}
	_, _, isMember := k.Member(p.address)
	return isMember || k.MayDeal(p.address)
}

// dealsOnly reports whether this signer's part in a reshare is to deal: it votes on nothing, and no
// record of it is kept.
func (p *Publisher) dealsOnly(k vault.Keygen) bool {
	_, _, isMember := k.Member(p.address)
	return !isMember
}

func (p *Publisher) newRecord(k vault.Keygen) *outbox.Record {
	kind := outbox.Vote
	if p.dealsOnly(k) {
		kind = outbox.Deal
	}
	return &outbox.Record{
		ChainID: p.cfg.ChainID, Signer: p.cfg.Address, Kind: kind, Epoch: k.Id,
		OpenedHeight: k.OpenedHeight, Deadline: k.Deadline, Reshare: k.Reshare != nil,
	}
}

// sameKeygen errs when the record is of another keygen with the same number: of a chain that was
// started again under its old name.
func sameKeygen(r *outbox.Record, k vault.Keygen) error {
	if r.OpenedHeight == k.OpenedHeight && r.Deadline == k.Deadline {
		return nil
	}
	return fmt.Errorf(
		"the outbox holds keygen %d as opened in block %d, the chain in block %d: it is another chain of the same name",
		k.Id,
		r.OpenedHeight,
		k.OpenedHeight,
	)
}
