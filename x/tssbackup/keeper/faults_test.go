package keeper_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestTheHonestNeverPay has as many members as a vault bears do anything: vote for any result,
// blame anyone, or be silent. The honest ones all vote for one result, or all blame the same
// malicious members.
func TestTheHonestNeverPay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(3, 12).Draw(rt, "members")
		c, _ := startChain(t, testParams(), n)
		keygen := c.keygen(c.startChurn()[0])
		bears := n - threshold(n)
		malicious, honest := keygen.Members[:bears], keygen.Members[bears:]
		guilty := rapid.SliceOfNDistinct(rapid.SampledFrom(malicious), 0, bears, nameOf).Draw(rt, "guilty")
		for _, m := range honest {
			if len(guilty) == 0 {
				c.mustRun(newVault("v").vote(keygen, m))
			} else {
				c.mustRun(blame(keygen.Id, bech(m.Address()), addresses(guilty)...))
			}
		}
		silent := 0
		for _, m := range malicious {
			switch rapid.IntRange(0, 3).Draw(rt, "does") {
			case 0:
				silent++
			case 1:
				c.mustRun(newVault("v").vote(keygen, m))
			case 2:
				c.mustRun(newVault("other").vote(keygen, m))
			case 3:
				others := slices.DeleteFunc(slices.Clone(keygen.Members), func(o types.Member) bool {
					return o.Address().Equals(m.Address())
				})
				c.mustRun(blame(keygen.Id, bech(m.Address()), addresses(others)...))
			}
		}
		for c.isOpen() {
			c.endBlock()
		}
		got := c.keygen(keygen.Id)
		for _, m := range honest {
			require.False(rt, got.AtFault(m.Address()))
		}
		require.Len(rt, got.Silent, silent)
		if len(guilty) > 0 {
			require.Equal(rt, failed, got.Status)
			for _, m := range guilty {
				require.True(rt, got.AtFault(m.Address()), "and whom the honest named does")
			}
		}
	})
}

// TestBlameNeverCostsMoreThanAVaultBears has members blame each other and be silent in any way, the
// honest ones misled by the others.
func TestBlameNeverCostsMoreThanAVaultBears(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(3, 9).Draw(rt, "members")
		c, _ := startChain(t, testParams(), n)
		keygen := c.keygen(c.startChurn()[0])
		victims := rapid.SliceOfNDistinct(rapid.SampledFrom(keygen.Members), 1, n, nameOf).Draw(rt, "victims")
		voters := map[string]bool{}
		for _, m := range keygen.Members {
			others := slices.DeleteFunc(slices.Clone(victims), func(o types.Member) bool {
				return o.Address().Equals(m.Address())
			})
			if len(others) == 0 || rapid.IntRange(0, 4).Draw(rt, "silent") == 0 {
				continue
			}
			voters[string(m.Address())] = true
			c.mustRun(blame(keygen.Id, bech(m.Address()), addresses(others)...))
		}
		for c.isOpen() {
			c.endBlock()
		}
		got := c.keygen(keygen.Id)
		out := 0
		for _, addr := range got.Blamed {
			if voters[string(addr)] {
				out++
			}
		}
		bears := n - threshold(n)
		require.LessOrEqual(rt, out, bears)
		if len(voters) <= bears {
			require.Empty(rt, got.Blamed)
			require.Empty(rt, got.Silent)
		}
	})
}

func addresses(members []types.Member) []string {
	list := make([]string, len(members))
	for i, m := range members {
		list[i] = bech(m.Address())
	}
	return list
}

func nameOf(m types.Member) string { return string(m.PubKey) }
