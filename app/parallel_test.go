package app_test

import (
	"os"
	"testing"

	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/server"
	serverconfig "github.com/cosmos/cosmos-sdk/server/config"
	"github.com/cosmos/cosmos-sdk/testutil/sims"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/appchain"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestParallelExecutionGivesTheSameState has nodes of one chain whose app.toml choose the executor
// of transactions: all get the same results, the same app hash, and every envelope.
func TestParallelExecutionGivesTheSameState(t *testing.T) {
	const members = 8
	first := newChurn(t, appchain.Config{Members: members, Funds: 1_000_000})
	type node struct {
		*appchain.Chain
		name, home string
	}
	var nodes []node
	for _, n := range []struct {
		name    string
		options sims.AppOptionsMap
	}{
		{"one after the other", sims.AppOptionsMap{
			server.FlagBlockExecutor: serverconfig.BlockExecutorSequential,
		}},
		{"one worker", sims.AppOptionsMap{
			server.FlagBlockExecutor: serverconfig.BlockExecutorBlockSTM, server.FlagBlockSTMWorkers: 1,
		}},
		{"eight workers", sims.AppOptionsMap{
			server.FlagBlockExecutor: serverconfig.BlockExecutorBlockSTM, server.FlagBlockSTMWorkers: 8,
		}},
		{"eight workers that guess what is written", sims.AppOptionsMap{
			server.FlagBlockExecutor: serverconfig.BlockExecutorBlockSTM, server.FlagBlockSTMWorkers: 8,
			server.FlagBlockSTMPreEstimate: true,
		}},
	} {
		home := t.TempDir()
		n.options[flags.FlagHome] = home
		chain := first.Fork(t, func(cfg *appchain.Config) {
			cfg.Options, cfg.Parallel = n.options, true
		})
		nodes = append(nodes, node{chain, n.name, home})
	}
	published := 0
	// block executes a block on all nodes, in which this many envelopes are accepted.
	block := func(accepted int, txs ...[]byte) {
		t.Helper()
		published += accepted
		want := nodes[0].Block(txs...)
		for _, n := range nodes {
			if n.Chain != nodes[0].Chain {
				results := n.Block(txs...)
				require.Len(t, results, len(want), n.name)
				for i := range want {
					require.Equal(t, want[i], results[i], n.name)
				}
			}
			require.Equal(t, nodes[0].App.LastCommitID().Hash, n.App.LastCommitID().Hash, n.name)
			staged, err := n.App.TssbackupKeeper.StagedEnvelopes(n.Ctx())
			require.NoError(t, err)
			require.Empty(t, staged, n.name)
			entries, err := os.ReadDir(tssbackup.ArchiveDir(n.home))
			require.NoError(t, err)
			require.Len(t, entries, published, n.name)
			kept, err := n.App.ArchiveNode().Kept()
			require.NoError(t, err)
			require.Len(t, kept, published, n.name)
			require.Empty(t, n.App.Archive.Verify(kept), n.name)
		}
		ok := 0
		for _, result := range want {
			if result.IsOK() {
				ok++
			}
		}
		t.Logf("block %d: %d of %d transactions", nodes[0].Height, ok, len(want))
	}
	tx := func(from network.Account, msg sdk.Msg) []byte {
		return first.Tx(from, network.TxOptions{Gas: 2_000_000, Fee: appchain.Fee}, msg)
	}

	// All votes but one in one block, and one of them twice. Some carry the group part, and some of
	// those after the first name it.
	var votes [][]byte
	for i, m := range first.Signers[1:] {
		vote := first.vote(m)
		if i%3 == 1 {
			vote = first.ballot.Named(vote)
		}
		votes = append(votes, tx(m, vote))
		switch i {
		case 0:
			votes = append(votes, tx(m, first.ballot.Check(first.vault, m)))
		case 3:
			votes = append(votes, tx(m, first.vote(m)))
		}
	}
	block(members-1, votes...)
	require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_OPEN, nodes[0].Keygen(keygenID).Status)
	// The last one makes the vault active. Others come too late.
	last := first.Signers[0]
	block(1, tx(last, first.vote(last)), tx(first.Signers[1], first.vote(first.Signers[1])))
	require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_READY, nodes[0].Keygen(keygenID).Status)
	block(0)

	// Publications of all members, of which one sends the same envelope again.
	var again [][]byte
	for i, m := range first.Signers {
		msg := &types.MsgPublishBackup{
			Signer: m.Bech32(), Vault: first.vault.Name(), KeysharesBackup: network.Seal(t, m, 30_000),
		}
		again = append(again, tx(m, msg))
		if i == 2 {
			again = append(again, tx(m, msg))
		}
	}
	block(members, again...)
	block(0)
}
