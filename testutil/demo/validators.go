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

	"github.com/tssbackup/tssbackup/testutil/freeport"
)

const (
	// keepBlocks is how many blocks a node keeps.
	keepBlocks = 20

	funds = "1000000000stake"
	bond  = "500000000stake"
)

// chainID is another one in each run, so that nobody takes one demo's headers for another's.
var chainID = fmt.Sprintf("tssbackup-demo-%d", os.Getpid())

// network is four validators with their signers in one folder.
type network struct {
	bin, dir string
	procs    processes
	members  []*member
	vault    vault
	lost     map[string][]byte // the victim's keyshare files as they were
}

// member is a validator, its operator and its signer.
type member struct {
	Index        int      `json:"index"`
	Address      string   `json:"address"`
	Operator     string   `json:"operator"`
	MnemonicFile string   `json:"mnemonic_file"`
	SignerHome   string   `json:"signer_home"`
	RPC          string   `json:"rpc"`
	API          string   `json:"api"`
	Envelope     envelope `json:"envelope"`
	Proof        proof    `json:"proof"`

	home        string // the validator's
	nodeID      string
	p2p, signer string // host:port of the validator's and of the signer's listener
	metrics     string
	peer        string // the signer's multiaddr
}

type envelope struct {
	SHA256  string `json:"sha256"`
	Size    uint64 `json:"size"`
	Height  int64  `json:"height"`
	TxBytes uint64 `json:"tx_bytes"`
}

func newNetwork(bin, dir string) (*network, error) {
	for _, name := range []string{"tssbackupd", "bifrost", "recover-keyshares"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return nil, fmt.Errorf("%w: run make build", err)
		}
	}
	if pids, err := os.ReadFile(filepath.Join(dir, "pids")); err == nil {
		killAll(strings.Fields(string(pids)), dir)
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	n := &network{bin: bin, dir: dir}
	// Where recover-keyshares keeps the headers that it trusts.
	if err := os.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state")); err != nil {
		return nil, err
	}
	for _, sub := range []string{"logs", "mnemonics"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	ports, err := freeport.Addrs(5 * members)
	if err != nil {
		return nil, err
	}
	for i := range members {
		own := ports[5*i:]
		n.members = append(n.members, &member{
			p2p: own[0], RPC: "http://" + own[1], signer: own[2], metrics: own[3],
			API:          "http://" + own[4],
			Index:        i,
			MnemonicFile: filepath.Join(dir, "mnemonics", fmt.Sprintf("member%d", i)),
			SignerHome:   filepath.Join(dir, fmt.Sprintf("signer%d", i)),
			home:         filepath.Join(dir, fmt.Sprintf("validator%d", i)),
		})
	}
	return n, nil
}

func (n *network) pidFile() string         { return filepath.Join(n.dir, "pids") }
func (n *network) summaryFile() string     { return filepath.Join(n.dir, "summary.json") }
func (n *network) log(name string) string  { return filepath.Join(n.dir, "logs", name+".log") }
func (n *network) path(name string) string { return filepath.Join(n.bin, name) }

func (n *network) tssbackupd(ctx context.Context, m *member, args ...string) ([]byte, error) {
	return command(ctx, n.path("tssbackupd"), append(args, "--home", m.home)...)
}

// startValidators makes a genesis with four validators and starts their nodes.
func (n *network) startValidators(ctx context.Context) (string, error) {
	first := n.members[0]
	for _, m := range n.members {
		if err := n.initValidator(ctx, m); err != nil {
			return "", err
		}
	}
	// Every operator has funds in the first node's genesis, which collects the genesis transactions
	// of all.
	for _, m := range n.members {
		account, err := n.tssbackupd(
			ctx,
			m,
			"keys",
			"show",
			"operator",
			"--address",
			"--keyring-backend",
			"test",
		)
		if err != nil {
			return "", err
		}
		if _, err := n.tssbackupd(
			ctx,
			first,
			"genesis",
			"add-genesis-account",
			strings.TrimSpace(string(account)),
			funds,
		); err != nil {
			return "", err
		}
	}
	if err := editGenesis(first.genesisFile()); err != nil {
		return "", err
	}
	genesis, err := os.ReadFile(first.genesisFile())
	if err != nil {
		return "", err
	}
	gentxs := filepath.Join(n.dir, "gentxs")
	if err := os.MkdirAll(gentxs, 0o700); err != nil {
		return "", err
	}
	for _, m := range n.members {
		if err := os.WriteFile(m.genesisFile(), genesis, 0o600); err != nil {
			return "", err
		}
		out := filepath.Join(gentxs, fmt.Sprintf("gentx%d.json", m.Index))
		if _, err := n.tssbackupd(
			ctx,
			m,
			"genesis",
			"gentx",
			"operator",
			bond,
			"--chain-id",
			chainID,
			"--keyring-backend",
			"test",
			"--output-document",
			out,
			"--node-id",
			m.nodeID,
			"--ip",
			"127.0.0.1",
		); err != nil {
			return "", err
		}
	}
	if _, err := n.tssbackupd(
		ctx,
		first,
		"genesis",
		"collect-gentxs",
		"--gentx-dir",
		gentxs,
	); err != nil {
		return "", err
	}
	if genesis, err = os.ReadFile(first.genesisFile()); err != nil {
		return "", err
	}
	for _, m := range n.members {
		if err := os.WriteFile(m.genesisFile(), genesis, 0o600); err != nil {
			return "", err
		}
	}
	for _, m := range n.members {
		if err := n.startValidator(ctx, m); err != nil {
			return "", err
		}
	}
	for _, m := range n.members {
		if err := n.waitHeight(ctx, m, 2); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("chain %s, RPC at %s", chainID, first.RPC), nil
}

func (m *member) genesisFile() string { return filepath.Join(m.home, "config", "genesis.json") }

func (n *network) initValidator(ctx context.Context, m *member) error {
	if _, err := n.tssbackupd(
		ctx,
		m,
		"init",
		fmt.Sprintf("validator%d", m.Index),
		"--chain-id",
		chainID,
	); err != nil {
		return err
	}
	if _, err := n.tssbackupd(
		ctx,
		m,
		"keys",
		"add",
		"operator",
		"--keyring-backend",
		"test",
	); err != nil {
		return err
	}
	for _, setting := range [][]string{
		{"config", "p2p.addr_book_strict", "false"},
		{"config", "p2p.allow_duplicate_ip", "true"},
		{"config", "consensus.timeout_commit", "1s"},
		{"app", "min-retain-blocks", fmt.Sprint(keepBlocks)},
	} {
		if _, err := n.tssbackupd(
			ctx,
			m,
			append([]string{"config", "set"}, setting...)...); err != nil {
			return err
		}
	}
	id, err := n.tssbackupd(ctx, m, "comet", "show-node-id")
	if err != nil {
		return err
	}
	m.nodeID = strings.TrimSpace(string(id))
	operator, err := n.tssbackupd(
		ctx,
		m,
		"keys",
		"show",
		"operator",
		"--bech",
		"val",
		"--address",
		"--keyring-backend",
		"test",
	)
	if err != nil {
		return err
	}
	m.Operator = strings.TrimSpace(string(operator))
	return nil
}

// editGenesis shortens the voting period, because governance is quick in a demo, and the time for
// which evidence counts, because nodes keep blocks that long.
func editGenesis(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return err
	}
	params, ok := dig(doc, "app_state", "gov", "params")
	if !ok {
		return errors.New("the genesis has no governance parameters")
	}
	params["voting_period"] = "4s"
	params["expedited_voting_period"] = "3s"
	evidence, ok := dig(doc, "consensus", "params", "evidence")
	if !ok {
		return errors.New("the genesis has no parameters of evidence")
	}
	evidence["max_age_num_blocks"] = fmt.Sprint(keepBlocks)
	evidence["max_age_duration"] = fmt.Sprint(time.Second.Nanoseconds())
	raw, err = json.MarshalIndent(doc, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o600)
}

func dig(m map[string]any, keys ...string) (map[string]any, bool) {
	for _, key := range keys {
		next, ok := m[key].(map[string]any)
		if !ok {
			return nil, false
		}
		m = next
	}
	return m, true
}

func (n *network) startValidator(ctx context.Context, m *member) error {
	var peers []string
	for _, other := range n.members {
		if other != m {
			peers = append(peers, other.nodeID+"@"+other.p2p)
		}
	}
	name := fmt.Sprintf("validator%d", m.Index)
	err := n.procs.start(name, n.log(name), n.path("tssbackupd"), "start", "--home", m.home,
		"--p2p.laddr", "tcp://"+m.p2p,
		"--rpc.laddr", "tcp"+strings.TrimPrefix(m.RPC, "http"),
		"--rpc.pprof_laddr", "",
		"--p2p.persistent_peers", strings.Join(peers, ","),
		"--grpc.enable=false", "--api.enable", "--api.address", "tcp"+strings.TrimPrefix(m.API, "http"),
		"--api.swagger",
		"--log_no_color")
	if err != nil {
		return err
	}
	return ctx.Err()
}

// waitHeight waits until the validator's node has a block.
func (n *network) waitHeight(ctx context.Context, m *member, height int64) error {
	name := fmt.Sprintf("validator%d", m.Index)
	return await(
		ctx,
		time.Minute,
		fmt.Sprintf("block %d at %s", height, name),
		func(ctx context.Context) (bool, error) {
			if err := n.procs.alive(name); err != nil {
				return false, err
			}
			status, err := n.status(ctx, m)
			return status.Latest >= height, err
		},
	)
}

// blocks are the first and the last block that a node has.
type blocks struct {
	Earliest int64 `json:"earliest_block_height,string"`
	Latest   int64 `json:"latest_block_height,string"`
}

func (n *network) status(ctx context.Context, m *member) (blocks, error) {
	var status struct {
		SyncInfo blocks `json:"sync_info"`
	}
	out, err := n.tssbackupd(ctx, m, "status", "--node", m.nodeURL())
	if err != nil {
		return blocks{}, err
	}
	err = json.Unmarshal(out, &status)
	return status.SyncInfo, err
}

func (m *member) nodeURL() string { return "tcp" + strings.TrimPrefix(m.RPC, "http") }

// send lets the operator of m send a transaction and waits until it is in a block and has
// succeeded.
func (n *network) send(ctx context.Context, m *member, args ...string) error {
	args = append(
		args,
		"--from",
		"operator",
		"--keyring-backend",
		"test",
		"--chain-id",
		chainID,
		"--node",
		m.nodeURL(),
		"--gas",
		"500000",
		"--fees",
		"5000stake",
		"--yes",
		"--output",
		"json",
	)
	out, err := n.tssbackupd(ctx, m, args...)
	if err != nil {
		return err
	}
	var sent struct {
		Code   int    `json:"code"`
		RawLog string `json:"raw_log"`
		TxHash string `json:"txhash"`
	}
	if err := json.Unmarshal(out, &sent); err != nil {
		return err
	}
	if sent.Code != 0 {
		return fmt.Errorf("%s: %s", strings.Join(args[:3], " "), sent.RawLog)
	}
	return await(
		ctx,
		time.Minute,
		"the transaction of "+strings.Join(args[:3], " "),
		func(ctx context.Context) (bool, error) {
			out, err := n.tssbackupd(
				ctx,
				m,
				"query",
				"tx",
				sent.TxHash,
				"--node",
				m.nodeURL(),
				"--output",
				"json",
			)
			if err != nil {
				return false, err
			}
			if err := json.Unmarshal(out, &sent); err != nil {
				return false, err
			}
			if sent.Code != 0 {
				return false, fmt.Errorf("it failed: %s", sent.RawLog)
			}
			return true, nil
		},
	)
}

// query asks the first validator's node about the module.
func (n *network) query(ctx context.Context, into any, args ...string) error {
	m := n.members[0]
	args = append(append([]string{"query"}, args...), "--node", m.nodeURL(), "--output", "json")
	out, err := n.tssbackupd(ctx, m, args...)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}
