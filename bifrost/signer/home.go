package signer

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"

	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/sanity"
)

// What tells the home's identities from each other and from all else that follows from the seed.
const (
	homeDomain       = "tssbackup/home/v1"
	homeHybridDomain = "tssbackup/home/v1/hybrid"
)

// HomeIdentity returns the identities that open what lies sealed in the home of this mnemonic: an
// identity file of age with one of X25519 and one of the hybrid kind, each 32 bytes of HKDF-SHA256
// over the BIP39 seed, without a salt. Whoever has them has the keyshares. The caller wipes it.
//
// An age before 1.3 refuses a file with a line of the hybrid kind, whatever else is in it: what
// stock age is given is the file of one kind, as [HomeIdentityOf] returns it.
func HomeIdentity(m *sanity.Mnemonic) ([]byte, error) {
	x25519, err := HomeIdentityOf(m, false)
	if err != nil {
		return nil, err
	}
	defer sanity.Wipe(x25519)
	hybrid, err := HomeIdentityOf(m, true)
	if err != nil {
		return nil, err
	}
	defer sanity.Wipe(hybrid)
	return slices.Concat(x25519, hybrid), nil
}

// HomeIdentityOf returns the identity of one kind in a file of its own: that of the hybrid kind, or
// that of X25519. The caller wipes it.
func HomeIdentityOf(m *sanity.Mnemonic, hybrid bool) ([]byte, error) {
	if m.Words() == 0 {
		return nil, errors.New("the mnemonic is empty")
	}
	domain, hrp := homeDomain, "age-secret-key-"
	if hybrid {
		domain, hrp = homeHybridDomain, "age-secret-key-pq-"
	}
	seed := m.Seed()
	defer sanity.Wipe(seed)
	secret, err := hkdf.Key(sha256.New, seed, nil, domain, 32)
	if err != nil {
		return nil, err
	}
	defer sanity.Wipe(secret)
	text, err := bech32.ConvertAndEncode(hrp, secret)
	if err != nil {
		return nil, err
	}
	return []byte(strings.ToUpper(text) + "\n"), nil
}
