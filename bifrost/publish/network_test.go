package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// realNode is a node of a network as the loop sees it.
type realNode struct{ *chain.Client }

func (n realNode) Height(ctx context.Context) (int64, error) {
	status, err := n.Status(ctx)
	return status.Height, err
}

// readRecord reads a record of the member from its outbox.
func (m *member) readRecord(path ...string) outbox.Record {
	data, err := os.ReadFile(filepath.Join(append([]string{m.home, "outbox"}, path...)...))
	require.NoError(m.w.t, err)
	var r outbox.Record
	require.NoError(m.w.t, json.Unmarshal(data, &r))
	return r
}

// TestKilledAfterSendingSettlesByStateAtANodeWithoutATxIndex has every process die once its vote is
// handed to a real node that could not say what became of a transaction. Three come back at once,
// one when its vote stands in state. Each finds its end in state: one transaction, one vote, one
// envelope and one proof, the first.
func TestKilledAfterSendingSettlesByStateAtANodeWithoutATxIndex(t *testing.T) {
	for _, split := range []bool{false, true} {
		t.Run(fmt.Sprintf("split: %t", split), func(t *testing.T) { killedAfterSending(t, split) })
	}
}

func killedAfterSending(t *testing.T, split bool) {
	n := network.New(t, network.Config{
		ChainID: testChain, Tssbackup: func(gs *types.GenesisState) { gs.Params.SplitBackups = split },
	})
	n.RegisterSigners()
	ctx := t.Context()
	w := newWorld(t, 4)
	w.tss.patience = 10 * time.Second
	for i, m := range w.members {
		v := n.Validators[i]
		client, err := chain.New(v.RPC(), 0)
		require.NoError(t, err)
		m.key, m.address, m.chain, m.poll = v.Signer.Key.(*secp256k1.PrivKey), v.Signer.Bech32(), realNode{client}, 50*time.Millisecond
		m.recipient = v.Signer.Recipient
		m.dieAt = "sent"
	}
	churn := n.StartChurn()
	keygen := churn.KeygenIds[0]

	late := w.members[0]
	opened, err := late.chain.Keygen(ctx, keygen)
	require.NoError(t, err)
	require.GreaterOrEqual(t, opened.AsOf, opened.OpenedHeight, "a node tells after which block it was so")
	died := make(chan error, 1)
	p, life := late.born(ctx)
	go func() { died <- p.Run(life) }()
	for _, m := range w.members[1:] {
		m.run()
	}
	select {
	case err := <-died:
		require.NoError(t, err)
	case <-time.After(patience):
		t.Fatalf("no vote was sent: %+v", p.Status())
	}
	sent := late.readRecord(outbox.VoteName(keygen))
	require.Equal(t, outbox.StepTx, sent.Step)
	require.NotEmpty(t, sent.EnvelopeSHA256)
	// Until it comes back, it is missing among those who sign the check message.
	n.Wait(func() bool {
		k, err := late.chain.Keygen(ctx, keygen)
		return err == nil && (k.VoteOf(late.raw()) != nil || k.Status == types.KeygenStatus_KEYGEN_STATUS_READY)
	}, "its vote stands")

	hash := sha256.Sum256(sent.Tx)
	client := late.chain.(realNode).Client
	_, err = client.Tx(ctx, hash[:])
	var refused *chain.RefusedError
	require.ErrorAs(t, err, &refused)
	require.ErrorContains(t, err, "indexing is disabled")

	late.run()
	n.WaitChurn(types.ChurnStatus_CHURN_STATUS_COMPLETE)
	height, err := late.chain.Height(ctx)
	require.NoError(t, err)
	votes, carried := map[string]int{}, 0
	for h := int64(1); h <= height; h++ {
		txs, err := client.BlockTxs(ctx, h)
		require.NoError(t, err)
		for _, raw := range txs {
			var outer tx.TxRaw
			var body tx.TxBody
			require.NoError(t, proto.Unmarshal(raw, &outer))
			require.NoError(t, proto.Unmarshal(outer.BodyBytes, &body))
			if body.Messages[0].TypeUrl == sdk.MsgTypeURL(&types.MsgTssPool{}) {
				member, _, msg := decode(raw)
				votes[member]++
				if len(msg.(*types.MsgTssPool).Group) > 0 {
					carried++
				}
			}
		}
	}
	if split {
		require.Positive(t, carried)
	} else {
		require.Zero(t, carried)
	}
	for _, m := range w.members {
		n.Wait(func() bool {
			_, err := os.Stat(filepath.Join(m.home, "outbox", "closed", outbox.VoteName(keygen)))
			return err == nil
		}, "the record is closed")
		closed := m.readRecord("closed", outbox.VoteName(keygen))
		require.Equal(t, outbox.StepDone, closed.Step)
		require.Equal(t, "ready", closed.Outcome)

		commitments, err := client.Backup(ctx, closed.Vault, m.address)
		require.NoError(t, err)
		require.Len(t, commitments, 1)
		require.Equal(t, closed.EnvelopeSHA256, hex.EncodeToString(commitments[0].Sha256))
		require.Equal(t, 1, votes[m.address], "transactions with a vote, executed or not")
		m.mu.Lock()
		require.Equal(t, 1, m.deaths)
		require.Equal(t, 1, m.seals)
		require.Equal(t, 1, m.proves)
		m.mu.Unlock()
		proof, err := client.Proof(ctx, closed.Vault, m.address)
		require.NoError(t, err)
		require.NotEmpty(t, proof.Stored)
	}
	require.Equal(t, sent.EnvelopeSHA256, late.readRecord("closed", outbox.VoteName(keygen)).EnvelopeSHA256)
}
