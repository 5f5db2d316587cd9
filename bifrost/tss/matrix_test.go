package tss

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tssbackup/tssbackup/bifrost/tss/pimod"
)

// Every message of a keygen, with every fault that one malicious member of four can bring into it.
// In each cell all honest members end with one result, or all name the same ones, who are never
// honest; and where the fault shows, it is the malicious one. What costs much is computed once, see
// tape; agreement, acceptance and verdict are the package's own.
//
// Elsewhere has the cells that this cannot show.

// A kind of message.
type kind struct {
	key  string // "ecdsa", "eddsa"
	step uint8
	name string
	in   *protocol // nil for the done
}

// matches reports whether a frame is the malicious member's message of this kind.
func (k kind) matches(s *session, f *frame) bool {
	if f.kind != frameMessage || int(f.slot.author) != malicious || f.slot.step != k.step {
		return false
	}
	return s.isDone(f.slot) == (k.in == nil)
}

func (k kind) receipt() bool { return k.in != nil && k.step == k.in.receipt }

func kinds(protocols ...*protocol) (out []kind) {
	for _, p := range protocols {
		for i := range p.steps {
			key, _, _ := strings.Cut(p.name, " ")
			out = append(out, kind{key, uint8(i), p.steps[i].name(), p})
		}
	}
	return append(out, kind{"both", 0, "done", nil})
}

// A meddling changes what the malicious member sends to another.
type meddling = func(w *world, s *session, to int, f *frame) []sent

// A cell is one way in which a fault is brought into a message.
type cell struct {
	name  string
	shows bool
	// reason is part of what the honest say of it.
	reason string
	tamper meddling
}

// each makes a tamper that changes the messages of a kind.
func (k kind) each(change func(s *session, to int, f *frame) []sent) meddling {
	return func(_ *world, s *session, to int, f *frame) []sent {
		if !k.matches(s, f) {
			return []sent{{frame: f}}
		}
		return change(s, to, f)
	}
}

// until holds a message back to a time, which is told by the end of its round.
func (k kind) until(only func(to int) bool, when func(end time.Time, phase time.Duration) time.Time) meddling {
	return k.each(func(s *session, to int, f *frame) []sent {
		if !only(to) {
			return nil
		}
		return []sent{{f, when(s.roundEnd(s.step(f.slot).round), s.phaseTime)}}
	})
}

func anybody(int) bool           { return true }
func theHarmedAlone(to int) bool { return to == harmed }

func justBefore(end time.Time, _ time.Duration) time.Time { return end.Add(-2 * lag) }

// inPhase is the middle of a phase after the round.
func inPhase(n int) func(time.Time, time.Duration) time.Time {
	return func(end time.Time, phase time.Duration) time.Time {
		return end.Add(time.Duration(2*n-1) * phase / 2)
	}
}

// another is a version that an honest author would not sign beside the first.
func another(s *session, f *frame) *frame {
	if s.isDone(f.slot) {
		return signed(f, s.sign(hash{1}))
	}
	return forge(s, f, flipped(f.payload))
}

// faults are all, by name.
var faults = map[string]func(t *testing.T, k kind) []cell{
	"drop": func(_ *testing.T, k kind) []cell {
		reason := "did not send " + k.name
		if k.in == nil {
			reason = noDone
		}
		return []cell{{"to all", true, reason, k.until(func(int) bool { return false }, nil)}}
	},
	"delay": func(_ *testing.T, k kind) (out []cell) {
		for _, c := range []struct {
			name  string
			to    func(to int) bool
			late  bool
			after func(end time.Time, phase time.Duration) time.Time
		}{
			{"to just before the end of its round", anybody, false, justBefore},
			{"to just before the end of its round, and to one alone", theHarmedAlone, false, justBefore},
			{"into the first phase, and to one alone", theHarmedAlone, false, inPhase(1)},
			{"into the second phase", anybody, true, inPhase(2)},
			{"into the second phase, and to one alone", theHarmedAlone, true, inPhase(2)},
		} {
			out = append(out, cell{c.name, c.late, "", k.until(c.to, c.after)})
		}
		return out
	},
	// Behind whatever its author says next: another message of the round, or an echo.
	"reorder": func(_ *testing.T, k kind) []cell {
		held := map[int]*frame{}
		return []cell{{"behind the next", false, "", func(_ *world, s *session, to int, f *frame) []sent {
			if before := held[to]; before != nil && before.kind != 0 {
				held[to] = &frame{} // once
				return []sent{{frame: f}, {frame: before}}
			}
			if held[to] == nil && k.matches(s, f) {
				held[to] = f
				return nil
			}
			return []sent{{frame: f}}
		}}}
	},
	"equivocate": func(_ *testing.T, k kind) []cell {
		// A done that is wrong is none, and a right one counts whatever its author signed besides.
		shows, reason := k.in != nil, "sent different versions of its "+k.name
		if !shows {
			reason = ""
		}
		return []cell{
			{"to one", shows, reason, k.each(func(s *session, to int, f *frame) []sent {
				if to == harmed {
					f = another(s, f)
				}
				return []sent{{frame: f}}
			})},
			{"to all but one", shows, reason, k.each(func(s *session, to int, f *frame) []sent {
				if to != harmed {
					f = another(s, f)
				}
				return []sent{{frame: f}}
			})},
			{"with two versions to everybody", shows, reason, k.each(func(s *session, _ int, f *frame) []sent {
				return []sent{{frame: another(s, f)}, {frame: f}}
			})},
			{"just before the end of its round", shows, reason, k.each(func(s *session, to int, f *frame) []sent {
				at := justBefore(s.roundEnd(s.step(f.slot).round), s.phaseTime)
				if to == harmed {
					f = another(s, f)
				}
				return []sent{{f, at}}
			})},
		}
	},
	"corrupt": func(t *testing.T, k kind) (out []cell) {
		for _, c := range corruptions(t, k) {
			out = append(out, cell{c.name, true, "", k.each(func(s *session, _ int, f *frame) []sent {
				return []sent{{frame: c.change(s, f)}}
			})})
		}
		return out
	},
	"copy another member's": func(_ *testing.T, k kind) []cell {
		// A receipt without a complaint is the same for all who have none.
		return []cell{{"as its own", !k.receipt(), "", func(w *world, s *session, to int, f *frame) []sent {
			if !k.matches(s, f) {
				return []sent{{frame: f}}
			}
			theirs := f.slot
			theirs.author = 1
			w.when(func() bool { _, ok := w.said[theirs]; return ok }, func() {
				g := signed(f, w.signed[theirs])
				if k.in != nil {
					g = forge(s, f, w.said[theirs])
				}
				w.deliver(s, to, g, time.Time{})
			})
			return nil
		}}}
	},
	"replay from another session": func(_ *testing.T, k kind) []cell {
		return []cell{{"as it was signed there", true, "", k.each(func(s *session, _ int, f *frame) []sent {
			if k.in == nil {
				return []sent{{frame: signed(f, s.sign(hash{1}))}}
			}
			here := s.id
			s.id = hash{1}
			defer func() { s.id = here }()
			return []sent{{frame: forge(s, f, f.payload)}}
		})}}
	},
	"withhold from one": func(_ *testing.T, k kind) []cell {
		return []cell{
			{"of them", false, "", k.each(func(_ *session, to int, f *frame) []sent {
				if to == harmed {
					return nil
				}
				return []sent{{frame: f}}
			})},
			{"and another", false, "", k.each(func(_ *session, to int, f *frame) []sent {
				if to != harmed {
					return nil
				}
				return []sent{{frame: f}}
			})},
		}
	},
	// Nothing is missing of who dies when it has said done.
	"crash after it": func(_ *testing.T, k kind) []cell {
		dying := func(last int) meddling {
			silent := false
			return func(_ *world, s *session, to int, f *frame) []sent {
				if silent {
					return nil
				}
				silent = k.matches(s, f) && to == last
				return []sent{{frame: f}}
			}
		}
		return []cell{
			{"was said to all", k.in != nil, "", dying(harmed)},
			{"was said to one", k.in != nil, "", dying(0)},
		}
	},
}

type corruption struct {
	name   string
	change func(s *session, f *frame) *frame
}

// corruptions change each field of a message: those of tss-lib's by their descriptor, ours by what
// their parser reads.
func corruptions(t *testing.T, k kind) (out []corruption) {
	t.Helper()
	add := func(name string, change func(s *session, f *frame) *frame) {
		out = append(out, corruption{name, change})
	}
	value := func(name string, change func(b []byte) []byte) {
		add(name, func(s *session, f *frame) *frame {
			return changed(s, f, func(m proto.Message) {
				v := m.(*wrapperspb.BytesValue)
				v.Value = change(bytes.Clone(v.Value))
			})
		})
	}
	flipAt := func(name string, at int) {
		value(name, func(b []byte) []byte { b[at] ^= 1; return b })
	}
	if k.in == nil {
		for name, change := range map[string]func(s *session, f *frame) *frame{
			"R":           func(_ *session, f *frame) *frame { return signed(f, sig(append(flipped(f.sig[:32]), f.sig[32:]...))) },
			"S":           func(_ *session, f *frame) *frame { return signed(f, sig(flipped(f.sig[:]))) },
			"the other S": func(_ *session, f *frame) *frame { return signed(f, highS(f.sig)) },
			"its result":  func(s *session, f *frame) *frame { return signed(f, s.sign(hash{1})) },
			"its key":     func(s *session, f *frame) *frame { return signed(f, sign(s.sessionKey, *s.certificate.digest)) },
			"its content": func(s *session, f *frame) *frame { return forge(s, f, []byte{0}) },
		} {
			add(name, change)
		}
		return out
	}
	add("no bytes", func(s *session, f *frame) *frame { return forge(s, f, nil) })
	add("another type", func(s *session, f *frame) *frame { return forge(s, f, packed(wrapperspb.Bool(true))) })
	step := &k.in.steps[k.step]
	switch {
	case step.title == "":
		fields := step.message.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			out = append(out, corruptionsOf(fields.Get(i))...)
		}
	case k.key == "ecdsa" && k.step == keygenCommitment:
		flipAt("the hash", 0)
		value("a hash too short", func(b []byte) []byte { return b[1:] })
	case k.key == "ecdsa" && k.step == keygenProof:
		const wide, signs = 256, 256 + pimod.Iterations
		for i, modulus := range []string{"N", "NTilde"} {
			at := i * pimod.Size
			flipAt("w of "+modulus, at+wide-1)
			flipAt("a sign of "+modulus, at+wide)
			flipAt("a root x of "+modulus, at+signs+wide-1)
			flipAt("a root z of "+modulus, at+signs+2*wide-1)
		}
		value("a proof too short", func(b []byte) []byte { return b[:len(b)-1] })
	case k.step == k.in.shares:
		list := func(name string, change func(list []*sealed)) {
			add(name, func(s *session, f *frame) *frame { return ownShares(s, f, change) })
		}
		list("a share", func(list []*sealed) { list[harmed].share = flipped(list[harmed].share) })
		list("a share left out", func(list []*sealed) { list[harmed] = nil })
		add("a share of another polynomial", func(s *session, f *frame) *frame { return wrongShare(s, f, harmed) })
		for i := range k.in.proofParts {
			list("the proof's part "+string(rune('a'+i)), func(list []*sealed) {
				parts := slices.Clone(list[harmed].proof)
				parts[i] = flipped(parts[i])
				list[harmed].proof = parts
			})
		}
	case k.step == k.in.receipt:
		for name, change := range map[string]func(o *opening){
			"a complaint of a right share": func(*opening) {},
			"a complaint's author":         func(o *opening) { o.author = 0 },
			"a complaint's secret":         func(o *opening) { o.secret[20] ^= 1 },
			"a complaint's challenge":      func(o *opening) { o.challenge.SetInt(7) },
			"a complaint's answer":         func(o *opening) { o.answer.SetInt(7) },
			"a complaint of itself":        func(o *opening) { o.author = malicious },
		} {
			add(name, func(s *session, f *frame) *frame { return receiptOf(s, f, 1, change) })
		}
		value("half a complaint", func([]byte) []byte { return make([]byte, openingSize/2) })
	default:
		require.Fail(t, "nothing says what the fields are", "of %s", k.name)
	}
	return out
}

// corruptionsOf are those of one field of tss-lib's.
func corruptionsOf(fd protoreflect.FieldDescriptor) (out []corruption) {
	add := func(how string, change func(v [][]byte) [][]byte) {
		name := string(fd.Name()) + " " + how
		out = append(out, corruption{name, func(s *session, f *frame) *frame {
			return changed(s, f, func(m proto.Message) {
				r := m.ProtoReflect()
				if !fd.IsList() {
					r.Set(fd, protoreflect.ValueOfBytes(change([][]byte{r.Get(fd).Bytes()})[0]))
					return
				}
				var parts [][]byte
				for i := range r.Get(fd).List().Len() {
					parts = append(parts, r.Get(fd).List().Get(i).Bytes())
				}
				r.Clear(fd)
				for _, p := range change(parts) {
					r.Mutable(fd).List().Append(protoreflect.ValueOfBytes(p))
				}
			})
		}})
	}
	at := func(i func(n int) int) func(v [][]byte) [][]byte {
		return func(v [][]byte) [][]byte {
			if len(v) == 0 {
				return [][]byte{{1}}
			}
			v[i(len(v))] = flipped(v[i(len(v))])
			return v
		}
	}
	add("changed", at(func(int) int { return 0 }))
	if fd.IsList() {
		add("changed at its end", at(func(n int) int { return n - 1 }))
		add("one too long", func(v [][]byte) [][]byte { return append(v, []byte{1}) })
		return out
	}
	add("left out", func([][]byte) [][]byte { return [][]byte{nil} })
	add("too long", func([][]byte) [][]byte { return [][]byte{bytes.Repeat([]byte{1}, maxField+1)} })
	return out
}

// changed is a message with another content.
func changed(s *session, f *frame, change func(m proto.Message)) *frame {
	wrapped := new(anypb.Any)
	if err := proto.Unmarshal(f.payload, wrapped); err != nil {
		panic(err)
	}
	m, err := wrapped.UnmarshalNew()
	if err != nil {
		panic(err)
	}
	change(m)
	return forge(s, f, packed(m))
}

// elsewhere has, for what no cell can show, the tests in which real members do it.
var elsewhere = map[string][]string{
	"parameters that are committed to, and wrong":       {"a Paillier modulus of 33 factors, which tss-lib accepts", "another member's NTilde, H1 and H2"},
	"a proof made in another session or for another":    {"another session", "another author", "the other modulus"},
	"a content of the last step from another session":   {"TestADoneOfAnotherSessionIsNone"},
	"a member that dies and comes back in a keygen":     {"TestARestartInTheMiddleIsBlamed"},
	"a real proof beside a share, made for another":     {"a fac proof for another member"},
	"frames that do not parse, or come out of turn":     {"sends steps that do not exist", "says hello again and again"},
	"faults of two members of seven":                    {"TestTwoMaliciousMembersOfAKeygen", "TestTwoMaliciousMembersOfTheLastStep"},
	"broken connections, which are no member's fault":   {"TestABrokenConnectionIsMended", "TestMembersWithoutAConnection"},
	"a real keygen of both keys without any fault":      {"TestVault"},
	"echoes that a member keeps back or makes up":       {"echoes nothing", "echoes what nobody said"},
	"another version of a message when all is said":     {"shows one another version of its first round when all have said done"},
	"a done that is right beside another that is right": {"TestTwoDonesOfOneMember"},
}

func TestEveryFaultOfEveryMessageOfAKeygen(t *testing.T) {
	t.Parallel()
	ec, ed := ecTape(t), edTape(t, 4)
	for _, k := range kinds(ecdsaKeygen, eddsaKeygen) {
		for _, fault := range slices.Sorted(maps.Keys(faults)) {
			all := faults[fault](t, k)
			require.NotEmpty(t, all, "%s of %s", fault, k.name)
			for _, c := range all {
				t.Run(k.key+", "+k.name+", "+fault+": "+c.name, func(t *testing.T) {
					build := nothingToDo
					switch k.in {
					case ecdsaKeygen:
						build = ec.play
					case eddsaKeygen:
						build = ed.play
					}
					w := worldOf(t, 4, tapedSession, build)
					w.tamper = c.tamper
					w.run(t)
					w.requireVerdict(t, c)
				})
			}
		}
	}
}

// nothingToDo is a keygen of which only the last step is left.
func nothingToDo(_ int, at seat) (*instance, func(any) hash, error) {
	p := &protocol{name: "nothing"}
	end := func() (any, bool) { return "result", true }
	return &instance{protocol: p, known: newKnown(p, at, 1), party: ready{}, end: end},
		func(any) hash { return hash{42} }, nil
}

// requireVerdict checks how the honest members came to their ends. Some may have ended well before
// the fault.
func (w *world) requireVerdict(t *testing.T, c cell, before ...int) {
	t.Helper()
	for i, l := range w.lives {
		if i == malicious {
			continue
		}
		blamed, err := l.blamed()
		require.NoError(t, err)
		if slices.Contains(before, i) {
			require.NoError(t, l.err)
			continue
		}
		if c.shows {
			require.Equal(t, [][]byte{w.net.members[malicious]}, blamed, "%v", l.err)
			require.ErrorContains(t, l.err, c.reason)
			continue
		}
		require.Empty(t, blamed, "%v", l.err)
		if !l.gets(l.self) {
			continue
		}
		require.Equal(t, w.lives[harmed].digest, l.digest)
		certificate := l.results[l.certificate.number].([][]byte)
		require.NoError(t, checkCertificate(certificate, l.receivers(), l.digest))
	}
}

// What the cells leave to other tests is in one of them.
func TestWhatTheMatrixLeavesToOthers(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	var source []byte
	for _, name := range files {
		if name == "matrix_test.go" {
			continue
		}
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		source = append(source, b...)
	}
	for what, rows := range elsewhere {
		for _, row := range rows {
			if strings.HasPrefix(row, "Test") {
				require.Contains(t, string(source), "func "+row+"(", what)
			} else {
				require.Contains(t, string(source), `"`+row+`"`, what)
			}
		}
	}
}
