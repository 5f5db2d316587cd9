package rebuild

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer/shamir"
	"github.com/tssbackup/tssbackup/verenc"
)

// dealSecrets gives the secrets of all members of a vault that follows from a name, and the vault's
// private keys in their groups' encoding. What no share needs is any.
func dealSecrets(t require.TestingT, name string, n int) (secrets []*sanity.Secrets, keys [2][]byte) {
	private := shamir.NewKeys("secrets/" + name)
	var members [][]byte
	for i := range n {
		members = append(members, shamir.NewKeys(fmt.Sprint("secrets/member ", i)).PubKey())
	}
	dealt := private.Deal(members)
	for g, secret := range []*big.Int{new(big.Int).SetBytes(private.Secp256k1.Serialize()), shamir.Scalar(private.Ed25519)} {
		key, err := verenc.ShareFromInt(groups[g], secret)
		require.NoError(t, err)
		keys[g] = key.Bytes()
	}
	for _, m := range members {
		of := dealt.Shares(m)
		ed := of[1].Bytes()
		slices.Reverse(ed)
		secrets = append(secrets, &sanity.Secrets{
			Prefix: "cosmos", PubKey: private.PubKey(), PubKeyEd25519: private.PubKeyEd25519(), Epoch: 7, Member: m,
			Secret: secretOf(t, of[0].Bytes(), ed),
		})
	}
	return secrets, keys
}

// secretOf is a secret part with these shares.
func secretOf(t require.TestingT, secp256k1, ed25519 []byte) sanity.Secret {
	secret, err := sanity.NewSecret(slices.Concat(secp256k1, ed25519, make([]byte, sanity.SecretBytes-64)))
	require.NoError(t, err)
	return secret
}

func TestTheKeysFromSecretsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 40).Draw(t, "members")
		secrets, want := dealSecrets(t, "any", n)
		secrets = rapid.Permutation(secrets).Draw(t, "order")
		given := rapid.IntRange(1, n).Draw(t, "given")
		keys, misfits, err := FromSecrets(secrets[:given])
		if given < verenc.Threshold(n) {
			require.ErrorIs(t, err, ErrTooFew)
			require.Nil(t, keys)
			return
		}
		require.NoError(t, err)
		require.Empty(t, misfits)
		require.Equal(t, want[0], keys.Secp256k1())
		require.Equal(t, want[1], keys.Ed25519())
		require.Contains(t, string(keys.Encode()), hex.EncodeToString(secrets[0].PubKey))
		require.Contains(t, string(keys.Encode()), hex.EncodeToString(secrets[0].PubKeyEd25519))
	})
}

func TestSecretsThatDoNotBelongTogether(t *testing.T) {
	other, _ := dealSecrets(t, "another", 4)
	for name, c := range map[string]struct {
		change func(s []*sanity.Secrets) []*sanity.Secrets
		says   []string
	}{
		"none":                   {func([]*sanity.Secrets) []*sanity.Secrets { return nil }, []string{"there are none"}},
		"of two vaults":          {func(s []*sanity.Secrets) []*sanity.Secrets { return append(s[:2], other[2]) }, []string{fmt.Sprintf("those of member %x are of vault %x", other[2].Member, other[2].PubKey)}},
		"of two ed25519 keys":    {func(s []*sanity.Secrets) []*sanity.Secrets { s[2].PubKeyEd25519 = other[0].PubKeyEd25519; return s }, []string{"two ed25519 keys"}},
		"of two epochs":          {func(s []*sanity.Secrets) []*sanity.Secrets { s[1].Epoch = 8; return s }, []string{"are of epoch 8", "of epoch 7"}},
		"two of the same person": {func(s []*sanity.Secrets) []*sanity.Secrets { return append(s, s[0]) }, []string{"there are two of member"}},
	} {
		t.Run(name, func(t *testing.T) {
			secrets, _ := dealSecrets(t, "one", 4)
			keys, _, err := FromSecrets(c.change(secrets))
			require.ErrorIs(t, err, ErrMixed)
			for _, says := range c.says {
				require.ErrorContains(t, err, says)
			}
			require.Nil(t, keys)
		})
	}
}

// One share that does not fit is named, and the others give the keys when they are enough.
func TestASecretThatDoesNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *sanity.Secrets)
	}{
		"another share of the secp256k1 key": {func(s *sanity.Secrets) {
			xi := bytes.Clone(s.Secret.XiSecp256k1())
			xi[31] ^= 1
			s.Secret = secretOf(t, xi, s.Secret.XiEd25519())
		}},
		"another share of the ed25519 key": {func(s *sanity.Secrets) {
			xi := bytes.Clone(s.Secret.XiEd25519())
			xi[31] ^= 1
			s.Secret = secretOf(t, s.Secret.XiSecp256k1(), xi)
		}},
		"the share of another epoch, under this one's number": {func(s *sanity.Secrets) {
			former, _ := dealSecrets(t, "one's former epoch", 6)
			s.Secret = former[2].Secret
		}},
		"another member's name": {func(s *sanity.Secrets) {
			s.Member = shamir.NewKeys("secrets/stranger").PubKey()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			secrets, want := dealSecrets(t, "one", 6)
			c.change(secrets[2])
			keys, misfits, err := FromSecrets(secrets[:5])
			require.NoError(t, err)
			require.Equal(t, []int{2}, misfits)
			require.Equal(t, want[0], keys.Secp256k1())
			require.Equal(t, want[1], keys.Ed25519())

			_, _, err = FromSecrets(secrets[:4])
			require.ErrorIs(t, err, ErrTooFew)
			require.ErrorContains(t, err, "or several of these are damaged")
			require.NotContains(t, err.Error(), hex.EncodeToString(secrets[0].Secret.XiSecp256k1()))
		})
	}
	secrets, _ := dealSecrets(t, "one", 4)
	secrets[1].Secret = secretOf(t, make([]byte, 32), secrets[1].Secret.XiEd25519())
	_, _, err := FromSecrets(secrets)
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, fmt.Sprintf("the secp256k1 share of member %x", secrets[1].Member))
}
