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

// TestMembersHoldTheEnvelopes makes a vault whose envelopes no node has. One member keeps none of
// them, and another loses its disk but for its words and its configuration: its keyshares and all
// envelopes come back from the others, and what the words alone bring back is the same.
func TestMembersHoldTheEnvelopes(t *testing.T) {
	n := newNetwork(t, processes.Config{Params: map[string]any{"placement": "PLACEMENT_MEMBERS"}})
	keygen := n.closed(n.churn().Id)
	require.Equal(t, types.Placement_PLACEMENT_MEMBERS, keygen.Placement)
	n.requireVault(keygen)
	all := len(n.Members)
	for _, m := range n.Members {
		require.Len(t, n.heldBy(m), all, "each member signed that it holds all of them")
	}
	n.awaitHeld(n.Members[0], all)

	forgets, lost := n.Members[1], n.Members[2]
	n.Kill(forgets.SignerName())
	n.Kill(lost.SignerName())
	require.NoError(t, os.RemoveAll(home.EnvelopesDir(forgets.SignerHome)))
	for _, gone := range []string{home.EnvelopesDir(lost.SignerHome), home.KeysharesDir(lost.SignerHome)} {
		require.NoError(t, os.RemoveAll(gone))
	}
	// The others have it before the one that forgot is back.
	args := []string{"--trust-first", "--mnemonic-file", lost.MnemonicFile, "--out", filepath.Join(t.TempDir(), "keyshares")}
	for _, node := range n.OthersOf(lost) {
		args = append(args, "--node", node)
	}
	for _, m := range []*processes.Member{n.Members[0], n.Members[3]} {
		st, err := n.Status(t.Context(), m.SignerHome)
		require.NoError(t, err)
		args = append(args, "--peer", st.Addrs[0])
	}
	_, err := processes.Command(t.Context(), n.Path("recover-keyshares"), args...)
	require.NoError(t, err)

	require.NoError(t, n.StartSigner(lost))
	require.NoError(t, n.WaitSigner(t.Context(), lost))
	n.awaitHeld(lost, all)
	n.requireVault(keygen)
	require.NoError(t, n.StartSigner(forgets))
	require.NoError(t, n.WaitSigner(t.Context(), forgets))
	n.awaitHeld(forgets, all)
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
