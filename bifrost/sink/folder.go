package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// folder is a folder that is there, such as one of another machine that is mounted here.
type folder struct{ dir string }

func newFolder(u *url.URL) (folder, error) {
	if _, err := options(u); err != nil {
		return folder{}, err
	}
	if u.Host != "" || !filepath.IsAbs(u.Path) {
		return folder{}, fmt.Errorf("%w: %s: a folder is file:/// and its absolute path", ErrURL, u)
	}
	return folder{filepath.Clean(u.Path)}, nil
}

func (f folder) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// List implements [Sink].
func (f folder) List(ctx context.Context) (map[string]int64, error) {
	files := map[string]int64{}
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if _, leftover := durable.Leftover(d.Name()); leftover {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(f.dir, path)
		files[filepath.ToSlash(name)] = info.Size()
		return err
	})
	return files, err
}

// Get implements [Sink].
func (f folder) Get(_ context.Context, name string) ([]byte, error) {
	return durable.Read(f.path(name), maxFile)
}

// Put implements [Sink].
func (f folder) Put(ctx context.Context, name string, data []byte) error {
	// One that is missing is not mounted, and would be made on the disk of this host.
	if _, err := os.Stat(f.dir); err != nil {
		return err
	}
	err := durable.Write(f.path(name), data)
	if errors.Is(err, durable.ErrDifferent) {
		return fmt.Errorf("%s: %w", name, ErrAltered)
	}
	if err != nil {
		return err
	}
	return f.Check(ctx, name, data)
}

// Check implements [Sink].
func (f folder) Check(ctx context.Context, name string, data []byte) error {
	got, err := f.Get(ctx, name)
	return same(name, got, data, err)
}
