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
	// Denom is the chain's staking and fee token.
	Denom = "stake"
	// minWorkFactor is the least scrypt work factor that a network's parameters accept.
	minWorkFactor = 1
)

var (
	operatorFunds = sdk.NewInt64Coin(Denom, 1_000_000_000_000)
	selfBond      = sdk.NewInt64Coin(Denom, 1_000_000_000)
)

// newGenesis makes a genesis in which every validator is bonded with the same power and every
// operator has funds.
func (n *Network) newGenesis() *cmttypes.GenesisDoc {
	cdc := n.app.Codec()
	state := n.app.DefaultGenesis()

	var (
		accounts []authtypes.GenesisAccount
		balances []banktypes.Balance
		genTxs   []sdk.Tx
	)
	for _, v := range n.Validators {
		accounts = append(accounts, authtypes.NewBaseAccount(v.Operator.Address(), nil, 0, 0))
		balances = append(
			balances,
			banktypes.Balance{Address: v.Operator.Bech32(), Coins: sdk.NewCoins(operatorFunds)},
		)
		genTxs = append(genTxs, n.createValidatorTx(v))
	}
	auth := authtypes.NewGenesisState(authtypes.DefaultParams(), accounts)
	state[authtypes.ModuleName] = cdc.MustMarshalJSON(auth)

	bank := banktypes.DefaultGenesisState()
	bank.Balances = balances
	state[banktypes.ModuleName] = cdc.MustMarshalJSON(bank)

	gov := govv1.DefaultGenesisState()
	voting, expedited := time.Second, time.Second/2
	gov.Params.VotingPeriod, gov.Params.ExpeditedVotingPeriod = &voting, &expedited
	state[govtypes.ModuleName] = cdc.MustMarshalJSON(gov)

	genutil := genutiltypes.NewGenesisStateFromTx(n.app.TxConfig().TxJSONEncoder(), genTxs)
	state[genutiltypes.ModuleName] = cdc.MustMarshalJSON(genutil)

	var tssbackup types.GenesisState
	cdc.MustUnmarshalJSON(state[types.ModuleName], &tssbackup)
	tssbackup.Params.MinWorkFactor = minWorkFactor
	if n.cfg.Tssbackup != nil {
		n.cfg.Tssbackup(&tssbackup)
	}
	state[types.ModuleName] = cdc.MustMarshalJSON(&tssbackup)

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

func (n *Network) createValidatorTx(v *Validator) sdk.Tx {
	pubKey, err := cryptocodec.FromCmtPubKeyInterface(v.privVal.Key.PubKey)
	require.NoError(n.t, err)
	msg, err := stakingtypes.NewMsgCreateValidator(
		v.OperatorAddress(),
		pubKey,
		selfBond,
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
		n.app.TxConfig(),
		n.ChainID,
		[]Signer{{Account: v.Operator}},
		TxOptions{Gas: defaultGas},
		msg,
	)
}
