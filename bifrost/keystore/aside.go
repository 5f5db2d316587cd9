package keystore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// asideDir is the folder, within that of the keyshares, of files that were set aside. asideTime
// follows their names, in UTC, so that one that is damaged twice is there twice.
const (
	asideDir  = "damaged"
	asideTime = "20060102T150405.000000000Z"
)

// SetAside moves the file that Load finds for an epoch, and that does not hold what it should, out
// of the way of the right one, and returns where it is now. It is never deleted: it may be all that
// is left of a keyshare. The error of a file that is not there wraps [fs.ErrNotExist].
func (s *Store) SetAside(epoch uint64, name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from := filepath.Join(folderOf(epoch), name+sealedSuffix)
	_, err := os.Lstat(filepath.Join(s.dir, from))
	if errors.Is(err, fs.ErrNotExist) {
		from = filepath.Join(unplacedDir, name+sealedSuffix)
		_, err = os.Lstat(filepath.Join(s.dir, from))
	}
	if err != nil {
		return "", err
	}
	to := name + "." + time.Now().UTC().Format(asideTime) + sealedSuffix
	if err := s.move(from, asideDir, to); err != nil {
		return "", err
	}
	return filepath.Join(s.dir, asideDir, to), nil
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
		if e.Type().IsRegular() && e.Name()[0] != '.' {
			paths = append(paths, filepath.Join(s.dir, asideDir, e.Name()))
		}
	}
	return paths, nil
}
