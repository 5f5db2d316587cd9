package audit_test

import (
	"context"
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/audit"
	"github.com/tssbackup/tssbackup/bifrost/chain"
)

// Whether the proofs of a vault hold, by records that are verified and the blocks that carried them.
func Example() {
	check := func(ctx context.Context, chainID string, state *chain.State, pubKey []byte) error {
		v, err := state.Vault(ctx, pubKey)
		if err != nil {
			return err
		}
		p, err := state.Proofs(ctx, v)
		if err != nil {
			return err
		}
		a, err := audit.New(chainID, nil, audit.Record{
			Vault: v, Shares: p.Shares, Group: p.Group, Proofs: p.Members,
		})
		if err != nil {
			return err
		}
		for _, height := range a.Heights() {
			accept := func(txs [][]byte) error { return a.Block(height, txs) }
			if err := state.Block(ctx, height, accept); err != nil {
				fmt.Println(err) // Judge says what follows
			}
		}
		a.Judge(2)
		for i, m := range a.Members() {
			fmt.Println(i, m.Result, m.Err)
		}
		return nil
	}
	_ = check
}
