package tss

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
)

const noEnvelope = "did not send envelope of keygen"

// checkTestEnvelope is what members of tests take for an envelope.
func checkTestEnvelope(b []byte) error {
	if !bytes.HasPrefix(b, []byte("envelope")) {
		return errors.New("not an envelope")
	}
	return nil
}

// giving has those of some members that get shares give the others an envelope to hold.
func giving(some ...int) func(*description) {
	var made atomic.Int32
	return func(d *description) {
		give := make([]bool, len(d.members))
		for _, m := range some {
			give[m] = d.gets(m)
		}
		if !slices.Contains(give, true) {
			return
		}
		d.giving, d.checkEnvelope = give, checkTestEnvelope
		d.seal = func(context.Context, []any) ([]byte, error) {
			return fmt.Appendf(nil, "envelope %d", made.Add(1)), nil
		}
	}
}

// envelopeOf reports whether a frame is this member's envelope, in a keygen of one key.
func envelopeOf(f *frame, author uint16) bool {
	return f.kind == frameMessage && f.slot.instance == 1 && f.slot.step == 0 &&
		f.slot.author == author
}

// holding runs the last steps of a keygen alone, in which members 0, 2 and 3 give the others an
// envelope, and returns what each was given to keep.
func (net *cluster) holding(
	ctx context.Context, seal func(ctx context.Context, i int) ([]byte, error),
) (held [][][]byte, errs []error) {
	held = make([][][]byte, len(net.nodes))
	net.kept = make([]*kept, len(net.nodes))
	asked := net.pick(3, 0, 2)
	errs = net.each(net.all(), func(i int, n *Node) error {
		d, err := describe(ceremony.KeygenRequest{
			ID: "keygen-1", Members: net.members, Threshold: 3,
			Envelopes: &ceremony.Envelopes{
				Asked: asked, Check: checkTestEnvelope,
				Seal: func(context.Context, ceremony.KeygenResult) ([]byte, error) { return nil, nil },
			},
		})
		if err != nil {
			return err
		}
		p := &protocol{name: "nothing"}
		d.build = func(at seat) ([]*instance, error) {
			end := func() (any, bool) { return "result", true }
			return []*instance{{protocol: p, known: newKnown(p, at, 1), party: ready{}, end: end}}, nil
		}
		out := &kept{digest: sha256.Sum256([]byte("keygen-1"))}
		net.kept[i] = out
		d.checkEnvelope = checkTestEnvelope
		d.seal = func(ctx context.Context, _ []any) ([]byte, error) { return seal(ctx, i) }
		d.keep = func(_ context.Context, results []any) ([]byte, error) {
			out.times++
			held[i] = results[1].([][]byte)
			return out.digest[:], nil
		}
		results, err := n.run(ctx, d)
		if err != nil {
			return err
		}
		out.certificate = results[1].([][]byte)
		return checkCertificate(out.certificate, d.members, out.digest)
	})
	return held, errs
}

func sealed0(_ context.Context, i int) ([]byte, error) {
	return fmt.Appendf(nil, "envelope of member %d", i), nil
}

// All hold the envelopes of those who are asked for one, theirs among them, before anybody is done.
// What a member says in place of its envelope, or does not, is found out by all of the others.
func TestMembersHoldEachOthersEnvelopes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, blame string // without blame the keygen succeeds
		tamper      func(s *session, to int, f *frame) *frame
	}{
		{"says it to all", "", func(_ *session, _ int, f *frame) *frame { return f }},
		{"keeps its envelope back", noEnvelope, func(_ *session, _ int, f *frame) *frame {
			if envelopeOf(f, 2) {
				return nil
			}
			return f
		}},
		{"withholds its envelope from one", "", func(_ *session, to int, f *frame) *frame {
			if envelopeOf(f, 2) && to == 1 {
				return nil
			}
			return f
		}},
		{
			"gives one other bytes than the rest", "sent different versions of its envelope",
			func(s *session, to int, f *frame) *frame {
				if envelopeOf(f, 2) && to == 1 {
					return forge(s, f, []byte("envelope of nothing"))
				}
				return f
			},
		},
		{
			"gives what is no envelope", "its envelope is no good: not an envelope",
			func(s *session, _ int, f *frame) *frame {
				if envelopeOf(f, 2) {
					return forge(s, f, []byte("garbage"))
				}
				return f
			},
		},
		{
			"gives nothing", "its envelope is no good: not an envelope",
			func(s *session, _ int, f *frame) *frame {
				if envelopeOf(f, 2) {
					return forge(s, f, nil)
				}
				return f
			},
		},
		{"gives a copy of another's", "", func(s *session, _ int, f *frame) *frame {
			if envelopeOf(f, 2) {
				b, _ := sealed0(t.Context(), 3)
				return forge(s, f, b)
			}
			return f
		}},
		{"dies when it has said its envelope to one", noDone, fallsSilent(
			func(_ *session, to int, f *frame) bool { return envelopeOf(f, 2) && to == 0 },
		)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			net := newCluster(t, 4, fast)
			net.tamper(2, c.tamper)
			held, errs := net.holding(t.Context(), sealed0)
			honest := []int{0, 1, 3}
			if c.blame != "" {
				net.requireOneEnd(t, errs, honest, c.blame, 2)
				return
			}
			net.requireOneEnd(t, errs, honest, "")
			for _, i := range honest {
				require.Equal(t, 1, net.kept[i].times)
				require.Len(t, held[i], 3)
				require.Equal(t, held[0], held[i], "all hold the same")
				require.Equal(t, "envelope of member 0", string(held[i][0]))
				require.Equal(t, "envelope of member 3", string(held[i][2]))
			}
		})
	}
}

// What the matrix has of every message of a keygen, of the envelope, which has no fields: with four who
// give one, and with the malicious one alone.
func TestEveryFaultOfAnEnvelope(t *testing.T) {
	t.Parallel()
	k := kind{"both", 0, "envelope", &protocol{name: "keygen"}}
	for _, givers := range [][]int{{0, 1, 2, 3}, {malicious}} {
		for _, fault := range slices.Sorted(maps.Keys(faults)) {
			if fault == "corrupt" || fault == "copy another member's" {
				continue // rows of TestMembersHoldEachOthersEnvelopes
			}
			for _, c := range faults[fault](t, k) {
				t.Run(fmt.Sprintf("of %d, %s: %s", len(givers), fault, c.name), func(t *testing.T) {
					w := worldOf(t, 4, tapedSession, nothingToDo, giving(givers...))
					w.tamper = c.tamper
					w.run(t)
					w.requireVerdict(t, c)
				})
			}
		}
	}
}

// Who deals in a reshare and gets no share is no member of the epoch, and gets no envelope of it: it
// is told none, and given none when it asks.
func TestWhoDealsOnlyGetsNoEnvelope(t *testing.T) {
	t.Parallel()
	c := toOthers
	w := worldOf(t, c.members, tapedSession, nothingToDo, c.describeIn(t), giving(c.new...))
	w.malicious = []int{0, 3, 4} // only that tamper sees what they say
	told := map[int]int{}
	w.tamper = func(_ *world, _ *session, to int, f *frame) []sent {
		if (f.kind == frameMessage || f.kind == frameEcho) && f.slot.instance == 1 {
			told[to]++
		}
		return []sent{{frame: f}}
	}
	w.run(t)
	for m, l := range w.lives {
		require.NoError(t, l.err)
		require.Equal(t, slices.Contains(c.new, m), told[m] > 0, "member %d", m)
	}
	clear(told)
	for _, asks := range []int{1, 3} {
		w.lives[0].handleWant([]want{
			{slot: slot{instance: 1, author: 4, to: everybody}, content: true},
		}, asks)
	}
	require.Equal(t, []int{3}, slices.Collect(maps.Keys(told)))
}

// Who cannot seal says so to its caller alone, and is named by the others, as one who cannot keep
// its result is.
func TestAResultThatCannotBeSealed(t *testing.T) {
	t.Parallel()
	broken := errors.New("no memory for scrypt")
	for name, seal := range map[string]func(ctx context.Context) ([]byte, error){
		"an error": func(context.Context) ([]byte, error) { return nil, broken },
		"too late": func(ctx context.Context) ([]byte, error) {
			<-ctx.Done()
			return nil, fmt.Errorf("%w: %w", broken, ctx.Err())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			net := newCluster(t, 4, fast)
			_, errs := net.holding(t.Context(), func(ctx context.Context, i int) ([]byte, error) {
				if i == 3 {
					return seal(ctx)
				}
				return sealed0(ctx, i)
			})
			require.ErrorIs(t, errs[3], broken)
			var blame *ceremony.BlameError
			require.NotErrorAs(t, errs[3], &blame)
			net.requireOneEnd(t, errs, []int{0, 1, 2}, noEnvelope, 3)
		})
	}
}

func TestEnvelopesThatAreRefusedToBeAskedFor(t *testing.T) {
	t.Parallel()
	net := worldOf(t, 4, tapedSession, nil).net
	good := ceremony.Envelopes{
		Asked: net.members[:3], Check: checkTestEnvelope,
		Seal: func(context.Context, ceremony.KeygenResult) ([]byte, error) { return nil, nil },
	}
	with := func(change func(e *ceremony.Envelopes)) ceremony.KeygenRequest {
		e := good
		change(&e)
		return ceremony.KeygenRequest{ID: "x", Members: net.members, Threshold: 3, Envelopes: &e}
	}
	agreed, err := describe(with(func(*ceremony.Envelopes) {}))
	require.NoError(t, err)
	for name, change := range map[string]func(e *ceremony.Envelopes){
		"of nobody":       func(e *ceremony.Envelopes) { e.Asked = nil },
		"of a stranger":   func(e *ceremony.Envelopes) { e.Asked = [][]byte{[]byte("key")} },
		"of one twice":    func(e *ceremony.Envelopes) { e.Asked = [][]byte{net.members[0], net.members[0]} },
		"without a Seal":  func(e *ceremony.Envelopes) { e.Seal = nil },
		"without a Check": func(e *ceremony.Envelopes) { e.Check = nil },
	} {
		_, err := describe(with(change))
		require.Error(t, err, name)
	}
	other, err := describe(with(func(e *ceremony.Envelopes) { e.Asked = net.members[1:] }))
	require.NoError(t, err)
	require.NotEqual(t, agreed.digest, other.digest, "all agree on who is asked")
}
