package keystore

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/testutil/disk"
)

func open(t *testing.T, dir string) *Folder {
	s, err := OpenFolder(dir)
	require.NoError(t, err)
	return s
}

func vault() []envelope.File {
	return []envelope.File{
		{Name: "localstate-cosmospub1addwnpepq.json", Data: []byte("ecdsa")},
		{Name: "localstate-cosmospub1zcjduepq.json", Data: []byte("eddsa")},
	}
}

func vaultTree() map[string]string {
	got := map[string]string{}
	for _, f := range vault() {
		got[f.Name] = string(f.Data)
	}
	return got
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keyshares")
	s := open(t, dir)
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
	require.Equal(t, vaultTree(), disk.Tree(t, dir), "nothing else is left in the folder")
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	}
}

func TestFolderSaveTouchesNothingWhenOneFileDiffers(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, durable.Write(filepath.Join(dir, "localstate-cosmospub1zcjduepq.json"), []byte("other")))
	require.ErrorIs(t, s.Save(vault()), durable.ErrDifferent)
	require.Equal(t, map[string]string{"localstate-cosmospub1zcjduepq.json": "other"}, disk.Tree(t, dir))
}

func TestFolderSaveCompletesAVault(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, durable.Write(filepath.Join(dir, "localstate-cosmospub1zcjduepq.json"), []byte("eddsa")))
	require.NoError(t, s.Save(vault()))
	require.Equal(t, vaultTree(), disk.Tree(t, dir))
}

func TestFolderNames(t *testing.T) {
	s := open(t, t.TempDir())
	for _, name := range []string{"", ".", "..", ".hidden", "a/b", "../a", "a\\b", "a\x00", "a b", "é", strings.Repeat("a", 201)} {
		require.Error(t, s.Save([]envelope.File{{Name: name, Data: []byte("x")}}), "%q", name)
		_, err := s.Load(name)
		require.Error(t, err, "%q", name)
	}
	require.Error(t, s.Save(nil))
	require.ErrorContains(t, s.Save(append(vault(), vault()[0])), "two files named localstate-")
	require.Empty(t, disk.Tree(t, s.dir))
}

func TestFolderListPassesOverWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".tmp-x-0011223344556677"), nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	names, err := open(t, dir).List()
	require.NoError(t, err)
	require.Empty(t, names)
	_, err = open(t, dir).Load("link")
	require.Error(t, err)
}

// A save that fails at any step leaves no file; one that is killed at any step leaves, for whoever
// comes next, all of them or none.
func TestFolderSaveIsAllOrNone(t *testing.T) { saveIsAllOrNone(t) }

func TestWithoutHardLinksFolderSaveIsAllOrNone(t *testing.T) {
	withoutLinks(t)
	saveIsAllOrNone(t)
}

// withoutLinks gives the test a file system that knows no hard links.
func withoutLinks(t *testing.T) {
	t.Cleanup(durable.Inject(func(step, _ string) error {
		if step == "link" {
			return syscall.EPERM
		}
		return nil
	}))
}

func saveIsAllOrNone(t *testing.T) {
	root := t.TempDir()
	faults := disk.Count(t, root)
	require.NoError(t, open(t, filepath.Join(root, "d")).Save(vault()))
	steps := faults.Steps()
	require.Greater(t, steps, 15)

	for n := 1; n <= steps; n++ {
		t.Run(fmt.Sprintf("fails at step %d", n), func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, "d")
			faults := disk.FailAt(t, root, n)
			err := open(t, dir).Save(vault())
			faults.Mend()
			require.True(t, faults.Reached())
			if err == nil {
				require.Equal(t, vaultTree(), visible(t, dir))
				return
			}
			require.ErrorIs(t, err, disk.ErrDisk)
			require.Empty(t, disk.Tree(t, dir))
			require.NoDirExists(t, dir)
		})
		t.Run(fmt.Sprintf("killed at step %d", n), func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, "d")
			faults := disk.DieAt(t, root, n)
			_ = open(t, dir).Save(vault())
			faults.Mend()
			names, err := open(t, dir).List()
			require.NoError(t, err)
			require.Contains(t, []int{0, 2}, len(names))
			if len(names) == 2 {
				require.Equal(t, vaultTree(), disk.Tree(t, dir))
			} else {
				require.Empty(t, disk.Tree(t, dir))
			}
			require.NoError(t, open(t, dir).Save(vault()))
			require.Equal(t, vaultTree(), disk.Tree(t, dir))
		})
	}
}

// Who comes after a crash may die as well.
func TestFolderRecoveryMayBeKilled(t *testing.T) { recoveryMayBeKilled(t) }

func TestWithoutHardLinksFolderRecoveryMayBeKilled(t *testing.T) {
	withoutLinks(t)
	recoveryMayBeKilled(t)
}

func recoveryMayBeKilled(t *testing.T) {
	for n := 1; n <= 20; n++ {
		for m := 1; m <= 6; m++ {
			root := t.TempDir()
			dir := filepath.Join(root, "d")
			faults := disk.DieAt(t, root, n)
			saved := open(t, dir).Save(vault()) == nil
			faults.Mend()
			faults = disk.DieAt(t, root, m)
			_, _ = OpenFolder(dir)
			faults.Mend()
			names, err := open(t, dir).List()
			require.NoError(t, err)
			if saved || len(names) > 0 {
				require.Equal(t, vaultTree(), disk.Tree(t, dir))
			} else {
				require.Empty(t, disk.Tree(t, dir))
			}
		}
	}
}

// visible is the tree without what Save may leave behind when removing it fails after the save:
// hidden second names.
func visible(t *testing.T, dir string) map[string]string {
	got := disk.Tree(t, dir)
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
				errs <- open(t, dir).Save(vault())
				return
			}
			errs <- durable.Write(filepath.Join(dir, "localstate-cosmospub1zcjduepq.json"), []byte("eddsa"))
		}()
	}
	for range 8 {
		require.NoError(t, <-errs)
	}
	require.Equal(t, vaultTree(), disk.Tree(t, dir))
}
