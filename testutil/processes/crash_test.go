//go:build processes

package processes_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/testutil/processes"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of what TestCrashes kills, and when")

// TestCrashes kills a validator or a signer as a power cut does, every 5 to 25 blocks of a second,
// until half of a keygen's time is over, and starts it again. The keygen's vault becomes active all
// the same, with all four, nobody sits out, and no keyshare of it is lost. Then a signer's host is
// lost: its home comes back on another one from the folder of its backups, which was written all
// the while, takes part in the next keygen, and signs.
func TestCrashes(t *testing.T) {
	t.Logf("to repeat: -seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 0))
	n := newNetwork(t, processes.Config{
		PreParams: 6,
		Params: map[string]any{
			// A sixteenth of it is left to come back from the last crash, for the others to see that,
			// and for all to join once more.
			"keygen_deadline": "480",
			// Churns are opened by governance.
			"retry_interval": "0",
			"penalty_blocks": "5",
		},
	})
	begin := time.Now()
	k := n.churn()
	for next := k.OpenedHeight; ; {
		if next += 5 + random.Int64N(21); next > (k.OpenedHeight+k.Deadline)/2 {
			break
		}
		n.awaitHeight(next)
		m := n.Members[random.IntN(len(n.Members))]
		name, start := m.ValidatorName(), n.StartValidator
		if random.IntN(2) == 1 {
			name, start = m.SignerName(), n.StartSigner
		}
		n.Kill(name)
		require.NoError(t, start(m))
		t.Logf("block %d: killed %s", next, name)
	}
	n.awaitAll()
	k = n.closed(k.Id)
	t.Logf("keygen of %d members: %s, blamed %v, silent %v, after %s", len(k.Members),
		k.Status, k.Blamed, k.Silent, time.Since(begin).Round(time.Second))
	require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_READY, k.Status)
	require.Len(t, k.Members, len(n.Members))
	n.requireVault(k)
	require.False(t, slices.ContainsFunc(n.Members, n.sitsOut))
	var vaults types.QueryVaultsResponse
	require.NoError(t, n.Ask(n.ctx, "vaults", &vaults))
	for _, v := range vaults.Vaults {
		n.requireKeyshares(v)
	}
	n.hostLost(n.Members[2], "--from", n.Members[2].Backups)
	next := n.churn()
	require.Len(t, next.Members, len(n.Members))
	next = n.closed(next.Id)
	t.Logf("keygen with the restored home: %s, blamed %v, silent %v, after %s", next.Status,
		next.Blamed, next.Silent, time.Since(begin).Round(time.Second))
	n.requireVault(next)
	for _, vault := range []string{k.Vault, next.Vault} {
		n.sign(vault)
	}
	for _, m := range n.Members {
		require.NoError(t, n.Alive(m.SignerName()))
		require.NoError(t, n.Alive(m.ValidatorName()))
		_, err := processes.Command(n.ctx, n.Path("bifrost"), "backup", "verify", "--home", m.SignerHome)
		require.NoError(t, err, "the backups of %s", m.SignerName())
	}
}

// hostLost kills a signer and takes its home, and starts it in one that is made of its words and
// its backup, which these arguments say where to find.
func (n *network) hostLost(m *processes.Member, from ...string) {
	n.t.Helper()
	n.Kill(m.SignerName())
	require.NoError(n.t, os.RemoveAll(m.SignerHome))
	m.SignerHome += "-on-a-new-host"
	restore := append([]string{"backup", "restore"}, from...)
	for _, node := range n.OthersOf(m) {
		restore = append(restore, "--node", node)
	}
	for _, args := range [][]string{restore, {"init"}} {
		args = append(args, "--home", m.SignerHome, "--mnemonic-file", m.MnemonicFile)
		_, err := processes.Command(n.ctx, n.Path("bifrost"), args...)
		require.NoError(n.t, err, args)
	}
	require.NoError(n.t, n.GivePreParams(m, 1))
	require.NoError(n.t, n.StartSigner(m))
	require.NoError(n.t, n.PromoteSigner(n.ctx, m))
	require.NoError(n.t, n.WaitSigner(n.ctx, m))
}

// sign has all members sign a text with a vault.
func (n *network) sign(vault string) {
	n.t.Helper()
	n.signBy(vault, n.Members)
}

// signBy has these members, who are all of a vault's, sign a text with it.
func (n *network) signBy(vault string, members []*processes.Member) {
	n.t.Helper()
	var group errgroup.Group
	for _, m := range members {
		group.Go(func() error {
			_, err := processes.Command(n.ctx, n.Path("bifrost"), "sign", "--home", m.SignerHome,
				"--vault", vault, "--message", "hello")
			return err
		})
	}
	require.NoError(n.t, group.Wait())
}

// awaitAll waits until what was killed is in service again: every node as far as the chain is now,
// and every signer acts, so that no claim of one is on its way. Who was killed often waits for the
// next window of claims.
func (n *network) awaitAll() {
	n.t.Helper()
	height, err := n.Height(n.ctx)
	require.NoError(n.t, err)
	for _, m := range n.Members {
		require.NoError(n.t, n.WaitHeight(n.ctx, m, height))
		n.await(m.SignerName()+" to act", func(ctx context.Context) (bool, error) {
			st, err := n.Status(ctx, m.SignerHome)
			return st.Term.State == term.Acting, err
		})
	}
}

// awaitHeight waits for a block at any node.
func (n *network) awaitHeight(height int64) {
	n.t.Helper()
	n.await("the next block", func(ctx context.Context) (bool, error) {
		latest, err := n.Height(ctx)
		return latest >= height, err
	})
}
