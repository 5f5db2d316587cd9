// Package archive is a node's own store of envelopes. State binds the chain to the hash of every
// envelope; the envelope itself travels in a transaction, in a block that other nodes prune and
// that a node which joined by state sync never had. The archive keeps the envelopes of all vaults
// that are not retired, so that the node can still serve them.
//
// It lies beside the application state and is never in the app hash: what is in it differs between
// nodes when a disk fails, and consensus must not. A block's envelopes are on the disk before the
// application commits the block. When they cannot be, the node stops; so that a block is in both,
// or is replayed.
//
// An envelope is a file named by its SHA-256. Whatever is read is compared with the commitment, so
// a damaged file is never served, and nothing that could be put into the folder is either.
package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Archive is a folder of envelopes. One process writes to it at a time.
type Archive struct {
	dir string

	mu sync.Mutex
	// staged are the envelopes of the block at this height, which was executed last, until
	// Precommit has written them; the height is 0 then.
	staged   [][]byte
	stagedAt int64
	// warned reports whether it was said that Precommit does not run.
	warned bool
	// holds counts the readers for whose sake nothing is deleted.
	holds int
	// swept reports whether this process has swept, and doomed what its last sweep found that
	// nobody needs.
	swept  bool
	doomed map[string]bool
}

// Open opens the archive in the folder, which it makes if there is none.
func Open(dir string) (*Archive, error) {
	if err := durable.MakeFolder(dir); err != nil {
		return nil, err
	}
	// It may be there since a moment ago, from a process that died before it did this.
	if err := durable.SyncFolder(filepath.Dir(dir)); err != nil {
		return nil, err
	}
	return &Archive{dir: dir}, nil
}

// Put writes envelopes, all at the same time, and returns when they would survive a loss of power.
func (a *Archive) Put(envelopes ...[]byte) error {
	if len(envelopes) == 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	folder, err := durable.Lock(a.dir)
	if err != nil {
		return err
	}
	defer folder.Unlock()
	files := make([]durable.File, len(envelopes))
	for i, envelope := range envelopes {
		sum := sha256.Sum256(envelope)
		files[i] = durable.File{Name: hex.EncodeToString(sum[:]), Data: envelope}
	}
	if err := folder.PlaceAll(files...); err != nil {
		return err
	}
	return folder.Sync()
}

// Envelope returns the bytes with this commitment. The error wraps types.ErrNotArchived when there
// is no such file, and types.ErrArchiveDamaged when there is one that does not hold them or cannot
// be read.
func (a *Archive) Envelope(c types.Commitment) ([]byte, error) {
	file, err := os.Open(a.path(c.Sha256))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, types.ErrNotArchived.Wrapf("%x", c.Sha256)
	}
	if err != nil {
		return nil, types.ErrArchiveDamaged.Wrap(err.Error())
	}
	envelope, err := io.ReadAll(io.LimitReader(file, int64(c.Size_)+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, types.ErrArchiveDamaged.Wrap(err.Error())
	}
	if !c.Matches(envelope) {
		return nil, types.ErrArchiveDamaged.Wrapf("%x", c.Sha256)
	}
	return envelope, nil
}

// Hold keeps every envelope that is there from being deleted until release is called.
func (a *Archive) Hold() (release func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holds++
	return sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.holds--
	})
}

// Sweep deletes what is not among the hashes to keep. The first sweep of a process deletes it at
// once, the later ones when the sweep before did not find it among them either: a snapshot of a
// block that is not long past finds its envelopes. While there is a hold nothing is deleted.
func (a *Archive) Sweep(keep map[string]bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.holds > 0 {
		return nil
	}
	folder, err := durable.Lock(a.dir)
	if err != nil {
		return err
	}
	defer folder.Unlock()
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return err
	}
	doomed := make(map[string]bool)
	var errs []error
	for _, entry := range entries {
		name, unfinished := durable.Leftover(entry.Name())
		if !unfinished {
			name = entry.Name()
		}
		sum, err := hex.DecodeString(name)
		if err != nil || len(sum) != sha256.Size || keep[string(sum)] && !unfinished {
			continue // what is not ours stays
		}
		if a.swept && !a.doomed[entry.Name()] && !unfinished {
			doomed[entry.Name()] = true
			continue
		}
		errs = append(errs, folder.Remove(entry.Name()))
	}
	a.swept, a.doomed = true, doomed
	return errors.Join(errs...)
}

func (a *Archive) path(sum []byte) string {
	return filepath.Join(a.dir, hex.EncodeToString(sum))
}
