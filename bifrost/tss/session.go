package tss

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
)

var errClosed = errors.New("the node was closed")

const (
	// lingerTimeout is how long a member with a result goes on answering those without.
	lingerTimeout = 5 * time.Second
	// inboxSize is how many frames of all peers together wait for the ceremony; beyond, their
	// streams stand still.
	inboxSize = 64
	// maxEarly bounds the frames of one member that is ahead by a start.
	maxEarly = 4 << 20
)

// A description is what all members of a ceremony must agree on before it starts.
type description struct {
	name    string   // the ceremony's id
	digest  hash     // of everything else in the request
	members [][]byte // compressed public keys, ascending: the order of tss-lib's parties
	parties []*big.Int
	build   func(at seat) ([]*instance, error)
}

// A session is one member's part in one ceremony. Everything below the line is touched by the
// goroutine of run alone.
type session struct {
	description
	self         int
	key          *secp256k1.PrivateKey
	pubs         []*secp256k1.PublicKey
	peers        []peer.ID
	links        []*link // nil for self
	log          zerolog.Logger
	joinTimeout  time.Duration
	roundTimeout time.Duration

	inbox     chan inbound
	outcomes  chan outcome
	quit      chan struct{} // closed when run is over
	ended     chan struct{} // closed when everything of it is
	abandoned chan struct{} // closed when the node is
	abandonMu sync.Once

	streamsMu sync.Mutex
	streams   []network.Stream // the latest of each member

	// ----

	nonce     nonce
	id        hash // of the session, once everybody said hello
	hellos    []*frame
	starts    []hash
	restarted []bool // after everybody had said hello
	early     [][]inbound
	earlySize []int
	received  []int // frames, by member

	instances []*instance
	slots     [][][]*message // by instance, step, author
	results   []any
	open      int // instances without a result
	busy      int // outcomes to come

	progress time.Time
	reported bool           // what is missing, since the last progress
	waiting  [][]slot       // what members said they wait for
	accused  [][]int        // by members that gave up
	gaveUp   []bool         //
	relayed  map[relay]bool // broadcasts already sent on
	finished []bool         // members that said done
	workers  sync.WaitGroup // of the instances
	now      func() time.Time
}

type relay struct {
	slot slot
	to   int
}

// inbound is a frame from a member, under the session that its stream was in. Without a frame, it
// was malformed.
type inbound struct {
	from    int
	frame   *frame
	session hash
	size    int
}

func (n *Node) newSession(d description) (*session, error) {
	self := slices.IndexFunc(d.members, func(m []byte) bool { return bytes.Equal(m, n.pub) })
	if self < 0 {
		return nil, errors.New("this node's signer is not among the members")
	}
	count := len(d.members)
	s := &session{
		description:  d,
		self:         self,
		key:          n.key,
		log:          n.cfg.Log.With().Str("ceremony", d.name).Logger(),
		joinTimeout:  n.cfg.JoinTimeout,
		roundTimeout: n.cfg.RoundTimeout,
		inbox:        make(chan inbound, inboxSize),
		outcomes:     make(chan outcome, 1),
		quit:         make(chan struct{}),
		ended:        make(chan struct{}),
		abandoned:    make(chan struct{}),
		streams:      make([]network.Stream, count),
		hellos:       make([]*frame, count),
		starts:       make([]hash, count),
		restarted:    make([]bool, count),
		early:        make([][]inbound, count),
		earlySize:    make([]int, count),
		received:     make([]int, count),
		waiting:      make([][]slot, count),
		accused:      make([][]int, count),
		gaveUp:       make([]bool, count),
		relayed:      map[relay]bool{},
		finished:     make([]bool, count),
		links:        make([]*link, count),
		now:          time.Now,
	}
	_, _ = rand.Read(s.nonce[:]) // never fails
	for i, m := range d.members {
		pub, err := secp256k1.ParsePubKey(m)
		if err != nil {
			return nil, fmt.Errorf("member %x: %w", m, err)
		}
		id, err := peerID(m)
		if err != nil {
			return nil, fmt.Errorf("member %x: %w", m, err)
		}
		s.pubs = append(s.pubs, pub)
		s.peers = append(s.peers, id)
		if i == self {
			continue
		}
		s.links[i] = newLink(
			func(ctx context.Context) (network.Stream, error) { return n.open(ctx, id) },
		)
		if n.mangle != nil {
			s.links[i].mangle = func(b []byte) []byte { return n.mangle(id, b) }
		}
	}
	return s, nil
}

// run takes part in a ceremony and returns the results of its instances.
func (n *Node) run(ctx context.Context, d description) ([]any, error) {
	s, err := n.newSession(d)
	if err != nil {
		return nil, err
	}
	leave, err := n.join(s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-s.abandoned:
			cancel(errClosed)
		case <-ctx.Done():
		}
	}()
	for _, l := range s.links {
		if l != nil {
			l.start()
		}
	}
	err = s.ceremony(ctx)
	s.end()
	leave()
	close(s.ended)
	if err != nil {
		s.log.Warn().Err(err).Msg("ceremony failed")
		return nil, err
	}
	s.log.Info().Msg("ceremony done")
	return s.results, nil
}

func (s *session) ceremony(ctx context.Context) error {
	s.log.Info().Int("members", len(s.members)).Msg("joining ceremony")
	err := s.join(ctx)
	if err == nil {
		s.log.Info().Hex("session", s.id[:8]).Msg("ceremony starts")
		err = s.work(ctx)
	}
	if err != nil {
		return s.giveUp(err)
	}
	s.linger(ctx)
	return nil
}

func (s *session) abandon() { s.abandonMu.Do(func() { close(s.abandoned) }) }

// end says what is left to say and stops everything that the session started.
func (s *session) end() {
	var wg sync.WaitGroup
	for _, l := range s.links {
		if l != nil {
			wg.Go(l.close)
		}
	}
	wg.Wait()
	s.streamsMu.Lock()
	close(s.quit)
	for _, st := range s.streams {
		if st != nil {
			_ = st.Reset()
		}
	}
	s.streamsMu.Unlock()
	s.workers.Wait()
}

// read passes on what a member says over a stream, until it ends. A later stream of the same member
// takes its place.
func (s *session) read(st network.Stream, hello *frame) {
	from := slices.Index(s.peers, st.Conn().RemotePeer())
	if from < 0 || from == s.self {
		return
	}
	s.streamsMu.Lock()
	select {
	case <-s.quit:
		s.streamsMu.Unlock()
		return
	default:
	}
	if old := s.streams[from]; old != nil {
		_ = old.Reset()
	}
	s.streams[from] = st
	s.streamsMu.Unlock()

	var session hash
	for f, size := hello, 0; ; {
		if f != nil && f.kind == frameStart {
			session = f.session
		}
		select {
		case s.inbox <- inbound{from: from, frame: f, session: session, size: size}:
		case <-s.quit:
			return
		}
		if f == nil {
			return
		}
		b, err := readFrame(st, maxFrame)
		if err != nil && !errors.Is(err, errFrame) {
			return // the connection; the member comes back
		}
		size = len(b)
		if f, err = decodeFrame(b); err != nil || f.kind == frameHello {
			f = nil
		}
	}
}

// work runs the protocols.
func (s *session) work(ctx context.Context) error {
	ids := make(tsslib.UnSortedPartyIDs, len(s.members))
	for i, key := range s.parties {
		ids[i] = tsslib.NewPartyID(fmt.Sprint(i), fmt.Sprint(i), key)
	}
	sorted := tsslib.SortPartyIDs(ids)
	var err error
	if s.instances, err = s.build(
		seat{ids: sorted, self: s.self, session: s.id, members: s.members},
	); err != nil {
		return err
	}
	s.results = make([]any, len(s.instances))
	s.open, s.busy = len(s.instances), len(s.instances)
	for i, in := range s.instances {
		in.parties = sorted
		in.deliveries = make(chan delivery, len(in.protocol.steps)*len(s.members))
		s.slots = append(s.slots, newSlots(len(in.protocol.steps), len(s.members)))
		s.workers.Go(func() { in.run(uint8(i), s.outcomes, s.quit) })
	}
	s.progress = s.now()
	for _, frames := range s.early {
		for _, in := range frames {
			if err := s.handle(in); err != nil {
				return err
			}
		}
	}
	s.early = nil

	ticker := time.NewTicker(min(max(s.roundTimeout/20, 10*time.Millisecond), time.Second))
	defer ticker.Stop()
	for s.open > 0 {
		select {
		case in := <-s.inbox:
			err = s.handle(in)
		case o := <-s.outcomes:
			err = s.handleOutcome(o)
		case <-ticker.C:
			err = s.tick()
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return s.stalled("the deadline has passed")
			}
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
	s.sendAll(&frame{kind: frameDone})
	return nil
}

// linger goes on answering until everybody has a result. Failures are no longer this member's
// concern.
func (s *session) linger(ctx context.Context) {
	s.finished[s.self] = true
	timer := time.NewTimer(lingerTimeout)
	defer timer.Stop()
	for slices.Contains(s.finished, false) {
		select {
		case in := <-s.inbox:
			_ = s.handle(in)
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// A failure is an error with somebody to blame for it.
type failure struct {
	members []int
	reason  string
	proof   *abort // convinces the others too
	quiet   bool   // the others know what is to be known, or stand in the same place
}

func (f *failure) Error() string { return f.reason }

// giveUp tells the others, so that they need not wait for what will not come, and makes the error
// for the caller.
func (s *session) giveUp(err error) error {
	var f *failure
	if !errors.As(err, &f) {
		s.sendAll(&frame{kind: frameAbort, abort: abort{reason: "gave up"}})
		return fmt.Errorf("ceremony %q: %w", s.name, err)
	}
	slices.Sort(f.members)
	f.members = slices.Compact(f.members)
	a := abort{reason: f.reason[:min(len(f.reason), maxReason)]}
	for _, m := range f.members {
		if !f.quiet {
			a.members = append(a.members, uint16(m))
		}
	}
	if f.proof != nil {
		a = *f.proof
	}
	s.sendAll(&frame{kind: frameAbort, abort: a})
	blame := &ceremony.BlameError{Reason: fmt.Sprintf("ceremony %q: %s", s.name, f.reason)}
	for _, m := range f.members {
		blame.Members = append(blame.Members, bytes.Clone(s.members[m]))
	}
	return blame
}

func (s *session) sendAll(f *frame) {
	b := f.encode()
	for _, l := range s.links {
		if l != nil {
			l.send(b)
		}
	}
}

// short names a member in logs and reasons.
func (s *session) short(m int) string { return hex.EncodeToString(s.members[m][:6]) }

func (s *session) list(members []int) string {
	out := ""
	for i, m := range members {
		if i > 0 {
			out += ", "
		}
		out += s.short(m)
	}
	return out
}
