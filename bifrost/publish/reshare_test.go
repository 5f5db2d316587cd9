package publish

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// A reshare is a keygen whose result must be a vault that exists, which no keygen makes. It is open
// for members to join and to vote on, and nobody here does: not until its end, when members vote on
// keygens that failed.
func TestAReshareIsLeftAlone(t *testing.T) {
	w := newWorld(t, 4)
	w.chain.open(1, 40, w.infos())
	w.chain.mu.Lock()
	w.chain.keygens[1].Reshare = &types.ReshareInfo{Vault: strings.Repeat("02", 33), Epoch: 9, Threshold: 3}
	w.chain.mu.Unlock()
	w.chain.open(2, 5000, w.infos())
	w.start()
	w.eventually("the keygen beside it goes on", func() bool { return w.keygen(2).Certificate != nil })
	w.awaitReady(2)
	for w.keygen(1).Status == types.KeygenStatus_KEYGEN_STATUS_OPEN {
		before := w.members[0].status().Height
		w.chain.advance(1)
		w.eventually("the block is seen", func() bool { return w.members[0].status().Height > before })
	}
	k := w.keygen(1)
	require.Empty(t, k.Votes)
	require.Empty(t, k.Joins)
	require.Nil(t, k.Session)
	for _, m := range w.members {
		for _, r := range m.status().Outbox {
			require.NotEqualValues(t, 1, r.KeygenID, "nothing is written down of it")
		}
	}
}
