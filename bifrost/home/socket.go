package home

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// maxSocket is how long the path of a socket may be; some systems know no more. Where the path of a
// home leaves too little, Linux reaches the socket from the folder.
const maxSocket = 103

// SocketPath is where a running bifrost listens.
func SocketPath(home string) string { return filepath.Join(home, "bifrost.sock") }

// ListenSocket listens on the socket of a home, for the owner alone. Whoever does so has the lock
// of the home: a socket that is there already is a dead one's.
func ListenSocket(home string) (net.Listener, error) {
	if err := durable.Remove(SocketPath(home)); err != nil {
		return nil, err
	}
	return listen(SocketPath(home))
}

// DialSocket connects to the bifrost that runs in a home.
func DialSocket(ctx context.Context, home string) (net.Conn, error) {
	short, done, err := reach(SocketPath(home))
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: err}
	}
	defer done()
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return dialer.DialContext(ctx, "unix", short)
}

// TrySocket finds out if a socket can be in a home.
func TrySocket(home string) error {
	l, err := listen(filepath.Join(home, ".try.sock"))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil // another process tries
	}
	if err != nil {
		return fmt.Errorf("bifrost could not be asked for its status, or to sign: %w", err)
	}
	return l.Close()
}

func listen(path string) (net.Listener, error) {
	short, done, err := reach(path)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", short)
	if err != nil {
		done()
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	// The home has mode 0700, so nobody else was there in between.
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		done()
		return nil, err
	}
	return &listener{l, done}, nil
}

// A listener keeps the way to its socket, which it removes at the end.
type listener struct {
	net.Listener
	done func()
}

func (l *listener) Close() error {
	defer l.done()
	return l.Listener.Close()
}

// reach returns a path to a socket that is short enough, until done.
func reach(path string) (short string, done func(), err error) {
	if len(path) <= maxSocket {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, fmt.Errorf(
			"%s has %d bytes, and the path of a socket %d at most: choose a home with a shorter path",
			path, len(path), maxSocket,
		)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	short = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	if _, err := os.Stat(filepath.Dir(short)); err != nil {
		_ = dir.Close()
		return "", nil, fmt.Errorf(
			"%s has %d bytes, the path of a socket %d at most without /proc: choose a home with a "+
				"shorter path",
			path, len(path), maxSocket,
		)
	}
	return short, func() { _ = dir.Close() }, nil
}
