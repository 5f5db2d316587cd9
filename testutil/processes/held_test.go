//go:build processes

package processes_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/testutil/processes"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestMembersHoldTheEnvelopes makes a vault whose envelopes no node has. All members but one are
// gone: one keeps none of the envelopes, and another has lost its disk but for its words and its
// configuration. Its words bring its keyshares back from the one that is left, and so does its
// bifrost, with all envelopes. Then all hold all of them again, and sign.
func TestMembersHoldTheEnvelopes(t *testing.T) {
	n := newNetwork(t, processes.Config{
		KeepBlocks: 20, Params: map[string]any{"placement": "PLACEMENT_MEMBERS"},
	})
	keygen := n.closed(n.churn().Id)
	require.Equal(t, types.Placement_PLACEMENT_MEMBERS, keygen.Placement)
	n.requireVault(keygen)
	all := len(n.Members)
	for _, m := range n.Members {
		require.Len(t, n.heldBy(m), all, "each member signed that it holds all of them")
	}
	n.awaitHeld(n.Members[0], all)

	left, forgets, lost, away := n.Members[0], n.Members[1], n.Members[2], n.Members[3]
	for _, m := range []*processes.Member{forgets, lost, away} {
		n.Kill(m.SignerName())
	}
	require.NoError(t, os.RemoveAll(home.EnvelopesDir(forgets.SignerHome)))
	for _, gone := range []string{home.EnvelopesDir(lost.SignerHome), home.KeysharesDir(lost.SignerHome)} {
		require.NoError(t, os.RemoveAll(gone))
	}
	args := []string{"--trust-first", "--mnemonic-file", lost.MnemonicFile, "--out", filepath.Join(t.TempDir(), "keyshares")}
	for _, node := range n.OthersOf(lost) {
		args = append(args, "--node", node)
	}
	st, err := n.Status(t.Context(), left.SignerHome)
	require.NoError(t, err)
	args = append(args, "--peer", st.Addrs[0])
	_, err = processes.Command(t.Context(), n.Path("recover-keyshares"), args...)
	require.NoError(t, err)

	require.NoError(t, n.StartSigner(lost))
	require.NoError(t, n.WaitSigner(t.Context(), lost))
	n.awaitHeld(lost, all)
	n.requireVault(keygen)
	for _, m := range []*processes.Member{forgets, away} {
		require.NoError(t, n.StartSigner(m))
		require.NoError(t, n.WaitSigner(t.Context(), m))
		n.awaitHeld(m, all)
	}
	for _, m := range n.Members {
		require.Equal(t, n.heldBy(n.Members[0]), n.heldBy(m))
	}
	n.sign(keygen.Vault)
}

// heldBy are the names of the envelopes on a member's disk.
func (n *network) heldBy(m *processes.Member) (names []string) {
	n.t.Helper()
	paths, err := filepath.Glob(filepath.Join(home.EnvelopesDir(m.SignerHome), "*", "*.age"))
	require.NoError(n.t, err)
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}

// awaitHeld waits until a member's status says that it has all envelopes that the chain names.
func (n *network) awaitHeld(m *processes.Member, all int) {
	n.t.Helper()
	n.await("the envelopes to be held", func(ctx context.Context) (bool, error) {
		st, err := n.Status(ctx, m.SignerHome)
		return err == nil && st.Held != nil && st.Held.Named == all && st.Held.Held == all, err
	})
}
