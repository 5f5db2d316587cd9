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
	each := func(ask func(pid int) (int64, error)) (all []int64) {
		for _, m := range n.Members {
			bytes, err := ask(n.Pid(m.SignerName()))
			require.NoError(t, err)
			all = append(all, bytes)
		}
		return all
	}
	// They are one program, whose runs differ by a few MB. How much of it was loaded is not counted.
	before, program := slices.Max(each(peak.Of)), each(peak.Program)
	n.requireVault(n.closed(n.churn().Id))
	loaded := each(peak.Program)
	for i, most := range each(peak.Of) {
		loading := loaded[i] - program[i]
		more := most - before - max(loading, 0)
		t.Logf("%s: %.1f MB beside %d, and %.1f of its program",
			n.Members[i].SignerName(), float64(more)/1e6, before/1e6, float64(loading)/1e6)
		require.Greater(t, more, int64(200e6), "it has sealed")
		require.Less(t, more, int64(275e6))
	}
}
