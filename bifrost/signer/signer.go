// Package signer derives and holds the hot key of a member: the secp256k1 key that signs its
// transactions, and that its peers know it by. It also derives the recipient keys to which the
// member's proofs are made.
//
// The key follows from the mnemonic alone, by BIP39 and BIP44, so an operator who has the 24 words
// has the account. It is derived from the BIP39 seed of the mnemonic's normal form; see package
// sanity.
package signer

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	dcrsecp256k1 "github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
)

// DefaultHDPath is the path of the first account of the Cosmos Hub. Chains with a coin type of
// their own have another.
const DefaultHDPath = "m/44'/118'/0'/0/0"

const redacted = "[redacted signer key]"

// A Key is a signer's private key. It prints as a fixed text in every format.
type Key struct {
	// Behind a pointer, so that printing a struct that keeps a Key in an unexported field shows an
	// address.
	private *secp256k1.PrivKey
	public  []byte
	address []byte
}

// Derive returns the key at a BIP44 path ("m/44'/118'/0'/0/0") of the mnemonic.
func Derive(m *sanity.Mnemonic, hdPath string) (*Key, error) {
	if m.Words() == 0 {
		return nil, errors.New("the mnemonic is empty")
	}
	if _, err := hd.NewParamsFromPath(strings.TrimPrefix(hdPath, "m/")); err != nil {
		return nil, fmt.Errorf("not a BIP44 path: %w", err)
	}
	seed := m.Seed()
	defer sanity.Wipe(seed)
	master, chainCode := hd.ComputeMastersFromSeed(seed)
	defer sanity.Wipe(master[:])
	defer sanity.Wipe(chainCode[:])
	raw, err := hd.DerivePrivateKeyForPath(master, chainCode, hdPath)
	if err != nil {
		return nil, err
	}
	private := &secp256k1.PrivKey{Key: raw}
	public := private.PubKey()
	return &Key{private: private, public: public.Bytes(), address: public.Address()}, nil
}

// DeriveRecipient returns the recipient key of the mnemonic at an index, to which the signer's
// proofs are made; see package verenc. The caller wipes it.
func DeriveRecipient(m *sanity.Mnemonic, index uint32) (*verenc.RecipientKey, error) {
	if m.Words() == 0 {
		return nil, errors.New("the mnemonic is empty")
	}
	seed := m.Seed()
	defer sanity.Wipe(seed)
	return verenc.NewRecipientKey(seed, index)
}

// PubKey returns the compressed public key, 33 bytes.
func (k *Key) PubKey() []byte { return append([]byte(nil), k.public...) }

// Address returns the account's address, 20 bytes.
func (k *Key) Address() []byte { return append([]byte(nil), k.address...) }

// Bech32 returns the account's address with this prefix ("cosmos").
func (k *Key) Bech32(prefix string) string {
	s, err := bech32.ConvertAndEncode(prefix, k.address)
	if err != nil {
		panic(err) // 20 bytes always convert
	}
	return s
}

// Sign returns the signature of a transaction's sign bytes: R and S, 32 bytes each, S the lower of
// the two possible, over the SHA-256 of the message.
func (k *Key) Sign(msg []byte) ([]byte, error) {
	if k.private == nil {
		return nil, errors.New("the signer key was wiped")
	}
	return k.private.Sign(msg)
}

// SignDigest returns the signature of a digest of 32 bytes, as it is and in the form of [Key.Sign].
// What it is the digest of has to begin with what it is for, as no sign bytes do.
func (k *Key) SignDigest(digest []byte) ([]byte, error) {
	if k.private == nil {
		return nil, errors.New("the signer key was wiped")
	}
	private := dcrsecp256k1.PrivKeyFromBytes(k.private.Key)
	defer private.Zero()
	signature := ecdsa.Sign(private, digest)
	out := make([]byte, 64)
	r, s := signature.R(), signature.S()
	r.PutBytesUnchecked(out[:32])
	s.PutBytesUnchecked(out[32:])
	return out, nil
}

// Private returns a copy of the 32 bytes of the private key, nil after Wipe. The caller wipes it.
func (k *Key) Private() []byte {
	if k.private == nil {
		return nil
	}
	return append([]byte(nil), k.private.Key...)
}

// Wipe overwrites the private key, which then signs nothing. The public key and the address remain.
func (k *Key) Wipe() {
	if k.private != nil {
		sanity.Wipe(k.private.Key)
		k.private = nil
	}
}

// String returns a constant.
func (*Key) String() string { return redacted }

// Format writes a constant, whatever the verb.
func (*Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns a constant; MarshalJSON follows it.
func (*Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// AddressOf returns the address, 20 bytes, of the account with this compressed public key. It is
// nil for what is no such key by its length.
func AddressOf(pubKey []byte) []byte {
	if len(pubKey) != secp256k1.PubKeySize {
		return nil
	}
	return (&secp256k1.PubKey{Key: pubKey}).Address()
}

// Verify reports whether a signature is one of [Key.Sign] for the message, by the key with this
// compressed public key.
func Verify(pubKey, msg, signature []byte) bool {
	return len(pubKey) == secp256k1.PubKeySize &&
		(&secp256k1.PubKey{Key: pubKey}).VerifySignature(msg, signature)
}
