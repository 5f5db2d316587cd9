package publish

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// beating is a world with a vault on a chain with heartbeats, of which the first is wanted.
func beating(t *testing.T) (w *world, m *member, name string) {
	w = newWorld(t, 3)
	w.chain.interval = 400
	w.chain.advance(90) // to the first beacon
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.awaitReady(1)
	m, name = w.members[0], types.VaultName(w.keygen(1).Vault)
	w.eventually("it is wanted", func() bool { return slices.Contains(m.wanted(), name) })
	return w, m, name
}

func (m *member) wanted() []string {
	m.mu.Lock()
	p := m.pub
	m.mu.Unlock()
	return p.HeartbeatsWanted()
}

// counted are the heartbeats that stand, and those that did not come to.
func (c *fakeChain) counted() (beaten, unbeaten int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.beaten, c.unbeaten
}

func TestAHeartbeatIsSentOnceAndWantedAgainHalfwayToItsDue(t *testing.T) {
	w, m, name := beating(t)
	require.NoError(t, m.pub.Heartbeat(t.Context(), name))
	require.Empty(t, m.wanted(), "it is on its way")
	require.NoError(t, m.pub.Heartbeat(t.Context(), name), "asked for twice, sent once")
	w.eventually("it stands", func() bool { return m.counted("delivered heartbeat") == 1 })
	beaten, unbeaten := w.chain.counted()
	require.Equal(t, []int{1, 0}, []int{beaten, unbeaten})
	w.eventually("the status shows it", func() bool {
		v := m.status().Vaults
		return len(v) == 1 && v[0].Heartbeat != nil && v[0].Heartbeat.Height > 0 && !v[0].Heartbeat.Wanted
	})
	due := m.status().Vaults[0].Heartbeat.Due
	w.chain.advance(150)
	w.eventually("it has looked again", func() bool { return m.status().Height >= due-250 })
	require.Empty(t, m.wanted())
	w.chain.advance(60)
	w.eventually("it is wanted again", func() bool { return slices.Contains(m.wanted(), name) })
}

func TestAHeartbeatWhoseBeaconIsOldIsGivenUp(t *testing.T) {
	w, m, name := beating(t)
	w.chain.mu.Lock()
	w.chain.refuse = func(string) error { return errNotFound }
	w.chain.drop[m.address] = true
	w.chain.mu.Unlock()
	require.NoError(t, m.pub.Heartbeat(t.Context(), name))
	w.eventually("it is tried", func() bool { _, n := w.chain.counted(); return n > 0 })
	w.chain.advance(200)
	w.eventually("another one is wanted", func() bool { return slices.Contains(m.wanted(), name) })
	w.chain.mu.Lock()
	clear(w.chain.drop)
	w.chain.mu.Unlock()
	require.NoError(t, m.pub.Heartbeat(t.Context(), name))
	w.eventually("it stands", func() bool { n, _ := w.chain.counted(); return n == 1 })
}

func TestNoHeartbeatIsWantedWhereNoneIsDue(t *testing.T) {
	w := newWorld(t, 3)
	w.chain.advance(90)
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.awaitReady(1)
	m := w.members[0]
	w.eventually("the backup stands", func() bool {
		v := m.status().Vaults
		return len(v) == 1 && v[0].Published
	})
	require.Nil(t, m.status().Vaults[0].Heartbeat)
	require.Empty(t, m.wanted())
}

func TestAHeartbeatThatTheMnemonicCannotSignIsAnError(t *testing.T) {
	w, m, name := beating(t)
	w.chain.mu.Lock()
	for i := range w.chain.vaults[name].Members {
		w.chain.vaults[name].Members[i].RecipientIndex++
	}
	w.chain.mu.Unlock()
	require.ErrorIs(t, m.pub.Heartbeat(t.Context(), name), ErrRecipient)
	require.Contains(t, m.wanted(), name)
}
