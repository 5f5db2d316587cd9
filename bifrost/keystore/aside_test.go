package keystore_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

func TestWhatIsSetAsideIsKeptAndInNobodysWay(t *testing.T) {
	keys := homekeys.New(t)
	dir := filepath.Join(t.TempDir(), "keyshares")
	s := open(t, dir, keys)
	aside, err := s.Aside()
	require.NoError(t, err)
	require.Empty(t, aside)
	_, err = s.SetAside(7, vault()[0].Name)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = s.SetAside(7, "../mnemonic")
	require.ErrorContains(t, err, "not the name of a keyshare file")

	for _, spoilt := range []struct {
		epoch uint64
		data  string
	}{{7, "once"}, {7, "twice"}, {0, "before it was placed"}} {
		require.NoError(t, s.Save(spoilt.epoch, []envelope.File{{Name: vault()[0].Name, Data: []byte(spoilt.data)}}))
		path, err := s.SetAside(7, vault()[0].Name)
		require.NoError(t, err)
		sealed, err := os.ReadFile(path)
		require.NoError(t, err)
		data, err := keys.Open(sealed)
		require.NoError(t, err)
		require.Equal(t, spoilt.data, string(data))
		info, err := os.Stat(filepath.Dir(path))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	}
	require.NoError(t, s.Save(7, vault()))
	names, err := s.List(7)
	require.NoError(t, err)
	require.Len(t, names, 2)
	aside, err = s.Aside()
	require.NoError(t, err)
	require.Len(t, aside, 3)
}

// TestNothingIsLostWhereSettingAsideFails lets each step on the disk fail in turn: the contents are
// under the file's own name or among those that were set aside.
func TestNothingIsLostWhereSettingAsideFails(t *testing.T) {
	keys := homekeys.New(t)
	for n := 1; ; n++ {
		dir := filepath.Join(t.TempDir(), "keyshares")
		s := open(t, dir, keys)
		require.NoError(t, s.Save(7, []envelope.File{{Name: vault()[0].Name, Data: []byte("spoilt")}}))
		faults := disk.FailAt(t, dir, n)
		_, err := s.SetAside(7, vault()[0].Name)
		faults.Mend()
		if !faults.Reached() {
			require.NoError(t, err)
			return
		}
		require.ErrorIs(t, err, disk.ErrDisk)
		require.Len(t, opened(t, dir, keys), 1, "at step %d", n)
	}
}
