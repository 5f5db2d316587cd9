package homebackup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// Keep says which manifests stay. The newest always does, and one that names a keyshare which the
// newest does not.
type Keep struct {
	// Last is how many of the newest stay.
	Last int
	// Daily is of how many days, in UTC, the newest of the day stays: the latest days that have
	// any. Weekly, Monthly and Yearly are the same of ISO weeks, months and years.
	Daily, Weekly, Monthly, Yearly int
}

// Valid reports whether it says which manifests stay.
func (k Keep) Valid() bool {
	counts := []int{k.Last, k.Daily, k.Weekly, k.Monthly, k.Yearly}
	return slices.Min(counts) >= 0 && slices.Max(counts) > 0
}

// Pruned tells what was removed, or would be.
type Pruned struct {
	Store string
	// Kept and Removed are ids of manifests, the newest first.
	Kept, Removed []string
	// Objects and Bytes are of the objects that were removed.
	Objects int
	Bytes   int64
}

// Prune removes manifests of a home from a folder, and the objects of its stores that no manifest
// names. The newest backup is verified first: when it, or any manifest of the store, is not in
// order the error wraps [ErrDamaged] and nothing is removed. With dry nothing is removed either.
// The error of a backup that is made at the same time wraps [ErrBusy], that of a folder without a
// store of this home [ErrNone].
func Prune(
	ctx context.Context,
	homeDir, dir string,
	keys Keys,
	keep Keep,
	check Check,
	dry bool,
) (all []Pruned, err error) {
	if !keep.Valid() {
		return nil, errors.New("nothing says which backups to keep")
	}
	unlock, err := lockState(homeDir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	known, err := states(homeDir)
	if err != nil {
		return nil, err
	}
	for _, s := range known {
		o, err := openStore(ctx, store{dir, s.id}, keys)
		if err != nil {
			return all, err
		}
		if len(o.damaged) > 0 {
			return all, fmt.Errorf("nothing is removed: %w", o.damaged[0])
		}
		if len(o.manifests) == 0 {
			continue
		}
		bad, err := verifyFiles(ctx, o.store, o.manifests[0].Files, keys, check, map[string]bool{})
		if err != nil {
			return all, err
		}
		if len(bad) > 0 {
			return all, fmt.Errorf("nothing is removed: %w", bad[0])
		}
		p, err := o.prune(ctx, keep, dry)
		all = append(all, p)
		if err != nil {
			return all, err
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w of this home is in %s", ErrNone, dir)
	}
	return all, nil
}

func (o opened) prune(ctx context.Context, keep Keep, dry bool) (p Pruned, err error) {
	p.Store = o.id
	stays := keep.of(o)
	named := map[string]bool{}
	for i, m := range o.manifests {
		if !stays[i] {
			p.Removed = append(p.Removed, m.ID())
			continue
		}
		p.Kept = append(p.Kept, m.ID())
		for _, f := range m.Files {
			named[f.Object] = true
		}
	}
	objects, err := o.objects()
	if err != nil {
		return p, err
	}
	// What is left of a prune that was cut off are objects that nothing names: manifests go first.
	var paths []string
	for _, id := range p.Removed {
		paths = append(paths, o.path(manifestsDir, id))
	}
	for _, name := range objects {
		if named[name] {
			continue
		}
		path := o.path(objectsDir, name)
		info, err := os.Lstat(path)
		if err != nil {
			return p, err
		}
		p.Objects, p.Bytes = p.Objects+1, p.Bytes+info.Size()
		paths = append(paths, path)
	}
	if dry {
		return p, nil
	}
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return p, err
		}
		if err := durable.Remove(path); err != nil {
			return p, err
		}
	}
	return p, errors.Join(o.removeLeftovers(manifestsDir), o.removeLeftovers(objectsDir))
}

// of says of each manifest of a store whether it stays.
func (k Keep) of(o opened) []bool {
	stays := make([]bool, len(o.manifests))
	spans := []struct {
		count int
		of    func(time.Time) string
		seen  map[string]bool
	}{
		{k.Daily, func(t time.Time) string { return t.Format("2006-01-02") }, map[string]bool{}},
		{k.Weekly, week, map[string]bool{}},
		{k.Monthly, func(t time.Time) string { return t.Format("2006-01") }, map[string]bool{}},
		{k.Yearly, func(t time.Time) string { return t.Format("2006") }, map[string]bool{}},
	}
	forks := map[string]bool{}
	for _, m := range o.forks() {
		forks[m.ID()] = true
	}
	for i, m := range o.manifests {
		stays[i] = i == 0 || i < k.Last || forks[m.ID()]
		for _, s := range spans {
			span := s.of(m.Time)
			if !s.seen[span] && len(s.seen) < s.count {
				s.seen[span], stays[i] = true, true
			}
		}
	}
	return stays
}

func week(t time.Time) string {
	year, week := t.ISOWeek()
	return fmt.Sprint(year, "-", week)
}

// removeLeftovers removes what writes that were cut off have left in a folder of the store.
func (s store) removeLeftovers(sub string) error {
	dir := filepath.Join(s.dir, s.id, sub)
	folder, err := durable.Lock(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer folder.Unlock()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, ok := durable.Leftover(e.Name()); ok {
			if err := folder.Remove(e.Name()); err != nil {
				return err
			}
		}
	}
	return folder.Sync()
}
