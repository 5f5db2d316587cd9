package tss

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
)

const noDone = "did not sign the result"

// doneOf reports whether a frame is this member's done, in a keygen of the EdDSA half.
func doneOf(f *frame, author uint16) bool {
	return f.kind == frameMessage && f.slot.instance == 1 && f.slot.author == author
}

// signed is a message with another signature.
func signed(f *frame, by sig) *frame {
	g := *f
	g.sig = by
	return &g
}

// highS is the other signature that everybody can make of one.
func highS(s sig) sig {
	var v secp256k1.ModNScalar
	v.SetByteSlice(s[32:])
	v.Negate()
	v.PutBytesUnchecked(s[32:])
	return s
}

// otherSignature is a second good one under the same digest.
func otherSignature(s *session, digest hash) (out sig) {
	nonce := secp256k1.NonceRFC6979(s.key.Serialize(), digest[:], nil, nil, 1)
	var point secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(nonce, &point)
	point.ToAffine()
	var r, v, e secp256k1.ModNScalar
	r.SetByteSlice(point.X.Bytes()[:])
	e.SetByteSlice(digest[:])
	v.Mul2(&r, &s.key.Key).Add(&e).Mul(nonce.InverseNonConst())
	if v.IsOverHalfOrder() {
		v.Negate()
	}
	r.PutBytesUnchecked(out[:32])
	v.PutBytesUnchecked(out[32:])
	return out
}

// lateDone lets a member say done to one other alone, and late, with the echoes of accomplices.
func lateDone(
	author uint16, to int, when func(end time.Time, phase time.Duration) time.Time, with ...*accomplice,
) func(*session, int, *frame) *frame {
	return func(s *session, receiver int, f *frame) *frame {
		if !doneOf(f, author) {
			return f
		}
		if receiver == to {
			at := when(s.roundEnd(s.lastRound()), s.phaseTime)
			go func() {
				lazy.until(at)
				done := &frame{kind: frameEcho, slot: f.slot, hash: doneContent, sig: f.sig}
				for _, a := range with {
					done.echoes = append(done.echoes, a.echo(f.slot))
				}
				s.links[to].send(done.encode())
			}()
		}
		return nil
	}
}

// An accomplice is a malicious member whose key another one uses.
type accomplice struct{ session atomic.Pointer[session] }

func (a *accomplice) join(s *session, _ int, f *frame) *frame {
	a.session.Store(s)
	return f
}

func (a *accomplice) echo(at slot) echo {
	s := a.session.Load()
	return echo{
		member: uint16(s.self), held: true, sig: s.sign(s.echoDigest(at, doneContent, true)),
	}
}

// fallsSilent lets a member say nothing more after a frame.
func fallsSilent(after func(s *session, to int, f *frame) bool) func(*session, int, *frame) *frame {
	silent := false
	return func(s *session, to int, f *frame) *frame {
		if silent {
			return nil
		}
		silent = after(s, to, f)
		return f
	}
}

// ready is a party that has its result from the start.
type ready struct{ tsslib.Party }

func (ready) Start() *tsslib.Error { return nil }

// lastStep runs the last step of a keygen alone, at all members, and has in net.kept what came of it.
func (net *cluster) lastStep(ctx context.Context, id string, keep func(i int) error) []error {
	net.kept = make([]*kept, len(net.nodes))
	return net.each(net.all(), func(i int, n *Node) error {
		d, err := describe(ceremony.KeygenRequest{ID: id, Members: net.members, Threshold: 2})
		if err != nil {
			return err
		}
		p := &protocol{name: "nothing"}
		d.build = func(at seat) ([]*instance, error) {
			end := func() (any, bool) { return "result", true }
			return []*instance{{protocol: p, known: newKnown(p, at, 1), party: ready{}, end: end}}, nil
		}
		out := &kept{digest: sha256.Sum256([]byte(id))}
		net.kept[i] = out
		d.keep = func(context.Context, []any) ([]byte, error) {
			out.times++
			return out.digest[:], keep(i)
		}
		results, err := n.run(ctx, d)
		if err != nil {
			return err
		}
		out.certificate = results[1].([][]byte)
		return checkCertificate(out.certificate, d.members, out.digest)
	})
}

func nothing(int) error { return nil }

// What one member of four, number 2, can do to the last step of a keygen. Either all honest members
// have one certificate, or none has and all name that member.
func TestOneMaliciousMemberOfTheLastStep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, blame string // without blame the keygen succeeds
		tamper      func(s *session, to int, f *frame) *frame
	}{
		{"keeps its done back", noDone, func(_ *session, _ int, f *frame) *frame {
			if doneOf(f, 2) {
				return nil
			}
			return f
		}},
		{"withholds its done from one", "", func(_ *session, to int, f *frame) *frame {
			if doneOf(f, 2) && to == 1 {
				return nil
			}
			return f
		}},
		{"says done to one alone", "", func(_ *session, to int, f *frame) *frame {
			if doneOf(f, 2) && to != 1 {
				return nil
			}
			return f
		}},
		{"says done to one alone, just before the round ends", "", lateDone(2, 3, func(end time.Time, _ time.Duration) time.Time {
			return end.Add(-2 * lazyTick)
		})},
		{"says done to one alone, when it is too late for that", noDone, lateDone(2, 3, func(end time.Time, phase time.Duration) time.Time {
			return end.Add(phase + phase/2)
		})},
		{"signs one other a done that is wrong, and the rest a right one", "", func(s *session, to int, f *frame) *frame {
			if doneOf(f, 2) && to == 0 {
				return signed(f, s.sign(hash{1}))
			}
			return f
		}},
		{"signs one other a right done, and the rest two wrong ones each", "", func(s *session, to int, f *frame) *frame {
			if doneOf(f, 2) && to != 0 && f.sig != s.sign(hash{1}) {
				s.links[to].send(signed(f, s.sign(hash{1})).encode())
				return signed(f, s.sign(hash{2}))
			}
			return f
		}},
		{"signs another result", noDone, func(s *session, _ int, f *frame) *frame {
			if doneOf(f, 2) {
				return signed(f, s.sign(hash{1}))
			}
			return f
		}},
		{"signs its done with another key", noDone, func(s *session, _ int, f *frame) *frame {
			if doneOf(f, 2) {
				return signed(f, sign(s.sessionKey, *s.certificate.digest))
			}
			return f
		}},
		{"signs its done as a message", noDone, func(s *session, _ int, f *frame) *frame {
			if doneOf(f, 2) {
				at := f.slot
				at.instance = 0
				return signed(f, s.sign(s.messageDigest(at, doneContent)))
			}
			return f
		}},
		{"says done with another's signature", noDone, func(s *session, to int, f *frame) *frame {
			if doneOf(f, 2) && s.signed(2, *s.certificate.digest, f.sig) {
				return nil
			}
			if f.kind == frameEcho && f.slot.instance == 1 && f.slot.author == 1 {
				at := f.slot
				at.author = 2
				s.links[to].send((&frame{kind: frameMessage, slot: at, sig: f.sig}).encode())
			}
			return f
		}},
		{"signs its done with the higher S", noDone, func(_ *session, _ int, f *frame) *frame {
			if doneOf(f, 2) {
				return signed(f, highS(f.sig))
			}
			return f
		}},
		{"signs its done with zeros", noDone, func(_ *session, _ int, f *frame) *frame {
			if doneOf(f, 2) {
				return signed(f, sig{})
			}
			return f
		}},
		{"says done with a content", noDone, func(s *session, _ int, f *frame) *frame {
			if doneOf(f, 2) {
				return forge(s, f, f.sig[:63])
			}
			return f
		}},
		{"dies when it has said done", "", fallsSilent(func(_ *session, to int, f *frame) bool {
			return doneOf(f, 2) && to == 3
		})},
		{"dies when it has said done to one", "", fallsSilent(func(_ *session, to int, f *frame) bool {
			return doneOf(f, 2) && to == 0
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			net := newCluster(t, 4, fast)
			net.tamper(2, c.tamper)
			honest, blamed := []int{0, 1, 3}, []int{2}
			if c.blame == "" {
				blamed = nil
			}
			errs := net.lastStep(t.Context(), "keygen-1", nothing)
			net.requireOneEnd(t, errs, honest, c.blame, blamed...)
			for _, i := range honest {
				require.Equal(t, 1, net.kept[i].times)
			}
		})
	}
}

// Two malicious members of seven, 1 and 4.
func TestTwoMaliciousMembersOfTheLastStep(t *testing.T) {
	t.Parallel()
	type tamper = func(s *session, to int, f *frame) *frame
	without := func(author uint16) tamper {
		return func(_ *session, _ int, f *frame) *frame {
			if doneOf(f, author) {
				return nil
			}
			return f
		}
	}
	var four, another accomplice
	for _, c := range []struct {
		name      string
		one, four tamper
		blamed    []int
		blamedFor string
	}{
		{
			"one says done to one honest member alone, in the second phase, with the other's echo",
			lateDone(1, 3, func(end time.Time, phase time.Duration) time.Time {
				return end.Add(phase + phase/4)
			}, &four),
			four.join,
			nil, "",
		},
		{
			"one says done to one honest member alone, in the third phase, with the other's echo",
			lateDone(1, 3, func(end time.Time, phase time.Duration) time.Time {
				return end.Add(2*phase + phase/2)
			}, &another),
			another.join,
			[]int{1},
			noDone,
		},
		{
			"both keep their dones back",
			without(1),
			without(4),
			[]int{1, 4},
			noDone,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			net := newCluster(t, 7, fast)
			net.tamper(1, c.one)
			net.tamper(4, c.four)
			errs := net.lastStep(t.Context(), "keygen-1", nothing)
			net.requireOneEnd(t, errs, []int{0, 2, 3, 5, 6}, c.blamedFor, c.blamed...)
		})
	}
}

// Every member keeps its result once, and before anybody hears its done.
func TestAResultIsKeptBeforeDoneIsSaid(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, fast)
	var kept, said, early atomic.Int32
	net.tamper(1, func(_ *session, _ int, f *frame) *frame {
		if doneOf(f, 1) {
			said.Add(1)
			early.Add(1 - kept.Load())
		}
		return f
	})
	errs := net.lastStep(t.Context(), "keygen-1", func(i int) error {
		if i == 1 {
			kept.Add(1)
		}
		return nil
	})
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, kept.Load())
	require.EqualValues(t, 3, said.Load(), "to each of the others")
	require.Zero(t, early.Load())
}

// A member whose disk fails says so to its caller alone. The others cannot tell it from one that
// keeps its done back, and name it.
func TestAResultThatCannotBeKept(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, fast)
	full := errors.New("the disk is full")
	errs := net.lastStep(t.Context(), "keygen-1", func(i int) error {
		if i == 3 {
			return full
		}
		return nil
	})
	require.ErrorIs(t, errs[3], full)
	var blame *ceremony.BlameError
	require.NotErrorAs(t, errs[3], &blame)
	net.requireOneEnd(t, errs, []int{0, 1, 2}, noDone, 3)
}

// What was signed in one session is nothing in another of the same members.
func TestADoneOfAnotherSessionIsNone(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 4, fast)
	var earlier atomic.Pointer[frame]
	net.tamper(2, func(_ *session, _ int, f *frame) *frame {
		if !doneOf(f, 2) {
			return f
		}
		earlier.CompareAndSwap(nil, f)
		return signed(f, earlier.Load().sig)
	})
	for _, err := range net.lastStep(t.Context(), "keygen-1", nothing) {
		require.NoError(t, err)
	}
	errs := net.lastStep(t.Context(), "keygen-2", nothing)
	net.requireOneEnd(t, errs, []int{0, 1, 3}, noDone, 2)
}

// Who signs two dones leaves two certificates, and all of either are whole. Which of the two comes
// first to a member is a matter of chance, so that now and then all have the same.
func TestTwoDonesOfOneMember(t *testing.T) {
	t.Parallel()
	for range 30 {
		net := newCluster(t, 4, fast)
		net.tamper(2, func(s *session, to int, f *frame) *frame {
			if doneOf(f, 2) && to == 1 {
				return signed(f, otherSignature(s, *s.certificate.digest))
			}
			return f
		})
		for _, err := range net.lastStep(t.Context(), "keygen-1", nothing) {
			require.NoError(t, err)
		}
		if !bytes.Equal(net.kept[1].certificate[2], net.kept[2].certificate[2]) {
			return
		}
	}
	t.Fatal("two certificates never came about")
}

// A member that is stopped while it keeps its result waits for that.
func TestKeepingAResultIsNotCutShort(t *testing.T) {
	t.Parallel()
	net := newCluster(t, 2, fast)
	var whole atomic.Bool
	ctx, stop := context.WithCancel(context.Background())
	errs := net.lastStep(ctx, "keygen-1", func(i int) error {
		if i == 0 {
			stop()
			<-ctx.Done()
			whole.Store(true)
		}
		return nil
	})
	require.ErrorIs(t, errs[0], context.Canceled)
	require.True(t, whole.Load())
}
