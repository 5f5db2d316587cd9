package durable

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrLocked means that another process, or another part of this one, holds the lock.
var ErrLocked = errors.New("the lock is held")

// TryLock takes the lock that a file stands for, and makes the file, with mode 0600, when it is
// missing. It waits for nobody: the error of a lock that is held wraps [ErrLocked]. The lock ends
// with unlock or with the process; the file stays.
func TryLock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, fileMode)
	if err != nil {
		return nil, err
	}
	if err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		switch {
		case errors.Is(err, syscall.EWOULDBLOCK):
			err = ErrLocked
		case noLocks(err):
			err = fmt.Errorf("%w (%w)", ErrNoLocks, err)
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { _ = f.Close() }, nil
}

// noLocks reports whether an error says that there are no locks, rather than that one is held.
func noLocks(err error) bool { return lacks(err) || errors.Is(err, syscall.ENOLCK) }

// systemFlock is another one in tests.
var systemFlock = syscall.Flock

func flock(f *os.File, how int) error {
	for {
		err := systemFlock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
