package tss

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
)

// The last step of a keygen. A member whose result is complete has it kept and signs what it got
// for that, the same 32 bytes as every honest member: its done. The certificate is all of them.
//
// What is agreed on here is whether there was a done, not which of two. So a done has no content,
// its author's signature is the one under the message, and whatever is not a done is passed over: a
// slot has one version at most. Nothing that comes later takes a done away. A member that has all
// of them, and has passed them on, therefore knows that all honest members will have them, and need
// not wait for the end of the round.
//
// Who has said done can only be told that the keygen failed by the end of this round: until then
// somebody may have a whole certificate, whatever comes out about earlier rounds. Who knows of a
// fault before it could say done never says it, so that nobody gets one.

// A certificate is this member's part in the last step.
type certificate struct {
	number uint8 // of its instance, after those of tss-lib
	// digest is what all sign, once this member's result is kept and it has said done.
	digest *hash
	// waiting is what the others said before that: the latest of each kind from each member.
	waiting map[waiting]*frame
}

type waiting struct {
	from   int
	author uint16
	kind   frameKind
}

// doneContent is the hash of a done's content, which is none.
var doneContent = hash(sha256.Sum256(nil))

// addCertificate adds the last step to those of a keygen or a reshare.
func (s *session) addCertificate() {
	s.certificate = &certificate{
		number: uint8(len(s.instances)), waiting: map[waiting]*frame{},
	}
	p := &protocol{name: s.kind, steps: []step{
		{title: "done", round: s.lastRound() + 1, broadcast: true, by: getters},
	}}
	s.instances = append(s.instances, &instance{protocol: p})
	s.slots = append(s.slots, newSlots(len(p.steps), len(s.members)))
	s.results = append(s.results, nil)
	s.open++
}

func (s *session) isDone(at slot) bool {
	return s.certificate != nil && at.instance == s.certificate.number
}

// saidDone reports whether this member has.
func (s *session) saidDone() bool { return s.certificate != nil && s.certificate.digest != nil }

// keepResult has the result kept when the other instances have theirs, unless the keygen has failed
// in the meantime. Who is not done by the end of its round is not waited for.
func (s *session) keepResult() {
	if s.certificate == nil || s.open != 1 || s.failed() {
		return
	}
	number := s.certificate.number
	results := slices.Clone(s.results[:number])
	end := s.roundEnd(s.instances[number].protocol.steps[0].round)
	ctx, cancel := context.WithTimeout(context.Background(), end.Sub(s.now()))
	s.busy++
	s.workers.Go(func() {
		select {
		case <-s.quit:
			cancel()
		case <-ctx.Done():
		}
	})
	s.workers.Go(func() {
		defer cancel()
		o := outcome{instance: number}
		o.result, o.err = s.keep(ctx, results)
		select {
		case s.outcomes <- o:
		case <-s.quit:
		}
	})
}

// failed reports whether there is a fault that a verdict will come of.
func (s *session) failed() bool { return len(s.faults)+len(s.missing) > 0 }

// handleKept says done.
func (s *session) handleKept(o outcome) error {
	if o.err != nil || s.failed() {
		return o.err
	}
	c := s.certificate
	b := o.result.([]byte)
	if len(b) != hashSize {
		return fmt.Errorf("a %s's Keep gave %d bytes to sign, not %d", s.kind, len(b), hashSize)
	}
	if phase, _ := s.phase(s.instances[c.number].protocol.steps[0].round); phase > 0 {
		return fmt.Errorf("the result of the %s was kept too late for the others to hear of it", s.kind)
	}
	digest := hash(b)
	c.digest = &digest
	s.publish(c.number, outgoing{})
	for _, f := range c.waiting {
		s.handleBroadcast(f)
	}
	c.waiting = nil
	return nil
}

// wait holds a done, or an echo of one, until this member knows what has to be signed.
func (c *certificate) wait(f *frame, from, members int) {
	if int(f.slot.author) < members && len(f.payload) == 0 && len(f.echoes) <= members {
		c.waiting[waiting{from, f.slot.author, f.kind}] = f
	}
}

// certify makes the certificate once everybody's done is here.
func (s *session) certify() {
	c := s.certificate
	var signatures [][]byte
	for author, m := range s.slots[c.number][0] {
		if !s.gets(author) {
			continue
		}
		if len(m.versions) == 0 || !m.versions[0].held {
			return
		}
		signatures = append(signatures, slices.Clone(m.versions[0].sig[:]))
	}
	s.results[c.number] = signatures
	s.open--
}
