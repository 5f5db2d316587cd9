package network

import (
	"github.com/stretchr/testify/require"
)

// Wait waits until the condition holds and fails the test if it does not in Timeout.
func (n *Network) Wait(condition func() bool, what string, args ...any) {
	n.t.Helper()
	require.Eventually(n.t, condition, Timeout, poll, append([]any{what}, args...)...)
}

// WaitHeight waits until every running validator has committed this height, and its app too:
// queries at the height work.
func (n *Network) WaitHeight(height int64) {
	n.t.Helper()
	for _, v := range n.Validators {
		if v.Running() {
			n.Wait(
				func() bool { return v.app.LastBlockHeight() >= height },
				"%s at height %d",
				v,
				height,
			)
		}
	}
}

// WaitBlocks waits until every running validator has committed this many blocks more than the first
// one has now.
func (n *Network) WaitBlocks(blocks int64) {
	n.t.Helper()
	n.WaitHeight(n.FirstRunning().app.LastBlockHeight() + blocks)
}
