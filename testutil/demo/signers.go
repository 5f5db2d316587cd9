package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tssbackup/tssbackup/testutil/processes"
)

// keygenPatience is how long the two keygens, the sealing and the votes of four members may take on
// two cores.
const keygenPatience = 4 * time.Minute

// vault is what the chain says of the vault.
type vault struct {
	Vault         string `json:"vault"`
	PubKeyEd25519 string `json:"pub_key_ed25519"`
	Status        string `json:"status"`
	Threshold     int    `json:"threshold"`
}

// startSigners makes the signers' homes, registers them by their validators' operators, and starts
// them.
func (n *network) startSigners(ctx context.Context) (string, error) {
	return fmt.Sprintf(
		"%d signers, each known to the chain by its validator's operator",
		len(n.members),
	), n.StartSigners(ctx)
}

// startChurn has governance open a churn: a proposal, a vote of each validator.
func (n *network) startChurn(ctx context.Context) (string, error) {
	if err := n.StartChurn(ctx); err != nil {
		return "", err
	}
	var keygens struct {
		Keygens []struct {
			ID       string `json:"id"`
			Deadline string `json:"deadline"`
			Members  []any  `json:"members"`
		} `json:"keygens"`
	}
	err := processes.Await(ctx, time.Minute, "the proposal to pass", func(ctx context.Context) (bool, error) {
		err := n.Query(ctx, &keygens, "tssbackup", "keygens")
		return err == nil && len(keygens.Keygens) > 0, err
	})
	if err != nil {
		return "", err
	}
	k := keygens.Keygens[0]
	return fmt.Sprintf(
		"keygen %s of %d members, until block %s",
		k.ID,
		len(k.Members),
		k.Deadline,
	), nil
}

// waitForVault waits until the vault is active, which it becomes only with its backups on chain.
func (n *network) waitForVault(ctx context.Context) (string, error) {
	var vaults struct {
		Vaults []vault `json:"vaults"`
	}
	err := processes.Await(
		ctx,
		keygenPatience,
		"the vault to become active",
		func(ctx context.Context) (bool, error) {
			for _, m := range n.members {
				if err := n.Alive(m.SignerName()); err != nil {
					return false, err
				}
			}
			err := n.Query(ctx, &vaults, "tssbackup", "vaults")
			return err == nil && len(vaults.Vaults) > 0, err
		},
	)
	if err != nil {
		return "", err
	}
	n.vault = vaults.Vaults[0]
	return fmt.Sprintf("secp256k1 %s\ned25519   %s", n.vault.Vault, n.vault.PubKeyEd25519), nil
}

// checkCoverage asks as an outsider, with no secret and no account, and checks every proof in the
// blocks of the votes.
func (n *network) checkCoverage(ctx context.Context) (string, error) {
	// What a block wrote is verified by the header of the next one.
	var out []byte
	err := processes.Await(
		ctx,
		time.Minute,
		"the coverage to be verified",
		func(ctx context.Context) (bool, error) {
			var err error
			out, err = processes.Command(
				ctx,
				n.Path("recover-keyshares"),
				append([]string{"coverage", "--output", "json"}, n.verifying(nil)...)...)
			return err == nil, err
		},
	)
	if err != nil {
		return "", err
	}
	var verdict struct {
		Covered bool `json:"covered"`
		Vaults  []struct {
			Published int `json:"published"`
			Members   []struct {
				Address string     `json:"address"`
				Backups []envelope `json:"backups"`
			} `json:"members"`
		} `json:"vaults"`
	}
	if err := json.Unmarshal(out, &verdict); err != nil {
		return "", err
	}
	if !verdict.Covered || len(verdict.Vaults) != 1 || verdict.Vaults[0].Published != members {
		return "", fmt.Errorf("not all backups are published: %s", out)
	}
	for _, listed := range verdict.Vaults[0].Members {
		for _, m := range n.members {
			if m.Address != listed.Address {
				continue
			}
			m.Envelope = listed.Backups[0]
			tx, err := n.carrier(ctx, m)
			if err != nil {
				return "", err
			}
			m.Envelope.TxBytes = uint64(len(tx))
			if err := n.checkProof(ctx, m, tx); err != nil {
				return "", err
			}
		}
	}
	return n.verdict(ctx)
}
