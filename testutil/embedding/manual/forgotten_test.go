package manual

import (
	"testing"

	"cosmossdk.io/core/appmodule"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/cosmos-sdk/baseapp"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/types/mempool"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestAForgottenNameStopsTheApp(t *testing.T) {
	for name, order := range map[string]func(*module.Manager){
		"genesis":            func(m *module.Manager) { m.SetOrderInitGenesis() },
		"migrations":         func(m *module.Manager) { m.SetOrderMigrations() },
		"the end of a block": func(m *module.Manager) { m.SetOrderEndBlockers() },
	} {
		t.Run(name, func(t *testing.T) {
			m := module.NewManagerFromMap(map[string]appmodule.AppModule{
				types.ModuleName: tssbackup.NewAppModule(nil, nil),
			})
			defer func() { require.Contains(t, recover(), "missing: [tssbackup]") }()
			order(m)
		})
	}
}

// vote is a transaction without a fee.
type vote struct{ sdk.FeeTx }

func (vote) GetGas() uint64    { return 1_000_000 }
func (vote) GetFee() sdk.Coins { return nil }

func TestAForgottenFeeDecoratorAsksMembersForMoney(t *testing.T) {
	_, err := market{}.AnteHandle(sdk.Context{}, vote{}, false, nil)
	require.ErrorIs(t, err, sdkerrors.ErrInsufficientFee)
}

func TestAForgottenHandlerVotesForAnything(t *testing.T) {
	process := baseapp.NewDefaultProposalHandler(mempool.NoOpMempool{}, nil).ProcessProposalHandler()
	res, err := process(sdk.Context{}, &abci.RequestProcessProposal{Txs: [][]byte{[]byte("no transaction")}})
	require.NoError(t, err)
	require.True(t, res.IsAccepted())
}
