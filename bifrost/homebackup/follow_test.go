package homebackup_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

func followerOf(h *host, dir string) *homebackup.Follower {
	return homebackup.NewFollower(homebackup.FollowerConfig{
		Home: h.Home, Keys: h.keys(), From: dir, Log: zerolog.Nop(),
		Fetch:  func(context.Context) (string, error) { return dir, nil },
		Wanted: func() bool { return true },
	})
}

func TestAHomeThatStandsByGetsWhatIsBackedUp(t *testing.T) {
	acting, dir, want := scene(t)
	first := acting.create(t, dir)
	spare := newHost(t, filepath.Join(t.TempDir(), "spare"), homekeys.Words)
	require.NoError(t, durable.Replace(home.ConfigPath(spare.Home), []byte("its own")))
	spare.put(t, 7, "localstate-a.json", "secret a")
	own := disk.Tree(t, spare.Home)

	f := followerOf(spare, dir)
	require.NoError(t, f.Last(t.Context()))
	st := f.Status()
	require.Equal(t, first.Manifest.ID(), st.Manifest)
	require.Equal(t, noon, st.Time)
	require.Equal(t, 3, st.Keyshares)
	require.Empty(t, st.Problems())
	want["config.toml"] = "its own"
	delete(want, "trust/aa.header")
	want["outbox/keygen-8.json"] = `{"version":2,"kind":"vote","epoch":7,"step":"message"}`
	require.Equal(t, want, restored(t, spare, spare.Home), "a vote that was not fixed is not among them")
	for path, data := range own {
		require.Equal(t, data, disk.Tree(t, spare.Home)[path], "what is there stays")
	}

	acting.put(t, 9, "localstate-c.json", "secret c")
	require.NoError(t, os.Remove(filepath.Join(home.OutboxDir(acting.Home), "keygen-8.json")))
	acting.record(t, "closed/keygen-8.json", string(outbox.StepDone))
	acting.record(t, "keygen-10.json", string(outbox.StepTx))
	second := acting.create(t, dir)
	require.NoError(t, f.Last(t.Context()))
	require.Equal(t, second.Manifest.ID(), f.Status().Manifest)
	want["keyshares/9/localstate-c.json"] = "secret c"
	want["outbox/closed/keygen-8.json"] = `{"version":2,"kind":"vote","epoch":7,"step":"done"}`
	want["outbox/keygen-10.json"] = `{"version":2,"kind":"vote","epoch":7,"step":"tx"}`
	require.Equal(t, want, restored(t, spare, spare.Home))

	// Another look, and another process, find nothing to do.
	before := disk.Tree(t, spare.Home)
	require.NoError(t, f.Last(t.Context()))
	require.NoError(t, followerOf(spare, dir).Last(t.Context()))
	require.Equal(t, before, disk.Tree(t, spare.Home))
}

// A home that acts takes keyshares from a backup, and no record of what another instance sends.
func TestAHomeThatActsGetsKeysharesAlone(t *testing.T) {
	acting, dir, _ := scene(t)
	acting.create(t, dir)
	spare := newHost(t, filepath.Join(t.TempDir(), "spare"), homekeys.Words)
	f := followerOf(spare, dir)
	for range 2 {
		require.NoError(t, f.Keyshares(t.Context()))
		held := restored(t, spare, spare.Home)
		for _, path := range slices.Sorted(maps.Keys(held)) {
			require.NotContains(t, path, "outbox/")
		}
		require.Contains(t, held, "keyshares/7/localstate-a.json")
	}
	require.NoError(t, f.Last(t.Context()))
	require.Contains(t, restored(t, spare, spare.Home), "outbox/keygen-8.json", "they come when it stands by again")
}

func TestAHomeThatCannotFollowSaysWhy(t *testing.T) {
	acting, dir, _ := scene(t)
	spare := newHost(t, filepath.Join(t.TempDir(), "spare"), homekeys.Words)
	f := followerOf(spare, dir)
	require.Error(t, f.Last(t.Context()))
	require.Contains(t, f.Status().Problems()[0], "no such file", "nothing is there yet")
	acting.create(t, dir)

	stranger := newHost(t, filepath.Join(t.TempDir(), "stranger"), otherWords)
	require.ErrorIs(t, followerOf(stranger, dir).Last(t.Context()), homebackup.ErrOthers)

	objects, err := filepath.Glob(filepath.Join(dir, "*", "objects", "*"))
	require.NoError(t, err)
	lost := map[string][]byte{}
	for _, path := range objects {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		lost[path] = data
		require.NoError(t, os.Remove(path))
		require.ErrorIs(t, f.Last(t.Context()), homebackup.ErrDamaged)
		require.Len(t, f.Status().Problems(), 1)
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
	require.NoError(t, f.Last(t.Context()))
	require.Empty(t, f.Status().Problems())
	require.Equal(t, 3, f.Status().Keyshares)
}

// A folder that hangs keeps nobody from acting who was promoted.
func TestAFolderThatHangsIsNotWaitedForToTheEnd(t *testing.T) {
	acting, dir, _ := scene(t)
	acting.create(t, dir)
	spare := newHost(t, filepath.Join(t.TempDir(), "spare"), homekeys.Words)
	hangs, done := make(chan struct{}), make(chan struct{})
	f := homebackup.NewFollower(homebackup.FollowerConfig{
		Home: spare.Home, Keys: spare.keys(), From: dir, Log: zerolog.Nop(),
		Fetch: func(context.Context) (string, error) {
			defer close(done)
			<-hangs
			return dir, nil
		},
		Wanted: func() bool { return false },
	})
	before := disk.Tree(t, spare.Home)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, f.Last(ctx), context.DeadlineExceeded)
	require.ErrorIs(t, f.Last(ctx), context.DeadlineExceeded)
	close(hangs)
	<-done
	require.Equal(t, before, disk.Tree(t, spare.Home), "what comes too late is not let in")
}

// What a process that is killed had let in stays, and the next one lets in the rest.
func TestAHomeThatFollowsIsCutOff(t *testing.T) {
	acting, dir, _ := scene(t)
	acting.create(t, dir)
	whole := newHost(t, filepath.Join(t.TempDir(), "whole"), homekeys.Words)
	require.NoError(t, followerOf(whole, dir).Last(t.Context()))
	want := restored(t, whole, whole.Home)
	for n := 1; ; n++ {
		spare := newHost(t, filepath.Join(t.TempDir(), "spare"), homekeys.Words)
		faults := disk.DieAt(t, spare.Home, n)
		err := followerOf(spare, dir).Last(t.Context())
		faults.Mend()
		if !faults.Reached() {
			require.NoError(t, err)
			require.Greater(t, n, 5, "each file is several changes")
			break
		}
		require.NoError(t, followerOf(spare, dir).Last(t.Context()))
		for path, data := range want {
			require.Equal(t, data, restored(t, spare, spare.Home)[path])
		}
	}
}
