package tss

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A scheme is what the malicious members of one keygen do together. They hear everything at once
// from each other, and sign for each other what they like.
type scheme struct {
	tricks map[int]map[int]*trick // by author and message: the keygen's steps, then the done
	// silent is the message from which on a member says nothing at all.
	silent map[int]int
	// hushed members pass nothing on of what the malicious said.
	hushed map[int]bool
	gone   map[int]bool
	// left are those who join the next attempt, and when the others hear of it.
	left   map[int]departing
	claims []claim
}

// departing is when the first and the last of the others hear that a member left.
type departing struct{ first, skew time.Duration }

// A claim is what a malicious member says of who left.
type claim struct {
	by, about int
	to        []int
	after     time.Duration
}

// A trick is what becomes of one message.
type trick struct {
	content string // of its other version
	about   int    // the member that it is about
	to      []way  // by receiver
	other   *frame
}

// A way is how a message comes to one member.
type way struct {
	versions string // "right", "other", "both" or "none"
	lags     int    // by which it is late
	phase    int    // after its round in which it comes; 0 is the round itself
	early    int    // in lags, before the end of the phase: who gets it then passes it on in the next
	backed   bool   // with the echoes of all malicious members
}

// inItsRound is the phase of a message that is not held back to the end of its round.
const inItsRound = -1

var rightAtOnce = way{versions: "right", phase: inItsRound}

// drawScheme draws at least one trick.
func drawScheme(t *rapid.T, members int, malicious []int, messages int) *scheme {
	sc := &scheme{
		tricks: map[int]map[int]*trick{}, silent: map[int]int{},
		hushed: map[int]bool{}, gone: map[int]bool{}, left: map[int]departing{},
	}
	for _, m := range malicious {
		name := func(what string) string { return fmt.Sprintf("%s of %d", what, m) }
		sc.tricks[m] = map[int]*trick{}
		for range rapid.IntRange(1, 2).Draw(t, name("tricks")) {
			at := rapid.IntRange(0, messages-1).Draw(t, name("message"))
			sc.tricks[m][at] = drawTrick(t, members, malicious, m, name)
		}
		sc.silent[m] = messages
		if rapid.IntRange(0, 3).Draw(t, name("silence")) == 0 {
			sc.silent[m] = rapid.IntRange(0, messages-1).Draw(t, name("silent from"))
		}
		sc.hushed[m] = rapid.IntRange(0, 3).Draw(t, name("talk")) > 0
		if rapid.IntRange(0, 3).Draw(t, name("leaving")) == 0 {
			sc.left[m] = departing{
				drawMoment(t, members, name),
				time.Duration(rapid.IntRange(0, 10).Draw(t, name("skew"))) * worldRound / 100,
			}
		}
		for range rapid.IntRange(0, 2).Draw(t, name("claims")) {
			about := func(i int) bool { return i != m }
			sc.claims = append(sc.claims, claim{
				m, rapid.SampledFrom(seats(members)).Filter(about).Draw(t, name("who left")),
				rapid.SliceOfNDistinct(rapid.SampledFrom(seats(members)).Filter(about),
					1, members-1, rapid.ID[int]).Draw(t, name("told")),
				drawMoment(t, members, name),
			})
		}
	}
	return sc
}

// drawMoment draws a time after the begin of a keygen: within what it takes without trouble, or
// about the end of a phase.
func drawMoment(t *rapid.T, members int, name func(string) string) time.Duration {
	if rapid.Bool().Draw(t, name("soon")) {
		return time.Duration(rapid.IntRange(0, 40).Draw(t, name("lags"))) * lag
	}
	rounds := time.Duration(rapid.IntRange(0, 6).Draw(t, name("rounds")))
	phase := rapid.IntRange(0, tolerated(members)+3).Draw(t, name("phase"))
	whole := worldRound + time.Duration(tolerated(members)+1)*worldRound/10
	return max(0, rounds*whole+worldRound+time.Duration(phase)*worldRound/10-
		time.Duration(rapid.SampledFrom([]int{0, 1, 2, 50}).Draw(t, name("early")))*lag)
}

// begin lets happen what the scheme has to happen at its time.
func (sc *scheme) begin(w *world) {
	for _, m := range w.malicious {
		if d, ok := sc.left[m]; ok {
			w.departs(m, w.clock.Add(d.first), d.skew)
		}
	}
	for _, c := range sc.claims {
		w.at(w.clock.Add(c.after), func() {
			l := w.lives[c.by]
			f := &frame{kind: frameLeft, left: uint16(c.about), echoes: []echo{
				{member: uint16(c.by), held: true, sig: l.sign(l.leftDigest(c.about))},
			}}
			for _, to := range c.to {
				w.deliver(l.session, to, f, w.clock)
			}
		})
	}
}

func drawTrick(
	t *rapid.T, members int, malicious []int, author int, name func(string) string,
) *trick {
	others := slices.DeleteFunc(seats(members), func(i int) bool { return i == author })
	tr := &trick{
		content: rapid.SampledFrom(contents).Draw(t, name("content")),
		about:   rapid.SampledFrom(others).Draw(t, name("about")),
		to:      make([]way, members),
	}
	draw := func() way { return drawWay(t, members, len(malicious), name) }
	rest, few := rightAtOnce, draw()
	switch rapid.IntRange(0, 3).Draw(t, name("rest")) {
	case 0, 1:
		rest.versions = "none"
	case 2:
		rest = draw()
	}
	honest := slices.DeleteFunc(others, func(i int) bool { return slices.Contains(malicious, i) })
	picked := rapid.SliceOfNDistinct(
		rapid.SampledFrom(honest), 1, len(honest), rapid.ID[int],
	).Draw(t, name("picked"))
	for i := range tr.to {
		switch {
		case slices.Contains(malicious, i):
			tr.to[i] = rightAtOnce
		case slices.Contains(picked, i):
			tr.to[i] = few
		default:
			tr.to[i] = rest
		}
	}
	return tr
}

func drawWay(t *rapid.T, members, malicious int, name func(string) string) way {
	w := way{
		versions: rapid.SampledFrom([]string{"right", "right", "other", "both", "none"}).
			Draw(t, name("versions")),
		phase:  rapid.IntRange(inItsRound, tolerated(members)+2).Draw(t, name("phase")),
		backed: rapid.Bool().Draw(t, name("backed")),
	}
	if rapid.Bool().Draw(t, name("last moment")) { // at which they have enough signatures
		w.phase, w.backed = malicious, true
	}
	if w.phase == inItsRound {
		w.lags = rapid.IntRange(0, 8).Draw(t, name("lags"))
	} else {
		w.early = rapid.SampledFrom([]int{0, 0, 1, 50}).Draw(t, name("early"))
	}
	return w
}

func seats(members int) (out []int) {
	for i := range members {
		out = append(out, i)
	}
	return out
}

// contents are how another version of a message comes to be.
var contents = []string{
	"flipped", "none", "a copy", "a replay", "a wrong share", "a share that does not decrypt",
	"a false complaint", "a false proof of a complaint",
}

// otherVersion is nil as long as the message that it copies was not said.
func (tr *trick) otherVersion(w *world, s *session, f *frame) *frame {
	p := s.instances[f.slot.instance].protocol
	done := s.isDone(f.slot)
	content := tr.content
	switch {
	case content == "a copy":
		theirs := f.slot
		theirs.author = uint16(tr.about)
		said, ok := w.said[theirs]
		switch {
		case !ok:
			return nil
		case done:
			return signed(f, w.signed[theirs])
		}
		return forge(s, f, said)
	case done && content == "none":
		return signed(f, sig(make([]byte, sigSize)))
	case done:
		return signed(f, s.sign(hash{1}))
	case s.isEnvelope(f.slot) && content == "a wrong share":
		return forge(s, f, []byte("no envelope"))
	case s.isEnvelope(f.slot):
		return forge(s, f, append(f.payload, '2'))
	case content == "none":
		return forge(s, f, nil)
	case content == "a replay":
		here := s.id
		s.id = hash{1}
		defer func() { s.id = here }()
		return forge(s, f, f.payload)
	case f.slot.step == p.shares && (!s.deals(s.self) || !s.gets(tr.about)):
	case f.slot.step == p.shares && content == "a wrong share":
		return wrongShare(s, f, tr.about)
	case f.slot.step == p.shares && content == "a share that does not decrypt":
		return ownShares(s, f, func(list []*sealed) {
			list[tr.about].share = flipped(list[tr.about].share)
		})
	case f.slot.step == p.receipt && content == "a false complaint":
		return receiptOf(s, f, tr.about, func(*opening) {})
	case f.slot.step == p.receipt && content == "a false proof of a complaint":
		return receiptOf(s, f, tr.about, func(o *opening) { o.answer.SetInt(7) })
	}
	return forge(s, f, flipped(f.payload))
}

// drawGiving has some give envelopes, or nobody.
func drawGiving(t *rapid.T, members int) func(*description) {
	some := rapid.SliceOfDistinct(rapid.SampledFrom(seats(members)), rapid.ID[int]).Draw(t, "giving")
	return giving(some...)
}

// messageOf is the number of a frame's message.
func messageOf(s *session, at slot) int {
	if s.concludes(at) {
		return len(s.instances[0].protocol.steps) + int(at.step)
	}
	return int(at.step)
}

// tamper is what the scheme makes of a frame of one of the malicious.
func (sc *scheme) tamper(w *world, s *session, to int, f *frame) []sent {
	if f.kind == frameLeft {
		return nil // but what it claims
	}
	if f.kind == frameMessage || f.kind == frameEcho {
		author, at := int(f.slot.author), messageOf(s, f.slot)
		if author == s.self && f.kind == frameMessage && at >= sc.silent[s.self] {
			sc.gone[s.self] = true
		}
		toFriend := slices.Contains(w.malicious, to)
		tr := sc.tricks[author][at]
		switch {
		case sc.gone[s.self]:
			return nil
		case toFriend:
		case author != s.self && slices.Contains(w.malicious, author) && sc.hushed[s.self]:
			return nil
		case author == s.self && tr != nil:
			if f.kind == frameMessage {
				sc.play(w, s, to, f, tr)
			}
			return nil
		}
	}
	if sc.gone[s.self] {
		return nil
	}
	return []sent{{frame: f}}
}

// play brings a message to a member in its way.
func (sc *scheme) play(w *world, s *session, to int, f *frame, tr *trick) {
	way := tr.to[to]
	from := w.clock.Add(time.Duration(way.lags) * lag)
	if way.phase != inItsRound {
		end := s.roundEnd(s.step(f.slot).round).Add(time.Duration(way.phase) * s.phaseTime)
		from = end.Add(-time.Duration(1+way.early) * lag)
	}
	say := func(f *frame) {
		if way.backed {
			w.deliver(s, to, w.backing(f), from)
		}
		w.deliver(s, to, f, from)
	}
	if way.versions == "right" || way.versions == "both" {
		say(f)
	}
	if way.versions != "other" && way.versions != "both" {
		return
	}
	there := func() bool {
		if tr.other == nil {
			tr.other = tr.otherVersion(w, s, f)
		}
		return tr.other != nil
	}
	w.when(there, func() { say(tr.other) })
}

// backing are the echoes of the malicious of a version.
func (w *world) backing(f *frame) *frame {
	out := &frame{kind: frameEcho, slot: f.slot, hash: sha256.Sum256(f.payload), sig: f.sig}
	for _, m := range w.malicious {
		if s := w.lives[m]; m != int(f.slot.author) {
			out.echoes = append(out.echoes, echo{
				member: uint16(m), held: true, sig: s.sign(s.echoDigest(f.slot, out.hash, true)),
			})
		}
	}
	return out
}

// Members of a vault of four to seven run a keygen with as many malicious ones among them as it
// bears, who do at random what they can think of, together. All honest members come to one end.
// Where that is a result, it is the same one; where it is not, they name malicious members alone,
// and all the same ones, or at least one together when some of them left.
func TestRandomFaultsOfAsManyAsAVaultBears(t *testing.T) {
	t.Parallel()
	const least, most = 4, 7
	tapes := map[int]*tape{}
	for n := least; n <= most; n++ {
		tapes[n] = edTape(t, n)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(least, most).Draw(t, "members")
		w := worldOf(t, n, tapedSession, tapes[n].play, drawGiving(t, n))
		w.malicious = rapid.SliceOfNDistinct(
			rapid.SampledFrom(seats(n)), 1, n-thresholdOf(n), rapid.ID[int],
		).Draw(t, "malicious")
		sc := drawScheme(t, n, w.malicious, len(eddsaKeygen.steps)+2)
		w.tamper = sc.tamper
		sc.begin(w)
		w.run(t)
		w.requireOneEnd(t, len(sc.left) > 0)
	})
}

// requireOneEnd checks that all honest members came to one end, and whom they name. When one left
// that need not be the same by itself: who has a certificate can show it, and the rest have kept
// its result; without one they name somebody together.
func (w *world) requireOneEnd(t rapid.TB, left bool) {
	t.Helper()
	var first *life
	common := w.net.members
	for _, l := range w.honest() {
		blamed, err := l.blamed()
		require.NoError(t, err)
		for _, b := range blamed {
			i := slices.IndexFunc(w.net.members, func(m []byte) bool { return bytes.Equal(b, m) })
			require.Contains(t, w.malicious, i, "an honest member is named: %v", l.err)
		}
		if !l.gets(l.self) {
			continue
		}
		if l.err == nil {
			certificate := l.results[l.certificate.number].([][]byte)
			require.NoError(t, checkCertificate(certificate, l.receivers(), l.digest))
		}
		if first == nil || l.err == nil {
			first = l
		}
		common = slices.DeleteFunc(slices.Clone(common), func(m []byte) bool {
			return !slices.ContainsFunc(blamed, func(b []byte) bool { return bytes.Equal(b, m) })
		})
	}
	if first.err != nil {
		require.NotEmpty(t, common, "nobody is named by all: %v", first.err)
	}
	for _, l := range w.honest() {
		switch {
		case !l.gets(l.self): // it may have ended before
		case first.err == nil:
			require.Equal(t, first.digest, l.digest)
			if !left {
				require.NoError(t, l.err, "others have a result")
			}
		case !left:
			require.EqualError(t, l.err, first.err.Error())
		}
	}
}
