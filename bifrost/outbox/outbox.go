// Package outbox is the durable record of what a signer is about to send: of its vote on a keygen,
// from the keygen's result to the vote in state, and of a later publication.
//
// There is one file for each, "keygen-7.json" for the vote on keygen 7 and "backup-7.json" for a
// later publication of the epoch that it made. It is replaced at every step, so that a process that
// is killed at any point finds the old step or the new one. A record whose work is over moves to
// the folder "closed" and stays there.
//
// The files hold secrets: keyshares on their way to their store.
package outbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// maxRecord bounds what is read. The keyshares of 512 members are a few megabytes.
const maxRecord = 64 << 20

// An Outbox is a folder of records. It keeps no state of its own; one process at a time works in
// it.
type Outbox struct{ dir string }

// NewOutbox returns the outbox in this folder, which need not exist yet.
func NewOutbox(dir string) *Outbox { return &Outbox{dir: dir} }

func (o *Outbox) path(name string) string       { return filepath.Join(o.dir, name) }
func (o *Outbox) closedPath(name string) string { return filepath.Join(o.dir, "closed", name) }

// Save makes a step of a record durable.
func (o *Outbox) Save(r *Record) error { return write(o.path(r.Name()), r) }

// Close moves a record among the closed ones. A crash in between leaves both, and the next Close
// finishes it.
func (o *Outbox) Close(r *Record) error {
	if err := write(o.closedPath(r.Name()), r); err != nil {
		return err
	}
	return durable.Remove(o.path(r.Name()))
}

func write(path string, r *Record) error {
	stamped := *r
	stamped.Version = version
	data, err := json.Marshal(&stamped)
	if err != nil {
		return err
	}
	defer sanity.Wipe(data)
	return durable.Replace(path, data)
}

// Load returns all records that are not closed. It errs when one cannot be read.
func (o *Outbox) Load() ([]*Record, error) {
	entries, err := os.ReadDir(o.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var records []*Record
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || filepath.Ext(e.Name()) != ".json" {
			continue
		}
		r, err := read(o.path(e.Name()))
		if err != nil {
			return nil, err
		}
		if r.Name() != e.Name() {
			return nil, fmt.Errorf("%s holds the record %s", o.path(e.Name()), r.Name())
		}
		records = append(records, r)
	}
	return records, nil
}

// Closed returns a closed record, nil when there is none of this name.
func (o *Outbox) Closed(name string) (*Record, error) {
	r, err := read(o.closedPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return r, err
}

func read(path string) (*Record, error) {
	data, err := durable.Read(path, maxRecord)
	if err != nil {
		return nil, err
	}
	defer sanity.Wipe(data)
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		// The JSON error may quote the contents.
		return nil, fmt.Errorf("%s is not a record of the outbox", path)
	}
	if r.Version != version {
		return nil, fmt.Errorf("%s has version %d, this bifrost knows %d", path, r.Version, version)
	}
	return &r, nil
}
