package app_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestAnUpgradeStopsTheNodeAsCosmovisorWants has governance plan an upgrade that this version knows
// nothing of: the node stops before the block, and says in its home which version must go on.
func TestAnUpgradeStopsTheNodeAsCosmovisorWants(t *testing.T) {
	n := network.New(t, network.Config{Validators: 1, ChainID: "app-upgrade"})
	v := n.Validators[0]
	versions, err := upgradetypes.NewQueryClient(v.ClientContext()).
		ModuleVersions(context.Background(), &upgradetypes.QueryModuleVersionsRequest{ModuleName: types.ModuleName})
	require.NoError(t, err)
	require.EqualValues(t, 4, versions.ModuleVersions[0].Version)

	plan := upgradetypes.Plan{Name: "next", Height: v.Height() + 30}
	n.Govern(&upgradetypes.MsgSoftwareUpgrade{Authority: n.Authority(), Plan: plan})
	path := filepath.Join(v.Home, "data", upgradetypes.UpgradeInfoFilename)
	n.Wait(func() bool {
		_, err := os.Stat(path)
		return err == nil
	}, "the node to stop")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var told upgradetypes.Plan
	require.NoError(t, json.Unmarshal(raw, &told))
	require.Equal(t, plan.Name, told.Name)
	require.Equal(t, plan.Height, told.Height)
	require.Equal(t, plan.Height-1, v.App().LastBlockHeight())
}
