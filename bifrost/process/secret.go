package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// maxSecret bounds what is read; 24 words have less than 300 bytes.
const maxSecret = 4096

// ErrNoTerminal means that there is nobody to ask: standard input is no terminal.
var ErrNoTerminal = errors.New("standard input is not a terminal")

// A Secret is where a secret is read from: a file, "-" for standard input, or, with an empty path,
// a prompt on the terminal that does not echo.
type Secret struct {
	Path string
	// Prompt is what the person at the terminal is asked.
	Prompt string
	Stdin  *os.File
	Stderr io.Writer
}

// Read returns the secret as it was found or typed, without the line end that a terminal adds. The
// caller wipes it. For a file that others may read, warning says so. Read returns when ctx ends and
// leaves the terminal echoing.
func (s Secret) Read(ctx context.Context) (secret []byte, warning string, err error) {
	switch s.Path {
	case "":
		secret, err = s.ask(ctx)
		return secret, "", err
	case "-":
		secret, err = readBounded(s.Stdin)
		if err != nil {
			err = fmt.Errorf("standard input: %w", err)
		}
		return secret, "", err
	}
	f, err := os.Open(s.Path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, "", err
	}
	if Exposed(s.Path, info) {
		warning = fmt.Sprintf(
			"%s may be read by others (mode %04o); it should have mode 0600",
			s.Path,
			info.Mode().Perm(),
		)
	}
	if secret, err = readBounded(f); err != nil {
		return nil, warning, fmt.Errorf("%s: %w", s.Path, err)
	}
	return secret, warning, nil
}

// Exposed reports whether others than its owner may read the file of a secret. The rule is
// [durable.Private]; but the credentials of systemd may belong to a group, which is that of an
// access list for the service alone.
func Exposed(path string, info fs.FileInfo) bool {
	if !info.Mode().IsRegular() || durable.Private(info) {
		return false
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	credential := dir != "" && filepath.Dir(path) == filepath.Clean(dir)
	return !credential || info.Mode().Perm()&0o007 != 0
}

// ask reads a line with the echo off. The read itself cannot be interrupted, so it is left behind
// when ctx ends.
func (s Secret) ask(ctx context.Context) (secret []byte, err error) {
	fd := int(s.Stdin.Fd())
	// The echo goes off before the prompt invites anything to be typed or pasted.
	restore, err := disableEcho(fd)
	if err != nil {
		return nil, ErrNoTerminal
	}
	defer func() { err = errors.Join(err, restore()) }()
	fmt.Fprint(s.Stderr, s.Prompt)
	defer fmt.Fprintln(s.Stderr)
	type line struct {
		text []byte
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		typed <- line{text, err}
	}()
	select {
	case l := <-typed:
		return l.text, l.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// readBounded reads to the end without leaving copies of what it read behind.
func readBounded(r io.Reader) ([]byte, error) {
	buf := make([]byte, maxSecret+1)
	n, err := io.ReadFull(r, buf)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return buf[:n], nil
	case err != nil:
		clear(buf)
		return nil, err
	default:
		clear(buf)
		return nil, fmt.Errorf("more than %d bytes, which is no mnemonic", maxSecret)
	}
}
