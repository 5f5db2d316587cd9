package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/network"
)

// TestARealNetwork watches validators through a churn: the keygen opens, its members publish and
// prove, and the vault is recoverable, by proofs that are checked again here. Then the chain stops.
func TestARealNetwork(t *testing.T) {
	n := network.New(t, network.Config{})
	n.RegisterSigners()
	s := newScene(t, 0)
	f := s.follower(n.Validators[0].RPC(), n.Validators[1].RPC())
	f.looker.repeat, f.now = f.looker.auditOf, time.Now
	churn := n.StartChurn()
	n.WaitBlocks(2)
	require.NoError(t, f.once(t.Context()), s.log)
	r := f.latest()
	require.Equal(t, levelNone, r.Verdict.Level)
	require.Len(t, r.Churns, 1)
	require.Equal(t, "open", r.Churns[0].Status)
	require.Len(t, r.Churns[0].Keygens[0].Members, 4)

	n.Publish(churn)
	n.WaitBlocks(2)
	require.NoError(t, f.once(t.Context()), s.log)
	r = f.latest()
	require.Equal(t, levelRecoverable, r.Verdict.Level, r.Verdict.Reasons)
	require.Equal(t, "complete", r.Churns[0].Status)
	require.Len(t, r.Vaults[0].Members, 4)
	names := map[string]bool{}
	for _, m := range r.Vaults[0].Members {
		require.Equal(t, "repeated", m.Proof.Result, m.Proof.Text)
		require.NotEmpty(t, m.Operator)
		require.Len(t, m.Backups, 1)
		names[m.Moniker] = true
	}
	for _, v := range n.Validators {
		require.True(t, names[v.Moniker], "%s is among %v: %s", v.Moniker, names, s.log)
	}

	n.Stop(2)
	n.Stop(3)
	f.now = func() time.Time { return time.Now().Add(5 * time.Minute) }
	require.NoError(t, f.once(t.Context()), s.log)
	require.Equal(t, stateStill, f.latest().State)
	require.Equal(t, levelRecoverable, f.latest().Verdict.Level)
}
