package tss

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20poly1305"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
)

const ( // steps of the EdDSA keygen
	edRound1 = iota
	edShares
	edRound2
	edReceipt
)

// fast leaves rounds of three seconds, after which it takes phases of 0.3 to agree on who failed.
func fast(cfg *Config) { cfg.RoundTimeout = 3 * time.Second }

// atOnce is how many ceremonies that mostly wait run side by side.
const atOnce = 10

// keygen runs an EdDSA keygen of three out of four among these nodes and returns their errors.
func (net *cluster) keygen(t *testing.T, nodes ...int) []error {
	t.Helper()
	return net.keygenUntil(t.Context(), nodes...)
}

// keygenTooFew lets the deadline pass once members have heard each other so many times.
func (net *cluster) keygenTooFew(t *testing.T, joined int, nodes ...int) []error {
	t.Helper()
	ctx, pass := context.WithCancelCause(context.Background())
	done := make(chan []error)
	go func() { done <- net.keygenUntil(ctx, nodes...) }()
	net.joined(t, joined)
	pass(context.DeadlineExceeded)
	return <-done
}

func (net *cluster) keygenUntil(ctx context.Context, nodes ...int) []error {
	return net.eddsaKeygens(ctx, "keygen-1", 3, nodes...)
}

func TestTheAbsentAreBlamed(t *testing.T) {
	noLeak(t)
	net := newCluster(t, 4, nil)
	errs := net.keygenTooFew(t, 6, 0, 1, 3)
	for _, i := range []int{0, 1, 3} {
		net.requireBlame(t, errs[i], "did not join", 2)
	}
	errs = net.keygenTooFew(t, 6+2, 0, 3)
	for _, i := range []int{0, 3} {
		net.requireBlame(t, errs[i], "did not join", 1, 2)
	}
	require.Contains(t, net.logs.String(), "nothing was heard of a member")
	require.Contains(t, net.logs.String(), `"dialing":`, "why is in the log")
	for _, err := range net.keygen(t, net.all()...) {
		require.NoError(t, err, "the same id can be tried again")
	}
}

func TestAPortIsNotSharedWithAnotherProcess(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 2, nil)
	cfg := net.configs[1]
	cfg.Key = net.keys[1]
	for _, a := range net.nodes[0].host.Addrs() {
		cfg.ListenAddrs = []string{a.String()}
	}
	_, err := New(cfg)
	require.ErrorContains(t, err, "address already in use")
}

func TestADeadlineInTheJoinBlamesToo(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	_, err := eddsaKeygenOf(ctx, net.nodes[0], "keygen-1", net.members, 3)
	net.requireBlame(t, err, "did not join", 1, 2, 3)
}

func TestMembersOfAnotherMindAreBlamed(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, nil)
	ctx, pass := context.WithCancelCause(context.Background())
	done := make(chan []error)
	go func() {
		done <- net.each(net.all(), func(i int, n *Node) error {
			threshold := 3
			if i == 2 {
				threshold = 2
			}
			_, err := eddsaKeygenOf(ctx, n, "keygen-1", net.members, threshold)
			return err
		})
	}()
	net.joined(t, 4*3)
	pass(context.DeadlineExceeded)
	errs := <-done
	for _, i := range []int{0, 1, 3} {
		net.requireBlame(t, errs[i], "another member list, threshold or message", 2)
	}
}

// forge makes another version of a message, signed by its author.
func forge(s *session, f *frame, payload []byte) *frame {
	g := *f
	g.payload = payload
	g.sig = s.sign(s.messageDigest(g.slot, sha256.Sum256(payload)))
	return &g
}

// ofOwn reports whether a frame is a message of the member's own.
func ofOwn(s *session, f *frame) bool {
	return f.kind == frameMessage && int(f.slot.author) == s.self
}

// flipped changes the last byte.
func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

// ownShares takes the list of shares in a frame apart and puts it together again.
func ownShares(s *session, f *frame, change func(list []*sealed)) *frame {
	k := s.instances[f.slot.instance].known
	content, _, err := k.protocol.parse(k, f.slot.step, k.ids[s.self], f.payload)
	if err != nil {
		panic(err)
	}
	b := content.(*wrapperspb.BytesValue).Value
	list, err := k.decodeShares(b, s.self)
	if err != nil {
		panic(err)
	}
	change(list)
	out, _ := wrapOurs(f.slot.step, encodeShares(list))
	return forge(s, f, out.payload)
}

// wrongShare is a share that decrypts, and is one more than it should be.
func wrongShare(s *session, f *frame, to int) *frame {
	k := s.instances[f.slot.instance].known
	return ownShares(s, f, func(list []*sealed) {
		key, err := k.shareKey(s.keys.with(to), s.self, to)
		if err != nil {
			panic(err)
		}
		aead, err := chacha20poly1305.New(key)
		if err != nil {
			panic(err)
		}
		none := make([]byte, chacha20poly1305.NonceSize)
		share, err := aead.Open(nil, none, list[to].share, nil)
		if err != nil {
			panic(err)
		}
		list[to].share = aead.Seal(nil, none, flipped(share), nil)
	})
}

// receiptOf is a receipt with an opening against a member, the same each time.
func receiptOf(s *session, f *frame, against int, change func(o *opening)) *frame {
	k := s.instances[f.slot.instance].known
	b, err := k.open(once{}, against)
	if err != nil {
		panic(err)
	}
	o, err := decodeReceipt(b, s.self, len(s.members))
	if err != nil {
		panic(err)
	}
	change(o[0])
	out, _ := wrapOurs(f.slot.step, o[0].encode())
	return forge(s, f, out.payload)
}

// once reads as the number one.
type once struct{}

func (once) Read(b []byte) (int, error) {
	clear(b)
	b[len(b)-1] = 1
	return len(b), nil
}

// secondVersion makes another version of what a member said.
func secondVersion(s *session, step uint8) *frame {
	at := slot{step: step, author: uint16(s.self), to: everybody}
	f := s.at(at).versions[0].message(at)
	return forge(s, f, flipped(f.payload))
}

// What one member of four, number 2, can do to a keygen. Either the keygen succeeds, or all honest
// members name that member and no other.
func TestOneMaliciousMemberOfAKeygen(t *testing.T) {
	t.Parallel()
	running, checks := make(chan struct{}, atOnce), []func(){}
	message := func(f *frame, step uint8) bool {
		return f.kind == frameMessage && f.slot.author == 2 && f.slot.instance == 0 && f.slot.step == step
	}
	for _, c := range []struct {
		name, blame string // without blame the keygen succeeds
		tamper      func(s *session, to int, f *frame) *frame
	}{
		{"says nothing after the join", "did not send KGRound1Message of eddsa keygen", func(_ *session, _ int, f *frame) *frame {
			if f.kind >= frameMessage {
				return nil
			}
			return f
		}},
		{"sends no second round", "did not send KGRound2Message2 of eddsa keygen", func(_ *session, _ int, f *frame) *frame {
			if message(f, edRound2) {
				return nil
			}
			return f
		}},
		{"sends no shares", "did not send list of shares", func(_ *session, _ int, f *frame) *frame {
			if message(f, edShares) {
				return nil
			}
			return f
		}},
		{"gives no receipt", "did not send receipt", func(_ *session, _ int, f *frame) *frame {
			if message(f, edReceipt) {
				return nil
			}
			return f
		}},
		{"withholds its messages from one", "", func(_ *session, to int, f *frame) *frame {
			if f.kind == frameMessage && to == 1 {
				return nil
			}
			return f
		}},
		{"gives its messages to one alone", "", func(_ *session, to int, f *frame) *frame {
			if f.kind == frameMessage && to != 1 {
				return nil
			}
			return f
		}},
		{"echoes nothing", "", func(_ *session, _ int, f *frame) *frame {
			if f.kind == frameEcho {
				return nil
			}
			return f
		}},
		{"echoes to one alone", "", func(_ *session, to int, f *frame) *frame {
			if f.kind == frameEcho && to != 3 {
				return nil
			}
			return f
		}},
		{"echoes what nobody said", "", func(s *session, _ int, f *frame) *frame {
			if f.kind != frameEcho {
				return f
			}
			g := *f
			g.hash[0] ^= 1
			g.sig = s.sign(s.messageDigest(g.slot, g.hash))
			g.echoes = []echo{{member: 2, held: true, sig: s.sign(s.echoDigest(g.slot, g.hash, true))}}
			return &g
		}},
		{"signs two versions of its first round", "sent different versions of its KGRound1Message", func(s *session, to int, f *frame) *frame {
			if message(f, edRound1) && to == 3 {
				return forge(s, f, flipped(f.payload))
			}
			return f
		}},
		{"signs two versions of its second round", "sent different versions of its KGRound2Message2", func(s *session, to int, f *frame) *frame {
			if message(f, edRound2) && to == 0 {
				return forge(s, f, flipped(f.payload))
			}
			return f
		}},
		{"signs two versions of its receipt", "sent different versions of its receipt", func(s *session, to int, f *frame) *frame {
			if message(f, edReceipt) && to == 0 {
				return receiptOf(s, f, 1, func(*opening) {})
			}
			return f
		}},
		{"sends no bytes", "is no good", func(s *session, _ int, f *frame) *frame {
			if message(f, edRound2) {
				return forge(s, f, nil)
			}
			return f
		}},
		{"sends what is no message", "is no good", func(s *session, _ int, f *frame) *frame {
			if message(f, edRound2) {
				return forge(s, f, []byte("not a message of any kind"))
			}
			return f
		}},
		{"sends a message of an unknown type", "is no good", func(s *session, _ int, f *frame) *frame {
			if message(f, edRound1) {
				return forge(s, f, append([]byte("\x0a\x2etype.googleapis.com/google.protobuf.Any......."), 0x12, 0))
			}
			return f
		}},
		{"opens something else than it committed to", "opens something else", func(s *session, _ int, f *frame) *frame {
			if message(f, edRound1) {
				return forge(s, f, flipped(f.payload))
			}
			return f
		}},
		{"sends one member a share that does not decrypt", "does not decrypt", func(s *session, _ int, f *frame) *frame {
			if message(f, edShares) {
				return ownShares(s, f, func(list []*sealed) { list[0].share = flipped(list[0].share) })
			}
			return f
		}},
		{"sends one member a wrong share", "not of its polynomial", func(s *session, _ int, f *frame) *frame {
			if message(f, edShares) {
				return wrongShare(s, f, 3)
			}
			return f
		}},
		{"sends a list that lacks a share", "wrong form", func(s *session, _ int, f *frame) *frame {
			if message(f, edShares) {
				return ownShares(s, f, func(list []*sealed) { list[3] = nil })
			}
			return f
		}},
		{"complains of a share that is right", "complained of a share that is right", func(s *session, _ int, f *frame) *frame {
			if message(f, edReceipt) {
				return receiptOf(s, f, 1, func(*opening) {})
			}
			return f
		}},
		{"complains with another secret", "an opening that proves nothing", func(s *session, _ int, f *frame) *frame {
			if message(f, edReceipt) {
				return receiptOf(s, f, 1, func(o *opening) { o.secret = s.keys.with(0) })
			}
			return f
		}},
		{"complains of a member with the proof for another", "an opening that proves nothing", func(s *session, _ int, f *frame) *frame {
			if message(f, edReceipt) {
				return receiptOf(s, f, 1, func(o *opening) { o.author = 3 })
			}
			return f
		}},
		{"shows one another version of its first round when all have said done", "", func(s *session, to int, f *frame) *frame {
			if doneOf(f, 2) && to == 3 {
				s.links[to].send(secondVersion(s, edRound1).encode())
			}
			return f
		}},
		{"speaks in another's name", "did not send KGRound1Message", func(_ *session, _ int, f *frame) *frame {
			if f.kind == frameMessage {
				g := *f
				g.slot.author = 1
				return &g
			}
			return f
		}},
		{"says its broadcasts to each alone", "did not send KGRound1Message", func(s *session, to int, f *frame) *frame {
			if f.kind == frameMessage {
				g := *f
				g.slot.to = uint16(to)
				return forge(s, &g, g.payload)
			}
			return f
		}},
		{"sends steps that do not exist", "did not send KGRound1Message", func(s *session, _ int, f *frame) *frame {
			if f.kind == frameMessage {
				g := *f
				g.slot.step = 9
				return forge(s, &g, g.payload)
			}
			return f
		}},
		{"does not sign", "did not send KGRound1Message", func(_ *session, _ int, f *frame) *frame {
			if f.kind == frameMessage {
				g := *f
				g.sig = sig{}
				return &g
			}
			return f
		}},
		{"says hello again and again", "", func(_ *session, _ int, f *frame) *frame {
			if f.kind == frameEcho {
				return &frame{kind: frameHello, hello: hello{id: "keygen-1"}}
			}
			return f
		}},
		{"says that it gives up, and goes on", "", func(_ *session, _ int, f *frame) *frame {
			if f.kind == frameEcho {
				return &frame{kind: frameGone, reason: "for no reason"}
			}
			return f
		}},
		{"wants everything all the time", "", func(_ *session, _ int, f *frame) *frame {
			if f.kind != frameEcho {
				return f
			}
			g := &frame{kind: frameWant}
			for author := range uint16(4) {
				for step := range uint8(9) {
					g.wants = append(g.wants, want{slot{step: step, author: author, to: everybody}, true})
				}
			}
			return g
		}},
	} {
		running <- struct{}{}
		net, errs := newCluster(t, 4, fast), []error(nil)
		net.tamper(2, c.tamper)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			errs = net.keygen(t, net.all()...)
			<-running
		}()
		checks = append(checks, func() {
			t.Run(c.name, func(t *testing.T) {
				<-ended
				honest, blamed := []int{0, 1, 3}, []int{2}
				if c.blame == "" {
					blamed = nil
				}
				net.requireOneEnd(t, errs, honest, c.blame, blamed...)
				for _, i := range honest {
					require.Equal(t, c.blame == "", net.kept[i].times == 1, "a keygen that failed before is not kept")
				}
			})
		})
	}
	for _, check := range checks {
		check()
	}
}

// Two malicious members of seven. All honest members name the same ones, and no honest one.
func TestTwoMaliciousMembersOfAKeygen(t *testing.T) {
	t.Parallel()
	without := func(drop func(to int, f *frame) bool) tamper {
		return func(_ *session, to int, f *frame) *frame {
			if drop(to, f) {
				return nil
			}
			return f
		}
	}
	own := func(f *frame, author uint16, step uint8) bool {
		return f.kind == frameMessage && f.slot.author == author && f.slot.instance == 0 && f.slot.step == step
	}
	var checks []func()
	for _, c := range []struct {
		name      string
		one, four tamper
		blamed    []int
		blamedFor string
	}{
		{
			"one sends no second round, the other a wrong share",
			without(func(_ int, f *frame) bool { return own(f, 1, edRound2) }),
			func(s *session, _ int, f *frame) *frame {
				if own(f, 4, edShares) {
					return wrongShare(s, f, 0)
				}
				return f
			},
			[]int{1},
			"did not send KGRound2Message2",
		},
		{
			"one signs two versions, the other fails a later round",
			func(s *session, to int, f *frame) *frame {
				if own(f, 1, edRound1) && to == 6 {
					return forge(s, f, flipped(f.payload))
				}
				return f
			},
			without(func(_ int, f *frame) bool { return own(f, 4, edRound2) }),
			[]int{1},
			"different versions",
		},
		{
			"both send wrong shares, and complain of each other's and of a right one",
			func(s *session, _ int, f *frame) *frame {
				switch {
				case own(f, 1, edShares):
					return wrongShare(s, f, 4)
				case own(f, 1, edReceipt):
					return receiptOf(s, f, 0, func(*opening) {})
				}
				return f
			},
			func(s *session, _ int, f *frame) *frame {
				if own(f, 4, edShares) {
					return wrongShare(s, f, 3)
				}
				return f
			},
			[]int{1, 4},
			"not of its polynomial",
		},
		{
			"one shows another version of its first round in the end, and the other keeps its done back",
			func(s *session, to int, f *frame) *frame {
				if doneOf(f, 1) && to == 6 {
					s.links[to].send(secondVersion(s, edRound1).encode())
				}
				return f
			},
			without(func(_ int, f *frame) bool { return doneOf(f, 4) }),
			[]int{1},
			"different versions",
		},
		{
			"both echo nothing, and one gives its messages to one honest member alone",
			without(func(to int, f *frame) bool {
				return f.kind == frameEcho || f.kind == frameMessage && to != 3
			}),
			without(func(_ int, f *frame) bool { return f.kind == frameEcho }),
			nil, "",
		},
	} {
		net, errs, ended := newCluster(t, 7, fast), []error(nil), make(chan struct{})
		net.tamper(1, c.one)
		net.tamper(4, c.four)
		go func() {
			defer close(ended)
			errs = net.eddsaKeygens(context.Background(), "keygen-1", 5, net.all()...)
		}()
		checks = append(checks, func() {
			t.Run(c.name, func(t *testing.T) {
				<-ended
				net.requireOneEnd(t, errs, []int{0, 2, 3, 5, 6}, c.blamedFor, c.blamed...)
			})
		})
	}
	for _, check := range checks {
		check()
	}
}

// Two honest members that cannot reach each other hear of each other by the rest.
func TestMembersWithoutAConnection(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, fast)
	for _, pair := range [][2]int{{0, 3}, {3, 0}} {
		net.tamper(pair[0], func(_ *session, to int, f *frame) *frame {
			if to == pair[1] && f.kind >= frameMessage {
				return nil
			}
			return f
		})
	}
	for _, err := range net.keygen(t, net.all()...) {
		require.NoError(t, err)
	}
}

// A signature needs all of its signers and blames only locally: whoever misses something names who
// should have sent it, and the others hear that it gave up.
func TestAWithheldPartOfASignature(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, fast)
	errs := net.ecdsaSign(t, 0, func(_ *session, to int, f *frame) *frame {
		if f.kind == frameMessage && f.slot.step == 2 && to == 2 { // SignRound2Message
			return nil
		}
		return f
	})
	net.requireBlame(t, errs[2], "SignRound2Message of ecdsa keysign", 0)
	for _, i := range []int{1, 3} {
		require.ErrorContains(t, errs[i], "gave up")
	}
}

func TestMembersStartAtDifferentTimesAndAgain(t *testing.T) {
	noLeak(t)
	net := newCluster(t, 4, nil)
	// Member 3 comes, dies in the join, and comes back while the last one is still missing.
	dying, kill := context.WithCancel(context.Background())
	died := make(chan error, 1)
	go func() {
		_, err := eddsaKeygenOf(dying, net.nodes[3], "keygen-1", net.members, 3)
		died <- err
	}()
	errs := make(chan error, 4)
	run := func(i int) {
		_, err := eddsaKeygenOf(context.Background(), net.nodes[i], "keygen-1", net.members, 3)
		errs <- err
	}
	go run(0)
	go run(1)
	joined := func(i, member int) func() bool {
		return func() bool {
			net.nodes[i].mu.Lock()
			defer net.nodes[i].mu.Unlock()
			s := net.nodes[i].sessions["keygen-1"]
			if s == nil {
				return false
			}
			s.streamsMu.Lock()
			defer s.streamsMu.Unlock()
			return s.streams[member] != nil
		}
	}
	require.Eventually(t, joined(0, 3), 10*time.Second, 10*time.Millisecond)
	require.Eventually(t, joined(1, 3), 10*time.Second, 10*time.Millisecond)
	kill()
	require.ErrorIs(t, <-died, context.Canceled)
	go run(3)
	require.Eventually(t, joined(3, 0), 10*time.Second, 10*time.Millisecond)
	go run(2)
	for range 4 {
		require.NoError(t, <-errs)
	}
}

func TestARestartInTheMiddleIsBlamed(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, fast)
	dying, kill := context.WithCancel(context.Background())
	defer kill()
	net.tamper(2, func(_ *session, _ int, f *frame) *frame {
		if f.kind == frameMessage && f.slot.step == edShares {
			kill()
			return nil
		}
		if f.kind == frameGone {
			return nil // it dies without a word
		}
		return f
	})
	again := make(chan error, 1)
	errs := net.each(net.all(), func(i int, n *Node) error {
		if i != 2 {
			_, err := eddsaKeygenOf(context.Background(), n, "keygen-1", net.members, 3)
			return err
		}
		_, err := eddsaKeygenOf(dying, n, "keygen-1", net.members, 3)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			_, err := eddsaKeygenOf(ctx, n, "keygen-1", net.members, 3)
			again <- err
		}()
		return err
	})
	for _, i := range []int{0, 1, 3} {
		net.requireBlame(t, errs[i], "did not send", 2)
	}
	require.ErrorIs(t, errs[2], context.Canceled)
	require.Error(t, <-again)
}

func TestABrokenConnectionIsMended(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, nil)
	broken := 0
	net.tamper(1, func(_ *session, to int, f *frame) *frame {
		if f.kind == frameMessage && broken < 3 {
			broken++
			_ = net.nodes[1].host.Network().ClosePeer(net.nodes[to].host.ID())
		}
		return f
	})
	for _, err := range net.keygen(t, net.all()...) {
		require.NoError(t, err)
	}
	require.Equal(t, 3, broken)
}

func TestStrangersCannotConnect(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, nil)
	stranger := newCluster(t, 1, nil).nodes[0]
	victim := net.nodes[0]

	try := func() error {
		stranger.gate.allow(net.peerIDs(), 1) // its own gate lets it dial
		for _, a := range victim.host.Addrs() {
			stranger.host.Peerstore().AddAddr(victim.host.ID(), a, time.Hour)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		st, err := stranger.open(ctx, victim.host.ID())
		if err != nil {
			return err
		}
		_ = st.SetDeadline(time.Now().Add(5 * time.Second))
		_ = writeFrame(st, (&frame{kind: frameHello, hello: hello{id: "keygen-1"}}).encode())
		_, err = st.Read(make([]byte, 1))
		return err
	}
	require.Error(t, try(), "no ceremony runs")

	ctx, pass := context.WithCancelCause(context.Background())
	done := make(chan []error, 1)
	go func() { done <- net.keygenUntil(ctx, 0, 1) }()
	require.Eventually(t, func() bool { return victim.gate.allows(net.nodes[1].host.ID()) }, 5*time.Second, time.Millisecond)
	require.Error(t, try(), "it is no member")
	for _, c := range victim.host.Network().Conns() {
		require.NotEqual(t, stranger.host.ID(), c.RemotePeer())
	}
	net.joined(t, 2)
	pass(context.DeadlineExceeded)
	errs := <-done
	net.requireBlame(t, errs[0], "did not join", 2, 3)
	require.False(t, victim.gate.allows(net.nodes[1].host.ID()), "after the ceremony members are strangers again")
}

func TestClose(t *testing.T) {
	noLeak(t)
	net := newCluster(t, 4, nil)
	errs := make(chan error, 1)
	go func() {
		_, err := eddsaKeygenOf(context.Background(), net.nodes[0], "keygen-1", net.members, 3)
		errs <- err
	}()
	require.Eventually(t, func() bool { return net.nodes[0].gate.allows(net.nodes[1].host.ID()) }, 5*time.Second, time.Millisecond)
	_, err := eddsaKeygenOf(context.Background(), net.nodes[0], "keygen-1", net.members, 3)
	require.ErrorContains(t, err, "running already")
	require.NoError(t, net.nodes[0].Close())
	require.ErrorIs(t, <-errs, errClosed)
	_, err = eddsaKeygenOf(context.Background(), net.nodes[0], "keygen-1", net.members, 3)
	require.ErrorIs(t, err, errClosed)
	require.NoError(t, net.nodes[0].Close(), "twice is fine")
}

func TestKeygenRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, func(cfg *Config) { cfg.PreParams, cfg.Bech32Prefix = storeOf(t, 0), "cosmos" })
	good := net.keygenOf(0, 3, "attempt")
	for name, change := range map[string]func(r *ceremony.KeygenRequest){
		"a member twice":                  func(r *ceremony.KeygenRequest) { r.Members = append(net.members[:3:3], net.members[0]) },
		"this node not a member":          func(r *ceremony.KeygenRequest) { r.Members = net.members[1:] },
		"one member":                      func(r *ceremony.KeygenRequest) { r.Members = net.members[:1] },
		"no member":                       func(r *ceremony.KeygenRequest) { r.Members = nil },
		"a key that is none":              func(r *ceremony.KeygenRequest) { r.Members = append(net.members[:3:3], make([]byte, 33)) },
		"a threshold of one":              func(r *ceremony.KeygenRequest) { r.Threshold = 1 },
		"a threshold beyond all":          func(r *ceremony.KeygenRequest) { r.Threshold = 5 },
		"no id":                           func(r *ceremony.KeygenRequest) { r.ID = "" },
		"no session":                      func(r *ceremony.KeygenRequest) { r.Session = ceremony.Session{} },
		"a session without a key of each": func(r *ceremony.KeygenRequest) { r.Session.Keys = r.Session.Keys[1:] },
		"a session key that is none":      func(r *ceremony.KeygenRequest) { r.Session.Keys = append(r.Session.Keys[:3:3], make([]byte, 33)) },
		"another member's session":        func(r *ceremony.KeygenRequest) { r.Session = net.keygenOf(1, 3, "attempt").Session },
		"no Keep":                         func(r *ceremony.KeygenRequest) { r.Keep = nil },
		"an id that is too long":          func(r *ceremony.KeygenRequest) { r.ID = string(make([]byte, maxID+1)) },
	} {
		r := good
		change(&r)
		_, err := net.nodes[0].Keygen(context.Background(), r)
		require.Error(t, err, name)
		var blame *ceremony.BlameError
		require.False(t, errors.As(err, &blame), name)
	}
}

func TestNodesThatMakeNoKeys(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(cfg *Config){
		"no pre-parameters":      func(cfg *Config) { cfg.PreParams = nil },
		"no prefix":              func(cfg *Config) { cfg.Bech32Prefix = "" },
		"a prefix in upper case": func(cfg *Config) { cfg.Bech32Prefix = "Cosmos" },
	} {
		net := newCluster(t, 2, func(cfg *Config) {
			cfg.PreParams, cfg.Bech32Prefix = storeOf(t, 0), "cosmos"
			change(cfg)
		})
		_, err := net.nodes[0].Keygen(t.Context(), net.keygenOf(0, 2, "attempt"))
		require.ErrorContains(t, err, "making keyshares needs", name)
	}
}

// ecdsaSign lets four members sign with the fixture's keyshares while one of them tampers.
func (net *cluster) ecdsaSign(t *testing.T, bad int, change func(s *session, to int, f *frame) *frame) []error {
	t.Helper()
	net.tamper(bad, change)
	return net.each(net.all(), func(i int, n *Node) error {
		share, err := keyshare.Parse(fixtureShare(t, i))
		if err != nil {
			return err
		}
		_, parties, err := checkMembers("x", share.Participants())
		if err != nil {
			return err
		}
		_, err = n.keysign(context.Background(), "sign", share, net.members, parties, make([]byte, 32), true)
		return err
	})
}
