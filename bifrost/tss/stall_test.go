package tss

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDecide(t *testing.T) {
	// Seven members, so three that point at one convict it. This member is 0.
	at := func(by, on, round int) claim { return claim{by: by, on: on, round: round} }
	for _, c := range []struct {
		name    string
		lacking []int
		claims  []claim
		want    []int
	}{
		{"one is silent", []int{1}, []claim{at(0, 1, 1), at(2, 1, 1), at(3, 1, 1)}, []int{1}},
		{"two are silent", []int{1, 2}, []claim{at(0, 1, 1), at(0, 2, 1)}, []int{1, 2}},
		{"one is stuck behind the silent one", []int{1, 2}, []claim{at(0, 1, 2), at(0, 2, 2), at(2, 1, 1)}, []int{1}},
		{"one word against another", []int{2}, []claim{at(0, 2, 3), at(2, 5, 2)}, []int{2, 5}},
		{"three words against one", []int{2, 3, 4}, []claim{at(2, 5, 2), at(3, 5, 2), at(4, 5, 2)}, []int{5}},
		{"waiting for one who is stuck convicts nobody", []int{2}, []claim{at(0, 2, 3), at(3, 2, 3), at(4, 2, 3), at(6, 2, 3), at(2, 5, 2)}, []int{2, 5}},
		{"it says that it waits for this member, which sent everything", []int{2}, []claim{at(2, 0, 2)}, []int{2}},
		{"two point at each other", []int{2, 5}, []claim{at(2, 5, 2), at(5, 2, 2)}, []int{2, 5}},
		{"one that gave up points at one that lacks nothing", []int{2}, []claim{{by: 2, on: 5}}, []int{2, 5}},
		{"one that gave up points at the silent one", []int{2, 5}, []claim{{by: 2, on: 5}}, []int{5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			lacking := map[int]bool{}
			for _, m := range c.lacking {
				lacking[m] = true
			}
			require.Equal(t, c.want, decide(7, 0, lacking, c.claims))
		})
	}
}

// Whatever is claimed, somebody is blamed, never this member, and never one who neither lacks nor
// is pointed at.
func TestDecideAlwaysBlamesSomebody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(3, 8).Draw(t, "members")
		member := rapid.IntRange(0, n-1)
		lacking, pointedAt := map[int]bool{}, map[int]bool{}
		for _, m := range rapid.SliceOfN(rapid.IntRange(1, n-1), 1, n).Draw(t, "lacking") {
			lacking[m] = true
		}
		var claims []claim
		for range rapid.IntRange(0, 12).Draw(t, "claims") {
			c := claim{by: member.Draw(t, "by"), on: member.Draw(t, "on"), round: rapid.IntRange(0, 3).Draw(t, "round")}
			if c.by == c.on || c.by == 0 && !lacking[c.on] { // this member waits for whoever lacks
				continue
			}
			claims = append(claims, c)
			pointedAt[c.on] = true
		}
		blamed := decide(n, 0, lacking, claims)
		require.NotEmpty(t, blamed)
		for _, m := range blamed {
			require.NotZero(t, m)
			require.True(t, lacking[m] || pointedAt[m])
		}
	})
}
