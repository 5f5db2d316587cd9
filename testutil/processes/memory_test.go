//go:build processes

package processes_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/peak"
	"github.com/tssbackup/tssbackup/testutil/processes"
)

// TestARunningSignerTakesTheMemoryOfOneRunOfScrypt has signers seal what a keygen gave, at the real
// work factor, and open it again. All of that, the keygen included, takes 268 MB for one run of
// scrypt and a few more, beside the most that the process had at once before.
func TestARunningSignerTakesTheMemoryOfOneRunOfScrypt(t *testing.T) {
	n := newNetwork(t, processes.Config{})
	memory := func() (all []int64) {
		for _, m := range n.Members {
			most, err := peak.Of(n.Pid(m.SignerName()))
			require.NoError(t, err)
			all = append(all, most)
		}
		return all
	}
	// They are one program, whose runs differ by a few MB.
	before := slices.Max(memory())
	n.requireVault(n.closed(n.churn().Id))
	for i, most := range memory() {
		more := most - before
		t.Logf("%s: %d MB beside %d", n.Members[i].SignerName(), more/1e6, before/1e6)
		require.Greater(t, more, int64(200e6), "it has sealed")
		require.Less(t, more, int64(275e6))
	}
}
