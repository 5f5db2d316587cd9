package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// rehearsal is a folder of keyshare files in which nothing is written. It says what a save would.
type rehearsal string

// Load implements restore.Store. Without a folder there is no file.
func (dir rehearsal) Load(name string) ([]byte, error) {
	if dir == "" {
		return nil, fs.ErrNotExist
	}
	return os.ReadFile(filepath.Join(string(dir), name))
}

// Save implements restore.Store: it errs where a file is there that differs.
func (dir rehearsal) Save(files []envelope.File) error {
	for _, f := range files {
		data, err := dir.Load(f.Name)
		different := err == nil && string(data) != string(f.Data)
		sanity.Wipe(data)
		if different {
			err = durable.ErrDifferent
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", filepath.Join(string(dir), f.Name), err)
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
