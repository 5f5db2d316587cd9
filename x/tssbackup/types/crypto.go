package types

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"filippo.io/edwards25519"
	sdksecp256k1 "github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

const (
	// PubKeySize is the length of a compressed secp256k1 key.
	PubKeySize = 33
	// PubKeyEd25519Size is the length of an ed25519 key.
	PubKeyEd25519Size = ed25519.PublicKeySize
	// SignatureSize is the length of a signature of either kind.
	SignatureSize = 64
	// HashSize is the length of a commitment's hash.
	HashSize = sha256.Size
)

const (
	checkDomain    = "tssbackup/check/v1"
	registerDomain = "tssbackup/register/v1"
)

// CheckMessage is what a new vault signs with both its keys, given raw, to show that it can sign.
// The secp256k1 signature is over these 32 bytes as the digest; the ed25519 signature is over them
// as the message.
func CheckMessage(chainID string, keygenID uint64, pubKey, pubKeyEd25519 []byte) []byte {
	b := []byte(checkDomain)
	b = appendLP(b, []byte(chainID))
	b = binary.BigEndian.AppendUint64(b, keygenID)
	b = append(b, pubKey...)
	b = append(b, pubKeyEd25519...)
	sum := sha256.Sum256(b)
	return sum[:]
}

// RegisterMessage is what a signer signs to be registered by an operator, given by its raw address,
// with its recipient key. The signature is over the SHA-256 of these bytes, which is what an SDK
// secp256k1 key makes when it is given them.
func RegisterMessage(chainID string, operator, pubKey []byte, recipient Recipient) []byte {
	b := []byte(registerDomain)
	b = appendLP(b, []byte(chainID))
	b = appendLP(b, operator)
	b = appendLP(b, pubKey)
	b = appendLP(b, recipient.Key)
	return binary.BigEndian.AppendUint32(b, recipient.Index)
}

// appendLP appends the length of p in 4 bytes, big-endian, and p.
func appendLP(b, p []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
	return append(b, p...)
}

// SignerAddress is the account address of a signer's compressed secp256k1 key.
func SignerAddress(pubKey []byte) sdk.AccAddress {
	key := sdksecp256k1.PubKey{Key: pubKey}
	return sdk.AccAddress(key.Address())
}

// CheckPubKey checks whether b is a point of secp256k1 in compressed form.
func CheckPubKey(b []byte) error {
	if len(b) != PubKeySize {
		return errors.New("secp256k1 key does not have 33 bytes")
	}
	if _, err := secp256k1.ParsePubKey(b); err != nil {
		return errors.New("secp256k1 key is not a compressed point of the curve")
	}
	return nil
}

// inverseOfCofactor is 1/8 modulo the order of ed25519's base point.
var inverseOfCofactor = func() *edwards25519.Scalar {
	var eight [32]byte
	eight[0] = 8
	s, err := edwards25519.NewScalar().SetCanonicalBytes(eight[:])
	if err != nil {
		panic(err)
	}
	return s.Invert(s)
}()

// CheckPubKeyEd25519 checks whether b is a point of edwards25519 in its one canonical form, in the
// subgroup of prime order, and not the identity.
func CheckPubKeyEd25519(b []byte) error {
	if len(b) != PubKeyEd25519Size {
		return errors.New("ed25519 key does not have 32 bytes")
	}
	p, err := new(edwards25519.Point).SetBytes(b)
	if err != nil {
		return errors.New("ed25519 key is not a point of the curve")
	}
	if [PubKeyEd25519Size]byte(p.Bytes()) != [PubKeyEd25519Size]byte(b) {
		return errors.New("ed25519 key is not in canonical form")
	}
	if p.Equal(edwards25519.NewIdentityPoint()) == 1 {
		return errors.New("ed25519 key is the identity")
	}
	// 8p has no part of small order; dividing by 8 again gives p only when p had none either.
	q := new(edwards25519.Point).MultByCofactor(p)
	q.VarTimeDoubleScalarBaseMult(inverseOfCofactor, q, edwards25519.NewScalar())
	if q.Equal(p) != 1 {
		return errors.New("ed25519 key is not in the subgroup of prime order")
	}
	return nil
}

// VerifySecp256k1 reports whether sig is the one valid encoding, 64 bytes R||S with low S, of a
// signature by pubKey over the digest.
func VerifySecp256k1(pubKey, digest, sig []byte) bool {
	if len(pubKey) != PubKeySize || len(sig) != SignatureSize {
		return false
	}
	key, err := secp256k1.ParsePubKey(pubKey)
	if err != nil {
		return false
	}
	var r, s secp256k1.ModNScalar
	if r.SetByteSlice(sig[:32]) || s.SetByteSlice(sig[32:]) {
		return false
	}
	if r.IsZero() || s.IsZero() || s.IsOverHalfOrder() {
		return false
	}
	return ecdsa.NewSignature(&r, &s).Verify(digest, key)
}

// VerifyEd25519 reports whether sig is a signature (RFC 8032) by pubKey, which CheckPubKeyEd25519
// has accepted, over the message.
func VerifyEd25519(pubKey, message, sig []byte) bool {
	if len(pubKey) != PubKeyEd25519Size || len(sig) != SignatureSize {
		return false
	}
	return ed25519.Verify(pubKey, message, sig)
}
