package service

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestMessageDigest(t *testing.T) {
	want := sha256.Sum256([]byte("tssbackup/message/v1\x00\x00\x00\x05hello"))
	require.Equal(t, want[:], MessageDigest("hello"))
}

func TestChooseSigners(t *testing.T) {
	vault := types.VaultInfo{Threshold: 3, Members: []types.MemberInfo{{Address: "d"}, {Address: "c"}, {Address: "b"}, {Address: "a"}}}
	for _, row := range []struct {
		name      string
		addresses []string
		want      string
		err       string
	}{
		{"all members when none is named", nil, "abcd", ""},
		{"those that are named", []string{"d", "a", "b"}, "abd", ""},
		{"fewer than the threshold", []string{"a", "b"}, "", "needs 3"},
		{"a stranger", []string{"a", "b", "x", "c"}, "", "not all of the signers"},
		{"one named twice", []string{"a", "b", "b"}, "", "named twice"},
		{"without this one", []string{"b", "c", "d"}, "", "not among the signers"},
	} {
		t.Run(row.name, func(t *testing.T) {
			signers, err := chooseSigners(vault, "a", row.addresses)
			if row.err != "" {
				require.ErrorContains(t, err, row.err)
				return
			}
			require.NoError(t, err)
			got := ""
			for _, s := range signers {
				got += s.Address
			}
			require.Equal(t, row.want, got)
		})
	}
}

// TestProve is of real shares and the real scheme: what the service proves, everyone
// verifies and the mnemonic opens.
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

	proof, err := prove(w.Mnemonic)(st, 2, shares)
	require.NoError(t, err)
	stored, err := verenc.Verify(st, proof)
	require.NoError(t, err)
	opened, err := stored.Open(key, st.Shares)
	require.NoError(t, err)
	require.Equal(t, shares[0].Bytes(), opened[0].Bytes())
	require.Equal(t, shares[1].Bytes(), opened[1].Bytes())

	_, err = prove(w.Mnemonic)(st, 3, shares)
	require.ErrorIs(t, err, publish.ErrRecipient)
	_, err = prove(fakemember.Mnemonic(t, 1))(st, 2, shares)
	require.ErrorIs(t, err, publish.ErrRecipient)
	shares[0], shares[1] = shares[1], shares[0]
	_, err = prove(w.Mnemonic)(st, 2, shares)
	require.Error(t, err)
}
