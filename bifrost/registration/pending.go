package registration

import (
	"context"
	"fmt"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
)

// stalled is the age of the latest block from which a chain is said to stand still.
const stalled = time.Minute

// Pending says why the registration of an operator's signer is in no block yet, as far as the node
// shows it, and what to do. It is empty when nothing shows.
func Pending(ctx context.Context, node *chain.Client, c home.Config, now time.Time) string {
	account, err := c.OperatorAccount()
	if err != nil {
		return err.Error()
	}
	status, err := node.Status(ctx)
	if err != nil {
		return ""
	}
	age := now.Sub(status.Time).Round(time.Second)
	still := ""
	if age > stalled {
		still = fmt.Sprintf("; the chain stands still: block %d is %s old", status.Height, age)
	}
	registrations, err := node.Registrations(ctx, c.Operator, account)
	if err == nil && len(registrations) > 0 {
		switch r := registrations[0]; {
		case r.Pending:
			return "the registration is in the node's mempool and waits for a block" + still
		case r.Code != 0:
			return fmt.Sprintf("the registration in block %d failed with code %d: %s; "+
				"run the command again when that is mended", r.Height, r.Code, r.Log)
		}
	}
	if there, err := node.HasValidator(ctx, c.Operator); err == nil && !there {
		return fmt.Sprintf("the chain has no validator %s: create it first, "+
			"with tssbackupd tx staking create-validator", c.Operator)
	}
	if funds, err := node.HasFunds(ctx, account); err == nil && !funds {
		return fmt.Sprintf("%s has nothing to pay the registration with: send it some", account)
	}
	return "the node has seen no registration: run the command with the operator's key" + still
}
