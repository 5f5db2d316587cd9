package keystore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Every change that this package makes to a disk is one of the steps below. before is asked ahead of each; tests let it
// fail there.
var before = func(step, path string) error { return nil }

// create writes a new file and flushes it. On an error it is removed again.
func create(path string, data []byte) (err error) {
	if err := before("create", path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			err = errors.Join(err, remove(path))
		}
	}()
	if err := before("write", path); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return sync(f, path)
}

func sync(f *os.File, path string) error {
	if err := before("sync", path); err != nil {
		return err
	}
	return f.Sync()
}

func link(from, to string) error {
	if err := before("link", to); err != nil {
		return err
	}
	return os.Link(from, to)
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
			return nil // another process was faster
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
		return err
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
