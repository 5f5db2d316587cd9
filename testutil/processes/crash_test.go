//go:build processes

package processes_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/processes"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of what TestCrashes kills, and when")

// TestCrashes kills a validator or a signer as a power cut does, every 5 to 25 blocks of a second,
// until half of a keygen's time is over, and starts it again. The keygen's vault becomes active all
// the same, with all four, nobody sits out, and no keyshare of it is lost.
func TestCrashes(t *testing.T) {
	t.Logf("to repeat: -seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 0))
	n := newNetwork(t, processes.Config{
		PreParams: 6,
		Params: map[string]any{
			// A sixteenth of it is left to come back from the last crash and to join once more.
			"keygen_deadline": "320",
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
	for _, m := range n.Members {
		require.NoError(t, n.Alive(m.SignerName()))
		require.NoError(t, n.Alive(m.ValidatorName()))
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
