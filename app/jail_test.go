package app_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/codec"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestWhoSendsNoHeartbeatIsJailed runs four validators whose vault is to send heartbeats, of which
// one does. Of the other three one is jailed: two would be a third of the power and more.
func TestWhoSendsNoHeartbeatIsJailed(t *testing.T) {
	t.Parallel()
	const interval = 200
	n := network.New(t, network.Config{
		ChainID: "app-jail", TimeoutCommit: time.Millisecond,
		Tssbackup: func(gs *types.GenesisState) {
			gs.Params.HeartbeatInterval, gs.Params.HeartbeatGrace = interval, 20
		},
		Genesis: func(cdc codec.JSONCodec, state map[string]json.RawMessage) {
			var slashing slashingtypes.GenesisState
			cdc.MustUnmarshalJSON(state[slashingtypes.ModuleName], &slashing)
			require.EqualValues(t, 10_000, slashing.Params.SignedBlocksWindow)
			slashing.Params.DowntimeJailDuration = time.Second
			state[slashingtypes.ModuleName] = cdc.MustMarshalJSON(&slashing)
		},
	})
	n.RegisterSigners()
	backups := n.BackUp()
	ctx := context.Background()
	query := n.Query()
	staking := stakingtypes.NewQueryClient(n.FirstRunning().ClientContext())
	jailed := func() (names []string) {
		res, err := staking.Validators(ctx, &stakingtypes.QueryValidatorsRequest{})
		require.NoError(t, err)
		for _, v := range res.Validators {
			if v.Jailed {
				names = append(names, v.Description.Moniker)
			}
		}
		return names
	}
	missed := func() map[string]uint64 {
		res, err := query.Coverage(ctx, &types.QueryCoverageRequest{})
		require.NoError(t, err)
		out := map[string]uint64{}
		for _, m := range res.Vaults[0].List {
			if m.Heartbeat != nil {
				out[m.Address] = m.Heartbeat.Missed
			}
		}
		return out
	}
	vault, err := query.Vault(ctx, &types.QueryVaultRequest{Vault: types.VaultName(backups.Vault.PubKey())})
	require.NoError(t, err)
	epoch := vault.Vault.Epoch

	// beats sends a heartbeat over the latest beacon, which is a new one.
	faithful := n.Validators[0].Signer
	var last int64
	beats := func() {
		var beacon types.Beacon
		n.Wait(func() bool {
			res, err := query.Beacons(ctx, &types.QueryBeaconsRequest{})
			require.NoError(t, err)
			if len(res.Beacons) == 0 {
				return false
			}
			beacon = res.Beacons[len(res.Beacons)-1]
			return beacon.Height > last
		}, "a beacon")
		last = beacon.Height
		kind := types.HeartbeatKind_HEARTBEAT_KIND_MACHINE
		sig, err := faithful.Recipient(0).SignBeat(verenc.Beat{
			ChainID: n.ChainID, Epoch: epoch, Member: faithful.Address(), Height: beacon.Height,
			AppHash: beacon.AppHash, Kind: uint32(kind),
		})
		require.NoError(t, err)
		n.SendVote(faithful, &types.MsgHeartbeat{
			Signer: faithful.Bech32(), Epoch: epoch, BeaconHeight: beacon.Height, Kind: kind, Signature: sig,
		})
	}
	overdue := func() bool {
		all := missed()
		return !slices.ContainsFunc(n.Validators[1:], func(v *network.Validator) bool {
			return all[v.Signer.Bech32()] == 0
		})
	}
	for !overdue() {
		beats()
	}
	require.Zero(t, missed()[faithful.Bech32()])
	require.Len(t, jailed(), 1)
	require.NotContains(t, jailed(), n.Validators[0].Moniker)
	height := n.FirstRunning().Height()
	n.WaitHeight(height + 5) // three of four go on

	// Who is jailed comes back by itself, when its time is over.
	for _, v := range n.Validators {
		if v.Moniker == jailed()[0] {
			n.Send(v.Operator, &slashingtypes.MsgUnjail{ValidatorAddr: v.OperatorAddress()})
		}
	}
	require.Empty(t, jailed())
}
