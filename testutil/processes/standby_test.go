//go:build processes

package processes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/testutil/fixture"
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
	first := m.SignerHome
	status := func(dir string) (st service.Status) {
		out, _ := processes.Command(n.ctx, n.Path("bifrost"), "status", "--home", dir, "--output", "json")
		_ = json.Unmarshal(out, &st)
		return st
	}
	standsBy := func(dir string) (expect uint64) {
		n.await("a home that stands by and has the backups", func(context.Context) (bool, error) {
			st := status(dir)
			expect = st.Term.Term
			return st.State == service.StateStandby && expect > 0 && len(st.Problems) == 0 &&
				st.Standby != nil && st.Standby.Manifest != "", nil
		})
		return expect
	}
	promote := func(dir string) {
		_, err := processes.Command(n.ctx, n.Path("bifrost"), "promote", "--home", dir,
			"--expect", fmt.Sprint(standsBy(dir)))
		require.NoError(t, err)
	}
	requireAll := func(k types.KeygenInfo) {
		t.Helper()
		require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_READY, k.Status)
		require.Len(t, k.Members, len(n.Members))
		require.Empty(t, k.Blamed)
		require.Empty(t, k.Silent)
		n.requireVault(k)
	}

	second := n.secondHome(m)
	require.NoError(t, n.Start("second", n.Log("second"), nil, n.Path("bifrost"), "standby",
		"--home", second, "--from", sinkOf(m)))
	standsBy(second)

	k := n.churn()
	n.await("an attempt at the keygen", func(context.Context) (bool, error) {
		k = n.latest()
		return k.Session != nil, nil
	})
	require.NoError(t, n.Signal(m.ValidatorName(), syscall.SIGSTOP))
	promote(second)
	require.NotEqual(t, term.Fenced, status(first).Term.State, "it cannot know")
	m.SignerHome = second
	k = n.closed(k.Id)
	require.NoError(t, n.Signal(m.ValidatorName(), syscall.SIGCONT))
	requireAll(k)
	n.await("the first to be fenced", func(context.Context) (bool, error) {
		return status(first).Term.State == term.Fenced, nil
	})

	// The way back: the first one stands by, and follows what the second one backs up.
	n.Kill(m.SignerName())
	require.NoError(t, n.Start(m.SignerName(), n.Log(m.SignerName()), nil, n.Path("bifrost"), "standby",
		"--home", first, "--from", sinkOf(m)))
	standsBy(first)
	k = n.churn()
	n.await("the member's signature", func(context.Context) (bool, error) {
		data, err := os.ReadFile(filepath.Join(home.OutboxDir(second), fmt.Sprintf("keygen-%d.json", k.Id)))
		var r struct{ Step string }
		return err == nil && json.Unmarshal(data, &r) == nil && r.Step != "" && r.Step != "result", nil
	})
	n.Kill("second")
	require.NoError(t, os.RemoveAll(second))
	promote(first)
	m.SignerHome = first
	k = n.closed(k.Id)
	requireAll(k)
	n.sign(k.Vault)
	for _, name := range []string{"second", m.SignerName()} {
		log, err := os.ReadFile(n.Log(name))
		require.NoError(t, err)
		require.NotContains(t, string(log), "ANOTHER PROCESS VOTES")
	}
}

// secondHome is a home on another host, with the words of a member's signer, addresses of its own
// and the node of another member.
func (n *network) secondHome(m *processes.Member) string {
	to := copyHome(n.t, m.SignerHome)
	for _, name := range []string{"term.json", "outbox", "keyshares", "backups", "trust", "preparams"} {
		require.NoError(n.t, os.RemoveAll(filepath.Join(to, name)))
	}
	config, err := os.ReadFile(home.ConfigPath(to))
	require.NoError(n.t, err)
	text := string(config)
	text = regexp.MustCompile(`(?m)^node = ".*"$`).ReplaceAllString(text, fmt.Sprintf("node = %q", n.OthersOf(m)[0]))
	text = regexp.MustCompile(`(?m)^public = .*$`).ReplaceAllString(text, "public = []")
	text = strings.Replace(text, "\ndir = \"\"\n", fmt.Sprintf("\ndir = %q\n", to+"-backups"), 1)
	require.NoError(n.t, os.WriteFile(home.ConfigPath(to), []byte(text), 0o600))
	spare := fixture.MorePreParams(len(n.Members)*n.PreParams + 2)
	for _, set := range spare[len(spare)-2:] {
		path := filepath.Join(n.t.TempDir(), "preparams.json")
		require.NoError(n.t, os.WriteFile(path, set.Data, 0o600))
		_, err := processes.Command(n.ctx, n.Path("bifrost"), "init", "--home", to, "--preparams", path)
		require.NoError(n.t, err)
	}
	return to
}
