// Package ante lets the votes of vault members into blocks without a fee, and keeps that door shut
// for everything else.
//
// A transaction is exempt when it holds exactly one message, a MsgTssPool, a MsgTssJoin, a
// MsgTssCheck, a MsgPublishBackup, a MsgHeartbeat or a MsgClaimSigner, pays no fee, names no fee
// granter, is signed by the member alone, and the module's state says that this member may send
// this message now: it is of the term that holds, and the keygen is open and the member has not
// voted, its vault has not signed, or the backup is missing. A heartbeat has no term, and is free
// for a member of an epoch that lives; a claim is free for who has something to act for. Its gas
// limit is bounded by its size and its size by its envelope. What any member can send free of
// charge is bounded by a count in state: of each keygen a few attempts, and a few claims and
// heartbeats in a window of blocks. An attempt counts also when its message fails, because what an
// ante handler writes stays. CheckTx and ReCheckTx count in the check state, so the bound holds for
// the mempool too.
//
// What fails in the ante chain of a block is not counted. So an exempt transaction has no timeout
// timestamp, and is therefore ordered, and the mempool refuses one whose timeout height passes
// before the next block. The deadlines of a keygen are looked at as they are in the next block too.
//
// For the same reason a claim changes the term from the next block on: what is sent beside it
// counts in its block, and CheckTx and ReCheckTx, which look at the next block, refuse it
// afterwards. Of several claims of one term in a block all but the first fail uncounted; CheckTx
// bounds how many. And what beacon a heartbeat signs is left to its message to refuse: it may have
// become too old on the way.
//
// For the same reason also a vote of a split keygen that names the group part, instead of carrying
// it, passes CheckTx only on a node that has committed the vote that carries it: messages do not
// run in the check state, so a group part in the mempool is not known there. And a hash that is
// known stays known while its keygen is open. So such a vote never fails in a block for its group
// part where it passed before: not when the vote with the group part comes later, is not executed,
// or fails. A vote that carries the group part is good before and after it is known. The same is so
// of the list of envelopes that members hold, which the votes of such a keygen carry or name.
//
// Everything else pays as in any other chain: several messages in one transaction, a vote inside
// another message, a vote with a fee, a backup that is published once more. A single vote without a
// fee that is not eligible is refused, also by a node that accepts transactions for nothing.
//
// # Use in another chain
//
// NewAnteHandler is the SDK's default chain with the two decorators of this package in their
// places. A chain with decorators of its own puts them in itself:
//
//   - NewFeeDecorator around the decorator that takes the fees, where that stands now. The wrapped
//     decorator, and with it the chain's fee checker or fee market, never sees an exempt
//     transaction. The gas meter must be set and the gas for the size of the transaction be charged
//     before it.
//   - NewVoteDecorator after the verification of the signatures. It looks into the envelope and
//     counts the attempt, so it must not run for a transaction that the member did not sign.
//     Leaving it out opens the door to spam.
//
// A chain that demands or takes fees in other places, such as a post handler or a decorator for a
// global minimum, asks IsExempt there and lets exempt transactions pass. A chain that orders its
// mempool by the priority of the context gets votes first; CometBFT's own mempool keeps the order
// of arrival.
package ante

import (
	"context"
	"errors"
	"math"

	errorsmod "cosmossdk.io/errors"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	authante "github.com/cosmos/cosmos-sdk/x/auth/ante"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// maxOverhead bounds the bytes of an exempt transaction around its envelope, proof, public shares
// and group part: keys, signatures, memo, and the addresses of many blamed members.
const maxOverhead = 32 << 10

// maxSmall bounds the bytes of an exempt transaction with a join, a check or a claim. It has about
// 450, with all addresses in a claim 600, with all that a join to a reshare names 830, and a memo.
const maxSmall = 1 << 10

// Keeper is what the decorators ask of the module's state.
type Keeper interface {
	// ExemptVote reports whether the message is a vote or a publication that its member may send
	// now without a fee. ok is false without an error for other messages; an error tells why a vote
	// is not eligible.
	ExemptVote(ctx context.Context, msg sdk.Msg) (vote types.Exemption, ok bool, err error)
	// CheckForm errs unless the envelope has the form that the module accepts.
	CheckForm(ctx context.Context, envelope []byte) error
	// CountAttempt counts an exempt transaction of the member for the keygen and errs when there
	// were too many.
	CountAttempt(ctx context.Context, vote types.Exemption) error
}

// AccountKeeper gives the gas costs of the size and the signature of a transaction.
type AccountKeeper interface {
	GetParams(ctx context.Context) authtypes.Params
}

// HandlerOptions are the SDK's options and the module's keeper.
type HandlerOptions struct {
	authante.HandlerOptions

	Keeper Keeper
}

// NewAnteHandler returns the SDK's default ante chain with the fee exemption for votes.
func NewAnteHandler(opts HandlerOptions) (sdk.AnteHandler, error) {
	switch {
	case opts.Keeper == nil:
		return nil, errors.New("the ante chain needs the tssbackup keeper")
	case opts.AccountKeeper == nil:
		return nil, errors.New("the ante chain needs an account keeper")
	case opts.BankKeeper == nil:
		return nil, errors.New("the ante chain needs a bank keeper")
	case opts.SignModeHandler == nil:
		return nil, errors.New("the ante chain needs a sign mode handler")
	}
	deductFee := authante.NewDeductFeeDecorator(
		opts.AccountKeeper,
		opts.BankKeeper,
		opts.FeegrantKeeper,
		opts.TxFeeChecker,
	)
	return sdk.ChainAnteDecorators(
		authante.NewSetUpContextDecorator(),
		authante.NewExtensionOptionsDecorator(opts.ExtensionOptionChecker),
		authante.NewValidateBasicDecorator(),
		authante.NewTxTimeoutHeightDecorator(),
		authante.NewValidateMemoDecorator(opts.AccountKeeper),
		authante.NewConsumeGasForTxSizeDecorator(opts.AccountKeeper),
		NewFeeDecorator(opts.Keeper, opts.AccountKeeper, deductFee),
		authante.NewSetPubKeyDecorator(opts.AccountKeeper),
		authante.NewValidateSigCountDecorator(opts.AccountKeeper),
		authante.NewSigGasConsumeDecorator(opts.AccountKeeper, opts.SigGasConsumer),
		authante.NewSigVerificationDecorator(
			opts.AccountKeeper,
			opts.SignModeHandler,
			opts.SigVerifyOptions...),
		authante.NewIncrementSequenceDecorator(opts.AccountKeeper),
		NewVoteDecorator(opts.Keeper),
	), nil
}

// exemptionKey is the context key under which FeeDecorator leaves the exemption of a transaction.
type exemptionKey struct{}

// IsExempt reports whether the transaction of this context travels without a fee. It holds in
// decorators after FeeDecorator, in the messages and in post handlers.
func IsExempt(ctx sdk.Context) bool {
	_, ok := ctx.Value(exemptionKey{}).(types.Exemption)
	return ok
}

// FeeDecorator takes the fees of every transaction but of exempt votes.
type FeeDecorator struct {
	keeper   Keeper
	accounts AccountKeeper
	fee      sdk.AnteDecorator
}

// NewFeeDecorator returns a decorator that passes by fee for exempt votes and runs it for all other
// transactions.
func NewFeeDecorator(keeper Keeper, accounts AccountKeeper, fee sdk.AnteDecorator) FeeDecorator {
	return FeeDecorator{keeper: keeper, accounts: accounts, fee: fee}
}

// AnteHandle implements sdk.AnteDecorator. It does the cheap checks of an exempt vote; the
// signature is not verified yet.
func (d FeeDecorator) AnteHandle(
	ctx sdk.Context,
	tx sdk.Tx,
	simulate bool,
	next sdk.AnteHandler,
) (sdk.Context, error) {
	vote, ok, err := d.exemption(ctx, tx)
	if err != nil && !simulate {
		return ctx, err
	}
	// A simulation of a vote that is to pay its fee carries no fee yet, so a simulation never fails
	// for want of an exemption.
	if !ok || err != nil {
		return d.fee.AnteHandle(ctx, tx, simulate, next)
	}
	if err := d.checkBounds(ctx, tx, vote, simulate); err != nil {
		return ctx, err
	}
	return next(ctx.WithPriority(math.MaxInt64).WithValue(exemptionKey{}, vote), tx, simulate)
}

// exemption reports whether tx is a single vote without a fee and, if it is, asks the module's
// state about it.
func (d FeeDecorator) exemption(ctx sdk.Context, tx sdk.Tx) (types.Exemption, bool, error) {
	feeTx, ok := tx.(sdk.FeeTx)
	if !ok || !feeTx.GetFee().IsZero() || len(feeTx.FeeGranter()) != 0 {
		return types.Exemption{}, false, nil
	}
	sigTx, ok := tx.(authsigning.SigVerifiableTx)
	if !ok {
		return types.Exemption{}, false, nil
	}
	// A fee payer who is not the member is a second signer.
	signers, err := sigTx.GetSigners()
	if err != nil {
		return types.Exemption{}, false, err
	}
	msgs := tx.GetMsgs()
	if len(msgs) != 1 || len(signers) != 1 {
		return types.Exemption{}, false, nil
	}
	return d.keeper.ExemptVote(ctx, msgs[0])
}

// checkBounds keeps an exempt vote from taking more of a block than it needs.
func (d FeeDecorator) checkBounds(
	ctx sdk.Context,
	tx sdk.Tx,
	vote types.Exemption,
	simulate bool,
) error {
	size := uint64(len(ctx.TxBytes()))
	limit := uint64(len(vote.Envelope)) + vote.MaxBytes() + maxOverhead
	if vote.Small || vote.Heartbeat {
		limit = maxSmall
	}
	if size > limit {
		return errorsmod.Wrapf(
			sdkerrors.ErrTxTooLarge,
			"a vote without a fee may have %d bytes with this envelope, not %d",
			limit,
			size,
		)
	}
	if simulate {
		return nil
	}
	if err := checkTimeout(ctx, tx); err != nil {
		return err
	}
	params := d.accounts.GetParams(ctx)
	limit = params.TxSizeCostPerByte*size + params.SigVerifyCostSecp256k1 + vote.MaxGas()
	if gas := tx.(sdk.FeeTx).GetGas(); gas > limit {
		return errorsmod.Wrapf(
			sdkerrors.ErrInvalidGasLimit,
			"a vote without a fee may have a gas limit of %d at its size, not %d",
			limit,
			gas,
		)
	}
	return nil
}

// checkTimeout refuses a vote that a member lets time out between the mempool and its block. There
// it would take its room and fail without being counted, again and again. The time of the next
// block is not known before, its height is.
func checkTimeout(ctx sdk.Context, tx sdk.Tx) error {
	if t, ok := tx.(sdk.TxWithTimeoutTimeStamp); ok && !t.GetTimeoutTimeStamp().IsZero() &&
		t.GetTimeoutTimeStamp().Unix() != 0 {
		return errorsmod.Wrap(
			sdkerrors.ErrInvalidRequest,
			"a vote without a fee may have a timeout height and no timeout timestamp",
		)
	}
	t, ok := tx.(sdk.TxWithTimeoutHeight)
	if !ok || !ctx.IsCheckTx() || t.GetTimeoutHeight() == 0 {
		return nil
	}
	if next := uint64(ctx.BlockHeight()) + 1; t.GetTimeoutHeight() < next {
		return errorsmod.Wrapf(
			sdkerrors.ErrTxTimeoutHeight,
			"the next block is %d, timeout height: %d",
			next,
			t.GetTimeoutHeight(),
		)
	}
	return nil
}

// VoteDecorator does the checks of an exempt vote that cost more, and counts it.
type VoteDecorator struct {
	keeper Keeper
}

// NewVoteDecorator returns the decorator that stands after the verification of the signatures.
func NewVoteDecorator(keeper Keeper) VoteDecorator {
	return VoteDecorator{keeper: keeper}
}

// AnteHandle implements sdk.AnteDecorator. It does nothing for transactions that are not exempt.
func (d VoteDecorator) AnteHandle(
	ctx sdk.Context,
	tx sdk.Tx,
	simulate bool,
	next sdk.AnteHandler,
) (sdk.Context, error) {
	vote, ok := ctx.Value(exemptionKey{}).(types.Exemption)
	if !ok {
		return next(ctx, tx, simulate)
	}
	if len(vote.Envelope) > 0 {
		if err := d.keeper.CheckForm(ctx, vote.Envelope); err != nil {
			return ctx, err
		}
	}
	if err := d.keeper.CountAttempt(ctx, vote); err != nil {
		return ctx, err
	}
	return next(ctx, tx, simulate)
}
