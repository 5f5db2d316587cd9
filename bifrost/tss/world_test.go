package tss

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
)

// A world is a keygen whose members all live in one goroutine, without a network, and whose clock
// stands still while they compute. What they do is the code of session and instance; what the
// world does for them is what Node and the loops around it do.
type world struct {
	net    *cluster // its members alone
	clock  time.Time
	events []event // by time
	lives  []*life
	// said and signed are the payloads and signatures of all messages, as their authors made them.
	said   map[slot][]byte
	signed map[slot]sig
	// malicious are the members whose frames tamper changes.
	malicious []int
	tamper    meddling
}

const (
	malicious = 2 // of the members 0 to 3, where there is one
	harmed    = 3
	lag       = 2 * time.Millisecond // of a frame

	worldRound = 3 * time.Second
)

type event struct {
	at  time.Time
	run func()
}

// sent is a frame on its way, from a time on or at once.
type sent struct {
	frame *frame
	from  time.Time
}

// A life is one member's.
type life struct {
	*session
	digest    hash
	over      bool
	rejoin    func()    // what an honest member does after that
	listening time.Time // until then it answers when it is over
	err       error
}

// thresholdOf is how many members of a vault sign together.
func thresholdOf(members int) int { return (2*members + 2) / 3 }

// worldOf makes a world of so many members in a session. They build what build says, and sign the
// digest that it returns a function for. It is that of a keygen, unless it is changed.
func worldOf(
	t rapid.TB, members int, name string,
	build func(i int, at seat) (*instance, func(any) hash, error), change ...func(d *description),
) *world {
	t.Helper()
	w := &world{
		net: &cluster{}, clock: time.Unix(1700000000, 0), malicious: []int{malicious},
		said: map[slot][]byte{}, signed: map[slot]sig{},
	}
	var keys []*secp256k1.PrivateKey
	for i := range members {
		seed := sha256.Sum256([]byte{byte(i)})
		keys = append(keys, secp256k1.PrivKeyFromBytes(seed[:]))
	}
	slices.SortFunc(keys, func(a, b *secp256k1.PrivateKey) int {
		return bytes.Compare(a.PubKey().SerializeCompressed(), b.PubKey().SerializeCompressed())
	})
	for _, key := range keys {
		w.net.members = append(w.net.members, key.PubKey().SerializeCompressed())
	}
	for i, key := range keys {
		n := &Node{
			cfg: Config{RoundTimeout: worldRound, Log: zerolog.Nop()},
			key: key, pub: w.net.members[i], now: func() time.Time { return w.clock },
		}
		n.mangle = func(s *session, to int, b []byte) []byte {
			w.send(s, to, b)
			return nil
		}
		r := w.net.keygenOf(i, thresholdOf(members), name)
		d, err := describe(r)
		require.NoError(t, err)
		d, err = d.in(r.ID, r.Session, r.Members)
		require.NoError(t, err)
		for _, c := range change {
			c(&d)
		}
		l := &life{}
		var result func(any) hash
		d.build = func(at seat) ([]*instance, error) {
			in, digest, err := build(i, at)
			result = digest
			return []*instance{in}, err
		}
		if d.gets(i) {
			d.keep = func(_ context.Context, results []any) ([]byte, error) {
				l.digest = result(results[0])
				if d.giving != nil {
					envelopes := results[1].([][]byte)
					require.Len(t, envelopes, len(d.givers()))
					l.digest = sha256.Sum256(append(l.digest[:], bytes.Join(envelopes, nil)...))
				}
				return l.digest[:], nil
			}
		}
		l.session, err = n.newSession(d)
		require.NoError(t, err)
		l.rejoin = func() {
			if !slices.Contains(w.malicious, i) {
				w.departs(i, w.clock.Add(lag), 0)
			}
		}
		w.lives = append(w.lives, l)
	}
	return w
}

// at lets something happen, after what was to happen at the same time already.
func (w *world) at(t time.Time, run func()) {
	i, _ := slices.BinarySearchFunc(w.events, t, func(e event, t time.Time) int {
		if e.at.After(t) {
			return 1
		}
		return -1
	})
	w.events = slices.Insert(w.events, i, event{t, run})
}

func (w *world) send(s *session, to int, b []byte) {
	f, err := decodeFrame(b)
	if err != nil {
		panic(err)
	}
	if _, ok := w.said[f.slot]; ofOwn(s, f) && !ok {
		w.said[f.slot], w.signed[f.slot] = f.payload, f.sig
	}
	all := []sent{{frame: f}}
	if w.tamper != nil && slices.Contains(w.malicious, s.self) {
		all = w.tamper(w, s, to, f)
	}
	for _, m := range all {
		w.deliver(s, to, m.frame, m.from)
	}
}

// deliver puts a frame on its way, not before a time.
func (w *world) deliver(s *session, to int, f *frame, from time.Time) {
	f, err := decodeFrame(f.encode())
	if err != nil {
		panic(err)
	}
	if from.Before(w.clock) {
		from = w.clock
	}
	w.at(from.Add(lag), func() {
		w.lives[to].hear(inbound{from: s.self, frame: f, session: s.id})
	})
}

// departs lets all others hear that a member has joined the next attempt, the last of them so much
// later than the first.
func (w *world) departs(x int, at time.Time, skew time.Duration) {
	for i, l := range w.lives {
		w.at(at.Add(skew*time.Duration(i)/time.Duration(len(w.lives))), func() {
			if !l.over {
				l.hearJoin(l.members[x])
			}
		})
	}
}

// when lets something happen once something else has.
func (w *world) when(is func() bool, run func()) {
	if is() {
		run()
		return
	}
	w.at(w.clock.Add(lag), func() { w.when(is, run) })
}

// run lets everything happen until all honest members have come to an end.
func (w *world) run(t rapid.TB) {
	t.Helper()
	for _, l := range w.lives {
		require.NoError(t, l.setUp())
	}
	for _, l := range w.lives {
		l.begin()
	}
	for _, l := range w.lives {
		w.at(w.clock, l.start)
		w.watch(l)
	}
	end := w.clock
	for _, l := range w.lives {
		end = latest(end, l.closing(l.lastRound()).Add(time.Second))
	}
	for slices.ContainsFunc(w.honest(), func(l *life) bool { return !l.over }) {
		require.NotEmpty(t, w.events)
		next := w.events[0]
		w.events = w.events[1:]
		w.clock = next.at
		require.False(t, w.clock.After(end), "a member does not come to an end")
		next.run()
	}
	for _, l := range w.lives {
		close(l.quit)
		l.workers.Wait()
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (w *world) honest() (out []*life) {
	for i, l := range w.lives {
		if !slices.Contains(w.malicious, i) {
			out = append(out, l)
		}
	}
	return out
}

func (w *world) watch(l *life) {
	w.at(w.clock.Add(l.phaseTime/8), func() {
		if !l.over {
			l.goOn(l.tick())
			w.watch(l)
		}
	})
}

func (l *life) start() {
	var err error
	for i, in := range l.instances {
		if in.party == nil {
			continue // of the certificate
		}
		if o := l.instances[i].start(); err == nil {
			o.instance = uint8(i)
			err = l.handleOutcome(o)
		}
	}
	l.goOn(err)
}

func (l *life) hear(in inbound) {
	if l.over && (l.err != nil || l.now().After(l.listening)) {
		return
	}
	l.handle(in)
	if !l.over {
		l.goOn(nil)
	}
}

// goOn computes what there is to compute, and ends a life that failed or has its result.
func (l *life) goOn(err error) {
	for err == nil && l.open > 0 && l.busy > 0 {
		err = l.handleOutcome(l.next())
	}
	switch {
	case err != nil:
		l.over, l.err = true, l.giveUp(err)
		l.rejoin()
	case l.open == 0:
		l.over, l.listening = true, l.now().Add(max(lingerTimeout, l.phaseTime))
		l.sendAll(&frame{kind: frameFinished})
	}
}

// next is what an instance makes of a delivery, or what came of keeping the result.
func (l *life) next() outcome {
	for i, in := range l.instances {
		select {
		case d := <-in.deliveries:
			o := in.handle(d)
			o.instance = uint8(i)
			return o
		default:
		}
	}
	return <-l.outcomes
}

// blamed are the members that a life's end names. An end that names nobody is an error of its own.
func (l *life) blamed() ([][]byte, error) {
	if l.err == nil {
		return nil, nil
	}
	var blame *ceremony.BlameError
	if !errors.As(l.err, &blame) {
		return nil, l.err
	}
	return blame.Members, nil
}
