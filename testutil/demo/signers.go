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
	Epoch         string `json:"epoch"`
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

// startChurn has governance open a churn of those who are to hold the vault: a proposal, a vote of
// each validator.
func (n *network) startChurn(ctx context.Context) (string, error) {
	var of []*processes.Member
	if len(n.holders) < len(n.members) {
		of = processesOf(n.holders)
	}
	return n.open(ctx, n.StartChurn(ctx, of...))
}

func processesOf(members []*member) (all []*processes.Member) {
	for _, m := range members {
		all = append(all, m.Member)
	}
	return all
}

// open waits until what was proposed is open, unless that failed.
func (n *network) open(ctx context.Context, proposed error) (string, error) {
	if proposed != nil {
		return "", proposed
	}
	var keygens struct {
		Keygens []keygen `json:"keygens"`
	}
	err := processes.Await(ctx, time.Minute, "the proposal to pass", func(ctx context.Context) (bool, error) {
		err := n.Query(ctx, &keygens, "tssbackup", "keygens")
		return err == nil && len(keygens.Keygens) > n.opened, err
	})
	if err != nil {
		return "", err
	}
	k := keygens.Keygens[n.opened]
	n.opened++
	kind := "keygen"
	if k.Reshare != nil {
		kind = "reshare"
	}
	return fmt.Sprintf("%s %s of %d members, until block %s", kind, k.ID, len(k.Members), k.Deadline), nil
}

// keygen is what the chain says of one that is open.
type keygen struct {
	ID       string    `json:"id"`
	Deadline string    `json:"deadline"`
	Members  []any     `json:"members"`
	Reshare  *struct{} `json:"reshare"`
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
			return err == nil && len(vaults.Vaults) > 0 &&
				vaults.Vaults[0].Epoch == fmt.Sprint(n.opened), err
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
	var out []byte
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
	// What a block wrote is verified by the header of the next one.
	err := processes.Await(
		ctx,
		time.Minute,
		"the coverage of its members to be verified",
		func(ctx context.Context) (bool, error) {
			var err error
			out, err = processes.Command(
				ctx,
				n.Path("recover-keyshares"),
				append([]string{"coverage", "--output", "json"}, n.verifying(nil)...)...)
			if err != nil {
				return false, err
			}
			if err := json.Unmarshal(out, &verdict); err != nil || len(verdict.Vaults) != 1 {
				return false, fmt.Errorf("it is not of one vault: %s", out)
			}
			found := 0
			for _, listed := range verdict.Vaults[0].Members {
				if m := n.holder(listed.Address); m != nil && len(listed.Backups) > 0 {
					found++
					m.Envelope = listed.Backups[0]
				}
			}
			return found == len(n.holders), nil
		},
	)
	if err != nil {
		return "", err
	}
	if !verdict.Covered || verdict.Vaults[0].Published != len(n.holders) {
		return "", fmt.Errorf("not all backups are published: %s", out)
	}
	for _, m := range n.holders {
		tx, err := n.carrier(ctx, m)
		if err != nil {
			return "", err
		}
		m.Envelope.TxBytes = uint64(len(tx))
		if err := n.checkProof(ctx, m, tx); err != nil {
			return "", err
		}
	}
	return n.verdict(ctx)
}

// holder is the member of the vault with this address, nil if there is none.
func (n *network) holder(address string) *member {
	for _, m := range n.holders {
		if m.Address == address {
			return m
		}
	}
	return nil
}
