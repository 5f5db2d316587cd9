package tss

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// What members sign is a hash that begins with what it is for. No transaction, and no handshake,
// has bytes that begin like these.

// messageDigest is what the author of a message signs: for this slot, and no other. A done is a
// signature that others verify too, over what this member's Keep returned.
func (s *session) messageDigest(at slot, h hash) hash {
	if s.isDone(at) {
		return *s.certificate.digest
	}
	b := append([]byte("tssbackup/tss/message/v2"), s.id[:]...)
	return sha256.Sum256(append(appendSlot(b, at), h[:]...))
}

// echoDigest is what an echoer signs.
func (s *session) echoDigest(at slot, h hash, held bool) hash {
	b := append([]byte("tssbackup/tss/echo/v2"), s.id[:]...)
	return sha256.Sum256(append(appendBool(appendSlot(b, at), held), h[:]...))
}

// leftDigest is what a member signs who says that another one left this attempt.
func (s *session) leftDigest(x int) hash {
	b := append([]byte("tssbackup/tss/left/v1"), s.id[:]...)
	return sha256.Sum256(append(b, s.members[x]...))
}

// possessionDigest is what a session key signs, so that nobody comes with another's.
func (h *hello) possessionDigest(member []byte) hash {
	b := append([]byte("tssbackup/tss/session-key/v1"), h.digest[:]...)
	return sha256.Sum256(append(append(b, h.nonce[:]...), member...))
}

// helloDigest is what a member signs when it joins.
func (h *hello) helloDigest() hash {
	b := binary.BigEndian.AppendUint64([]byte("tssbackup/tss/hello/v3"), h.term)
	b = append(b, h.digest[:]...)
	b = append(append(b, h.nonce[:]...), h.key[:]...)
	return sha256.Sum256(append(b, h.possession[:]...))
}

func sign(key *secp256k1.PrivateKey, digest hash) (out sig) {
	signature := ecdsa.Sign(key, digest[:])
	r, v := signature.R(), signature.S()
	r.PutBytesUnchecked(out[:32])
	v.PutBytesUnchecked(out[32:])
	return out
}

func (s *session) sign(digest hash) sig { return sign(s.key, digest) }

// signed reports whether a member signed a digest. Where a frame has the signatures of many,
// nothing is looked at after one that is wrong: an honest member passes on what it has verified,
// and a frame of another one must not cost as many verifications as it has room for. So many of
// those would hold up the frames of the others for more than a phase.
func (s *session) signed(m int, digest hash, sg sig) bool {
	return verify(s.pubs[m], digest[:], sg[:])
}

// verify checks 64 bytes of R and S, the lower of the two possible.
func verify(pub *secp256k1.PublicKey, digest, rs []byte) bool {
	var r, v secp256k1.ModNScalar
	if r.SetByteSlice(rs[:32]) || v.SetByteSlice(rs[32:]) || r.IsZero() || v.IsZero() ||
		v.IsOverHalfOrder() {
		return false
	}
	return ecdsa.NewSignature(&r, &v).Verify(digest, pub)
}
