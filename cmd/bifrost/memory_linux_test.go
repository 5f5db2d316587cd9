package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/testutil/peak"
)

// TestSealTakesTheMemoryOfOneRunOfScrypt seals at the real work factor, which encrypts and opens
// again: each takes 256 MiB, and the second run must not come on top of the first.
func TestSealTakesTheMemoryOfOneRunOfScrypt(t *testing.T) {
	require.Equal(t, 18, envelope.DefaultWorkFactor)
	dir := t.TempDir()
	words := filepath.Join(dir, "words")
	require.NoError(t, os.WriteFile(words, []byte(mnemonics[0]), 0o600))
	most := func(args ...string) int64 {
		cmd := exec.Command("bifrost", args...)
		var text bytes.Buffer
		cmd.Stdout, cmd.Stderr = &text, &text
		bytes, err := peak.Run(cmd)
		require.NoError(t, err, text.String())
		return bytes
	}
	baseline := most("version")
	for _, members := range fixture.Sizes {
		out := filepath.Join(dir, fmt.Sprint(members, ".age"))
		args := []string{"seal", "--mnemonic-file", words, "--out", out}
		for _, f := range fixture.Keyshares(t, members, 0) {
			path := filepath.Join(dir, f.Name)
			require.NoError(t, os.WriteFile(path, f.Data, 0o600))
			args = append(args, path)
		}
		more := most(args...) - baseline
		t.Logf("%d members: %d MB beside the %d MB of a process that does nothing", members,
			more/1e6, baseline/1e6)
		require.Greater(t, more, int64(200e6), "it is that of the process that sealed")
		// 268 MB are scrypt's, and a few the program's own that only sealing touches.
		require.Less(t, more, int64(285e6))
		sealed, err := os.ReadFile(out)
		require.NoError(t, err)
		require.Contains(t, string(sealed[:80]), " 18\n")
	}
}
