package keystore

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/testutil/disk"
)

func TestWhatIsSetAsideIsKeptAndInNobodysWay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keyshares")
	s := open(t, dir)
	aside, err := s.Aside()
	require.NoError(t, err)
	require.Empty(t, aside)
	_, err = s.SetAside(vault()[0].Name)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = s.SetAside("../mnemonic")
	require.ErrorContains(t, err, "not the name of a keyshare file")

	for _, spoilt := range []string{"once", "twice"} {
		require.NoError(t, s.Save([]envelope.File{{Name: vault()[0].Name, Data: []byte(spoilt)}}))
		path, err := s.SetAside(vault()[0].Name)
		require.NoError(t, err)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, spoilt, string(data))
		info, err := os.Stat(filepath.Dir(path))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	}
	require.NoError(t, s.Save(vault()))
	names, err := s.List()
	require.NoError(t, err)
	require.Len(t, names, 2)
	aside, err = s.Aside()
	require.NoError(t, err)
	require.Len(t, aside, 2)
}

// TestNothingIsLostWhereSettingAsideFails lets each step on the disk fail in turn: the contents are
// under the file's own name or among those that were set aside.
func TestNothingIsLostWhereSettingAsideFails(t *testing.T) {
	for n := 1; ; n++ {
		dir := filepath.Join(t.TempDir(), "keyshares")
		s := open(t, dir)
		require.NoError(t, s.Save([]envelope.File{{Name: vault()[0].Name, Data: []byte("spoilt")}}))
		faults := disk.FailAt(t, dir, n)
		_, err := s.SetAside(vault()[0].Name)
		faults.Mend()
		if !faults.Reached() {
			require.NoError(t, err)
			return
		}
		require.ErrorIs(t, err, disk.ErrDisk)
		found := 0
		for _, data := range disk.Tree(t, dir) {
			if data == "spoilt" {
				found++
			}
		}
		require.Equal(t, 1, found, "at step %d", n)
	}
}
