package home

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDefault(t *testing.T) {
	for name, tc := range map[string]struct{ data, home, want string }{
		"where XDG says":                          {"/data", "/home/me", "/data/bifrost"},
		"in the user's home otherwise":            {"", "/home/me", "/home/me/.local/share/bifrost"},
		"a relative path is not one, as XDG says": {"data", "/home/me", "/home/me/.local/share/bifrost"},
		"nowhere": {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_DATA_HOME", tc.data)
			t.Setenv("HOME", tc.home)
			home, err := Default()
			require.Equal(t, tc.want, home)
			require.Equal(t, tc.want == "", err != nil)
		})
	}
}

func TestHomeIsForOneProcessAndItsOwner(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	require.Error(t, Check(home))
	require.NoError(t, os.Mkdir(home, 0o755))
	require.ErrorContains(t, Check(home), "0700")
	require.NoError(t, os.Chmod(home, 0o700))
	require.NoError(t, Check(home))

	unlock, err := Lock(home)
	require.NoError(t, err)
	_, err = Lock(home)
	require.ErrorIs(t, err, ErrInUse)
	unlock()
	unlock, err = Lock(home)
	require.NoError(t, err)
	unlock()
}

func TestOfKnowsTheHomeOfAKeysharesFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	write("configured/config.toml")
	write("ran/lock")
	write("ran/keyshares/f")
	write("plain/keyshares/f")
	require.NoError(t, os.Symlink(filepath.Join(dir, "ran/keyshares"), filepath.Join(dir, "plain/link")))
	for _, row := range []struct{ name, folder, home string }{
		{"a home that has no keyshares yet", "configured/keyshares", "configured"},
		{"a home in which a bifrost was", "ran/keyshares", "ran"},
		{"a path with more in it", "ran/keyshares/../keyshares/", "ran"},
		{"a way around to it", "plain/link", "ran"},
		{"another folder in a home", "ran/other", ""},
		{"a home itself", "ran", ""},
		{"a folder that only has the name", "plain/keyshares", ""},
		{"nothing", "nothing/keyshares", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			want := ""
			if row.home != "" {
				want = filepath.Join(dir, row.home)
			}
			require.Equal(t, want, Of(dir+"/"+row.folder))
		})
	}
}
