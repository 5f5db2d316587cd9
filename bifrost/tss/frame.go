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
	frameHello     frameKind = iota + 1 // first of every stream: which ceremony, in which life
	frameStart                          // everybody said hello; this is the session that follows
	frameBroadcast                      // a protocol message to all, signed by its author
	frameDirect                         // a protocol message to one
	frameEcho                           // "this is the hash of what I got from that author", with the author's signature and the echoer's
	frameWaiting                        // "these are the messages that I wait for"
	frameRelay                          // somebody else's broadcast, for one who waits for it
	frameAbort                          // the sender gives up, with proof or an accusation
	frameDone                           // the sender has its result
)

const (
	// maxFrame bounds a frame. The largest legitimate one, the first message of an ECDSA keygen,
	// has 133 kB.
	maxFrame = 1 << 20
	// maxHello bounds the first frame, which is read from a peer before its ceremony is known.
	maxHello = 512

	maxID      = 128
	maxReason  = 256
	protoV1    = 1
	hashSize   = 32
	sigSize    = 64
	nonceSize  = 16
	maxMembers = 1000
)

type (
	hash  [hashSize]byte
	sig   [sigSize]byte
	nonce [nonceSize]byte
)

// slot names one message of a ceremony: a step of the protocol of one of its instances, by one
// author.
type slot struct {
	instance uint8
	step     uint8
	author   uint16
}

type frame struct {
	kind frameKind

	// hello
	id     string
	digest hash // of the ceremony's description
	nonce  nonce

	session hash // start

	// broadcast, direct, echo, relay; of direct messages the author is the sender
	slot    slot
	hash    hash
	sig     sig // of the author
	echoSig sig // of the echoer
	payload []byte

	waiting []slot
	abort   abort
}

// abort tells why a member gave up. With proof it convinces anybody; without, it is the word of its
// sender.
type abort struct {
	proof   proofKind
	members []uint16 // accused without proof
	reason  string

	// the proof
	slot         slot
	echoer       uint16
	hash1, hash2 hash
	sig1, sig2   sig
	echoerSig    sig
}

type proofKind uint8

const (
	proofNone         proofKind = iota
	proofEquivocation           // the author of slot signed hash1 and hash2
	proofFalseEcho              // the echoer signed an echo of hash1 without the author's signature
)

func (f *frame) encode() []byte {
	b := []byte{byte(f.kind)}
	switch f.kind {
	case frameHello:
		b = append(b, protoV1, byte(len(f.id)))
		b = append(b, f.id...)
		b = append(b, f.digest[:]...)
		b = append(b, f.nonce[:]...)
	case frameStart:
		b = append(b, f.session[:]...)
	case frameBroadcast, frameRelay:
		b = appendSlot(b, f.slot)
		b = append(b, f.sig[:]...)
		b = append(b, f.payload...)
	case frameDirect:
		b = appendSlot(b, f.slot)
		b = append(b, f.payload...)
	case frameEcho:
		b = appendSlot(b, f.slot)
		b = append(b, f.hash[:]...)
		b = append(b, f.sig[:]...)
		b = append(b, f.echoSig[:]...)
	case frameWaiting:
		for _, s := range f.waiting {
			b = appendSlot(b, s)
		}
	case frameAbort:
		b = f.abort.append(b)
	case frameDone:
	}
	return b
}

func appendSlot(b []byte, s slot) []byte {
	b = append(b, s.instance, s.step)
	return binary.BigEndian.AppendUint16(b, s.author)
}

func (a *abort) append(b []byte) []byte {
	b = append(b, byte(a.proof))
	switch a.proof {
	case proofNone:
		b = binary.BigEndian.AppendUint16(b, uint16(len(a.members)))
		for _, m := range a.members {
			b = binary.BigEndian.AppendUint16(b, m)
		}
		b = append(b, a.reason...)
	case proofEquivocation:
		b = appendSlot(b, a.slot)
		b = append(b, a.hash1[:]...)
		b = append(b, a.sig1[:]...)
		b = append(b, a.hash2[:]...)
		b = append(b, a.sig2[:]...)
	case proofFalseEcho:
		b = appendSlot(b, a.slot)
		b = binary.BigEndian.AppendUint16(b, a.echoer)
		b = append(b, a.hash1[:]...)
		b = append(b, a.sig1[:]...)
		b = append(b, a.echoerSig[:]...)
	}
	return b
}

var errFrame = errors.New("malformed frame")

// decodeFrame accepts exactly what encode gives.
func decodeFrame(b []byte) (*frame, error) {
	r := &reader{rest: b}
	f := &frame{kind: frameKind(r.byte())}
	switch f.kind {
	case frameHello:
		if r.byte() != protoV1 {
			return nil, errFrame
		}
		f.id = string(r.take(int(r.byte())))
		r.copy(f.digest[:])
		r.copy(f.nonce[:])
		if f.id == "" || len(f.id) > maxID {
			return nil, errFrame
		}
	case frameStart:
		r.copy(f.session[:])
	case frameBroadcast, frameRelay:
		f.slot = r.slot()
		r.copy(f.sig[:])
		f.payload = r.take(len(r.rest))
	case frameDirect:
		f.slot = r.slot()
		f.payload = r.take(len(r.rest))
	case frameEcho:
		f.slot = r.slot()
		r.copy(f.hash[:])
		r.copy(f.sig[:])
		r.copy(f.echoSig[:])
	case frameWaiting:
		for len(r.rest) > 0 && !r.bad {
			f.waiting = append(f.waiting, r.slot())
		}
	case frameAbort:
		f.abort = r.abort()
	case frameDone:
	default:
		return nil, errFrame
	}
	if r.bad || len(r.rest) > 0 {
		return nil, errFrame
	}
	return f, nil
}

// reader takes a frame apart; once it runs short it is bad and gives zeros.
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

func (r *reader) uint16() uint16 {
	var b [2]byte
	r.copy(b[:])
	return binary.BigEndian.Uint16(b[:])
}

func (r *reader) slot() slot {
	return slot{instance: r.byte(), step: r.byte(), author: r.uint16()}
}

func (r *reader) abort() (a abort) {
	a.proof = proofKind(r.byte())
	switch a.proof {
	case proofNone:
		n := int(r.uint16())
		for range min(n, maxMembers) {
			a.members = append(a.members, r.uint16())
		}
		a.reason = string(r.take(len(r.rest)))
		r.bad = r.bad || n > maxMembers || len(a.reason) > maxReason
	case proofEquivocation:
		a.slot = r.slot()
		r.copy(a.hash1[:])
		r.copy(a.sig1[:])
		r.copy(a.hash2[:])
		r.copy(a.sig2[:])
	case proofFalseEcho:
		a.slot = r.slot()
		a.echoer = r.uint16()
		r.copy(a.hash1[:])
		r.copy(a.sig1[:])
		r.copy(a.echoerSig[:])
	default:
		r.bad = true
	}
	return a
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
