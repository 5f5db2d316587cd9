package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// asideDir is the folder, within that of the keyshares, of files that were set aside. asideTime
// ends their names, in UTC, so that one that is damaged twice is there twice.
const (
	asideDir  = "damaged"
	asideTime = "20060102T150405.000000000Z"
)

// SetAside moves a file that does not hold what it should out of the way of the right one, and
// returns where it is now. It is never deleted: it may be all that is left of a keyshare. The error
// of a file that is not there wraps [fs.ErrNotExist].
func (s *Store) SetAside(name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	folder, err := durable.Lock(s.dir)
	if err != nil {
		return "", err
	}
	defer folder.Unlock()
	if _, err := os.Lstat(filepath.Join(s.dir, name)); err != nil {
		return "", err
	}
	if err := folder.Mkdir(asideDir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	to := filepath.Join(asideDir, name+"."+time.Now().UTC().Format(asideTime))
	path := filepath.Join(s.dir, to)
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("%s: %w", path, durable.ErrDifferent)
	}
	if err := folder.Rename(name, to); err != nil {
		return "", err
	}
	return path, errors.Join(folder.SyncSub(asideDir), folder.Sync())
}

// Aside returns the paths of the files that were set aside, sorted by name. They are the
// operator's: nothing here reads or removes them.
func (s *Store) Aside() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, asideDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		paths = append(paths, filepath.Join(s.dir, asideDir, e.Name()))
	}
	return paths, nil
}
