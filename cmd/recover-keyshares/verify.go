package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/audit"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// verification is what coverage does beyond counting.
type verification struct {
	*app
	on     bool
	former []string
}

// checkedProof is what is known of a member's proof, in JSON.
type checkedProof struct {
	// Result is none, repeated, accepted, imported or failed.
	Result string `json:"result"`
	Height int64  `json:"height"`
	Text   string `json:"text"`
}

// vault repeats the checks of one vault's proofs, and reports whether none of them fails. What did
// not hold is not counted any more.
func (v *verification) vault(
	ctx context.Context,
	state *chain.State,
	chainID string,
	c *coveredVault,
) (holds bool, err error) {
	v.Progress("vault %s: repeating the checks of the proofs", vault.Short(c.Vault))
	pubKey, err := types.ParseVault(c.Vault)
	if err != nil {
		return false, err
	}
	record := audit.Record{}
	if record.Vault, err = state.Vault(ctx, pubKey); err != nil {
		return false, err
	}
	proofs, err := state.Proofs(ctx, record.Vault)
	if err != nil {
		return false, err
	}
	record.Shares, record.Group, record.Proofs = proofs.Shares, proofs.Group, proofs.Members
	a, err := audit.New(chainID, v.former, record)
	if err != nil {
		c.Error = command.OneLine(err.Error())
		c.Proven, c.Covered, c.ProvenCovered = 0, false, false
		for i := range c.Members {
			c.Members[i].Proven = false
		}
		c.Verdict = "NOT proven: the records of the proofs contradict each other"
		return false, nil
	}
	for _, height := range a.Heights() {
		shown := false
		err := state.Block(ctx, height, func(txs [][]byte) error {
			shown = true
			return a.Block(height, txs)
		})
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err != nil && (shown || !errors.Is(err, chain.ErrNoBlock)) {
			v.Warn(command.OneLine(err.Error()))
		}
	}
	a.Judge(len(v.trust.Nodes))
	return c.recount(a.Members()), nil
}

// recount counts anew, from what was checked here. The members are in the order of the list.
func (c *coveredVault) recount(members []audit.Member) (holds bool) {
	holds = true
	c.Proven = 0
	for i, m := range members {
		of := &c.Members[i]
		of.Proof = &checkedProof{
			Result: string(m.Result),
			Height: m.Height,
			Text:   command.OneLine(explain(m)),
		}
		switch m.Result {
		case audit.Failed:
			holds, of.Proven = false, false
		case audit.None:
			of.Proven = false
		}
		if of.Proven {
			c.Proven++
		}
	}
	c.ProvenCovered = c.reaches(c.Proven)
	c.Covered = holds && c.ProvenCovered
	c.Verdict = c.verdict()
	if !holds {
		c.Verdict = "a check FAILS; " + c.Verdict
	}
	return holds
}

// explain says in a line what is known of a member's proof.
func explain(m audit.Member) string {
	if m.Result != audit.Failed && m.Err != nil {
		return fmt.Sprintf(
			"accepted by consensus; what is shown as its block %d does not bear it out, so the proof itself is not repeated: %s",
			m.Height,
			m.Err,
		)
	}
	switch m.Result {
	case audit.None:
		return "no proof was accepted"
	case audit.Repeated:
		return fmt.Sprintf("the proof of block %d holds", m.Height)
	case audit.Accepted:
		return fmt.Sprintf(
			"accepted by consensus in block %d; no node shows the block any more, so the proof itself is not repeated",
			m.Height,
		)
	case audit.Imported:
		return fmt.Sprintf(
			"accepted under another name of the chain in its block %d and imported; "+
				"the block is none of this chain's, so the proof itself is not repeated",
			m.Height,
		)
	}
	return "the check FAILS: " + m.Err.Error()
}
