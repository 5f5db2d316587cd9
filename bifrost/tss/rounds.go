package tss

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A fault is what somebody did, or left undone, in a round.
type fault struct {
	round   int
	members []int
	reason  string
}

// gone is the first member that gave up.
type gone struct {
	member int
	reason string
	at     time.Time
}

// DefaultRoundTimeout is how long a round of a ceremony of so many members may take: to compute
// what is to be said in it, and to say it.
func DefaultRoundTimeout(members int) time.Duration {
	return 30*time.Second + time.Duration(members)*3*time.Second
}

// tolerated is how many of a vault's members may be malicious, n − ⌈2n/3⌉.
func tolerated(members int) int { return members / 3 }

// phases is how many follow a round: one more than there may be malicious members.
func (d *description) phases() int { return d.malicious + 1 }

// roundEnd is when the messages of a round, from 1 on, must have been sent.
func (s *session) roundEnd(round int) time.Time {
	return s.closing(round - 1).Add(s.roundTimeout)
}

// closing is the end of a round's last phase. From then on all honest members know the same of it.
func (s *session) closing(round int) time.Time {
	whole := s.roundTimeout + time.Duration(s.phases())*s.phaseTime
	return s.began.Add(time.Duration(round) * whole)
}

// phase tells in which phase after a round this is, 0 within the round. It is not open when the
// last one is over.
func (s *session) phase(round int) (phase int, open bool) {
	late := s.now().Sub(s.roundEnd(round))
	if late <= 0 {
		return 0, true
	}
	phase = int((late + s.phaseTime - 1) / s.phaseTime)
	return phase, phase <= s.phases()
}

// tick looks at the time.
func (s *session) tick() error {
	now := s.now()
	if s.busy > 0 {
		s.heard()
		s.computes(now)
	}
	s.want(now)
	for s.closed < s.lastRound() && !now.Before(s.closing(s.closed+1)) {
		s.closed++
		s.closeRound(s.closed)
	}
	if s.busy > 0 {
		return nil
	}
	if s.gone != nil && !s.public && now.Sub(s.gone.at) >= s.phaseTime {
		return fmt.Errorf("%s gave up: %q", s.short(s.gone.member), s.gone.reason)
	}
	if !s.saidDone() || s.closed >= s.lastRound() {
		if err := s.verdict(s.closed); err != nil {
			return err
		}
	}
	return s.over(now)
}

func (s *session) lastRound() (last int) {
	for _, in := range s.instances {
		for _, step := range in.protocol.steps {
			last = max(last, step.round)
		}
	}
	return last
}

// closeRound takes what came in time for the messages of a round, and the rest for missing.
func (s *session) closeRound(round int) {
	for i, in := range s.instances {
		for j := range in.protocol.steps {
			if in.protocol.steps[j].round != round {
				continue
			}
			for author := range s.members {
				if author != s.self && s.sends(&in.protocol.steps[j], author) {
					s.closeSlot(s.slotOf(uint8(i), uint8(j), author))
				}
			}
		}
	}
}

func (s *session) closeSlot(at slot) {
	m, step := s.at(at), s.step(at)
	var held []*version
	seen := 0
	for _, v := range m.versions {
		if v.held {
			held = append(held, v)
		}
		if v.seen {
			seen++
		}
	}
	switch {
	case seen == maxVersions:
		s.faulty(step.round, "sent different versions of its "+step.name(), int(at.author))
	case len(held) == 1:
		s.deliver(at, held[0])
	default:
		what := fmt.Sprintf(
			"did not send %s of %s", step.name(), s.instances[at.instance].protocol.name,
		)
		if s.isDone(at) {
			what = "did not sign the result of the " + s.kind
		}
		s.missing = append(s.missing, fault{step.round, []int{int(at.author)}, what})
	}
}

func (s *session) faulty(round int, reason string, members ...int) {
	s.faults = append(s.faults, fault{round, members, reason})
}

// verdict names those at fault in the first round that has a fault, once it is closed: by then all
// honest members know of the same faults in it. A ceremony that blames only locally ends at the
// first fault.
func (s *session) verdict(closed int) error {
	all := s.faults
	for _, f := range s.missing {
		if !s.excused(f) {
			all = append(all, f)
		}
	}
	first := 0
	for _, f := range all {
		if (first == 0 || f.round < first) &&
			(!s.public || f.round <= closed || s.settled(f.round)) {
			first = f.round
		}
	}
	if first == 0 {
		return nil
	}
	return s.named(slices.DeleteFunc(slices.Clone(all), func(f fault) bool {
		return f.round != first
	}))
}

// named is the end of a ceremony by faults of one round, and by those who left.
func (s *session) named(faults []fault) error {
	if left := s.leavers(); len(left) > 0 {
		faults = append(faults, fault{
			members: left, reason: "joined the " + s.kind + " anew while this attempt ran",
		})
	}
	out := &failure{}
	what := make([][]string, len(s.members))
	for _, f := range faults {
		out.members = append(out.members, f.members...)
		for _, m := range f.members {
			if !slices.Contains(what[m], f.reason) {
				what[m] = append(what[m], f.reason)
			}
		}
	}
	var reasons []string
	for m, w := range what {
		if len(w) > 0 {
			slices.Sort(w)
			reasons = append(reasons, s.short(m)+" "+strings.Join(w, ", "))
		}
	}
	out.reason = strings.Join(reasons, "; ")
	return out
}

// settled reports whether nothing more will come of a fault in this round. Where there may be one
// malicious member at most, and all members have everything of the rounds so far, all will find
// that it was this one. Of several, others might still be found out in the same round, or before.
func (s *session) settled(round int) bool {
	if s.malicious > 1 {
		return false
	}
	for i, in := range s.instances {
		for j, step := range in.protocol.steps {
			for author, m := range s.slots[i][j] {
				if author != s.self && s.sends(&step, author) && step.round <= round &&
					!m.settled && !s.excused(fault{step.round, []int{author}, ""}) {
					return false
				}
			}
		}
	}
	return true
}

// excused reports whether a member did not go on because of what it complained of in that round.
func (s *session) excused(f fault) bool {
	return slices.ContainsFunc(s.complaints, func(c complainer) bool {
		return c.round == f.round && c.member == f.members[0]
	})
}

type complainer struct{ round, member int }

// expired is the end of a ceremony whose context has: whoever lacks something now is named by this
// member.
func (s *session) expired() error {
	s.eachLacking(func(at slot, _ *message) {
		step := s.step(at)
		s.missing = append(s.missing, fault{
			1, []int{int(at.author)}, "did not send " + step.name() + " before the deadline",
		})
	})
	for i := range s.faults {
		s.faults[i].round = 1
	}
	if err := s.verdict(1); err != nil {
		return err
	}
	return errDeadline
}
