package archive_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"testing"
	"time"

	pruningtypes "github.com/cosmos/cosmos-sdk/store/v2/pruning/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup"
	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// backups are the envelopes of a vault, in the order of the validators.
type backups struct {
	vault     network.Vault
	envelopes [][]byte
	heights   []int64
}

// churn takes a network through a churn.
func churn(t *testing.T, n *network.Network, name string) backups {
	t.Helper()
	b := backups{vault: network.NewVault(name)}
	ballot := n.Ballot(n.StartChurn().KeygenIds[0])
	for _, v := range n.Validators {
		b.vote(t, n, ballot, v)
	}
	n.SendVote(ballot.Members[0], ballot.Check(b.vault, ballot.Members[0]))
	n.WaitChurn(types.ChurnStatus_CHURN_STATUS_COMPLETE)
	return b
}

func (b *backups) vote(t *testing.T, n *network.Network, ballot network.Ballot, v *network.Validator) {
	t.Helper()
	sealed := network.Seal(t, v.Signer, 20<<10)
	res := n.SendVote(v.Signer, ballot.Vote(b.vault, v.Signer, sealed))
	b.envelopes = append(b.envelopes, sealed)
	b.heights = append(b.heights, res.Height)
}

// recoverable asks one node alone for every envelope, which its member can open.
func (b *backups) recoverable(t *testing.T, n *network.Network, from *network.Validator) {
	t.Helper()
	for i, v := range n.Validators {
		sealed, err := b.fetch(from, v)
		require.NoError(t, err, "%s's envelope from %s", v, from)
		require.True(t, bytes.Equal(b.envelopes[i], sealed))
		mnemonic, err := sanity.ParseMnemonic([]byte(v.Signer.Mnemonic))
		require.NoError(t, err)
		files, err := envelope.Open(sealed, mnemonic)
		require.NoError(t, err)
		require.Len(t, files, 1)
	}
}

func (b *backups) fetch(from, member *network.Validator) ([]byte, error) {
	res, err := types.NewQueryClient(from.ClientContext()).Envelope(context.Background(), &types.QueryEnvelopeRequest{
		Vault: b.vault.Name(), Member: member.Signer.Bech32(),
	})
	if err != nil {
		return nil, err
	}
	return res.Envelope, nil
}

// path is where a node keeps the envelope of member i.
func (b *backups) path(v *network.Validator, i int) string {
	return file(tssbackup.ArchiveDir(v.Home), b.envelopes[i])
}

// TestPrunedNodesServeEveryBackup also damages and removes what one of them keeps: when it starts
// again it repairs what it has the block of, and the rest comes from another node.
func TestPrunedNodesServeEveryBackup(t *testing.T) {
	n := network.New(t, network.Config{
		Consensus:     network.ShortEvidence,
		TimeoutCommit: 50 * time.Millisecond,
		Node:          network.Prune(10, pruningtypes.NewPruningOptions(pruningtypes.PruningEverything)),
	})
	n.RegisterSigners()
	b := churn(t, n, "pruned")
	n.WaitHeight(b.heights[3] + 20)
	for _, v := range n.Validators {
		v.RequirePruned(b.heights...)
		b.recoverable(t, n, v)
	}

	// A node whose files are damaged or gone never serves anything else.
	sick := n.Validators[3]
	require.NoError(t, os.Truncate(b.path(sick, 0), 100))
	require.NoError(t, os.Remove(b.path(sick, 1)))
	_, err := b.fetch(sick, n.Validators[0])
	require.ErrorContains(t, err, types.ErrArchiveDamaged.Error())
	_, err = b.fetch(sick, n.Validators[1])
	require.Equal(t, codes.NotFound, status.Code(err), "%v", err)

	// Its own blocks are gone, so it asks another node.
	faults, err := sick.App().ArchiveNode().Repair(context.Background(), archive.FromBlock(sick.Client()))
	require.NoError(t, err)
	require.Len(t, faults, 2)
	why := errors.Join(faults[0].Err, faults[1].Err)
	require.ErrorIs(t, why, types.ErrArchiveDamaged)
	require.ErrorIs(t, why, types.ErrNotArchived)
	client, err := chain.New(n.Validators[0].RPC(), 0)
	require.NoError(t, err)
	healthy := archive.FromArchive(client, sick.App().ArchiveNode().AddressCodec())
	faults, err = sick.App().ArchiveNode().Repair(context.Background(), healthy)
	require.NoError(t, err)
	require.Empty(t, faults)
	b.recoverable(t, n, sick)

	// A retired vault's envelopes stay for a while, another churn's are added.
	next := churn(t, n, "next")
	n.Govern(&types.MsgRetireVault{Authority: n.Authority(), Vault: b.vault.Name()})
	b.recoverable(t, n, sick)
	next.recoverable(t, n, sick)
}

func TestNodeRepairsItselfFromItsOwnBlocks(t *testing.T) {
	n := network.New(t, network.Config{})
	n.RegisterSigners()
	b := churn(t, n, "own blocks")
	v := n.Validators[1]
	n.Stop(1)
	require.NoError(t, os.Truncate(b.path(v, 0), 0))
	require.NoError(t, os.Remove(b.path(v, 2)))
	orphan := file(tssbackup.ArchiveDir(v.Home), []byte("orphan"))
	require.NoError(t, os.WriteFile(orphan, []byte("orphan"), 0o600))
	n.Start(1)
	n.Wait(func() bool {
		for _, member := range n.Validators {
			if _, err := b.fetch(v, member); err != nil {
				return false
			}
		}
		return true
	}, "repair of %s", v)
	b.recoverable(t, n, v)
	n.WaitBlocks(2)
	require.NoFileExists(t, orphan, "what nobody needs is swept at the start")
}

// TestFullDiskStopsTheNode has one node fail to write an envelope: it stops at that block, the
// others go on, and when there is room it has lost nothing.
func TestFullDiskStopsTheNode(t *testing.T) {
	n := network.New(t, network.Config{})
	n.RegisterSigners()
	ballot := n.Ballot(n.StartChurn().KeygenIds[0])
	b := backups{vault: network.NewVault("full disk")}
	for _, v := range n.Validators[:3] {
		b.vote(t, n, ballot, v)
	}
	n.SendVote(ballot.Members[0], ballot.Check(b.vault, ballot.Members[0]))
	full, voter := n.Validators[2], n.Validators[3]
	sealed := network.Seal(t, voter.Signer, 20<<10)
	b.envelopes = append(b.envelopes, sealed)
	faults := disk.FailAt(t, tssbackup.ArchiveDir(full.Home), 2)

	require.Zero(t, n.Broadcast(naming(t, n, ballot, b.vault, voter.Signer, sealed)).Code)
	n.Wait(func() bool { return n.Validators[0].App().LastBlockHeight() >= full.App().LastBlockHeight()+3 }, "%s to stand still", full)
	require.True(t, faults.Reached())
	require.NoFileExists(t, b.path(full, 3))
	for _, i := range []int{0, 1, 3} {
		b.recoverable(t, n, n.Validators[i])
	}

	n.Stop(2)
	n.Start(2)
	n.WaitBlocks(2)
	b.recoverable(t, n, full)
}

// naming is the transaction of a vote that names the group part.
func naming(
	t *testing.T, n *network.Network, ballot network.Ballot, vault network.Vault, voter network.Account, sealed []byte,
) []byte {
	t.Helper()
	vote := ballot.Named(ballot.Vote(vault, voter, sealed))
	gas, err := types.SignerGas(vote, len(ballot.Members))
	require.NoError(t, err)
	return n.Sign(voter, network.TxOptions{Gas: gas}, vote)
}

// TestStateSyncBringsTheEnvelopes has a node join from a snapshot, and then be the only one that is
// left. It has the group part of the vault, and takes a vote that names one which another vote
// carried before it joined.
func TestStateSyncBringsTheEnvelopes(t *testing.T) {
	made := network.Snapshots{}
	n := network.New(t, made.Config(t.TempDir))
	n.RegisterSigners()
	b := churn(t, n, "state sync")

	// A node whose archive is not complete makes no snapshot.
	lame := n.Validators[3]
	require.NoError(t, os.Truncate(b.path(lame, 0), 10))
	under, first, second := network.NewVault("under way"), n.Validators[0].Signer, n.Validators[1].Signer
	ballot := n.Ballot(n.StartChurn().KeygenIds[0])
	carried := n.SendVote(first, ballot.Vote(under, first, network.Seal(t, first, 1_000)))
	published := lame.App().LastBlockHeight()
	joined := n.JoinByStateSync(made, published)
	require.LessOrEqual(t, made.Height(3), published)
	joined.RequirePruned(append(b.heights, carried.Height)...)

	groupOf := func(v *network.Validator) *types.QueryGroupResponse {
		res, err := types.NewQueryClient(v.ClientContext()).Group(t.Context(), &types.QueryGroupRequest{Vault: b.vault.Name()})
		require.NoError(t, err)
		return res
	}
	require.Equal(t, groupOf(n.Validators[0]), groupOf(joined))
	tx := naming(t, n, ballot, under, second, network.Seal(t, second, 1_000))
	checked, err := joined.Client().BroadcastTxSync(t.Context(), tx)
	require.NoError(t, err)
	require.Zero(t, checked.Code, checked.Log)
	n.Wait(func() bool {
		res, err := types.NewQueryClient(joined.ClientContext()).Keygen(t.Context(), &types.QueryKeygenRequest{Id: ballot.KeygenID})
		return err == nil && len(res.Keygen.Votes) == 2
	}, "the vote stands in the state of %s", joined)

	n.StopAll()
	b.recoverable(t, n, joined)
}

// TestRestartFromGenesis carries a state and its envelopes to a new chain id.
func TestRestartFromGenesis(t *testing.T) {
	n := network.New(t, network.Config{})
	n.RegisterSigners()
	b := churn(t, n, "restart")
	again := n.Restart("tssbackup-again", 3) // one operator forgets
	again.WaitBlocks(3)
	for _, v := range again.Validators[:3] {
		b.recoverable(t, again, v)
	}
	faults, err := again.Validators[3].App().ArchiveNode().Repair(context.Background())
	require.NoError(t, err)
	require.Len(t, faults, 4)
	require.ErrorIs(t, faults[0].Err, types.ErrNotArchived)
	require.Contains(t, faults[0].Err.Error(), hex.EncodeToString(faults[0].Commitment.Sha256))
}
