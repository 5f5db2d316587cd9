package service

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/restore"
)

const (
	// lookTimeout is how long a look at the chain may take, and so how long nodes that
	// are slow can hold bifrost up when it starts.
	lookTimeout = time.Minute
	// faultReminder is how often a fault of the same node is said again.
	faultReminder = 10 * time.Minute
)

// records are the chain's records of one height, each of them proven.
type records interface {
	restore.Chain
	// Height is that of the block after which the records were so.
	Height() int64
}

// TrustedHeader is the latest header that was verified.
type TrustedHeader struct {
	Height int64     `json:"height"`
	Hash   string    `json:"hash"`
	Time   time.Time `json:"time"`
}

// prover reads the records that decide what is restored, and what a drill must
// find, with proofs. For keygens and votes the own node's word is enough: the other
// members see what comes of it. That a keyshare was not restored nobody would see.
//
// Nobody is there to confirm a first header. It is the one under [trust] in
// config.toml, or else one on which the own node and its witnesses agree, or else
// that of the own node alone. From then on the header that is kept in the home is
// what every node is held against, the own one too.
type prover struct {
	// member is whose vaults are read; empty means all.
	member string
	prefix string
	// nodes are the own one and its witnesses.
	nodes []*chain.Client
	trust chain.Trust
	home  string
	log   zerolog.Logger
	now   func() time.Time
	// timeout bounds a look, whatever the nodes do.
	timeout time.Duration
	// failed counts looks that ended without a proof, verified is told a header's time.
	failed   func()
	verified func(time.Time)

	// turn is held during a look: the store keeps the latest header of one.
	turn sync.Mutex

	mu      sync.Mutex // guards what follows
	problem string
	header  *TrustedHeader
	said    map[fault]time.Time
}

// fault is what a node is reported for.
type fault struct {
	node      string
	untrusted bool
}

// newProver reads by the own node and witnesses, which may be none, and keeps the
// latest header in the store.
func newProver(dir string, cfg home.Config, member string, own *chain.Client, witnesses []*chain.Client, store chain.TrustStore, log zerolog.Logger) (*prover, error) {
	hash, err := cfg.Trust.HashBytes()
	if err != nil {
		return nil, err
	}
	p := &prover{
		member: member, prefix: cfg.Prefix, nodes: append([]*chain.Client{own}, witnesses...), home: dir, log: log, now: time.Now, timeout: lookTimeout,
		failed: func() {}, verified: func(time.Time) {}, said: map[fault]time.Time{},
	}
	p.trust = chain.Trust{
		ChainID: cfg.ChainID, Period: time.Duration(cfg.Trust.Period), Height: cfg.Trust.Height, Hash: hash, Once: true,
		Store: store, Confirm: p.confirm, Report: p.report,
	}
	return p, nil
}

// look verifies the latest header, and reads the member's live vaults by it, of
// which none can be hidden. An error stays the prover's problem until a look works.
func (p *prover) look(ctx context.Context) (records, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	state, err := p.prove(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	p.note(state, err)
	if err != nil {
		return nil, err
	}
	return state, nil
}

func (p *prover) prove(ctx context.Context) (*chain.State, error) {
	short, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	state, err := p.read(short)
	if err != nil && short.Err() != nil {
		// Whatever it looked like when the time was over: who does not answer has not lied.
		err = fmt.Errorf("%w: no header and records within %s: %s", chain.ErrUnreachable, p.timeout, err.Error())
	}
	return state, p.advise(err)
}

func (p *prover) read(ctx context.Context) (*chain.State, error) {
	light, err := chain.NewLight(ctx, p.nodes, p.prefix, p.trust, p.now())
	if err != nil {
		return nil, err
	}
	state, err := light.Head(ctx, p.now())
	if err != nil {
		return nil, err
	}
	_, err = state.Vaults(ctx, p.member)
	return state, err
}

// advise adds to an error what the operator can do.
func (p *prover) advise(err error) error {
	trust := home.TrustDir(p.home)
	for _, advice := range []struct {
		kind error
		text string
	}{
		{chain.ErrAttack, "tell the other validators"},
		{chain.ErrPruned, "set height and hash of a newer block, as you know it from elsewhere, under [trust] in config.toml"},
		{chain.ErrExpired, "set height and hash of a recent block, as you know it from elsewhere, under [trust] in config.toml, or remove them"},
		{chain.ErrNoTrust, "set witnesses that agree, or height and hash under [trust], in config.toml; " + trust + " holds what was verified before"},
		{chain.ErrConflict, "compare with another source what the nodes show, with height and hash under [trust] in config.toml, and what is kept in " + trust},
		{chain.ErrNoHeader, "compare with another source what the nodes show and what is kept in " + trust},
	} {
		if errors.Is(err, advice.kind) {
			return fmt.Errorf("%w (%s)", err, advice.text)
		}
	}
	return err
}

// confirm decides on a first header, and says so loudly.
func (p *prover) confirm(first chain.FirstHeader) error {
	own, witnesses := p.nodes[0].Name(), len(p.nodes)-1
	switch {
	case !slices.Contains(first.Nodes, own):
		return fmt.Errorf("%w: the own node, %s, does not show a first header", chain.ErrNoTrust, own)
	case witnesses > 0 && len(first.Nodes) == 1:
		return fmt.Errorf("%w: no witness answers to confirm the first header", chain.ErrNoTrust)
	}
	event, text := p.log.Warn(), "the own node and its witnesses agree on this header, which is trusted from now on: compare it with another source"
	if witnesses == 0 {
		text = "THE OWN NODE ALONE DECIDES which chain is the true one: its header is trusted from now on. " +
			"Set witnesses, or height and hash under [trust], in config.toml"
	}
	event.Strs("nodes", first.Nodes).Int64("height", first.Height).Str("hash", hex.EncodeToString(first.Hash)).Time("of", first.Time).Msg(text)
	return nil
}

// report says what is wrong with a node, but not at every look.
func (p *prover) report(node string, err error) {
	if node == "" {
		p.log.Warn().Err(err).Msg("about the headers that prove the chain's records")
		return
	}
	f := fault{node, chain.IsUntrusted(err)}
	p.mu.Lock()
	remind := p.now().Sub(p.said[f]) >= faultReminder
	if remind {
		p.said[f] = p.now()
	}
	p.mu.Unlock()
	if remind {
		p.log.Warn().Err(err).Str("node", node).Msg("a node is of no use for proofs")
	}
}

// note remembers how a look ended, and says it when that is new.
func (p *prover) note(state *chain.State, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		problem := fmt.Sprintf("the chain's records are not proven, and nothing is restored: %v", err)
		untrusted := chain.IsUntrusted(err)
		if untrusted {
			p.failed()
		}
		switch {
		case problem == p.problem:
		case untrusted:
			p.log.Error().Err(err).Msg("THE CHAIN'S RECORDS ARE NOT PROVEN: nothing is restored and no fire drill works until they are; trying again")
		default:
			p.log.Warn().Err(err).Msg("no node answers with the chain's records; trying again")
		}
		p.problem = problem
		return
	}
	height, hash, at := state.Header()
	if p.header == nil || p.problem != "" {
		p.log.Info().Int64("height", height).Str("hash", hex.EncodeToString(hash)).Time("of", at).Msg("the chain's records are proven by this header")
	}
	p.problem = ""
	p.header = &TrustedHeader{Height: height, Hash: hex.EncodeToString(hash), Time: at}
	p.verified(at)
}

// status is the latest verified header, nil before the first, and what is wrong.
func (p *prover) status() (header *TrustedHeader, problem string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.header, p.problem
}

// readOnly keeps nothing.
type readOnly struct{ chain.TrustStore }

// Save implements chain.TrustStore.
func (readOnly) Save(string, []byte) error { return nil }
