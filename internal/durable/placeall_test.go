package durable_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/testutil/disk"
)

// some are files of these contents, named by number.
func some(n int, contents string) []durable.File {
	files := make([]durable.File, n)
	for i := range files {
		files[i] = durable.File{Name: fmt.Sprint(i), Data: []byte(contents)}
	}
	return files
}

func placeAll(t *testing.T, dir string, files ...durable.File) error {
	t.Helper()
	folder, err := durable.Lock(dir)
	require.NoError(t, err)
	defer folder.Unlock()
	return folder.PlaceAll(files...)
}

func TestPlaceAllWritesAndReplacesEveryFile(t *testing.T) {
	for _, n := range []int{0, 1, 2, 64, 65, 200} {
		dir := t.TempDir()
		for _, contents := range []string{"old", "new"} {
			require.NoError(t, placeAll(t, dir, some(n, contents)...))
			got := disk.Tree(t, dir)
			require.Len(t, got, n)
			for _, f := range some(n, contents) {
				require.Equal(t, contents, got[f.Name])
			}
		}
	}
}

func TestPlaceAllTakesTheLastOfOneName(t *testing.T) {
	dir := t.TempDir()
	files := append(some(3, "first"), some(1, "last")...)
	require.NoError(t, placeAll(t, dir, files...))
	require.Equal(t, map[string]string{"0": "last", "1": "first", "2": "first"}, disk.Tree(t, dir))
}

// TestNoFileHasItsNameBeforeAllAreFlushed also sees that no more files than the bound are between
// their creation and their flush.
func TestNoFileHasItsNameBeforeAllAreFlushed(t *testing.T) {
	const n = 150
	dir := t.TempDir()
	steps := map[string]int{}
	var order []string
	t.Cleanup(durable.Inject(func(step, path string) error {
		if filepath.Dir(path) != dir {
			return nil
		}
		steps[step]++
		if open := steps["create"] - steps["sync"]; open > 64 {
			return fmt.Errorf("%d files at once", open)
		}
		if step == "rename" {
			order = append(order, filepath.Base(path))
			if steps["sync"] != n {
				return fmt.Errorf("%s has its name after %d flushes", path, steps["sync"])
			}
		}
		return nil
	}))
	require.NoError(t, placeAll(t, dir, some(n, "new")...))
	require.Equal(t, map[string]int{"create": n, "write": n, "sync": n, "rename": n}, steps)
	for i, f := range some(n, "new") {
		require.Equal(t, f.Name, order[i])
	}
}

func TestAFailedPlaceAllLeavesNothingUnfinished(t *testing.T) {
	const n = 4
	for step := 1; step <= 4*n; step++ {
		dir := t.TempDir()
		require.NoError(t, placeAll(t, dir, some(n, "old")...))
		faults := disk.FailAt(t, dir, step)
		require.ErrorIs(t, placeAll(t, dir, some(n, "new")...), disk.ErrDisk)
		faults.Mend()
		require.True(t, faults.Reached())
		got := disk.Tree(t, dir)
		require.Len(t, got, n, "step %d", step)
		for i, f := range some(n, "") {
			want := "old"
			if i < step-3*n-1 { // renamed before the step that failed
				want = "new"
			}
			require.Equal(t, want, got[f.Name], "step %d", step)
		}
		require.NoError(t, placeAll(t, dir, some(n, "new")...), "the disk has room again")
	}
}

func TestAKilledPlaceAllLeavesOldOrNewAndLeftovers(t *testing.T) {
	const n = 4
	for step := 1; step <= 4*n; step++ {
		dir := t.TempDir()
		require.NoError(t, placeAll(t, dir, some(n, "old")...))
		faults := disk.DieAt(t, dir, step)
		require.ErrorIs(t, placeAll(t, dir, some(n, "new")...), disk.ErrDisk)
		faults.Mend()
		got := disk.Tree(t, dir)
		for i, f := range some(n, "") {
			want := "old"
			if i < step-3*n-1 {
				want = "new"
			}
			require.Equal(t, want, got[f.Name], "step %d", step)
			delete(got, f.Name)
		}
		for name := range got {
			_, ok := durable.Leftover(name)
			require.True(t, ok, name)
		}
	}
}

func TestPlaceAllRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "2")))
	require.ErrorContains(t, placeAll(t, dir, some(3, "new")...), "symbolic link")
	require.Empty(t, disk.Tree(t, dir))
}
