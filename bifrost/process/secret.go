package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

const (
	// maxSecret bounds what is read; 24 words have less than 300 bytes.
	maxSecret = 4096
	// allWords is the number of words after which no more are waited for.
	allWords = 24
)

// A Secret is where a mnemonic is read from: a file, "-" for standard input, or, with an empty
// path, a prompt on the terminal that does not echo. Standard input that is a terminal is asked as
// well.
type Secret struct {
	Path string
	// Prompt is what the person at the terminal is asked.
	Prompt   string
	Terminal *Terminal
}

// Asks reports whether the secret comes from a person at the terminal.
func (s Secret) Asks() bool { return s.Path == "" || s.Path == "-" && s.Terminal.Is() }

// Read returns the secret as it was found or typed, without the line end that a terminal adds. The
// caller wipes it. For a file that others may read, warning says so. Read returns when ctx ends.
//
// The terminal is read until there are 24 words, in however many lines, an empty line or Ctrl-D;
// for Ctrl-D alone the error is [io.EOF].
func (s Secret) Read(ctx context.Context) (secret []byte, warning string, err error) {
	if s.Asks() {
		secret, err = s.Terminal.words(ctx, s.Prompt)
		return secret, "", err
	}
	if s.Path == "-" {
		secret, err = readBounded(s.Terminal.in)
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
		warning = fmt.Sprintf("%s may be read by others (mode %04o): %s",
			s.Path, info.Mode().Perm(), PrivateAdvice)
	}
	if secret, err = readBounded(f); err != nil {
		return nil, warning, fmt.Errorf("%s: %w", s.Path, err)
	}
	return secret, warning, nil
}

// PrivateAdvice says how a secret is to be handed over.
const PrivateAdvice = "give it mode 0600, or 0440 and a group of this process alone (fsGroup, of a " +
	"Kubernetes Secret); or hand it over with --mnemonic-file -, or as the file mnemonic in " +
	"$CREDENTIALS_DIRECTORY"

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

// words asks for a mnemonic.
func (t *Terminal) words(ctx context.Context, prompt string) (secret []byte, err error) {
	if err := t.take(); err != nil {
		return nil, err
	}
	t.lull(ctx)
	fmt.Fprint(t.out, prompt)
	defer fmt.Fprintln(t.out)
	buf := make([]byte, 0, maxSecret)
	defer func() {
		if err != nil {
			clear(buf)
		}
	}()
	e := entry{text: buf}
	for {
		text, err := t.next(ctx, e.wait)
		switch {
		case errors.Is(err, io.EOF) && len(e.text) > 0:
			return e.text, nil
		case err != nil:
			return nil, err
		case len(text) == 0 && e.ends:
			if e.count() >= allWords {
				t.complete()
			}
			return bytes.TrimRight(e.text, "\n"), nil
		case len(text) == 0:
			fmt.Fprintf(t.out, "\n%d words so far: go on, or press Enter once more if that is all: ", e.count())
			e.wait = 0
			continue
		}
		done, rest, err := e.add(text)
		if done {
			t.unread(bytes.Clone(rest))
		}
		clear(text)
		switch {
		case err != nil:
			return nil, err
		case done:
			t.complete()
			return bytes.TrimRight(e.text, "\n"), nil
		}
	}
}

// An entry is a mnemonic that is being typed or pasted.
type entry struct {
	text []byte
	// wait is how long to wait for more until the entry ends, or until the person is told how it
	// does; ends says which.
	wait time.Duration
	ends bool
}

// add takes text from the terminal, until the entry is complete; what is left belongs to whatever
// comes next.
func (e *entry) add(text []byte) (done bool, rest []byte, err error) {
	e.wait, e.ends = 0, false
	for i, b := range text {
		empty := len(e.text) == 0 || e.text[len(e.text)-1] == keyLineEnd
		switch {
		case b == keyEnd && len(e.text) == 0:
			return false, nil, io.EOF
		case b == keyEnd:
			return true, text[i+1:], nil
		case b == keyLineEnd && len(e.text) == 0:
			// It may begin what is pasted.
			e.wait, e.ends = quietTyped, true
			continue
		case b == keyLineEnd && empty:
			e.wait, e.ends = quietLine, true
			continue
		case len(e.text) == maxSecret && !editing(b):
			return false, nil, fmt.Errorf("more than %d bytes, which is no mnemonic", maxSecret)
		}
		e.text = edit(e.text, b)
		e.wait, e.ends = 0, false
		if b != keyLineEnd {
			continue
		}
		// Words that are wrong may be more than they should be.
		e.wait, e.ends = quietTyped, e.count() >= allWords
		if e.whole() {
			return true, text[i+1:], nil
		}
	}
	return false, nil, nil
}

// whole reports whether these are 24 words with their checksum.
func (e *entry) whole() bool {
	m, err := sanity.ParseMnemonic(e.text)
	if err != nil {
		return false
	}
	defer m.Wipe()
	return m.Words() == allWords
}

// count is how many words there are, in whatever form they are written.
func (e *entry) count() int {
	return len(bytes.FieldsFunc(e.text, func(r rune) bool {
		return r < 0x80 && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}))
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
