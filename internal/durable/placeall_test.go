package durable_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

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
	for _, n := range []int{0, 1, 2, 128, 129, 200} {
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
		if open := steps["create"] - steps["sync"]; open > 128 {
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

// TestFilesAreFlushedAtTheSameTime has no flush end before as many have begun as may be at once.
func TestFilesAreFlushedAtTheSameTime(t *testing.T) {
	const n, atOnce = 200, 128
	dir := t.TempDir()
	begun := make(chan struct{})
	t.Cleanup(durable.WithFlush(func(*os.File) error {
		begun <- struct{}{}
		return nil
	}))
	done := make(chan error, 1)
	go func() { done <- placeAll(t, dir, some(n, "new")...) }()
	for left := n; left > 0; left -= atOnce {
		entries, err := os.ReadDir(dir)
		for err == nil && len(entries) < min(n, n-left+atOnce) {
			entries, err = os.ReadDir(dir)
		}
		require.NoError(t, err)
		require.Len(t, entries, min(n, n-left+atOnce), "all are written before one is flushed")
		for range min(left, atOnce) {
			<-begun
		}
	}
	require.NoError(t, <-done)
}

// journal is a disk that takes a flush with all others that wait, in runs of a given time, one
// after the other: as a file system with a journal does.
type journal struct {
	run  time.Duration
	runs int

	mu   sync.Mutex
	next *sync.WaitGroup // of those that wait for the next run
	busy sync.Mutex
}

func (j *journal) flush(*os.File) error {
	j.mu.Lock()
	if j.next != nil {
		next := j.next
		j.mu.Unlock()
		next.Wait()
		return nil
	}
	mine := &sync.WaitGroup{}
	mine.Add(1)
	j.next = mine
	j.mu.Unlock()
	j.busy.Lock()
	defer j.busy.Unlock()
	j.mu.Lock()
	j.next = nil
	j.mu.Unlock()
	time.Sleep(j.run)
	j.runs++
	mine.Done()
	return nil
}

// BenchmarkPlaceAll places many files, and one, on a disk that takes 5 ms for a run of flushes, as
// disks do that keep what they were given when the power goes. What counts there is how many runs
// it takes.
func BenchmarkPlaceAll(b *testing.B) {
	disk := &journal{run: 5 * time.Millisecond}
	b.Cleanup(durable.WithFlush(disk.flush))
	place := func(n int) (time.Duration, int) {
		folder, err := durable.Make(b.TempDir())
		require.NoError(b, err)
		defer folder.Unlock()
		start, runs := time.Now(), disk.runs
		require.NoError(b, folder.PlaceAll(some(n, "new")...))
		require.NoError(b, folder.Sync())
		return time.Since(start), disk.runs - runs
	}
	for _, n := range []int{4, 20, 40, 100} {
		b.Run(fmt.Sprint(n, " files"), func(b *testing.B) {
			one, runsOfOne := place(1)
			all, runs := place(n)
			for b.Loop() {
				took, _ := place(1)
				one = min(one, took)
				took, ran := place(n)
				all, runs = min(all, took), min(runs, ran)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(runsOfOne), "one-runs")
			b.ReportMetric(float64(runs), "all-runs")
			b.ReportMetric(float64(all)/float64(one), "all/one")
		})
	}
}
