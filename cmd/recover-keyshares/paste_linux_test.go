package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
)

// However a mnemonic is pasted, and whatever becomes of it, nothing of it is left for the shell that
// reads the same terminal next, or is shown.
func TestNothingThatIsPastedReachesTheShell(t *testing.T) {
	m := makeMembers(t)
	var files []envelope.File
	for _, f := range m.vaults["active"].Files[0] {
		files = append(files, envelope.File{Name: f.Name, Data: f.Data})
	}
	sealed, err := envelope.Seal(files, m.mnemonics[0], envelope.WithWorkFactor(10))
	require.NoError(t, err)
	// Opening it takes longer than an interruption.
	slow, err := envelope.Seal(files, m.mnemonics[0], envelope.WithWorkFactor(18))
	require.NoError(t, err)
	dir := t.TempDir()
	for name, data := range map[string][]byte{"quick": sealed, "slow": slow} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	words := strings.Fields(mnemonics[0])
	halves := func(words []string) []string {
		return []string{strings.Join(words[:11], " "), strings.Join(words[11:], " ")}
	}
	const (
		right = iota
		wrong
		unlike // no words at all, and more than there may be
		interrupted
		interruptedLater
	)
	var rows errgroup.Group
	rows.SetLimit(10)
	defer func() { require.NoError(t, rows.Wait()) }()
	for _, pieces := range []struct {
		name  string
		split func([]string) []string
	}{
		{"in one piece", func(words []string) []string { return []string{strings.Join(words, " ")} }},
		{"in two lines", halves},
		{"word by word", func(words []string) []string { return words }},
	} {
		for _, delay := range []time.Duration{0, 40 * time.Millisecond, 900 * time.Millisecond} {
			for _, bracketed := range []bool{false, true} {
				for end, name := range map[int]string{
					right: "and is right", wrong: "and is wrong", unlike: "and is something else",
					interrupted: "and is interrupted", interruptedLater: "and is interrupted when it is complete",
				} {
					if pieces.name == "in one piece" && delay > 0 || pieces.name == "word by word" && delay > 500*time.Millisecond ||
						pieces.name == "in two lines" && delay == 40*time.Millisecond {
						continue
					}
					lineEnd := []string{"\r", "\n", "\r\n"}[end%3]
					row := fmt.Sprintf("%s, every %s, marked: %t, %s", pieces.name, delay, bracketed, name)
					play := func(t *testing.T) {
						text := append([]string(nil), words...)
						switch end {
						case wrong:
							text[3], text[4] = text[4], text[3]
						case unlike:
							text = append(text, strings.Fields(mnemonics[1])...)
							text[20] = "keyshares"
						}
						out := filepath.Join(t.TempDir(), "out")
						file := filepath.Join(dir, map[bool]string{false: "quick", true: "slow"}[end == interruptedLater])
						cmd, keyboard, tty, screen := startAtPrompt(t, "open", "--out", out, "--format", "envelope", file)
						send := func(text string) {
							_, err := io.WriteString(keyboard, text)
							require.NoError(t, err)
						}
						parts := pieces.split(text)
						for i, part := range parts {
							if bracketed && i == 0 {
								send("\x1b[200~")
							}
							send(part)
							if bracketed && i == len(parts)-1 {
								send("\x1b[201~")
							}
							send(lineEnd)
							if end == interrupted && i == 0 {
								require.NoError(t, cmd.Process.Signal(os.Interrupt))
							}
							if delay > 0 && i < len(parts)-1 {
								<-time.After(delay) // so slow is the line
							}
						}
						shows := func(text string) {
							t.Helper()
							require.Eventually(t, func() bool { return strings.Contains(screen.String(), text) },
								30*time.Second, 10*time.Millisecond)
						}
						switch end {
						case wrong, unlike:
							shows("asking again, 2 of 3")
							require.Eventually(t, func() bool { return strings.Count(screen.String(), "it is not shown") == 2 },
								30*time.Second, 10*time.Millisecond)
							send("\x04")
						case interruptedLater:
							shows("opening an envelope")
							require.NoError(t, cmd.Process.Signal(os.Interrupt))
						}
						err := cmd.Wait()
						code := map[int]int{
							right: 0, wrong: codeMnemonic, unlike: codeMnemonic,
							interrupted: command.CodeInterrupted, interruptedLater: command.CodeInterrupted,
						}[end]
						if end == interrupted && len(parts) == 1 && err == nil {
							code = 0 // it was quicker
						}
						require.Equal(t, code, cmd.ProcessState.ExitCode(), screen.String())
						if code != 0 {
							require.NoDirExists(t, out)
						}
						if code == command.CodeInterrupted {
							shows("interrupted, nothing was written")
						}
						// What the shell would read, and what the terminal has shown.
						waiting, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCINQ)
						require.NoError(t, err)
						require.Zero(t, waiting)
						require.True(t, echoes(t, tty))
						send("the shell again\r")
						shows("the shell again")
						for _, word := range text {
							require.NotContains(t, screen.String(), " "+word)
							require.NotContains(t, screen.String(), word+"\r")
						}
					}
					rows.Go(func() error {
						t.Run(row, play)
						return nil
					})
				}
			}
		}
	}
}
