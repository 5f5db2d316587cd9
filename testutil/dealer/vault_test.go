package dealer

import (
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
)

func TestTheKeysharesAreThoseOfTheKeys(t *testing.T) {
	var members [][]byte
	for range 5 {
		key, err := secp256k1.GeneratePrivateKey()
		require.NoError(t, err)
		members = append(members, key.PubKey().SerializeCompressed())
	}
	v := NewVault("vault", "cosmos", members)
	require.Equal(t, v.PubKey(), v.Keys.Secp256k1)
	require.Equal(t, v.PubKeyEd25519(), v.Keys.Ed25519)
	for i, files := range v.Files {
		require.Len(t, files, 2)
		for _, f := range files {
			share, err := keyshare.Parse(f.Data)
			require.NoError(t, err)
			require.Equal(t, f.Name, share.FileName())
			require.NoError(t, share.Check(v.Keys, members[i], members))
			require.NoError(t, share.CheckSigners(members[:4]))
			require.Error(t, share.CheckSigners(members[:3]))
		}
	}
}
