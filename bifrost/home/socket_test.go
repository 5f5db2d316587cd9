package home

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheSocketOfAHome(t *testing.T) {
	for name, length := range map[string]int{"a short path": 10, "a long path": 90, "a very long path": 240} {
		t.Run(name, func(t *testing.T) {
			root, err := os.MkdirTemp("/tmp", "home")
			require.NoError(t, err)
			t.Cleanup(func() { _ = os.RemoveAll(root) })
			home := filepath.Join(root, strings.Repeat("h", length))
			require.NoError(t, os.Mkdir(home, 0o700))
			require.NoError(t, TrySocket(home))
			_, err = DialSocket(t.Context(), home)
			var op *net.OpError
			require.ErrorAs(t, err, &op, "nobody listens")

			for range 2 { // a dead one's socket is in nobody's way
				l, err := ListenSocket(home)
				require.NoError(t, err)
				info, err := os.Lstat(SocketPath(home))
				require.NoError(t, err)
				require.Equal(t, os.ModeSocket|0o600, info.Mode())
				require.NoError(t, TrySocket(home), "also while a bifrost runs")
				done := make(chan error)
				go func() {
					conn, err := l.Accept()
					if err == nil {
						err = conn.Close()
					}
					done <- err
				}()
				conn, err := DialSocket(t.Context(), home)
				require.NoError(t, err)
				require.NoError(t, <-done)
				require.NoError(t, conn.Close())
				require.NoError(t, l.Close())
			}
			entries, err := os.ReadDir(home)
			require.NoError(t, err)
			require.Empty(t, entries)
		})
	}
	require.Error(t, TrySocket(filepath.Join(t.TempDir(), "nowhere")))
}
