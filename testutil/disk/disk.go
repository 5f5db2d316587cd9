// Package disk gives tests a disk that fails, and a process that dies, at any change that
// internal/durable makes.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// ErrDisk is what a step fails with.
var ErrDisk = errors.New("no space left on device")

// Faults are those of the changes in one folder.
type Faults struct {
	steps   atomic.Int64
	reached atomic.Bool
	restore func()
}

// Count counts the changes in a folder, and whatever is in it, and lets none of them fail.
func Count(t testing.TB, dir string) *Faults { return inject(t, dir, 0, false) }

// FailAt lets the n-th change in a folder, and whatever is in it, fail: the first is 1.
func FailAt(t testing.TB, dir string, n int) *Faults { return inject(t, dir, n, false) }

// DieAt lets the n-th change in a folder, and whatever is in it, fail and all that come after it,
// as for a process that was killed there. What else that process would have done is for the test to
// ignore: see Reached.
func DieAt(t testing.TB, dir string, n int) *Faults { return inject(t, dir, n, true) }

func inject(t testing.TB, dir string, n int, dead bool) *Faults {
	f := &Faults{}
	dir = filepath.Clean(dir)
	f.restore = durable.Inject(func(step, path string) error {
		if path != dir && !strings.HasPrefix(path, dir+string(filepath.Separator)) {
			return nil
		}
		at := int(f.steps.Add(1))
		if n == 0 || at < n || at > n && !dead {
			return nil
		}
		f.reached.Store(true)
		return fmt.Errorf("%s %s: %w", step, filepath.Base(path), ErrDisk)
	})
	t.Cleanup(f.Mend)
	return f
}

// Steps is how many changes were asked for until now.
func (f *Faults) Steps() int { return int(f.steps.Load()) }

// Reached reports whether the change that was to fail has come.
func (f *Faults) Reached() bool { return f.reached.Load() }

// Mend ends the faults; the end of the test does so too.
func (f *Faults) Mend() { f.restore() }

// Tree is what is in a folder, if there is one: relative path to contents. Symbolic links are left
// out.
func Tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		require.NoError(t, err)
		if d.IsDir() || d.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		rel, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		got[rel] = string(data)
		return nil
	})
	require.NoError(t, err)
	return got
}
