package ante_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"cosmossdk.io/collections"
	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"
	abci "github.com/cometbft/cometbft/abci/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/crypto/keys/ed25519"
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
	chainID = "tssbackup-ante"
	// A keygen among 4 members, of whom 3 are asked to publish.
	memberCount = 4
	askedCount  = 3
	keygenID    = 1
	// deadline is the number of blocks in which votes count.
	deadline = 10
)

// chain is the whole app without a node: the test makes the blocks.
type chain struct {
	t      *testing.T
	app    *app.App
	height int64
	time   time.Time
	// asked are the members whose result carries an envelope, other is the one
	// whose does not, and rich is an account with funds that is no member.
	asked []network.Account
	other network.Account
	rich  network.Account
	vault network.Vault
	// sequences are what the accounts sign next.
	sequences map[string]uint64
	numbers   map[string]uint64
}

// newChain makes a chain on which one keygen is open.
func newChain(t *testing.T, minGasPrices string) *chain {
	t.Helper()
	c := &chain{
		t:         t,
		time:      time.Unix(1_700_000_000, 0).UTC(),
		rich:      network.NewAccount("ante/rich"),
		vault:     network.NewVault("ante"),
		sequences: make(map[string]uint64),
		numbers:   make(map[string]uint64),
	}
	var err error
	c.app, err = app.New(log.NewNopLogger(), dbm.NewMemDB(), true, sims.AppOptionsMap{},
		baseapp.SetChainID(chainID), baseapp.SetMinGasPrices(minGasPrices))
	require.NoError(t, err)

	var signers []network.Account
	for _, name := range []string{"ante/0", "ante/1", "ante/2", "ante/3"} {
		signers = append(signers, network.NewAccount(name))
	}
	appState, err := json.Marshal(c.genesis(signers))
	require.NoError(t, err)
	params := app.DefaultConsensusParams().ToProto()
	_, err = c.app.InitChain(&abci.RequestInitChain{
		ChainId:         chainID,
		Time:            c.time,
		ConsensusParams: &params,
		InitialHeight:   1,
		AppStateBytes:   appState,
	})
	require.NoError(t, err)
	c.block()

	// The first block opened the keygen, and with it who is asked is known.
	keygen, err := c.app.TssbackupKeeper.Keygens.Get(c.ctx(), keygenID)
	require.NoError(t, err)
	require.Len(t, keygen.Members, memberCount)
	for _, signer := range signers {
		member, ok := types.FindMember(keygen.Members, signer.Address())
		require.True(t, ok)
		if member.Asked {
			c.asked = append(c.asked, signer)
		} else {
			c.other = signer
		}
	}
	require.Len(t, c.asked, askedCount)
	return c
}

// genesis has four bonded validators whose signers are registered and have no
// funds, and a churn that opens in the first block.
func (c *chain) genesis(signers []network.Account) map[string]json.RawMessage {
	cdc := c.app.Codec()
	state := c.app.DefaultGenesis()

	accounts := []authtypes.GenesisAccount{authtypes.NewBaseAccount(c.rich.Address(), nil, 0, 0)}
	bonded := math.NewInt(memberCount).Mul(sdk.DefaultPowerReduction)
	balances := []banktypes.Balance{
		{Address: c.rich.Bech32(), Coins: sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 1_000_000_000))},
		{
			Address: authtypes.NewModuleAddress(stakingtypes.BondedPoolName).String(),
			Coins:   sdk.NewCoins(sdk.NewCoin(network.Denom, bonded)),
		},
	}
	staking := stakingtypes.DefaultGenesisState()
	tssbackup := types.GenesisState{Params: types.DefaultParams(), NextChurnHeight: 1}
	tssbackup.Params.MinWorkFactor = 1
	tssbackup.Params.KeygenDeadline = deadline
	tssbackup.Params.Sample = types.Fraction{Numerator: 1, Denominator: 2}

	for i, signer := range signers {
		c.numbers[signer.Bech32()] = uint64(len(accounts))
		accounts = append(accounts, authtypes.NewBaseAccount(signer.Address(), nil, c.numbers[signer.Bech32()], 0))

		consensusKey := ed25519.GenPrivKeyFromSecret([]byte(signer.Mnemonic)).PubKey()
		anyKey, err := codectypes.NewAnyWithValue(consensusKey)
		require.NoError(c.t, err)
		operator := sdk.ValAddress(network.NewAccount(signer.Mnemonic).Address())
		staking.Validators = append(staking.Validators, stakingtypes.Validator{
			OperatorAddress:   operator.String(),
			ConsensusPubkey:   anyKey,
			Status:            stakingtypes.Bonded,
			Tokens:            sdk.DefaultPowerReduction,
			DelegatorShares:   math.LegacyNewDecFromInt(sdk.DefaultPowerReduction),
			Description:       stakingtypes.Description{Moniker: string(rune('a' + i))},
			UnbondingTime:     time.Unix(0, 0).UTC(),
			Commission:        stakingtypes.NewCommission(math.LegacyZeroDec(), math.LegacyZeroDec(), math.LegacyZeroDec()),
			MinSelfDelegation: math.OneInt(),
		})
		staking.Delegations = append(staking.Delegations, stakingtypes.NewDelegation(
			sdk.AccAddress(operator).String(), operator.String(), math.LegacyNewDecFromInt(sdk.DefaultPowerReduction)))

		pubKey := signer.Key.PubKey().Bytes()
		tssbackup.Signers = append(tssbackup.Signers, types.GenesisSigner{
			Operator: operator,
			Signer:   types.Signer{Address: signer.Address(), PubKey: pubKey},
		})
		tssbackup.SignerOwners = append(tssbackup.SignerOwners, types.GenesisSignerOwner{
			Address:  signer.Address(),
			Operator: operator,
		})
	}

	// The module's lists are in ascending order.
	slices.SortFunc(tssbackup.Signers, func(a, b types.GenesisSigner) int { return bytes.Compare(a.Operator, b.Operator) })
	slices.SortFunc(tssbackup.SignerOwners, func(a, b types.GenesisSignerOwner) int { return bytes.Compare(a.Address, b.Address) })

	bank := banktypes.DefaultGenesisState()
	bank.Balances = balances
	state[authtypes.ModuleName] = cdc.MustMarshalJSON(authtypes.NewGenesisState(authtypes.DefaultParams(), accounts))
	state[banktypes.ModuleName] = cdc.MustMarshalJSON(bank)
	state[stakingtypes.ModuleName] = cdc.MustMarshalJSON(staking)
	state[types.ModuleName] = cdc.MustMarshalJSON(&tssbackup)
	return state
}

// block makes the next block of these transactions and commits it. The check
// state is the block's state from then on.
func (c *chain) block(txs ...[]byte) []*abci.ExecTxResult {
	c.t.Helper()
	c.height++
	c.time = c.time.Add(time.Second)
	res, err := c.app.FinalizeBlock(&abci.RequestFinalizeBlock{Height: c.height, Time: c.time, Txs: txs})
	require.NoError(c.t, err)
	_, err = c.app.Commit()
	require.NoError(c.t, err)
	return res.TxResults
}

// check is what the mempool asks about a new transaction, and recheck what it
// asks after a block about one that it holds.
func (c *chain) check(tx []byte) *abci.ResponseCheckTx {
	c.t.Helper()
	res, err := c.app.CheckTx(&abci.RequestCheckTx{Tx: tx, Type: abci.CheckTxType_New})
	require.NoError(c.t, err)
	return res
}

func (c *chain) recheck(tx []byte) *abci.ResponseCheckTx {
	c.t.Helper()
	res, err := c.app.CheckTx(&abci.RequestCheckTx{Tx: tx, Type: abci.CheckTxType_Recheck})
	require.NoError(c.t, err)
	return res
}

// tx signs messages with the account's next sequence.
func (c *chain) tx(from network.Account, opts network.TxOptions, msgs ...sdk.Msg) []byte {
	c.t.Helper()
	sequence := c.sequences[from.Bech32()]
	c.sequences[from.Bech32()]++
	return c.txAt(from, sequence, opts, msgs...)
}

func (c *chain) txAt(from network.Account, sequence uint64, opts network.TxOptions, msgs ...sdk.Msg) []byte {
	c.t.Helper()
	if opts.Gas == 0 {
		opts.Gas = 500_000
	}
	signer := network.Signer{Account: from, Number: c.numbers[from.Bech32()], Sequence: sequence}
	tx := network.SignTx(c.t, c.app.TxConfig(), chainID, []network.Signer{signer}, opts, msgs...)
	bytes, err := c.app.TxConfig().TxEncoder()(tx)
	require.NoError(c.t, err)
	return bytes
}

// vote is a good vote of an asked member; each has another envelope.
func (c *chain) vote(member network.Account) *types.MsgTssPool {
	return c.vault.Vote(chainID, keygenID, member, network.Seal(c.t, member, 1_000))
}

// badVote is a vote that its handler refuses: the vault's signature is wrong.
func (c *chain) badVote(member network.Account) *types.MsgTssPool {
	vote := c.vote(member)
	vote.Signature[0] ^= 1
	return vote
}

// ctx reads the state of the last block.
func (c *chain) ctx() sdk.Context {
	c.t.Helper()
	ctx, err := c.app.CreateQueryContext(c.height, false)
	require.NoError(c.t, err)
	return ctx
}

// attempts is what the state of the last block counts for the member.
func (c *chain) attempts(member network.Account) uint64 {
	c.t.Helper()
	count, err := c.app.TssbackupKeeper.Attempts.Get(c.ctx(), collections.Join(uint64(keygenID), []byte(member.Address())))
	if err != nil {
		require.ErrorIs(c.t, err, collections.ErrNotFound)
	}
	return count
}

// fund gives the account money.
func (c *chain) fund(to network.Account) {
	c.t.Helper()
	send := banktypes.NewMsgSend(c.rich.Address(), to.Address(), sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 10_000)))
	res := c.block(c.tx(c.rich, network.TxOptions{Fee: fee}, send))
	require.Zero(c.t, res[0].Code, res[0].Log)
}

func (c *chain) balance(of network.Account) int64 {
	return c.app.BankKeeper.GetBalance(c.ctx(), of.Address(), network.Denom).Amount.Int64()
}

// fee pays for the default gas at the default prices.
var fee = sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 500))

func (c *chain) requireOK(code uint32) {
	c.t.Helper()
	require.Zero(c.t, code)
}

// activate has all members vote, so that the vault is active in the next block.
func (c *chain) activate() {
	c.t.Helper()
	votes := [][]byte{c.tx(c.other, network.TxOptions{}, c.vault.Vote(chainID, keygenID, c.other, nil))}
	for _, member := range c.asked {
		votes = append(votes, c.tx(member, network.TxOptions{}, c.vote(member)))
	}
	for _, result := range c.block(votes...) {
		require.Zero(c.t, result.Code, result.Log)
	}
	name, err := types.ParseVault(c.vault.Name())
	require.NoError(c.t, err)
	vault, err := c.app.TssbackupKeeper.Vaults.Get(c.ctx(), name)
	require.NoError(c.t, err)
	require.True(c.t, vault.IsLive())
}

// publication is a good publication of the member's backup.
func (c *chain) publication(member network.Account) *types.MsgPublishBackup {
	return &types.MsgPublishBackup{
		Signer:          member.Bech32(),
		Vault:           c.vault.Name(),
		KeysharesBackup: network.Seal(c.t, member, 1_000),
	}
}

// anteGas is the gas that the ante chain uses for the message, and a little more.
func (c *chain) anteGas(from network.Account, msg sdk.Msg) uint64 {
	c.t.Helper()
	res := c.check(c.txAt(from, c.sequences[from.Bech32()], network.TxOptions{}, msg))
	require.Zero(c.t, res.Code, res.Log)
	return uint64(res.GasUsed) + 100
}
