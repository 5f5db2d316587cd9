package network

import (
	"context"
	"time"

	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	pruningtypes "github.com/cosmos/cosmos-sdk/store/v2/pruning/types"
	"github.com/cosmos/cosmos-sdk/store/v2/snapshots"
	snapshottypes "github.com/cosmos/cosmos-sdk/store/v2/snapshots/types"
	"github.com/stretchr/testify/require"
)

// Prune is a Config.Node that has every node keep so many blocks, and states as the options say. It
// takes ShortEvidence, or blocks stay for the sake of evidence.
func Prune(blocks uint64, states pruningtypes.PruningOptions) func(int, *NodeConfig) {
	return func(_ int, cfg *NodeConfig) {
		cfg.BaseApp = append(
			cfg.BaseApp,
			baseapp.SetMinRetainBlocks(blocks),
			baseapp.SetPruning(states),
		)
	}
}

// ShortEvidence is a Config.Consensus in which evidence expires after five blocks.
func ShortEvidence(params *cmttypes.ConsensusParams) {
	params.Evidence.MaxAgeNumBlocks = 5
	params.Evidence.MaxAgeDuration = time.Second
}

// RequirePruned fails the test unless the node lacks these blocks.
func (v *Validator) RequirePruned(heights ...int64) {
	v.network.t.Helper()
	for _, height := range heights {
		_, err := v.client.Block(context.Background(), &height)
		require.ErrorContains(v.network.t, err, "is not available", "block %d of %s", height, v)
	}
}

// snapshotInterval is how many blocks there are between two snapshots.
const snapshotInterval = 10

// Snapshots keeps the snapshots that the nodes of a network make, by their number.
type Snapshots map[int]*snapshots.Store

// Config is the Config of a network whose nodes make snapshots.
func (s Snapshots) Config(dir func() string) Config {
	return Config{
		TimeoutCommit: 100 * time.Millisecond,
		Node: func(i int, cfg *NodeConfig) {
			if s[i] == nil {
				var err error
				if s[i], err = snapshots.NewStore(dbm.NewMemDB(), dir()); err != nil {
					panic(err) // the folder is the test's own
				}
			}
			cfg.BaseApp = append(
				cfg.BaseApp,
				baseapp.SetSnapshot(s[i], snapshottypes.NewSnapshotOptions(snapshotInterval, 100)),
			)
		},
	}
}

// Height is that of the last snapshot of validator i, 0 if it has made none.
func (s Snapshots) Height(i int) int64 {
	latest, err := s[i].GetLatest()
	if err != nil || latest == nil {
		return 0
	}
	return int64(latest.Height)
}

// JoinByStateSync waits until the first validator has made snapshots of later heights than this,
// and has a node join by one of them.
func (n *Network) JoinByStateSync(s Snapshots, after int64) *Validator {
	n.t.Helper()
	n.Wait(func() bool { return s.Height(0) > after+3*snapshotInterval }, "snapshots")
	trusted := n.FirstRunning().Height() - snapshotInterval - snapshotInterval/2
	commit, err := n.FirstRunning().client.Commit(context.Background(), &trusted)
	require.NoError(n.t, err)
	joined := n.Join(func(cfg *NodeConfig) {
		cfg.Comet.StateSync.Enable = true
		cfg.Comet.StateSync.RPCServers = []string{n.Validators[0].RPC(), n.Validators[1].RPC()}
		cfg.Comet.StateSync.TrustHeight = trusted
		cfg.Comet.StateSync.TrustHash = commit.Hash().String()
		cfg.Comet.StateSync.TrustPeriod = time.Hour
		cfg.Comet.StateSync.DiscoveryTime = 5 * time.Second // the least that CometBFT takes
	})
	n.Wait(func() bool { return joined.Height() > trusted }, "%s to join", joined)
	return joined
}
