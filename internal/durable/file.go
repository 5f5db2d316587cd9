package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrDifferent means that a file of that name exists with other contents. It was not touched.
var ErrDifferent = errors.New("a different file is there already")

// Write writes data to path, with mode 0600, and never replaces a file. The folder is made with
// mode 0700 when it is missing. When a file of equal contents is there already it returns nil (and
// takes away the permissions of group and others); for other contents it returns an error that
// wraps [ErrDifferent]. After any error nothing of the new file is left.
func Write(path string, data []byte) error {
	return inFolderOf(path, func(f *Folder, name string) error {
		if err := f.removeLeftovers(name); err != nil {
			return err
		}
		same, err := f.Has(name, data)
		if err != nil {
			return err
		}
		if same {
			return f.Sync()
		}
		temp := tempName(name)
		if err := f.Create(temp, data); err != nil {
			return err
		}
		if _, err := f.Link(temp, name); err != nil {
			if errors.Is(err, fs.ErrExist) {
				err = fmt.Errorf("%s: %w", path, ErrDifferent)
			}
			return errors.Join(err, f.Remove(temp))
		}
		if err := f.Sync(); err != nil {
			return errors.Join(err, f.Remove(name), f.Remove(temp))
		}
		// The file is there under both names. A second name of a complete, private file does no
		// harm: the next write removes it.
		_ = f.Remove(temp)
		return nil
	})
}

// Replace is as durable as [Write] but for a process's own records, which change: a file that is
// there is replaced in one step, so that a reader finds the old contents or the new, also after a
// crash.
func Replace(path string, data []byte) error {
	return inFolderOf(path, func(f *Folder, name string) error {
		if err := f.removeLeftovers(name); err != nil {
			return err
		}
		if err := f.Place(name, data); err != nil {
			return err
		}
		return f.Sync()
	})
}

// Append adds a line, which ends with a line feed, to a file that only grows, and flushes it. The
// file is made with mode 0600 when it is missing. A crash may leave a part of the line; what is
// appended then begins a line of its own.
func Append(path string, line []byte) error {
	return inFolderOf(path, func(f *Folder, name string) error {
		if err := appendTo(filepath.Join(f.path, name), line); err != nil {
			return err
		}
		return f.Sync()
	})
}

// Remove removes a file. That there is none is no error.
func Remove(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	folder, err := Lock(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Unlock()
	if err := folder.Remove(filepath.Base(path)); err != nil {
		return err
	}
	return folder.Sync()
}

// Read returns the contents of a file of at most limit bytes. It refuses everything that is not a
// regular file, a symbolic link above all. The error of a file that is not there wraps
// [fs.ErrNotExist].
func Read(path string, limit int64) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return data, nil
}

// MakeFolder makes a folder with mode 0700, and those above it that are missing. One that is there
// stays as it is.
func MakeFolder(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return mkdirAll(path)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", path)
	}
	return nil
}

// SyncFolder flushes a folder: the names that are in it are found after a crash.
func SyncFolder(path string) error { return syncDir(path) }

// TryFolder finds out if [Write] can write into a folder, by writing a small file there and taking
// it away: not every file system, as on sticks and of networks, can take a file that is never to
// replace another. A folder that is missing is made for it, and taken away again. Whoever asks for
// a secret, or works for long, asks here before. What the folder lacks and can be done without,
// lacking tells, for people; it is empty for most.
func TryFolder(dir string) (lacking string, err error) {
	folder, err := Make(dir)
	if err != nil {
		return "", err
	}
	defer folder.Abandon()
	if folder.local != nil {
		lacking = fmt.Sprintf("the file system of %s has no locks: let no other program write there "+
			"at the same time", dir)
	}
	suffix := randomSuffix()
	name, second := tempPrefix+"try-"+suffix, tempPrefix+"tried-"+suffix
	if err := folder.Create(name, []byte("try")); err != nil {
		return "", err
	}
	_, err = folder.Link(name, second)
	if err == nil {
		err = folder.Remove(second)
	}
	return lacking, errors.Join(err, folder.Remove(name), folder.Sync())
}

// inFolderOf calls do with the locked folder of a file, which it makes when it is missing, and the
// file's name in it.
func inFolderOf(path string, do func(f *Folder, name string) error) error {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	if name == "" || name == "." || name == ".." {
		return fmt.Errorf("%q does not name a file", path)
	}
	folder, err := Make(dir)
	if err != nil {
		return err
	}
	if err := do(folder, name); err != nil {
		folder.Abandon()
		return err
	}
	folder.Unlock()
	return nil
}

// compare reports whether a file of these contents is at path. It returns false and no error when
// nothing is there, and an error wrapping ErrDifferent when there is a file with other contents.
func compare(path string, data []byte) (bool, error) {
	f, err := open(path)
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
	} else if info.Mode().Perm()&others != 0 {
		if err := chmod(f, path, info.Mode().Perm()&^others); err != nil {
			return false, err
		}
	}
	return true, flush(f, path)
}

// open opens a regular file for reading and refuses everything else.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, syscall.ELOOP) {
			return nil, fmt.Errorf("%s is a symbolic link", path)
		}
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = regular(path, info)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func regular(path string, info fs.FileInfo) error {
	switch {
	case info.Mode().IsRegular():
		return nil
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link", path)
	default:
		return fmt.Errorf("%s is not a regular file", path)
	}
}
