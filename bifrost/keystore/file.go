package keystore

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrDifferent means that a file of that name exists with other contents. It was not touched.
var ErrDifferent = errors.New("a different file is there already")

const (
	fileMode = 0o600
	dirMode  = 0o700

	// tempPrefix begins the name of a file that is being written. List and Save pass over hidden names.
	tempPrefix = ".tmp-"
)

// WriteFile writes data to path durably, with mode 0600, and never replaces a file. The folder is made with mode 0700 when it
// is missing. When a file of equal contents is there already it returns nil (and takes away the permissions of group and
// others); for other contents it returns an error that wraps [ErrDifferent]. After any error nothing of the new file is left.
func WriteFile(path string, data []byte) error {
	return write(path, data, false)
}

// ReplaceFile is as durable as [WriteFile] but for a process's own records, which change: a file that is there is replaced in
// one step, so that a reader finds the old contents or the new, also after a crash.
func ReplaceFile(path string, data []byte) error {
	return write(path, data, true)
}

// TryFolder tells whether [WriteFile] can write into a folder, by writing a small file there and taking it away: a file
// system without hard links, as on many sticks, cannot take a file that is never to replace another. A folder that is
// missing is made for it, and taken away again.
func TryFolder(dir string) error {
	folder, err := lockFolder(dir)
	if err != nil {
		return err
	}
	name := "try-" + randomSuffix()
	err = writeLocked(filepath.Clean(dir), name, []byte("try"), false)
	if err == nil {
		err = os.Remove(filepath.Join(dir, name))
	}
	folder.unlock(true)
	return err
}

func write(path string, data []byte, mayReplace bool) error {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	if name == "" || name == "." || name == ".." {
		return fmt.Errorf("%q does not name a file", path)
	}
	folder, err := lockFolder(dir)
	if err != nil {
		return err
	}
	err = writeLocked(filepath.Clean(dir), name, data, mayReplace)
	folder.unlock(err != nil)
	return err
}

func writeLocked(dir, name string, data []byte, mayReplace bool) error {
	if err := removeTemps(dir, tempPrefix+name+"-"); err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	same, err := compare(path, data)
	if same {
		return syncDir(dir)
	}
	if err != nil && (!mayReplace || !errors.Is(err, ErrDifferent)) {
		return err
	}
	temp := filepath.Join(dir, tempPrefix+name+"-"+randomSuffix())
	if err := create(temp, data); err != nil {
		return err
	}
	if mayReplace {
		if err := rename(temp, path); err != nil {
			return errors.Join(err, remove(temp))
		}
		return syncDir(dir)
	}
	if err := link(temp, path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%s: %w", path, ErrDifferent)
		}
		return errors.Join(err, remove(temp))
	}
	if err := syncDir(dir); err != nil {
		return errors.Join(err, remove(path), remove(temp))
	}
	// The file is there under both names. A second name of a complete, private file does no harm: the next write removes it.
	_ = remove(temp)
	return nil
}

// compare reports whether a file of these contents is at path. It returns false and no error when nothing is there, and an
// error wrapping ErrDifferent when there is a file with other contents.
func compare(path string, data []byte) (bool, error) {
	f, err := openFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	got, err := io.ReadAll(io.LimitReader(f, int64(len(data))+1))
	if err != nil {
		return false, err
	}
	if !bytes.Equal(got, data) {
		return false, fmt.Errorf("%s: %w", path, ErrDifferent)
	}
	// It may have been written by something less careful: a copy, an older tool.
	if info, err := f.Stat(); err != nil {
		return false, err
	} else if info.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(info.Mode().Perm() &^ 0o077); err != nil {
			return false, err
		}
	}
	return true, sync(f, path)
}

// openFile opens a regular file for reading and refuses everything else, a symbolic link above all.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, syscall.ELOOP) {
			return nil, fmt.Errorf("%s is a symbolic link", path)
		}
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	if !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return f, nil
}

// A folder that is locked against every other writer of this package, in this process and others.
type folder struct {
	handle *os.File
	path   string
	made   bool
}

func lockFolder(dir string) (*folder, error) {
	made := false
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := mkdirAll(dir); err != nil {
			return nil, err
		}
		made = true
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	// The lock ends with the process that holds it.
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return &folder{handle: f, path: dir, made: made}, nil
}

// unlock also takes away a folder that the failed call had made; one that holds anything stays.
func (f *folder) unlock(failed bool) {
	if failed && f.made {
		_ = remove(f.path)
	}
	_ = f.handle.Close() // and with it goes the lock
}

// MakeFolder makes a folder durably, with mode 0700, and those above it that are missing. One that is there stays as it is.
func MakeFolder(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return mkdirAll(path)
	}
	return err
}

func removeTemps(dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && len(e.Name()) == len(prefix)+suffixLen {
			if err := remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

const suffixLen = 16

func randomSuffix() string {
	b := make([]byte, suffixLen/2)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// RemoveFile removes a file durably. That there is none is no error.
func RemoveFile(path string) error {
	dir := filepath.Dir(path)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	folder, err := lockFolder(dir)
	if err != nil {
		return err
	}
	defer folder.unlock(false)
	if err := remove(path); err != nil {
		return err
	}
	return syncDir(dir)
}
