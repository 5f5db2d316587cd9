package durable_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/testutil/disk"
)

// Sticks and networks have file systems that lack something. What is as safe without it is done
// without it; the rest is refused beforehand.
func TestFileSystemsThatLackSomething(t *testing.T) {
	for name, tc := range map[string]struct {
		lacks map[string]error // by step
		err   error
	}{
		"hard links, as exFAT":                   {lacks: map[string]error{"link": syscall.EPERM}},
		"hard links, as some of networks":        {lacks: map[string]error{"link": syscall.EOPNOTSUPP}},
		"hard links, and a kernel that says so":  {lacks: map[string]error{"link": syscall.ENOSYS}},
		"flushes of a file or folder":            {lacks: map[string]error{"sync": syscall.EINVAL}},
		"flushes, and says it is not supported":  {lacks: map[string]error{"sync": syscall.ENOTSUP}},
		"hard links and flushes":                 {lacks: map[string]error{"link": syscall.EPERM, "sync": syscall.EINVAL}},
		"hard links, and renames what is there":  {lacks: map[string]error{"link": syscall.EPERM, "rename": syscall.EINVAL}, err: durable.ErrNoLinks},
		"a disk, which is another thing":         {lacks: map[string]error{"sync": syscall.EIO}, err: syscall.EIO},
		"space for the second name of something": {lacks: map[string]error{"link": syscall.ENOSPC}, err: syscall.ENOSPC},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			restore := durable.Inject(func(step, path string) error {
				if err := tc.lacks[step]; err != nil {
					return fmt.Errorf("%s %s: %w", step, path, err)
				}
				return nil
			})
			t.Cleanup(restore)
			lacking, err := durable.TryFolder(filepath.Join(dir, "try"))
			require.Empty(t, lacking)
			path := filepath.Join(dir, "f")
			if tc.err != nil {
				require.ErrorIs(t, err, tc.err)
				require.ErrorIs(t, durable.Write(path, []byte("one")), tc.err)
				require.Empty(t, disk.Tree(t, dir))
				return
			}
			require.NoError(t, err)
			require.NoError(t, durable.Write(path, []byte("one")))
			require.NoError(t, durable.Write(path, []byte("one")))
			require.ErrorIs(t, durable.Write(path, []byte("two")), durable.ErrDifferent)
			require.Equal(t, map[string]string{"f": "one"}, disk.Tree(t, dir))
			require.NoError(t, durable.Replace(path, []byte("two")))
			require.Equal(t, map[string]string{"f": "two"}, disk.Tree(t, dir))
		})
	}
}

func TestWithoutHardLinksAKilledWriteIsWholeOrNothing(t *testing.T) {
	for n := 1; n < 12; n++ {
		root := t.TempDir()
		path := filepath.Join(root, "d", "f")
		noLinks := durable.Inject(func(step, _ string) error {
			if step == "link" {
				return syscall.EPERM
			}
			return nil
		})
		faults := disk.DieAt(t, root, n)
		written := durable.Write(path, []byte("new")) == nil
		faults.Mend()
		if got, there := disk.Tree(t, root)["d/f"]; written || there {
			require.Equal(t, "new", got)
		}
		require.NoError(t, durable.Write(path, []byte("new")))
		noLinks()
		require.Equal(t, map[string]string{"d/f": "new"}, disk.Tree(t, root), "leftovers are cleaned")
	}
}

func TestFileSystemsWithoutLocks(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOLCK, syscall.ENOSYS, syscall.EOPNOTSUPP} {
		t.Run(errno.Error(), func(t *testing.T) {
			t.Cleanup(durable.WithoutLocks(errno))
			dir := t.TempDir()
			lacking, err := durable.TryFolder(dir)
			require.NoError(t, err)
			require.Contains(t, lacking, "has no locks")

			var writers sync.WaitGroup
			for i := range 8 {
				writers.Go(func() {
					_ = durable.Write(filepath.Join(dir, "f"), []byte{'a' + byte(i)})
				})
			}
			writers.Wait()
			require.Len(t, disk.Tree(t, dir), 1, "the first decides, and nothing else is left")

			_, err = durable.TryLock(filepath.Join(dir, "lock"))
			require.ErrorIs(t, err, durable.ErrNoLocks)
		})
	}
}
