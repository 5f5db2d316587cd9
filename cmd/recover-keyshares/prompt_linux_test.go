package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// output collects what a process writes.
type output struct {
	sync.Mutex
	bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.Lock()
	defer o.Unlock()
	return o.Buffer.Write(p)
}

func (o *output) String() string {
	o.Lock()
	defer o.Unlock()
	return o.Buffer.String()
}

// openPty returns both ends of a new terminal, and what it shows.
func openPty(t *testing.T) (keyboard, tty *os.File, screen *output) {
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	screen = &output{}
	go func() { _, _ = io.Copy(screen, keyboard) }()
	t.Cleanup(func() {
		_ = tty.Close()
		_ = keyboard.Close()
	})
	return keyboard, tty, screen
}

func echoes(t *testing.T, tty *os.File) bool {
	state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	require.NoError(t, err)
	return state.Lflag&unix.ECHO != 0
}

// startAtPrompt starts the command on a terminal and returns when it asks for the mnemonic.
func startAtPrompt(t *testing.T, args ...string) (cmd *exec.Cmd, keyboard, tty *os.File, screen *output) {
	return startUntil(t, "it is not shown", args...)
}

func startUntil(t *testing.T, text string, args ...string) (cmd *exec.Cmd, keyboard, tty *os.File, screen *output) {
	keyboard, tty, screen = openPty(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, "recover-keyshares", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return strings.Contains(screen.String(), text) },
		30*time.Second, 10*time.Millisecond)
	return cmd, keyboard, tty, screen
}

func TestPrompt(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	m := makeMembers(t)
	node, url := fakenode.New(t)
	s := &scene{members: m, node: node, height: 10}
	vault := m.vaults["active"]
	node.Vaults = []types.VaultInfo{s.vaultInfo("active", types.VaultStatus_VAULT_STATUS_ACTIVE)}
	sealed, err := s.seal("active", "good")
	require.NoError(t, err)
	node.Publish(vault.Name(), m.infos[0].Address, s.height, sealed)

	t.Run("what is typed is used and not shown", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "keyshares")
		cmd, keyboard, tty, screen := startAtPrompt(t, "--node", twoNodes(url), "--trust-first", "--out", out)
		require.False(t, echoes(t, tty))
		_, err := io.WriteString(keyboard, mnemonics[0]+"\n")
		require.NoError(t, err)
		require.NoError(t, cmd.Wait())
		require.Eventually(t, func() bool { return strings.Contains(screen.String(), "restored from block 10") },
			10*time.Second, 10*time.Millisecond)
		for _, word := range strings.Fields(mnemonics[0]) {
			require.NotContains(t, screen.String(), word)
		}
		require.True(t, echoes(t, tty))
		for _, f := range vault.Files[0] {
			data, err := os.ReadFile(filepath.Join(out, f.Name))
			require.NoError(t, err)
			require.True(t, bytes.Equal(f.Data, data))
		}
	})
	t.Run("an interruption leaves the terminal as it was and nothing on the disk", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "keyshares")
		cmd, _, tty, screen := startAtPrompt(t, "--node", twoNodes(url), "--trust-first", "--out", out)
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		require.Error(t, cmd.Wait())
		require.Equal(t, command.CodeInterrupted, cmd.ProcessState.ExitCode())
		require.True(t, echoes(t, tty))
		require.NoDirExists(t, out)
		require.Eventually(t, func() bool { return strings.Contains(screen.String(), "interrupted, nothing was written") },
			10*time.Second, 10*time.Millisecond)
	})
	t.Run("the header of one node is not asked about: what it is held against must be given", func(t *testing.T) {
		t.Setenv("XDG_STATE_HOME", t.TempDir())
		cmd, _, _, screen := startUntil(t, "nobody to contradict it", "--node", url, "--out", t.TempDir())
		require.Error(t, cmd.Wait())
		require.Equal(t, codeTrust, cmd.ProcessState.ExitCode())
		require.NotContains(t, screen.String(), "[yes/no]")
		require.NotContains(t, screen.String(), "Mnemonic")
	})
	t.Run("the header is trusted only after a yes", func(t *testing.T) {
		t.Setenv("XDG_STATE_HOME", t.TempDir())
		nodes := []string{"coverage", "--node", twoNodes(url)}
		cmd, keyboard, _, screen := startUntil(t, "[yes/no]", nodes...)
		_, err := io.WriteString(keyboard, "no\n")
		require.NoError(t, err)
		require.Error(t, cmd.Wait())
		require.Equal(t, codeTrust, cmd.ProcessState.ExitCode())
		require.Contains(t, screen.String(), "independent of these nodes")

		cmd, keyboard, _, _ = startUntil(t, "[yes/no]", nodes...)
		_, err = io.WriteString(keyboard, "yes\n")
		require.NoError(t, err)
		require.Error(t, cmd.Wait())
		require.Equal(t, codeNoBackup, cmd.ProcessState.ExitCode(), "two of three have not published")
	})
	t.Run("a mnemonic in the place of a yes is named, and the header is asked about again", func(t *testing.T) {
		t.Setenv("XDG_STATE_HOME", t.TempDir())
		out := filepath.Join(t.TempDir(), "keyshares")
		cmd, keyboard, _, screen := startUntil(t, "[yes/no]", "--node", twoNodes(url), "--out", out)
		shows := func(text string) {
			t.Helper()
			require.Eventually(t, func() bool { return strings.Contains(screen.String(), text) }, 30*time.Second, 10*time.Millisecond)
		}
		_, err := io.WriteString(keyboard, strings.ReplaceAll(mnemonics[0], " ", "\r")+"\r")
		require.NoError(t, err)
		shows("scrollback")
		shows("[yes/no] (it is not shown)")
		_, err = io.WriteString(keyboard, "yes\r")
		require.NoError(t, err)
		shows("Mnemonic of the signer")
		_, err = io.WriteString(keyboard, mnemonics[1]+"\r")
		require.NoError(t, err)
		require.Error(t, cmd.Wait())
		for _, words := range mnemonics[:2] {
			for _, word := range strings.Fields(words) {
				require.NotContains(t, screen.String(), word)
			}
		}
	})
	t.Run("a wrong mnemonic is asked for again, three times, and the header is asked about once", func(t *testing.T) {
		t.Setenv("XDG_STATE_HOME", t.TempDir())
		for _, last := range []string{mnemonics[0], mnemonics[0] + " zoo"} {
			out := filepath.Join(t.TempDir(), "keyshares")
			cmd, keyboard, _, screen := startUntil(t, "[yes/no]", "--node", twoNodes(url), "--out", out, "--trusting-period", "167h")
			for i, text := range []string{"yes", "december december\r", strings.Replace(mnemonics[0], "marble", "marbel", 1), last} {
				want := []string{"[yes/no]", "it is not shown", "asking again, 2 of 3", "asking again, 3 of 3"}[i]
				require.Eventually(t, func() bool {
					at := strings.LastIndex(screen.String(), want)
					return at >= 0 && (i < 2 || strings.Contains(screen.String()[at:], "it is not shown"))
				}, 30*time.Second, 10*time.Millisecond, want)
				_, err := io.WriteString(keyboard, text+"\r")
				require.NoError(t, err)
			}
			err := cmd.Wait()
			require.Equal(t, last == mnemonics[0], err == nil)
			if err != nil {
				require.Equal(t, codeMnemonic, cmd.ProcessState.ExitCode())
			}
			require.LessOrEqual(t, strings.Count(screen.String(), "[yes/no]"), 1)
			_ = os.RemoveAll(os.Getenv("XDG_STATE_HOME"))
		}
	})
}

func TestRebuildAtATerminal(t *testing.T) {
	m := makeMembers(t)
	v := m.vaults["active"]
	shares := m.dealt("active").Public
	record := m.record("active")
	var proofs []types.Proof
	for i, key := range m.keys {
		recipient, err := m.recipient(i)
		require.NoError(t, err)
		st, ok := shares.Statement("fake-1", record.Epoch, v.Keys.Secp256k1, v.Keys.Ed25519, types.SignerAddress(key), recipient.Public())
		require.True(t, ok)
		proof, err := verenc.Prove(recipient, st, m.dealt("active").Shares(key))
		require.NoError(t, err)
		stored, err := verenc.Verify(st, proof)
		require.NoError(t, err)
		proofs = append(proofs, types.Proof{Recipient: types.Recipient{Key: recipient.Public()}, Stored: stored.Bytes(), Height: 1})
	}
	saved, err := recordOf(record, "cosmos", shares, proofs)
	require.NoError(t, err)
	data, err := json.Marshal(saved)
	require.NoError(t, err)
	state := filepath.Join(t.TempDir(), "state.json")
	require.NoError(t, os.WriteFile(state, data, 0o600))

	// shows waits for a text on the screen, which is there after what was typed.
	shows := func(screen *output, text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(screen.String(), text) }, 30*time.Second, 10*time.Millisecond)
	}
	typed := func(keyboard io.Writer, text string) {
		_, err := io.WriteString(keyboard, text+"\n")
		require.NoError(t, err)
	}
	start := func(t *testing.T) (cmd *exec.Cmd, out string, keyboard *os.File, screen *output) {
		out = filepath.Join(t.TempDir(), "keys", "vault.json")
		cmd, keyboard, _, screen = startUntil(t, "Type the first 8 digits", "rebuild", "--vault", v.Name(), "--state", state, "--out", out)
		return cmd, out, keyboard, screen
	}
	t.Run("it asks for the vault, then for as many mnemonics as are needed", func(t *testing.T) {
		cmd, out, keyboard, screen := start(t)
		typed(keyboard, v.Name()[:8])
		shows(screen, "Mnemonic 1, 2 more are needed")
		typed(keyboard, mnemonics[2])
		shows(screen, "Mnemonic 2, 1 more are needed")
		typed(keyboard, "these are no words\n")
		shows(screen, "warning: wrong mnemonic")
		typed(keyboard, mnemonics[0])
		require.NoError(t, cmd.Wait())
		shows(screen, "the private keys of the vault are in")
		file, err := os.ReadFile(out)
		require.NoError(t, err)
		require.Contains(t, string(file), hex.EncodeToString(v.Secp256k1.Serialize()))
		require.NotContains(t, screen.String(), hex.EncodeToString(v.Secp256k1.Serialize()))
		for _, word := range append(strings.Fields(mnemonics[0]), strings.Fields(mnemonics[2])...) {
			require.NotContains(t, screen.String(), word)
		}
	})
	t.Run("an empty line ends it", func(t *testing.T) {
		cmd, out, keyboard, screen := start(t)
		typed(keyboard, v.Name()[:8])
		shows(screen, "Mnemonic 1, 2 more are needed")
		typed(keyboard, "")
		require.Error(t, cmd.Wait())
		require.Equal(t, codeTooFew, cmd.ProcessState.ExitCode())
		require.NoDirExists(t, filepath.Dir(out))
	})
	t.Run("anything else than the vault ends it", func(t *testing.T) {
		cmd, out, keyboard, screen := start(t)
		typed(keyboard, "yes")
		require.Error(t, cmd.Wait())
		require.Equal(t, codeOther, cmd.ProcessState.ExitCode())
		shows(screen, "nothing was done")
		require.NoDirExists(t, filepath.Dir(out))
	})
	t.Run("an interruption writes nothing", func(t *testing.T) {
		cmd, out, keyboard, screen := start(t)
		typed(keyboard, v.Name()[:8])
		shows(screen, "Mnemonic 1, 2 more are needed")
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		require.Error(t, cmd.Wait())
		require.Equal(t, command.CodeInterrupted, cmd.ProcessState.ExitCode())
		require.NoDirExists(t, filepath.Dir(out))
	})
}
