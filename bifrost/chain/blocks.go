package chain

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	cmttypes "github.com/cometbft/cometbft/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// BlockTxs returns the transactions of a block, or [ErrNoBlock].
func (c *Client) BlockTxs(ctx context.Context, height int64) ([][]byte, error) {
	var res *ctypes.ResultBlock
	err := c.await(ctx, func() (err error) {
		if res, err = c.rpc.Block(ctx, &height); err != nil {
			err = c.classify(ctx, err)
		}
		return err
	})
	if of := (*RefusedError)(nil); errors.As(err, &of) {
		err = fmt.Errorf("%w: it shows no block: %w", ErrUnreachable, err)
	}
	if err != nil {
		return nil, err
	}
	if res.Block == nil {
		return nil, fmt.Errorf("%w: block %d", ErrNoBlock, height)
	}
	if res.Block.Height != height {
		return nil, fmt.Errorf(
			"%w: asked for block %d, got block %d",
			ErrUnreachable,
			height,
			res.Block.Height,
		)
	}
	txs := make([][]byte, len(res.Block.Txs))
	for i, tx := range res.Block.Txs {
		txs[i] = tx
	}
	return txs, nil
}

// Envelope fetches the bytes that a commitment stands for from the block that it names. What it
// returns has the commitment's size and hash. The error is [ErrNoBlock] when the node does not hold
// the block, [ErrNoEnvelope] when the block it shows holds no such bytes, and [ErrHeld], without
// asking, for an envelope that members hold.
func (c *Client) Envelope(ctx context.Context, commitment types.Commitment) ([]byte, error) {
	if commitment.IsHeld() {
		return nil, ErrHeld
	}
	if len(commitment.Sha256) != types.HashSize {
		return nil, fmt.Errorf(
			"%w: a commitment to a hash of %d bytes",
			ErrState,
			len(commitment.Sha256),
		)
	}
	txs, err := c.BlockTxs(ctx, commitment.Height)
	if err != nil {
		return nil, err
	}
	envelope, ok := types.FindEnvelope(txs, commitment)
	if !ok {
		return nil, fmt.Errorf("%w: block %d holds none with hash %x",
			ErrNoEnvelope, commitment.Height, commitment.Sha256)
	}
	return envelope, nil
}

// TxResult is what became of a transaction in a block.
type TxResult struct {
	Height int64
	// Err is nil when the transaction was executed, a [RefusedError] when it failed in its block.
	Err error
}

// Tx returns the result of the transaction with a hash (the SHA-256 of its bytes), or [ErrNotFound]
// while it is in no block that the node indexed. A node without an index refuses: state is the
// better witness.
func (c *Client) Tx(ctx context.Context, hash []byte) (TxResult, error) {
	res, err := c.rpc.Tx(ctx, hash, false)
	if err != nil {
		return TxResult{}, c.classify(ctx, err)
	}
	result := TxResult{Height: res.Height}
	if !res.TxResult.IsOK() {
		result.Err = refused(res.TxResult.Codespace, res.TxResult.Code, res.TxResult.Log)
	}
	return result, nil
}

// Broadcast hands a signed transaction to the node and returns when the node has checked it. nil
// means that it is in the node's mempool and not yet that it is in a block. It is sent again by
// itself only when the node has surely not taken it: a second sending of what arrived would be
// answered as if it were another's. The errors to branch on
// are sdkerrors.ErrTxInMempoolCache, sdkerrors.ErrWrongSequence, [ErrUnreachable] and
// [RefusedError].
func (c *Client) Broadcast(ctx context.Context, tx []byte) error {
	res, err := c.rpc.BroadcastTxSync(once(ctx), cmttypes.Tx(tx))
	if err != nil {
		return c.classify(ctx, err)
	}
	if res.Code != 0 {
		return refused(res.Codespace, res.Code, res.Log)
	}
	return nil
}

// maxGenesis bounds a genesis.
const maxGenesis = 1 << 30

// Genesis returns the bytes of the chain's genesis file, as the node has it.
func (c *Client) Genesis(ctx context.Context) ([]byte, error) {
	var genesis []byte
	for chunk, total := 0, 1; chunk < total; chunk++ {
		res, err := c.rpc.GenesisChunked(ctx, uint(chunk))
		if err != nil {
			return nil, c.classify(ctx, err)
		}
		data, err := base64.StdEncoding.DecodeString(res.Data)
		if err != nil || len(data) == 0 || res.ChunkNumber != chunk {
			return nil, fmt.Errorf("%w: malformed part %d of the genesis", ErrUnreachable, chunk)
		}
		if len(genesis)+len(data) > maxGenesis {
			return nil, fmt.Errorf("%w: the genesis is larger than %d bytes", ErrUnreachable,
				maxGenesis)
		}
		genesis, total = append(genesis, data...), res.TotalChunks
	}
	return genesis, nil
}
