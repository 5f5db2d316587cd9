package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tssbackup/tssbackup/testutil/fixture"
)

// keygenPatience is how long the two keygens, the sealing and the votes of four members may take on
// two cores.
const keygenPatience = 4 * time.Minute

// registration is what bifrost init prints.
type registration struct {
	Address        string `json:"address"`
	PubKey         string `json:"pub_key"`
	Signature      string `json:"signature"`
	RecipientKey   string `json:"recipient_key"`
	RecipientIndex uint32 `json:"recipient_index"`
	Possession     string `json:"possession"`
	PeerID         string `json:"peer_id"`
}

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
	preParams := fixture.PreParams()
	var group errgroup.Group
	for i, m := range n.members {
		file := filepath.Join(n.dir, preParams[i].Name)
		if err := os.WriteFile(file, preParams[i].Data, 0o600); err != nil {
			return "", err
		}
		reg, err := n.initSigner(ctx, m, "--preparams", file)
		if err != nil {
			return "", err
		}
		m.Address = reg.Address
		m.peer = fmt.Sprintf(
			"/ip4/%s/p2p/%s",
			strings.Replace(m.signer, ":", "/tcp/", 1),
			reg.PeerID,
		)
		// The operator's paper: the words as bifrost wrote them, kept elsewhere.
		words, err := os.ReadFile(filepath.Join(m.SignerHome, "mnemonic"))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(m.MnemonicFile, words, 0o600); err != nil {
			return "", err
		}
		group.Go(func() error {
			return n.send(ctx, m, "tx", "tssbackup", "register-signer", reg.PubKey, reg.Signature,
				reg.RecipientKey, fmt.Sprint(reg.RecipientIndex), reg.Possession)
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	for _, m := range n.members {
		if err := n.configure(m); err != nil {
			return "", err
		}
		if err := n.startSigner(m); err != nil {
			return "", err
		}
	}
	for _, m := range n.members {
		if err := n.waitSigner(ctx, m); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf(
		"%d signers, each known to the chain by its validator's operator",
		len(n.members),
	), nil
}

func (n *network) initSigner(ctx context.Context, m *member, args ...string) (registration, error) {
	var reg registration
	args = append([]string{
		"init",
		"--home",
		m.SignerHome,
		"--output",
		"json",
		"--chain-id",
		chainID,
		"--operator",
		m.Operator,
		"--node",
		m.RPC,
		"--metrics-listen",
		m.metrics,
		"--p2p-listen",
		"/ip4/" + strings.Replace(m.signer, ":", "/tcp/", 1),
	}, args...)
	out, err := command(ctx, n.path("bifrost"), args...)
	if err != nil {
		return reg, err
	}
	return reg, json.Unmarshal(out, &reg)
}

func (n *network) peersOf(m *member) []string {
	var peers []string
	for _, other := range n.members {
		if other != m {
			peers = append(peers, other.peer)
		}
	}
	return peers
}

// othersOf are the nodes of the other members.
func (n *network) othersOf(m *member) []string {
	var nodes []string
	for _, other := range n.members {
		if other != m {
			nodes = append(nodes, other.RPC)
		}
	}
	return nodes
}

// configure edits the signer's configuration as an operator does who has learned where the other
// signers and their validators' nodes are. Making spare pre-parameters would take the cores that
// the demo needs.
func (n *network) configure(m *member) error {
	peers, err := json.Marshal(n.peersOf(m))
	if err != nil {
		return err
	}
	witnesses, err := json.Marshal(n.othersOf(m))
	if err != nil {
		return err
	}
	path := filepath.Join(m.SignerHome, "config.toml")
	config, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, edit := range [][2]string{
		{"\npeers = []\n", "\npeers = " + string(peers) + "\n"},
		{"\nwitnesses = []\n", "\nwitnesses = " + string(witnesses) + "\n"},
		{"\npreparams = 2\n", "\npreparams = 0\n"},
	} {
		if !strings.Contains(string(config), edit[0]) {
			return fmt.Errorf("%s has no line %q", path, strings.TrimSpace(edit[0]))
		}
		config = []byte(strings.Replace(string(config), edit[0], edit[1], 1))
	}
	return os.WriteFile(path, config, 0o600)
}

func (m *member) signerName() string { return fmt.Sprintf("signer%d", m.Index) }

func (n *network) startSigner(m *member) error {
	return n.procs.start(
		m.signerName(),
		n.log(m.signerName()),
		n.path("bifrost"),
		"start",
		"--home",
		m.SignerHome,
	)
}

// waitSigner waits until the signer runs and is the one that the chain knows.
func (n *network) waitSigner(ctx context.Context, m *member) error {
	return await(
		ctx,
		time.Minute,
		m.signerName()+" to run",
		func(ctx context.Context) (bool, error) {
			if err := n.procs.alive(m.signerName()); err != nil {
				return false, err
			}
			out, err := command(
				ctx,
				n.path("bifrost"),
				"status",
				"--home",
				m.SignerHome,
				"--output",
				"json",
			)
			var status struct {
				State string `json:"state"`
			}
			if jsonErr := json.Unmarshal(out, &status); jsonErr != nil {
				return false, errors.Join(err, jsonErr)
			}
			return status.State == "ready", err
		},
	)
}

// startChurn has governance open a churn: a proposal, a vote of each validator.
func (n *network) startChurn(ctx context.Context) (string, error) {
	first := n.members[0]
	if err := n.send(
		ctx,
		first,
		"tx",
		"tssbackup",
		"start-churn",
		"--title",
		"Churn",
		"--summary",
		"The first vault",
		"--deposit",
		"10000000stake",
	); err != nil {
		return "", err
	}
	var group errgroup.Group
	for _, m := range n.members {
		group.Go(func() error { return n.send(ctx, m, "tx", "gov", "vote", "1", "yes") })
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	var keygens struct {
		Keygens []struct {
			ID       string `json:"id"`
			Deadline string `json:"deadline"`
			Members  []any  `json:"members"`
		} `json:"keygens"`
	}
	err := await(ctx, time.Minute, "the proposal to pass", func(ctx context.Context) (bool, error) {
		err := n.query(ctx, &keygens, "tssbackup", "keygens")
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
	err := await(
		ctx,
		keygenPatience,
		"the vault to become active",
		func(ctx context.Context) (bool, error) {
			for _, m := range n.members {
				if err := n.procs.alive(m.signerName()); err != nil {
					return false, err
				}
			}
			err := n.query(ctx, &vaults, "tssbackup", "vaults")
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
	err := await(
		ctx,
		time.Minute,
		"the coverage to be verified",
		func(ctx context.Context) (bool, error) {
			var err error
			out, err = command(
				ctx,
				n.path("recover-keyshares"),
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
