package app

import (
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/cosmos-sdk/baseapp"
	sdk "github.com/cosmos/cosmos-sdk/types"
)

// boundBlocks holds every block to block.max_gas, whoever proposed it. A proposer that follows the
// rules does so by itself. One that does not could fill a block with proofs that do not hold, up to
// its bytes: without a mempool of its own, which is the default, baseapp votes for any proposal,
// and it counts no block's gas. So validators vote against a block whose transactions may use more
// than max_gas, and should one be decided all the same, the block gas meter ends its execution.
func boundBlocks(app *baseapp.BaseApp) {
	app.SetDisableBlockGasMeter(false)
	process := baseapp.NewDefaultProposalHandler(app.Mempool(), app).ProcessProposalHandler()
	app.SetProcessProposal(
		func(
			ctx sdk.Context, req *abci.RequestProcessProposal,
		) (*abci.ResponseProcessProposal, error) {
			if block := ctx.ConsensusParams().Block; block != nil && block.MaxGas > 0 &&
				!fits(req.Txs, uint64(block.MaxGas), app.TxDecode) {
				return &abci.ResponseProcessProposal{
					Status: abci.ResponseProcessProposal_REJECT,
				}, nil
			}
			return process(ctx, req)
		},
	)
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
