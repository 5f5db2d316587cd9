package care

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
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	// lookTimeout is how long a look at the chain may take, and so how long nodes that are slow can
	// hold bifrost up when it starts.
	lookTimeout = time.Minute
	// faultReminder is how often a fault of the same node is said again.
	faultReminder = 10 * time.Minute
)

// Records are the chain's records of one height, each of them verified.
type Records interface {
	restore.Records
	// Envelope is a [restore.Source] that asks the nodes in turn.
	Envelope(
		ctx context.Context, v vault.Vault, member []byte, c types.Commitment,
	) ([]byte, error)
	// Backups returns the commitments of each member of a vault, in the order of the members.
	Backups(ctx context.Context, v vault.Vault) ([][]types.Commitment, error)
	// Group is a [restore.GroupSource]: the group part as state holds it, verified.
	Group(ctx context.Context, v vault.Vault) ([]byte, error)
	// CarriedGroup is another, which takes it out of the block that carries it.
	CarriedGroup(ctx context.Context, v vault.Vault) ([]byte, error)
	// Keygen is a keygen or a reshare, without a status when there is none.
	Keygen(ctx context.Context, id uint64) (vault.Keygen, error)
	// Proofs has, of what it has, the public shares of a vault's members.
	Proofs(ctx context.Context, v vault.Vault) (chain.Proofs, error)
	// TermOf is the latest claim of a signer, given by its raw address, the zeroth when there is
	// none.
	TermOf(ctx context.Context, signer []byte) (types.SignerTerm, error)
	// Height is that of the block after which the records were so.
	Height() int64
	// Header is the height, the hash and the time of the verified header.
	Header() (height int64, hash []byte, at time.Time)
}

// ReadOnly is a store of a running bifrost's, for who looks beside it: it keeps nothing.
type ReadOnly struct{ chain.TrustStore }

// Save implements [chain.TrustStore].
func (ReadOnly) Save(string, []byte) error { return nil }

// TrustedHeader is the latest header that was verified.
type TrustedHeader struct {
	Height int64     `json:"height"`
	Hash   string    `json:"hash"`
	Time   time.Time `json:"time"`
}

// VerifierConfig says what is verified, by whom, and from what on.
type VerifierConfig struct {
	// ChainID, Prefix and Trust are those of the configuration.
	ChainID string
	Prefix  string
	Trust   home.Trust
	// Member is whose vaults are read, by its raw address; nil means all.
	Member []byte
	Nodes  Nodes
	// Store keeps the latest verified header, in the folder that errors name.
	Store  chain.TrustStore
	Folder string
	// First is told that a first header was agreed upon, and Report what is wrong with a node, or
	// about the headers when it names none; nil for Report means that it is logged now and then.
	First  func()
	Report func(node string, err error)
	Log    zerolog.Logger
	// Metrics may be nil.
	Metrics Metrics
}

// Verifier reads the records that decide what is restored, and what a drill must find, and verifies
// them. For keygens and votes the own node's word is enough: the other members see what comes of
// it. That a keyshare was not restored nobody would see.
//
// Nobody is there to confirm a first header. It is the one under [trust] in config.toml, or else
// one on which the own node and its witnesses agree, or else that of the own node alone. From then
// on the header that is kept in the home is what every node is held against, the own one too.
type Verifier struct {
	cfg   VerifierConfig
	rules chain.Trust
	now   func() time.Time
	// timeout bounds a look, whatever the nodes do.
	timeout time.Duration

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

// NewVerifier asks nobody yet. It errs when the configured trust makes no sense.
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	hash, err := c.Trust.HashBytes()
	if err != nil {
		return nil, err
	}
	v := &Verifier{
		cfg: c, now: time.Now, timeout: lookTimeout, said: map[fault]time.Time{},
	}
	if v.cfg.Report == nil {
		v.cfg.Report = v.report
	}
	v.rules = chain.Trust{
		ChainID: c.ChainID,
		Period:  time.Duration(c.Trust.Period),
		Height:  c.Trust.Height,
		Hash:    hash,
		Once:    true,
		Store:   c.Store,
		Confirm: v.confirm,
		Report:  v.cfg.Report,
	}
	return v, nil
}

// Look verifies the latest header, and reads the member's live vaults by it, of which none can be
// hidden. An error stays the verifier's problem until a look works.
func (v *Verifier) Look(ctx context.Context) (Records, error) {
	v.turn.Lock()
	defer v.turn.Unlock()
	state, err := v.verify(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	v.note(state, err)
	if err != nil {
		return nil, err
	}
	return state, nil
}

func (v *Verifier) verify(ctx context.Context) (*chain.State, error) {
	short, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	state, err := v.read(short)
	if err != nil && short.Err() != nil {
		// Whatever it looked like when the time was over: who does not answer has not lied.
		err = fmt.Errorf("%w: no header and records within %s: %s",
			chain.ErrUnreachable, v.timeout, err.Error())
	}
	return state, v.advise(err)
}

func (v *Verifier) read(ctx context.Context) (*chain.State, error) {
	light, err := chain.NewLight(ctx, v.nodes(), v.cfg.Prefix, v.rules, v.now())
	if err != nil {
		return nil, err
	}
	state, err := light.Head(ctx, v.now())
	if err != nil {
		return nil, err
	}
	_, err = state.Vaults(ctx, v.cfg.Member)
	return state, err
}

// nodes are the own one and its witnesses.
func (v *Verifier) nodes() []*chain.Client {
	return append([]*chain.Client{v.cfg.Nodes.Own}, v.cfg.Nodes.Witnesses...)
}

// advise adds to an error what the operator can do.
func (v *Verifier) advise(err error) error {
	const here = "under [trust] in config.toml"
	var halted *chain.HaltedError
	if errors.As(err, &halted) {
		return fmt.Errorf("%w (if other sources say so too, and this machine's clock is right, set "+
			"period = \"%dh\" %s until the chain goes on)", err, int(halted.Period.Hours()), here)
	}
	for _, advice := range []struct {
		kind error
		text string
	}{
		{chain.ErrAttack, "tell the other validators"},
		{chain.ErrPruned, "set height and hash of a newer block, as you know it from elsewhere, " + here},
		{chain.ErrExpired, "set height and hash of a recent block, as you know it from elsewhere, " +
			here + ", or remove them"},
		{chain.ErrNoTrust, "set witnesses that agree, or height and hash under [trust], " +
			"in config.toml; " + v.cfg.Folder + " holds what was verified before"},
		{chain.ErrConflict, "compare with another source what the nodes show, " +
			"with height and hash " + here + ", and what is kept in " + v.cfg.Folder},
		{chain.ErrNoHeader, "compare with another source what the nodes show " +
			"and what is kept in " + v.cfg.Folder},
	} {
		if errors.Is(err, advice.kind) {
			return fmt.Errorf("%w (%s)", err, advice.text)
		}
	}
	return err
}

// confirm decides on a first header, and says so loudly.
func (v *Verifier) confirm(first chain.FirstHeader) error {
	own, witnesses := v.cfg.Nodes.Own.Name(), len(v.cfg.Nodes.Witnesses)
	switch {
	case !slices.Contains(first.Nodes, own):
		return fmt.Errorf(
			"%w: the own node, %s, does not show a first header",
			chain.ErrNoTrust,
			own,
		)
	case len(first.Twins) > 0 && len(first.Nodes) == 1:
		return fmt.Errorf("%w: all witnesses that answer are %s, under other addresses",
			chain.ErrNoTrust, first.Nodes[0])
	case witnesses > 0 && len(first.Nodes) == 1:
		return fmt.Errorf("%w: no witness answers to confirm the first header", chain.ErrNoTrust)
	}
	event, text := v.cfg.Log.Warn(), "the own node and its witnesses agree on this header, "+
		"which is trusted from now on: compare it with another source"
	if witnesses == 0 {
		text = "THE OWN NODE ALONE DECIDES which chain is the true one: its header is trusted from now " +
			"on. Set witnesses, or height and hash under [trust], in config.toml"
	}
	event.Strs("nodes", first.Nodes).Int64("height", first.Height).
		Str("hash", hex.EncodeToString(first.Hash)).Time("of", first.Time).Msg(text)
	if v.cfg.First != nil {
		v.cfg.First()
	}
	return nil
}

// report says what is wrong with a node, but not at every look.
func (v *Verifier) report(node string, err error) {
	if node == "" {
		v.cfg.Log.Warn().Err(err).Msg("about the headers by which the chain's records are verified")
		return
	}
	f := fault{node, chain.IsUntrusted(err)}
	v.mu.Lock()
	remind := v.now().Sub(v.said[f]) >= faultReminder
	if remind {
		v.said[f] = v.now()
	}
	v.mu.Unlock()
	if remind {
		v.cfg.Log.Warn().Err(err).Str("node", node).Msg("a node is of no use to verify records")
	}
}

// note remembers how a look ended, and says it when that is new.
func (v *Verifier) note(state *chain.State, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		problem := fmt.Sprintf(
			"the chain's records are not verified, and nothing is restored: %v",
			err,
		)
		untrusted := chain.IsUntrusted(err)
		if untrusted && v.cfg.Metrics != nil {
			v.cfg.Metrics.Untrusted()
		}
		switch {
		case problem == v.problem:
		case untrusted:
			v.cfg.Log.Error().Err(err).Msg("THE CHAIN'S RECORDS ARE NOT VERIFIED: " +
				"nothing is restored and no fire drill works until they are; trying again")
		default:
			v.cfg.Log.Warn().Err(err).Msg("no node answers with the chain's records; trying again")
		}
		v.problem = problem
		return
	}
	height, hash, at := state.Header()
	if v.header == nil || v.problem != "" {
		v.cfg.Log.Info().
			Int64("height", height).
			Str("hash", hex.EncodeToString(hash)).
			Time("of", at).
			Msg("the chain's records are verified by this header")
	}
	v.problem = ""
	v.header = &TrustedHeader{Height: height, Hash: hex.EncodeToString(hash), Time: at}
	if v.cfg.Metrics != nil {
		v.cfg.Metrics.Verified(at)
	}
}

// Status is the latest verified header, nil before the first, and what is wrong.
func (v *Verifier) Status() (header *TrustedHeader, problems []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.problem != "" {
		problems = append(problems, v.problem)
	}
	return v.header, problems
}
