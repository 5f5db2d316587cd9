package homebackup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// eachLive gives the files of a home to use, with their contents, which it wipes. Keyshares that
// cannot be read or opened are returned. The error of a file that moved meanwhile wraps
// [fs.ErrNotExist]: the home is to be looked at again.
//
// Records come before keyshares: whatever a final record is of was stored before it.
func eachLive(
	homeDir string,
	keys Keys,
	use func(f File, plain []byte) error,
) (bad []Damage, err error) {
	plainFile := func(name string) error {
		path := filepath.Join(homeDir, filepath.FromSlash(name))
		if name == configName {
			// bifrost reads it through a symbolic link, as Kubernetes mounts it.
			var err error
			if path, err = filepath.EvalSymlinks(path); err != nil {
				return err
			}
		}
		data, err := durable.Read(path, maxFile)
		if err != nil {
			return err
		}
		defer sanity.Wipe(data)
		f := File{Name: name}
		if f.isOpen() && !isFinal(data) {
			return nil
		}
		return use(f, data)
	}
	if err := plainFile(configName); err != nil {
		return nil, err
	}
	// A record moves from open to closed, so the open ones are first.
	for _, dir := range []struct{ name, suffix string }{
		{outboxDir, recordSuffix}, {closedDir, recordSuffix}, {trustDir, headerSuffix},
	} {
		names, err := plainNames(filepath.Join(homeDir, filepath.FromSlash(dir.name)), dir.suffix)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if err := plainFile(path.Join(dir.name, name)); err != nil {
				return nil, err
			}
		}
	}
	return liveKeyshares(homeDir, keys, use)
}

func liveKeyshares(
	homeDir string,
	keys Keys,
	use func(f File, plain []byte) error,
) (bad []Damage, err error) {
	dir := home.KeysharesDir(homeDir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	s, err := keystore.Open(dir, keys.Home)
	if err != nil {
		return nil, err
	}
	entries, err := listKeyshares(dir, s)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		f := File{Name: keyshareName(e), Epoch: e.Epoch}
		plain, err := s.Read(e)
		switch {
		case err == nil:
			err = use(f, plain)
			sanity.Wipe(plain)
			if err != nil {
				return nil, err
			}
		case errors.Is(err, fs.ErrNotExist):
			return nil, err
		default: // one that cannot be read costs the backup one keyshare, and not all of them
			bad = append(bad, Damage{Name: f.Name, Epoch: f.Epoch, Err: err})
		}
	}
	plain, err := s.Plain()
	for _, p := range plain {
		bad = append(bad, Damage{
			Name: path.Join(keyshareDir, filepath.Base(p)),
			Err:  fmt.Errorf("%s lies in plaintext: bifrost start seals it", p),
		})
	}
	return bad, err
}

// listKeyshares lists them while none can move from one folder to another and be in neither.
func listKeyshares(dir string, s *keystore.Store) ([]keystore.Entry, error) {
	folder, err := durable.Lock(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Unlock()
	return s.Entries()
}

func keyshareName(e keystore.Entry) string {
	if e.Epoch == keystore.Unplaced {
		return path.Join(keyshareDir, unplacedDir, e.Name)
	}
	return fmt.Sprintf("%s/%d/%s", keyshareDir, e.Epoch, e.Name)
}

// plainNames are the names of the files in a folder, sorted, of which there may be none.
func plainNames(dir, suffix string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		ok := strings.HasSuffix(e.Name(), suffix) && plainName.MatchString(e.Name())
		if e.Type().IsRegular() && ok {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// isFinal reports whether the message of a record is fixed.
func isFinal(data []byte) bool {
	var r struct {
		Step outbox.Step `json:"step"`
	}
	return json.Unmarshal(data, &r) == nil && (&outbox.Record{Step: r.Step}).Final()
}
