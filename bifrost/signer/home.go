package signer

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
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
func HomeIdentity(m *sanity.Mnemonic) ([]byte, error) {
	if m.Words() == 0 {
		return nil, errors.New("the mnemonic is empty")
	}
	seed := m.Seed()
	defer sanity.Wipe(seed)
	var file bytes.Buffer
	for _, one := range []struct{ domain, hrp string }{
		{homeDomain, "age-secret-key-"}, {homeHybridDomain, "age-secret-key-pq-"},
	} {
		secret, err := hkdf.Key(sha256.New, seed, nil, one.domain, 32)
		if err != nil {
			return nil, err
		}
		text, err := bech32.ConvertAndEncode(one.hrp, secret)
		sanity.Wipe(secret)
		if err != nil {
			return nil, err
		}
		fmt.Fprintln(&file, strings.ToUpper(text))
	}
	return file.Bytes(), nil
}
