package types

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// NonceSize is the length of a join's nonce in bytes.
const NonceSize = 16

const (
	joinDomain    = "tssbackup/join/v1"
	sessionDomain = "tssbackup/session/v1"
)

// JoinMessage is what the session key of a join signs, as a digest of 32 bytes: that it belongs to
// the member with this compressed key, who joins this keygen with this nonce.
func JoinMessage(chainID string, keygenID uint64, member, nonce []byte) []byte {
	b := appendLP([]byte(joinDomain), []byte(chainID))
	b = binary.BigEndian.AppendUint64(b, keygenID)
	b = appendLP(b, member)
	sum := sha256.Sum256(appendLP(b, nonce))
	return sum[:]
}

// SessionID names an attempt at a keygen, in 32 bytes: it is bound to the joins of all members, in
// the members' order.
func SessionID(
	chainID string, keygenID, attempt uint64, members []Member, joins []Join,
) []byte {
	b := appendLP([]byte(sessionDomain), []byte(chainID))
	b = binary.BigEndian.AppendUint64(b, keygenID)
	b = binary.BigEndian.AppendUint64(b, attempt)
	for i, m := range members {
		b = appendJoin(b, m.PubKey, joins[i])
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

func appendJoin(b, pubKey []byte, join Join) []byte {
	b = appendLP(b, pubKey)
	b = appendLP(b, join.Nonce)
	return appendLP(b, join.SessionKey)
}

// CheckJoin checks a join by the member with this compressed key: its sizes, and that its session
// key has signed for it. It wraps ErrInvalidJoin.
func (m *MsgTssJoin) CheckJoin(chainID string, member []byte) error {
	if len(m.Nonce) != NonceSize {
		return ErrInvalidJoin.Wrapf("the nonce does not have %d bytes", NonceSize)
	}
	if err := CheckPubKey(m.SessionKey); err != nil {
		return ErrInvalidJoin.Wrapf("session key: %s", err)
	}
	if bytes.Equal(m.SessionKey, member) {
		return ErrInvalidJoin.Wrap("the session key is the member's own key")
	}
	message := JoinMessage(chainID, m.KeygenId, member, m.Nonce)
	if !VerifySecp256k1(m.SessionKey, message, m.Possession) {
		return ErrInvalidJoin.Wrap("the session key has not signed for this join")
	}
	return nil
}
