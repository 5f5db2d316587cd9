package keeper_test

import (
	"fmt"
	"slices"
	"testing"

	"cosmossdk.io/collections"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestTheHonestNeverPay plays churns block by block, of vaults with as many malicious members as they
// bear. What a ceremony gives is the adversary's choice among what the agreement of its members
// leaves: a certificate for all, or blame of malicious members by all honest ones, of which the
// adversary may hold the certificate all the same. It shows that when it likes, if ever; its members
// vote for anything at any time, or not at all; they spoil the vault's signatures, which takes at
// least three of them. The honest do as bifrost does. Whatever happens, no honest member pays, and a
// keygen that fails costs a malicious one.
func TestTheHonestNeverPay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.SampledFrom([]int{3, 4, 4, 5, 6, 7, 7, 10, 12, 40}).Draw(rt, "members")
		c, vals := startChain(t, testParams(), n)
		c.unchecked = true
		malicious := map[string]bool{}
		for _, v := range vals[:n-threshold(n)] {
			malicious[string(v.addr())] = true
		}
		for churn := range rapid.IntRange(1, 3).Draw(rt, "churns") {
			if churn > 0 {
				for later := rapid.IntRange(1, 60).Draw(rt, "later"); later > 0 && !c.isOpen(); later-- {
					c.endBlock()
				}
			}
			if !c.isOpen() {
				if _, err := c.msg.StartChurn(c.ctx, &types.MsgStartChurn{Authority: authority}); err != nil || !c.isOpen() {
					require.NoError(rt, err)
					continue // too few are left
				}
			}
			open, err := c.k.OpenChurn.Get(c.ctx)
			require.NoError(rt, err)
			record, err := c.k.Churns.Get(c.ctx, open)
			require.NoError(rt, err)
			playKeygen(rt, c, c.keygen(record.KeygenIds[0]), malicious)
		}
	})
}

// playKeygen plays one keygen, which is alone in its churn, to its end.
func playKeygen(rt *rapid.T, c *chain, keygen types.Keygen, malicious map[string]bool) {
	var bad, honest []types.Member
	for _, m := range keygen.Members {
		if malicious[string(m.Address())] {
			bad = append(bad, m)
		} else {
			honest = append(honest, m)
		}
	}
	height := func(label string, from, to int64) int64 { return rapid.Int64Range(from, to).Draw(rt, label) }
	vault := newVault(fmt.Sprint("vault ", keygen.Id))
	// guilty are those whom the honest name: at least one, unless the ceremony gave a certificate.
	made := len(bad) == 0 || rapid.Bool().Draw(rt, "made")
	shown := height("a certificate is sent", keygen.OpenedHeight, keygen.AttemptDeadline())
	var guilty []types.Member
	if !made {
		guilty = rapid.SliceOfNDistinct(rapid.SampledFrom(bad), 1, len(bad), nameOf).Draw(rt, "guilty")
		shown = height("the adversary shows its certificate, or not", keygen.OpenedHeight, keygen.Deadline+20)
	}
	spoilt := len(bad) >= 3 && rapid.Bool().Draw(rt, "signatures are spoilt")
	signed := height("the vault signs", keygen.OpenedHeight, keygen.Deadline)

	voted := map[string]bool{}
	vote := func(m types.Member, msg *types.MsgTssPool) error {
		err := c.run(msg)
		voted[string(m.Address())] = voted[string(m.Address())] || err == nil
		return err
	}
	for c.keygen(keygen.Id).Status == open {
		now := c.ctx.BlockHeight()
		if now == shown && !made && len(bad) > 0 && !voted[string(bad[0].Address())] {
			err := vote(bad[0], vault.vote(keygen, bad[0]))
			if now <= keygen.JoinDeadline() {
				require.NoError(rt, err)
			}
		}
		for _, m := range bad {
			if voted[string(m.Address())] {
				continue
			}
			switch rapid.IntRange(0, 30).Draw(rt, "does") {
			case 0:
				others := rapid.SliceOfNDistinct(rapid.SampledFrom(keygen.Members), 0, len(keygen.Members)-1, nameOf).Draw(rt, "blames")
				others = slices.DeleteFunc(others, func(o types.Member) bool { return o.Address().Equals(m.Address()) })
				_ = vote(m, blame(keygen.Id, bech(m.Address()), addresses(others)...))
			case 1: // with a certificate that the honest did not sign for
				msg := newVault("another").vote(keygen, m)
				msg.Certificate = make([]byte, types.SignatureSize*len(keygen.Members))
				require.Error(rt, vote(m, msg))
			case 2:
				if has, err := c.k.Certificates.Has(c.ctx, keygen.Id); has && err == nil {
					require.NoError(rt, vote(m, vault.vote(keygen, m)))
				}
			}
		}
		for _, m := range honest {
			stands, err := c.k.Certificates.Has(c.ctx, keygen.Id)
			require.NoError(rt, err)
			switch {
			case voted[string(m.Address())]:
			case stands, made && now >= shown && now <= keygen.JoinDeadline():
				require.NoError(rt, vote(m, vault.vote(keygen, m)))
			case now > keygen.CertificateDeadline():
				require.NoError(rt, vote(m, blame(keygen.Id, bech(m.Address()), addresses(guilty)...)))
			}
		}
		if stands, err := c.k.Certificates.Get(c.ctx, keygen.Id); err == nil && !spoilt && now >= signed && !stands.IsChecked() {
			require.NoError(rt, c.run(vault.signed(keygen.Id, bech(honest[0].Address()))))
		}
		c.endBlock()
	}
	got := c.keygen(keygen.Id)
	for _, m := range honest {
		require.False(rt, got.AtFault(m.Address()), "an honest member pays")
	}
	late := made && shown > keygen.JoinDeadline()
	if got.Status == failed && !spoilt && len(bad) > 0 && !late {
		require.NotEmpty(rt, slices.Concat(got.Blamed, got.Silent), "a keygen failed for nothing")
	}
	if got.Status == failed {
		for _, m := range guilty {
			if stood := slices.ContainsFunc(honest, func(h types.Member) bool { return c.votedFor(got.Id, h) }); !stood {
				require.True(rt, got.AtFault(m.Address()), "and whom the honest name does")
			}
		}
	}
}

// votedFor reports whether a member's vote on a keygen that is closed is for a result.
func (c *chain) votedFor(keygen uint64, m types.Member) bool {
	vote, err := c.k.Votes.Get(c.ctx, collections.Join(keygen, []byte(m.Address())))
	return err == nil && vote.Result != nil
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
