package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// ErrUnfit means that a file of a source is not what its name says.
var ErrUnfit = errors.New("it is not copied")

// A Source has files that are to be copied.
type Source interface {
	// Names are those of the files, in groups: what is in a later group is of use only with all
	// that is in the ones before.
	Names(ctx context.Context) ([][]string, error)
	// Read returns a file as it is to be in the sink. The error of one that is damaged wraps
	// [ErrUnfit], and keeps no other file from being copied.
	Read(ctx context.Context, name string) ([]byte, error)
}

// A Report is what a [Copy] found and did.
type Report struct {
	// Held are the names of the files of the source that the sink holds now, of so many Bytes.
	Held  []string
	Bytes int64
	// Copied are those that it lacked.
	Copied []string
	// Altered are those under which it holds other bytes.
	Altered []string
	// Unfit are damaged files of the source, which are not copied, and why.
	Unfit []error
}

func (r *Report) add(o Report) {
	r.Held, r.Bytes = append(r.Held, o.Held...), r.Bytes+o.Bytes
	r.Copied = append(r.Copied, o.Copied...)
	r.Altered = append(r.Altered, o.Altered...)
	r.Unfit = append(r.Unfit, o.Unfit...)
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// Copy gives a sink the files of a source that it lacks. With all it compares the others as well.
// MaxBytes is the most that the sink may hold in all, 0 for any. The error of a sink that holds
// other bytes wraps [ErrAltered]; it has all other files then.
func Copy(
	ctx context.Context, from Source, to Sink, maxBytes int64, all bool,
) (r Report, err error) {
	groups, err := from.Names(ctx)
	if err != nil {
		return r, err
	}
	there, err := to.List(ctx)
	if err != nil {
		return r, err
	}
	var held int64
	for _, size := range there {
		held += size
	}
	for _, group := range groups {
		for _, name := range group {
			if err := ctx.Err(); err != nil {
				return r, err
			}
			size, has := there[name]
			if has && !all {
				r.Held, r.Bytes = append(r.Held, name), r.Bytes+size
				continue
			}
			data, err := from.Read(ctx, name)
			if errors.Is(err, ErrUnfit) {
				r.Unfit = append(r.Unfit, err)
				continue
			}
			if err != nil {
				return r, err
			}
			size = int64(len(data))
			if has {
				err = to.Check(ctx, name, data)
				has = !isMissing(err) // it went meanwhile
			}
			if !has {
				if maxBytes > 0 && held+size > maxBytes {
					return r, fmt.Errorf("it would hold more than max_bytes, %d: raise it, or make room",
						maxBytes)
				}
				if err = to.Put(ctx, name, data); err == nil {
					r.Copied = append(r.Copied, name)
					held += size
				}
			}
			switch {
			case errors.Is(err, ErrAltered):
				r.Altered = append(r.Altered, name)
				continue
			case err != nil:
				return r, err
			}
			r.Held, r.Bytes = append(r.Held, name), r.Bytes+size
		}
	}
	if len(r.Altered) > 0 {
		return r, fmt.Errorf("%w: %d files, the first of which is %s: somebody wrote there; look who, "+
			"move them away, and they are copied again", ErrAltered, len(r.Altered), r.Altered[0])
	}
	return r, nil
}

// fetchTries is how often a file is asked for, and fetchPause the time to the second try.
const (
	fetchTries = 4
	fetchPause = time.Second
)

// Fetch writes the files of a sink whose names are wanted into a folder, under their names. One
// that is there already is not asked for again. What was lost meanwhile, or is larger than any file
// that is written, it passes over: whoever reads the folder checks what is there. The context
// bounds the time that it takes.
func Fetch(ctx context.Context, from Sink, dir string, wanted func(name string) bool) error {
	var there map[string]int64
	err := persist(ctx, func() (err error) {
		there, err = from.List(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if !wanted(name) || there[name] > maxFile {
			continue
		}
		if _, err := os.Lstat(at); err == nil {
			continue
		}
		var data []byte
		err := persist(ctx, func() (err error) {
			data, err = from.Get(ctx, name)
			return err
		})
		if isMissing(err) {
			continue
		}
		if err == nil {
			err = durable.Write(at, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// persist asks a server that may be out of order for a moment again.
func persist(ctx context.Context, ask func() error) (err error) {
	for try := range fetchTries {
		if err = ask(); err == nil || isMissing(err) {
			return err
		}
		if try == fetchTries-1 {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(fetchPause << try):
		}
	}
	return err
}
