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

// Where members hold each other's envelopes there is one more step before. A member that has its
// result seals it, and broadcasts the envelope as everything else is broadcast. Who has those of
// all who give one keeps them with its result. So a done also says that its author holds them all.

// A certificate is this member's part in the last steps.
type certificate struct {
	number uint8 // of its instance, after those of tss-lib
	// last is the step of the dones: the only one, or the one after that of the envelopes.
	last uint8
	// envelopes are those that are here, by member.
	envelopes [][]byte
	// sealing and keeping are set once either was begun.
	sealing, keeping bool
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

// addCertificate adds the last steps to those of a keygen or a reshare.
func (s *session) addCertificate() {
	c := &certificate{
		number: uint8(len(s.instances)), envelopes: make([][]byte, len(s.members)),
		waiting: map[waiting]*frame{},
	}
	p := &protocol{name: s.kind}
	round := s.lastRound()
	add := func(title string, by role) {
		round++
		c.last = uint8(len(p.steps))
		p.steps = append(p.steps, step{title: title, round: round, broadcast: true, by: by})
	}
	if s.giving != nil {
		add("envelope", givers)
	}
	add("done", getters)
	s.certificate = c
	s.instances = append(s.instances, &instance{protocol: p})
	s.slots = append(s.slots, newSlots(len(p.steps), len(s.members)))
	s.results = append(s.results, nil)
	s.open++
}

// concludes reports whether a message is one of the last steps'.
func (s *session) concludes(at slot) bool {
	return s.certificate != nil && at.instance == s.certificate.number
}

func (s *session) isDone(at slot) bool {
	return s.concludes(at) && at.step == s.certificate.last
}

func (s *session) isEnvelope(at slot) bool {
	return s.concludes(at) && at.step != s.certificate.last
}

// reached reports whether this member is where others' messages of a step are missed.
func (s *session) reached(instance, step uint8) bool {
	at := slot{instance: instance, step: step}
	return !s.concludes(at) || s.open == 1 && (!s.isDone(at) || s.saidDone())
}

// witnesses reports whether a member takes part in the agreement on a message: those who deal alone
// have no part in the last steps, and get nothing of them: no envelope.
func (s *session) witnesses(at slot, member int) bool {
	return !s.concludes(at) || s.gets(member)
}

func (s *session) countWitnesses(at slot) (n int) {
	for m := range s.members {
		if s.witnesses(at, m) {
			n++
		}
	}
	return n
}

// saidDone reports whether this member has.
func (s *session) saidDone() bool { return s.certificate != nil && s.certificate.digest != nil }

// conclude goes on with the last steps when the other instances have their results: this member's
// result is sealed, if it gives an envelope, and kept with all envelopes, unless the keygen has
// failed in the meantime. An envelope it says all the same: it would be missed beside what failed.
func (s *session) conclude() {
	c := s.certificate
	if c == nil || s.open != 1 {
		return
	}
	made := slices.Clone(s.results[:c.number])
	results := made
	if s.giving != nil {
		if s.giving[s.self] && !c.sealing {
			c.sealing = true
			s.compute(0, func(ctx context.Context) ([]byte, error) { return s.seal(ctx, made) })
		}
		var envelopes [][]byte
		for m, e := range c.envelopes {
			if s.giving[m] {
				if e == nil {
					return
				}
				envelopes = append(envelopes, e)
			}
		}
		results = append(made, envelopes)
	}
	if !c.keeping && !s.failed() {
		c.keeping = true
		s.compute(c.last, func(ctx context.Context) ([]byte, error) { return s.keep(ctx, results) })
	}
}

// compute works on a message of the last steps. Who is not done by the end of its round is not
// waited for.
func (s *session) compute(step uint8, work func(ctx context.Context) ([]byte, error)) {
	number := s.certificate.number
	end := s.roundEnd(s.instances[number].protocol.steps[step].round)
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
		o.result, o.err = work(ctx)
		select {
		case s.outcomes <- o:
		case <-s.quit:
		}
	})
}

// failed reports whether there is a fault that a verdict will come of.
func (s *session) failed() bool { return len(s.faults)+len(s.missing) > 0 }

// handleConcluding says what was computed: this member's envelope, or its done.
func (s *session) handleConcluding(o outcome) error {
	c := s.certificate
	if o.err != nil || c.keeping && s.failed() {
		return o.err
	}
	b, step := o.result.([]byte), uint8(0)
	if c.keeping {
		step = c.last
	}
	if phase, _ := s.phase(s.instances[c.number].protocol.steps[step].round); phase > 0 {
		return fmt.Errorf("the %s of the %s was made too late for the others to hear of it",
			s.instances[c.number].protocol.steps[step].name(), s.kind)
	}
	if !c.keeping {
		if err := s.checkEnvelope(b); err != nil {
			return fmt.Errorf("this member's envelope: %w", err)
		}
		s.publish(c.number, outgoing{step: step, payload: b})
		c.envelopes[s.self] = b
		s.conclude()
		return nil
	}
	if len(b) != hashSize {
		return fmt.Errorf("a %s's Keep gave %d bytes to sign, not %d", s.kind, len(b), hashSize)
	}
	digest := hash(b)
	c.digest = &digest
	s.publish(c.number, outgoing{step: step})
	for _, f := range c.waiting {
		s.handleBroadcast(f)
	}
	c.waiting = nil
	return nil
}

// takeEnvelope takes in what a member gave the others to hold.
func (s *session) takeEnvelope(at slot, envelope []byte) {
	if err := s.checkEnvelope(envelope); err != nil {
		s.faulty(s.step(at).round, "its envelope is no good: "+err.Error(), int(at.author))
		return
	}
	s.certificate.envelopes[at.author] = envelope
	s.conclude()
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
	for author, m := range s.slots[c.number][c.last] {
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
