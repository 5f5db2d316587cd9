package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var errDisk = errors.New("no space left on device")

// failFrom lets the n-th step fail and, when dead is set, every one after it, as it would for a process that was killed there.
// It returns a function that tells how many steps were asked for.
func failFrom(t *testing.T, n int, dead bool) (steps func() int) {
	t.Helper()
	count := 0
	before = func(step, path string) error {
		count++
		if count == n || dead && count > n {
			return fmt.Errorf("%s %s: %w", step, filepath.Base(path), errDisk)
		}
		return nil
	}
	t.Cleanup(noFaults)
	return func() int { return count }
}

func noFaults() { before = func(string, string) error { return nil } }

// tree returns what is in a folder: relative path to contents.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		require.NoError(t, err)
		if d.IsDir() || d.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		rel, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		got[rel] = string(data)
		return nil
	})
	require.NoError(t, err)
	return got
}

func TestWriteFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	path := filepath.Join(dir, "mnemonic")
	require.NoError(t, WriteFile(path, []byte("one")))
	require.NoError(t, WriteFile(path, []byte("one")), "an equal file is fine")

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	info, err = os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())

	for _, other := range []string{"two", "on", "one.", ""} {
		require.ErrorIs(t, WriteFile(path, []byte(other)), ErrDifferent)
	}
	require.Equal(t, map[string]string{"mnemonic": "one"}, tree(t, dir))

	require.NoError(t, ReplaceFile(path, []byte("two")))
	require.Equal(t, map[string]string{"mnemonic": "two"}, tree(t, dir))

	require.NoError(t, os.Chmod(path, 0o644))
	require.NoError(t, WriteFile(path, []byte("two")))
	info, err = os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), "an equal file is made private")
}

func TestEveryFolderThatIsMadeIsFlushed(t *testing.T) {
	for name, put := range map[string]func(string) error{
		"for a file": func(dir string) error { return WriteFile(filepath.Join(dir, "f"), []byte("new")) },
		"by itself":  MakeFolder,
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			flushed := map[string]bool{}
			before = func(step, path string) error {
				if step == "sync" {
					flushed[path] = true
				}
				return nil
			}
			t.Cleanup(noFaults)
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

func TestWriteFileRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	require.NoError(t, os.WriteFile(target, []byte("target"), 0o600))
	require.NoError(t, os.Symlink(target, filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "dangling")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))

	for _, name := range []string{"link", "dangling", "folder", "", ".", ".."} {
		for _, put := range []func(string, []byte) error{WriteFile, ReplaceFile} {
			require.Error(t, put(dir+"/"+name, []byte("target")), name)
		}
	}
	require.Equal(t, "target", tree(t, dir)["target"])
	require.NoFileExists(t, filepath.Join(dir, "nowhere"))
}

func TestAFailedWriteLeavesNothing(t *testing.T) {
	puts := map[string]func(string, []byte) error{"write": WriteFile, "replace": ReplaceFile}
	for name, put := range puts {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "d")
			steps := failFrom(t, 0, false)
			require.NoError(t, put(filepath.Join(dir, "f"), []byte("new")))
			for n := 1; n <= steps(); n++ {
				dir := filepath.Join(t.TempDir(), "d")
				failFrom(t, n, false)
				err := put(filepath.Join(dir, "f"), []byte("new"))
				noFaults()
				got := tree(t, dir)
				switch {
				case err == nil || name == "replace" && len(got) == 1 && got["f"] == "new":
					// the last steps no longer decide
					require.Equal(t, "new", got["f"])
				default:
					require.ErrorIs(t, err, errDisk)
					require.Empty(t, got, "step %d: %v", n, err)
				}
			}
		})
	}
}

func TestAReplacedFileIsAlwaysOldOrNew(t *testing.T) {
	for n := 1; n < 10; n++ {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		require.NoError(t, ReplaceFile(path, []byte("old")))
		failFrom(t, n, true)
		_ = ReplaceFile(path, []byte("new"))
		noFaults()
		require.Contains(t, []string{"old", "new"}, tree(t, dir)["f"])
		require.NoError(t, ReplaceFile(path, []byte("newer")))
		require.Equal(t, map[string]string{"f": "newer"}, tree(t, dir), "leftovers are cleaned")
	}
}

func vault() map[string][]byte {
	return map[string][]byte{
		"localstate-cosmospub1addwnpepq.json": []byte("ecdsa"),
		"localstate-cosmospub1zcjduepq.json":  []byte("eddsa"),
	}
}

func vaultTree() map[string]string {
	got := map[string]string{}
	for name, data := range vault() {
		got[name] = string(data)
	}
	return got
}

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keyshares")
	s := NewStore(dir)
	names, err := s.List()
	require.NoError(t, err)
	require.Empty(t, names)
	_, err = s.Load("localstate-x.json")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoDirExists(t, dir, "reading makes no folder")

	require.NoError(t, s.Save(vault()))
	require.NoError(t, s.Save(vault()), "again is fine")
	names, err = s.List()
	require.NoError(t, err)
	require.Equal(t, []string{"localstate-cosmospub1addwnpepq.json", "localstate-cosmospub1zcjduepq.json"}, names)
	got, err := s.Load(names[1])
	require.NoError(t, err)
	require.Equal(t, "eddsa", string(got))
	require.Equal(t, vaultTree(), tree(t, dir), "nothing else is left in the folder")
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	}
}

func TestStoreSaveTouchesNothingWhenOneFileDiffers(t *testing.T) {
	dir := t.TempDir()
	s := NewStore(dir)
	require.NoError(t, WriteFile(filepath.Join(dir, "localstate-cosmospub1zcjduepq.json"), []byte("other")))
	require.ErrorIs(t, s.Save(vault()), ErrDifferent)
	require.Equal(t, map[string]string{"localstate-cosmospub1zcjduepq.json": "other"}, tree(t, dir))
}

func TestStoreSaveCompletesAVault(t *testing.T) {
	dir := t.TempDir()
	s := NewStore(dir)
	require.NoError(t, WriteFile(filepath.Join(dir, "localstate-cosmospub1zcjduepq.json"), []byte("eddsa")))
	require.NoError(t, s.Save(vault()))
	require.Equal(t, vaultTree(), tree(t, dir))
}

func TestStoreNames(t *testing.T) {
	s := NewStore(t.TempDir())
	for _, name := range []string{"", ".", "..", ".hidden", "a/b", "../a", "a\\b", "a\x00", "a b", "é", strings.Repeat("a", 201)} {
		require.Error(t, s.Save(map[string][]byte{name: []byte("x")}), "%q", name)
		_, err := s.Load(name)
		require.Error(t, err, "%q", name)
	}
	require.Error(t, s.Save(nil))
}

func TestStoreListPassesOverWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".tmp-x-0011223344556677"), nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	names, err := NewStore(dir).List()
	require.NoError(t, err)
	require.Empty(t, names)
	_, err = NewStore(dir).Load("link")
	require.Error(t, err)
}

// A save that fails at any step leaves no file; one that is killed at any step leaves, for whoever comes next, all of them or none.
func TestStoreSaveIsAllOrNone(t *testing.T) {
	count := failFrom(t, 0, false)
	require.NoError(t, NewStore(filepath.Join(t.TempDir(), "d")).Save(vault()))
	steps := count()
	require.Greater(t, steps, 10)

	for n := 1; n <= steps; n++ {
		t.Run(fmt.Sprintf("fails at step %d", n), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "d")
			failFrom(t, n, false)
			err := NewStore(dir).Save(vault())
			noFaults()
			if err == nil {
				require.Equal(t, vaultTree(), visible(t, dir))
				return
			}
			require.ErrorIs(t, err, errDisk)
			require.Empty(t, tree(t, dir))
			require.NoDirExists(t, dir)
		})
		t.Run(fmt.Sprintf("killed at step %d", n), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "d")
			failFrom(t, n, true)
			_ = NewStore(dir).Save(vault())
			noFaults()
			names, err := NewStore(dir).List()
			require.NoError(t, err)
			require.Contains(t, []int{0, 2}, len(names))
			if len(names) == 2 {
				require.Equal(t, vaultTree(), tree(t, dir))
			} else {
				require.Empty(t, tree(t, dir))
			}
			require.NoError(t, NewStore(dir).Save(vault()))
			require.Equal(t, vaultTree(), tree(t, dir))
		})
	}
}

// visible is the tree without what Save may leave behind when removing it fails after the save: hidden second names.
func visible(t *testing.T, dir string) map[string]string {
	got := tree(t, dir)
	for name := range got {
		if strings.HasPrefix(name, ".") {
			delete(got, name)
		}
	}
	return got
}

func TestTwoWritersOfOneFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	errs := make(chan error)
	for i := range 8 {
		go func() {
			if i%2 == 0 {
				errs <- NewStore(dir).Save(vault())
				return
			}
			errs <- WriteFile(filepath.Join(dir, "localstate-cosmospub1zcjduepq.json"), []byte("eddsa"))
		}()
	}
	for range 8 {
		require.NoError(t, <-errs)
	}
	require.Equal(t, vaultTree(), tree(t, dir))
}

func TestTryFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	require.NoError(t, TryFolder(dir))
	require.NoDirExists(t, dir, "what was made for it is gone")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, TryFolder(dir))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.Error(t, TryFolder(file))
	require.Error(t, TryFolder("/proc/1"), "no file can be made there")
}
