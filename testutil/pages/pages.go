// Package pages holds the pages about a program against its command line: docs/man, and the schema
// of its output.
package pages

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/testutil/schema"
)

var writePages = flag.Bool("write-pages", false, "write the pages of docs/man instead of comparing them")

// dir is where the pages are, from the folder of a command.
const dir = "../../docs/man"

// Check requires that the manual pages of the program's commands are what cobra makes of their
// help, and that the schema knows what each of them prints.
func Check(t *testing.T, p command.Program) {
	made := t.TempDir()
	root := p.Command(&command.Invocation{})
	schemas, err := schema.Commands()
	require.NoError(t, err)
	for _, cmd := range commands(root) {
		// start, standby and tssbackup-watch print nothing, they log; what has commands of its own
		// prints its help.
		group := cmd != root && cmd.HasAvailableSubCommands()
		logs := cmd.Name() == "start" || cmd.Name() == "standby"
		if cmd.Runnable() && !logs && !group &&
			(cmd != root || p.Name == "recover-keyshares") {
			require.Contains(t, schemas, cmd.CommandPath(), "docs/output.schema.json")
		}
		require.NoError(t, writePage(made, cmd))
	}
	pages, err := filepath.Glob(filepath.Join(made, "*.1"))
	require.NoError(t, err)
	there, err := filepath.Glob(filepath.Join(dir, p.Name+"*.1"))
	require.NoError(t, err)
	if *writePages {
		for _, page := range there {
			require.NoError(t, os.Remove(page))
		}
	}
	for _, page := range pages {
		want, err := os.ReadFile(page)
		require.NoError(t, err)
		path := filepath.Join(dir, filepath.Base(page))
		if *writePages {
			require.NoError(t, os.WriteFile(path, want, 0o644))
			continue
		}
		got, err := os.ReadFile(path)
		require.NoError(t, err, "make man writes it")
		require.Equal(t, string(want), string(got), "%s: make man writes it anew", path)
	}
	if !*writePages {
		require.Len(t, there, len(pages), "docs/man has pages of commands that are no more")
	}
}

// commands are those of the program itself, without what cobra adds to every program.
func commands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" && sub.Name() != "completion" {
			all = append(all, commands(sub)...)
		}
	}
	return all
}

func writePage(dir string, cmd *cobra.Command) error {
	cmd.DisableAutoGenTag = true
	cmd.InitDefaultHelpFlag()
	cmd.Long = blocks(cmd.Long)
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	header := &doc.GenManHeader{
		Title: strings.ToUpper(name), Section: "1", Manual: "tssbackup", Date: &time.Time{},
	}
	var page bytes.Buffer
	if err := doc.GenMan(cmd, header, &page); err != nil {
		return err
	}
	// The same today and tomorrow: no date.
	text := strings.Replace(page.String(), "\"Jan 0001\"", "\"\"", 1)
	return os.WriteFile(filepath.Join(dir, name+".1"), []byte(text), 0o644)
}

// blocks keeps the lines of what is indented in a help text, which a manual page would fill.
func blocks(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		inside := len(lines) > 0 && strings.HasPrefix(lines[len(lines)-1], "    ")
		if strings.HasPrefix(line, "  ") {
			if !inside {
				lines = append(lines, "")
			}
			line = "    " + strings.TrimPrefix(line, "  ")
		} else if inside {
			lines = append(lines, "")
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
