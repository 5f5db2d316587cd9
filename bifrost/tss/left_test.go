package tss

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A member that crashes before any of its messages and joins the keygen anew costs the others four
// phases, and not the rest of the round: they end together, and name it. One of four that is
// malicious and keeps what it knows of that to itself has them wait, and no more.
func TestWhoJoinsAnewEndsTheAttempt(t *testing.T) {
	t.Parallel()
	for _, n := range []int{4, 7} {
		tp := edTape(t, n)
		for last := range len(eddsaKeygen.steps) + 1 {
			for _, silent := range []bool{false, true} {
				t.Run(fmt.Sprintf("of %d, before message %d, silent %t", n, last, silent), func(t *testing.T) {
					w := worldOf(t, n, tapedSession, tp.play)
					begin := w.clock
					w.malicious = []int{malicious}
					if silent {
						w.malicious = append(w.malicious, 0)
					}
					sc := &scheme{silent: map[int]int{malicious: last, 0: 99}, gone: map[int]bool{}}
					w.tamper = sc.tamper
					phase := w.lives[0].phaseTime
					w.departs(malicious, begin.Add(100*lag), phase)
					w.run(t)
					for _, l := range w.honest() {
						blamed, err := l.blamed()
						require.NoError(t, err)
						require.Equal(t, [][]byte{l.members[malicious]}, blamed)
						require.ErrorContains(t, l.err, "joined the keygen anew")
					}
					if !silent {
						require.Less(t, w.clock.Sub(begin), 4*phase)
					}
				})
			}
		}
	}
}

// What one member says of another's leaving means nothing as long as the chain does not say so.
func TestWhoIsSaidToHaveLeft(t *testing.T) {
	t.Parallel()
	w := worldOf(t, 4, tapedSession, edTape(t, 4).play)
	sc := &scheme{silent: map[int]int{malicious: 99}, gone: map[int]bool{}, claims: []claim{
		{malicious, 0, []int{0, 1, 3}, 0}, {malicious, 1, []int{0, 1, 3}, 0},
	}}
	w.tamper = sc.tamper
	sc.begin(w)
	w.run(t)
	for _, l := range w.honest() {
		require.NoError(t, l.err)
	}
	require.Less(t, w.clock.Sub(w.lives[0].began), time.Second)
}

// Of a frame with the signatures of many, one that is wrong is the last that is looked at: whoever
// fills frames with them costs the others one verification each, and not a thousand.
func TestAWrongSignatureEndsAListOfThem(t *testing.T) {
	t.Parallel()
	w := worldOf(t, 7, tapedSession, edTape(t, 7).play)
	for _, l := range w.lives {
		require.NoError(t, l.setUp())
		l.begin()
	}
	const author, x = 1, 6
	at, h := slot{author: author, to: everybody}, hash{1}
	list := func(digest hash) (echoes []echo) {
		for _, m := range []int{3, 4, 5} {
			e := echo{member: uint16(m), held: true, sig: w.lives[m].sign(digest)}
			if m == 4 {
				e.sig[7] ^= 1
			}
			echoes = append(echoes, e)
		}
		return echoes
	}
	l := w.lives[0]
	l.handle(inbound{from: 2, session: l.id, frame: &frame{
		kind: frameEcho, slot: at, hash: h,
		sig:    w.lives[author].sign(l.messageDigest(at, h)),
		echoes: list(l.echoDigest(at, h, true)),
	}})
	require.Len(t, l.at(at).versions, 1)
	require.Equal(t, []int{3}, slices.Collect(maps.Keys(l.at(at).versions[0].echoes)))
	l.handle(inbound{from: 2, session: l.id, frame: &frame{
		kind: frameLeft, left: x, echoes: list(l.leftDigest(x)),
	}})
	require.Equal(t, []bool{false, false, false, true, false, false, false}, l.departures[x].said)
}
