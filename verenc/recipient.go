package verenc

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"filippo.io/edwards25519"
)

// RecipientKey is the secret key that opens a member's stored proofs. It redacts itself; wipe it
// after use.
type RecipientKey struct {
	redacted
	sk     secret
	public [32]byte
}

// NewRecipientKey derives a recipient key from the 64-byte BIP39 seed (empty passphrase) of the
// mnemonic in its normal form. The first key has index 0, each replacement one more. The seed stays
// the caller's, to be wiped.
func NewRecipientKey(seed []byte, index uint32) (*RecipientKey, error) {
	if len(seed) != 64 {
		return nil, fmt.Errorf("verenc: a BIP39 seed has 64 bytes, not %d", len(seed))
	}
	info := string(binary.BigEndian.AppendUint32(nil, index))
	okm, err := hkdf.Key(sha512.New, seed, []byte(domain+"recipient"), info, 64)
	if err != nil {
		return nil, fmt.Errorf("verenc: %w", err)
	}
	defer clear(okm)
	k := &RecipientKey{sk: newSecret()}
	*k.sk.scalar() = edwards{}.wide((*[64]byte)(okm))
	if *k.sk.scalar() == (scalar{}) {
		return nil, errors.New("verenc: the seed gives no recipient key at this index")
	}
	k.public = [32]byte(secretMult(edwards{}, k.sk.scalar()))
	return k, nil
}

// Public is the recipient key that everyone may know.
func (k *RecipientKey) Public() []byte { return bytes.Clone(k.public[:]) }

// Wipe overwrites the secret. The key opens nothing afterwards.
func (k *RecipientKey) Wipe() { k.sk.wipe() }

// CheckRecipient decodes a recipient key strictly: 32 bytes, the encoding of a point of prime
// order.
func CheckRecipient(public []byte) error {
	if _, err := edDecode(public); err != nil {
		return fmt.Errorf("recipient key: %w", err)
	}
	return nil
}

// Possess proves to a chain that the signer with this address, given as raw bytes, holds the key:
// an Ed25519 signature by the key's scalar, with a nonce hedged by fresh randomness.
func (k *RecipientKey) Possess(chainID string, address []byte) ([]byte, error) {
	return k.sign("possession", possession(chainID, address))
}

// VerifyPossession checks a proof of possession. It returns an error unless the public key decodes
// strictly, the signature has 64 bytes and a scalar below the order, and it verifies without a
// cofactor, as in Go's crypto/ed25519.
func VerifyPossession(public []byte, chainID string, address, sig []byte) error {
	return verifySignature("proof of possession", public, possession(chainID, address), sig)
}

// Beat is what a heartbeat says: that whoever holds the recipient key of a member has it in hand
// after a block.
type Beat struct {
	ChainID string
	Epoch   uint64
	// Member is the member's raw address.
	Member []byte
	// Height and AppHash are those of the block, in whose header the hash is.
	Height  int64
	AppHash []byte
	// Kind is the sender's word for where it was made.
	Kind uint32
}

// message is "tssbackup/verenc/v1/heartbeat" || lp(chain id) || u64(epoch) || lp(member) ||
// u64(height) || lp(app hash) || u32(kind), where lp(b) = u32 big-endian length || b.
func (b Beat) message() []byte {
	m := lp([]byte(domain+"heartbeat"), []byte(b.ChainID))
	m = lp(binary.BigEndian.AppendUint64(m, b.Epoch), b.Member)
	m = lp(binary.BigEndian.AppendUint64(m, uint64(b.Height)), b.AppHash)
	return binary.BigEndian.AppendUint32(m, b.Kind)
}

// SignBeat signs a heartbeat with the key, as Possess does.
func (k *RecipientKey) SignBeat(b Beat) ([]byte, error) {
	return k.sign("heartbeat", b.message())
}

// VerifyBeat checks the signature of a heartbeat, as strictly as VerifyPossession.
func VerifyBeat(public []byte, b Beat, sig []byte) error {
	return verifySignature("heartbeat", public, b.message(), sig)
}

// sign signs a message, whose tag is part of its nonce too.
func (k *RecipientKey) sign(tag string, msg []byte) ([]byte, error) {
	fresh := make([]byte, 32)
	if _, err := rand.Read(fresh); err != nil {
		return nil, fmt.Errorf("verenc: %w", err)
	}
	h := sum512(tag+" nonce", k.sk.scalar()[:], fresh, msg)
	nonce := edwards{}.wide(&h)
	defer clear(nonce[:])
	clear(h[:])
	r := secretMult(edwards{}, &nonce)
	c := signatureChallenge(r, k.public[:], msg)
	s := edwards{}.mulAdd(&c, k.sk.scalar(), &nonce)
	sig := append(bytes.Clone(r), s[:]...)
	if err := verifySignature("own "+tag, k.public[:], msg, sig); err != nil {
		return nil, err
	}
	return sig, nil
}

func verifySignature(what string, public, msg, sig []byte) error {
	if len(sig) != 64 {
		return fmt.Errorf("verenc: a %s has 64 bytes, not %d", what, len(sig))
	}
	s, err := new(edwards25519.Scalar).SetCanonicalBytes(sig[32:])
	if err != nil {
		return errScalar
	}
	pk, err := edDecode(public)
	if err != nil {
		return fmt.Errorf("recipient key: %w", err)
	}
	c := signatureChallenge(sig[:32], public, msg)
	r := pk.Negate(pk)
	r.VarTimeDoubleScalarBaseMult(edScalar(&c), r, s)
	if !bytes.Equal(r.Bytes(), sig[:32]) {
		return fmt.Errorf("verenc: the %s is not by this key for this signer", what)
	}
	return nil
}

func possession(chainID string, address []byte) []byte {
	return lp(lp([]byte(domain+"possession"), []byte(chainID)), address)
}

func signatureChallenge(r, public, msg []byte) scalar {
	h := sha512.New()
	h.Write(r)
	h.Write(public)
	h.Write(msg)
	return edwards{}.wide((*[64]byte)(h.Sum(nil)))
}
