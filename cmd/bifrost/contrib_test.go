package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/command"
)

// TestWhatContribRunsIsThere holds the command lines of the units against the commands.
func TestWhatContribRunsIsThere(t *testing.T) {
	contrib := filepath.Join("..", "..", "contrib")
	var lines [][]string
	units, err := filepath.Glob(filepath.Join(contrib, "systemd", "bifrost*.service"))
	require.NoError(t, err)
	for _, path := range units {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		for line := range strings.Lines(string(data)) {
			if args, ok := strings.CutPrefix(line, "ExecStart=bifrost "); ok {
				lines = append(lines, strings.Fields(args))
			}
		}
	}
	require.Len(t, lines, 4)

	for _, args := range lines {
		cmd, rest, err := program.Command(&command.Invocation{}).Find(args)
		require.NoError(t, err, args)
		require.True(t, cmd.Runnable() && !cmd.HasSubCommands(), args)
		require.NoError(t, cmd.ParseFlags(rest), args)
		require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), args)
		cmd.Flags().Visit(func(f *pflag.Flag) { require.NotEmpty(t, f.Value.String()) })
	}
}
