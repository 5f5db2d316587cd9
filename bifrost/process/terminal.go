package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// ErrNoTerminal means that there is nobody to ask: standard input is no terminal.
var ErrNoTerminal = errors.New("standard input is not a terminal")

// How long nothing comes from the terminal when what was pasted is over. Over ssh and serial lines
// it comes in pieces.
const (
	// quietLine is the time after a line end: what was pasted goes on in the same breath.
	quietLine = 300 * time.Millisecond
	// quietTyped is the time after the last key; quietCut that after a piece of something that was
	// pasted and is not complete, quietMost the longest, also when pieces came as slowly as that.
	quietTyped = time.Second
	quietCut   = 2 * time.Second
	quietMost  = 5 * time.Second
	// drainMost bounds the waiting for a terminal that never ends to send.
	drainMost = 30 * time.Second
)

const (
	pasteOn  = "\x1b[?2004h"
	pasteOff = "\x1b[?2004l"
	// shown is the length of the longest answer that is shown: of a mnemonic nothing stays.
	shown = 8
)

// A Terminal is where the person at standard input is asked. From the first question to
// [Terminal.Close] the terminal belongs to this process: it does not echo, and whatever it sends
// is read. So what was pasted in many lines, or comes in pieces with pauses between, is never left
// for the shell behind this process, and never on the screen. What nobody asked for is dropped.
type Terminal struct {
	in  *os.File
	out io.Writer

	mu     sync.Mutex
	before *unix.Termios // nil unless the terminal is ours
	paste  bool          // the terminal was told to mark what is pasted
	keys   keys
	// pending is the text that came and was not asked for yet.
	pending []byte
	ended   error
	// last is when the last bytes came; gap is the longest time between two pieces of something
	// that was pasted; cut says that the last question ended before what was pasted did.
	last time.Time
	gap  time.Duration
	cut  bool
	came chan struct{}
}

// NewTerminal returns a terminal that is left as it is until something is asked. Questions go to
// out.
func NewTerminal(in *os.File, out io.Writer) *Terminal {
	return &Terminal{in: in, out: out, came: make(chan struct{}, 1)}
}

// Is reports whether there is somebody to ask.
func (t *Terminal) Is() bool { return t.in != nil && term.IsTerminal(int(t.in.Fd())) }

// take makes the terminal ours, and drops what was typed before anything was asked.
func (t *Terminal) take() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.before != nil {
		return nil
	}
	if t.in == nil {
		return ErrNoTerminal
	}
	fd := int(t.in.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return ErrNoTerminal
	}
	ours := *before
	// Ctrl-C stays a signal. Lines are put together here: in the terminal's own, CR and LF cannot
	// be told apart, and what has no line end yet cannot be seen.
	ours.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.IEXTEN
	ours.Iflag &^= unix.ICRNL | unix.INLCR | unix.IGNCR
	ours.Cc[unix.VMIN], ours.Cc[unix.VTIME] = 1, 0
	for _, key := range stopKeys {
		ours.Cc[key] = disabledChar
	}
	if err := unix.IoctlSetTermios(fd, setAndFlush, &ours); err != nil {
		return fmt.Errorf("turning the echo off: %w", err)
	}
	t.before = before
	if out, ok := t.out.(*os.File); ok && term.IsTerminal(int(out.Fd())) && marksPaste() {
		t.paste = true
		fmt.Fprint(t.out, pasteOn)
	}
	go t.read(fd)
	return nil
}

// marksPaste reports whether the terminal can be told to mark what is pasted, or ignores it.
func marksPaste() bool {
	name := os.Getenv("TERM")
	return name != "" && name != "dumb"
}

// read reads whatever the terminal sends, until the process ends.
func (t *Terminal) read(fd int) {
	buf := make([]byte, 512)
	for {
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		t.mu.Lock()
		if err != nil || n <= 0 {
			t.ended = io.EOF
		} else {
			now := time.Now()
			// A single key is a person's, who may take any time.
			if between := now.Sub(t.last); n > 1 && between < quietMost && between > t.gap {
				t.gap = between
			}
			t.last = now
			if n > 1 {
				t.cut = true
			}
			before := len(t.pending)
			t.pending = t.keys.decode(t.pending, buf[:n])
			if len(t.pending) > 2*maxSecret { // nobody asked for so much
				clear(t.pending[before:])
				t.pending = t.pending[:before]
			}
			clear(buf[:n])
		}
		ended := t.ended
		t.mu.Unlock()
		select {
		case t.came <- struct{}{}:
		default:
		}
		if ended != nil {
			return
		}
	}
}

// next returns the text that came, after waiting for it no longer than wait, when that is not 0.
// Nothing came when it is empty.
func (t *Terminal) next(ctx context.Context, wait time.Duration) ([]byte, error) {
	var late <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		late = timer.C
	}
	for {
		t.mu.Lock()
		text, ended, pasting := t.pending, t.ended, t.keys.pasting
		t.pending = nil
		t.mu.Unlock()
		if len(text) > 0 {
			return text, nil
		}
		if ended != nil {
			return nil, ended
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t.came:
		case <-late:
			if !pasting {
				return nil, nil
			}
			// Its end is still to come, unless that was lost.
			late = time.After(quietMost)
			t.mu.Lock()
			t.keys.pasting = false
			t.mu.Unlock()
		}
	}
}

// unread gives text back that came after the end of an answer.
func (t *Terminal) unread(text []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending = append(text, t.pending...)
}

// complete says that an answer was whole: what comes after it is not its rest.
func (t *Terminal) complete() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut = false
}

// quiet is how long nothing may come for what was pasted to be over.
func (t *Terminal) quiet() time.Duration {
	switch {
	case t.keys.pasting:
		return quietMost
	case t.cut:
		return min(max(quietCut, 2*t.gap), quietMost)
	default:
		return quietTyped
	}
}

// Settle waits until what is being pasted is over, and drops it, so that it answers no question
// that is yet to be asked.
func (t *Terminal) Settle(ctx context.Context) {
	end := time.Now().Add(drainMost)
	for {
		t.mu.Lock()
		clear(t.pending)
		t.pending = nil
		left := t.quiet() - time.Since(t.last)
		over := t.before == nil || t.ended != nil || left <= 0
		t.mu.Unlock()
		if over || ctx.Err() != nil || time.Now().After(end) {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
		case <-t.came:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func unprintable(r rune) bool { return r <= ' ' || r >= keyDelete }

// lull waits until nothing comes for a moment, and drops the line ends that what was answered
// before ended with.
func (t *Terminal) lull(ctx context.Context) {
	for ctx.Err() == nil {
		t.mu.Lock()
		left := quietLine - time.Since(t.last)
		if left <= 0 {
			t.pending = bytes.TrimLeft(t.pending, "\n")
		}
		t.mu.Unlock()
		if left <= 0 {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(left):
		}
	}
}

// Close waits until what is being pasted is over, drops it, and gives the terminal back as it was.
// Nothing may be asked after it.
func (t *Terminal) Close() {
	t.mu.Lock()
	// What began to come a moment ago may not have been read yet.
	if moment := time.Now().Add(quietLine - quietTyped); t.last.Before(moment) {
		t.last = moment
	}
	t.mu.Unlock()
	t.Settle(context.Background())
	t.Restore()
}

// Restore gives the terminal back at once. It is for a process that cannot wait.
func (t *Terminal) Restore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.before == nil {
		return
	}
	if t.paste {
		fmt.Fprint(t.out, pasteOff)
	}
	// It drops what came in this moment.
	_ = unix.IoctlSetTermios(int(t.in.Fd()), setAndFlush, t.before)
	t.before = nil
}

// Answer asks for a line of a few characters, which the terminal shows unless it is hidden. What
// comes in the same breath belongs to it, further lines as well, so that the caller sees when
// something else was pasted than an answer, and of that the terminal shows nothing. The caller
// wipes it. The error of Ctrl-D alone is [io.EOF].
func (t *Terminal) Answer(ctx context.Context, prompt string, hidden bool) ([]byte, error) {
	if err := t.take(); err != nil {
		return nil, err
	}
	fmt.Fprint(t.out, prompt)
	defer fmt.Fprintln(t.out)
	line := make([]byte, 0, maxSecret)
	onScreen, wait := 0, time.Duration(0)
	for {
		text, err := t.next(ctx, wait)
		if err == nil && len(text) == 0 || errors.Is(err, io.EOF) && len(line) > 0 {
			t.complete()
			return line, nil
		}
		if err != nil {
			clear(line)
			return nil, err
		}
		for i, b := range text {
			switch {
			case b == keyEnd && len(line) == 0:
				t.unread(text[i+1:])
				return nil, io.EOF
			case b == keyEnd:
				wait = quietLine
			case b == keyLineEnd:
				wait = quietLine
				line = append(line, ' ')
			case len(line) < maxSecret || editing(b):
				line = edit(line, b)
			}
		}
		clear(text)
		if hidden || wait > 0 {
			continue
		}
		visible := line
		if len(line) > shown || bytes.ContainsFunc(line, unprintable) {
			visible = nil // no answer
		}
		for ; onScreen > len(visible); onScreen-- {
			fmt.Fprint(t.out, "\b \b")
		}
		_, _ = t.out.Write(visible[onScreen:])
		onScreen = len(visible)
	}
}
