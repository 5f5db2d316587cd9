package archive_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	pruningtypes "github.com/cosmos/cosmos-sdk/store/v2/pruning/types"
	"github.com/cosmos/cosmos-sdk/store/v2/snapshots"
	snapshottypes "github.com/cosmos/cosmos-sdk/store/v2/snapshots/types"
	"github.com/cosmos/cosmos-sdk/testutil/sims"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/sanity"
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
	keygen := n.StartChurn().KeygenIds[0]
	for _, v := range n.Validators {
		b.vote(t, n, keygen, v)
	}
	n.WaitChurn(types.ChurnStatus_CHURN_STATUS_COMPLETE)
	return b
}

func (b *backups) vote(t *testing.T, n *network.Network, keygen uint64, v *network.Validator) {
	t.Helper()
	sealed := network.Seal(t, v.Signer, 20<<10)
	res := n.SendVote(v.Signer, b.vault.Vote(n.ChainID, keygen, v.Signer, sealed))
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

// prune has nodes keep ten blocks and one state.
func prune(cfg *network.NodeConfig) {
	cfg.BaseApp = append(cfg.BaseApp,
		baseapp.SetMinRetainBlocks(10),
		baseapp.SetPruning(pruningtypes.NewPruningOptions(pruningtypes.PruningEverything)),
	)
}

func shortEvidence(params *cmttypes.ConsensusParams) {
	params.Evidence.MaxAgeNumBlocks = 5
	params.Evidence.MaxAgeDuration = time.Second
}

// TestPrunedNodesServeEveryBackup also damages and removes what one of them
// keeps: when it starts again it repairs what it has the block of, and the rest
// comes from another node.
func TestPrunedNodesServeEveryBackup(t *testing.T) {
	n := network.New(t, network.Config{
		Consensus:     shortEvidence,
		TimeoutCommit: 50 * time.Millisecond,
		Node:          func(_ int, cfg *network.NodeConfig) { prune(cfg) },
	})
	n.RegisterSigners()
	b := churn(t, n, "pruned")
	n.WaitHeight(b.heights[3] + 20)
	for _, v := range n.Validators {
		for _, height := range b.heights {
			_, err := v.Client().Block(context.Background(), &height)
			require.ErrorContains(t, err, "is not available", "the block of the vote is gone")
		}
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
	faults, err := sick.App().RepairArchive(context.Background(), archive.FromBlock(sick.Client()))
	require.NoError(t, err)
	require.Len(t, faults, 2)
	why := errors.Join(faults[0].Err, faults[1].Err)
	require.ErrorIs(t, why, types.ErrArchiveDamaged)
	require.ErrorIs(t, why, types.ErrNotArchived)
	healthy := archive.FromArchive(types.NewQueryClient(n.Validators[0].ClientContext()), sick.App().AccountKeeper.AddressCodec())
	faults, err = sick.App().RepairArchive(context.Background(), healthy)
	require.NoError(t, err)
	require.Empty(t, faults)
	b.recoverable(t, n, sick)

	// A retired vault's envelopes stay for a while, another churn's are added.
	next := churn(t, n, "next")
	n.Govern(&types.MsgRetireVault{Authority: network.Authority(), Vault: b.vault.Name()})
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

// TestFullDiskStopsTheNode has one node fail to write an envelope: it stops at
// that block, the others go on, and when there is room it has lost nothing.
func TestFullDiskStopsTheNode(t *testing.T) {
	n := network.New(t, network.Config{})
	n.RegisterSigners()
	keygen := n.StartChurn().KeygenIds[0]
	b := backups{vault: network.NewVault("full disk")}
	for _, v := range n.Validators[:3] {
		b.vote(t, n, keygen, v)
	}
	full, voter := n.Validators[2], n.Validators[3]
	sealed := network.Seal(t, voter.Signer, 20<<10)
	b.envelopes = append(b.envelopes, sealed)
	require.NoError(t, os.Symlink("/dev/full", b.path(full, 3)+".tmp"))

	vote := b.vault.Vote(n.ChainID, keygen, voter.Signer, sealed)
	tx := n.Sign(voter.Signer, network.TxOptions{Gas: 1_000_000 + 10*uint64(len(sealed))}, vote)
	require.Zero(t, n.Broadcast(tx).Code)
	n.Wait(func() bool { return n.Validators[0].App().LastBlockHeight() >= full.App().LastBlockHeight()+3 }, "%s to stand still", full)
	require.NoFileExists(t, b.path(full, 3))
	for _, i := range []int{0, 1, 3} {
		b.recoverable(t, n, n.Validators[i])
	}

	n.Stop(2)
	n.Start(2)
	n.WaitBlocks(2)
	b.recoverable(t, n, full)
}

// TestStateSyncBringsTheEnvelopes has a node join from a snapshot, and then be
// the only one that is left.
func TestStateSyncBringsTheEnvelopes(t *testing.T) {
	stores := make(map[int]*snapshots.Store)
	n := network.New(t, network.Config{
		TimeoutCommit: 100 * time.Millisecond,
		Node: func(i int, cfg *network.NodeConfig) {
			if stores[i] == nil {
				var err error
				stores[i], err = snapshots.NewStore(dbm.NewMemDB(), t.TempDir())
				require.NoError(t, err)
			}
			cfg.BaseApp = append(cfg.BaseApp, baseapp.SetSnapshot(stores[i], snapshottypes.NewSnapshotOptions(10, 100)))
		},
	})
	n.RegisterSigners()
	b := churn(t, n, "state sync")

	// A node whose archive is not complete makes no snapshot.
	lame := n.Validators[3]
	require.NoError(t, os.Truncate(b.path(lame, 0), 10))
	published := uint64(lame.App().LastBlockHeight())
	height := func(i int) uint64 {
		latest, err := stores[i].GetLatest()
		require.NoError(t, err)
		if latest == nil {
			return 0
		}
		return latest.Height
	}
	n.Wait(func() bool { return height(0) > published+30 }, "snapshots")
	require.LessOrEqual(t, height(3), published)

	trusted := n.FirstRunning().Height() - 15
	commit, err := n.FirstRunning().Client().Commit(context.Background(), &trusted)
	require.NoError(t, err)
	joined := n.Join(func(cfg *network.NodeConfig) {
		cfg.Comet.StateSync.Enable = true
		cfg.Comet.StateSync.RPCServers = []string{n.Validators[0].RPC(), n.Validators[1].RPC()}
		cfg.Comet.StateSync.TrustHeight = trusted
		cfg.Comet.StateSync.TrustHash = commit.Header.Hash().String()
		cfg.Comet.StateSync.TrustPeriod = time.Hour
		cfg.Comet.StateSync.DiscoveryTime = 5 * time.Second // the least that CometBFT takes
	})
	n.Wait(func() bool { return joined.Height() > trusted }, "%s to join", joined)
	for _, height := range b.heights {
		_, err := joined.Client().Block(context.Background(), &height)
		require.ErrorContains(t, err, "is not available", "it never had the block of the vote")
	}

	for i := range n.Validators {
		n.Stop(i)
	}
	b.recoverable(t, n, joined)
}

// TestRestartFromGenesis carries a state and its envelopes to a new chain id.
func TestRestartFromGenesis(t *testing.T) {
	n := network.New(t, network.Config{})
	n.RegisterSigners()
	b := churn(t, n, "restart")
	for i := range n.Validators {
		n.Stop(i)
	}
	old := n.Validators[0]
	a, err := app.New(log.NewNopLogger(), old.DB(), true, sims.NewAppOptionsWithFlagHome(old.Home), baseapp.SetChainID(n.ChainID))
	require.NoError(t, err)
	kept, err := a.KeptEnvelopes()
	require.NoError(t, err)
	var exported bytes.Buffer
	count, err := a.Archive.Export(&exported, kept)
	require.NoError(t, err)
	require.Equal(t, 4, count)
	state, err := a.ExportAppStateAndValidators(false, nil)
	require.NoError(t, err)
	params := cmttypes.ConsensusParamsFromProto(state.ConsensusParams)
	doc := &cmttypes.GenesisDoc{
		GenesisTime:     n.Genesis().GenesisTime,
		ChainID:         "tssbackup-again",
		InitialHeight:   state.Height,
		ConsensusParams: &params,
		Validators:      state.Validators,
		AppState:        state.AppState,
	}
	require.NoError(t, doc.ValidateAndComplete())

	again := network.New(t, network.Config{
		ChainID:    doc.ChainID,
		KeysOf:     n.ChainID,
		GenesisDoc: doc,
		Node: func(i int, cfg *network.NodeConfig) {
			if i == 3 {
				return // one operator forgets
			}
			a, err := archive.Open(tssbackup.ArchiveDir(cfg.Comet.RootDir))
			require.NoError(t, err)
			count, err := a.Import(bytes.NewReader(exported.Bytes()))
			require.NoError(t, err)
			require.Equal(t, 4, count)
		},
	})
	again.WaitBlocks(3)
	for _, v := range again.Validators[:3] {
		b.recoverable(t, again, v)
	}
	faults, err := again.Validators[3].App().RepairArchive(context.Background())
	require.NoError(t, err)
	require.Len(t, faults, 4)
	require.ErrorIs(t, faults[0].Err, types.ErrNotArchived)
	require.Contains(t, faults[0].Err.Error(), hex.EncodeToString(faults[0].Commitment.Sha256))
}
