package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tssbackup/tssbackup/testutil/processes"
)

// keepBlocks is how many blocks a node keeps.
const keepBlocks = 20

// network is the demo's, with what is told of it.
type network struct {
	*processes.Network
	members []*member
	holders []*member // the vault's members: those of its present epoch, or of the open ceremony
	opened  int       // how many ceremonies were
	vault   vault
	lost    map[string][]byte // the victim's keyshare files as they were
	second  *processes.Member // the host that stands by, in the tale that has one
	Page    string            // where the public page is, empty when there is none
}

// member is a member of the network and of its vault.
type member struct {
	*processes.Member
	Envelope envelope `json:"envelope"`
	Proof    proof    `json:"proof"`
}

type envelope struct {
	SHA256  string `json:"sha256"`
	Size    uint64 `json:"size"`
	Height  int64  `json:"height"`
	TxBytes uint64 `json:"tx_bytes"`
}

func newNetwork(cfg processes.Config) (*network, error) {
	dir := cfg.Dir
	for _, name := range []string{"tssbackupd", "bifrost", "recover-keyshares", "tssbackup-watch"} {
		if _, err := os.Stat(filepath.Join(cfg.Bin, name)); err != nil {
			return nil, fmt.Errorf("%w: run make build", err)
		}
	}
	if pids, err := os.ReadFile(filepath.Join(dir, "pids")); err == nil {
		killAll(strings.Fields(string(pids)), dir)
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	// Where recover-keyshares keeps the headers that it trusts.
	if err := os.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state")); err != nil {
		return nil, err
	}
	cfg.KeepBlocks = keepBlocks
	// Another one in each run, so that nobody takes one demo's headers for another's.
	cfg.ChainID = fmt.Sprintf("tssbackup-demo-%d", os.Getpid())
	net, err := processes.New(cfg)
	if err != nil {
		return nil, err
	}
	n := &network{Network: net}
	for _, m := range net.Members {
		n.members = append(n.members, &member{Member: m})
	}
	return n, nil
}

func (n *network) pidFile() string     { return filepath.Join(n.Dir, "pids") }
func (n *network) summaryFile() string { return filepath.Join(n.Dir, "summary.json") }

// startValidators makes a genesis with four validators and starts their nodes.
func (n *network) startValidators(ctx context.Context) (string, error) {
	return fmt.Sprintf("chain %s, RPC at %s", n.ChainID, n.members[0].RPC), n.StartValidators(ctx)
}
