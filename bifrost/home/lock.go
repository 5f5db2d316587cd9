package home

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// ErrInUse means that another bifrost has this home.
var ErrInUse = errors.New("another bifrost uses this home")

// ErrRestoring means that a restore into this home has not ended: what it lacks nobody can tell.
var ErrRestoring = errors.New("a restore into this home has not ended: run it again")

// Lock takes the home for this process: whoever reads or writes its keyshares has it. The lock ends
// with the process. The error of a home that another one has wraps [ErrInUse], that of one into
// which a restore has not ended [ErrRestoring].
func Lock(home string) (unlock func(), err error) {
	unlock, err = LockRestoring(home)
	if err == nil && exists(RestoringPath(home)) {
		unlock()
		return nil, fmt.Errorf("%w: %s", ErrRestoring, home)
	}
	return unlock, err
}

// LockRestoring is [Lock] for the restore itself.
func LockRestoring(home string) (unlock func(), err error) {
	unlock, err = durable.TryLock(lockPath(home))
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("%w: %s", ErrInUse, home)
	}
	return unlock, err
}

// Of returns the home whose keyshares are in this folder, which need not exist yet. It returns ""
// when it is in none: a home has a configuration, or has had a bifrost.
func Of(keyshares string) string {
	dirs := []string{filepath.Clean(keyshares)}
	if real, err := filepath.EvalSymlinks(keyshares); err == nil {
		dirs = append(dirs, real)
	}
	for _, dir := range dirs {
		home := filepath.Dir(dir)
		if dir == KeysharesDir(home) && (exists(ConfigPath(home)) || exists(lockPath(home))) {
			return home
		}
	}
	return ""
}

func lockPath(home string) string { return filepath.Join(home, "lock") }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
