// The race detector's own memory is none of the package's.
//go:build !race

package envelope

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestARunningProcessTakesTheMemoryOfOneRunOfScrypt seals and opens, at the real work factor, in a
// process that has a heap of its own and goes on making garbage, as a bifrost that runs does. It is
// one of its own, so that its memory is.
func TestARunningProcessTakesTheMemoryOfOneRunOfScrypt(t *testing.T) {
	const variable = "ENVELOPE_MEMORY_OF"
	if size, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		sealAndOpen(t, size)
		return
	}
	// The size of a keyshare in the smallest vaults and in large ones.
	for members, size := range map[int]int{4: 19 << 10, 100: 460 << 10} {
		t.Run(fmt.Sprint(members, " members"), func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run", "^TestARunningProcessTakesTheMemoryOfOneRunOfScrypt$", "-test.v")
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", variable, size))
			text, err := cmd.CombinedOutput()
			require.NoError(t, err, string(text))
			t.Logf("%s", text)
		})
	}
}

func sealAndOpen(t *testing.T, size int) {
	memory := func(name string) int64 {
		status, err := os.ReadFile("/proc/self/status")
		require.NoError(t, err)
		_, rest, _ := bytes.Cut(status, []byte(name))
		kib, err := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
		require.NoError(t, err)
		return kib << 10
	}
	m := parse(t, mnemonic24)
	files := []File{{Name: "localstate-test.json", Data: make([]byte, size)}}
	_, _ = rand.Read(files[0].Data) // never fails
	heap := make([][]byte, 64)
	garbage := func() {
		for i := range 4 * len(heap) {
			heap[i%len(heap)] = bytes.Repeat([]byte{1}, 1<<20)
		}
	}
	garbage()
	// What a process has that does not seal is what it has at most between two collections.
	baseline := memory("VmHWM:")
	sealed, err := Seal(files, m)
	require.NoError(t, err)
	garbage()
	opened, err := Open(sealed, m)
	require.NoError(t, err)
	require.Equal(t, files, opened)
	runtime.KeepAlive(heap)
	more := memory("VmHWM:") - baseline
	fmt.Printf("%d MB beside the %d MB of the process\n", more/1e6, baseline/1e6)
	require.Less(t, more, int64(275e6))
}
