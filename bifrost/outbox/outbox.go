// Package outbox is the durable record of what a signer is about to send: of its vote on a keygen,
// from the keygen's result to the vote in state, and of a later publication.
//
// There is one file for each, "keygen-7.json" for the vote on keygen 7 and "backup-7.json" for a
// later publication of the epoch that it made. It is replaced at every step, so that a process that
// is killed at any point finds the old step or the new one. A record whose work is over moves to
// the folder "closed" and stays there.
//
// Keyshares on their way to their store are sealed in a record.
package outbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// maxRecord bounds what is read. The keyshares of 512 members are a few megabytes.
const maxRecord = 64 << 20

// An Outbox is a folder of records. It keeps no state of its own; one process at a time works in
// it.
type Outbox struct {
	dir  string
	keys Sealer
}

// Sealer seals what is secret in a record; keystore.Keys is one.
type Sealer interface {
	// Seal returns what Open opens. The caller of Open wipes what it returns.
	Seal(plain []byte) ([]byte, error)
	Open(sealed []byte) ([]byte, error)
}

// NewOutbox returns the outbox in this folder, which need not exist yet.
func NewOutbox(dir string, keys Sealer) *Outbox { return &Outbox{dir: dir, keys: keys} }

func (o *Outbox) path(name string) string       { return filepath.Join(o.dir, name) }
func (o *Outbox) closedPath(name string) string { return filepath.Join(o.dir, "closed", name) }

// Save makes a step of a record durable.
func (o *Outbox) Save(r *Record) error { return o.write(o.path(r.Name()), r) }

// Close moves a record among the closed ones. A crash in between leaves both, and the next Close
// finishes it.
func (o *Outbox) Close(r *Record) error {
	if err := o.write(o.closedPath(r.Name()), r); err != nil {
		return err
	}
	return durable.Remove(o.path(r.Name()))
}

func (o *Outbox) write(path string, r *Record) error {
	stamped := *r
	stamped.Version = version
	if len(r.Keyshares) > 0 {
		plain, err := json.Marshal(r.Keyshares)
		if err != nil {
			return errors.New("encoding keyshares")
		}
		stamped.Keyshares = nil
		stamped.Sealed, err = o.keys.Seal(plain)
		sanity.Wipe(plain)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name(), err)
		}
	}
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
		if e.IsDir() || !isRecord(e.Name()) {
			continue
		}
		r, err := o.read(o.path(e.Name()))
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
	r, err := o.read(o.closedPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return r, err
}

func (o *Outbox) read(path string) (*Record, error) {
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
	if r.Version != version && r.Version != plainVersion {
		return nil, fmt.Errorf("%s has version %d, this bifrost knows %d", path, r.Version, version)
	}
	if err := o.unseal(&r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &r, nil
}

// unseal opens the keyshares of a record.
func (o *Outbox) unseal(r *Record) error {
	if len(r.Sealed) == 0 {
		return nil
	}
	plain, err := o.keys.Open(r.Sealed)
	if err != nil {
		return err
	}
	defer sanity.Wipe(plain)
	var files []envelope.File
	if json.Unmarshal(plain, &files) != nil {
		return errors.New("its keyshares are none")
	}
	r.Keyshares, r.Sealed = files, nil
	return nil
}

// SealPlain seals the keyshares of the records that hold them in plaintext, as those of version 1
// do; it errs when one is not of this signer, whose keys these are. It is no erasure: what was on a
// disk may be read from it later.
func (o *Outbox) SealPlain(signer string) error {
	for _, dir := range []string{o.dir, o.closedPath("")} {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if e.IsDir() || !isRecord(e.Name()) {
				continue
			}
			r, err := o.read(path)
			if err != nil && dir != o.dir {
				continue // of closed ones whoever needs it tells
			}
			if err != nil {
				return err
			}
			if r.Version == plainVersion && len(r.Keyshares) > 0 {
				err = o.sealRecord(path, r, signer)
			}
			for _, f := range r.Keyshares {
				sanity.Wipe(f.Data)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *Outbox) sealRecord(path string, r *Record, signer string) error {
	if r.Signer != signer {
		return fmt.Errorf("%s is of the signer %s, not of %s", path, r.Signer, signer)
	}
	return o.write(path, r)
}

func isRecord(name string) bool {
	return !strings.HasPrefix(name, ".") && filepath.Ext(name) == ".json"
}
