package publish

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// manyKeys stand for the keys of n members.
func manyKeys(n int) (keys [][]byte) {
	for i := range n {
		sum := sha256.Sum256(binary.BigEndian.AppendUint32(nil, uint32(i)))
		keys = append(keys, append([]byte{2}, sum[:]...))
	}
	return keys
}

func TestEachMemberHasARankOfItsOwn(t *testing.T) {
	keys := manyKeys(20)
	first := map[int]bool{}
	for epoch := range uint64(40) {
		hash := sha256.Sum256([]byte{byte(epoch)})
		seen := map[int]bool{}
		for i, k := range keys {
			rank := carrierRank(epoch, hash[:], keys, k)
			seen[rank] = true
			if rank == 0 {
				first[i] = true
			}
			shuffled := slices.Clone(keys)
			slices.Reverse(shuffled)
			require.Equal(t, rank, carrierRank(epoch, hash[:], shuffled, k), "in any order")
		}
		require.Len(t, seen, len(keys))
	}
	require.Greater(t, len(first), 10, "the members take turns")

	// By hand: SHA-256 over the epoch, the hash and the key.
	turn := sha256.Sum256(slices.Concat([]byte{0, 0, 0, 0, 0, 0, 0, 7}, make([]byte, 32), keys[3]))
	before := 0
	for _, k := range keys {
		other := sha256.Sum256(slices.Concat([]byte{0, 0, 0, 0, 0, 0, 0, 7}, make([]byte, 32), k))
		if slices.Compare(other[:], turn[:]) < 0 {
			before++
		}
	}
	require.Equal(t, before, carrierRank(7, make([]byte, 32), keys, keys[3]))
}

func TestWhoCarriesTheGroupPart(t *testing.T) {
	for _, row := range []struct {
		name         string
		rank         int
		waited, left int64
		want         bool
	}{
		{"the first at once", 0, 0, 500, true},
		{"the second not at once", 1, 0, 500, false},
		{"the second not after a block", 1, 1, 500, false},
		{"the second after two", 1, 2, 500, true},
		{"the last not before its turn", 19, 37, 500, false},
		{"the last in its turn", 19, 38, 500, true},
		{"two for each member are left, and one more", 2, 0, 41, false},
		{"two for each member are left", 2, 0, 40, true},
		{"then not the fourth", 3, 0, 40, false},
		{"then the fourth in its turn", 3, 6, 40, true},
		{"eleven are left", 19, 0, 11, false},
		{"ten are left", 19, 0, 10, true},
		{"none is left", 19, 0, 0, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			require.Equal(t, row.want, carries(row.rank, 20, row.waited, row.left))
		})
	}
}

// However many of those before it are dead, a member carries in time: the deadline may be as near
// as it likes.
func TestTheGroupPartIsCarriedWhoeverIsDead(t *testing.T) {
	for _, n := range []int{3, 4, 20, 100} {
		for alive := range n {
			for _, blocks := range []int64{1, 10, 11, int64(n), 2 * int64(n), 720} {
				t.Run(fmt.Sprintf("%d of %d are dead, %d blocks", alive, n, blocks), func(t *testing.T) {
					for waited := range blocks {
						if carries(alive, n, waited, blocks-waited) {
							return
						}
					}
					t.Fatal("nobody carries it")
				})
			}
		}
	}
}
