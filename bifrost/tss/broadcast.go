package tss

import (
	"crypto/sha256"
	"time"
)

// A message is what this member knows of one slot. Of a broadcast there may be two versions, which
// is one more than an honest author signs.
type message struct {
	versions  []*version
	delivered bool
	settled   bool  // all members have it
	answered  []int // wants, by member
}

type version struct {
	hash    hash
	sig     sig // of the author
	payload []byte
	have    bool
	echoes  map[int]echo // of others than this member and the author
	own     *echo

	held bool // the content came in time
	seen bool // the signatures came in time
}

const (
	maxVersions = 2
	// maxAnswers bounds how often one member is given one message.
	maxAnswers = 8
)

func newSlots(steps, members int) [][]*message {
	slots := make([][]*message, steps)
	for i := range slots {
		slots[i] = make([]*message, members)
		for j := range slots[i] {
			slots[i][j] = &message{answered: make([]int, members)}
		}
	}
	return slots
}

func (s *session) at(at slot) *message { return s.slots[at.instance][at.step][at.author] }

func (s *session) step(at slot) *step { return &s.instances[at.instance].protocol.steps[at.step] }

// known reports whether the protocols have this slot, and this member has to do with it.
func (s *session) known(at slot) bool {
	if int(at.instance) >= len(s.instances) || int(at.author) >= len(s.members) ||
		int(at.step) >= len(s.instances[at.instance].protocol.steps) {
		return false
	}
	step := s.step(at)
	return s.sends(step, int(at.author)) && step.broadcast == (at.to == everybody)
}

// handle takes in a frame while the protocols run. What is not as it should be is passed over:
// nobody else could check that it came like this.
func (s *session) handle(in inbound) {
	f, from := in.frame, in.from
	if s.received[from] > s.maxFrames() || f.kind != frameStart && in.session != s.id {
		return
	}
	s.received[from]++
	switch f.kind {
	case frameMessage, frameEcho:
		if s.isDone(f.slot) && !s.saidDone() {
			s.certificate.wait(f, from, len(s.members))
			return
		}
		s.handleBroadcast(f)
	case frameWant:
		s.handleWant(f.wants, from)
	case frameGone:
		if s.gone == nil {
			s.gone = &gone{member: from, reason: f.reason, at: s.now()}
		}
	case frameFinished:
		s.finished[from] = true
	case frameLeft:
		s.handleLeft(f)
	}
}

// handleBroadcast takes in a message or echoes. It may be a message to this member alone as well.
func (s *session) handleBroadcast(f *frame) {
	if f.kind == frameMessage {
		s.handleMessage(f)
	} else {
		s.handleEcho(f)
	}
}

// maxFrames is many times what a member sends in a ceremony without trouble, to leave room for what
// a reconnection repeats.
func (s *session) maxFrames() int {
	steps := 0
	for _, in := range s.instances {
		steps += len(in.protocol.steps)
	}
	return 1024 + 16*steps*(2+len(s.members))
}

// version returns the version of a message with this hash, which is taken in if its author signed
// it and there are not two already.
func (s *session) version(at slot, h hash, sg sig) *version {
	m := s.at(at)
	for _, v := range m.versions {
		if v.hash == h {
			return v
		}
	}
	if len(m.versions) == maxVersions || s.isDone(at) && h != doneContent ||
		!s.signed(int(at.author), s.messageDigest(at, h), sg) {
		return nil
	}
	v := &version{hash: h, sig: sg, echoes: map[int]echo{}}
	m.versions = append(m.versions, v)
	return v
}

func (s *session) handleMessage(f *frame) {
	at := f.slot
	if !s.known(at) || int(at.author) == s.self ||
		at.to != everybody && int(at.to) != s.self {
		return
	}
	v := s.version(at, sha256.Sum256(f.payload), f.sig)
	if v == nil || v.have {
		return
	}
	v.payload, v.have = f.payload, true
	s.heard()
	if at.to == everybody {
		s.consider(at)
	} else {
		v.held = true
		s.deliver(at, v)
	}
}

func (s *session) handleEcho(f *frame) {
	at := f.slot
	if !s.known(at) || at.to != everybody || int(at.author) == s.self {
		return
	}
	v := s.version(at, f.hash, f.sig)
	if v == nil {
		return
	}
	v.have = v.have || s.isDone(at)
	for _, e := range f.echoes {
		m := int(e.member)
		if m >= len(s.members) || m == s.self || m == int(at.author) || !s.witnesses(at, m) {
			continue
		}
		if old, ok := v.echoes[m]; ok && (old.held || !e.held) {
			continue
		}
		if !s.signed(m, s.echoDigest(at, v.hash, e.held), e.sig) {
			break // see signed
		}
		v.echoes[m] = e
		s.heard()
	}
	s.consider(at)
}

// signers counts who, beside this member, has put its name under a version: the author, and the
// echoers.
func (v *version) signers(held bool) int {
	n := 1
	for _, e := range v.echoes {
		if e.held || !held {
			n++
		}
	}
	return n
}

// consider decides whether what is here of a broadcast came in time: in its round, or in a phase
// after it with as many signatures as the phase has in number (Dolev and Strong, "Authenticated
// algorithms for Byzantine agreement", 1983). When one honest member says so, all will, one phase
// later.
func (s *session) consider(at slot) {
	m := s.at(at)
	phase, open := s.phase(s.step(at).round)
	if !open {
		return
	}
	for _, v := range m.versions {
		v.seen = v.seen || v.signers(false) >= phase
		if v.held || !v.have || v.signers(true) < phase {
			continue
		}
		v.held = true
		s.echo(at, v, true, phase > 0)
	}
	if len(m.versions) == maxVersions && m.versions[0].seen && m.versions[1].seen {
		for _, v := range m.versions {
			if v.own == nil {
				s.echo(at, v, false, false)
			}
		}
		return
	}
	if v := m.versions[0]; len(m.versions) == 1 && v.held {
		m.settled = m.settled || v.signers(true) == s.countWitnesses(at)-1
		if m.settled || s.isDone(at) {
			s.deliver(at, v)
		}
	}
}

// echo tells the others that this member has a version, or has seen it. What is late has to arrive
// with all that shows that it was not too late, and with its content.
func (s *session) echo(at slot, v *version, held, content bool) {
	v.own = &echo{member: uint16(s.self), held: held, sig: s.sign(s.echoDigest(at, v.hash, held))}
	echoes := &frame{kind: frameEcho, slot: at, hash: v.hash, sig: v.sig, echoes: []echo{*v.own}}
	if content || !held {
		echoes = v.allEchoes(at)
	}
	frames := [][]byte{echoes.encode()}
	if content {
		frames = append(frames, v.message(at).encode())
	}
	for i, l := range s.links {
		if l != nil && i != int(at.author) && s.witnesses(at, i) {
			for _, b := range frames {
				l.send(b)
			}
		}
	}
}

func (v *version) message(at slot) *frame {
	return &frame{kind: frameMessage, slot: at, sig: v.sig, payload: v.payload}
}

func (v *version) allEchoes(at slot) *frame {
	f := &frame{kind: frameEcho, slot: at, hash: v.hash, sig: v.sig}
	if v.own != nil {
		f.echoes = append(f.echoes, *v.own)
	}
	for _, e := range v.echoes {
		f.echoes = append(f.echoes, e)
	}
	return f
}

// deliver hands a message to its party. The channel has room for every slot.
func (s *session) deliver(at slot, v *version) {
	m := s.at(at)
	if m.delivered {
		return
	}
	m.delivered = true
	s.heard()
	switch {
	case s.isDone(at):
		s.certify()
		return
	case s.isEnvelope(at):
		s.takeEnvelope(at, v.payload)
		return
	}
	s.busy++
	s.instances[at.instance].deliveries <- delivery{at, v.payload}
}

// heard notes that something new came in.
func (s *session) heard() { s.progress = s.now() }

// publish signs and sends what a party wants sent.
func (s *session) publish(instance uint8, out outgoing) {
	at := slot{instance: instance, step: out.step, author: uint16(s.self), to: everybody}
	if !s.step(at).broadcast {
		at.to = uint16(out.to)
	}
	h := hash(sha256.Sum256(out.payload))
	v := &version{hash: h, payload: out.payload, have: true, held: true}
	v.sig = s.sign(s.messageDigest(at, h))
	if at.to != everybody {
		s.links[out.to].send(v.message(at).encode())
		return
	}
	s.at(at).versions = []*version{v}
	b := v.message(at).encode()
	for i, l := range s.links {
		if l != nil && s.witnesses(at, i) {
			l.send(b)
		}
	}
}

// want asks everybody for what this member lacks of the round that it is in: whoever has it
// answers. So it does not matter who of two members can reach the other.
func (s *session) want(now time.Time) {
	if now.Sub(s.progress) < s.phaseTime/4 || now.Sub(s.wanted) < s.phaseTime/4 {
		return
	}
	var wants []want
	s.eachLacking(func(at slot, m *message) {
		content := len(m.versions) == 0 || !m.versions[0].have
		if at.to == everybody || content {
			wants = append(wants, want{slot: at, content: content})
		}
	})
	if len(wants) > 0 {
		s.wanted = now
		s.sendAll(&frame{kind: frameWant, wants: wants})
	}
}

// eachLacking calls f with the messages of others that are not delivered, of each instance's first
// round that lacks some.
func (s *session) eachLacking(f func(at slot, m *message)) {
	for i, in := range s.instances {
		if s.results[i] != nil {
			continue
		}
		var lacking []slot
		round := 0
		for j := range in.protocol.steps {
			step := &in.protocol.steps[j]
			for author := range s.members {
				if author == s.self || !s.sends(step, author) || !s.reached(uint8(i), uint8(j)) ||
					s.slots[i][j][author].delivered || round != 0 && step.round > round {
					continue
				}
				if step.round < round {
					lacking = nil
				}
				round = step.round
				lacking = append(lacking, s.slotOf(uint8(i), uint8(j), author))
			}
		}
		for _, at := range lacking {
			f(at, s.at(at))
		}
	}
}

// slotOf names a message for this member.
func (s *session) slotOf(instance, step uint8, author int) slot {
	at := slot{instance: instance, step: step, author: uint16(author), to: everybody}
	if !s.step(at).broadcast {
		at.to = uint16(s.self)
	}
	return at
}

// handleWant gives a member what it lacks and this one has.
func (s *session) handleWant(wants []want, from int) {
	for _, w := range wants {
		if !s.known(w.slot) || w.slot.to != everybody || int(w.slot.author) == from ||
			!s.witnesses(w.slot, from) {
			continue // a direct message is said once, and the link sees to it that it arrives
		}
		m := s.at(w.slot)
		if len(m.versions) == 0 || m.answered[from] >= maxAnswers {
			continue
		}
		m.answered[from]++
		for _, v := range m.versions {
			if len(v.echoes) > 0 || v.own != nil {
				s.links[from].send(v.allEchoes(w.slot).encode())
			}
			if w.content && v.have {
				s.links[from].send(v.message(w.slot).encode())
			}
		}
	}
}
