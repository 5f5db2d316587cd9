package chain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/cometbft/cometbft/light"
	cmttypes "github.com/cometbft/cometbft/types"
)

// DefaultTrustingPeriod is how long a verified header may be built upon. Whoever signs two chains
// loses its stake while it is bonded, so the period must be well under the unbonding time, which is
// three weeks on most chains.
const DefaultTrustingPeriod = 7 * 24 * time.Hour

const (
	// maxClockDrift is how far ahead of this machine's clock a header may be.
	maxClockDrift = 10 * time.Second
	// maxAge is how old the latest header may be without a warning.
	maxAge = 10 * time.Minute
)

// Why no header can be trusted. None of them is a matter of one node that another node could answer
// better.
var (
	// ErrNoTrust means that there is nothing to start from: no header was given or kept, and what
	// the nodes show is not one chain, or is not to be trusted.
	ErrNoTrust = errors.New("no trusted header")
	// ErrExpired means that the trusted header is older than the trusting period.
	ErrExpired = errors.New("the trusting period is over")
	// ErrPruned means that nodes do not hold a header any more that is needed on the way from the
	// trusted one.
	ErrPruned = errors.New("headers on the way from the trusted one are pruned")
	// ErrAttack means that two nodes show different headers of one height, both signed by enough of
	// the validators: some of these sign two chains.
	ErrAttack = errors.New("an attack is going on: validators have signed two different headers")
	// ErrConflict means that the header that was given or kept is not on the chain that the nodes
	// show.
	ErrConflict = errors.New("the trusted header is not on the nodes' chain")
	// ErrNoHeader means that no node shows a header that can be verified.
	ErrNoHeader = errors.New("no node shows a header that can be verified")
)

// IsUntrusted reports whether an error means that what nodes say is not verified: it is one of the
// above or [ErrUnverified]. A node that merely does not answer is none of them.
func IsUntrusted(err error) bool {
	for _, kind := range []error{
		ErrNoTrust, ErrExpired, ErrPruned, ErrAttack, ErrConflict, ErrNoHeader, ErrUnverified,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// Trust says what to believe at the beginning.
type Trust struct {
	// ChainID is the chain; empty means the one that all nodes name.
	ChainID string
	// Period is the trusting period, [DefaultTrustingPeriod] if it is 0.
	Period time.Duration
	// Height and Hash are those of a header that is known from a source beside the nodes. Without
	// them (Height is 0) the store's header is taken, or else one on which all nodes agree, after
	// Confirm.
	Height int64
	Hash   []byte
	// Once says that Height and Hash are looked at only until a newer header is kept, as it suits a
	// configuration that stays when they have long expired. Otherwise the header that is kept must
	// be on one chain with them each time.
	Once bool
	// Store keeps the latest verified header, nil for none.
	Store TrustStore
	// Confirm returns nil when a first header may be trusted on the word of the nodes. Without it
	// (nil) none is.
	Confirm func(first FirstHeader) error
	// Report is told what is wrong with a node that others replace, or what is worth a warning when
	// the node's name is empty. nil is allowed.
	Report func(node string, err error)
}

// FirstHeader is a header that all nodes show, with nothing from elsewhere or from an earlier time
// to hold it against.
type FirstHeader struct {
	// Nodes are the names of the nodes that show it: those that answer. When it is one, there is
	// nobody to contradict it, and it could show a chain of its own making.
	Nodes []string
	// Twins are further addresses of these nodes.
	Twins  []string
	Height int64
	Hash   []byte
	Time   time.Time
}

// Light verifies headers with CometBFT's light client: from a trusted header, by the signatures of
// the validators, to a recent one, which the other nodes are asked about as witnesses. It is not
// safe for concurrent use.
type Light struct {
	trust   Trust
	nodes   []*source
	blocks  trustedBlocks
	heights map[*source]int64
	// fresh says that the heights were asked for a moment ago.
	fresh bool
	// twins are the nodes that are another one under a second address: they answer, and witness
	// nothing.
	twins map[*source]bool
	// last is the chain's last block when it stands still, as all nodes say.
	last *FirstHeader
	// prefix is that of the chain's addresses.
	prefix string
}

// NewLight finds out which nodes are there and settles what is trusted: the header that was given
// or kept, or else one on which all nodes agree, when Confirm accepts it. Addresses in what is read
// are shown with the prefix.
func NewLight(
	ctx context.Context,
	nodes []*Client,
	prefix string,
	trust Trust,
	now time.Time,
) (*Light, error) {
	if trust.Period == 0 {
		trust.Period = DefaultTrustingPeriod
	}
	l := &Light{trust: trust, prefix: prefix}
	if err := l.meet(ctx, nodes, now); err != nil {
		return nil, err
	}
	stored, err := l.load(now)
	if err != nil {
		return nil, err
	}
	switch {
	case trust.Height > 0 && (!trust.Once || stored == nil || stored.Height <= trust.Height):
		err = l.begin(ctx, stored, now)
	case stored != nil:
		l.blocks = trustedBlocks{stored}
	default:
		err = l.agree(ctx, now)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// ChainID is the chain's name.
func (l *Light) ChainID() string { return l.trust.ChainID }

// meet asks all nodes who they are, and keeps those that are there.
func (l *Light) meet(ctx context.Context, nodes []*Client, now time.Time) error {
	statuses, errs := statusOf(ctx, nodes)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	names := map[string]bool{}
	for i, s := range statuses {
		if errs[i] == nil {
			names[s.ChainID] = true
		}
	}
	if l.trust.ChainID == "" {
		if len(names) > 1 {
			return fmt.Errorf(
				"%w: the nodes are of different chains, and none is said to be meant:%s",
				ErrNoTrust,
				chainNames(nodes, statuses, errs),
			)
		}
		for name := range names {
			l.trust.ChainID = name
		}
	}
	var failed []error
	l.heights, l.twins = map[*source]int64{}, map[*source]bool{}
	known := map[string]*Client{}
	for i, n := range nodes {
		if errs[i] == nil && statuses[i].ChainID != l.trust.ChainID {
			errs[i] = fmt.Errorf("%w: it is of chain %q", ErrUnreachable, statuses[i].ChainID)
		}
		if errs[i] != nil {
			failed = append(failed, fmt.Errorf("%s: %w", n.Name(), errs[i]))
			continue
		}
		s := newSource(n, l.trust.ChainID)
		l.nodes, l.heights[s] = append(l.nodes, s), statuses[i].Height
		// Whoever takes the id of another node for its own hides nothing by that: both are asked.
		id := statuses[i].ID
		if first, ok := known[id]; ok {
			l.twins[s] = true
			l.report(n.Name(), fmt.Errorf("it is the same node as %s, by its id %s: "+
				"a node is no witness of itself", first.Name(), id))
		} else if id != "" {
			known[id] = n
		}
	}
	if len(l.nodes) == 0 {
		return errors.Join(failed...)
	}
	for i, n := range nodes {
		switch {
		case errs[i] != nil:
			l.report(n.Name(), errs[i])
		case statuses[i].CatchingUp:
			l.report(n.Name(), errors.New("it is catching up: what it says may be old"))
		}
	}
	statuses = slices.DeleteFunc(
		statuses,
		func(s Status) bool { return s.ChainID != l.trust.ChainID },
	)
	l.last = standstill(statuses, now)
	l.fresh = true
	return nil
}

func statusOf(ctx context.Context, nodes []*Client) ([]Status, []error) {
	statuses, errs := make([]Status, len(nodes)), make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() { statuses[i], errs[i] = n.Status(ctx) })
	}
	wg.Wait()
	return statuses, errs
}

func chainNames(nodes []*Client, statuses []Status, errs []error) string {
	var text bytes.Buffer
	for i, n := range nodes {
		if errs[i] == nil {
			fmt.Fprintf(&text, " %s: %q", n.Name(), statuses[i].ChainID)
		}
	}
	return text.String()
}

// load returns the header of an earlier time, unless there is none or it is too old.
func (l *Light) load(now time.Time) (*cmttypes.LightBlock, error) {
	if l.trust.Store == nil {
		return nil, nil
	}
	data, err := l.trust.Store.Load(l.trust.ChainID)
	if errors.Is(err, fs.ErrPermission) {
		l.report("", fmt.Errorf("the header of an earlier time cannot be read: %w", err))
		return nil, nil
	}
	if err != nil || data == nil {
		return nil, err
	}
	block, err := decodeBlock(data, l.trust.ChainID)
	if err != nil {
		return nil, fmt.Errorf("%w: the one that was kept cannot be read: %w", ErrNoTrust, err)
	}
	if light.HeaderExpired(block.SignedHeader, l.trust.Period, now) {
		l.report(
			"",
			fmt.Errorf(
				"%w for header %d of %s, which was kept from an earlier time",
				ErrExpired,
				block.Height,
				block.Time,
			),
		)
		return nil, nil
	}
	return block, nil
}

// VerifyAnchor verifies a header that is to be trusted without a way from an earlier one. The
// block's parts must belong together, its hash must be the given one, two thirds of its own
// validators must have signed it (all of that: else [ErrConflict]), and it must be within the
// trusting period, else [ErrExpired].
func VerifyAnchor(
	block *cmttypes.LightBlock,
	chainID string,
	hash []byte,
	period time.Duration,
	now time.Time,
) error {
	if err := block.ValidateBasic(chainID); err != nil {
		return fmt.Errorf("%w: %w", ErrConflict, cleanError{err})
	}
	if !bytes.Equal(block.Hash(), hash) {
		return fmt.Errorf(
			"%w: header %d has hash %X, not %X",
			ErrConflict,
			block.Height,
			block.Hash(),
			hash,
		)
	}
	if err := block.ValidatorSet.VerifyCommitLight(
		chainID,
		block.Commit.BlockID,
		block.Height,
		block.Commit,
	); err != nil {
		return fmt.Errorf("%w: header %d: %w", ErrConflict, block.Height, cleanError{err})
	}
	if block.Time.After(now.Add(maxClockDrift)) {
		return fmt.Errorf(
			"%w: header %d is of %s, which is yet to come: compare the clock",
			ErrConflict,
			block.Height,
			block.Time,
		)
	}
	if light.HeaderExpired(block.SignedHeader, period, now) {
		return fmt.Errorf("%w: header %d is of %s", ErrExpired, block.Height, block.Time)
	}
	return nil
}

// begin starts from the header that was given, which must be on one chain with the one that was
// kept. When the way from an older one that was kept is pruned, nothing speaks against the one that
// was given, and it takes the other's place.
func (l *Light) begin(ctx context.Context, stored *cmttypes.LightBlock, now time.Time) error {
	l.nodes[0].askTogether(ctx, l.trust.Height, l.second(l.nodes)) // the latter is verified next
	given, err := l.fetch(ctx, l.trust.Height, l.trust.Hash, now)
	if err != nil {
		return err
	}
	if stored == nil {
		l.blocks = trustedBlocks{given}
		return nil
	}
	older, newer := given, stored
	if stored.Height < given.Height {
		older, newer = stored, given
	}
	same := older.Height == newer.Height && bytes.Equal(older.Hash(), newer.Hash())
	if older.Height < newer.Height {
		l.blocks = trustedBlocks{older}
		verified, err := l.verify(ctx, newer.Height, now)
		if errors.Is(err, ErrPruned) && newer == given {
			l.report(
				"",
				fmt.Errorf(
					"header %d, which was given, cannot be held against header %d, which was kept from an earlier time: "+
						"no node has what lies between. The one that was given is trusted from now on",
					given.Height,
					stored.Height,
				),
			)
			l.blocks = trustedBlocks{given}
			return nil
		}
		if err != nil {
			return fmt.Errorf("from header %d to header %d: %w", older.Height, newer.Height, err)
		}
		same = bytes.Equal(verified.Hash(), newer.Hash())
	}
	if !same {
		return fmt.Errorf(
			"%w: header %d, which was given, has hash %X, and header %d was kept from an earlier time with hash %X; "+
				"one of them is false. The one that was kept is not touched",
			ErrConflict,
			given.Height,
			given.Hash(),
			stored.Height,
			stored.Hash(),
		)
	}
	if older.Height == newer.Height {
		l.blocks = trustedBlocks{newer}
	}
	return nil
}

// fetch gets a header whose hash is known, from the first node that has it.
func (l *Light) fetch(
	ctx context.Context,
	height int64,
	hash []byte,
	now time.Time,
) (*cmttypes.LightBlock, error) {
	var failed []error
	for _, n := range l.nodes {
		block, err := n.LightBlock(ctx, height)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			err = n.reason(height, err)
		} else if err = l.anchor(block, hash, now); err == nil {
			for i := range failed {
				l.report(l.nodes[i].Name(), failed[i])
			}
			return block, nil
		}
		if errors.Is(err, ErrExpired) {
			return nil, err
		}
		failed = append(failed, err)
	}
	why := failure(failed, ErrConflict)
	for i, err := range failed {
		failed[i] = fmt.Errorf("%s: %w", l.nodes[i].Name(), err)
	}
	err := fmt.Errorf("no node shows header %d with the hash that is trusted: %w",
		height, errors.Join(failed...))
	if why != nil {
		err = fmt.Errorf("%w: %w", why, err)
	}
	return nil, err
}

// maxRounds is how often nodes may say that they are not as far as they said.
const maxRounds = 3

// agree takes a header on which all nodes agree, and asks. A node that cannot be asked any more is
// left out like one that could not be from the beginning.
func (l *Light) agree(ctx context.Context, now time.Time) error {
	shown, err := l.showFirst(ctx)
	if err != nil {
		return err
	}
	first, same := shown[0], true
	var seen bytes.Buffer
	for i, n := range l.nodes {
		same = same && bytes.Equal(shown[i].Hash(), first.Hash())
		fmt.Fprintf(&seen, " %s: %X", n.Name(), shown[i].Hash())
	}
	if !same {
		return fmt.Errorf(
			"%w: the nodes do not agree on header %d:%s",
			ErrNoTrust,
			first.Height,
			seen.String(),
		)
	}
	if err := l.anchor(first, first.Hash(), now); err != nil {
		return err
	}
	if l.trust.Confirm == nil {
		return fmt.Errorf("%w: none was given or kept", ErrNoTrust)
	}
	header := FirstHeader{Height: first.Height, Hash: first.Hash(), Time: first.Time}
	for _, n := range l.nodes {
		if l.twins[n] {
			header.Twins = append(header.Twins, n.Name())
		} else {
			header.Nodes = append(header.Nodes, n.Name())
		}
	}
	if len(header.Nodes) == 0 {
		// The one whose twins these are cannot be asked any more.
		header.Nodes, header.Twins = header.Twins[:1], header.Twins[1:]
	}
	if err := l.trust.Confirm(header); err != nil {
		return err
	}
	l.fresh = false // that may have taken its time
	l.blocks = trustedBlocks{first}
	return nil
}

// showFirst has all nodes show the header of the lowest height that they have.
func (l *Light) showFirst(ctx context.Context) ([]*cmttypes.LightBlock, error) {
	var failed []error
	for round := 0; len(l.nodes) > 0; {
		height := l.lowest(l.nodes)
		var shown []*cmttypes.LightBlock
		for _, n := range l.nodes {
			block, err := n.LightBlock(ctx, height)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err == nil {
				shown = append(shown, block)
				continue
			}
			if reached, ok := n.lower(height); ok && round < maxRounds {
				round++
				l.heights[n] = reached
				break
			}
			reason := n.reason(height, err)
			var behind *behindError
			if !errors.Is(reason, ErrUnreachable) && !errors.As(reason, &behind) {
				// Also of one that has pruned the header: else another that names a height that is
				// low enough would be left to decide alone.
				return nil, fmt.Errorf(
					"%w: %s does not show header %d: %w", ErrNoTrust, n.Name(), height, reason)
			}
			l.report(n.Name(), fmt.Errorf("it does not show header %d: %w", height, reason))
			failed = append(failed, fmt.Errorf("%s: %w", n.Name(), reason))
			l.nodes = slices.DeleteFunc(l.nodes, func(s *source) bool { return s == n })
			break
		}
		if len(shown) == len(l.nodes) && len(shown) > 0 {
			return shown, nil
		}
	}
	return nil, errors.Join(failed...)
}

func (l *Light) report(node string, err error) {
	if l.trust.Report != nil {
		l.trust.Report(node, err)
	}
}
