package keeper_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestTheHonestNeverPay has as many members as a vault bears do anything that is accepted: vote for
// the result, blame anyone, or be silent. The honest ones all vote for the result that all have, or,
// when there is none in time, all blame the same malicious members, or name nobody.
func TestTheHonestNeverPay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(3, 12).Draw(rt, "members")
		c, _ := startChain(t, testParams(), n)
		keygen := c.keygen(c.startChurn()[0])
		bears := n - threshold(n)
		malicious, honest := keygen.Members[:bears], keygen.Members[bears:]
		made := rapid.Bool().Draw(rt, "made")
		guilty := rapid.SliceOfNDistinct(rapid.SampledFrom(malicious), 0, bears, nameOf).Draw(rt, "guilty")
		if made {
			guilty = nil
		} else {
			c.untilBlame(keygen)
		}
		for _, m := range honest {
			if made {
				c.mustRun(newVault("v").vote(keygen, m))
			} else {
				c.mustRun(blame(keygen.Id, bech(m.Address()), addresses(guilty)...))
			}
		}
		c.untilBlame(keygen)
		silent := 0
		for _, m := range malicious {
			switch rapid.IntRange(0, 2).Draw(rt, "does") {
			case 0:
				silent++
			case 1:
				if made {
					c.mustRun(newVault("v").vote(keygen, m))
					continue
				}
				c.mustRun(blame(keygen.Id, bech(m.Address())))
			case 2:
				others := slices.DeleteFunc(slices.Clone(keygen.Members), func(o types.Member) bool {
					return o.Address().Equals(m.Address())
				})
				err := c.run(blame(keygen.Id, bech(m.Address()), addresses(others)...))
				if made {
					require.ErrorIs(rt, err, types.ErrCertified)
					silent++
					continue
				}
				require.NoError(rt, err)
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
		if !made {
			require.Equal(rt, failed, got.Status)
		}
		for _, m := range guilty {
			require.True(rt, got.AtFault(m.Address()), "and whom the honest named does")
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
		c.untilBlame(keygen)
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
