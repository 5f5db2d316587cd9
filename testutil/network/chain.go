package network

import (
	"encoding/json"

	"cosmossdk.io/log/v2"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
)

// App is what a network asks of an application. All but the last is what the SDK's own simapp has.
type App interface {
	servertypes.ABCI
	LastBlockHeight() int64
	AppCodec() codec.Codec
	TxConfig() client.TxConfig
	DefaultGenesis() map[string]json.RawMessage
	Close() error
	// ArchiveNode is the node's archive of envelopes. It is nil in a version of the chain that does
	// not embed the module yet.
	ArchiveNode() *archive.Node
}

// Chain is the chain that a network runs. The zero value is this repository's (package app); a
// chain that differs says in what.
type Chain struct {
	// New builds the app over a database, at its latest state, as the chain's daemon does. The home
	// of the node is among the options, under flags.FlagHome. It is called each time a node starts,
	// so that a test upgrades a chain by having New build its next version.
	New func(
		logger log.Logger,
		db dbm.DB,
		options servertypes.AppOptions,
		baseAppOptions ...func(*baseapp.BaseApp),
	) (App, error)
	// Addresses is how it writes addresses and derives accounts.
	Addresses Addresses
	// Denom is the token that bonds validators and pays fees, "stake" if it is empty.
	Denom string
	// Fee is what a transaction with this gas limit pays. If it is nil, that is one of Denom for
	// 1,000 gas, which every node asks for.
	Fee func(gas uint64) sdk.Coins
	// Genesis is the state of the app in which these are the validators, and their operators and
	// the Authority have funds. If it is nil, x/genutil bonds them in x/staking, and proposals of
	// x/gov take a second.
	Genesis func(a App, validators []*Validator) map[string]json.RawMessage
	// Authority is the account that may start churns, retire vaults and change parameters. If it
	// has no key, governance is it.
	Authority Account
}

// withDefaults is the chain with what it does not say.
func (c Chain) withDefaults() Chain {
	if c.New == nil {
		c.New = newDemoApp
	}
	if c.Denom == "" {
		c.Denom = Denom
	}
	if c.Fee == nil {
		denom := c.Denom
		c.Fee = func(gas uint64) sdk.Coins {
			return sdk.NewCoins(sdk.NewInt64Coin(denom, int64(gas/1_000)))
		}
	}
	return c
}

func newDemoApp(
	logger log.Logger,
	db dbm.DB,
	options servertypes.AppOptions,
	baseAppOptions ...func(*baseapp.BaseApp),
) (App, error) {
	return app.New(logger, db, true, options, baseAppOptions...)
}
