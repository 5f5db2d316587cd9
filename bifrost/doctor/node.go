package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/chain"
)

const (
	// A node's latest block is a block time old at least.
	warnAhead, failAhead = 2 * time.Second, 10 * time.Second
	warnOld, failOld     = time.Minute, 10 * time.Minute
)

// node looks at the own node, and reports whether it can be asked.
func (d *examination) node(ctx context.Context, node *chain.Client) bool {
	before := time.Now()
	status, err := node.Status(ctx)
	switch {
	case err != nil:
		d.add("node", Fail, "%s: %v", node.Name(), err)
		return false
	case status.ChainID != d.Config.ChainID:
		d.add("node", Fail, "%s is a node of chain %q, config.toml says %q",
			node.Name(), status.ChainID, d.Config.ChainID)
		return false
	case status.CatchingUp:
		d.add("node", Fail, "%s is catching up, at block %d", node.Name(), status.Height)
		d.skip("the node's latest block is not the chain's", "clock")
		return true
	}
	d.add("node", OK, "%s is in sync at block %d", node.Name(), status.Height)
	level, text := clockSkew(before, time.Now(), status.Time)
	d.add("clock", level, "%s", text)
	return true
}

// clockSkew compares the time of the latest block with this machine's clock before and after the
// question.
func clockSkew(before, after, block time.Time) (Level, string) {
	ahead, old := block.Sub(after), before.Sub(block)
	text := fmt.Sprintf("the latest block is %s old", old.Round(time.Second))
	switch {
	case ahead > failAhead:
		return Fail, fmt.Sprintf("the latest block is %s in the future: the clock is slow",
			ahead.Round(time.Second))
	case ahead > warnAhead:
		return Warn, fmt.Sprintf("the latest block is %s in the future: the clock may be slow",
			ahead.Round(time.Second))
	case old > failOld:
		return Fail, text + ": the chain stands still, or the clock is fast"
	case old > warnOld:
		return Warn, text + ": the chain is slow, or the clock is fast"
	}
	return OK, text
}
