//go:build processes

package processes_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/processes"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestOneMaliciousMemberOverFiveChurns has one of four signers run bifrost with a tampered node,
// which attacks each churn in another way. It wins nothing: every churn ends with a vault, or with
// the attacker named and sitting out, and no honest member is ever named or sits out. In the end
// the others make their vault without it.
func TestOneMaliciousMemberOverFiveChurns(t *testing.T) {
	attacks := []string{ // of package tss
		"withholds its messages from one",
		"spoils the last part of a signature",
		"sends two versions of its first message",
		"sends a modulus of many factors",
		"sends one a wrong share",
	}
	n := newNetwork(t, processes.Config{
		PreParams: len(attacks) + 1,
		Params: map[string]any{
			"keygen_deadline": "75",
			// Churns are opened by governance, as soon as the attacker is back.
			"retry_interval": "0",
			"penalty_blocks": "8",
		},
	})
	bad := n.Members[1]
	requireHonest := func(k types.KeygenInfo) {
		t.Helper()
		for _, named := range append(k.Blamed, k.Silent...) {
			require.Equal(t, bad.Address, named, "an honest member is named")
		}
		for _, m := range n.Members {
			require.False(t, m != bad && n.sitsOut(m), "%s sits out", m.SignerName())
		}
	}
	for _, attack := range attacks {
		begin := time.Now()
		n.Stop(bad.SignerName())
		require.NoError(t, n.StartSignerAs(bad, n.Path("adversary"), "ATTACK="+attack))
		require.NoError(t, n.WaitSigner(n.ctx, bad))
		n.await("the attacker to be back", func(context.Context) (bool, error) {
			return !n.sitsOut(bad), nil
		})
		open := n.churn()
		require.Len(t, open.Members, 4, "the attacker is a member")
		k := n.closed(open.Id)
		t.Logf("%s: %s, blamed %v, silent %v, in %s", attack, k.Status, k.Blamed, k.Silent,
			time.Since(begin).Round(time.Second))
		requireHonest(k)
		if k.Status == types.KeygenStatus_KEYGEN_STATUS_READY {
			n.requireVault(k)
		} else {
			require.NotEmpty(t, append(k.Blamed, k.Silent...), "the churn was stopped for nothing")
		}
	}

	require.True(t, n.sitsOut(bad))
	k := n.churn()
	for _, m := range k.Members {
		require.NotEqual(t, bad.Address, m.Address)
	}
	k = n.closed(k.Id)
	requireHonest(k)
	require.Len(t, k.Members, 3)
	n.requireVault(k)
}
