package keeper_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"cosmossdk.io/collections"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	machine = types.HeartbeatKind_HEARTBEAT_KIND_MACHINE
	paper   = types.HeartbeatKind_HEARTBEAT_KIND_PAPER
)

// beatParams are testParams with a heartbeat every 200 blocks, 20 of which it may be late.
func beatParams() types.Params {
	p := testParams()
	p.HeartbeatInterval, p.HeartbeatGrace, p.MaxPause = 200, 20, 500
	return p
}

// beatingChain has a vault of so many members, and its first beacon.
func beatingChain(t testing.TB, params types.Params, members int) (*chain, []*validator, uint64) {
	c, vals := startChain(t, params, members)
	id := c.startChurn()[0]
	c.complete(id, newVault("first"))
	c.untilHeight(types.BeaconInterval + 1)
	return c, vals, id
}

func (c *chain) untilHeight(height int64) {
	c.t.Helper()
	for c.ctx.BlockHeight() < height {
		c.endBlock()
	}
}

// beat is a heartbeat that signs a beacon as it is.
func (v *validator) beat(epoch uint64, beacon int64, kind types.HeartbeatKind) *types.MsgHeartbeat {
	return v.beatAs(verenc.Beat{
		ChainID: chainID, Epoch: epoch, Member: v.addr(), Height: beacon, AppHash: appHash(beacon),
		Kind: uint32(kind),
	})
}

// beatAs is the heartbeat of a member whose signature is over b.
func (v *validator) beatAs(b verenc.Beat) *types.MsgHeartbeat {
	sig, err := dealer.RecipientKey(v.signer.PubKey().Bytes(), v.recipient).SignBeat(b)
	if err != nil {
		panic(err)
	}
	return &types.MsgHeartbeat{
		Signer: v.account(), Epoch: b.Epoch, BeaconHeight: b.Height,
		Kind: types.HeartbeatKind(b.Kind), Signature: sig,
	}
}

func (c *chain) heartbeat(epoch uint64, v *validator) types.Heartbeat {
	c.t.Helper()
	beat, err := c.k.Heartbeats.Get(c.ctx, pair(epoch, v.addr()))
	require.NoError(c.t, err)
	return beat
}

func TestHeartbeat(t *testing.T) {
	other := dealer.RecipientKey([]byte("other"), 0)
	type beat = verenc.Beat
	tests := []struct {
		name string
		// change changes what is signed; as changes the message afterwards.
		change func(b *beat)
		as     func(c *chain, m *types.MsgHeartbeat)
		err    error
		says   string
	}{
		{name: "it signs the latest beacon"},
		{name: "it is by the words on paper", change: func(b *beat) { b.Kind = uint32(paper) }},
		{
			name:   "of another chain",
			change: func(b *beat) { b.ChainID = "other-1" },
			err:    types.ErrInvalidHeartbeat, says: "not by this key",
		},
		{
			name:   "of another member",
			change: func(b *beat) { b.Member = []byte("somebody else's address") },
			err:    types.ErrInvalidHeartbeat, says: "not by this key",
		},
		{
			name:   "over another hash",
			change: func(b *beat) { b.AppHash = appHash(99) },
			err:    types.ErrInvalidHeartbeat, says: "not by this key",
		},
		{
			name: "of another epoch",
			as: func(_ *chain, m *types.MsgHeartbeat) {
				m.Epoch = 7
			},
			err: types.ErrVaultNotFound, says: "epoch 7",
		},
		{
			name: "of a keygen that has made no epoch yet",
			as: func(c *chain, m *types.MsgHeartbeat) {
				m.Epoch = c.startChurn()[0]
			},
			err: types.ErrVaultNotFound, says: "epoch 2",
		},
		{
			name: "said to be of another kind",
			as:   func(_ *chain, m *types.MsgHeartbeat) { m.Kind = paper },
			err:  types.ErrInvalidHeartbeat, says: "not by this key",
		},
		{
			name:   "of no kind",
			change: func(b *beat) { b.Kind = 0 },
			err:    types.ErrInvalidHeartbeat, says: "kind 0",
		},
		{
			name:   "of a kind that there is not",
			change: func(b *beat) { b.Kind = 3 },
			err:    types.ErrInvalidHeartbeat, says: "kind 3",
		},
		{
			name:   "with a block that has no beacon",
			change: func(b *beat) { b.Height, b.AppHash = 99, appHash(99) },
			err:    types.ErrInvalidHeartbeat, says: "block 99 has none",
		},
		{
			name: "by another key",
			as: func(_ *chain, m *types.MsgHeartbeat) {
				sig, err := other.SignBeat(beat{ChainID: chainID, Epoch: m.Epoch})
				if err != nil {
					panic(err)
				}
				m.Signature = sig
			},
			err: types.ErrInvalidHeartbeat, says: "not by this key",
		},
		{
			name: "with a signature that is cut short",
			as:   func(_ *chain, m *types.MsgHeartbeat) { m.Signature = m.Signature[:63] },
			err:  types.ErrInvalidHeartbeat, says: "has 64 bytes, not 63",
		},
		{
			name: "by who is no member",
			as:   func(_ *chain, m *types.MsgHeartbeat) { m.Signer = bech([]byte("a stranger's address")) },
			err:  types.ErrNotMember,
		},
		{
			name: "of a chain on which none is due",
			as: func(c *chain, _ *types.MsgHeartbeat) {
				off := testParams()
				c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: off})
			},
			err: types.ErrInvalidHeartbeat, says: "none is due",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, vals, epoch := beatingChain(t, beatParams(), 4)
			v := vals[1]
			b := beat{
				ChainID: chainID, Epoch: epoch, Member: v.addr(), Height: 100,
				AppHash: appHash(100), Kind: uint32(machine),
			}
			if tt.change != nil {
				tt.change(&b)
			}
			msg := v.beatAs(b)
			if tt.as != nil {
				tt.as(c, msg)
			}
			before := c.dump()
			err := c.run(msg)
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err)
				require.ErrorContains(t, err, tt.says)
				require.Equal(t, before, c.dump())
				return
			}
			require.NoError(t, err)
			require.True(t, c.emitted("EventHeartbeat"))
			got := c.heartbeat(epoch, v)
			height, kind := got.Latest()
			require.Equal(t, int64(101), height)
			require.Equal(t, msg.Kind, kind)
			require.Equal(t, int64(101+220), got.Due)

			res, err := c.query.Coverage(c.ctx, &types.QueryCoverageRequest{})
			require.NoError(t, err)
			for _, m := range res.Vaults[0].List {
				require.NotNil(t, m.Heartbeat)
				latest, _ := m.Heartbeat.Latest()
				require.Equal(t, m.Address == v.account(), latest == 101)
			}
			require.ErrorContains(t, c.run(msg), "signs the beacon of block 100", "sent again")
		})
	}
}

func TestABeaconIsGoodForTwoHundredBlocks(t *testing.T) {
	c, vals, epoch := beatingChain(t, beatParams(), 4)
	c.untilHeight(300) // whose end has the third
	beacons, err := c.query.Beacons(c.ctx, &types.QueryBeaconsRequest{})
	require.NoError(t, err)
	require.Equal(t, []types.Beacon{
		{Height: 200, AppHash: appHash(200)}, {Height: 100, AppHash: appHash(100)},
	}, beacons.Beacons)
	require.NoError(t, c.run(vals[0].beat(epoch, 100, machine)))
	require.NoError(t, c.run(vals[0].beat(epoch, 200, paper)))
	require.ErrorIs(t, c.run(vals[0].beat(epoch, 100, machine)), types.ErrInvalidHeartbeat, "older")
	got := c.heartbeat(epoch, vals[0])
	require.Equal(t, []int64{300, 300, 200}, []int64{got.MachineHeight, got.PaperHeight, got.BeaconHeight})
	c.endBlock()
	require.ErrorContains(t, c.run(vals[1].beat(epoch, 100, machine)), "none of the two latest")
}

func TestEachIntervalIsMissedOnce(t *testing.T) {
	hooks := &fakeHooks{}
	c, vals := startChain(t, beatParams(), 4)
	c.k.SetHooks(hooks)
	id := c.startChurn()[0]
	c.complete(id, newVault("first"))
	active := c.ctx.BlockHeight() - 1
	hooks.calls = nil
	c.untilHeight(active + 220) // the last block in which it may come
	for _, v := range vals[1:] {
		c.mustRun(v.beat(id, 200, machine))
	}
	require.Empty(t, hooks.calls)
	c.endBlock()
	missed := func(n int) string { return fmt.Sprintf("missed %d of %d by %s", n, id, vals[0].valoper()) }
	require.Equal(t, []string{missed(1)}, hooks.calls)
	require.True(t, c.emitted("EventHeartbeatMissed"))
	c.untilHeight(active + 420) // the others are due at 440
	require.Len(t, hooks.calls, 1)
	c.endBlock()
	require.Equal(t, []string{missed(1), missed(2)}, hooks.calls)
	c.mustRun(vals[0].beat(id, 400, machine))
	require.Equal(t, uint64(2), c.heartbeat(id, vals[0]).Missed, "in this epoch")

	// A churn begins a new count, and a vault that is retired is due for nothing any more.
	next := c.startChurn()[0]
	c.complete(next, newVault("second"))
	require.Zero(t, c.heartbeat(next, vals[0]).Missed)
	require.NotZero(t, c.heartbeat(id, vals[0]).Due, "it retires, and lives")
	require.NoError(t, c.k.RetireVault(c.ctx, newVault("first").pubKey()))
	for _, v := range vals {
		has, err := c.k.Heartbeats.Has(c.ctx, pair(id, v.addr()))
		require.NoError(t, err)
		require.False(t, has)
	}
	require.ErrorIs(t, c.run(vals[1].beat(id, 400, machine)), types.ErrVaultNotLive)
}

func TestTheEndOfABlockCountsABoundedNumberOfMissedIntervals(t *testing.T) {
	params := beatParams()
	params.MaxVaultMembers, params.PenaltyWindow = 100, 432_000
	hooks := &fakeHooks{}
	c, vals := startChain(t, params, 70)
	c.k.SetHooks(hooks)
	id := c.startChurn()[0]
	c.complete(id, newVault("large"))
	hooks.calls = nil
	for len(hooks.calls) == 0 {
		c.endBlock()
	}
	require.Len(t, hooks.calls, 64)
	c.endBlock()
	require.Len(t, hooks.calls, 70)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(hooks.calls))), 70, "each once")
	for range 198 {
		c.endBlock()
	}
	require.Len(t, hooks.calls, 70)
	c.endBlock()
	require.Len(t, hooks.calls, 134, "who waited is not given time")
	require.Equal(t, len(vals), 70)
}

// TestAHookOfAMissedHeartbeatMayChangeWhatIsDue has the chain act on the first member of several
// that miss an interval in one block: what it does to the others is no fault of the end of the block.
func TestAHookOfAMissedHeartbeatMayChangeWhatIsDue(t *testing.T) {
	first := newVault("first")
	off := beatParams()
	off.HeartbeatInterval, off.HeartbeatGrace = 0, 0
	tests := []struct {
		name string
		act  func(c *chain, ctx context.Context) error
		// rest is how many intervals of the vault the end of the block counts all the same.
		rest int
	}{
		{"it retires the vault", func(c *chain, ctx context.Context) error {
			return c.k.RetireVault(ctx, first.pubKey())
		}, 0},
		{"it turns heartbeats off", func(c *chain, ctx context.Context) error {
			_, err := c.msg.UpdateParams(ctx, &types.MsgUpdateParams{Authority: authority, Params: off})
			return err
		}, 0},
		{"it turns them off and on again", func(c *chain, ctx context.Context) error {
			for _, p := range []types.Params{off, beatParams()} {
				msg := &types.MsgUpdateParams{Authority: authority, Params: p}
				if _, err := c.msg.UpdateParams(ctx, msg); err != nil {
					return err
				}
			}
			return nil
		}, 0},
		{"it pauses the module", func(c *chain, ctx context.Context) error { return c.k.Pause(ctx) }, 0},
		{"it does nothing", func(*chain, context.Context) error { return nil }, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := startChain(t, beatParams(), 4)
			c.complete(c.startChurn()[0], first)
			due := c.ctx.BlockHeight() - 1 + 220
			// So that the next ones are due in a block of their own, and the vault may retire.
			c.endBlocks(3)
			c.complete(c.startChurn()[0], newVault("second"))
			hooks := &fakeHooks{}
			hooks.run = func(ctx context.Context) {
				if len(hooks.calls) == 1 {
					require.NoError(t, tt.act(c, ctx))
				}
			}
			c.k.SetHooks(hooks)
			c.untilHeight(due)
			require.Empty(t, hooks.calls)
			c.endBlock()
			require.False(t, c.emitted("EventHookFailed"))
			missed := slices.DeleteFunc(hooks.calls, func(call string) bool {
				return !strings.HasPrefix(call, "missed ")
			})
			require.Len(t, missed, 1+tt.rest)
			require.Equal(t, c.dump(), exportInto(t, c).dump())
			c.endBlocks(3)
			require.Equal(t, c.dump(), exportInto(t, c).dump())
		})
	}
}

// TestAHookMayTurnHeartbeatsOffBeforeABeacon has the hook run in the block of a beacon.
func TestAHookMayTurnHeartbeatsOffBeforeABeacon(t *testing.T) {
	c, _ := startChain(t, beatParams(), 4)
	c.complete(c.startChurn()[0], newVault("first"))
	c.untilHeight(types.BeaconInterval)
	hooks := &fakeHooks{run: func(ctx context.Context) {
		_, err := c.msg.UpdateParams(ctx, &types.MsgUpdateParams{
			Authority: authority, Params: testParams(),
		})
		require.NoError(t, err)
	}}
	c.k.SetHooks(hooks)
	c.complete(c.startChurn()[0], newVault("second"))
	require.Len(t, hooks.calls, 1)
	require.NoError(t, c.export().Validate())
}

// TestAHookMayPause has the chain pause when a vault is active, in the block in which the next churn
// would open by itself.
func TestAHookMayPause(t *testing.T) {
	params := beatParams()
	params.ChurnInterval, params.PenaltyBlocks = 60, 0
	c, _ := startChain(t, params, 4)
	for !c.isOpen() {
		c.endBlock()
	}
	require.NoError(t, c.k.NextChurnHeight.Set(c.ctx, c.ctx.BlockHeight()))
	c.k.SetHooks(&fakeHooks{run: func(ctx context.Context) { require.NoError(t, c.k.Pause(ctx)) }})
	c.complete(1, newVault("first"))
	require.True(t, c.emitted("EventPaused"))
	require.False(t, c.isOpen())
	require.NoError(t, c.k.Resume(c.ctx))
	c.endBlock()
	require.True(t, c.isOpen())
}

func TestHeartbeatsAreFreeThreeTimesInAWindow(t *testing.T) {
	c, vals, epoch := beatingChain(t, beatParams(), 4)
	try := func(v *validator) error {
		msg := v.beat(epoch, 42, machine) // which fails
		e, ok, err := c.k.ExemptVote(c.ctx, msg)
		if err != nil {
			return err
		}
		require.True(t, ok)
		require.True(t, e.Heartbeat)
		return c.k.CountAttempt(c.ctx, e)
	}
	for range 3 {
		require.NoError(t, try(vals[0]))
	}
	require.ErrorContains(t, try(vals[0]),
		"3 heartbeats in epoch 1 since block 100, more from block 200 on: too many exempt attempts")
	require.NoError(t, try(vals[1]), "another member's")
	c.untilHeight(200)
	require.NoError(t, try(vals[0]), "in the next window")
	_, _, err := c.k.ExemptVote(c.ctx, vals[0].beat(epoch+1, 100, machine))
	require.ErrorIs(t, err, types.ErrVaultNotFound)
	stranger := newValidator(99)
	_, _, err = c.k.ExemptVote(c.ctx, stranger.beat(epoch, 100, machine))
	require.ErrorIs(t, err, types.ErrNotMember)
}

func TestPause(t *testing.T) {
	params := beatParams()
	params.ChurnInterval, params.RetirementDelay = 60, 100
	params.PenaltyBlocks = 0
	c, _ := startChain(t, params, 4)
	require.ErrorIs(t, c.k.Resume(c.ctx), types.ErrNotPaused)
	for !c.isOpen() {
		c.endBlock()
	}
	require.NoError(t, c.k.Pause(c.ctx))
	require.ErrorIs(t, c.k.Pause(c.ctx), types.ErrPaused)
	paused := c.ctx.BlockHeight()
	c.complete(1, newVault("first")) // what is open goes on
	require.False(t, c.isOpen())
	_, err := c.k.StartChurn(c.ctx)
	require.ErrorIs(t, err, types.ErrPaused)
	res, err := c.query.Pause(c.ctx, &types.QueryPauseRequest{})
	require.NoError(t, err)
	require.Equal(t, types.Pause{Since: paused, Until: paused + 500}, res.Pause)

	c.untilHeight(paused + 500)
	require.False(t, c.isOpen(), "none opens")
	c.endBlock()
	require.True(t, c.emitted("EventResumed"))
	require.True(t, c.isOpen(), "it ends by itself")
	require.ErrorIs(t, c.k.Resume(c.ctx), types.ErrNotPaused)

	// The first vault retires, and its time stands still for the next pause.
	c.complete(2, newVault("second"))
	retiring := c.ctx.BlockHeight() - 1
	c.untilHeight(retiring + 50)
	require.NoError(t, c.k.Pause(c.ctx))
	c.untilHeight(retiring + 350)
	require.NoError(t, c.k.Resume(c.ctx))
	first := func() types.VaultStatus {
		v, err := c.k.Vaults.Get(c.ctx, newVault("first").pubKey())
		require.NoError(t, err)
		return v.Status
	}
	c.untilHeight(retiring + 400)
	require.Equal(t, types.VaultStatus_VAULT_STATUS_RETIRING, first())
	c.endBlock()
	require.Equal(t, types.VaultStatus_VAULT_STATUS_RETIRED, first())

	params.MaxPause = 0
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
	require.ErrorContains(t, c.k.Pause(c.ctx), "max_pause allows none")
}

// count is what a naive observer knows of a member in an epoch: for how many more blocks a
// heartbeat may come, and how many intervals passed without one.
type count struct {
	left   int64
	missed uint64
	// fresh is the block in which the count began, which does not count itself.
	fresh  bool
	beacon int64
	// overdue tells that the latest interval passed without one.
	overdue bool
}

// TestHeartbeatsAreThoseOfANaiveCount holds the queue, with its dues that are put back when their
// time comes, to a count that goes down by one with each block.
func TestHeartbeatsAreThoseOfANaiveCount(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		params := beatParams()
		params.HeartbeatGrace = uint64(rapid.IntRange(0, 60).Draw(rt, "grace"))
		params.MaxPause = uint64(rapid.IntRange(1, 300).Draw(rt, "max_pause"))
		params.HeartbeatInterval = uint64(rapid.IntRange(200, 260).Draw(rt, "interval"))
		c, vals := startChain(t, params, 3)
		hooks := &fakeHooks{}
		c.k.SetHooks(hooks)

		counts := map[uint64]map[*validator]*count{} // by epoch
		var live []uint64
		on, missed := true, 0
		var until int64 // of the pause
		begin := func() *count {
			return &count{left: int64(params.HeartbeatInterval + params.HeartbeatGrace), fresh: true}
		}
		churn := func() {
			ids := c.startChurn()
			keygen := c.keygen(ids[0])
			vault := newVault(fmt.Sprint("vault ", ids[0]))
			for _, m := range keygen.Members {
				c.mustRun(vault.vote(keygen, m))
			}
			counts[ids[0]] = map[*validator]*count{}
			live = append(live, ids[0])
			if on {
				for _, v := range vals {
					counts[ids[0]][v] = begin()
				}
			}
		}
		end := func() {
			height := c.ctx.BlockHeight()
			if until != 0 && height >= until {
				until = 0
			}
			c.endBlock()
			if until != 0 {
				return
			}
			for _, of := range counts {
				for _, n := range of {
					if n.fresh {
						n.fresh = false
						continue
					}
					if n.left--; n.left == 0 {
						n.missed, n.overdue = n.missed+1, true
						missed++
						n.left = int64(params.HeartbeatInterval)
					}
				}
			}
		}
		retire := func() {
			vault := newVault(fmt.Sprint("vault ", live[0]))
			if c.k.RetireVault(c.ctx, vault.pubKey()) == nil {
				delete(counts, live[0])
				live = live[1:]
			}
		}
		churn()
		end()
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			switch rapid.IntRange(0, 8).Draw(rt, "step") {
			case 0, 1, 2:
				for range rapid.IntRange(1, 150).Draw(rt, "blocks") {
					end()
				}
			case 3, 4:
				epoch := rapid.SampledFrom(live).Draw(rt, "epoch")
				v := rapid.SampledFrom(vals).Draw(rt, "member")
				beacon := c.ctx.BlockHeight() / 100 * 100
				beacon -= int64(rapid.IntRange(0, 2).Draw(rt, "age")) * 100
				err := c.run(v.beat(epoch, beacon, machine))
				latest := (c.ctx.BlockHeight() - 1) / 100 * 100
				n := counts[epoch][v]
				known := c.beaconsFrom(on)
				good := on && slices.Contains(known, beacon) && beacon > n.beacon && beacon <= latest
				require.Equal(rt, good, err == nil, "%v: beacon %d of %v", err, beacon, known)
				if good {
					before := n.missed
					*n = *begin()
					n.missed, n.beacon = before, beacon
				}
			case 5:
				err := c.k.Pause(c.ctx)
				require.Equal(rt, until == 0, err == nil)
				if err == nil {
					until = c.ctx.BlockHeight() + int64(params.MaxPause)
				}
			case 6:
				require.Equal(rt, until != 0, c.k.Resume(c.ctx) == nil)
				until = 0
			case 7:
				if until == 0 && len(live) < 3 {
					churn()
					end()
				} else {
					retire()
				}
			case 8:
				on = !on
				after := params
				if !on {
					after.HeartbeatInterval, after.HeartbeatGrace = 0, 0
				}
				c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: after})
				for _, epoch := range live {
					clear(counts[epoch])
					for _, v := range vals {
						if on {
							counts[epoch][v] = begin()
						}
					}
				}
			}
			sameCounts(rt, c, counts, vals)
			require.Equal(rt, c.dump(), exportInto(t, c).dump())
		}
		told := 0
		for _, call := range hooks.calls {
			if strings.HasPrefix(call, "missed ") {
				told++
			}
		}
		require.Equal(rt, missed, told)
	})
}

// beaconsFrom are the heights of the beacons that state has.
func (c *chain) beaconsFrom(on bool) (heights []int64) {
	res, err := c.query.Beacons(c.ctx, &types.QueryBeaconsRequest{})
	require.NoError(c.t, err)
	for _, b := range res.Beacons {
		heights = append(heights, b.Height)
	}
	if !on {
		require.Empty(c.t, heights)
	}
	return heights
}

func sameCounts(
	t require.TestingT, c *chain, counts map[uint64]map[*validator]*count, vals []*validator,
) {
	pause, err := c.query.Pause(c.ctx, &types.QueryPauseRequest{})
	require.NoError(t, err)
	known := 0
	for _, epoch := range slices.Sorted(maps.Keys(counts)) {
		for _, v := range vals {
			n, ok := counts[epoch][v]
			has, err := c.k.Heartbeats.Has(c.ctx, pair(epoch, v.addr()))
			require.NoError(t, err)
			require.Equal(t, ok, has)
			if !ok {
				continue
			}
			known++
			beat, err := c.k.Heartbeats.Get(c.ctx, pair(epoch, v.addr()))
			require.NoError(t, err)
			require.Equal(t, n.missed, beat.Missed)
			require.Equal(t, n.beacon, beat.BeaconHeight)
			require.Equal(t, n.overdue, beat.Overdue)
			// The blocks that are left at the end of the block before this one.
			due := beat.Due + int64(pause.Pause.Blocks(c.ctx.BlockHeight())-beat.Paused)
			left := due - c.ctx.BlockHeight() + 1
			if n.fresh {
				left--
			}
			require.Equal(t, n.left, left, "epoch %d", epoch)
		}
	}
	n := 0
	require.NoError(t, c.k.HeartbeatsDue.Walk(c.ctx, nil, func(dueKey, bool) (bool, error) {
		n++
		return false, nil
	}))
	require.Equal(t, known, n)
}

func pair(epoch uint64, member []byte) collections.Pair[uint64, []byte] {
	return collections.Join(epoch, member)
}

type dueKey = collections.Triple[uint64, uint64, []byte]
