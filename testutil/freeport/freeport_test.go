package freeport

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// others has the test's binary be another process, which prints what it gets.
const others = "FREEPORT_TEST_OTHERS"

func TestMain(m *testing.M) {
	if os.Getenv(others) == "" {
		os.Exit(m.Run())
	}
	addrs, err := Addrs(500)
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString(strings.Join(addrs, "\n"))
}

// TestAPortIsGivenOnce asks for so many ports in two processes that some would be given twice if
// one knew nothing of the other.
func TestAPortIsGivenOnce(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	given := map[string]bool{}
	for _, n := range []int{1, 500} {
		addrs, err := Addrs(n)
		require.NoError(t, err)
		for _, addr := range addrs {
			require.False(t, given[addr], "%s was given before", addr)
			given[addr] = true
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), others+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	got := strings.Fields(string(out))
	require.Len(t, got, 500)
	for _, addr := range got {
		require.False(t, given[addr], "%s was given to another process", addr)
	}
	// Whoever was given one can listen there.
	for addr := range given {
		l, err := net.Listen("tcp", addr)
		require.NoError(t, err)
		require.NoError(t, l.Close())
		break
	}
}
