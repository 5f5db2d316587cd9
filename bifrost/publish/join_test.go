package publish

import (
	"fmt"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Who is named for its absence, by the first of seven members, of whom two may be malicious. The
// keygen opened at 100 and took joins until 180; those up to 160 count as early.
func TestAbsent(t *testing.T) {
	var members []types.Member
	for i := range 7 {
		key := secp256k1.GenPrivKeyFromSecret(fmt.Append(nil, "member ", i))
		members = append(members, types.Member{PubKey: key.PubKey().Bytes()})
	}
	p := &Publisher{address: members[0].Address()}
	for _, c := range []struct {
		name    string
		attempt bool          // one has begun
		joins   map[int]int64 // heights, of those who wait for the next
		want    []int
	}{
		{"nobody has joined but this one", false, map[int]int64{0: 101}, []int{1, 2, 3, 4, 5, 6}},
		{"one has not joined", false, map[int]int64{0: 101, 1: 102, 2: 103, 3: 104, 4: 105, 6: 179}, []int{5}},
		{"this member has not joined itself", false, map[int]int64{1: 101, 2: 101, 3: 101}, nil},
		{"an attempt runs", true, nil, nil},
		{"this member is in it, and others wait", true, map[int]int64{1: 101, 2: 101, 3: 101, 4: 101}, nil},
		{"only as many came again as may be malicious", true, map[int]int64{0: 150, 1: 150}, nil},
		{"more came again in time, and one did not", true, map[int]int64{0: 150, 1: 150, 2: 160, 3: 170, 4: 150, 5: 150}, []int{6}},
		{"they came again too late for that", true, map[int]int64{0: 150, 1: 150, 2: 161, 3: 170, 4: 170, 5: 170}, nil},
		{"this member came again too late", true, map[int]int64{0: 161, 1: 150, 2: 150, 3: 150, 4: 150, 5: 150}, nil},
		{"all came again", true, map[int]int64{0: 150, 1: 150, 2: 150, 3: 150, 4: 150, 5: 150, 6: 150}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := vault.Keygen{
				Keygen:       types.Keygen{Members: members, Threshold: 5},
				OpenedHeight: 100, JoinDeadline: 180, Deadline: 260,
			}
			if c.attempt {
				k.Session = &vault.Session{Attempt: 1}
			}
			for i, m := range members {
				if height, ok := c.joins[i]; ok {
					k.Joins = append(k.Joins, vault.Join{Member: m.Address(), Height: height})
				}
			}
			blame := p.absent(k)
			if c.want == nil {
				require.Nil(t, blame)
				return
			}
			var want [][]byte
			for _, i := range c.want {
				want = append(want, members[i].Address())
			}
			require.Equal(t, want, blame.members)
		})
	}
}
