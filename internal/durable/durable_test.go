package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/testutil/disk"
)

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	path := filepath.Join(dir, "mnemonic")
	require.NoError(t, durable.Write(path, []byte("one")))
	require.NoError(t, durable.Write(path, []byte("one")), "an equal file is fine")

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	info, err = os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())

	for _, other := range []string{"two", "on", "one.", ""} {
		require.ErrorIs(t, durable.Write(path, []byte(other)), durable.ErrDifferent)
	}
	require.Equal(t, map[string]string{"mnemonic": "one"}, disk.Tree(t, dir))

	require.NoError(t, durable.Replace(path, []byte("two")))
	require.Equal(t, map[string]string{"mnemonic": "two"}, disk.Tree(t, dir))

	require.NoError(t, os.Chmod(path, 0o644))
	require.NoError(t, durable.Write(path, []byte("two")))
	info, err = os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), "an equal file is made private")
}

func TestAppend(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	path := filepath.Join(dir, "log")
	require.NoError(t, durable.Append(path, []byte("one\n")))
	require.NoError(t, durable.Append(path, []byte("two\n")))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())

	// What a crash left of a line is not made one with the next.
	require.NoError(t, os.WriteFile(path, []byte("one\nhal"), 0o600))
	require.NoError(t, durable.Append(path, []byte("two\n")))
	require.Equal(t, map[string]string{"log": "one\nhal\ntwo\n"}, disk.Tree(t, dir))

	require.NoError(t, os.Symlink(path, filepath.Join(dir, "link")))
	require.ErrorContains(t, durable.Append(filepath.Join(dir, "link"), []byte("x\n")), "symbolic link")
	require.Error(t, durable.Append(dir, []byte("x\n")))
}

// A line that was acknowledged is there, whatever step fails after it.
func TestAppendSaysWhatTheDiskFailed(t *testing.T) {
	for _, failing := range []string{"write", "sync"} {
		path := filepath.Join(t.TempDir(), "log")
		require.NoError(t, durable.Append(path, []byte("one\n")))
		restore := durable.Inject(func(step, _ string) error {
			if step == failing {
				return errors.New("the disk is full")
			}
			return nil
		})
		require.ErrorContains(t, durable.Append(path, []byte("two\n")), "the disk is full")
		restore()
		require.NoError(t, durable.Append(path, []byte("three\n")))
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Regexp(t, "^one\n(two\n)?three\n$", string(data))
	}
}

func TestEveryFolderThatIsMadeIsFlushed(t *testing.T) {
	for name, put := range map[string]func(string) error{
		"for a file": func(dir string) error { return durable.Write(filepath.Join(dir, "f"), []byte("new")) },
		"by itself":  durable.MakeFolder,
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			flushed := map[string]bool{}
			t.Cleanup(durable.Inject(func(step, path string) error {
				if step == "sync" {
					flushed[path] = true
				}
				return nil
			}))
			dir := filepath.Join(root, "a", "b", "c")
			require.NoError(t, put(dir+"/"))
			for _, parent := range []string{root, filepath.Join(root, "a"), filepath.Join(root, "a", "b")} {
				require.True(t, flushed[parent], "%s", parent)
			}
			info, err := os.Stat(filepath.Join(root, "a"))
			require.NoError(t, err)
			require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
			require.NoError(t, put(dir), "again is fine")
		})
	}
}

func TestWriteRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	require.NoError(t, os.WriteFile(target, []byte("target"), 0o600))
	require.NoError(t, os.Symlink(target, filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "dangling")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))

	for _, name := range []string{"link", "dangling", "folder", "", ".", ".."} {
		for _, put := range []func(string, []byte) error{durable.Write, durable.Replace} {
			require.Error(t, put(dir+"/"+name, []byte("target")), name)
		}
	}
	require.Equal(t, "target", disk.Tree(t, dir)["target"])
	require.NoFileExists(t, filepath.Join(dir, "nowhere"))
}

func TestAFailedWriteLeavesNothing(t *testing.T) {
	puts := map[string]func(string, []byte) error{"write": durable.Write, "replace": durable.Replace}
	for name, put := range puts {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			steps := disk.Count(t, root)
			require.NoError(t, put(filepath.Join(root, "d", "f"), []byte("new")))
			require.GreaterOrEqual(t, steps.Steps(), 7)
			for n := 1; n <= steps.Steps(); n++ {
				root := t.TempDir()
				dir := filepath.Join(root, "d")
				faults := disk.FailAt(t, root, n)
				err := put(filepath.Join(dir, "f"), []byte("new"))
				faults.Mend()
				require.True(t, faults.Reached())
				got := disk.Tree(t, dir)
				switch {
				case err == nil || name == "replace" && len(got) == 1 && got["f"] == "new":
					// the last steps no longer decide
					require.Equal(t, "new", got["f"])
				default:
					require.ErrorIs(t, err, disk.ErrDisk)
					require.Empty(t, got, "step %d: %v", n, err)
				}
			}
		})
	}
}

func TestAKilledWriteIsWholeOrNothing(t *testing.T) {
	for n := 1; n < 12; n++ {
		root := t.TempDir()
		path := filepath.Join(root, "d", "f")
		faults := disk.DieAt(t, root, n)
		written := durable.Write(path, []byte("new")) == nil
		faults.Mend()
		if got, there := disk.Tree(t, root)["d/f"]; written || there {
			require.Equal(t, "new", got)
		}
		require.NoError(t, durable.Write(path, []byte("new")))
		require.Equal(t, map[string]string{"d/f": "new"}, disk.Tree(t, root), "leftovers are cleaned")
	}
}

func TestAReplacedFileIsAlwaysOldOrNew(t *testing.T) {
	for n := 1; n < 10; n++ {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		require.NoError(t, durable.Replace(path, []byte("old")))
		faults := disk.DieAt(t, dir, n)
		_ = durable.Replace(path, []byte("new"))
		faults.Mend()
		require.Contains(t, []string{"old", "new"}, disk.Tree(t, dir)["f"])
		require.NoError(t, durable.Replace(path, []byte("newer")))
		require.Equal(t, map[string]string{"f": "newer"}, disk.Tree(t, dir), "leftovers are cleaned")
	}
}

func TestAFileThatCannotBeReadIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, []byte("damaged"), 0o000))
	require.NoError(t, durable.Replace(path, []byte("whole")))
	got, err := durable.Read(path, 5)
	require.NoError(t, err)
	require.Equal(t, "whole", string(got))
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	require.NoError(t, durable.Remove(path), "there is none")
	require.NoError(t, durable.Remove(filepath.Join(dir, "no", "folder")))
	require.NoDirExists(t, filepath.Join(dir, "no"))
	require.NoError(t, durable.Write(path, nil))
	for n := 1; n <= 2; n++ {
		faults := disk.FailAt(t, dir, n)
		require.ErrorIs(t, durable.Remove(path), disk.ErrDisk)
		faults.Mend()
		require.NoError(t, durable.Write(path, nil))
	}
	require.NoError(t, durable.Remove(path))
	require.NoFileExists(t, path)
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	require.NoError(t, durable.Write(path, []byte("text")))
	require.NoError(t, os.Symlink(path, filepath.Join(dir, "link")))
	got, err := durable.Read(path, 4)
	require.NoError(t, err)
	require.Equal(t, "text", string(got))
	_, err = durable.Read(path, 3)
	require.ErrorContains(t, err, "larger than 3 bytes")
	_, err = durable.Read(filepath.Join(dir, "nothing"), 4)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = durable.Read(filepath.Join(dir, "link"), 4)
	require.ErrorContains(t, err, "is a symbolic link")
	_, err = durable.Read(dir, 4)
	require.ErrorContains(t, err, "not a regular file")
}

func TestTwoWritersOfOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d", "f")
	errs := make(chan error)
	for i := range 8 {
		go func() { errs <- durable.Write(path, []byte{'a' + byte(i%2)}) }()
	}
	won := 0
	for range 8 {
		err := <-errs
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, durable.ErrDifferent)
	}
	require.Equal(t, 4, won, "the first decides what the others find")
}

func TestAFolderIsLockedUntilItsHolderIsDone(t *testing.T) {
	dir := t.TempDir()
	folder, err := durable.Lock(dir)
	require.NoError(t, err)
	done := make(chan error)
	go func() { done <- durable.Write(filepath.Join(dir, "f"), []byte("second")) }()
	require.NoError(t, folder.Place("f", []byte("first")))
	require.NoError(t, folder.Sync())
	folder.Unlock()
	require.ErrorIs(t, <-done, durable.ErrDifferent)

	_, err = durable.Lock(filepath.Join(dir, "nothing"))
	require.ErrorIs(t, err, fs.ErrNotExist, "only Make makes one")
}

func TestAbandonTakesAwayWhatMakeMade(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, dir string)
		fill    bool
		stays   bool
	}{
		"a folder that it made": {},
		"but not what is in it": {fill: true, stays: true},
		"and not one that was there": {prepare: func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(dir, 0o700))
		}, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(dir, t.Name())
			require.NoError(t, durable.MakeFolder(filepath.Dir(dir)))
			if tc.prepare != nil {
				tc.prepare(t, dir)
			}
			folder, err := durable.Make(dir)
			require.NoError(t, err)
			if tc.fill {
				require.NoError(t, folder.Create("f", nil))
			}
			folder.Abandon()
			_, err = os.Stat(dir)
			require.Equal(t, !tc.stays, errors.Is(err, fs.ErrNotExist))
		})
	}
}

func TestTryLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := durable.TryLock(path)
	require.NoError(t, err)
	_, err = durable.TryLock(path)
	require.ErrorIs(t, err, durable.ErrLocked)
	unlock()
	unlock, err = durable.TryLock(path)
	require.NoError(t, err)
	unlock()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
}

func TestLeftover(t *testing.T) {
	for temp, name := range map[string]string{
		".tmp-f-0011223344556677":        "f",
		".tmp-a-b.json-0011223344556677": "a-b.json",
		".tmp--0011223344556677":         "",
		".tmp-f-00112233445566":          "",
		".tmp-f":                         "",
		"f":                              "",
		"":                               "",
	} {
		got, ok := durable.Leftover(temp)
		require.Equal(t, name, got, temp)
		require.Equal(t, name != "", ok, temp)
	}
}

func TestInjectedFaultsAddUp(t *testing.T) {
	dir := t.TempDir()
	first := durable.Inject(func(string, string) error { return errors.New("first") })
	second := durable.Inject(func(string, string) error { return errors.New("second") })
	require.ErrorContains(t, durable.Write(filepath.Join(dir, "f"), nil), "first")
	first()
	require.ErrorContains(t, durable.Write(filepath.Join(dir, "f"), nil), "second")
	second()
	second()
	require.NoError(t, durable.Write(filepath.Join(dir, "f"), nil))
}

func TestTryFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	try := func(dir string) error {
		lacking, err := durable.TryFolder(dir)
		require.Empty(t, lacking)
		return err
	}
	require.NoError(t, try(dir))
	require.NoDirExists(t, dir, "what was made for it is gone")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, try(dir))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.Error(t, try(file))
	require.Error(t, try("/proc/1"), "no file can be made there")
}
