package durable

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

const (
	// tempPrefix begins the name of a file that is being written.
	tempPrefix = ".tmp-"
	// suffixLen is the length of what ends it.
	suffixLen = 16
)

// A Folder is a folder that is locked against every other writer of this package, in this process
// and others. The lock ends with Unlock or Abandon, or with the process.
//
// Its methods take names within the folder and are single steps: but for Sync none of them flushes
// the folder, which decides what a crash leaves.
type Folder struct {
	handle *os.File
	path   string
	made   bool
	// local is held when the file system has no locks.
	local *sync.Mutex
}

// Lock waits for the lock of a folder and takes it. The folder must exist.
func Lock(dir string) (*Folder, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	folder := &Folder{handle: f, path: filepath.Clean(dir)}
	err = flock(f, syscall.LOCK_EX)
	if noLocks(err) {
		// No file is replaced and none is left torn all the same: another process that writes here
		// at the same time may fail, and is to try again.
		folder.local, err = lockLocally(folder.path), nil
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return folder, nil
}

// Make is [Lock] for a folder that is made, with mode 0700, when it is missing.
func Make(dir string) (*Folder, error) {
	made := false
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := mkdirAll(dir); err != nil {
			return nil, err
		}
		made = true
	}
	f, err := Lock(dir)
	if err != nil {
		return nil, err
	}
	f.made = made
	return f, nil
}

// Unlock ends the lock.
func (f *Folder) Unlock() {
	_ = f.handle.Close() // and with it goes the lock
	if f.local != nil {
		f.local.Unlock()
	}
}

// Abandon ends the lock after work that failed: a folder that [Make] had made is taken away again,
// unless it holds anything.
func (f *Folder) Abandon() {
	if f.made {
		_ = remove(f.path)
	}
	f.Unlock()
}

// Has reports whether there is a file of this name and these contents, and makes sure that it is
// private and on the disk. For other contents it returns an error that wraps [ErrDifferent].
func (f *Folder) Has(name string, data []byte) (bool, error) { return compare(f.at(name), data) }

// Same reports whether two names are those of one file.
func (f *Folder) Same(a, b string) bool {
	ai, err := os.Lstat(f.at(a))
	if err != nil {
		return false
	}
	bi, err := os.Lstat(f.at(b))
	return err == nil && os.SameFile(ai, bi)
}

// Create writes a new file and flushes it. After an error it is not there. The error of a file that
// exists wraps [fs.ErrExist].
func (f *Folder) Create(name string, data []byte) error { return create(f.at(name), data) }

// Place writes a file in one step, replacing one that is there. Only [Folder.Sync] makes sure that
// the new one is found after a crash.
func (f *Folder) Place(name string, data []byte) error {
	return f.PlaceAll(File{Name: name, Data: data})
}

// A File is what PlaceAll places.
type File struct {
	Name string
	Data []byte
}

// PlaceAll is [Folder.Place] for many files. They are written first and flushed after that, at the
// same time: then one run of the disk takes them all, and many take little more time than one. None
// gets its name before all are flushed; they get them in their order. After an error those that
// have got one keep it, and nothing is left of the others.
func (f *Folder) PlaceAll(files ...File) error {
	for _, file := range files {
		if info, err := os.Lstat(f.at(file.Name)); err == nil {
			if err := regular(f.at(file.Name), info); err != nil {
				return err
			}
		}
	}
	temps, err := f.createAll(files)
	for i := 0; i < len(files) && err == nil; i++ {
		if err = f.Rename(temps[i], files[i].Name); err == nil {
			temps[i] = ""
		}
	}
	if err == nil {
		return nil
	}
	errs := []error{err}
	for _, temp := range temps {
		if temp != "" {
			errs = append(errs, f.Remove(temp))
		}
	}
	return errors.Join(errs...)
}

// atOnce is how many files are open, and are flushed, at the same time. Each takes a thread and a
// descriptor.
const atOnce = 128

// createAll writes files under temporary names and flushes them. It returns the names in the order
// of the files; after an error some are empty, and those of the files that are there are not.
func (f *Folder) createAll(files []File) (temps []string, err error) {
	temps = make([]string, len(files))
	for from := 0; from < len(files) && err == nil; from += atOnce {
		to := min(from+atOnce, len(files))
		err = f.createTogether(files[from:to], temps[from:to])
	}
	return temps, err
}

// createTogether is createAll for as many files as may be open.
func (f *Folder) createTogether(files []File, temps []string) error {
	errs := make([]error, len(files))
	var wg sync.WaitGroup
	var written []*os.File
	for i, file := range files {
		temps[i] = tempName(file.Name)
		opened, err := write(f.at(temps[i]), file.Data)
		if err != nil {
			temps[i], errs[i] = "", err
			break
		}
		written = append(written, opened)
	}
	for i, opened := range written {
		wg.Go(func() {
			if errs[i] = finish(opened, f.at(temps[i])); errs[i] != nil {
				temps[i] = ""
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Link gives a file a second name; where there are no hard links it moves the file there. The error
// of a name that is taken wraps [fs.ErrExist], that of a file system that can do neither
// [ErrNoLinks].
func (f *Folder) Link(from, to string) (moved bool, err error) { return link(f.at(from), f.at(to)) }

// Rename gives a file or folder another name.
func (f *Folder) Rename(from, to string) error { return rename(f.at(from), f.at(to)) }

// Remove removes a file. That there is none is no error.
func (f *Folder) Remove(name string) error { return remove(f.at(name)) }

// RemoveAll removes a folder within this one and all that is in it.
func (f *Folder) RemoveAll(name string) error { return removeAll(f.at(name)) }

// Mkdir makes a folder within this one, with mode 0700.
func (f *Folder) Mkdir(name string) error { return mkdir(f.at(name)) }

// Sync flushes the folder: what was done to its names is found after a crash.
func (f *Folder) Sync() error { return syncDir(f.path) }

// SyncSub flushes a folder within this one.
func (f *Folder) SyncSub(name string) error { return syncDir(f.at(name)) }

func (f *Folder) at(name string) string { return filepath.Join(f.path, name) }

// Leftover reports whether this is the name under which a file was being written, and returns the
// name that the file would have got. Whoever holds the folder's lock may remove it.
func Leftover(temp string) (name string, ok bool) {
	name, ok = strings.CutPrefix(temp, tempPrefix)
	cut := len(name) - suffixLen - 1
	if !ok || cut <= 0 || name[cut] != '-' {
		return "", false
	}
	return name[:cut], true
}

// removeLeftovers removes what writes of this file that were cut off left behind.
func (f *Folder) removeLeftovers(name string) error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if of, ok := Leftover(e.Name()); ok && of == name {
			if err := f.Remove(e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

func tempName(name string) string { return tempPrefix + name + "-" + randomSuffix() }

func randomSuffix() string {
	b := make([]byte, suffixLen/2)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
