//go:build processes

package processes_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/testutil/processes"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestAVaultOutlivesItsMembers makes a vault of three of four signers and reshares it: the first
// leaves, and the fourth is new. The vault keeps its keys, signs by its next members and no more by
// who left, and what the next ones have comes back from their words alone. Keyshares of the former
// epoch in the place of the present ones are found out and replaced.
func TestAVaultOutlivesItsMembers(t *testing.T) {
	n := newNetwork(t, processes.Config{
		PreParams: 3,
		Params:    map[string]any{"keygen_deadline": "480", "retry_interval": "0", "epoch_grace": "5"},
	})
	begin := time.Now()
	first := n.closed(n.churn(n.Members[:3]...).Id)
	n.requireVault(first)
	t.Logf("a vault of three after %s", time.Since(begin).Round(time.Second))

	next := n.Members[1:]
	begin = time.Now()
	reshare := n.opened(func() error { return n.StartReshare(n.ctx, first.Vault, next...) })
	require.Equal(t, first.Vault, reshare.Reshare.Vault)
	reshare = n.closed(reshare.Id)
	t.Logf("reshare: %s, blamed %v, silent %v, after %s", reshare.Status, reshare.Blamed,
		reshare.Silent, time.Since(begin).Round(time.Second))
	require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_READY, reshare.Status)
	require.Equal(t, first.Vault, reshare.Vault)
	require.Empty(t, reshare.Blamed)
	require.Empty(t, reshare.Silent)
	n.requireVault(reshare)
	var vault types.QueryVaultResponse
	require.NoError(t, n.Ask(n.ctx, "vaults/"+first.Vault, &vault))
	require.Equal(t, reshare.Id, vault.Vault.Epoch)
	n.signBy(first.Vault, next)
	_, err := processes.Command(n.ctx, n.Path("bifrost"), "sign", "--home", n.Members[0].SignerHome,
		"--vault", first.Vault, "--message", "hello")
	require.ErrorContains(t, err, "not among the signers")

	fresh := n.Members[3]
	recovered := filepath.Join(t.TempDir(), "keyshares")
	args := []string{"--trust-first", "--mnemonic-file", fresh.MnemonicFile, "--out", recovered}
	for _, node := range n.OthersOf(fresh) {
		args = append(args, "--node", node)
	}
	_, err = processes.Command(n.ctx, n.Path("recover-keyshares"), args...)
	require.NoError(t, err)
	found, err := filepath.Glob(filepath.Join(recovered, "localstate-*"))
	require.NoError(t, err)
	require.Len(t, found, 2)
	n.Stop(fresh.SignerName())
	require.NoError(t, os.RemoveAll(epochDir(fresh, reshare.Id)))
	require.NoError(t, n.StartSigner(fresh)) // which brings them back by itself
	n.await("its keyshares", func(context.Context) (bool, error) {
		files, err := filepath.Glob(filepath.Join(epochDir(fresh, reshare.Id), "localstate-*"))
		return len(files) == 2, err
	})

	stale := n.Members[1]
	n.Stop(stale.SignerName())
	require.NoError(t, os.RemoveAll(epochDir(stale, reshare.Id)))
	require.NoError(t, os.CopyFS(epochDir(stale, reshare.Id), os.DirFS(epochDir(stale, first.Id))))
	out, err := processes.Command(n.ctx, n.Path("bifrost"), "doctor", "--home", stale.SignerHome)
	require.ErrorContains(t, fmt.Errorf("%w: %s", err, out), fmt.Sprintf("is in epoch %d", reshare.Id))
	require.NoError(t, n.StartSigner(stale))
	for _, m := range next {
		n.await("it to act", func(ctx context.Context) (bool, error) {
			st, err := n.Status(ctx, m.SignerHome)
			return st.Term.State == term.Acting, err
		})
	}
	n.await("the stale keyshares to be set aside", func(context.Context) (bool, error) {
		aside, err := filepath.Glob(filepath.Join(home.KeysharesDir(stale.SignerHome), "damaged", "*"))
		return len(aside) == 2, err
	})
	n.requireVault(reshare)
	n.signBy(first.Vault, next)
}

func epochDir(m *processes.Member, epoch uint64) string {
	return filepath.Join(home.KeysharesDir(m.SignerHome), fmt.Sprint(epoch))
}
