package homebackup_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/testutil/disk"
)

func TestAnyFolderWithTheFilesOfBackupsIsOneToRestoreFrom(t *testing.T) {
	h, dir, want := scene(t)
	files := homebackup.Files{Dir: dir}
	none, err := files.Names(t.Context())
	require.NoError(t, err, "no backup was made yet")
	require.Empty(t, none)
	h.create(t, dir)
	h.put(t, 9, "localstate-a.json", "secret of epoch 9")
	h.create(t, dir)
	want["keyshares/9/localstate-a.json"] = "secret of epoch 9"

	groups, err := files.Names(t.Context())
	require.NoError(t, err)
	require.Len(t, groups, 2)
	require.Len(t, groups[1], 2)
	for _, name := range groups[0] {
		require.Contains(t, name, "/objects/")
	}
	require.Contains(t, groups[1][0], "/manifests/1-", "the oldest first")
	require.Len(t, disk.Tree(t, dir), len(slices.Concat(groups...)), "all that is there")
	copied := filepath.Join(t.TempDir(), "copied")
	for _, name := range slices.Concat(groups...) {
		require.True(t, homebackup.IsFile(name), name)
		data, err := files.Read(t.Context(), name)
		require.NoError(t, err)
		require.NoError(t, homebackup.CheckFile(name, data))
		require.NoError(t, durable.Write(filepath.Join(copied, filepath.FromSlash(name)), data))
	}
	require.Equal(t, want, restore(t, h, copied, filepath.Join(t.TempDir(), "new"), homebackup.Choice{}))

	for _, name := range []string{groups[0][0], groups[1][0]} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte("x"), 0o600))
		_, err = files.Read(t.Context(), name)
		require.ErrorIs(t, err, homebackup.ErrDamaged)
		require.NoError(t, os.Remove(filepath.Join(dir, filepath.FromSlash(name))))
		_, err = files.Read(t.Context(), name)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NotErrorIs(t, err, homebackup.ErrDamaged)
	}
}

func TestNamesOfFilesOfBackups(t *testing.T) {
	id, sum := strings.Repeat("ab", 16), strings.Repeat("cd", 32)
	for name, is := range map[string]bool{
		id + "/objects/" + sum + ".age":           true,
		id + "/manifests/7-" + sum[:16] + ".age":  true,
		id + "/objects/" + sum:                    false,
		id + "/objects/../" + sum + ".age":        false,
		"../objects/" + sum + ".age":              false,
		id + "/manifests/07-" + sum[:16] + ".age": false,
		id + "/other/" + sum + ".age":             false,
		"x/" + id + "/objects/" + sum + ".age":    false,
		"/" + id + "/objects/" + sum + ".age":     false,
		"":                                        false, "envelopes/" + sum + ".age": false,
	} {
		require.Equal(t, is, homebackup.IsFile(name), name)
		if !is {
			require.ErrorIs(t, homebackup.CheckFile(name, nil), fs.ErrInvalid)
			_, err := homebackup.Files{Dir: t.TempDir()}.Read(t.Context(), name)
			require.ErrorIs(t, err, fs.ErrInvalid)
		}
	}
}
