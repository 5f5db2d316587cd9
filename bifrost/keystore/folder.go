package keystore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/internal/durable"
)

const (
	// stagePrefix begins the name of the folder in which a save gathers its files; commitPrefix
	// that of the same folder once the save has happened.
	stagePrefix  = ".stage-"
	commitPrefix = ".commit-"

	// maxFileSize bounds what Load reads. The keyshare of a vault of a hundred members is half a
	// megabyte.
	maxFileSize = 64 << 20
)

// A Folder holds files as they are: where an operator wants keyshares for something else than a
// home. Its methods may be called at the same time, by several processes too.
type Folder struct {
	dir string
}

// OpenFolder returns the folder, which need not exist yet. It finishes, or removes, a save in which
// a process died.
func OpenFolder(dir string) (*Folder, error) {
	s := &Folder{dir: dir}
	if err := s.recover(); err != nil {
		return nil, err
	}
	return s, nil
}

// Save keeps all of these files or none. A file that is there already with equal contents is kept
// as it is; if any is there with other contents the error wraps [durable.ErrDifferent] and nothing
// is written.
func (s *Folder) Save(files []envelope.File) error {
	if len(files) == 0 {
		return errors.New("no files to save")
	}
	names := map[string]bool{}
	for _, f := range files {
		if err := checkName(f.Name); err != nil {
			return err
		}
		if names[f.Name] {
			return fmt.Errorf("two files named %s", f.Name)
		}
		names[f.Name] = true
	}

	folder, err := durable.Make(s.dir)
	if err != nil {
		return err
	}
	if err := s.save(folder, files); err != nil {
		folder.Abandon()
		return err
	}
	folder.Unlock()
	return nil
}

func (s *Folder) save(folder *durable.Folder, files []envelope.File) error {
	if err := s.recoverFolder(folder); err != nil {
		return err
	}
	var missing []envelope.File
	for _, f := range files {
		same, err := folder.Has(f.Name, f.Data)
		if err != nil {
			return err
		}
		if !same {
			missing = append(missing, f)
		}
	}
	if len(missing) == 0 {
		return folder.Sync()
	}

	suffix := rand.Text()
	stage, commit := stagePrefix+suffix, commitPrefix+suffix
	if err := fillStage(folder, stage, missing); err != nil {
		return errors.Join(err, folder.RemoveAll(stage))
	}
	// From here the save has happened, whatever becomes of this process.
	if err := folder.Rename(stage, commit); err != nil {
		return errors.Join(err, folder.RemoveAll(stage))
	}
	err := folder.Sync()
	if err == nil {
		var moved []string
		if moved, err = s.finish(folder, commit); err != nil {
			// Without hard links they are no longer where undo looks.
			for _, name := range moved {
				err = errors.Join(err, folder.Rename(name, filepath.Join(commit, name)))
			}
		}
	}
	if err != nil {
		return errors.Join(err, s.undo(folder, stage, commit))
	}
	return nil
}

// undo takes a save back that happened but could not be finished: first the act itself, so that a
// crash in the middle of it leaves either everything to be finished or nothing.
func (s *Folder) undo(folder *durable.Folder, stage, commit string) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, commit))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if folder.Same(e.Name(), filepath.Join(commit, e.Name())) {
			if err := folder.Remove(e.Name()); err != nil {
				return err
			}
		}
	}
	if err := folder.Rename(commit, stage); err != nil {
		return err
	}
	return folder.RemoveAll(stage)
}

func fillStage(folder *durable.Folder, stage string, files []envelope.File) error {
	if err := folder.Mkdir(stage); err != nil {
		return err
	}
	for _, f := range files {
		if err := folder.Create(filepath.Join(stage, f.Name), f.Data); err != nil {
			return err
		}
	}
	return folder.SyncSub(stage)
}

// finish gives the files of a committed save their places and removes the folder they were gathered
// in. After an error it tells which files are moved out of that folder by now.
func (s *Folder) finish(folder *durable.Folder, commit string) (moved []string, err error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, commit))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		from := filepath.Join(commit, e.Name())
		gone, err := folder.Link(from, e.Name())
		if gone {
			moved = append(moved, e.Name())
		}
		if err != nil {
			if !errors.Is(err, fs.ErrExist) {
				return moved, err
			}
			data, err := os.ReadFile(filepath.Join(s.dir, from))
			if err != nil {
				return moved, err
			}
			if _, err := folder.Has(e.Name(), data); err != nil {
				return moved, err
			}
		}
	}
	if err := folder.Sync(); err != nil {
		return moved, err
	}
	// The files are in place; should the folder outlive this, the next one finishes again, which
	// changes nothing.
	_ = folder.RemoveAll(commit)
	return nil, nil
}

// recoverFolder brings a folder to order in which a process may have died: a committed save is
// finished, what never was committed goes.
func (s *Folder) recoverFolder(folder *durable.Folder) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch {
		case !e.IsDir():
		case strings.HasPrefix(e.Name(), stagePrefix):
			err = folder.RemoveAll(e.Name())
		case strings.HasPrefix(e.Name(), commitPrefix):
			_, err = s.finish(folder, e.Name())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Load returns the contents of one file. The error of a file that is not there wraps
// [fs.ErrNotExist].
func (s *Folder) Load(name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := s.recover(); err != nil {
		return nil, err
	}
	return durable.Read(filepath.Join(s.dir, name), maxFileSize)
}

// List returns the names of the files, sorted. A folder that does not exist holds none.
func (s *Folder) List() ([]string, error) {
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

// recover looks before it locks, so that reading from a folder that is in order changes nothing and
// waits for nobody.
func (s *Folder) recover() error {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), commitPrefix) || strings.HasPrefix(e.Name(), stagePrefix) {
			folder, err := durable.Lock(s.dir)
			if err != nil {
				return err
			}
			defer folder.Unlock()
			return s.recoverFolder(folder)
		}
	}
	return nil
}

// checkName admits plain file names: letters, digits, '.', '-', '_', not hidden.
func checkName(name string) error {
	if name == "" || len(name) > 200 || name[0] == '.' {
		return fmt.Errorf("%q is not the name of a keyshare file", name)
	}
	for _, c := range []byte(name) {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' ||
			c == '-' ||
			c == '_'
		if !ok {
			return fmt.Errorf("%q is not the name of a keyshare file", name)
		}
	}
	return nil
}

// Flat is a [Folder] that tells no epochs apart, for whoever works with those of a [Store]: the
// files of a vault's epochs have the same names, and only one epoch's can be in it.
type Flat struct{ *Folder }

// Save is [Folder.Save].
func (f Flat) Save(_ uint64, files []envelope.File) error { return f.Folder.Save(files) }

// Load is [Folder.Load].
func (f Flat) Load(_ uint64, name string) ([]byte, error) { return f.Folder.Load(name) }

// List is [Folder.List].
func (f Flat) List(uint64) ([]string, error) { return f.Folder.List() }
