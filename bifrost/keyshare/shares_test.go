package keyshare

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/verenc"
)

func TestSharesOfRealKeygens(t *testing.T) {
	for _, size := range fixture.Sizes {
		for curve, group := range map[int]verenc.Group{0: verenc.Secp256k1, 1: verenc.Ed25519} {
			var first []PublicShare
			for member := range fixture.Members(t, size) {
				k, err := Parse(fixture.Keyshares(t, size, member)[curve].Data)
				require.NoError(t, err)
				require.Equal(t, group, k.Group())
				public, err := k.PublicShares(1)
				require.NoError(t, err)
				require.Len(t, public, size)
				if first == nil {
					first = public
				}
				require.Equal(t, first, public, "all members hold the same list")

				list := verenc.List{Group: group, Vault: k.VaultKey()}
				for _, s := range public {
					list.Entries = append(list.Entries, verenc.Entry{ID: s.ID, Point: s.Point})
				}
				require.NoError(t, list.Check())

				share, err := k.Share()
				require.NoError(t, err)
				own := slices.IndexFunc(public, func(s PublicShare) bool { return bytes.Equal(s.Member, k.LocalParty()) })
				require.Equal(t, public[own].Point, share.Public().Point)
				share.Wipe()
				again, err := k.Share()
				require.NoError(t, err)
				require.Equal(t, public[own].Point, again.Public().Point, "a wiped share leaves the keyshare as it is")
			}
		}
	}
}
