package tss

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What members of a ceremony tell each other, one frame each. A stream carries the frames of one
// member for one ceremony, in order, each behind its length in four bytes.
type frameKind uint8

const (
	frameHello    frameKind = iota + 1 // first of every stream: who comes to which ceremony
	frameStart                         // everybody said hello; this is the session that follows
	frameMessage                       // a protocol message, under its author's signature
	frameEcho                          // who has, or has seen, that version of a broadcast
	frameWant                          // "these I lack"
	frameGone                          // the sender gives up
	frameFinished                      // the sender has its result
	frameLeft                          // who says that a member left the attempt
)

const (
	// maxFrame bounds a frame. The largest legitimate one, the first message of an ECDSA keygen,
	// has 133 kB.
	maxFrame = 1 << 20
	// maxHello bounds the first frame, which is read from a peer before its ceremony is known.
	maxHello = 512

	maxID      = 128
	maxReason  = 256
	protoV3    = 3
	hashSize   = 32
	sigSize    = 64
	nonceSize  = 16
	pointSize  = 33
	maxMembers = 1000
)

type (
	hash  [hashSize]byte
	sig   [sigSize]byte
	nonce [nonceSize]byte
	point [pointSize]byte // compressed, of secp256k1
)

// slot names one message of a ceremony: a step of the protocol of one of its instances, by one
// author, to one member or all.
type slot struct {
	instance uint8
	step     uint8
	author   uint16
	to       uint16
}

// everybody is the receiver of a broadcast.
const everybody = 0xffff

type frame struct {
	kind frameKind

	hello hello

	session hash // start

	slot    slot // message, echo
	sig     sig  // of the author
	payload []byte
	hash    hash   // echo
	echoes  []echo // echo, left

	left uint16 // the member

	wants  []want
	reason string // gone
}

// A hello brings a member to a ceremony, with a key for this session alone.
type hello struct {
	id         string
	term       uint64 // of the member, in which this instance of it acts
	digest     hash   // of the ceremony's description
	nonce      nonce
	key        point // the session key
	possession sig   // by the session key
	sig        sig   // by the member
}

// An echo is a member's signature under one version of a broadcast.
type echo struct {
	member uint16
	held   bool // it has the content; otherwise it has seen the version beside another one
	sig    sig
}

// A want asks for a message, or for the echoes of one whose content is there.
type want struct {
	slot    slot
	content bool
}

func (f *frame) encode() []byte {
	b := []byte{byte(f.kind)}
	switch f.kind {
	case frameHello:
		h := &f.hello
		b = append(b, protoV3, byte(len(h.id)))
		b = append(b, h.id...)
		b = binary.BigEndian.AppendUint64(b, h.term)
		b = append(b, h.digest[:]...)
		b = append(b, h.nonce[:]...)
		b = append(b, h.key[:]...)
		b = append(b, h.possession[:]...)
		b = append(b, h.sig[:]...)
	case frameStart:
		b = append(b, f.session[:]...)
	case frameMessage:
		b = appendSlot(b, f.slot)
		b = append(b, f.sig[:]...)
		b = append(b, f.payload...)
	case frameEcho:
		b = appendSlot(b, f.slot)
		b = append(b, f.hash[:]...)
		b = append(b, f.sig[:]...)
		b = appendEchoes(b, f.echoes)
	case frameLeft:
		b = appendEchoes(binary.BigEndian.AppendUint16(b, f.left), f.echoes)
	case frameWant:
		for _, w := range f.wants {
			b = appendBool(appendSlot(b, w.slot), w.content)
		}
	case frameGone:
		b = append(b, f.reason...)
	case frameFinished:
	}
	return b
}

func appendEchoes(b []byte, echoes []echo) []byte {
	for _, e := range echoes {
		b = binary.BigEndian.AppendUint16(b, e.member)
		b = append(appendBool(b, e.held), e.sig[:]...)
	}
	return b
}

func appendSlot(b []byte, s slot) []byte {
	b = append(b, s.instance, s.step)
	b = binary.BigEndian.AppendUint16(b, s.author)
	return binary.BigEndian.AppendUint16(b, s.to)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

var errFrame = errors.New("malformed frame")

// decodeFrame accepts exactly what encode gives.
func decodeFrame(b []byte) (*frame, error) {
	r := &reader{rest: b}
	f := &frame{kind: frameKind(r.byte())}
	switch f.kind {
	case frameHello:
		if r.byte() != protoV3 {
			return nil, errFrame
		}
		h := &f.hello
		h.id = string(r.take(int(r.byte())))
		h.term = r.uint64()
		r.copy(h.digest[:])
		r.copy(h.nonce[:])
		r.copy(h.key[:])
		r.copy(h.possession[:])
		r.copy(h.sig[:])
		if h.id == "" || len(h.id) > maxID {
			return nil, errFrame
		}
	case frameStart:
		r.copy(f.session[:])
	case frameMessage:
		f.slot = r.slot()
		r.copy(f.sig[:])
		f.payload = r.take(len(r.rest))
	case frameEcho:
		f.slot = r.slot()
		r.copy(f.hash[:])
		r.copy(f.sig[:])
		f.echoes = r.echoes()
	case frameLeft:
		f.left = r.uint16()
		f.echoes = r.echoes()
	case frameWant:
		for len(r.rest) > 0 && !r.bad {
			f.wants = append(f.wants, want{slot: r.slot(), content: r.bool()})
		}
	case frameGone:
		f.reason = string(r.take(len(r.rest)))
		r.bad = r.bad || len(f.reason) > maxReason
	case frameFinished:
	default:
		return nil, errFrame
	}
	if r.bad || len(r.rest) > 0 {
		return nil, errFrame
	}
	return f, nil
}

// reader takes bytes apart; once it runs short it is bad and gives zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.bad, r.rest = true, nil
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) copy(to []byte) { copy(to, r.take(len(to))) }

func (r *reader) byte() byte {
	var b [1]byte
	r.copy(b[:])
	return b[0]
}

func (r *reader) bool() bool {
	b := r.byte()
	r.bad = r.bad || b > 1
	return b == 1
}

func (r *reader) uint16() uint16 {
	var b [2]byte
	r.copy(b[:])
	return binary.BigEndian.Uint16(b[:])
}

func (r *reader) uint64() uint64 {
	var b [8]byte
	r.copy(b[:])
	return binary.BigEndian.Uint64(b[:])
}

func (r *reader) echoes() (out []echo) {
	for len(r.rest) > 0 && !r.bad {
		e := echo{member: r.uint16(), held: r.bool()}
		r.copy(e.sig[:])
		out = append(out, e)
	}
	r.bad = r.bad || len(out) > maxMembers
	return out
}

func (r *reader) slot() slot {
	return slot{instance: r.byte(), step: r.byte(), author: r.uint16(), to: r.uint16()}
}

func writeFrame(w io.Writer, b []byte) error {
	if len(b) > maxFrame {
		return fmt.Errorf("a frame of %d bytes", len(b))
	}
	head := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b)))
	_, err := w.Write(append(head, b...))
	return err
}

func readFrame(r io.Reader, limit int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > uint32(limit) {
		return nil, fmt.Errorf("%w: %d bytes", errFrame, n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}
