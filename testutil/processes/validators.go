package processes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cosmos/gogoproto/jsonpb"
	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/testutil/freeport"
)

const (
	funds = "1000000000stake"
	bond  = "500000000stake"
)

// Config says what differs from a plain network of four.
type Config struct {
	// Size is the number of validators, each with a signer: 4 if it is 0.
	Size int
	// Bin is the folder of the binaries, Dir that of the network's files, which is empty.
	Bin, Dir string
	ChainID  string
	// Params are those of the module that differ from the defaults, as its genesis spells them.
	Params map[string]any
	// KeepBlocks is how many blocks a node keeps: all of them if it is 0.
	KeepBlocks int
	// PreParams are the sets of pre-parameters of each signer, which is how many keygens it takes
	// part in: 1 if it is 0.
	PreParams int
	// Tables are what is added to the end of a signer's configuration, if anything is.
	Tables func(m *Member) string
	// Claims has the signers find each other by their claims alone: no configuration names another.
	Claims bool
	// Relayed is the index of the member whose node reaches the others through relays, which can be
	// cut; of none when it is 0. Nodes do not tell each other of others then.
	Relayed int
}

// Network is validators with their signers in one folder.
type Network struct {
	Config
	Processes
	Members []*Member

	proposals int            // so far
	preParams int            // sets that were given away
	relays    map[int]*relay // to the nodes of others, by their members' indexes
}

// Member is a validator, its operator and its signer.
type Member struct {
	Index        int    `json:"index"`
	Address      string `json:"address"`
	Operator     string `json:"operator"`
	MnemonicFile string `json:"mnemonic_file"`
	SignerHome   string `json:"signer_home"`
	RPC          string `json:"rpc"`
	API          string `json:"api"`
	// Backups is the folder in which the signer's home is backed up.
	Backups string `json:"-"`
	// Metrics is the host and the port of the signer's metrics.
	Metrics string `json:"-"`

	home        string // the validator's
	nodeID      string
	p2p, signer string // host:port of the validator's and of the signer's listener
	peer        string // the signer's multiaddr, with its peer id
	host        string // what names the host, where it is not the first one
}

// New makes the folders of a network and finds its ports. Nothing runs yet.
func New(cfg Config) (*Network, error) {
	if cfg.Size == 0 {
		cfg.Size = 4
	}
	if cfg.PreParams == 0 {
		cfg.PreParams = 1
	}
	n := &Network{Config: cfg, relays: map[int]*relay{}}
	for _, sub := range []string{"logs", "mnemonics"} {
		if err := os.MkdirAll(filepath.Join(cfg.Dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	ports, err := freeport.Addrs(5 * cfg.Size)
	if err != nil {
		return nil, err
	}
	for i := range cfg.Size {
		own := ports[5*i:]
		n.Members = append(n.Members, &Member{
			p2p: own[0], RPC: "http://" + own[1], signer: own[2], Metrics: own[3],
			API:          "http://" + own[4],
			Index:        i,
			MnemonicFile: filepath.Join(cfg.Dir, "mnemonics", fmt.Sprintf("member%d", i)),
			Backups:      filepath.Join(cfg.Dir, "backups", fmt.Sprintf("member%d", i)),
			SignerHome:   filepath.Join(cfg.Dir, fmt.Sprintf("signer%d", i)),
			home:         filepath.Join(cfg.Dir, fmt.Sprintf("validator%d", i)),
		})
	}
	return n, nil
}

// Log is the file with what a process said.
func (n *Network) Log(name string) string { return filepath.Join(n.Dir, "logs", name+".log") }

// Path is that of a binary.
func (n *Network) Path(name string) string { return filepath.Join(n.Bin, name) }

func (n *Network) tssbackupd(ctx context.Context, m *Member, args ...string) ([]byte, error) {
	return Command(ctx, n.Path("tssbackupd"), append(args, "--home", m.home)...)
}

// StartValidators makes a genesis with all validators, starts their nodes, and waits for the first
// blocks.
func (n *Network) StartValidators(ctx context.Context) error {
	first := n.Members[0]
	for _, m := range n.Members {
		if err := n.initValidator(ctx, m); err != nil {
			return err
		}
	}
	// Every operator has funds in the first node's genesis, which collects the genesis transactions
	// of all.
	for _, m := range n.Members {
		account, err := n.key(ctx, m, "acc")
		if err != nil {
			return err
		}
		if _, err := n.tssbackupd(
			ctx, first, "genesis", "add-genesis-account", account, funds,
		); err != nil {
			return err
		}
	}
	if err := n.editGenesis(first.genesisFile()); err != nil {
		return err
	}
	if err := n.shareGenesis(); err != nil {
		return err
	}
	gentxs := filepath.Join(n.Dir, "gentxs")
	if err := os.MkdirAll(gentxs, 0o700); err != nil {
		return err
	}
	for _, m := range n.Members {
		out := filepath.Join(gentxs, fmt.Sprintf("gentx%d.json", m.Index))
		if _, err := n.tssbackupd(
			ctx, m, "genesis", "gentx", "operator", bond, "--chain-id", n.ChainID,
			"--keyring-backend", "test", "--output-document", out,
			"--node-id", m.nodeID, "--ip", "127.0.0.1",
		); err != nil {
			return err
		}
	}
	if _, err := n.tssbackupd(
		ctx, first, "genesis", "collect-gentxs", "--gentx-dir", gentxs,
	); err != nil {
		return err
	}
	if err := n.shareGenesis(); err != nil {
		return err
	}
	for _, m := range n.Members {
		if err := n.StartValidator(m); err != nil {
			return err
		}
	}
	for _, m := range n.Members {
		if err := n.WaitHeight(ctx, m, 2); err != nil {
			return err
		}
	}
	return nil
}

func (m *Member) genesisFile() string { return filepath.Join(m.home, "config", "genesis.json") }

// shareGenesis gives the first validator's genesis to all.
func (n *Network) shareGenesis() error {
	genesis, err := os.ReadFile(n.Members[0].genesisFile())
	if err != nil {
		return err
	}
	for _, m := range n.Members[1:] {
		if err := os.WriteFile(m.genesisFile(), genesis, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (n *Network) initValidator(ctx context.Context, m *Member) error {
	if _, err := n.tssbackupd(
		ctx, m, "init", m.ValidatorName(), "--chain-id", n.ChainID,
	); err != nil {
		return err
	}
	if _, err := n.tssbackupd(
		ctx, m, "keys", "add", "operator", "--keyring-backend", "test",
	); err != nil {
		return err
	}
	for _, setting := range [][]string{
		{"config", "p2p.addr_book_strict", "false"},
		{"config", "p2p.allow_duplicate_ip", "true"},
		{"config", "consensus.timeout_commit", "1s"},
		{"config", "p2p.pex", fmt.Sprint(n.Relayed == 0)},
		{"app", "min-retain-blocks", fmt.Sprint(n.KeepBlocks)},
	} {
		if _, err := n.tssbackupd(
			ctx, m, append([]string{"config", "set"}, setting...)...,
		); err != nil {
			return err
		}
	}
	id, err := n.tssbackupd(ctx, m, "comet", "show-node-id")
	if err != nil {
		return err
	}
	m.nodeID = strings.TrimSpace(string(id))
	m.Operator, err = n.key(ctx, m, "val")
	return err
}

// key is the operator's address with a prefix of this kind.
func (n *Network) key(ctx context.Context, m *Member, kind string) (string, error) {
	out, err := n.tssbackupd(
		ctx, m, "keys", "show", "operator", "--bech", kind, "--address",
		"--keyring-backend", "test",
	)
	return strings.TrimSpace(string(out)), err
}

// editGenesis shortens the voting period, so that governance is quick, and the time for which
// evidence counts where nodes do not keep blocks longer.
func (n *Network) editGenesis(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return err
	}
	gov, err := dig(doc, "app_state", "gov", "params")
	if err != nil {
		return err
	}
	gov["voting_period"] = "4s"
	gov["expedited_voting_period"] = "3s"
	if n.KeepBlocks > 0 {
		evidence, err := dig(doc, "consensus", "params", "evidence")
		if err != nil {
			return err
		}
		evidence["max_age_num_blocks"] = fmt.Sprint(n.KeepBlocks)
		evidence["max_age_duration"] = fmt.Sprint(time.Second.Nanoseconds())
	}
	params, err := dig(doc, "app_state", "tssbackup", "params")
	if err != nil {
		return err
	}
	for name, value := range n.Params {
		if _, ok := params[name]; !ok {
			return fmt.Errorf("the module has no parameter %s", name)
		}
		params[name] = value
	}
	raw, err = json.MarshalIndent(doc, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o600)
}

func dig(m map[string]any, keys ...string) (map[string]any, error) {
	for _, key := range keys {
		next, ok := m[key].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("the genesis has no %s", strings.Join(keys, "."))
		}
		m = next
	}
	return m, nil
}

// ValidatorName and SignerName are the names of a member's processes.
func (m *Member) ValidatorName() string { return fmt.Sprintf("validator%d", m.Index) }

// SignerName is told at [Member.ValidatorName].
func (m *Member) SignerName() string { return fmt.Sprintf("signer%d%s", m.Index, m.host) }

// StartValidator starts a validator's node, with its data.
func (n *Network) StartValidator(m *Member) error {
	peers, err := n.peersOf(m)
	if err != nil {
		return err
	}
	name := m.ValidatorName()
	return n.Start(name, n.Log(name), nil, n.Path("tssbackupd"), "start", "--home", m.home,
		"--p2p.laddr", "tcp://"+m.p2p,
		"--rpc.laddr", "tcp"+strings.TrimPrefix(m.RPC, "http"),
		"--rpc.pprof_laddr", "",
		"--p2p.persistent_peers", strings.Join(peers, ","),
		"--grpc.enable=false", "--api.enable",
		"--api.address", "tcp"+strings.TrimPrefix(m.API, "http"), "--api.swagger",
		"--log_no_color")
}

// WaitHeight waits until the validator's node has a block.
func (n *Network) WaitHeight(ctx context.Context, m *Member, height int64) error {
	what := fmt.Sprintf("block %d at %s", height, m.ValidatorName())
	return Await(ctx, time.Minute, what, func(ctx context.Context) (bool, error) {
		if err := n.Alive(m.ValidatorName()); err != nil {
			return false, err
		}
		blocks, err := n.Blocks(ctx, m)
		return blocks.Latest >= height, err
	})
}

// Blocks are the first and the last block that a node has.
type Blocks struct {
	Earliest int64 `json:"earliest_block_height,string"`
	Latest   int64 `json:"latest_block_height,string"`
}

// Blocks asks a validator's node.
func (n *Network) Blocks(ctx context.Context, m *Member) (Blocks, error) {
	var status struct {
		Result struct {
			SyncInfo Blocks `json:"sync_info"`
		} `json:"result"`
	}
	body, err := get(ctx, m.RPC+"/status")
	if err != nil {
		return Blocks{}, err
	}
	err = json.Unmarshal(body, &status)
	return status.Result.SyncInfo, err
}

// Peers are the names of the nodes to which a validator's is connected.
func (n *Network) Peers(ctx context.Context, m *Member) (peers []string, err error) {
	var info struct {
		Result struct {
			Peers []struct {
				NodeInfo struct {
					Moniker string `json:"moniker"`
				} `json:"node_info"`
			} `json:"peers"`
		} `json:"result"`
	}
	body, err := get(ctx, m.RPC+"/net_info")
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(body, &info)
	for _, p := range info.Result.Peers {
		peers = append(peers, p.NodeInfo.Moniker)
	}
	return peers, err
}

// Height is the last block of those that the validators' nodes have.
func (n *Network) Height(ctx context.Context) (height int64, err error) {
	var errs []error
	for _, m := range n.Members {
		blocks, err := n.Blocks(ctx, m)
		height = max(height, blocks.Latest)
		errs = append(errs, err)
	}
	if height == 0 {
		return 0, errors.Join(errs...)
	}
	return height, nil
}

// NodeURL is the validator's RPC as its own commands name it.
func (m *Member) NodeURL() string { return "tcp" + strings.TrimPrefix(m.RPC, "http") }

// Send lets the operator of m send a transaction and waits until it is in a block and has
// succeeded.
func (n *Network) Send(ctx context.Context, m *Member, args ...string) error {
	what := strings.Join(args[:3], " ")
	args = append(
		args, "--from", "operator", "--keyring-backend", "test", "--chain-id", n.ChainID,
		"--node", m.NodeURL(), "--gas", "500000", "--fees", "5000stake", "--yes",
		"--output", "json",
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
		return fmt.Errorf("%s: %s", what, sent.RawLog)
	}
	err = Await(ctx, time.Minute, "the transaction of "+what, func(ctx context.Context) (bool, error) {
		out, err := n.tssbackupd(
			ctx, m, "query", "tx", sent.TxHash, "--node", m.NodeURL(), "--output", "json",
		)
		if err != nil {
			return false, err
		}
		err = json.Unmarshal(out, &sent)
		return err == nil, err
	})
	if err == nil && sent.Code != 0 {
		err = fmt.Errorf("%s: it failed in its block: %s", what, sent.RawLog)
	}
	return err
}

// Query asks the first validator's node about the module.
func (n *Network) Query(ctx context.Context, into any, args ...string) error {
	m := n.Members[0]
	args = append(append([]string{"query"}, args...), "--node", m.NodeURL(), "--output", "json")
	out, err := n.tssbackupd(ctx, m, args...)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}

// Ask asks any validator's node that answers about the module, at a path of its REST API below
// /tssbackup/v1/.
func (n *Network) Ask(ctx context.Context, path string, into proto.Message) error {
	body, err := n.getAny(ctx, "/tssbackup/v1/"+path)
	if err != nil {
		return err
	}
	into.Reset()
	return jsonpb.Unmarshal(bytes.NewReader(body), into)
}

// getAny asks the REST API of the first validator's node that answers.
func (n *Network) getAny(ctx context.Context, path string) ([]byte, error) {
	var errs []error
	for _, m := range n.Members {
		body, err := get(ctx, m.API+path)
		if err == nil {
			return body, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, res.Status)
	}
	return io.ReadAll(res.Body)
}
