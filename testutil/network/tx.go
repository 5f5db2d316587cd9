package network

import (
	"context"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	coretypes "github.com/cometbft/cometbft/rpc/core/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// defaultGas is enough for any message of the module and of governance without a large envelope.
const defaultGas = 1_000_000

// FirstRunning is the first validator whose node runs.
func (n *Network) FirstRunning() *Validator {
	n.t.Helper()
	for _, v := range n.Validators {
		if v.Running() {
			return v
		}
	}
	require.FailNow(n.t, "no validator is running")
	return nil
}

// Sign makes the bytes of a transaction that the account can send next, with its number and
// sequence as the chain has them.
func (n *Network) Sign(from Account, opts TxOptions, msgs ...sdk.Msg) []byte {
	n.t.Helper()
	return n.signAll([]Account{from}, opts, msgs...)
}

func (n *Network) signAll(from []Account, opts TxOptions, msgs ...sdk.Msg) []byte {
	n.t.Helper()
	auth := authtypes.NewQueryClient(n.FirstRunning().ClientContext())
	signers := make([]Signer, len(from))
	for i, account := range from {
		res, err := auth.AccountInfo(
			context.Background(),
			&authtypes.QueryAccountInfoRequest{Address: account.Bech32()},
		)
		require.NoError(n.t, err)
		signers[i] = Signer{
			Account:  account,
			Number:   res.Info.AccountNumber,
			Sequence: res.Info.Sequence,
		}
	}
	txConfig := n.FirstRunning().app.TxConfig()
	bytes, err := txConfig.TxEncoder()(SignTx(n.t, txConfig, n.ChainID, signers, opts, msgs...))
	require.NoError(n.t, err)
	return bytes
}

// Broadcast hands the transaction to the node and returns what its mempool says. A node that has
// yet to catch up takes none, so it waits for that.
func (n *Network) Broadcast(tx []byte) *coretypes.ResultBroadcastTx {
	n.t.Helper()
	n.Wait(func() bool {
		status, err := n.FirstRunning().client.Status(context.Background())
		return err == nil && !status.SyncInfo.CatchingUp
	}, "a node that is in sync")
	res, err := n.FirstRunning().client.BroadcastTxSync(context.Background(), tx)
	require.NoError(n.t, err)
	return res
}

// waitTx waits until the transaction is in a block at this height or later and all running
// validators have that block. It reads the blocks: nodes have no index of transactions.
func (n *Network) waitTx(tx []byte, height int64) *coretypes.ResultTx {
	n.t.Helper()
	ctx := context.Background()
	var res *coretypes.ResultTx
	n.Wait(func() bool {
		for ; ; height++ {
			block, err := n.FirstRunning().client.Block(ctx, &height)
			if err != nil {
				return false // yet to come
			}
			at := block.Block.Txs.Index(tx)
			if at < 0 {
				continue
			}
			results, err := n.FirstRunning().client.BlockResults(ctx, &height)
			if err != nil {
				return false
			}
			res = &coretypes.ResultTx{
				Height:   height,
				Index:    uint32(at),
				Tx:       tx,
				TxResult: *results.TxsResults[at],
			}
			return true
		}
	}, "transaction in a block")
	n.WaitHeight(res.Height)
	return res
}

// Send signs messages, pays for them, and waits until they are in a block. The test fails when the
// transaction does.
func (n *Network) Send(from Account, msgs ...sdk.Msg) *coretypes.ResultTx {
	n.t.Helper()
	return n.send(from, TxOptions{Gas: defaultGas, Fee: n.cfg.Chain.Fee(defaultGas)}, msgs...)
}

// SendVote sends one message without a fee, as a bifrost sends its votes.
func (n *Network) SendVote(from Account, vote sdk.Msg) *coretypes.ResultTx {
	n.t.Helper()
	gas, err := types.SignerGas(vote, len(n.Validators))
	require.NoError(n.t, err)
	return n.send(from, TxOptions{Gas: gas}, vote)
}

func (n *Network) send(from Account, opts TxOptions, msgs ...sdk.Msg) *coretypes.ResultTx {
	n.t.Helper()
	return n.deliver(n.Sign(from, opts, msgs...))
}

// deliver broadcasts a transaction and waits until it is in a block, where it is to succeed.
func (n *Network) deliver(tx []byte) *coretypes.ResultTx {
	n.t.Helper()
	height := n.FirstRunning().Height()
	check := n.Broadcast(tx)
	require.Equal(n.t, abci.CodeTypeOK, check.Code, check.Log)
	res := n.waitTx(tx, height)
	require.Equal(n.t, abci.CodeTypeOK, res.TxResult.Code, res.TxResult.Log)
	return res
}

// RegisterSigner registers the signer of validator i, or replaces the one it has.
func (n *Network) RegisterSigner(i int) {
	n.t.Helper()
	v := n.Validators[i]
	msg, err := v.Signer.Registration(n.ChainID, v.Operator, 0)
	require.NoError(n.t, err)
	n.Send(v.Operator, msg)
}

// RegisterSigners registers the signers of all validators.
func (n *Network) RegisterSigners() {
	n.t.Helper()
	for i := range n.Validators {
		n.RegisterSigner(i)
	}
}

// Query is the module's query client at the first running validator.
func (n *Network) Query() types.QueryClient {
	n.t.Helper()
	return types.NewQueryClient(n.FirstRunning().ClientContext())
}

// Height is the height of the validator's last block.
func (v *Validator) Height() int64 { return v.node.BlockStore().Height() }

// AppHash is the hash of the app's state after the block at height, as the next block of validator
// i has it. It waits for that block.
func (n *Network) AppHash(i int, height int64) []byte {
	n.t.Helper()
	next := height + 1
	v := n.Validators[i]
	n.Wait(func() bool { return v.Height() >= next }, "%s at height %d", v, next)
	res, err := v.client.Commit(context.Background(), &next)
	require.NoError(n.t, err)
	return res.AppHash
}

// String names the validator in failures.
func (v *Validator) String() string { return fmt.Sprintf("%s (%s)", v.Moniker, v.RPC()) }
