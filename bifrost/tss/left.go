package tss

import (
	"slices"
	"time"
)

// A member that starts anew has lost its part in the attempt and joins the next one, on chain. The
// others need not wait until rounds end for what it will not send: who has known of that join for
// two phases says so to all, signed, and when all who have not left have said so, the attempt is
// over for all of them.
//
// An honest member also joins the next attempt once this one is over for it. All other honest ones
// know of a fault a phase later at most, so two are enough, in which this member did not compute.
//
// Nobody honest ends so before all honest members have said the same, and from then on each of them
// names those who left, whatever else ends the attempt for it. A certificate of it that comes up
// later counts on chain as long as the next attempt has not begun, and all have kept its result.

// A departure is that of a member.
type departure struct {
	// since is when this member heard of it on chain, or last computed after that; zero while it
	// has not heard.
	since time.Time
	said  []bool // by the members
}

// hearJoin notes that a member has joined the next attempt.
func (s *session) hearJoin(member []byte) {
	x := slices.IndexFunc(s.members, func(m []byte) bool { return string(m) == string(member) })
	if x >= 0 && x != s.self && s.departures[x].since.IsZero() {
		s.departures[x].since = s.now()
		s.log.Info().Str("member", s.short(x)).Msg("member joined the " + s.kind + " anew")
	}
}

// computes starts the time anew that a departure has to be known.
func (s *session) computes(now time.Time) {
	for x := range s.departures {
		if d := &s.departures[x]; !d.since.IsZero() {
			d.since = now
		}
	}
}

// handleLeft takes in who says that a member left, and passes it on.
func (s *session) handleLeft(f *frame) {
	x := int(f.left)
	if !s.public || x >= len(s.members) {
		return
	}
	for _, e := range f.echoes {
		m := int(e.member)
		if m >= len(s.members) || m == x || s.departures[x].said[m] {
			continue
		}
		if !s.signed(m, s.leftDigest(x), e.sig) {
			break // see signed
		}
		s.sayLeft(x, m, e.sig)
	}
}

// sayLeft notes and passes on that a member says that x left.
func (s *session) sayLeft(x, m int, by sig) {
	s.departures[x].said[m] = true
	s.sendAll(&frame{
		kind: frameLeft, left: uint16(x), echoes: []echo{{member: uint16(m), held: true, sig: by}},
	})
}

// leavers are those of whom this member says that they left.
func (s *session) leavers() (left []int) {
	for x, d := range s.departures {
		if d.said[s.self] {
			left = append(left, x)
		}
	}
	return left
}

// over says who left, and ends the attempt when all others say so too. Who knows of a fault waits
// for the verdict: others may have come to theirs, and joined anew for it, when this member has
// said done and must not name anybody yet.
func (s *session) over(now time.Time) error {
	if s.failed() {
		return nil
	}
	for x, d := range s.departures {
		if !d.said[s.self] && !d.since.IsZero() && now.Sub(d.since) >= 2*s.phaseTime {
			s.sayLeft(x, s.self, s.sign(s.leftDigest(x)))
		}
	}
	left := s.leavers()
	if len(left) == 0 {
		return nil
	}
	for m := range s.members {
		says := func(x int) bool { return s.departures[x].said[m] }
		if !s.gets(m) && s.finished[m] {
			continue // of a reshare, a dealer that has nothing to wait for
		}
		if !slices.Contains(left, m) && !slices.ContainsFunc(left, says) {
			return nil
		}
	}
	return s.named(nil)
}
