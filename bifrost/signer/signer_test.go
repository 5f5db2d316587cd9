package signer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	dcrsecp "github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/stretchr/testify/require"
	"github.com/tyler-smith/go-bip39"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func mnemonic(t *testing.T, words string) *sanity.Mnemonic {
	t.Helper()
	m, err := sanity.ParseMnemonic([]byte(words))
	require.NoError(t, err)
	return m
}

var (
	abandon = strings.Repeat("abandon ", 11) + "about"
	junk    = strings.Repeat("test ", 11) + "junk"
)

func TestDerive(t *testing.T) {
	for _, c := range []struct {
		name, words, path, prefix, want string
	}{
		{"the first account of the Cosmos Hub", abandon, DefaultHDPath, "cosmos", "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4"},
		{"without the leading m", abandon, "44'/118'/0'/0/0", "cosmos", "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4"},
		{"another writing of the same words", "\n" + strings.ToUpper(abandon) + "\t\n", DefaultHDPath, "cosmos", "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4"},
		{"another prefix", abandon, DefaultHDPath, "osmo", "osmo19rl4cm2hmr8afy4kldpxz3fka4jguq0a5m7df8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, err := Derive(mnemonic(t, c.words), c.path)
			require.NoError(t, err)
			require.Equal(t, c.want, key.Bech32(c.prefix))
			require.Len(t, key.Address(), 20)
		})
	}
}

// The private keys that Ethereum's development tools print for their mnemonic, an independent
// implementation of the same derivation.
func TestDeriveKnownPrivateKeys(t *testing.T) {
	for path, want := range map[string]string{
		"m/44'/60'/0'/0/0": "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
		"m/44'/60'/0'/0/1": "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
	} {
		key, err := Derive(mnemonic(t, junk), path)
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(key.Private()))
	}
}

func TestDeriveRefuses(t *testing.T) {
	for _, path := range []string{"", "m", "m/", "44'", "m/44'/118'/0'/0", "m/44'/118'/0'/0/0/0", "m/45'/118'/0'/0/0", "m/44/118'/0'/0/0", "m/44'/118'/0'/0/x", "m/44'/2147483648'/0'/0/0"} {
		_, err := Derive(mnemonic(t, abandon), path)
		require.Error(t, err, path)
	}
	wiped := mnemonic(t, abandon)
	wiped.Wipe()
	_, err := Derive(wiped, DefaultHDPath)
	require.Error(t, err)
}

func TestSign(t *testing.T) {
	key, err := Derive(mnemonic(t, abandon), DefaultHDPath)
	require.NoError(t, err)
	pub, err := dcrsecp.ParsePubKey(key.PubKey())
	require.NoError(t, err)
	half := new(big.Int).Rsh(dcrsecp.Params().N, 1)
	for i := range 32 {
		msg := fmt.Appendf(nil, "message %d", i)
		sig, err := key.Sign(msg)
		require.NoError(t, err)
		require.Len(t, sig, 64)
		require.LessOrEqual(t, new(big.Int).SetBytes(sig[32:]).Cmp(half), 0)
		var r, s dcrsecp.ModNScalar
		r.SetByteSlice(sig[:32])
		s.SetByteSlice(sig[32:])
		digest := sha256.Sum256(msg)
		require.True(t, ecdsa.NewSignature(&r, &s).Verify(digest[:], pub))
	}
}

func TestSignDigest(t *testing.T) {
	key, err := Derive(mnemonic(t, abandon), DefaultHDPath)
	require.NoError(t, err)
	for i := range 32 {
		digest := sha256.Sum256([]byte{byte(i)})
		sig, err := key.SignDigest(digest[:])
		require.NoError(t, err)
		require.True(t, types.VerifySecp256k1(key.PubKey(), digest[:], sig), "what consensus accepts")
		// A transaction's signature is over the hash of what is signed.
		require.True(t, Verify(key.PubKey(), []byte{byte(i)}, sig))
	}
	key.Wipe()
	_, err = key.SignDigest(make([]byte, 32))
	require.Error(t, err)
}

func TestKeyShowsNothing(t *testing.T) {
	key, err := Derive(mnemonic(t, abandon), DefaultHDPath)
	require.NoError(t, err)
	private := key.Private()
	shown := ""
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		shown += fmt.Sprintf(verb, key) + fmt.Sprintf(verb, struct{ k *Key }{key}) + fmt.Sprintf(verb, struct{ K *Key }{key})
	}
	data, err := json.Marshal(map[string]any{"key": key})
	require.NoError(t, err)
	shown += string(data)
	for _, secret := range []string{hex.EncodeToString(private), strings.ToUpper(hex.EncodeToString(private)), string(private), fmt.Sprintf("%v", private[:8])} {
		require.NotContains(t, shown, strings.Trim(secret, "[]"))
	}

	key.Wipe()
	require.Nil(t, key.Private())
	_, err = key.Sign([]byte("x"))
	require.Error(t, err)
	require.Len(t, key.PubKey(), 33)
}

func TestRecipientKeys(t *testing.T) {
	const words = "december noodle battle screen artist miracle exercise amused jacket rhythm marble prepare despair pigeon resist caution twenty pumpkin inmate fragile genius digital panther adjust"
	m := mnemonic(t, words+"\n")
	seen := map[string]bool{}
	for index := range uint32(3) {
		key, err := DeriveRecipient(m, index)
		require.NoError(t, err)
		want, err := verenc.NewRecipientKey(bip39.NewSeed(words, ""), index)
		require.NoError(t, err)
		require.Equal(t, want.Public(), key.Public(), "it follows from the seed of the normal form")
		seen[string(key.Public())] = true
	}
	require.Len(t, seen, 3)
	m.Wipe()
	_, err := DeriveRecipient(m, 0)
	require.ErrorContains(t, err, "empty")
}
