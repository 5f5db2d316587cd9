package dealer

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer/shamir"
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

// Of a vault of any size, the group part is the same from all members' files, and with a member's
// secrets, which have gone through their file, it gives the files that tss-lib wrote, byte for byte.
func TestKeysharesOfEverySizeAreSplitAndJoined(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 100))
	var all [][]byte
	for n := 1; n <= 100; n++ {
		all = append(all, shamir.NewKeys(fmt.Sprint("splits/", n)).PubKey())
		if n < 3 {
			continue
		}
		prefix, epoch := []string{"cosmos", "thor", "a1"}[n%3], random.Uint64N(1<<(n%64))+1
		members := slices.Clone(all)
		random.Shuffle(n, func(i, j int) { members[i], members[j] = members[j], members[i] })
		v, filesOf := newVault(fmt.Sprint("splits/", n), prefix, members)
		whose := []int{random.IntN(n)}
		if n%8 == 3 {
			whose = append(whose, random.IntN(n))
		}
		var of []byte
		for _, i := range whose {
			pair := filesOf(i)
			files := [2][]byte{pair[0].Data, pair[1].Data}
			secrets, group, err := keyshare.Split(files, epoch)
			require.NoError(t, err)
			require.Len(t, group, n*sanity.GroupMemberBytes)
			if of == nil {
				of = group
			}
			require.True(t, bytes.Equal(of, group), "the group part is the same for all of %d members", n)

			file, err := secrets.Encode()
			require.NoError(t, err)
			read, err := sanity.ParseSecrets(file)
			require.NoError(t, err)
			require.Equal(t, members[i], read.Member)
			require.Equal(t, v.Keys.Secp256k1, read.PubKey)
			require.Equal(t, epoch, read.Epoch)
			sorted := slices.SortedFunc(slices.Values(members), bytes.Compare)
			joined, err := keyshare.Join(read, sorted, group)
			require.NoError(t, err)
			require.True(t, bytes.Equal(files[0], joined[0]), "%d members", n)
			require.True(t, bytes.Equal(files[1], joined[1]), "%d members", n)
		}
	}
}
