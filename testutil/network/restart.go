package network

import (
	"bytes"
	"slices"

	"cosmossdk.io/log/v2"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cosmos/cosmos-sdk/baseapp"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/cosmos/cosmos-sdk/testutil/sims"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup"
	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
)

// StopAll stops every validator that runs.
func (n *Network) StopAll() {
	n.t.Helper()
	for i, v := range n.Validators {
		if v.Running() {
			n.Stop(i)
		}
	}
}

// LastState is the app of validator i, which is stopped, at its last state, as a command of the
// daemon opens it.
func (n *Network) LastState(i int) App {
	n.t.Helper()
	v := n.Validators[i]
	require.False(n.t, v.Running(), "%s is running", v.Moniker)
	a, err := n.cfg.Chain.New(
		log.NewNopLogger(),
		v.appDB,
		sims.NewAppOptionsWithFlagHome(v.Home),
		baseapp.SetChainID(n.ChainID),
	)
	require.NoError(n.t, err)
	return a
}

// ExportGenesis exports the last state of the first validator, which is stopped, as the genesis of
// a chain with this id.
func (n *Network) ExportGenesis(chainID string) *cmttypes.GenesisDoc {
	n.t.Helper()
	exporter, ok := n.LastState(0).(interface {
		ExportAppStateAndValidators(
			forZeroHeight bool, jailAllowed []string,
		) (servertypes.ExportedApp, error)
	})
	require.True(n.t, ok, "the app exports no state")
	exported, err := exporter.ExportAppStateAndValidators(false, nil)
	require.NoError(n.t, err)
	params := cmttypes.ConsensusParamsFromProto(exported.ConsensusParams)
	doc := &cmttypes.GenesisDoc{
		GenesisTime:     n.genesis.GenesisTime,
		ChainID:         chainID,
		InitialHeight:   exported.Height,
		ConsensusParams: &params,
		Validators:      exported.Validators,
		AppState:        exported.AppState,
	}
	require.NoError(n.t, doc.ValidateAndComplete())
	return doc
}

// Restart stops the network and has a new one with this chain id go on from its state. The archive
// of the first validator is exported, and imported by every validator of the new network but those
// that forget it.
func (n *Network) Restart(chainID string, forget ...int) *Network {
	n.t.Helper()
	n.StopAll()
	old := n.LastState(0)
	kept, err := old.ArchiveNode().Kept()
	require.NoError(n.t, err)
	store, err := old.ArchiveNode().Archive()
	require.NoError(n.t, err)
	var exported bytes.Buffer
	count, err := store.Export(&exported, kept)
	require.NoError(n.t, err)
	return New(n.t, Config{
		ChainID:    chainID,
		Chain:      n.cfg.Chain,
		KeysOf:     n.cfg.KeysOf,
		GenesisDoc: n.ExportGenesis(chainID),
		Node: func(i int, cfg *NodeConfig) {
			if slices.Contains(forget, i) {
				return
			}
			a, err := archive.Open(tssbackup.ArchiveDir(cfg.Comet.RootDir))
			require.NoError(n.t, err)
			imported, err := a.Import(bytes.NewReader(exported.Bytes()))
			require.NoError(n.t, err)
			require.Equal(n.t, count, imported)
		},
	})
}
