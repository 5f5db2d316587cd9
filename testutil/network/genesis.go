package network

import (
	"encoding/json"
	"time"

	"cosmossdk.io/math"
	cmttypes "github.com/cometbft/cometbft/types"
	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	// Denom is the staking and fee token of the demo chain.
	Denom = "stake"
	// MinWorkFactor is the least scrypt work factor that a network's parameters accept: that of the
	// envelopes that fake signers make.
	MinWorkFactor = 1
)

// The money of an operator, and how much of it is bonded.
const (
	operatorFunds = 1_000_000_000_000
	selfBond      = 1_000_000_000
	// absentBond is what a validator without a node has bonded.
	absentBond = 1_000_000
)

// newGenesis makes the genesis of the chain, with what the test changes in it.
func (n *Network) newGenesis(a App) *cmttypes.GenesisDoc {
	cdc := a.AppCodec()
	genesis := n.cfg.Chain.Genesis
	if genesis == nil {
		genesis = n.stakingGenesis
	}
	state := genesis(a, n.Validators)

	// A version of the chain that does not embed the module has no genesis of it.
	if raw, ok := state[types.ModuleName]; ok {
		var tssbackup types.GenesisState
		cdc.MustUnmarshalJSON(raw, &tssbackup)
		tssbackup.Params.MinWorkFactor = MinWorkFactor
		if n.cfg.Tssbackup != nil {
			n.cfg.Tssbackup(&tssbackup)
		}
		state[types.ModuleName] = cdc.MustMarshalJSON(&tssbackup)
	}

	if n.cfg.Genesis != nil {
		n.cfg.Genesis(cdc, state)
	}
	params := app.DefaultConsensusParams()
	if n.cfg.Consensus != nil {
		n.cfg.Consensus(params)
	}
	appState, err := json.Marshal(state)
	require.NoError(n.t, err)
	doc := &cmttypes.GenesisDoc{
		GenesisTime:     time.Now().UTC(),
		ChainID:         n.ChainID,
		InitialHeight:   1,
		ConsensusParams: params,
		AppState:        appState,
	}
	require.NoError(n.t, doc.ValidateAndComplete())
	return doc
}

// stakingGenesis is a state in which every validator is bonded with the same power and every
// operator has funds.
func (n *Network) stakingGenesis(a App, validators []*Validator) map[string]json.RawMessage {
	cdc := a.AppCodec()
	state := a.DefaultGenesis()
	funds := sdk.NewCoins(sdk.NewInt64Coin(n.cfg.Chain.Denom, operatorFunds))

	var (
		accounts []authtypes.GenesisAccount
		balances []banktypes.Balance
		genTxs   []sdk.Tx
	)
	for _, v := range validators {
		accounts = append(accounts, authtypes.NewBaseAccount(v.Operator.Address(), nil, 0, 0))
		balances = append(
			balances,
			banktypes.Balance{Address: v.Operator.Bech32(), Coins: funds},
		)
		genTxs = append(genTxs, n.createValidatorTx(a, v))
	}
	auth := authtypes.NewGenesisState(authtypes.DefaultParams(), accounts)
	state[authtypes.ModuleName] = cdc.MustMarshalJSON(auth)

	bank := banktypes.DefaultGenesisState()
	bank.Balances = balances
	state[banktypes.ModuleName] = cdc.MustMarshalJSON(bank)

	staking := stakingtypes.DefaultGenesisState()
	staking.Params.BondDenom = n.cfg.Chain.Denom
	state[stakingtypes.ModuleName] = cdc.MustMarshalJSON(staking)

	gov := govv1.DefaultGenesisState()
	gov.Params.MinDeposit[0].Denom = n.cfg.Chain.Denom
	gov.Params.ExpeditedMinDeposit[0].Denom = n.cfg.Chain.Denom
	voting, expedited := time.Second, time.Second/2
	gov.Params.VotingPeriod, gov.Params.ExpeditedVotingPeriod = &voting, &expedited
	state[govtypes.ModuleName] = cdc.MustMarshalJSON(gov)

	genutil := genutiltypes.NewGenesisStateFromTx(a.TxConfig().TxJSONEncoder(), genTxs)
	state[genutiltypes.ModuleName] = cdc.MustMarshalJSON(genutil)
	return state
}

func (n *Network) createValidatorTx(a App, v *Validator) sdk.Tx {
	pubKey, err := cryptocodec.FromCmtPubKeyInterface(v.privVal.Key.PubKey)
	require.NoError(n.t, err)
	bond := int64(selfBond)
	if v.Index >= n.cfg.Running {
		bond = absentBond
	}
	msg, err := stakingtypes.NewMsgCreateValidator(
		v.OperatorAddress(),
		pubKey,
		sdk.NewInt64Coin(n.cfg.Chain.Denom, bond),
		stakingtypes.NewDescription(v.Moniker, "", "", "", ""),
		stakingtypes.NewCommissionRates(
			math.LegacyZeroDec(),
			math.LegacyOneDec(),
			math.LegacyOneDec(),
		),
		math.OneInt(),
	)
	require.NoError(n.t, err)
	// A genesis transaction is signed for account number 0 and pays nothing.
	return SignTx(
		n.t,
		a.TxConfig(),
		n.ChainID,
		[]Signer{{Account: v.Operator}},
		TxOptions{Gas: defaultGas},
		msg,
	)
}
