package tss

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// A message is what this member knows of one slot.
type message struct {
	have      bool
	payload   []byte
	hash      hash
	sig       sig
	echoes    []*echo // by member
	agreed    int     // echoes of this hash
	delivered bool
}

type echo struct {
	hash         hash
	sig, echoSig sig
}

func newSlots(steps, members int) [][]*message {
	slots := make([][]*message, steps)
	for i := range slots {
		slots[i] = make([]*message, members)
		for j := range slots[i] {
			slots[i][j] = &message{echoes: make([]*echo, members)}
		}
	}
	return slots
}

func (s *session) at(at slot) *message { return s.slots[at.instance][at.step][at.author] }

func (s *session) step(at slot) *step { return &s.instances[at.instance].protocol.steps[at.step] }

func (s *session) known(at slot) bool {
	return int(at.instance) < len(s.instances) && int(at.author) < len(s.members) &&
		int(at.step) < len(s.instances[at.instance].protocol.steps)
}

// handle takes in a frame while the protocols run.
func (s *session) handle(in inbound) error {
	f, from := in.frame, in.from
	if s.received[from]++; s.received[from] > s.maxFrames() {
		return s.accuse(from, "sent far more than the protocol has")
	}
	switch {
	case f == nil:
		return s.accuse(from, "sent a malformed frame")
	case f.kind == frameHello:
		if f.nonce != s.hellos[from].nonce {
			return s.accuse(from, "restarted during the ceremony")
		}
		return nil
	case f.kind == frameStart || in.session != s.id:
		return nil
	}

	switch f.kind {
	case frameBroadcast, frameDirect, frameRelay, frameEcho:
		if !s.known(f.slot) || s.step(f.slot).broadcast == (f.kind == frameDirect) {
			return s.accuse(from, "sent a message that the protocol does not have")
		}
		author := int(f.slot.author)
		sentByAuthor := f.kind == frameBroadcast || f.kind == frameDirect
		if sentByAuthor != (author == from) || author == s.self {
			return s.accuse(from, "sent a message in another member's name")
		}
	}
	switch f.kind {
	case frameBroadcast:
		return s.handleBroadcast(f, from)
	case frameDirect:
		s.handleDirect(f)
	case frameRelay:
		if s.signed(
			int(f.slot.author),
			s.broadcastDigest(f.slot, sha256.Sum256(f.payload)),
			f.sig,
		) {
			return s.handleBroadcast(f, from)
		}
		return s.accuse(from, "passed on a message that its author did not sign")
	case frameEcho:
		return s.handleEcho(f, from)
	case frameWaiting:
		return s.handleWaiting(f.waiting, from)
	case frameAbort:
		return s.handleAbort(&f.abort, from)
	case frameDone:
		s.finished[from] = true
	}
	return nil
}

// maxFrames is many times what a member sends in a ceremony without trouble, to leave room for what
// a reconnection repeats.
func (s *session) maxFrames() int {
	steps := 0
	for _, in := range s.instances {
		steps += len(in.protocol.steps)
	}
	return 256 + 16*steps*(2+len(s.members))
}

func (s *session) handleDirect(f *frame) {
	m := s.at(f.slot)
	if m.have {
		return
	}
	m.have, m.payload = true, f.payload
	s.deliver(f.slot)
}

// handleBroadcast takes in a broadcast, from its author or passed on by another.
func (s *session) handleBroadcast(f *frame, from int) error {
	author := int(f.slot.author)
	m := s.at(f.slot)
	h := hash(sha256.Sum256(f.payload))
	if m.have && m.hash == h {
		return nil
	}
	if !s.signed(author, s.broadcastDigest(f.slot, h), f.sig) {
		return s.accuse(from, "did not sign its "+s.step(f.slot).name())
	}
	if m.have {
		return s.equivocated(f.slot, m.hash, m.sig, h, f.sig)
	}
	m.have, m.payload, m.hash, m.sig = true, f.payload, h, f.sig
	s.progress, s.reported = s.now(), false

	echo := &frame{kind: frameEcho, slot: f.slot, hash: h, sig: f.sig}
	echo.echoSig = s.sign(s.echoDigest(f.slot, h, f.sig))
	b := echo.encode()
	for i, l := range s.links {
		if l != nil && i != author {
			l.send(b)
		}
	}
	for i, e := range m.echoes {
		if e != nil {
			if err := s.compare(f.slot, i); err != nil {
				return err
			}
		}
	}
	s.deliverAgreed(f.slot)
	return nil
}

func (s *session) handleEcho(f *frame, from int) error {
	m := s.at(f.slot)
	e := &echo{f.hash, f.sig, f.echoSig}
	if old := m.echoes[from]; old != nil {
		if old.hash == e.hash {
			return nil
		}
		// Two echoes that differ: look at this one as well, it may be what proves the author's
		// doing.
		m.echoes[from] = e
		if m.have && e.hash != m.hash {
			return s.compare(f.slot, from)
		}
		m.echoes[from] = old
		return nil
	}
	m.echoes[from] = e
	s.progress, s.reported = s.now(), false
	if !m.have {
		return nil
	}
	if err := s.compare(f.slot, from); err != nil {
		return err
	}
	s.deliverAgreed(f.slot)
	return nil
}

// compare sets what a member echoed against what was received. Where they differ, one of two has
// lied, and signatures tell which.
func (s *session) compare(at slot, from int) error {
	m := s.at(at)
	e := m.echoes[from]
	if e.hash == m.hash {
		m.agreed++
		return nil
	}
	if s.signed(int(at.author), s.broadcastDigest(at, e.hash), e.sig) {
		return s.equivocated(at, m.hash, m.sig, e.hash, e.sig)
	}
	return s.falseEcho(at, from, e)
}

func (s *session) deliverAgreed(at slot) {
	if m := s.at(at); m.have && m.agreed == len(s.members)-2 {
		s.deliver(at)
	}
}

// deliver hands a message to its party. The channel has room for every slot.
func (s *session) deliver(at slot) {
	m := s.at(at)
	if m.delivered {
		return
	}
	m.delivered = true
	s.progress, s.reported = s.now(), false
	s.busy++
	s.instances[at.instance].deliveries <- delivery{at, m.payload}
}

// handleOutcome sends what a party wants sent.
func (s *session) handleOutcome(o outcome) error {
	s.busy--
	s.progress, s.reported = s.now(), false
	for _, out := range o.messages {
		at := slot{o.instance, out.step, uint16(s.self)}
		m := s.at(at)
		if !s.step(at).broadcast {
			if out.to == s.self || out.to < 0 || out.to >= len(s.links) {
				return fmt.Errorf("a message to party %d", out.to)
			}
			s.links[out.to].send(
				(&frame{kind: frameDirect, slot: at, payload: out.payload}).encode(),
			)
			continue
		}
		m.have, m.payload, m.hash = true, out.payload, sha256.Sum256(out.payload)
		m.sig = s.sign(s.broadcastDigest(at, m.hash))
		s.sendAll(&frame{kind: frameBroadcast, slot: at, sig: m.sig, payload: m.payload})
	}
	if o.err != nil {
		f := &failure{reason: o.err.Error()}
		for _, b := range o.blame {
			if b != s.self && b >= 0 && b < len(s.members) {
				f.members = append(f.members, b)
			}
		}
		if len(f.members) == 0 {
			return o.err
		}
		return f
	}
	if o.done {
		s.results[o.instance] = o.result
		s.open--
	}
	return nil
}

// maxWaiting bounds how many messages of each member somebody can wait for: those of one round of
// two instances.
const maxWaiting = 8

// handleWaiting passes broadcasts on to a member that did not get them from their author.
func (s *session) handleWaiting(slots []slot, from int) error {
	for i, at := range slots {
		if !s.known(at) || i >= maxWaiting*len(s.members) {
			return s.accuse(from, "waits for a message that the protocol does not have")
		}
	}
	s.waiting[from] = slots
	for _, at := range slots {
		m := s.at(at)
		to := relay{at, from}
		if !s.step(at).broadcast || !m.have || int(at.author) == s.self || int(at.author) == from ||
			s.relayed[to] {
			continue
		}
		s.relayed[to] = true
		s.links[from].send(
			(&frame{kind: frameRelay, slot: at, sig: m.sig, payload: m.payload}).encode(),
		)
	}
	return nil
}

// handleAbort ends the ceremony on proof. Without, it is remembered: whether it convicts the
// accused or the accuser shows when this member can go no further.
func (s *session) handleAbort(a *abort, from int) error {
	switch a.proof {
	case proofEquivocation:
		if s.known(a.slot) && a.hash1 != a.hash2 &&
			s.signed(int(a.slot.author), s.broadcastDigest(a.slot, a.hash1), a.sig1) &&
			s.signed(int(a.slot.author), s.broadcastDigest(a.slot, a.hash2), a.sig2) {
			return s.equivocated(a.slot, a.hash1, a.sig1, a.hash2, a.sig2)
		}
		return s.accuse(from, "gave a proof that proves nothing")
	case proofFalseEcho:
		e := &echo{a.hash1, a.sig1, a.echoerSig}
		if s.known(a.slot) && int(a.echoer) < len(s.members) && a.echoer != a.slot.author &&
			s.provesFalse(a.slot, int(a.echoer), e) {
			return s.falseEcho(a.slot, int(a.echoer), e)
		}
		return s.accuse(from, "gave a proof that proves nothing")
	}
	s.log.Warn().Str("member", s.short(from)).Str("reason", a.reason).Msg("a member gave up")
	s.gaveUp[from] = true
	for _, m := range a.members {
		if int(m) < len(s.members) && int(m) != from {
			s.accused[from] = append(s.accused[from], int(m))
		}
	}
	return nil
}

func (s *session) equivocated(at slot, hash1 hash, sig1 sig, hash2 hash, sig2 sig) error {
	return &failure{
		members: []int{int(at.author)},
		reason: fmt.Sprintf(
			"%s sent different versions of its %s to different members",
			s.short(int(at.author)),
			s.step(at).name(),
		),
		proof: &abort{
			proof: proofEquivocation,
			slot:  at,
			hash1: hash1,
			sig1:  sig1,
			hash2: hash2,
			sig2:  sig2,
		},
	}
}

// provesFalse: the echoer put its name under a hash with a signature that is not the author's.
func (s *session) provesFalse(at slot, echoer int, e *echo) bool {
	return s.signed(echoer, s.echoDigest(at, e.hash, e.sig), e.echoSig) &&
		!s.signed(int(at.author), s.broadcastDigest(at, e.hash), e.sig)
}

func (s *session) falseEcho(at slot, echoer int, e *echo) error {
	f := &failure{
		members: []int{echoer},
		reason: fmt.Sprintf(
			"%s told of a %s that %s did not sign",
			s.short(echoer),
			s.step(at).name(),
			s.short(int(at.author)),
		),
	}
	if s.provesFalse(at, echoer, e) {
		f.proof = &abort{
			proof: proofFalseEcho, slot: at, echoer: uint16(echoer),
			hash1: e.hash, sig1: e.sig, echoerSig: e.echoSig,
		}
	}
	return f
}

func (s *session) accuse(m int, what string) error {
	return &failure{members: []int{m}, reason: s.short(m) + " " + what}
}

// broadcastDigest is what the author of a broadcast signs. No transaction, and no handshake, has
// bytes that begin like these.
func (s *session) broadcastDigest(at slot, h hash) hash {
	b := append([]byte("tssbackup/tss/broadcast/v1"), s.id[:]...)
	b = append(b, at.instance, at.step)
	b = binary.BigEndian.AppendUint16(b, at.author)
	return sha256.Sum256(append(b, h[:]...))
}

// echoDigest is what an echoer signs.
func (s *session) echoDigest(at slot, h hash, author sig) hash {
	b := append([]byte("tssbackup/tss/echo/v1"), s.id[:]...)
	b = append(b, at.instance, at.step)
	b = binary.BigEndian.AppendUint16(b, at.author)
	b = append(b, h[:]...)
	return sha256.Sum256(append(b, author[:]...))
}

func (s *session) sign(digest hash) (out sig) {
	signature := ecdsa.Sign(s.key, digest[:])
	r, v := signature.R(), signature.S()
	r.PutBytesUnchecked(out[:32])
	v.PutBytesUnchecked(out[32:])
	return out
}

func (s *session) signed(
	m int,
	digest hash,
	sg sig,
) bool {
	return verify(s.pubs[m], digest[:], sg[:])
}

// verify checks 64 bytes of R and S.
func verify(pub *secp256k1.PublicKey, digest, rs []byte) bool {
	var r, v secp256k1.ModNScalar
	if r.SetByteSlice(rs[:32]) || v.SetByteSlice(rs[32:]) || r.IsZero() || v.IsZero() {
		return false
	}
	return ecdsa.NewSignature(&r, &v).Verify(digest, pub)
}
