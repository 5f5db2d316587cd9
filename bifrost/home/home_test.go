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
