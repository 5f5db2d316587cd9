package publish

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

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
		attempt uint64        // the last that has begun, none if 0
		joins   map[int]int64 // heights, of those who wait for the next
		want    []int
	}{
		{"nobody has joined but this one", 0, map[int]int64{0: 101}, []int{1, 2, 3, 4, 5, 6}},
		{"one has not joined", 0, map[int]int64{0: 101, 1: 102, 2: 103, 3: 104, 4: 105, 6: 179}, []int{5}},
		{"this member has not joined itself", 0, map[int]int64{1: 101, 2: 101, 3: 101}, nil},
		{"an attempt runs", 1, nil, nil},
		{"this member is in it, and others wait", 1, map[int]int64{1: 101, 2: 101, 3: 101, 4: 101}, nil},
		{"only as many came again as may be malicious", 1, map[int]int64{0: 150, 1: 150}, nil},
		{"more came again in time, and one did not", 1, map[int]int64{0: 150, 1: 150, 2: 160, 3: 170, 4: 150, 5: 150}, []int{6}},
		{"they had to come again so often that one may have no free join left", 64, map[int]int64{0: 150, 1: 150, 2: 160, 3: 160, 4: 150, 5: 150}, nil},
		{"they came again too late for that", 1, map[int]int64{0: 150, 1: 150, 2: 161, 3: 170, 4: 170, 5: 170}, nil},
		{"this member came again too late", 1, map[int]int64{0: 161, 1: 150, 2: 150, 3: 150, 4: 150, 5: 150}, nil},
		{"all came again", 1, map[int]int64{0: 150, 1: 150, 2: 150, 3: 150, 4: 150, 5: 150, 6: 150}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := vault.Keygen{
				Keygen:       types.Keygen{Members: members, Threshold: 5},
				OpenedHeight: 100, JoinDeadline: 180, Deadline: 260,
			}
			if c.attempt > 0 {
				k.Session = &vault.Session{Attempt: c.attempt}
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

// Of those who may deal in a reshare nobody is named while as many have come as must deal. Members 0
// to 3 are those of the next epoch; 1 to 6 were the present one's, of whom 4 must deal and 6 may not.
func TestAbsentFromAReshare(t *testing.T) {
	var members []types.Member
	for i := range 7 {
		key := secp256k1.GenPrivKeyFromSecret(fmt.Append(nil, "member ", i))
		members = append(members, types.Member{PubKey: key.PubKey().Bytes()})
	}
	p := &Publisher{address: members[0].Address()}
	for _, c := range []struct {
		name    string
		attempt uint64
		joins   map[int]int64
		want    []int
	}{
		{"all members came, and enough who deal", 0, map[int]int64{0: 101, 1: 101, 2: 101, 3: 101, 4: 101}, nil},
		{"all members came, and too few who deal", 0, map[int]int64{0: 101, 1: 101, 2: 101, 3: 101}, []int{4, 5}},
		{"a member did not come, and enough who deal", 0, map[int]int64{0: 101, 1: 101, 2: 101, 4: 101, 5: 101}, []int{3}},
		{"a member did not come, and so too few who deal", 0, map[int]int64{0: 101, 1: 101, 2: 101, 4: 101}, []int{3, 5}},
		{"only who deals waits for another attempt", 1, map[int]int64{0: 150, 4: 102, 5: 102}, nil},
		{"members came again in time, and one who deals did not", 1, map[int]int64{0: 150, 1: 150, 2: 150, 3: 150}, []int{4, 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := vault.Keygen{
				Keygen:       types.Keygen{Members: members[:4], Threshold: 3, Reshare: &types.Reshare{}},
				OpenedHeight: 100, JoinDeadline: 180, Deadline: 260, Deal: 4,
			}
			for _, m := range members[1:6] {
				k.Able = append(k.Able, m.Address())
			}
			if c.attempt > 0 {
				k.Session = &vault.Session{Attempt: c.attempt}
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

// joinsChain is a chain with one keygen.
type joinsChain struct {
	Chain
	mu sync.Mutex
	k  vault.Keygen
}

func (c *joinsChain) Keygen(context.Context, uint64) (vault.Keygen, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.k, nil
}

func (c *joinsChain) set(attempt uint64, waiting ...types.Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.k.Session, c.k.Joins = &vault.Session{Attempt: attempt}, nil
	for _, m := range waiting {
		c.k.Joins = append(c.k.Joins, vault.Join{Member: m.Address()})
	}
}

// attemptOf is an attempt with these members.
func attemptOf(attempt uint64, members []types.Member) *vault.Session {
	s := &vault.Session{Attempt: attempt}
	for _, m := range members {
		s.Members = append(s.Members, vault.Join{Member: m.Address()})
	}
	return s
}

// While an attempt runs its ceremony hears once of each member that waits for the next one.
func TestWhoJoinsAnewIsTold(t *testing.T) {
	var members []types.Member
	for i := range 4 {
		key := secp256k1.GenPrivKeyFromSecret(fmt.Append(nil, "member ", i))
		members = append(members, types.Member{PubKey: key.PubKey().Bytes()})
	}
	chain := &joinsChain{k: vault.Keygen{Keygen: types.Keygen{Id: 7, Members: members}}}
	chain.set(3)
	p := &Publisher{chain: chain, cfg: Config{Poll: time.Millisecond}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	left := p.watchJoins(ctx, 7, members, attemptOf(3, members))
	chain.set(3, members[2])
	require.Equal(t, members[2].PubKey, <-left)
	chain.set(3, members[1], members[2])
	require.Equal(t, members[1].PubKey, <-left)
	chain.set(4, members[0]) // of an attempt after the next
	chain.set(3, members[3], members[2])
	require.Equal(t, members[3].PubKey, <-left)
	require.Empty(t, left)
}
