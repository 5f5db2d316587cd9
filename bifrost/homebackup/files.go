package homebackup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// Files is a folder of backups for whoever copies it elsewhere: any folder with all of these files
// under their names is one to restore from.
type Files struct{ Dir string }

// parseFile is the store, the folder in it and the name without its ending of a file of backups.
func parseFile(name string) (s store, sub, id string, ok bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 3 || !isID(parts[0]) {
		return s, "", "", false
	}
	id, ok = strings.CutSuffix(parts[2], sealedSuffix)
	switch parts[1] {
	case objectsDir:
		ok = ok && isSum(id)
	case manifestsDir:
		_, is := parsePlace(id)
		ok = ok && is
	default:
		ok = false
	}
	return store{id: parts[0]}, parts[1], id, ok
}

// IsFile reports whether a file of backups may have this name, with slashes, in their folder.
func IsFile(name string) bool {
	_, _, _, ok := parseFile(name)
	return ok
}

// CheckFile compares a file of backups with its name, which says what its bytes are. Its error
// wraps [ErrDamaged]; that of another name is [fs.ErrInvalid].
func CheckFile(name string, data []byte) error {
	s, sub, id, ok := parseFile(name)
	switch {
	case !ok:
		return fs.ErrInvalid
	case sub == manifestsDir:
		p, _ := parsePlace(id)
		return sealedManifest{s.id, p, data}.check()
	case sumOf(data) != id:
		return fmt.Errorf("%w: the object %s is not what its name says", ErrDamaged, id)
	}
	return nil
}

// Names are those of all files of all stores, whosever they are: the objects, and the manifests,
// which are of no use before. A folder that is missing has none.
func (f Files) Names(ctx context.Context) ([][]string, error) {
	all, err := stores(f.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var objects, manifests []string
	for _, s := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		// What a manifest names was there before it, so the objects are listed afterwards.
		places, err := s.manifests()
		if err != nil {
			return nil, err
		}
		slices.Reverse(places)
		for _, p := range places {
			manifests = append(manifests, path.Join(s.id, manifestsDir, p.id()+sealedSuffix))
		}
		names, err := s.objects()
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			objects = append(objects, path.Join(s.id, objectsDir, name+sealedSuffix))
		}
	}
	return [][]string{objects, manifests}, nil
}

// Read returns a file, compared with its name. The error of one that is not what its name says
// wraps [ErrDamaged], that of one that was removed meanwhile [fs.ErrNotExist].
func (f Files) Read(_ context.Context, name string) ([]byte, error) {
	if !IsFile(name) {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	data, err := durable.Read(filepath.Join(f.Dir, filepath.FromSlash(name)), maxFile)
	if err == nil {
		err = CheckFile(name, data)
	}
	return data, err
}
