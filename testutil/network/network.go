// Package network runs a chain of several validators inside a test: each validator is a CometBFT
// node with its own app, connected to the others over loopback. A validator can be stopped and
// started again with its data, or with the next version of its app.
//
//	n := network.New(t, network.Config{Validators: 4})
//	n.RegisterSigners()
//	backups := n.BackUp()
//
// That is the chain of package app. Another one is told by Config.Chain: how its app is built, its
// prefixes and derivation path, and what differs in its genesis, its fees and its authority. The
// signers are fake: a [Ballot] has the messages of a keygen's members, and package dealer deals
// them the keyshares that a ceremony would leave.
//
// Helpers fail the test when something does not hold, so they are called from the test's goroutine.
// Nothing waits for a fixed time: what waits, waits for a condition. The validators' keys follow
// from the chain id and their numbers, so that two runs of a test differ in nothing but timing.
package network

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	cmtdb "github.com/cometbft/cometbft-db"
	abci "github.com/cometbft/cometbft/abci/types"
	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	"github.com/cometbft/cometbft/rpc/client/local"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/server"
	serverlog "github.com/cosmos/cosmos-sdk/server/log"
	"github.com/cosmos/cosmos-sdk/testutil/sims"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/freeport"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	// Timeout is how long a helper waits for a condition before it fails the test.
	Timeout = 60 * time.Second
	// poll is how often a condition is looked at.
	poll = 20 * time.Millisecond
	// MinGasPrices is what every validator of the demo chain asks, so that a transaction that costs
	// nothing shows that it is exempt.
	MinGasPrices = minGasPrice + Denom
	minGasPrice  = "0.001"
)

// Config says what differs from a plain network of four validators. The zero value is usable.
type Config struct {
	// Validators is the number of validators, 4 if it is 0.
	Validators int
	// Running is how many of them have a node, all if it is 0. Those have nearly all the power, so
	// that the others' signers may be members of a vault of any size on one machine.
	Running int
	// ChainID is "tssbackup-test" if it is empty.
	ChainID string
	// TimeoutCommit is the pause between blocks, 200 ms if it is 0.
	TimeoutCommit time.Duration
	// Tssbackup changes the module's genesis. The default parameters accept envelopes of the lowest
	// work factor, so that sealing is quick.
	Tssbackup func(*types.GenesisState)
	// Genesis changes the app's genesis, after Tssbackup, as the last step.
	Genesis func(cdc codec.JSONCodec, state map[string]json.RawMessage)
	// Consensus changes the consensus parameters of the genesis.
	Consensus func(params *cmttypes.ConsensusParams)
	// GenesisDoc replaces the genesis altogether: the network goes on from an exported state. Its
	// validators are those of a network of the same ChainID, or KeysOf, and size.
	GenesisDoc *cmttypes.GenesisDoc
	// KeysOf is the chain id from which all keys follow, ChainID if it is empty.
	KeysOf string
	// Node changes the configuration of validator i, each time it starts, just before its app is
	// built. A node that joins counts on from the validators.
	Node func(i int, cfg *NodeConfig)
	// Logger is for what nodes and apps log; nothing is logged if it is nil.
	Logger log.Logger
	// Chain is which chain it is: the demo chain, if nothing is said.
	Chain Chain
}

// NodeConfig is what one validator's node is started with.
type NodeConfig struct {
	Comet *cmtcfg.Config
	// AppOptions is what a daemon reads from app.toml and its flags.
	AppOptions sims.AppOptionsMap
	// BaseApp sets pruning, snapshots and the like.
	BaseApp []func(*baseapp.BaseApp)
}

// Network is a running chain.
type Network struct {
	// ChainID is the chain's id, Validators its validators in order.
	ChainID    string
	Validators []*Validator

	t       testing.TB
	cfg     Config
	genesis *cmttypes.GenesisDoc
	root    string
	joined  []*Validator
}

// Validator is one validator and its node.
type Validator struct {
	// Index is its number in the network, and Moniker its name.
	Index   int
	Moniker string
	// Home is the folder of the node's files, as a daemon has it.
	Home string
	// Operator is the account that controls the validator; it has funds.
	Operator Account
	// Signer is the account of the key that a bifrost of this validator derives from the mnemonic.
	// It has no funds, and exists once it is registered.
	Signer Account

	network *Network
	privVal *privval.FilePV
	nodeKey *p2p.NodeKey
	p2pAddr string
	rpcAddr string
	client  *rpchttp.HTTP

	// appDB and cometDBs outlive the node, so that it can be started again.
	appDB    dbm.DB
	cometDBs map[string]cmtdb.DB

	node *node.Node
	app  App
	// stopping is set when the node is to stop.
	stopping *atomic.Bool
	// endRepair ends the check of the archive that the node began with.
	endRepair func()
}

// New starts a network and waits for its first block. The network stops when the test ends.
func New(t testing.TB, cfg Config) *Network {
	t.Helper()
	if cfg.Validators == 0 {
		cfg.Validators = 4
	}
	if cfg.Running == 0 {
		cfg.Running = cfg.Validators
	}
	if cfg.ChainID == "" {
		cfg.ChainID = "tssbackup-test"
	}
	if cfg.KeysOf == "" {
		cfg.KeysOf = cfg.ChainID
	}
	if cfg.TimeoutCommit == 0 {
		cfg.TimeoutCommit = 200 * time.Millisecond
	}
	if cfg.Logger == nil {
		cfg.Logger = log.NewNopLogger()
	}
	cfg.Chain = cfg.Chain.withDefaults()
	n := &Network{ChainID: cfg.ChainID, t: t, cfg: cfg, root: t.TempDir()}

	// An app without a node makes the genesis.
	a, err := cfg.Chain.New(
		log.NewNopLogger(),
		dbm.NewMemDB(),
		sims.NewAppOptionsWithFlagHome(filepath.Join(n.root, "genesis")),
		baseapp.SetChainID(cfg.ChainID),
	)
	require.NoError(t, err)

	addrs, err := freeport.Addrs(2 * cfg.Validators)
	require.NoError(t, err)
	for i := range cfg.Validators {
		n.Validators = append(n.Validators, n.newValidator(i, addrs[2*i], addrs[2*i+1]))
	}
	n.genesis = cfg.GenesisDoc
	if n.genesis == nil {
		n.genesis = n.newGenesis(a)
	}

	t.Cleanup(func() {
		for _, v := range append(n.Validators, n.joined...) {
			if v.Running() {
				assert.NoError(t, v.stop(), v)
			}
		}
	})
	for i := range cfg.Running {
		n.Start(i)
	}
	n.WaitHeight(n.genesis.InitialHeight)
	return n
}

func (n *Network) newValidator(i int, p2pAddr, rpcAddr string) *Validator {
	v := &Validator{
		Index:    i,
		Moniker:  fmt.Sprintf("validator%d", i),
		Operator: n.cfg.Chain.Addresses.NewAccount(fmt.Sprintf("%s/operator/%d", n.cfg.KeysOf, i)),
		Signer:   n.cfg.Chain.Addresses.NewAccount(fmt.Sprintf("%s/signer/%d", n.cfg.KeysOf, i)),
		network:  n,
		appDB:    dbm.NewMemDB(),
		cometDBs: make(map[string]cmtdb.DB),
	}
	v.Home = filepath.Join(n.root, v.Moniker)
	for _, dir := range []string{"config", "data"} {
		require.NoError(n.t, os.MkdirAll(filepath.Join(v.Home, dir), 0o700))
	}
	v.nodeKey = &p2p.NodeKey{PrivKey: newConsensusKey(fmt.Sprintf("%s/node/%d", n.cfg.KeysOf, i))}
	v.privVal = privval.NewFilePV(
		newConsensusKey(fmt.Sprintf("%s/consensus/%d", n.cfg.KeysOf, i)),
		filepath.Join(v.Home, "config", "priv_validator_key.json"),
		filepath.Join(v.Home, "data", "priv_validator_state.json"),
	)
	v.privVal.Save()
	v.p2pAddr, v.rpcAddr = p2pAddr, rpcAddr
	return v
}

// Start starts validator i, again with its data if it was stopped.
func (n *Network) Start(i int) {
	n.t.Helper()
	require.NoError(n.t, n.TryStart(i))
}

// TryStart is Start, and returns why the app or the node does not start.
func (n *Network) TryStart(i int) error {
	n.t.Helper()
	v := n.Validators[i]
	require.False(n.t, v.Running(), "%s is running", v.Moniker)
	return n.start(v, v.config())
}

// Join starts a node that is no validator and returns it. It has an empty state, and knows all
// validators; change says where it gets its state from.
func (n *Network) Join(change func(cfg *NodeConfig)) *Validator {
	n.t.Helper()
	addrs, err := freeport.Addrs(2)
	require.NoError(n.t, err)
	v := n.newValidator(len(n.Validators)+len(n.joined), addrs[0], addrs[1])
	n.joined = append(n.joined, v)
	cfg := v.config()
	change(cfg)
	require.NoError(n.t, n.start(v, cfg))
	return v
}

func (n *Network) start(v *Validator, cfg *NodeConfig) error {
	i := v.Index
	if n.cfg.Node != nil {
		n.cfg.Node(i, cfg)
	}
	stopping := new(atomic.Bool)
	opened, err := n.cfg.Chain.New(
		n.cfg.Logger.With("validator", i),
		v.appDB,
		cfg.AppOptions,
		append(cfg.BaseApp, refusePeersWhen(stopping))...)
	if err != nil {
		return err
	}
	started, err := node.NewNode(
		cfg.Comet,
		privval.LoadFilePV(cfg.Comet.PrivValidatorKeyFile(), cfg.Comet.PrivValidatorStateFile()),
		v.nodeKey,
		proxy.NewLocalClientCreator(server.NewCometABCIWrapper(opened)),
		func() (*cmttypes.GenesisDoc, error) { return n.genesis, nil },
		v.cometDB,
		node.DefaultMetricsProvider(cfg.Comet.Instrumentation),
		serverlog.CometLoggerWrapper{Logger: n.cfg.Logger.With("validator", i)},
	)
	if err != nil {
		return err
	}
	if err := started.Start(); err != nil {
		return err
	}
	v.app, v.node, v.stopping = opened, started, stopping
	// A client of the node's own: the connections of the one before may live on, and with them the
	// node that stopped would answer.
	if v.client, err = rpchttp.New(v.RPC(), "/websocket"); err != nil {
		return err
	}

	// As the daemon does.
	ctx, cancel := context.WithCancel(context.Background())
	repaired := make(chan struct{})
	kept, blocks := v.app.ArchiveNode(), local.New(v.node)
	go func() {
		defer close(repaired)
		if kept != nil {
			kept.KeepWhole(ctx, blocks)
		}
	}()
	v.endRepair = func() {
		cancel()
		<-repaired
	}
	return nil
}

// Stop stops validator i. Its data stays.
func (n *Network) Stop(i int) {
	n.t.Helper()
	v := n.Validators[i]
	require.True(n.t, v.Running(), "%s is not running", v.Moniker)
	require.NoError(n.t, v.stop())
}

// refusePeersWhen has a node refuse peers when it stops. A node forgets those who come while it
// stops and leaves their connections open. They end with a process; here they would live on, and
// the others would take them for the node and refuse it when it comes back, for up to two minutes.
func refusePeersWhen(stopping *atomic.Bool) func(*baseapp.BaseApp) {
	return func(app *baseapp.BaseApp) {
		app.SetIDPeerFilter(func(string) *abci.ResponseQuery {
			if stopping.Load() {
				return &abci.ResponseQuery{Code: 1, Log: "the node stops"}
			}
			return &abci.ResponseQuery{}
		})
	}
}

func (v *Validator) stop() error {
	v.endRepair()
	v.stopping.Store(true)
	err := v.node.Stop()
	v.node.Wait()
	v.node = nil
	if closeErr := v.app.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Running reports whether the validator is started.
func (v *Validator) Running() bool { return v.node != nil }

// RPC is the address of the node's RPC server, as in http://127.0.0.1:26657.
func (v *Validator) RPC() string { return "http://" + v.rpcAddr }

// Client speaks to the node's RPC server.
func (v *Validator) Client() *rpchttp.HTTP { return v.client }

// App is the running node's app, for what only its insides show: a type assertion to the chain's
// own type has the rest of them.
func (v *Validator) App() App { return v.app }

// ConsensusKey is the public key with which the validator signs blocks.
func (v *Validator) ConsensusKey() crypto.PubKey { return v.privVal.Key.PubKey }

// Genesis is what the network started from.
func (n *Network) Genesis() *cmttypes.GenesisDoc { return n.genesis }

// ClientContext sends queries to the node and knows its app's codecs:
// types.NewQueryClient(v.ClientContext()) is the module's query client.
func (v *Validator) ClientContext() client.Context {
	a := v.app
	return client.Context{}.
		WithCodec(a.AppCodec()).
		WithInterfaceRegistry(a.AppCodec().InterfaceRegistry()).
		WithTxConfig(a.TxConfig()).
		WithChainID(v.network.ChainID).
		WithClient(v.client)
}

// config is what the validator's node starts with before the test changes it.
func (v *Validator) config() *NodeConfig {
	n := v.network
	comet := cmtcfg.DefaultConfig()
	comet.SetRoot(v.Home)
	comet.Moniker = v.Moniker
	comet.P2P.ListenAddress = "tcp://" + v.p2pAddr
	comet.P2P.AddrBookStrict = false
	comet.P2P.AllowDuplicateIP = true
	comet.P2P.PexReactor = false
	comet.FilterPeers = true
	comet.P2P.FlushThrottleTimeout = 10 * time.Millisecond
	comet.P2P.PersistentPeersMaxDialPeriod = time.Second
	var peers []string
	for _, peer := range n.Validators {
		if peer != v {
			peers = append(peers, fmt.Sprintf("%s@%s", peer.nodeKey.ID(), peer.p2pAddr))
		}
	}
	comet.P2P.PersistentPeers = strings.Join(peers, ",")
	comet.RPC.ListenAddress = "tcp://" + v.rpcAddr
	comet.RPC.PprofListenAddress = ""
	// No index of transactions: what a vote came to shows in state.
	comet.TxIndex.Indexer = "null"
	comet.Consensus.TimeoutPropose = time.Second
	comet.Consensus.TimeoutPrevote = 500 * time.Millisecond
	comet.Consensus.TimeoutPrecommit = 500 * time.Millisecond
	comet.Consensus.TimeoutCommit = n.cfg.TimeoutCommit
	comet.Consensus.PeerGossipSleepDuration = 10 * time.Millisecond
	return &NodeConfig{
		Comet:      comet,
		AppOptions: sims.AppOptionsMap{flags.FlagHome: v.Home},
		BaseApp: []func(*baseapp.BaseApp){
			baseapp.SetChainID(n.ChainID),
			baseapp.SetMinGasPrices(minGasPrice + n.cfg.Chain.Denom),
		},
	}
}

// cometDB gives the node's databases. They are kept in memory past the node, so that closing them
// does nothing.
func (v *Validator) cometDB(ctx *cmtcfg.DBContext) (cmtdb.DB, error) {
	db, ok := v.cometDBs[ctx.ID]
	if !ok {
		db = cmtdb.NewMemDB()
		v.cometDBs[ctx.ID] = db
	}
	return db, nil
}
