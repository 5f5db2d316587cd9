package tss

import (
	"bytes"
	"context"
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
	"github.com/tssbackup/tssbackup/bifrost/reach"
)

var (
	errClosed   = errors.New("the node was closed")
	errDeadline = errors.New("the deadline has passed")
)

const (
	// lingerTimeout is how long at least a member with a result goes on answering those without.
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
	kind    string   // a keygen, a reshare or a keysign, in the words of this node
	digest  hash     // of everything else in the request
	members [][]byte // compressed public keys, ascending: the order of tss-lib's parties
	parties []*big.Int
	cast
	malicious int // how many of the members may be
	build     func(at seat) ([]*instance, error)
	// keep, of who gets shares in a keygen or a reshare, makes the results durable and returns the
	// 32 bytes that are signed for it. The last result is then the signatures of all who do, in the
	// order of the members. Where some give envelopes, these are the last of what is kept.
	keep func(ctx context.Context, results []any) ([]byte, error)
	// seal makes the envelope of one who gives one, and checkEnvelope looks at those of others.
	seal          func(ctx context.Context, results []any) ([]byte, error)
	checkEnvelope func(envelope []byte) error
	// session is the attempt that all members joined elsewhere. Without, they join it here.
	session *ceremony.Session
	// left, if there is one, gives the members that have joined the next attempt.
	left <-chan []byte
	// public: all honest members have to name the same in the end, as in a keygen. Otherwise who
	// finds a fault ends it.
	public bool
}

// A session is one member's part in one ceremony. Everything below the line is touched by the
// goroutine of run alone.
type session struct {
	description
	self         int
	term         uint64 // of this node
	key          *secp256k1.PrivateKey
	sessionKey   *secp256k1.PrivateKey
	keys         *sessionKeys
	pubs         []*secp256k1.PublicKey
	peers        []peer.ID
	links        []*link // nil for self
	log          zerolog.Logger
	joinTimeout  time.Duration
	roundTimeout time.Duration
	phaseTime    time.Duration

	inbox     chan inbound
	outcomes  chan outcome
	quit      chan struct{} // closed when run is over
	ended     chan struct{} // closed when everything of it is
	abandoned chan struct{} // closed when the node is
	abandonMu sync.Once

	streamsMu sync.Mutex
	streams   []network.Stream // the latest of each member

	// ----

	id        hash // of the session, once everybody said hello
	hellos    []*hello
	starts    []hash
	restarted []bool // after everybody had said hello
	early     [][]inbound
	earlySize []int
	received  []int // frames, by member

	instances   []*instance
	certificate *certificate   // of a keygen: the last of the instances
	slots       [][][]*message // by instance, step, author
	results     []any
	open        int // instances without a result
	busy        int // outcomes to come

	began      time.Time // the first round
	closed     int       // rounds
	progress   time.Time
	wanted     time.Time
	faults     []fault
	missing    []fault
	complaints []complainer
	gone       *gone
	departures []departure    // by member
	finished   []bool         // members that said so
	workers    sync.WaitGroup // of the instances
	now        func() time.Time
}

// inbound is a frame from a member, under the session that its stream was in.
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
	sessionKey, err := secp256k1.GeneratePrivateKey()
	if d.session != nil {
		sessionKey = secp256k1.PrivKeyFromBytes(d.session.Secret)
	}
	if err != nil {
		return nil, err
	}
	roundTimeout := n.cfg.RoundTimeout
	if roundTimeout == 0 {
		roundTimeout = DefaultRoundTimeout(count)
	}
	s := &session{
		description:  d,
		self:         self,
		term:         n.cfg.Term,
		key:          n.key,
		log:          n.cfg.Log.With().Str("ceremony", d.name).Logger(),
		joinTimeout:  n.cfg.JoinTimeout,
		roundTimeout: roundTimeout,
		phaseTime:    roundTimeout / 10,
		sessionKey:   sessionKey,
		keys:         &sessionKeys{own: sessionKey, all: make([]*secp256k1.PublicKey, count)},
		inbox:        make(chan inbound, inboxSize),
		outcomes:     make(chan outcome, 1),
		quit:         make(chan struct{}),
		ended:        make(chan struct{}),
		abandoned:    make(chan struct{}),
		streams:      make([]network.Stream, count),
		hellos:       make([]*hello, count),
		starts:       make([]hash, count),
		restarted:    make([]bool, count),
		early:        make([][]inbound, count),
		earlySize:    make([]int, count),
		received:     make([]int, count),
		finished:     make([]bool, count),
		links:        make([]*link, count),
		departures:   make([]departure, count),
		now:          n.now,
	}
	for i := range s.departures {
		s.departures[i].said = make([]bool, count)
	}
	s.keys.all[self] = sessionKey.PubKey()
	if d.session != nil {
		copy(s.id[:], d.session.ID)
		for i, key := range d.session.Keys {
			if s.keys.all[i], err = secp256k1.ParsePubKey(key); err != nil {
				return nil, fmt.Errorf("session key %x: %w", key, err)
			}
		}
		if !s.keys.all[self].IsEqual(sessionKey.PubKey()) {
			return nil, errors.New("the session has another key of this member")
		}
	}
	for i, m := range d.members {
		pub, err := secp256k1.ParsePubKey(m)
		if err != nil {
			return nil, fmt.Errorf("member %x: %w", m, err)
		}
		id, err := reach.ID(m)
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
			s.links[i].mangle = func(b []byte) []byte { return n.mangle(s, i, b) }
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
	s.sessionKey.Zero()
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
		if f != nil {
			select {
			case s.inbox <- inbound{from: from, frame: f, session: session, size: size}:
			case <-s.quit:
				return
			}
		}
		b, err := readFrame(st, maxFrame)
		if err != nil {
			return // the connection; the member comes back
		}
		size = len(b)
		if f, err = decodeFrame(b); err != nil || f.kind == frameHello {
			f = nil // nobody else saw it
		}
	}
}

// work runs the protocols.
func (s *session) work(ctx context.Context) error {
	err := s.setUp()
	if err != nil {
		return err
	}
	for i, in := range s.instances {
		s.workers.Go(func() { in.run(uint8(i), s.outcomes, s.quit) })
	}
	s.begin()

	ticker := time.NewTicker(min(max(s.phaseTime/8, 5*time.Millisecond), time.Second))
	defer ticker.Stop()
	for s.open > 0 {
		select {
		case in := <-s.inbox:
			s.handle(in)
		case o := <-s.outcomes:
			err = s.handleOutcome(o)
		case <-ticker.C:
			err = s.tick()
		case m := <-s.left:
			s.hearJoin(m)
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return s.expired()
			}
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
	s.sendAll(&frame{kind: frameFinished})
	return nil
}

// setUp makes the instances.
func (s *session) setUp() error {
	ids := make(tsslib.UnSortedPartyIDs, len(s.members))
	for i, key := range s.parties {
		ids[i] = tsslib.NewPartyID(fmt.Sprint(i), fmt.Sprint(i), key)
	}
	sorted := tsslib.SortPartyIDs(ids)
	var err error
	if s.instances, err = s.build(
		seat{
			cast: s.cast, ids: sorted, self: s.self, session: s.id, members: s.members,
			keys: s.keys,
		},
	); err != nil {
		return err
	}
	s.results = make([]any, len(s.instances))
	s.open, s.busy = len(s.instances), len(s.instances)
	for _, in := range s.instances {
		in.parties = sorted
		in.deliveries = make(chan delivery, len(in.protocol.steps)*len(s.members))
		s.slots = append(s.slots, newSlots(len(in.protocol.steps), len(s.members)))
	}
	return nil
}

// begin starts the first round, with what members said that were ahead.
func (s *session) begin() {
	if s.keep != nil {
		s.addCertificate()
	}
	s.began = s.now()
	s.heard()
	for _, frames := range s.early {
		for _, in := range frames {
			s.handle(in)
		}
	}
	s.early = nil
}

// handleOutcome sends what a party wants sent, and notes what it found.
func (s *session) handleOutcome(o outcome) error {
	s.busy--
	s.heard()
	if s.certificate != nil && o.instance == s.certificate.number {
		return s.handleConcluding(o)
	}
	for _, out := range o.messages {
		s.publish(o.instance, out)
	}
	s.faults = append(s.faults, o.faults...)
	s.complaints = append(s.complaints, o.complainers...)
	if o.err != nil {
		return o.err
	}
	if o.done {
		s.results[o.instance] = o.result
		s.open--
		s.conclude()
	}
	if !s.public {
		return s.verdict(0)
	}
	return nil
}

// linger goes on answering until everybody has a result. Failures are no longer this member's
// concern.
func (s *session) linger(ctx context.Context) {
	s.finished[s.self] = true
	// Another honest member may lack what only this one passes on, for as long as a phase.
	timer := time.NewTimer(max(lingerTimeout, s.phaseTime))
	defer timer.Stop()
	for slices.Contains(s.finished, false) {
		select {
		case in := <-s.inbox:
			s.handle(in)
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
}

func (f *failure) Error() string { return f.reason }

// giveUp tells the others, so that they need not wait for what will not come, and makes the error
// for the caller.
func (s *session) giveUp(err error) error {
	reason := "stopped"
	var f *failure
	if errors.As(err, &f) {
		reason = f.reason[:min(len(f.reason), maxReason)]
	}
	s.sendAll(&frame{kind: frameGone, reason: reason})
	if f == nil {
		return fmt.Errorf("ceremony %q: %w", s.name, err)
	}
	slices.Sort(f.members)
	blame := &ceremony.BlameError{Reason: fmt.Sprintf("ceremony %q: %s", s.name, f.reason)}
	for _, m := range slices.Compact(f.members) {
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
