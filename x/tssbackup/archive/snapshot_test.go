package archive_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"cosmossdk.io/log/v2"
	snapshottypes "github.com/cosmos/cosmos-sdk/store/v2/snapshots/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestSnapshotPayloads writes the payloads of one state, and restores them into
// archives of other nodes with that state, changed on the way.
func TestSnapshotPayloads(t *testing.T) {
	n := network.New(t, network.Config{})
	n.RegisterSigners()
	b := churn(t, n, "payloads")
	// A vote of a churn that is open is wanted too.
	keygen := n.StartChurn().KeygenIds[0]
	pending := backups{vault: network.NewVault("open")}
	pending.vote(t, n, keygen, n.Validators[0])
	a := n.Validators[0].App()
	height := uint64(a.LastBlockHeight())
	snapshotter := func(of *archive.Archive) *archive.Snapshotter {
		return archive.NewSnapshotter(a.CommitMultiStore(), a.TssbackupKeeper, of, log.NewNopLogger())
	}

	payloads := func() [][]byte {
		var list [][]byte
		require.NoError(t, snapshotter(a.Archive).SnapshotExtension(height, func(payload []byte) error {
			list = append(list, bytes.Clone(payload))
			return nil
		}))
		return list
	}
	want := payloads()
	require.ElementsMatch(t, append(slices.Clone(b.envelopes), pending.envelopes...), want)
	require.Equal(t, pending.envelopes[0], want[0], "votes come before backups, as their keys do")
	require.Equal(t, want, payloads())

	full := errors.New("disk is full")
	require.ErrorIs(t, snapshotter(a.Archive).SnapshotExtension(height, func([]byte) error { return full }), full)
	empty, err := archive.Open(t.TempDir())
	require.NoError(t, err)
	err = snapshotter(empty).SnapshotExtension(height, func([]byte) error { return nil })
	require.ErrorIs(t, err, types.ErrNotArchived)

	flipped := bytes.Clone(want[1])
	flipped[len(flipped)/2] ^= 1
	for name, tt := range map[string]struct {
		sent  [][]byte
		there int
	}{
		"all of them":               {want, 5},
		"in another order, twice":   {append([][]byte{want[4], want[3]}, want...), 5},
		"one with a flipped bit":    {[][]byte{want[0], flipped, want[2], want[3], want[4]}, 4},
		"one that is cut off":       {[][]byte{want[0], want[1][:100], want[2], want[3], want[4]}, 4},
		"an empty one":              {[][]byte{{}, want[0]}, 1},
		"one that nobody asked for": {append([][]byte{network.Seal(t, n.Validators[0].Signer, 100)}, want...), 5},
		"nothing":                   {nil, 0},
		"the last one is left out":  {want[:4], 4},
	} {
		t.Run(name, func(t *testing.T) {
			to, dir := open(t)
			rest := tt.sent
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
		})
	}
	require.ErrorIs(t, snapshotter(empty).RestoreExtension(height, 2, nil), snapshottypes.ErrUnknownFormat)
}
