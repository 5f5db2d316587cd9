package blockgas_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/blockgas"
)

// gasTx is a transaction that says nothing but its gas limit.
type gasTx struct {
	sdk.Tx
	gas uint64
}

func (tx gasTx) GetGas() uint64 { return tx.gas }

// noGasTx has no gas limit.
type noGasTx struct{ sdk.Tx }

func decode(bz []byte) (sdk.Tx, error) {
	switch {
	case len(bz) == 8:
		return gasTx{gas: binary.BigEndian.Uint64(bz)}, nil
	case len(bz) == 1:
		return noGasTx{}, nil
	}
	return nil, errors.New("no transaction")
}

func txs(gas ...uint64) [][]byte {
	var list [][]byte
	for _, g := range gas {
		list = append(list, binary.BigEndian.AppendUint64(nil, g))
	}
	return list
}

func context(maxGas int64) sdk.Context {
	return sdk.Context{}.WithLogger(log.NewNopLogger()).
		WithConsensusParams(cmtproto.ConsensusParams{Block: &cmtproto.BlockParams{MaxGas: maxGas}})
}

func TestProposalsAreHeldToTheirGas(t *testing.T) {
	tests := []struct {
		name   string
		maxGas int64
		txs    [][]byte
		fits   bool
	}{
		{"an empty block", 100, nil, true},
		{"all of the gas", 100, txs(60, 40), true},
		{"one unit more", 100, txs(60, 40, 1), false},
		{"one transaction above all", 100, txs(101), false},
		{"a sum that overflows", 100, txs(math.MaxUint64, 1, 1), false},
		{"a sum that overflows behind one that fits", 100, txs(50, math.MaxUint64-40), false},
		{"what cannot be decoded counts for nothing", 100, append(txs(60, 40), []byte("??"), nil), true},
		{"and hides nothing", 100, append([][]byte{[]byte("??")}, txs(60, 41)...), false},
		{"what has no gas limit counts for nothing", 100, append(txs(100), []byte{1}), true},
		{"any block where there is no bound", 0, txs(math.MaxUint64, math.MaxUint64), true},
		{"and where it is taken away", -1, txs(math.MaxUint64, math.MaxUint64), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			verdict, failure := abci.ResponseProcessProposal_ACCEPT, error(nil)
			req := &abci.RequestProcessProposal{Txs: tt.txs, Height: 7}
			process := blockgas.NewProcessProposal(decode,
				func(_ sdk.Context, got *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
					asked++
					require.Same(t, req, got)
					return &abci.ResponseProcessProposal{Status: verdict}, failure
				})
			res, err := process(context(tt.maxGas), req)
			require.NoError(t, err)
			require.Equal(t, tt.fits, res.IsAccepted())

			// What the app's own handler says stands, but for what is above the gas.
			verdict = abci.ResponseProcessProposal_REJECT
			res, err = process(context(tt.maxGas), req)
			require.NoError(t, err)
			require.False(t, res.IsAccepted())
			failure = errors.New("the app's own")
			_, err = process(context(tt.maxGas), req)
			if tt.fits {
				require.ErrorIs(t, err, failure)
				require.Equal(t, 3, asked)
			} else {
				require.NoError(t, err)
				require.Zero(t, asked)
			}
		})
	}
}

func TestAChainWithoutABoundIsWarned(t *testing.T) {
	var out bytes.Buffer
	process := blockgas.NewProcessProposal(decode,
		func(sdk.Context, *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
			return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
		})
	propose := func(ctx sdk.Context, warnings int) {
		t.Helper()
		for range 3 {
			res, err := process(ctx.WithLogger(log.NewLogger(&out)), &abci.RequestProcessProposal{})
			require.NoError(t, err)
			require.True(t, res.IsAccepted())
		}
		require.Equal(t, warnings, strings.Count(out.String(), "block.max_gas is not set"))
	}
	propose(context(100), 0)
	propose(context(-1), 1)
	propose(context(0), 1)
	propose(context(100), 1)
	propose(sdk.Context{}, 2)
}

func TestAHandlerIsNeverLeftOut(t *testing.T) {
	require.Panics(t, func() { blockgas.NewProcessProposal(decode, nil) })
	require.Panics(t, func() {
		blockgas.NewProcessProposal(nil, func(sdk.Context, *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
			return nil, nil
		})
	})
}
