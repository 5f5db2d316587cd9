package verenc

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"
	"testing"

	"filippo.io/edwards25519"
	"github.com/stretchr/testify/require"
)

func TestRecipientKeysDifferByIndexAndSeed(t *testing.T) {
	one, two := sha512.Sum512([]byte("one")), sha512.Sum512([]byte("two"))
	seen := map[string]bool{}
	for _, s := range [][64]byte{one, two} {
		for index := range uint32(5) {
			k, err := NewRecipientKey(s[:], index)
			require.NoError(t, err)
			require.NoError(t, CheckRecipient(k.Public()))
			require.False(t, seen[string(k.Public())])
			seen[string(k.Public())] = true
		}
	}
	for _, n := range []int{0, 16, 32, 63, 65} {
		_, err := NewRecipientKey(make([]byte, n), 0)
		require.Error(t, err, "a seed of %d bytes", n)
	}
}

func TestPossession(t *testing.T) {
	key, _, _ := toyCase(t, "possession")
	other, _, _ := toyCase(t, "another")
	address := []byte("an address of a signer")
	sig, err := key.Possess("chain-1", address)
	require.NoError(t, err)
	require.NoError(t, VerifyPossession(key.Public(), "chain-1", address, sig))
	require.True(t, ed25519.Verify(key.Public(), possession("chain-1", address), sig), "it is an Ed25519 signature")

	again, err := key.Possess("chain-1", address)
	require.NoError(t, err)
	require.NotEqual(t, sig, again, "the nonce is fresh")

	require.Error(t, VerifyPossession(other.Public(), "chain-1", address, sig), "another key")
	require.Error(t, VerifyPossession(key.Public(), "chain-2", address, sig), "another chain")
	require.Error(t, VerifyPossession(key.Public(), "chain-1", address[1:], sig), "another signer")
	require.Error(t, VerifyPossession(key.Public(), "chain-1a", address[1:], sig), "a byte moved from the address to the chain")
	for n := range 130 {
		if n != 64 {
			require.Error(t, VerifyPossession(key.Public(), "chain-1", address, append(bytes.Clone(sig), sig...)[:min(n, 128)]))
		}
		if n != 32 {
			require.Error(t, VerifyPossession(make([]byte, n), "chain-1", address, sig), "a key of %d bytes", n)
		}
	}
	for bit := range 8 * 64 {
		changed := bytes.Clone(sig)
		changed[bit/8] ^= 1 << (bit % 8)
		require.Error(t, VerifyPossession(key.Public(), "chain-1", address, changed))
	}
	for why, s := range outOfRange(edwards{}) {
		require.ErrorIs(t, VerifyPossession(key.Public(), "chain-1", address, append(bytes.Clone(sig[:32]), s[:]...)), errScalar, why)
	}
}

// TestPossessionUnderKeysWithTorsion makes signatures that the standard library accepts under keys
// that are not of prime order, which anyone can do, some without knowing a secret.
func TestPossessionUnderKeysWithTorsion(t *testing.T) {
	key, _, _ := toyCase(t, "possession")
	keys := append(withTorsion(t, key.Public()), odd25519(t)...)
	accepted := 0
	for i, pk := range keys {
		secret := *key.sk.scalar()
		if i >= 7 { // of small order: the secret is zero
			secret = scalar{}
		}
		for attempt := range 100 {
			chainID := fmt.Sprint("chain-", attempt)
			nonce := madeUpScalar(t, Ed25519, fmt.Sprint(attempt))
			r := secretMult(edwards{}, &nonce)
			c := signatureChallenge(r, pk, possession(chainID, nil))
			s := edwards{}.mulAdd(&c, &secret, &nonce)
			sig := append(bytes.Clone(r), s[:]...)
			if ed25519.Verify(pk, possession(chainID, nil), sig) {
				accepted++
			}
			require.Error(t, VerifyPossession(pk, chainID, nil, sig))
		}
	}
	require.NotZero(t, accepted, "the standard library accepts some of them")
}

// TestPossessionIsCofactorless signs with a nonce point off the subgroup, which a verifier with a
// cofactor would accept.
func TestPossessionIsCofactorless(t *testing.T) {
	key, _, _ := toyCase(t, "possession")
	msg := possession("chain-1", nil)
	nonce := madeUpScalar(t, Ed25519, "nonce")
	for _, off := range torsion(t) {
		p, err := new(edwards25519.Point).SetBytes(secretMult(edwards{}, &nonce))
		require.NoError(t, err)
		r := p.Add(p, off).Bytes()
		c := signatureChallenge(r, key.Public(), msg)
		s := edwards{}.mulAdd(&c, key.sk.scalar(), &nonce)
		sig := append(r, s[:]...)
		require.False(t, ed25519.Verify(key.Public(), msg, sig))
		require.Error(t, VerifyPossession(key.Public(), "chain-1", nil, sig))
	}
}
