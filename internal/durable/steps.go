package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	fileMode = 0o600
	dirMode  = 0o700
)

// faults are asked ahead of every step.
var faults struct {
	sync.Mutex
	asked []*func(step, path string) error
}

// Inject is a seam for tests, and nothing else calls it: until restore is called, fault is asked
// ahead of every change that this package makes to a disk, in the whole process, one at a time. An
// error that it returns is the disk's: the step does not happen and fails with it. A process that
// dies at a step is one for which that step and all later ones fail; package testutil/disk has
// both.
//
// The steps are "create", "write", "sync", "link", "rename", "remove", "mkdir" and "chmod"; path is
// the file or folder that would change, for link and rename its new name.
func Inject(fault func(step, path string) error) (restore func()) {
	faults.Lock()
	defer faults.Unlock()
	faults.asked = append(faults.asked, &fault)
	return func() {
		faults.Lock()
		defer faults.Unlock()
		if i := slices.Index(faults.asked, &fault); i >= 0 {
			faults.asked = slices.Delete(faults.asked, i, i+1)
		}
	}
}

func before(step, path string) error {
	faults.Lock()
	defer faults.Unlock()
	for _, fault := range faults.asked {
		if err := (*fault)(step, path); err != nil {
			return err
		}
	}
	return nil
}

// create writes a new file and flushes it. On an error it is removed again.
func create(path string, data []byte) error {
	f, err := write(path, data)
	if err != nil {
		return err
	}
	return finish(f, path)
}

// write makes a new file, which finish is to follow. On an error it is removed again.
func write(path string, data []byte) (*os.File, error) {
	if err := before("create", path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	if err = before("write", path); err == nil {
		_, err = f.Write(data)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), remove(path))
	}
	return f, nil
}

// finish flushes and closes a file that was written. On an error it is removed.
func finish(f *os.File, path string) error {
	err := flush(f, path)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		err = errors.Join(err, remove(path))
	}
	return err
}

// appendTo adds a line to a file and flushes it.
func appendTo(path string, line []byte) error {
	if err := before("write", path); err != nil {
		return err
	}
	const flags = os.O_RDWR | os.O_APPEND | os.O_CREATE | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	f, err := os.OpenFile(path, flags, fileMode)
	if errors.Is(err, syscall.ELOOP) {
		return fmt.Errorf("%s is a symbolic link", path)
	}
	if err != nil {
		return err
	}
	if err = addLine(f, path, line); err == nil {
		err = flush(f, path)
	}
	return errors.Join(err, f.Close())
}

func addLine(f *os.File, path string, line []byte) error {
	info, err := f.Stat()
	if err == nil {
		err = regular(path, info)
	}
	if err != nil {
		return err
	}
	if size := info.Size(); size > 0 {
		var last [1]byte
		if _, err := f.ReadAt(last[:], size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			line = append([]byte("\n"), line...)
		}
	}
	_, err = f.Write(line)
	return err
}

// systemSync is another one in tests.
var systemSync = (*os.File).Sync

func flush(f *os.File, path string) error {
	if err := before("sync", path); err != nil {
		return synced(err)
	}
	return synced(systemSync(f))
}

// synced looks at the error of a flush. Where the file system cannot flush one file or folder,
// everything is flushed.
func synced(err error) error {
	if lacks(err) {
		unix.Sync()
		return nil
	}
	return err
}

func chmod(f *os.File, path string, mode fs.FileMode) error {
	if err := before("chmod", path); err != nil {
		return err
	}
	return f.Chmod(mode)
}

// link gives a file a second name, or moves it to the new one where there are no hard links.
// Neither ever replaces anything.
func link(from, to string) (moved bool, err error) {
	err = before("link", to)
	if err == nil {
		err = os.Link(from, to)
	}
	// EPERM is what Linux says of a file system without hard links.
	if !lacks(err) && !errors.Is(err, syscall.EPERM) {
		return false, err
	}
	err = before("rename", to)
	if err == nil {
		err = renameExclusive(from, to)
	}
	if lacks(err) {
		return false, fmt.Errorf("%s: %w", filepath.Dir(to), ErrNoLinks)
	}
	if err != nil {
		return false, &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return true, nil
}

func rename(from, to string) error {
	if err := before("rename", to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// remove is content when there is nothing to remove.
func remove(path string) error {
	if err := before("remove", path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func removeAll(path string) error {
	if err := before("remove", path); err != nil {
		return err
	}
	return os.RemoveAll(path)
}

func mkdir(path string) error {
	if err := before("mkdir", path); err != nil {
		return err
	}
	return os.Mkdir(path, dirMode)
}

// mkdirAll makes the folder, and those above it that are missing, and flushes the entry of each.
func mkdirAll(path string) error {
	path = filepath.Clean(path)
	parent := filepath.Dir(path)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) && parent != path {
		if err := mkdirAll(parent); err != nil {
			return err
		}
	}
	if err := mkdir(path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return syncDir(parent) // another process was faster
		}
		return err
	}
	if err := syncDir(parent); err != nil {
		return errors.Join(err, remove(path))
	}
	return nil
}

func syncDir(path string) error {
	if err := before("sync", path); err != nil {
		return synced(err)
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return synced(systemSync(d))
}
