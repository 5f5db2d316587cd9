package manual_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	cmtdb "github.com/cometbft/cometbft-db"
	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
	"github.com/cometbft/cometbft/rpc/client/local"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/server"
	serverlog "github.com/cosmos/cosmos-sdk/server/log"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/embedding/manual"
	"github.com/tssbackup/tssbackup/testutil/freeport"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	chainID = "manual-1"
	timeout = 30 * time.Second
)

// paid is what this chain's market asks for a message.
var paid = network.TxOptions{Gas: 200_000, Fee: sdk.NewCoins(sdk.NewInt64Coin(manual.Denom, 2_000))}

// account derives an account as this chain does.
func account(t *testing.T, name string) network.Account {
	a := network.NewAccount(chainID + "/" + name)
	key, err := hd.Secp256k1.Derive()(a.Mnemonic, "", manual.HDPath)
	require.NoError(t, err)
	a.Key = hd.Secp256k1.Generate()(key)
	return a
}

// chain is one running node of a chain of four operators, of whom this node's has all but all power.
type chain struct {
	t         *testing.T
	home      string
	genesis   *cmttypes.GenesisDoc
	appDB     dbm.DB
	cometDBs  map[string]cmtdb.DB
	operators []network.Account
	signers   []network.Account

	node   *node.Node
	app    *manual.App
	client *local.Local
}

func newChain(t *testing.T) *chain {
	c := &chain{t: t, home: t.TempDir(), appDB: dbm.NewMemDB(), cometDBs: map[string]cmtdb.DB{}}
	for _, dir := range []string{"config", "data"} {
		require.NoError(t, os.MkdirAll(filepath.Join(c.home, dir), 0o700))
	}
	for i := range 4 {
		c.operators = append(c.operators, account(t, fmt.Sprint("operator ", i)))
		c.signers = append(c.signers, account(t, fmt.Sprint("signer ", i)))
	}
	pv := privval.GenFilePV(c.config().PrivValidatorKeyFile(), c.config().PrivValidatorStateFile())
	pv.Save()

	// The version before the upgrade makes the genesis.
	app, err := manual.New(log.NewNopLogger(), dbm.NewMemDB(), t.TempDir(), c.operators[0].Address(), false)
	require.NoError(t, err)
	state := app.DefaultGenesis()
	var (
		nodes    []manual.Node
		accounts []authtypes.GenesisAccount
		balances []banktypes.Balance
	)
	for i, o := range c.operators {
		n := manual.Node{Operator: sdk.ValAddress(o.Address()), PubKey: pv.Key.PubKey.Bytes(), Power: 1_000}
		if i > 0 {
			n.PubKey, n.Power = privval.GenFilePV("", "").Key.PubKey.Bytes(), 1
		}
		nodes = append(nodes, n)
		accounts = append(accounts, authtypes.NewBaseAccount(o.Address(), nil, uint64(i), 0))
		balances = append(balances, banktypes.Balance{
			Address: o.Bech32(), Coins: sdk.NewCoins(sdk.NewInt64Coin(manual.Denom, 1_000_000)),
		})
	}
	state[manual.NodesName], err = json.Marshal(nodes)
	require.NoError(t, err)
	state[authtypes.ModuleName] = app.Codec().MustMarshalJSON(authtypes.NewGenesisState(authtypes.DefaultParams(), accounts))
	bank := banktypes.DefaultGenesisState()
	bank.Balances = balances
	state[banktypes.ModuleName] = app.Codec().MustMarshalJSON(bank)
	appState, err := json.Marshal(state)
	require.NoError(t, err)
	c.genesis = &cmttypes.GenesisDoc{
		GenesisTime: time.Now().UTC(), ChainID: chainID, InitialHeight: 1,
		ConsensusParams: cmttypes.DefaultConsensusParams(), AppState: appState,
	}
	require.NoError(t, c.genesis.ValidateAndComplete())
	t.Cleanup(func() {
		if c.node != nil {
			c.stop()
		}
	})
	return c
}

func (c *chain) config() *cmtcfg.Config {
	addrs, err := freeport.Addrs(2)
	require.NoError(c.t, err)
	cfg := cmtcfg.DefaultConfig()
	cfg.SetRoot(c.home)
	cfg.P2P.ListenAddress, cfg.P2P.PexReactor = "tcp://"+addrs[0], false
	cfg.RPC.ListenAddress, cfg.RPC.PprofListenAddress = "tcp://"+addrs[1], ""
	cfg.TxIndex.Indexer = "null"
	cfg.Consensus.TimeoutPropose = 200 * time.Millisecond
	cfg.Consensus.TimeoutPrevote, cfg.Consensus.TimeoutPrecommit = 100*time.Millisecond, 100*time.Millisecond
	cfg.Consensus.TimeoutCommit = 20 * time.Millisecond
	return cfg
}

// start runs the version that embeds the module, or the one before.
func (c *chain) start(embeds bool) {
	c.t.Helper()
	cfg := c.config()
	var err error
	c.app, err = manual.New(log.NewNopLogger(), c.appDB, c.home, c.operators[0].Address(), embeds, baseapp.SetChainID(chainID))
	require.NoError(c.t, err)
	key, err := p2p.LoadOrGenNodeKey(cfg.NodeKeyFile())
	require.NoError(c.t, err)
	c.node, err = node.NewNode(
		cfg,
		privval.LoadFilePV(cfg.PrivValidatorKeyFile(), cfg.PrivValidatorStateFile()),
		key,
		proxy.NewLocalClientCreator(server.NewCometABCIWrapper(c.app)),
		func() (*cmttypes.GenesisDoc, error) { return c.genesis, nil },
		func(ctx *cmtcfg.DBContext) (cmtdb.DB, error) {
			if c.cometDBs[ctx.ID] == nil {
				c.cometDBs[ctx.ID] = cmtdb.NewMemDB()
			}
			return c.cometDBs[ctx.ID], nil
		},
		node.DefaultMetricsProvider(cfg.Instrumentation),
		serverlog.CometLoggerWrapper{Logger: log.NewNopLogger()},
	)
	require.NoError(c.t, err)
	require.NoError(c.t, c.node.Start())
	c.client = local.New(c.node)
}

func (c *chain) stop() {
	c.t.Helper()
	require.NoError(c.t, c.node.Stop())
	c.node.Wait()
	c.node = nil
}

func (c *chain) wait(condition func() bool, what string) {
	c.t.Helper()
	require.Eventually(c.t, condition, timeout, 10*time.Millisecond, what)
}

// ctx reads the last state.
func (c *chain) ctx() sdk.Context {
	c.t.Helper()
	ctx, err := c.app.At(c.app.LastBlockHeight())
	require.NoError(c.t, err)
	return ctx
}

// tx signs a message with the account's next sequence in state.
func (c *chain) tx(from network.Account, opts network.TxOptions, msg sdk.Msg) []byte {
	c.t.Helper()
	a := c.app.AccountKeeper.GetAccount(c.ctx(), from.Address())
	require.NotNil(c.t, a)
	signer := network.Signer{Account: from, Number: a.GetAccountNumber(), Sequence: a.GetSequence()}
	tx, err := c.app.TxConfig().TxEncoder()(
		network.SignTx(c.t, c.app.TxConfig(), chainID, []network.Signer{signer}, opts, msg))
	require.NoError(c.t, err)
	return tx
}

// send waits until a transaction is in a block, where it succeeds.
func (c *chain) send(from network.Account, opts network.TxOptions, msg sdk.Msg) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	res, err := c.client.BroadcastTxCommit(ctx, c.tx(from, opts, msg))
	require.NoError(c.t, err)
	require.Zero(c.t, res.CheckTx.Code, res.CheckTx.Log)
	require.Zero(c.t, res.TxResult.Code, res.TxResult.Log)
	c.wait(func() bool { return c.app.LastBlockHeight() >= res.Height }, "the block of the transaction")
}

// planned has the admin plan the upgrade, for which the version before stops.
func (c *chain) planned() upgradetypes.Plan {
	c.t.Helper()
	c.start(false)
	c.wait(func() bool { return c.app.LastBlockHeight() > 0 }, "the first block")
	plan := upgradetypes.Plan{Name: manual.UpgradeName, Height: c.app.LastBlockHeight() + 10}
	c.send(c.operators[0], paid, &upgradetypes.MsgSoftwareUpgrade{Authority: c.operators[0].Bech32(), Plan: plan})
	c.wait(func() bool {
		_, err := os.Stat(filepath.Join(c.home, "data", upgradetypes.UpgradeInfoFilename))
		return err == nil
	}, "the version before to stop for the upgrade")
	require.Equal(c.t, plan.Height-1, c.app.LastBlockHeight())
	require.Zero(c.t, c.maxGas()+1, "no block was bounded before")
	c.stop()
	return plan
}

// upgrade has the version with the module go on where the one before stops.
func (c *chain) upgrade() {
	c.t.Helper()
	plan := c.planned()
	c.start(true)
	c.wait(func() bool { return c.app.LastBlockHeight() > plan.Height }, "a block after the upgrade")
}

func (c *chain) maxGas() int64 {
	c.t.Helper()
	params, err := c.app.ConsensusKeeper.ParamsStore.Get(c.ctx())
	require.NoError(c.t, err)
	return params.Block.MaxGas
}

// register registers the signers of all operators.
func (c *chain) register() {
	c.t.Helper()
	for i, o := range c.operators {
		msg, err := c.signers[i].Registration(chainID, sdk.ValAddress(o.Address()), 0)
		require.NoError(c.t, err)
		require.Contains(c.t, msg.Operator, "thorv1")
		gas, err := types.SignerGas(msg, 0)
		require.NoError(c.t, err)
		c.send(o, network.TxOptions{Gas: gas, Fee: sdk.NewCoins(sdk.NewInt64Coin(manual.Denom, int64(gas)))}, msg)
	}
}

// free is a transaction of a member that pays nothing.
func (c *chain) free(from network.Account, msg sdk.Msg) {
	c.t.Helper()
	gas, err := types.SignerGas(msg, len(c.signers))
	require.NoError(c.t, err)
	c.send(from, network.TxOptions{Gas: gas}, msg)
}

// ballot has all signers join the keygen that the chain began.
func (c *chain) ballot() network.Ballot {
	c.t.Helper()
	ballot := network.Ballot{ChainID: chainID, KeygenID: 1}
	c.wait(func() bool {
		has, err := c.app.TssbackupKeeper.Keygens.Has(c.ctx(), ballot.KeygenID)
		return err == nil && has
	}, "the first churn")
	for _, s := range c.signers {
		c.free(s, ballot.Join(s))
	}
	keygen, err := c.app.TssbackupKeeper.Keygens.Get(c.ctx(), ballot.KeygenID)
	require.NoError(c.t, err)
	for _, m := range keygen.Members {
		for _, s := range c.signers {
			if m.Address().Equals(s.Address()) {
				ballot.Members = append(ballot.Members, s)
			}
		}
	}
	session, err := c.app.TssbackupKeeper.Sessions.Get(c.ctx(), ballot.KeygenID)
	require.NoError(c.t, err)
	ballot.Session = session.Id
	return ballot
}

// churn takes the chain to an active vault.
func (c *chain) churn() network.Vault {
	c.t.Helper()
	vault, ballot := network.NewVault("manual"), c.ballot()
	for i, s := range c.signers {
		c.free(s, ballot.Vote(vault, s, network.Seal(c.t, s, 1_000)))
		if i == 0 {
			c.free(s, ballot.Check(vault, s))
		}
	}
	c.wait(func() bool { return c.app.Active() != nil }, "the hook")
	return vault
}

func TestARunningChainEmbedsTheModuleAndChurns(t *testing.T) {
	c := newChain(t)
	c.upgrade()
	require.EqualValues(t, manual.MaxBlockGas, c.maxGas())
	params, err := c.app.TssbackupKeeper.Params.Get(c.ctx())
	require.NoError(t, err)
	require.Equal(t, types.DefaultParams(), params)
	versions, err := c.app.UpgradeKeeper.GetModuleVersionMap(c.ctx())
	require.NoError(t, err)
	require.EqualValues(t, 2, versions[types.ModuleName])

	// The chain's own market takes a fee for what is not exempt.
	cheap := banktypes.NewMsgSend(c.operators[1].Address(), c.operators[2].Address(), sdk.NewCoins(sdk.NewInt64Coin(manual.Denom, 1)))
	res, err := c.client.BroadcastTxSync(context.Background(), c.tx(c.operators[1], network.TxOptions{Gas: 200_000}, cheap))
	require.NoError(t, err)
	require.Equal(t, sdkerrors.ErrInsufficientFee.ABCICode(), res.Code, res.Log)

	// Envelopes of the lowest work factor are quick to make.
	params.MinWorkFactor = 1
	c.send(c.operators[0], paid, &types.MsgUpdateParams{Authority: c.operators[0].Bech32(), Params: params})
	c.register()
	vault := c.churn()
	require.Equal(t, vault.PubKey(), c.app.Active(), "the hook was told")
	live, err := c.app.TssbackupKeeper.Vaults.Get(c.ctx(), vault.PubKey())
	require.NoError(t, err)
	require.Equal(t, types.VaultStatus_VAULT_STATUS_ACTIVE, live.Status)
	for _, s := range c.signers {
		require.Empty(t, c.app.BankKeeper.GetAllBalances(c.ctx(), s.Address()), "who has nothing voted")
	}

	kept, err := c.app.ArchiveNode().Kept()
	require.NoError(t, err)
	require.Len(t, kept, len(c.signers))
	store, err := c.app.ArchiveNode().Archive()
	require.NoError(t, err)
	require.Empty(t, store.Verify(kept), "the node serves every backup")

	// It goes on after a restart.
	c.stop()
	c.start(true)
	height := c.app.LastBlockHeight()
	c.wait(func() bool { return c.app.LastBlockHeight() > height }, "a block after a restart")
	faults, err := c.app.ArchiveNode().Repair(context.Background())
	require.NoError(t, err)
	require.Empty(t, faults)
}

func TestAForgottenStoreStopsTheNewVersion(t *testing.T) {
	c := newChain(t)
	c.planned()
	require.NoError(t, os.Remove(filepath.Join(c.home, "data", upgradetypes.UpgradeInfoFilename)))
	_, err := manual.New(log.NewNopLogger(), c.appDB, c.home, c.operators[0].Address(), true, baseapp.SetChainID(chainID))
	require.ErrorContains(t, err, types.StoreKey)
}
