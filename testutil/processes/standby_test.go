//go:build processes

package processes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/testutil/processes"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestASecondHostStandsBy has a second host follow the backups of a signer, in a required sink, and
// act for it twice. First the two are parted in the middle of a keygen: the first instance is
// alive, and the node that it asks is stopped. Then the first host is lost as soon as its member
// has signed for a keygen's result. Both keygens end with the vaults of all four, and nobody is at
// fault or silent. The signers find each other by what they claim on chain.
func TestASecondHostStandsBy(t *testing.T) {
	sinks := t.TempDir()
	sinkOf := func(m *processes.Member) string { return fmt.Sprintf("file://%s/%d", sinks, m.Index) }
	for i := range 4 {
		require.NoError(t, os.Mkdir(filepath.Join(sinks, fmt.Sprint(i)), 0o700))
	}
	n := newNetwork(t, processes.Config{
		PreParams: 3, Claims: true,
		Params: map[string]any{"keygen_deadline": "480", "retry_interval": "0"},
		Tables: func(m *processes.Member) string {
			return fmt.Sprintf("\n[[sink]]\nname = \"other\"\nurl = %q\nrequired = true\n", sinkOf(m))
		},
	})
	m := n.Members[1]
	termOf := func(dir string) term.State {
		st, err := n.Status(n.ctx, dir)
		require.NoError(t, err)
		return st.Term.State
	}
	requireAll := func(k types.KeygenInfo) {
		t.Helper()
		require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_READY, k.Status)
		require.Len(t, k.Members, len(n.Members))
		require.Empty(t, k.Blamed)
		require.Empty(t, k.Silent)
		n.requireVault(k)
	}

	second, err := n.SecondHost(n.ctx, m)
	require.NoError(t, err)
	require.NoError(t, n.GivePreParams(second, 2))
	require.NoError(t, n.StartStandby(second, sinkOf(m)))
	require.NoError(t, n.WaitStandby(n.ctx, second))

	k := n.churn()
	n.await("an attempt at the keygen", func(context.Context) (bool, error) {
		k = n.latest()
		return k.Session != nil, nil
	})
	require.NoError(t, n.Signal(m.ValidatorName(), syscall.SIGSTOP))
	require.NoError(t, n.PromoteSigner(n.ctx, second))
	require.NotEqual(t, term.Fenced, termOf(m.SignerHome), "it cannot know")
	first := m.SignerHome
	m.SignerHome = second.SignerHome
	k = n.closed(k.Id)
	require.NoError(t, n.Signal(m.ValidatorName(), syscall.SIGCONT))
	requireAll(k)
	n.await("the first to be fenced", func(context.Context) (bool, error) {
		return termOf(first) == term.Fenced, nil
	})

	// The way back: the first one stands by, and follows what the second one backs up.
	n.Kill(m.SignerName())
	m.SignerHome = first
	require.NoError(t, n.StartStandby(m, sinkOf(m)))
	require.NoError(t, n.WaitStandby(n.ctx, m))
	k = n.churn()
	n.await("the member's signature", func(context.Context) (bool, error) {
		data, err := os.ReadFile(filepath.Join(home.OutboxDir(second.SignerHome), fmt.Sprintf("keygen-%d.json", k.Id)))
		var r struct{ Step string }
		return err == nil && json.Unmarshal(data, &r) == nil && r.Step != "" && r.Step != "result", nil
	})
	n.Kill(second.SignerName())
	require.NoError(t, os.RemoveAll(second.SignerHome))
	require.NoError(t, n.PromoteSigner(n.ctx, m))
	k = n.closed(k.Id)
	requireAll(k)
	n.sign(k.Vault)
	for _, name := range []string{second.SignerName(), m.SignerName()} {
		log, err := os.ReadFile(n.Log(name))
		require.NoError(t, err)
		require.NotContains(t, string(log), "ANOTHER PROCESS VOTES")
	}
}
