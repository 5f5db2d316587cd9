package ante_test

import (
	"testing"

	"cosmossdk.io/collections"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// beat is a member's heartbeat over a beacon as it is in state.
func (c *chain) beat(member network.Account, beacon types.Beacon) *types.MsgHeartbeat {
	c.t.Helper()
	kind := types.HeartbeatKind_HEARTBEAT_KIND_MACHINE
	sig, err := member.Recipient(0).SignBeat(verenc.Beat{
		ChainID: chainID, Epoch: keygenID, Member: member.Address(), Height: beacon.Height,
		AppHash: beacon.AppHash, Kind: uint32(kind),
	})
	require.NoError(c.t, err)
	return &types.MsgHeartbeat{
		Signer: member.Bech32(), Epoch: keygenID, BeaconHeight: beacon.Height, Kind: kind, Signature: sig,
	}
}

// free is a transaction with a heartbeat that pays no fee.
func (c *chain) free(member network.Account, msg *types.MsgHeartbeat) []byte {
	gas, err := types.SignerGas(msg, memberCount)
	require.NoError(c.t, err)
	return c.Tx(member, network.TxOptions{Gas: gas}, msg)
}

func TestHeartbeatsCostNoFeeAndAreCounted(t *testing.T) {
	c := newChain(t, "10"+network.Denom, func(p *types.Params) { p.HeartbeatInterval = 200 })
	c.activate()
	for c.Height < 99 {
		c.Block()
	}
	hash := c.App.LastCommitID().Hash
	c.Block()
	c.Block()
	beacons, err := c.App.TssbackupKeeper.Beacons.Get(c.Ctx())
	require.NoError(t, err)
	require.Len(t, beacons.List, 1)
	beacon := beacons.List[0]
	require.Equal(t, int64(100), beacon.Height)
	require.Equal(t, hash, beacon.AppHash, "it is the one in the header")
	member := c.asked[0]
	good, bad := c.beat(member, beacon), c.beat(member, beacon)
	bad.Signature[0] ^= 1
	fails := c.Block(c.free(member, bad))[0]
	require.NotZero(t, fails.Code)
	require.Equal(t, uint64(1), c.beats(member), "what fails is counted")
	tx := c.free(member, good)
	require.Zero(t, c.Check(tx).Code)
	ok := c.Block(tx)[0]
	require.Zero(t, ok.Code, ok.Log)
	require.LessOrEqual(t, ok.GasUsed, ok.GasWanted)
	require.Equal(t, uint64(2), c.beats(member))

	again := c.free(member, c.beat(member, beacon))
	require.Zero(t, c.Check(again).Code)
	require.NotZero(t, c.Block(again)[0].Code, "one beacon is signed once")
	fourth := c.free(member, good)
	require.NotZero(t, c.Check(fourth).Code, "no more in this window")
	for c.Height < 200 {
		c.Block()
	}
	require.Zero(t, c.Check(fourth).Code, "the next window is another")
}

// beats is how many free heartbeats of a member state counts in the latest window.
func (c *chain) beats(member network.Account) uint64 {
	key := collections.Join(uint64(keygenID), []byte(member.Address()))
	count, err := c.App.TssbackupKeeper.HeartbeatAttempts.Get(c.Ctx(), key)
	require.NoError(c.t, err)
	return count.Count
}
