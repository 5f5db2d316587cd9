// Package blockgas holds proposals to block.max_gas, whoever made them.
//
// A proof that does not hold takes as long as one that does, so gas is what keeps a block of them
// short. A proposer that follows the rules fills a block up to max_gas by itself. One that does not
// could fill it up to its bytes: without a mempool of the application's own, which is the default,
// baseapp votes for any proposal. An app therefore wraps its ProcessProposal handler, before it
// loads its state:
//
//	app.SetProcessProposal(blockgas.NewProcessProposal(app.TxDecode, process))
//
// process is the handler that the app has. baseapp does not give it out, so an app that sets none
// passes baseapp's own:
//
//	process := baseapp.NewDefaultProposalHandler(app.Mempool(), app).ProcessProposalHandler()
//
// Should a block above max_gas be decided all the same, the block gas meter ends its execution,
// where the app has turned it on with SetDisableBlockGasMeter(false).
package blockgas

import (
	"sync/atomic"

	abci "github.com/cometbft/cometbft/abci/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
)

// NewProcessProposal returns a handler that votes against a proposal whose transactions may use
// more gas together than block.max_gas, and leaves any other to next. It needs no state but the
// consensus parameters in its context, where baseapp puts them.
//
// Without a max_gas nothing bounds a block. The handler warns in the log of such a chain at the
// first proposal after the start, and again when the parameter is taken away.
func NewProcessProposal(
	decode sdk.TxDecoder, next sdk.ProcessProposalHandler,
) sdk.ProcessProposalHandler {
	if decode == nil || next == nil {
		panic("blockgas: the app's decoder of transactions and its ProcessProposal handler are needed")
	}
	var warned atomic.Bool
	return func(
		ctx sdk.Context, req *abci.RequestProcessProposal,
	) (*abci.ResponseProcessProposal, error) {
		limit := maxGas(ctx)
		if limit == 0 {
			if !warned.Swap(true) {
				ctx.Logger().Warn("block.max_gas is not set in the consensus parameters: nothing " +
					"bounds how long the checks of proofs in a block take; set it by governance")
			}
			return next(ctx, req)
		}
		warned.Store(false)
		if !fits(req.Txs, limit, decode) {
			return &abci.ResponseProcessProposal{
				Status: abci.ResponseProcessProposal_REJECT,
			}, nil
		}
		return next(ctx, req)
	}
}

// maxGas is the parameter, 0 when there is none.
func maxGas(ctx sdk.Context) uint64 {
	block := ctx.ConsensusParams().Block
	if block == nil || block.MaxGas <= 0 {
		return 0
	}
	return uint64(block.MaxGas)
}

// fits reports whether the gas limits of transactions sum up to at most the limit. What cannot be
// decoded has none, and uses none.
func fits(txs [][]byte, limit uint64, decode sdk.TxDecoder) bool {
	for _, bytes := range txs {
		tx, err := decode(bytes)
		if err != nil {
			continue
		}
		gasTx, ok := tx.(sdk.GasTx)
		if !ok {
			continue
		}
		if gasTx.GetGas() > limit {
			return false
		}
		limit -= gasTx.GetGas()
	}
	return true
}
