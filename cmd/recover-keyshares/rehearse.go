package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// rehearsal is a store of keyshare files in which nothing is written. It says what a save would.
type rehearsal struct {
	store restore.Store
	dir   string
}

// Load implements restore.Store. Without a folder there is no file.
func (r rehearsal) Load(epoch uint64, name string) ([]byte, error) {
	if r.store == nil {
		return nil, fs.ErrNotExist
	}
	return r.store.Load(epoch, name)
}

// Save implements restore.Store: it errs where a file is there that differs.
func (r rehearsal) Save(epoch uint64, files []envelope.File) error {
	for _, f := range files {
		data, err := r.Load(epoch, f.Name)
		different := err == nil && string(data) != string(f.Data)
		sanity.Wipe(data)
		if different {
			err = durable.ErrDifferent
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", filepath.Join(r.dir, f.Name), err)
		}
	}
	return nil
}

// keptTrust is what was verified at other times, to which nothing is added.
type keptTrust struct{ chain.TrustDir }

// Load implements chain.TrustStore. Without a folder there is nothing.
func (t keptTrust) Load(chainID string) ([]byte, error) {
	if t.TrustDir == "" {
		return nil, nil
	}
	return t.TrustDir.Load(chainID)
}

// Save implements chain.TrustStore.
func (keptTrust) Save(string, []byte) error { return nil }
