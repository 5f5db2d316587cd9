package keystore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

const (
	// stagePrefix begins the name of the folder in which a save gathers its files; commitPrefix that of the same folder once
	// the save has happened.
	stagePrefix  = ".stage-"
	commitPrefix = ".commit-"

	// maxFileSize bounds what Load reads. The keyshare of a vault of a hundred members is half a megabyte.
	maxFileSize = 64 << 20
)

// A Store is a folder of keyshare files. It keeps no state of its own: several processes may use one folder.
type Store struct {
	dir string
}

// NewStore returns the store in this folder, which need not exist yet.
func NewStore(dir string) *Store {
	return &Store{dir: dir}
}

// Save keeps all of these files, given by name, or none. A file that is there already with equal contents is kept as it is; if
// any is there with other contents the error wraps [ErrDifferent] and nothing is written.
func (s *Store) Save(files map[string][]byte) error {
	if len(files) == 0 {
		return errors.New("no files to save")
	}
	names := make([]string, 0, len(files))
	for name := range files {
		if err := checkName(name); err != nil {
			return err
		}
		names = append(names, name)
	}
	sort.Strings(names)

	folder, err := lockFolder(s.dir)
	if err != nil {
		return err
	}
	err = s.save(names, files)
	folder.unlock(err != nil)
	return err
}

func (s *Store) save(names []string, files map[string][]byte) error {
	if err := recoverFolder(s.dir); err != nil {
		return err
	}
	missing := names[:0:0]
	for _, name := range names {
		same, err := compare(filepath.Join(s.dir, name), files[name])
		if err != nil {
			return err
		}
		if !same {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return syncDir(s.dir)
	}

	suffix := randomSuffix()
	stage := filepath.Join(s.dir, stagePrefix+suffix)
	commit := filepath.Join(s.dir, commitPrefix+suffix)
	if err := fillStage(stage, missing, files); err != nil {
		return errors.Join(err, removeAll(stage))
	}
	// From here the save has happened, whatever becomes of this process.
	if err := rename(stage, commit); err != nil {
		return errors.Join(err, removeAll(stage))
	}
	err := syncDir(s.dir)
	if err == nil {
		err = finish(s.dir, commit)
	}
	if err != nil {
		return errors.Join(err, s.undo(stage, commit))
	}
	return nil
}

// undo takes a save back that happened but could not be finished: first the act itself, so that a crash in the middle of it
// leaves either everything to be finished or nothing.
func (s *Store) undo(stage, commit string) error {
	entries, err := os.ReadDir(commit)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(s.dir, e.Name())
		if sameFile(path, filepath.Join(commit, e.Name())) {
			if err := remove(path); err != nil {
				return err
			}
		}
	}
	if err := rename(commit, stage); err != nil {
		return err
	}
	return removeAll(stage)
}

func fillStage(stage string, names []string, files map[string][]byte) error {
	if err := mkdir(stage); err != nil {
		return err
	}
	for _, name := range names {
		if err := create(filepath.Join(stage, name), files[name]); err != nil {
			return err
		}
	}
	return syncDir(stage)
}

// finish gives the files of a committed save their places and removes the folder they were gathered in.
func finish(dir, commit string) error {
	entries, err := os.ReadDir(commit)
	if err != nil {
		return err
	}
	for _, e := range entries {
		from, to := filepath.Join(commit, e.Name()), filepath.Join(dir, e.Name())
		if err := link(from, to); err != nil {
			if !errors.Is(err, fs.ErrExist) {
				return err
			}
			data, err := os.ReadFile(from)
			if err != nil {
				return err
			}
			if _, err := compare(to, data); err != nil {
				return err
			}
		}
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	// The files are in place; should the folder outlive this, the next one finishes again, which changes nothing.
	_ = removeAll(commit)
	return nil
}

// recoverFolder brings a folder to order in which a process may have died: a committed save is finished, what never
// was committed goes.
func recoverFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case !e.IsDir():
		case strings.HasPrefix(e.Name(), stagePrefix):
			err = removeAll(path)
		case strings.HasPrefix(e.Name(), commitPrefix):
			err = finish(dir, path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Load returns the contents of one file. The error of a file that is not there wraps [fs.ErrNotExist].
func (s *Store) Load(name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := s.recover(); err != nil {
		return nil, err
	}
	f, err := openFile(filepath.Join(s.dir, name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxFileSize)
	}
	return data, nil
}

// List returns the names of the files, sorted. A folder that does not exist holds none.
func (s *Store) List() ([]string, error) {
	if err := s.recover(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && checkName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// recover looks before it locks, so that reading from a folder that is in order changes nothing and waits for nobody.
func (s *Store) recover() error {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), commitPrefix) || strings.HasPrefix(e.Name(), stagePrefix) {
			folder, err := lockFolder(s.dir)
			if err != nil {
				return err
			}
			defer folder.unlock(false)
			return recoverFolder(s.dir)
		}
	}
	return nil
}

func sameFile(a, b string) bool {
	ai, err := os.Lstat(a)
	if err != nil {
		return false
	}
	bi, err := os.Lstat(b)
	return err == nil && os.SameFile(ai, bi)
}

// checkName admits plain file names: letters, digits, '.', '-', '_', not hidden.
func checkName(name string) error {
	if name == "" || len(name) > 200 || name[0] == '.' {
		return fmt.Errorf("%q is not the name of a keyshare file", name)
	}
	for _, c := range []byte(name) {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
		if !ok {
			return fmt.Errorf("%q is not the name of a keyshare file", name)
		}
	}
	return nil
}
