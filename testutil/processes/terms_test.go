//go:build processes

package processes_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/testutil/processes"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestOneInstanceActs stops a signer in the middle of a keygen, without its end, and starts a copy
// of its home on another host. The copy takes the next term and joins the keygen anew, whose vault
// becomes active with all four, and nobody is at fault. When the first instance goes on it is
// fenced, and acts in nothing; started again it is still. Then it is promoted, and the copy fenced.
func TestOneInstanceActs(t *testing.T) {
	n := newNetwork(t, processes.Config{
		PreParams: 3,
		Params:    map[string]any{"keygen_deadline": "480", "retry_interval": "0"},
	})
	m := n.Members[1]
	acts := func(dir string) (number uint64) {
		n.await("an instance to act", func(ctx context.Context) (bool, error) {
			st, err := n.Status(ctx, dir)
			number = st.Term.Term
			return st.Term.State == term.Acting, err
		})
		return number
	}
	fenced := func(dir string, by uint64) {
		n.await("an instance to be fenced", func(ctx context.Context) (bool, error) {
			st, err := n.Status(ctx, dir)
			return st.Term.State == term.Fenced && st.Term.Term == by, err
		})
	}
	first := acts(m.SignerHome)

	k := n.churn()
	n.await("an attempt at the keygen", func(ctx context.Context) (bool, error) {
		k = n.latest()
		return k.Session != nil, nil
	})
	require.NoError(t, n.Signal(m.SignerName(), syscall.SIGSTOP))
	copied := copyHome(t, m.SignerHome)
	require.NoError(t, n.Start("copy", n.Log("copy"), nil, n.Path("bifrost"), "start", "--home", copied))
	second := acts(copied)
	require.Equal(t, first+1, second)
	k = n.closed(k.Id)
	require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_READY, k.Status)
	require.Len(t, k.Members, len(n.Members))
	require.Empty(t, k.Blamed)
	require.Empty(t, k.Silent)

	require.NoError(t, n.Signal(m.SignerName(), syscall.SIGCONT))
	fenced(m.SignerHome, second)
	n.Kill(m.SignerName())
	require.NoError(t, n.StartSigner(m))
	fenced(m.SignerHome, second)
	_, err := processes.Command(n.ctx, n.Path("bifrost"), "sign", "--home", m.SignerHome,
		"--vault", k.Vault, "--message", "hello")
	require.ErrorContains(t, err, "promote --expect")

	require.NoError(t, n.PromoteSigner(n.ctx, m))
	require.Equal(t, second+1, acts(m.SignerHome))
	fenced(copied, second+1)
	// What it lacks comes back from the backup that the copy had published, before it acts.
	n.await("the keyshares to be there again", func(ctx context.Context) (bool, error) {
		st, err := n.Status(ctx, m.SignerHome)
		return st.Publish != nil && len(st.Publish.Vaults) == 1 && st.Publish.Vaults[0].Keyshares, err
	})
	n.requireVault(k)
	n.sign(k.Vault)
	log, err := os.ReadFile(n.Log("copy"))
	require.NoError(t, err)
	require.NotContains(t, string(log), "ANOTHER PROCESS VOTES")
}

// copyHome copies the home of a signer that runs, for a host with other addresses: it dials only,
// and makes no backups.
func copyHome(t *testing.T, from string) string {
	to := from + "-copy"
	require.NoError(t, filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.MkdirAll(at, 0o700)
		}
		if !d.Type().IsRegular() {
			return nil // the control socket
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(at, data, 0o600)
	}))
	config, err := os.ReadFile(home.ConfigPath(to))
	require.NoError(t, err)
	config = regexp.MustCompile(`(?m)^listen = \[.*\]$`).ReplaceAll(config, []byte("listen = []"))
	config = regexp.MustCompile(`(?m)^(listen|dir) = ".*"$`).ReplaceAll(config, []byte(`$1 = ""`))
	require.NoError(t, os.WriteFile(home.ConfigPath(to), config, 0o600))
	return to
}
