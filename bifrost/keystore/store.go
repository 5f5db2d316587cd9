package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// Unplaced stands for the epoch of files that are saved before the chain says of which they are.
const Unplaced = 0

const (
	// unplacedDir is the folder of such files.
	unplacedDir = "unplaced"
	// sealedSuffix ends the names of sealed files.
	sealedSuffix = ".age"
)

// A Store keeps the keyshare files of a home, sealed. A process opens it once and hands it to
// whoever needs it; its methods may be called at the same time. Another process is kept away by the
// lock of the home.
type Store struct {
	dir  string
	keys *Keys

	mu sync.Mutex // held by whoever changes files
}

// Open returns the store in this folder, which need not exist yet.
func Open(dir string, keys *Keys) (*Store, error) {
	s := &Store{dir: dir, keys: keys}
	_, err := s.folders()
	return s, err
}

// folderOf is the name of the folder of an epoch.
func folderOf(epoch uint64) string {
	if epoch == Unplaced {
		return unplacedDir
	}
	return strconv.FormatUint(epoch, 10)
}

func (s *Store) folder(name string) *Folder {
	return &Folder{dir: filepath.Join(s.dir, name)}
}

// folders are the names of the folders that hold keyshares, the epochs first, by number.
func (s *Store) folders() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var epochs []uint64
	unplaced := false
	for _, e := range entries {
		epoch, err := strconv.ParseUint(e.Name(), 10, 64)
		switch {
		case !e.IsDir():
		case e.Name() == unplacedDir:
			unplaced = true
		case err == nil && epoch != Unplaced && folderOf(epoch) == e.Name():
			epochs = append(epochs, epoch)
		}
	}
	slices.Sort(epochs)
	var names []string
	for _, epoch := range epochs {
		names = append(names, folderOf(epoch))
	}
	if unplaced {
		names = append(names, unplacedDir)
	}
	return names, nil
}

// Save keeps all of these files or none, as those of an epoch, or of [Unplaced]. A file that is
// there already with equal contents is kept as it is; if any is there with other contents the error
// wraps [durable.ErrDifferent] and nothing is written; so is that of one that does not open.
func (s *Store) Save(epoch uint64, files []envelope.File) error {
	if len(files) == 0 {
		return errors.New("no files to save")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	folder := s.folder(folderOf(epoch))
	var missing []envelope.File
	names := map[string]bool{}
	for _, f := range files {
		if err := checkName(f.Name + sealedSuffix); err != nil {
			return err
		}
		if names[f.Name] {
			return fmt.Errorf("two files named %s", f.Name)
		}
		names[f.Name] = true
		same, err := s.has(folder, f)
		if err != nil {
			return err
		}
		if same {
			continue
		}
		sealed, err := s.keys.seal(f.Data, s.keys.all...)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		missing = append(missing, envelope.File{Name: f.Name + sealedSuffix, Data: sealed})
	}
	if len(missing) == 0 {
		return durable.SyncFolder(folder.dir)
	}
	return folder.Save(missing)
}

// Replace keeps these files as those of an epoch, in place of others of the same names: what an
// attempt at a reshare made before, and nobody can make valid any more. Each of them is whole at
// each moment, the old or the new one.
func (s *Store) Replace(epoch uint64, files []envelope.File) error {
	s.mu.Lock()
	folder := s.folder(folderOf(epoch))
	for _, f := range files {
		_, err := s.has(folder, f)
		if errors.Is(err, durable.ErrDifferent) {
			err = s.overwrite(folder, f)
		}
		if err != nil {
			s.mu.Unlock()
			return err
		}
	}
	s.mu.Unlock()
	return s.Save(epoch, files)
}

func (s *Store) overwrite(folder *Folder, f envelope.File) error {
	sealed, err := s.keys.seal(f.Data, s.keys.all...)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return durable.Replace(folder.path(f.Name), sealed)
}

// has reports whether a folder holds a file with these contents. It errs when it holds another.
func (s *Store) has(folder *Folder, f envelope.File) (bool, error) {
	there, err := s.open(folder, f.Name)
	defer sanity.Wipe(there)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.Is(err, ErrSealed), err == nil && !bytes.Equal(there, f.Data):
		return false, fmt.Errorf("%s: %w", folder.path(f.Name), durable.ErrDifferent)
	}
	return err == nil, err
}

// open returns what is in a file of a folder.
func (s *Store) open(folder *Folder, name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	sealed, err := folder.Load(name + sealedSuffix)
	if err != nil {
		return nil, err
	}
	plain, err := s.keys.Open(sealed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", folder.path(name), err)
	}
	return plain, nil
}

func (s *Folder) path(name string) string { return filepath.Join(s.dir, name+sealedSuffix) }

// Load returns the contents of a file of an epoch, or of one of this name that is unplaced; whether
// it is of the epoch its reader finds out. The caller wipes them. The error of a file that is not
// there wraps [fs.ErrNotExist], that of one that does not open [ErrSealed].
func (s *Store) Load(epoch uint64, name string) ([]byte, error) {
	data, err := s.open(s.folder(folderOf(epoch)), name)
	if errors.Is(err, fs.ErrNotExist) && epoch != Unplaced {
		if data, other := s.open(s.folder(unplacedDir), name); !errors.Is(other, fs.ErrNotExist) {
			return data, other
		}
	}
	return data, err
}

// List returns the names of the files that Load finds for an epoch, sorted.
func (s *Store) List(epoch uint64) ([]string, error) {
	var names []string
	for _, dir := range []string{folderOf(epoch), unplacedDir} {
		list, err := s.list(dir)
		if err != nil {
			return nil, err
		}
		names = append(names, list...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (s *Store) list(dir string) (names []string, err error) {
	list, err := s.folder(dir).List()
	for _, name := range list {
		if name, ok := strings.CutSuffix(name, sealedSuffix); ok && checkName(name) == nil {
			names = append(names, name)
		}
	}
	return names, err
}

// Place moves files that are unplaced to an epoch, which the caller has found out to be theirs. One
// that is not there, or whose place is taken, stays as it is.
func (s *Store) Place(epoch uint64, names ...string) error {
	if epoch == Unplaced {
		return errors.New("no epoch to place keyshares in")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	unplaced, err := s.list(unplacedDir)
	if err != nil {
		return err
	}
	placed, err := s.list(folderOf(epoch))
	if err != nil {
		return err
	}
	moved := false
	for _, name := range names {
		if !slices.Contains(unplaced, name) || slices.Contains(placed, name) {
			continue
		}
		moved = true
		from := filepath.Join(unplacedDir, name+sealedSuffix)
		if err := s.move(from, folderOf(epoch), name+sealedSuffix); err != nil {
			return err
		}
	}
	if moved {
		return durable.SyncFolder(filepath.Join(s.dir, unplacedDir))
	}
	return nil
}

// move gives a file another place in the store. It is made if it is not there, and nothing is
// replaced.
func (s *Store) move(from, dir, name string) error {
	folder, err := durable.Lock(s.dir)
	if err != nil {
		return err
	}
	defer folder.Unlock()
	if err := folder.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	to := filepath.Join(dir, name)
	if _, err := os.Lstat(filepath.Join(s.dir, to)); err == nil {
		return fmt.Errorf("%s: %w", filepath.Join(s.dir, to), durable.ErrDifferent)
	}
	if err := folder.Rename(from, to); err != nil {
		return err
	}
	return errors.Join(folder.SyncSub(dir), folder.Sync())
}

// An Entry is one file of a store.
type Entry struct {
	// Epoch is that of its folder, [Unplaced] for none.
	Epoch uint64
	// Name is that of the keyshare file, Path where it lies sealed, Bytes how long that is.
	Name, Path string
	Bytes      int64
}

// Entries are all keyshares of the store, by epoch and name.
func (s *Store) Entries() ([]Entry, error) {
	dirs, err := s.folders()
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, dir := range dirs {
		names, err := s.list(dir)
		if err != nil {
			return nil, err
		}
		epoch, err := strconv.ParseUint(dir, 10, 64)
		if err != nil {
			epoch = Unplaced
		}
		for _, name := range names {
			e := Entry{Epoch: epoch, Name: name, Path: s.folder(dir).path(name)}
			info, err := os.Lstat(e.Path)
			if err != nil {
				return nil, err
			}
			e.Bytes = info.Size()
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// Path is where a file of an epoch lies.
func (s *Store) Path(epoch uint64, name string) string {
	return s.folder(folderOf(epoch)).path(name)
}

// Read returns what is in one file, which the caller wipes.
func (s *Store) Read(e Entry) ([]byte, error) { return s.open(s.folder(folderOf(e.Epoch)), e.Name) }

// Plain are the paths of the files that SealPlain would seal.
func (s *Store) Plain() (paths []string, err error) {
	names, err := (&Folder{dir: s.dir}).List()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, sealedSuffix) {
			paths = append(paths, filepath.Join(s.dir, name))
		}
	}
	aside, err := s.Aside()
	for _, path := range aside {
		if !strings.HasSuffix(path, sealedSuffix) {
			paths = append(paths, path)
		}
	}
	return paths, err
}

// Reseal seals one file anew, to the recipients of now. At each moment the file under its name is
// the old or the new one. Copies of the old one stay readable with the old keys.
func (s *Store) Reseal(e Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	folder := s.folder(folderOf(e.Epoch))
	plain, err := s.open(folder, e.Name)
	if err != nil {
		return err
	}
	defer sanity.Wipe(plain)
	sealed, err := s.keys.seal(plain, s.keys.all...)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Name, err)
	}
	if err := durable.Replace(folder.path(e.Name), sealed); err != nil {
		return err
	}
	return s.readBack(folder, e.Name, plain)
}

// readBack makes sure that a file on the disk holds what it should.
func (s *Store) readBack(folder *Folder, name string, want []byte) error {
	got, err := s.open(folder, name)
	defer sanity.Wipe(got)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%s does not hold what was written to it", folder.path(name))
	}
	return err
}

// SealPlain seals the files that lie in the folder in plaintext, as bifrost kept them before or as
// an operator puts them there, and returns their names. They become unplaced. A plaintext file is
// removed once the sealed one was read back and compared, or when an equal one was sealed before;
// that is no erasure: what was on a disk may be read from it later. One that differs from a sealed
// one of its name that is unplaced stays, and is an error that wraps [durable.ErrDifferent].
func (s *Store) SealPlain() (sealed []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	paths, err := s.Plain()
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if filepath.Dir(path) == filepath.Clean(s.dir) {
			err = s.sealPlain(path)
		} else {
			err = s.sealAside(path)
		}
		if err != nil {
			return sealed, err
		}
		sealed = append(sealed, filepath.Base(path))
	}
	return sealed, nil
}

func (s *Store) sealPlain(path string) error {
	name := filepath.Base(path)
	data, err := durable.Read(path, maxFileSize)
	if err != nil {
		return err
	}
	defer sanity.Wipe(data)
	known, err := s.anywhere(name, data)
	if err != nil {
		return err
	}
	unplaced := s.folder(unplacedDir)
	if !known {
		file := envelope.File{Name: name, Data: data}
		if _, err := s.has(unplaced, file); err != nil {
			return fmt.Errorf("%s differs from the sealed one: move one of the two away: %w", path, err)
		}
		sealed, err := s.keys.seal(data, s.keys.all...)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		err = unplaced.Save([]envelope.File{{Name: name + sealedSuffix, Data: sealed}})
		if err == nil {
			err = s.readBack(unplaced, name, data)
		}
		if err != nil {
			return err
		}
	}
	return durable.Remove(path)
}

// anywhere reports whether a file with these contents is sealed in any folder.
func (s *Store) anywhere(name string, data []byte) (bool, error) {
	dirs, err := s.folders()
	if err != nil {
		return false, err
	}
	for _, dir := range dirs {
		there, err := s.open(s.folder(dir), name)
		same := err == nil && bytes.Equal(there, data)
		sanity.Wipe(there)
		if same {
			return true, nil
		}
	}
	return false, nil
}

// sealAside seals a damaged file, which may hold most of a keyshare.
func (s *Store) sealAside(path string) error {
	data, err := durable.Read(path, maxFileSize)
	if err != nil {
		return err
	}
	defer sanity.Wipe(data)
	sealed, err := s.keys.seal(data, s.keys.all...)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := durable.Replace(path+sealedSuffix, sealed); err != nil {
		return err
	}
	written, err := durable.Read(path+sealedSuffix, maxFileSize)
	if err != nil {
		return err
	}
	again, err := s.keys.Open(written)
	defer sanity.Wipe(again)
	if err != nil || !bytes.Equal(again, data) {
		return fmt.Errorf("%s does not hold what was written to it", path+sealedSuffix)
	}
	return durable.Remove(path)
}
