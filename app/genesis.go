package app

import (
	cmttypes "github.com/cometbft/cometbft/types"
)

const (
	// maxBlockBytes holds a dozen of the largest envelopes that the module's
	// default parameters accept, so that a churn's votes go into few blocks.
	maxBlockBytes = 8 << 20
	// maxBlockGas is a little more than what maxBlockBytes of transactions cost
	// by their size alone, at auth's default of 10 gas per byte.
	maxBlockGas = 100_000_000
)

// DefaultConsensusParams are the consensus parameters of a new chain: a block
// holds several votes of the largest size, and its gas is bounded.
func DefaultConsensusParams() *cmttypes.ConsensusParams {
	params := cmttypes.DefaultConsensusParams()
	params.Block.MaxBytes = maxBlockBytes
	params.Block.MaxGas = maxBlockGas
	return params
}
