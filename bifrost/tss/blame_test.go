package tss

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
)

const (
	edRound1 = iota // steps of the EdDSA keygen
	edRound2Share
	edRound2
)

func fast(cfg *Config) { cfg.RoundTimeout = 8 * time.Second }

// keygen runs an EdDSA keygen of three out of four among these nodes and returns their errors.
func (net *cluster) keygen(t *testing.T, nodes ...int) []error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return net.keygenUntil(ctx, nodes...)
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
	return net.each(nodes, func(_ int, n *Node) error {
		_, err := eddsaKeygenOf(ctx, n, "keygen-1", net.members, 3)
		return err
	})
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
	for _, err := range net.keygen(t, net.all()...) {
		require.NoError(t, err, "the same id can be tried again")
	}
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

// forge makes another version of a broadcast, signed by its author.
func forge(s *session, f *frame) *frame {
	g := *f
	g.payload = append([]byte(nil), f.payload...)
	g.payload[len(g.payload)-1] ^= 1
	g.sig = s.sign(s.broadcastDigest(g.slot, sha256.Sum256(g.payload)))
	return &g
}

func TestDifferentBroadcastsToDifferentPeersAreDetected(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]uint8{"in the first round": edRound1, "in the second round": edRound2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			net := newCluster(t, 4, nil)
			net.tamper(1, func(s *session, to int, f *frame) *frame {
				if f.kind == frameBroadcast && f.slot.step == step && to == 3 {
					return forge(s, f)
				}
				return f
			})
			errs := net.keygen(t, net.all()...)
			for _, i := range []int{0, 2, 3} {
				net.requireBlame(t, errs[i], "different versions", 1)
			}
		})
	}
}

// One who says that it got something else, with a signature of its own making, is found out, and
// not the author that it accuses.
func TestAFalseEchoIsDetected(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(s *session, f *frame) *frame{
		"signed by the echoer": func(s *session, f *frame) *frame {
			g := *f
			g.hash[0] ^= 1
			g.echoSig = s.sign(s.echoDigest(g.slot, g.hash, g.sig))
			return &g
		},
		"with the echoer's signature for the author's": func(s *session, f *frame) *frame {
			g := *f
			g.hash[0] ^= 1
			g.sig = s.sign(s.broadcastDigest(g.slot, g.hash))
			g.echoSig = s.sign(s.echoDigest(g.slot, g.hash, g.sig))
			return &g
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			net := newCluster(t, 4, nil)
			net.tamper(2, func(s *session, to int, f *frame) *frame {
				if f.kind == frameEcho && f.slot.author == 0 && to == 1 { // to one alone, who can prove it
					return change(s, f)
				}
				return f
			})
			errs := net.keygen(t, net.all()...)
			for _, i := range []int{0, 1, 3} {
				net.requireBlame(t, errs[i], "did not sign", 2)
			}
		})
	}
}

func TestTheSilentAreBlamedForWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, missing string
		silent        func(f *frame) bool
	}{
		{"after the join", "KGRound1Message of eddsa keygen", func(f *frame) bool { return f.kind >= frameBroadcast }},
		{"in the second round", "KGRound2Message2 of eddsa keygen", func(f *frame) bool {
			return f.slot.step >= edRound2Share && (f.kind == frameBroadcast || f.kind == frameDirect)
		}},
		{"as an echoer", "what it got as KGRound1Message from", func(f *frame) bool { return f.kind == frameEcho }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			net := newCluster(t, 4, fast)
			net.tamper(0, func(_ *session, _ int, f *frame) *frame {
				if c.silent(f) {
					return nil
				}
				return f
			})
			errs := net.keygen(t, net.all()...)
			for _, i := range []int{1, 2, 3} {
				net.requireBlame(t, errs[i], c.missing, 0)
			}
		})
	}
}

// A broadcast that its author sends to some only reaches everybody through the others.
func TestAWithheldBroadcastIsPassedOn(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, fast)
	net.tamper(0, func(_ *session, to int, f *frame) *frame {
		if f.kind == frameBroadcast && to == 2 {
			return nil
		}
		return f
	})
	for _, err := range net.keygen(t, net.all()...) {
		require.NoError(t, err)
	}
}

// What is for one member alone nobody can pass on: it is one word against the other.
func TestAWithheldShareBlamesBoth(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, fast)
	// In a protocol that goes on after the share: member 2 cannot, and says why.
	errs := net.ecdsaSign(t, 0, func(_ *session, to int, f *frame) *frame {
		if f.kind == frameDirect && f.slot.step == 2 && to == 2 { // SignRound2Message
			return nil
		}
		return f
	})
	net.requireBlame(t, errs[2], "SignRound2Message of ecdsa keysign", 0)
	for _, i := range []int{1, 3} {
		net.requireBlame(t, errs[i], "SignRound3Message", 0, 2)
	}
}

func TestAMessageThatIsNoGoodIsBlamedOnItsAuthor(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string][]byte{
		"no bytes":   {},
		"no message": []byte("not a message of any kind"),
		"of a type that tss-lib does not have": append(append([]byte{0x0a, 0x2e}, "type.googleapis.com/google.protobuf.Any......."...),
			0x12, 0x00),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			net := newCluster(t, 4, nil)
			net.tamper(3, func(s *session, _ int, f *frame) *frame {
				if f.kind == frameBroadcast && f.slot.step == edRound2 {
					g := *f
					g.payload = payload
					g.sig = s.sign(s.broadcastDigest(g.slot, sha256.Sum256(payload)))
					return &g
				}
				return f
			})
			errs := net.keygen(t, net.all()...)
			for _, i := range []int{0, 1, 2} {
				net.requireBlame(t, errs[i], "KGRound2Message2 of the eddsa keygen is no good", 3)
			}
		})
	}
}

// A wrong share is detected by its receiver alone; the others have the receiver's word against the
// sender's.
func TestAWrongShare(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, fast)
	net.tamper(1, func(_ *session, to int, f *frame) *frame {
		if f.kind == frameDirect && to == 0 {
			g := *f
			g.payload = append([]byte(nil), f.payload...)
			g.payload[len(g.payload)-1] ^= 1
			return &g
		}
		return f
	})
	errs := net.keygen(t, net.all()...)
	net.requireBlame(t, errs[0], "vss verify failed", 1)
}

func TestProtocolViolationsAreBlamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, reason string
		change       func(f *frame) *frame
	}{
		{"a message in another's name", "in another member's name", func(f *frame) *frame {
			if f.kind == frameBroadcast {
				g := *f
				g.slot.author = 1
				return &g
			}
			return f
		}},
		{"a broadcast sent as a direct message", "does not have", func(f *frame) *frame {
			if f.kind == frameBroadcast {
				g := *f
				g.kind = frameDirect
				return &g
			}
			return f
		}},
		{"a step that does not exist", "does not have", func(f *frame) *frame {
			if f.kind == frameBroadcast {
				g := *f
				g.slot.step = 9
				return &g
			}
			return f
		}},
		{"an unsigned broadcast", "did not sign", func(f *frame) *frame {
			if f.kind == frameBroadcast {
				g := *f
				g.sig = sig{}
				return &g
			}
			return f
		}},
		{"a proof that proves nothing", "proves nothing", func(f *frame) *frame {
			if f.kind == frameEcho {
				return &frame{kind: frameAbort, abort: abort{proof: proofEquivocation, slot: slot{author: 1}}}
			}
			return f
		}},
		{"a second hello", "malformed", func(f *frame) *frame {
			if f.kind == frameEcho {
				return &frame{kind: frameHello, id: "keygen-1"}
			}
			return f
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			net := newCluster(t, 4, fast)
			net.tamper(2, func(_ *session, _ int, f *frame) *frame { return c.change(f) })
			errs := net.keygen(t, net.all()...)
			reasons := ""
			for _, i := range []int{0, 1, 3} { // who is told by the others first has their reason
				net.requireBlame(t, errs[i], "", 2)
				reasons += errs[i].Error()
			}
			require.Contains(t, reasons, c.reason)
		})
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
	net := newCluster(t, 4, nil)
	dying, kill := context.WithCancel(context.Background())
	defer kill()
	net.tamper(2, func(_ *session, _ int, f *frame) *frame {
		if f.kind == frameDirect {
			kill()
			return nil
		}
		if f.kind == frameAbort {
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
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_, err := eddsaKeygenOf(ctx, n, "keygen-1", net.members, 3)
			again <- err
		}()
		return err
	})
	for _, i := range []int{0, 1, 3} {
		net.requireBlame(t, errs[i], "restarted during the ceremony", 2)
	}
	require.ErrorIs(t, errs[2], context.Canceled)
	require.Error(t, <-again)
}

func TestABrokenConnectionIsMended(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, nil)
	broken := 0
	net.tamper(1, func(_ *session, to int, f *frame) *frame {
		if f.kind == frameBroadcast && broken < 3 {
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
		_ = writeFrame(st, (&frame{kind: frameHello, id: "keygen-1"}).encode())
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
	good := ceremony.KeygenRequest{ID: "keygen-1", Members: net.members, Threshold: 3}
	for name, change := range map[string]func(r *ceremony.KeygenRequest){
		"a member twice":         func(r *ceremony.KeygenRequest) { r.Members = append(net.members[:3:3], net.members[0]) },
		"this node not a member": func(r *ceremony.KeygenRequest) { r.Members = net.members[1:] },
		"one member":             func(r *ceremony.KeygenRequest) { r.Members = net.members[:1] },
		"no member":              func(r *ceremony.KeygenRequest) { r.Members = nil },
		"a key that is none":     func(r *ceremony.KeygenRequest) { r.Members = append(net.members[:3:3], make([]byte, 33)) },
		"a threshold of one":     func(r *ceremony.KeygenRequest) { r.Threshold = 1 },
		"a threshold beyond all": func(r *ceremony.KeygenRequest) { r.Threshold = 5 },
		"no id":                  func(r *ceremony.KeygenRequest) { r.ID = "" },
		"an id that is too long": func(r *ceremony.KeygenRequest) { r.ID = string(make([]byte, maxID+1)) },
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
		_, err := net.nodes[0].Keygen(t.Context(), ceremony.KeygenRequest{ID: "keygen-1", Members: net.members, Threshold: 2})
		require.ErrorContains(t, err, "a keygen needs", name)
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
		_, err = n.keysign(context.Background(), "sign", share, net.members, parties, make([]byte, 32))
		return err
	})
}
