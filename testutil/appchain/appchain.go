// Package appchain runs the whole app without a node: the test makes the blocks, so that it decides
// what is in each of them and sees what became of every transaction.
package appchain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"
	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/baseapp/blockexec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/crypto/keys/ed25519"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil/sims"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	// Deadline is the number of blocks in which votes count, unless the parameters of the test say
	// otherwise.
	Deadline = 32
	// defaultGas is the gas limit of a transaction that names none.
	defaultGas = 1_000_000
)

// Fee pays for the default gas at the default prices.
var Fee = sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 1_000))

// Config says what differs from a chain of four validators whose signers have no money.
type Config struct {
	// ChainID is also where the names of the accounts come from.
	ChainID string
	// Members is the number of validators with a signer, 4 if it is 0.
	Members int
	// MinGasPrices is what the node asks for its mempool.
	MinGasPrices string
	// Funds is the money of each signer.
	Funds int64
	// Params changes the module's parameters, and Consensus those of the chain.
	Params    func(*types.Params)
	Consensus func(*cmttypes.ConsensusParams)
	// MaxMemo is how long a memo may be, the SDK's default if it is 0.
	MaxMemo uint64
	// Options are what app.toml and the flags say. Without a home the app keeps no archive.
	Options sims.AppOptionsMap
	// Parallel has the app execute transactions as the options say, in the way of the SDK: at once
	// for server.FlagBlockExecutor block-stm. There is no block gas meter then.
	Parallel bool
}

// Chain is the app and what a test knows of it.
type Chain struct {
	App     *app.App
	ChainID string
	Height  int64
	Time    time.Time
	// Signers are the members of the first churn. Rich is an account with funds that is no member.
	Signers []network.Account
	Rich    network.Account
	// Members are the compressed public keys of the signers.
	Members [][]byte

	t   testing.TB
	cfg Config
	db  *dbm.MemDB
	// sequences are what the accounts sign next.
	sequences map[string]uint64
	numbers   map[string]uint64
}

// New makes a chain whose first block has opened a churn among all signers.
func New(t testing.TB, cfg Config) *Chain {
	t.Helper()
	if cfg.Members == 0 {
		cfg.Members = 4
	}
	c := &Chain{
		ChainID:   cfg.ChainID,
		Time:      time.Unix(1_700_000_000, 0).UTC(),
		Rich:      network.NewAccount(cfg.ChainID + "/rich"),
		t:         t,
		cfg:       cfg,
		db:        dbm.NewMemDB(),
		sequences: make(map[string]uint64),
		numbers:   make(map[string]uint64),
	}
	for i := range cfg.Members {
		signer := network.NewAccount(fmt.Sprintf("%s/%d", cfg.ChainID, i))
		c.Signers = append(c.Signers, signer)
		c.Members = append(c.Members, signer.Key.PubKey().Bytes())
	}
	c.App = c.open(c.db)
	appState, err := json.Marshal(c.genesis())
	require.NoError(t, err)
	consensus := app.DefaultConsensusParams()
	if cfg.Consensus != nil {
		cfg.Consensus(consensus)
	}
	params := consensus.ToProto()
	_, err = c.App.InitChain(&abci.RequestInitChain{
		ChainId:         c.ChainID,
		Time:            c.Time,
		ConsensusParams: &params,
		InitialHeight:   1,
		AppStateBytes:   appState,
	})
	require.NoError(t, err)
	c.Block()
	return c
}

func (c *Chain) open(db dbm.DB) *app.App {
	c.t.Helper()
	a, err := app.New(log.NewNopLogger(), db, true, c.cfg.Options,
		baseapp.SetChainID(c.ChainID), baseapp.SetMinGasPrices(c.cfg.MinGasPrices))
	require.NoError(c.t, err)
	if c.cfg.Parallel {
		c.executeAtOnce(a)
	}
	return a
}

// executeAtOnce does what a chain that leaves the choice to app.toml does: the executor knows the
// stores of state, and no others.
func (c *Chain) executeAtOnce(a *app.App) {
	var stores []storetypes.StoreKey
	for _, key := range a.GetStoreKeys() {
		if _, ok := key.(*storetypes.KVStoreKey); ok {
			stores = append(stores, key)
		}
	}
	a.SetDisableBlockGasMeter(true)
	blockexec.Apply(a.BaseApp, c.cfg.Options, stores, a.TxConfig().TxDecoder(),
		func(storetypes.MultiStore) string { return network.Denom })
}

// Fork is another chain in the state of the last block, which goes its own way from here. Its app
// is configured anew by change, if there is one.
func (c *Chain) Fork(t testing.TB, change ...func(*Config)) *Chain {
	t.Helper()
	fork := *c
	fork.t = t
	for _, f := range change {
		f(&fork.cfg)
	}
	fork.db = dbm.NewMemDB()
	iter, err := c.db.Iterator(nil, nil)
	require.NoError(t, err)
	for ; iter.Valid(); iter.Next() {
		require.NoError(t, fork.db.Set(iter.Key(), iter.Value()))
	}
	require.NoError(t, iter.Close())
	fork.App = fork.open(fork.db)
	fork.sequences = make(map[string]uint64)
	for address, sequence := range c.sequences {
		fork.sequences[address] = sequence
	}
	return &fork
}

// genesis has bonded validators of the same power whose signers are registered, and a churn that
// opens in the first block.
func (c *Chain) genesis() map[string]json.RawMessage {
	cdc := c.App.AppCodec()
	state := c.App.DefaultGenesis()

	accounts := []authtypes.GenesisAccount{authtypes.NewBaseAccount(c.Rich.Address(), nil, 0, 0)}
	bonded := math.NewInt(int64(len(c.Signers))).Mul(sdk.DefaultPowerReduction)
	balances := []banktypes.Balance{
		{
			Address: c.Rich.Bech32(),
			Coins:   sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 1_000_000_000)),
		},
		{
			Address: authtypes.NewModuleAddress(stakingtypes.BondedPoolName).String(),
			Coins:   sdk.NewCoins(sdk.NewCoin(network.Denom, bonded)),
		},
	}
	staking := stakingtypes.DefaultGenesisState()
	staking.Params.MaxValidators = uint32(max(len(c.Signers), int(staking.Params.MaxValidators)))
	tssbackup := types.GenesisState{Params: types.DefaultParams(), NextChurnHeight: 1}
	tssbackup.Params.MinWorkFactor = 1
	tssbackup.Params.KeygenDeadline = Deadline
	if c.cfg.Params != nil {
		c.cfg.Params(&tssbackup.Params)
	}

	for i, signer := range c.Signers {
		c.numbers[signer.Bech32()] = uint64(len(accounts))
		accounts = append(
			accounts,
			authtypes.NewBaseAccount(signer.Address(), nil, c.numbers[signer.Bech32()], 0),
		)
		if c.cfg.Funds > 0 {
			balances = append(balances, banktypes.Balance{
				Address: signer.Bech32(),
				Coins:   sdk.NewCoins(sdk.NewInt64Coin(network.Denom, c.cfg.Funds)),
			})
		}

		consensusKey := ed25519.GenPrivKeyFromSecret([]byte(signer.Mnemonic)).PubKey()
		anyKey, err := codectypes.NewAnyWithValue(consensusKey)
		require.NoError(c.t, err)
		operator := sdk.ValAddress(network.NewAccount(signer.Mnemonic).Address())
		staking.Validators = append(staking.Validators, stakingtypes.Validator{
			OperatorAddress: operator.String(),
			ConsensusPubkey: anyKey,
			Status:          stakingtypes.Bonded,
			Tokens:          sdk.DefaultPowerReduction,
			DelegatorShares: math.LegacyNewDecFromInt(sdk.DefaultPowerReduction),
			Description:     stakingtypes.Description{Moniker: fmt.Sprint("validator ", i)},
			UnbondingTime:   time.Unix(0, 0).UTC(),
			Commission: stakingtypes.NewCommission(
				math.LegacyZeroDec(),
				math.LegacyZeroDec(),
				math.LegacyZeroDec(),
			),
			MinSelfDelegation: math.OneInt(),
		})
		staking.Delegations = append(staking.Delegations, stakingtypes.NewDelegation(
			sdk.AccAddress(operator).
				String(),
			operator.String(),
			math.LegacyNewDecFromInt(sdk.DefaultPowerReduction),
		))

		recipient := signer.Recipient(0).Public()
		tssbackup.Signers = append(tssbackup.Signers, types.GenesisSigner{
			Operator: operator,
			Signer: types.Signer{
				Address:   signer.Address(),
				PubKey:    c.Members[i],
				Recipient: types.Recipient{Key: recipient},
			},
		})
		tssbackup.RecipientOwners = append(tssbackup.RecipientOwners, types.GenesisRecipientOwner{
			Key:     recipient,
			Address: signer.Address(),
		})
		tssbackup.SignerOwners = append(tssbackup.SignerOwners, types.GenesisSignerOwner{
			Address: signer.Address(),
			Owner:   types.SignerOwner{Operator: operator, Latest: types.Recipient{Key: recipient}},
		})
	}

	// The module's lists are in ascending order.
	slices.SortFunc(
		tssbackup.Signers,
		func(a, b types.GenesisSigner) int { return bytes.Compare(a.Operator, b.Operator) },
	)
	slices.SortFunc(
		tssbackup.SignerOwners,
		func(a, b types.GenesisSignerOwner) int { return bytes.Compare(a.Address, b.Address) },
	)
	slices.SortFunc(
		tssbackup.RecipientOwners,
		func(a, b types.GenesisRecipientOwner) int { return bytes.Compare(a.Key, b.Key) },
	)

	bank := banktypes.DefaultGenesisState()
	bank.Balances = balances
	auth := authtypes.DefaultParams()
	if c.cfg.MaxMemo > 0 {
		auth.MaxMemoCharacters = c.cfg.MaxMemo
	}
	state[authtypes.ModuleName] = cdc.MustMarshalJSON(
		authtypes.NewGenesisState(auth, accounts),
	)
	state[banktypes.ModuleName] = cdc.MustMarshalJSON(bank)
	state[stakingtypes.ModuleName] = cdc.MustMarshalJSON(staking)
	state[types.ModuleName] = cdc.MustMarshalJSON(&tssbackup)
	return state
}

// Finalize executes the next block of these transactions.
func (c *Chain) Finalize(txs ...[]byte) []*abci.ExecTxResult {
	c.t.Helper()
	c.Height++
	c.Time = c.Time.Add(time.Second)
	res, err := c.App.FinalizeBlock(
		&abci.RequestFinalizeBlock{Height: c.Height, Time: c.Time, Txs: txs},
	)
	require.NoError(c.t, err)
	return res.TxResults
}

// Commit commits the block that was executed. The check state is the block's state from then on.
func (c *Chain) Commit() {
	c.t.Helper()
	_, err := c.App.Commit()
	require.NoError(c.t, err)
}

// Block executes the next block of these transactions and commits it.
func (c *Chain) Block(txs ...[]byte) []*abci.ExecTxResult {
	c.t.Helper()
	results := c.Finalize(txs...)
	c.Commit()
	return results
}

// Propose is what a proposer that follows the rules puts into a block of these transactions.
func (c *Chain) Propose(txs ...[]byte) [][]byte {
	c.t.Helper()
	res, err := c.App.PrepareProposal(&abci.RequestPrepareProposal{
		Height:     c.Height + 1,
		Time:       c.Time,
		Txs:        txs,
		MaxTxBytes: app.DefaultConsensusParams().Block.MaxBytes,
	})
	require.NoError(c.t, err)
	return res.Txs
}

// Process reports whether a validator votes for a block of these transactions.
func (c *Chain) Process(txs ...[]byte) bool {
	c.t.Helper()
	res, err := c.App.ProcessProposal(
		&abci.RequestProcessProposal{Height: c.Height + 1, Time: c.Time, Txs: txs},
	)
	require.NoError(c.t, err)
	return res.IsAccepted()
}

// Check is what the mempool asks about a new transaction.
func (c *Chain) Check(tx []byte) *abci.ResponseCheckTx {
	c.t.Helper()
	res, err := c.App.CheckTx(&abci.RequestCheckTx{Tx: tx, Type: abci.CheckTxType_New})
	require.NoError(c.t, err)
	return res
}

// Recheck is what the mempool asks after a block about a transaction that it holds.
func (c *Chain) Recheck(tx []byte) *abci.ResponseCheckTx {
	c.t.Helper()
	res, err := c.App.CheckTx(&abci.RequestCheckTx{Tx: tx, Type: abci.CheckTxType_Recheck})
	require.NoError(c.t, err)
	return res
}

// Tx signs messages with the account's next sequence.
func (c *Chain) Tx(from network.Account, opts network.TxOptions, msgs ...sdk.Msg) []byte {
	c.t.Helper()
	sequence := c.sequences[from.Bech32()]
	c.sequences[from.Bech32()]++
	return c.TxAt(from, sequence, opts, msgs...)
}

// TxAt signs messages with a sequence.
func (c *Chain) TxAt(
	from network.Account,
	sequence uint64,
	opts network.TxOptions,
	msgs ...sdk.Msg,
) []byte {
	c.t.Helper()
	if opts.Gas == 0 {
		opts.Gas = defaultGas
	}
	signer := network.Signer{Account: from, Number: c.numbers[from.Bech32()], Sequence: sequence}
	tx := network.SignTx(c.t, c.App.TxConfig(), c.ChainID, []network.Signer{signer}, opts, msgs...)
	bytes, err := c.App.TxConfig().TxEncoder()(tx)
	require.NoError(c.t, err)
	return bytes
}

// Sequence is what the account signs next.
func (c *Chain) Sequence(of network.Account) uint64 { return c.sequences[of.Bech32()] }

// Ctx reads the state of the last block.
func (c *Chain) Ctx() sdk.Context {
	c.t.Helper()
	ctx, err := c.App.CreateQueryContext(c.Height, false)
	require.NoError(c.t, err)
	return ctx
}

// Keygen is a keygen in the state of the last block.
func (c *Chain) Keygen(id uint64) types.Keygen {
	c.t.Helper()
	keygen, err := c.App.TssbackupKeeper.Keygens.Get(c.Ctx(), id)
	require.NoError(c.t, err)
	return keygen
}

// Ballot has all members of a keygen join, a tenth of them in a block.
func (c *Chain) Ballot(id uint64) network.Ballot {
	c.t.Helper()
	keygen := c.Keygen(id)
	b := network.Ballot{
		ChainID: c.ChainID, KeygenID: id, Split: keygen.Split, Placement: keygen.Placement,
	}
	var joins [][]byte
	for _, m := range keygen.Members {
		i := slices.IndexFunc(c.Signers, func(s network.Account) bool {
			return m.Address().Equals(s.Address())
		})
		b.Members = append(b.Members, c.Signers[i])
		joins = append(joins, c.Tx(c.Signers[i], network.TxOptions{}, b.Join(c.Signers[i])))
	}
	for batch := range slices.Chunk(joins, (len(joins)+9)/10) {
		for _, result := range c.Block(batch...) {
			require.Zero(c.t, result.Code, result.Log)
		}
	}
	session, err := c.App.TssbackupKeeper.Sessions.Get(c.Ctx(), id)
	require.NoError(c.t, err)
	b.Session = session.Id
	return b
}

// Asked parts the signers into those that a keygen asks to publish and the others.
func (c *Chain) Asked(keygenID uint64) (asked, others []network.Account) {
	c.t.Helper()
	keygen := c.Keygen(keygenID)
	for _, signer := range c.Signers {
		member, ok := types.FindMember(keygen.Members, signer.Address())
		require.True(c.t, ok)
		if member.Asked {
			asked = append(asked, signer)
		} else {
			others = append(others, signer)
		}
	}
	return asked, others
}

// Balance is the account's money.
func (c *Chain) Balance(of network.Account) int64 {
	return c.App.BankKeeper.GetBalance(c.Ctx(), of.Address(), network.Denom).Amount.Int64()
}

// StateBytes is the size of the module's store after the last block: all keys and values.
func (c *Chain) StateBytes() int {
	c.t.Helper()
	iter := c.Ctx().KVStore(c.App.UnsafeFindStoreKey(types.StoreKey)).Iterator(nil, nil)
	n := 0
	for ; iter.Valid(); iter.Next() {
		n += len(iter.Key()) + len(iter.Value())
	}
	require.NoError(c.t, iter.Close())
	return n
}
