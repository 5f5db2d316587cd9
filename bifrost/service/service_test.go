package service

import (
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/adapt"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestMessageDigest(t *testing.T) {
	want := sha256.Sum256([]byte("tssbackup/message/v1\x00\x00\x00\x05hello"))
	require.Equal(t, want[:], MessageDigest("hello"))
}

func TestChooseSigners(t *testing.T) {
	v := vault.Vault{Vault: types.Vault{Threshold: 3}}
	address := map[string]string{"x": "cosmos1x"} // by name; x is a stranger
	var ordered []string
	for i := range 4 {
		key := secp256k1.GenPrivKeyFromSecret([]byte{byte(i)}).PubKey()
		v.Members = append(v.Members, types.Member{PubKey: key.Bytes()})
		bech, err := bech32.ConvertAndEncode("cosmos", key.Address())
		require.NoError(t, err)
		ordered = append(ordered, bech)
	}
	slices.Sort(ordered)
	for i, name := range []string{"a", "b", "c", "d"} {
		address[name] = ordered[i]
	}
	for _, row := range []struct {
		name  string
		named []string
		want  []string
		err   string
	}{
		{"all members when none is named", nil, []string{"a", "b", "c", "d"}, ""},
		{"those that are named", []string{"d", "a", "b"}, []string{"a", "b", "d"}, ""},
		{"fewer than the threshold", []string{"a", "b"}, nil, "needs 3"},
		{"a stranger", []string{"a", "b", "x", "c"}, nil, "not all of the signers"},
		{"one named twice", []string{"a", "b", "b"}, nil, "named twice"},
		{"without this one", []string{"b", "c", "d"}, nil, "not among the signers"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var addresses []string
			for _, name := range row.named {
				addresses = append(addresses, address[name])
			}
			signers, err := chooseSigners(v, "cosmos", address["a"], addresses)
			if row.err != "" {
				require.ErrorContains(t, err, row.err)
				return
			}
			require.NoError(t, err)
			require.Len(t, signers, len(row.want))
			for i, s := range signers {
				require.Equal(t, address[row.want[i]], s.address)
			}
		})
	}
}

// TestProve is of real shares and the real scheme: what the service proves, everyone verifies and
// the mnemonic opens.
func TestProve(t *testing.T) {
	w := fakemember.New(t)
	var shares []verenc.Share
	public := types.PublicShares{}
	for i, f := range w.Vaults[0].Files[0] {
		k, err := keyshare.Parse(f.Data)
		require.NoError(t, err)
		share, err := k.Share()
		require.NoError(t, err)
		shares = append(shares, share)
		of, err := k.PublicShares(w.Own.Vaults[0].Epoch)
		require.NoError(t, err)
		for _, s := range of {
			entry := types.PublicShare{Member: types.SignerAddress(s.Member), Id: s.ID, Point: s.Point}
			if i == 0 {
				public.Secp256k1 = append(public.Secp256k1, entry)
			} else {
				public.Ed25519 = append(public.Ed25519, entry)
			}
		}
	}
	keys := w.Vaults[0].Keys
	require.NoError(t, public.Check(keys.Secp256k1, keys.Ed25519))
	key, err := signer.DeriveRecipient(w.Mnemonic, 2)
	require.NoError(t, err)
	st, ok := public.Statement("fake-1", 5, keys.Secp256k1, keys.Ed25519, types.SignerAddress(w.PubKey), key.Public())
	require.True(t, ok)

	proof, err := adapt.Prove(w.Mnemonic)(st, 2, shares)
	require.NoError(t, err)
	stored, err := verenc.Verify(st, proof)
	require.NoError(t, err)
	opened, err := stored.Open(key, st.Shares)
	require.NoError(t, err)
	require.Equal(t, shares[0].Bytes(), opened[0].Bytes())
	require.Equal(t, shares[1].Bytes(), opened[1].Bytes())

	_, err = adapt.Prove(w.Mnemonic)(st, 3, shares)
	require.ErrorIs(t, err, publish.ErrRecipient)
	_, err = adapt.Prove(fakemember.Mnemonic(t, 1))(st, 2, shares)
	require.ErrorIs(t, err, publish.ErrRecipient)
	shares[0], shares[1] = shares[1], shares[0]
	_, err = adapt.Prove(w.Mnemonic)(st, 2, shares)
	require.Error(t, err)
}
