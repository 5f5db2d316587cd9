package app

import (
	cmttypes "github.com/cometbft/cometbft/types"
)

const (
	// maxBlockBytes holds a dozen of the largest envelopes that the module's default parameters
	// accept, so that a churn's votes go into few blocks.
	maxBlockBytes = 8 << 20
	// maxBlockGas is a little more than what maxBlockBytes of transactions cost by their size
	// alone, at auth's default of 10 gas per byte, and ends a block of the dearest messages that
	// can fail within a block time of 5 s. A proof that does not hold takes at most 10 ms on a slow
	// core and costs 250,000 gas for the check alone: 400 of them, 4 s. With what the rest of the
	// cheapest such transaction costs it is fewer than 300. Wrong public shares of a vault of 40
	// members take 7 ms and cost 225,600 for the check alone, some 360,000 with the rest: fewer
	// than 300 too. docs/embedding.md has the numbers for larger vaults.
	maxBlockGas = 100_000_000
)

// DefaultConsensusParams are the consensus parameters of a new chain: a block holds several votes
// of the largest size, and its gas bounds its time.
func DefaultConsensusParams() *cmttypes.ConsensusParams {
	params := cmttypes.DefaultConsensusParams()
	params.Block.MaxBytes = maxBlockBytes
	params.Block.MaxGas = maxBlockGas
	return params
}
