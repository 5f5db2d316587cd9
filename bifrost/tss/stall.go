package tss

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// missing is what this member lacks to go on: in each unfinished instance, of the first round that
// is incomplete.
type missing struct {
	messages []slot           // that it did not get
	what     map[int][]string // by member that should have sent it
	round    map[uint8]int    // by instance
}

func (s *session) missing() missing {
	out := missing{what: map[int][]string{}, round: map[uint8]int{}}
	for i, in := range s.instances {
		if s.results[i] != nil {
			continue
		}
		round := 0
		for j := range in.protocol.steps {
			step := &in.protocol.steps[j]
			if round != 0 && step.round > round {
				break
			}
			for author := range s.members {
				at := slot{uint8(i), uint8(j), uint16(author)}
				m := s.at(at)
				if author == s.self || m.delivered {
					continue
				}
				round = step.round
				out.round[uint8(i)] = round
				if !m.have {
					out.messages = append(out.messages, at)
					out.what[author] = append(
						out.what[author],
						fmt.Sprintf("%s of %s", step.name(), in.protocol.name),
					)
					continue
				}
				for other, e := range m.echoes {
					if e == nil && other != s.self && other != author {
						out.what[other] = append(
							out.what[other],
							fmt.Sprintf("what it got as %s from %s", step.name(), s.short(author)),
						)
					}
				}
			}
		}
	}
	return out
}

// tick looks at the time. While this member computes it expects nothing of the others, who are
// likely to compute as well.
func (s *session) tick() error {
	if s.busy > 0 {
		s.progress, s.reported = s.now(), false
		return nil
	}
	idle := s.now().Sub(s.progress)
	if idle >= s.roundTimeout/2 && !s.reported {
		s.reported = true
		s.sendAll(&frame{kind: frameWaiting, waiting: s.missing().messages})
	}
	if idle >= s.roundTimeout {
		return s.stalled("no answer in time")
	}
	return nil
}

// A claim is one member holding another responsible: it waits for its message of a round, or gave
// up because of it.
type claim struct {
	by, on   int
	instance uint8
	round    int // 0 of a member that gave up: it names no message
}

// claims gathers what is known of who waits for whom.
func (s *session) claims(lack missing) []claim {
	var all []claim
	add := func(by int, at slot) {
		if on := int(at.author); on != by {
			all = append(all, claim{by, on, at.instance, s.step(at).round})
		}
	}
	for m := range s.members {
		if m == s.self {
			continue
		}
		for _, on := range s.accused[m] {
			all = append(all, claim{by: m, on: on})
		}
		for _, at := range s.waiting[m] {
			round, own := s.step(at).round, lack.round[at.instance]
			switch {
			case s.step(at).broadcast && s.at(at).have && !s.gaveUp[m]: // it was passed on
			case s.reached(m, at.instance) > round: // who is in a later round has all of this one
			case own != 0 && own < round: // like this member, the others have not got so far
			default:
				add(m, at)
			}
		}
	}
	for _, at := range lack.messages {
		add(s.self, at)
	}
	return all
}

// reached is the last round of which a message of this member is here.
func (s *session) reached(m int, instance uint8) (round int) {
	for j, step := range s.instances[instance].protocol.steps {
		if s.slots[instance][j][m].have {
			round = max(round, step.round)
		}
	}
	return round
}

// stalled decides whom to blame for a ceremony that does not go on. See the package comment for the
// rules.
func (s *session) stalled(why string) error {
	lack := s.missing()
	if len(lack.what) == 0 {
		return errors.New(why)
	}
	claims := s.claims(lack)
	lacking := map[int]bool{}
	for m := range lack.what {
		lacking[m] = true
	}
	blamed := decide(len(s.members), s.self, lacking, claims)

	var reasons []string
	for _, m := range blamed {
		var by, on []int
		for _, c := range claims {
			if c.on == m && c.by != s.self && !slices.Contains(by, c.by) {
				by = append(by, c.by)
			}
			if c.by == m && !slices.Contains(on, c.on) {
				on = append(on, c.on)
			}
		}
		var parts []string
		if what := lack.what[m]; len(what) > 0 {
			parts = append(parts, "did not send "+strings.Join(what, ", "))
		}
		if len(by) > 0 {
			parts = append(parts, "is waited for by "+s.list(by))
		}
		if len(on) > 0 {
			parts = append(parts, "waits for "+s.list(on))
		}
		reasons = append(reasons, s.short(m)+" "+strings.Join(parts, " and "))
	}
	return &failure{members: blamed, reason: why + ": " + strings.Join(reasons, "; "), quiet: true}
}

// decide names the members to blame, from who lacks and who holds whom responsible. A member that
// lacks is stuck behind others when each that it points to lacks as well, or is pointed to by so
// many that one of those is honest. Otherwise it is its word against theirs, and all of them are
// named.
func decide(members, self int, lacking map[int]bool, claims []claim) []int {
	// Waiting for one who itself waits for an earlier round holds nothing against it.
	counts := func(c claim) bool {
		return !slices.ContainsFunc(claims, func(d claim) bool {
			return d.by == c.on && d.instance == c.instance && d.round > 0 && d.round < c.round
		})
	}
	quorum := members/3 + 1
	convicted := func(m int) bool {
		by := map[int]bool{}
		for _, c := range claims {
			if c.on == m && counts(c) {
				by[c.by] = true
			}
		}
		return len(by) >= quorum
	}
	var blamed []int
	for m := range lacking {
		var targets []int
		stuck := true
		for _, c := range claims {
			if c.by != m || c.on == self {
				continue
			}
			targets = append(targets, c.on)
			stuck = stuck && (lacking[c.on] || convicted(c.on))
		}
		if len(targets) == 0 || !stuck {
			blamed = append(append(blamed, m), targets...)
			continue
		}
		for _, t := range targets {
			if convicted(t) {
				blamed = append(blamed, t)
			}
		}
	}
	if len(blamed) == 0 { // they point at each other
		for m := range lacking {
			blamed = append(blamed, m)
		}
	}
	slices.Sort(blamed)
	return slices.Compact(blamed)
}
