package archive_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"cosmossdk.io/log/v2"
	snapshottypes "github.com/cosmos/cosmos-sdk/store/v2/snapshots/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestSnapshotPayloads writes the payloads of one state, and restores them into archives of other
// nodes with that state, changed on the way.
func TestSnapshotPayloads(t *testing.T) {
	n := network.New(t, network.Config{})
	n.RegisterSigners()
	b := churn(t, n, "payloads")
	// A vote of a churn that is open is wanted too.
	ballot := n.Ballot(n.StartChurn().KeygenIds[0])
	pending := backups{vault: network.NewVault("open")}
	pending.vote(t, n, ballot, n.Validators[0])
	a := n.Validators[0].App().(*app.App)
	height := uint64(a.LastBlockHeight())
	var logged bytes.Buffer
	snapshotter := func(of *archive.Archive) *archive.Snapshotter {
		return archive.NewSnapshotter(a.CommitMultiStore(), a.TssbackupKeeper, of, log.NewLogger(&logged))
	}

	payloads := func() [][]byte {
		var list [][]byte
		require.NoError(t, snapshotter(a.Archive).SnapshotExtension(height, func(payload []byte) error {
			list = append(list, bytes.Clone(payload))
			return a.Archive.Sweep(nil) // whatever sweeps meanwhile deletes nothing
		}))
		return list
	}
	want := payloads()
	require.ElementsMatch(t, append(slices.Clone(b.envelopes), pending.envelopes...), want)
	require.Equal(t, pending.envelopes[0], want[0], "votes come before backups, as their keys do")
	pending.vote(t, n, ballot, n.Validators[1])
	require.Equal(t, want, payloads(), "a later vote is not of the snapshot's height")

	full := errors.New("disk is full")
	require.ErrorIs(t, snapshotter(a.Archive).SnapshotExtension(height, func([]byte) error { return full }), full)
	empty, err := archive.Open(t.TempDir())
	require.NoError(t, err)
	err = snapshotter(empty).SnapshotExtension(height, func([]byte) error { return nil })
	require.ErrorIs(t, err, types.ErrNotArchived)

	flipped := bytes.Clone(want[1])
	flipped[len(flipped)/2] ^= 1
	const (
		stranger = "the snapshot brings what is no envelope of the state"
		missing  = "the snapshot does not bring an envelope"
	)
	for name, tt := range map[string]struct {
		sent  [][]byte
		there int
		// How often the node's log says so.
		strangers, missing int
	}{
		"all of them":               {want, 5, 0, 0},
		"in another order, twice":   {append([][]byte{want[4], want[3]}, want...), 5, 0, 0},
		"one with a flipped bit":    {[][]byte{want[0], flipped, want[2], want[3], want[4]}, 4, 1, 1},
		"one that is cut off":       {[][]byte{want[0], want[1][:100], want[2], want[3], want[4]}, 4, 1, 1},
		"an empty one":              {[][]byte{{}, want[0]}, 1, 1, 4},
		"one that nobody asked for": {append([][]byte{network.Seal(t, n.Validators[0].Signer, 100)}, want...), 5, 1, 0},
		"nothing":                   {nil, 0, 0, 5},
		"the last one is left out":  {want[:4], 4, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			to, dir := open(t)
			rest := tt.sent
			logged.Reset()
			require.NoError(t, snapshotter(to).RestoreExtension(height, 1, func() ([]byte, error) {
				if len(rest) == 0 {
					return nil, io.EOF
				}
				next := rest[0]
				rest = rest[1:]
				return next, nil
			}))
			require.Empty(t, rest, "read to the end")
			there := 0
			for _, e := range want {
				if got, err := to.Envelope(commit(e)); err == nil {
					require.Equal(t, e, got)
					there++
				}
			}
			require.Equal(t, tt.there, there)
			require.Equal(t, tt.there, entries(t, dir), "and nothing else")
			require.Equal(t, tt.strangers, strings.Count(logged.String(), stranger))
			require.Equal(t, tt.missing, strings.Count(logged.String(), missing))
		})
	}
	require.ErrorIs(t, snapshotter(empty).RestoreExtension(height, 2, nil), snapshottypes.ErrUnknownFormat)
}
