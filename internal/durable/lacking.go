package durable

import (
	"errors"
	"sync"
	"syscall"
)

// ErrNoLinks means that a file system can give a file no name that is certain to replace nothing.
var ErrNoLinks = errors.New(
	"the file system has no hard links, and renames no file without replacing another: choose " +
		"another folder, such as /dev/shm",
)

// ErrNoLocks means that a file system has no locks, by which processes are kept apart.
var ErrNoLocks = errors.New(
	"the file system has no locks, which keep two processes apart: use a folder on another one (of " +
		"NFS, a mount with locks, or with local_lock=flock)",
)

// lacks reports whether an error says that a file system does not know an operation, rather than
// that it failed.
func lacks(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.ENOSYS, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.EINVAL,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// localLocks are those of folders whose file system has none, within this process.
var localLocks struct {
	sync.Mutex
	held map[string]*sync.Mutex
}

// lockLocally waits for the lock of a folder within this process.
func lockLocally(path string) *sync.Mutex {
	localLocks.Lock()
	if localLocks.held == nil {
		localLocks.held = map[string]*sync.Mutex{}
	}
	held := localLocks.held[path]
	if held == nil {
		held = new(sync.Mutex)
		localLocks.held[path] = held
	}
	localLocks.Unlock()
	held.Lock()
	return held
}
