package manual

import (
	errorsmod "cosmossdk.io/errors"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	authante "github.com/cosmos/cosmos-sdk/x/auth/ante"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"

	"github.com/tssbackup/tssbackup/x/tssbackup/ante"
)

const (
	// Denom is the chain's token.
	Denom = "rune"
	// GasPerUnit is how much gas one unit of it pays for.
	GasPerUnit = 100
)

// market is the chain's own fee market: every transaction pays for all its gas at one price, in
// blocks as in the mempool, whatever min_gas_prices says.
type market struct{ bank bankkeeper.Keeper }

// AnteHandle takes the price of the gas from who pays the fee.
func (m market) AnteHandle(
	ctx sdk.Context,
	tx sdk.Tx,
	simulate bool,
	next sdk.AnteHandler,
) (sdk.Context, error) {
	feeTx, ok := tx.(sdk.FeeTx)
	if !ok {
		return ctx, sdkerrors.ErrTxDecode
	}
	price := sdk.NewCoins(sdk.NewInt64Coin(Denom, int64(feeTx.GetGas()/GasPerUnit)))
	if !simulate && !feeTx.GetFee().IsAllGTE(price) {
		return ctx, errorsmod.Wrapf(sdkerrors.ErrInsufficientFee, "the market asks %s", price)
	}
	err := m.bank.SendCoinsFromAccountToModule(
		ctx, feeTx.FeePayer(), authtypes.FeeCollectorName, price)
	if err != nil {
		return ctx, err
	}
	return next(ctx, tx, simulate)
}

// anteHandler is the chain's own chain of decorators. The version before has all but what is
// marked.
func (app *App) anteHandler() sdk.AnteHandler {
	var fee sdk.AnteDecorator = market{app.BankKeeper}
	decorators := []sdk.AnteDecorator{
		authante.NewSetUpContextDecorator(),
		authante.NewValidateBasicDecorator(),
		authante.NewTxTimeoutHeightDecorator(),
		authante.NewConsumeGasForTxSizeDecorator(app.AccountKeeper),
	}
	if app.version.has(FeeDecorator) {
		fee = ante.NewFeeDecorator(app.TssbackupKeeper, app.AccountKeeper, fee) // embed
	}
	decorators = append(decorators,
		fee,
		authante.NewSetPubKeyDecorator(app.AccountKeeper),
		authante.NewValidateSigCountDecorator(app.AccountKeeper),
		authante.NewSigGasConsumeDecorator(
			app.AccountKeeper, authante.DefaultSigVerificationGasConsumer),
		authante.NewSigVerificationDecorator(app.AccountKeeper, app.txConfig.SignModeHandler()),
		authante.NewIncrementSequenceDecorator(app.AccountKeeper),
	)
	if app.version.has(VoteDecorator) {
		decorators = append(decorators, ante.NewVoteDecorator(app.TssbackupKeeper)) // embed
	}
	return sdk.ChainAnteDecorators(decorators...)
}
