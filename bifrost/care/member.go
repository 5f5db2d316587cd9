package care

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Member is who this signer is in its vaults, and what it opens envelopes with.
type Member struct {
	// Address is in bech32 with the prefix, PubKey the compressed key behind it.
	Address  string
	PubKey   []byte
	Prefix   string
	Mnemonic *sanity.Mnemonic
}

// Raw is the raw account address.
func (m Member) Raw() []byte { return types.SignerAddress(m.PubKey) }

// Held is what is on the disk of a vault's keyshares. It shows nothing of what they hold.
type Held struct {
	// SHA256 are the hashes in hex, by name, of those of the two files that are there.
	SHA256 map[string]string `json:"sha256"`
	// Error says what is wrong with them, as [Member.CheckFiles] does; it is empty when both are
	// there and right.
	Error string `json:"error,omitempty"`
}

// Held looks at what a store holds of a vault. It errs when a file cannot be read.
func (m Member) Held(store restore.Store, v vault.Vault) (Held, error) {
	names, err := v.FileNames(m.Prefix)
	if err != nil {
		return Held{}, err
	}
	held := Held{SHA256: map[string]string{}}
	for _, name := range names {
		data, err := store.Load(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Held{}, err
		}
		held.SHA256[name] = hashOf(data)
		sanity.Wipe(data)
	}
	if err := m.CheckFiles(store, v); err != nil {
		held.Error = err.Error()
	}
	return held, nil
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// CheckFiles makes sure that the store holds this member's two keyshares of a vault. The error of
// one that is not there wraps fs.ErrNotExist; a wrong one is reported before a missing one.
func (m Member) CheckFiles(store restore.Store, v vault.Vault) error {
	names, err := v.FileNames(m.Prefix)
	if err != nil {
		return err
	}
	var missing error
	for _, name := range names {
		err := m.checkFile(store, name, v)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		case err != nil:
			return fmt.Errorf("%s is damaged or another's (move it away to have it restored): %w",
				name, err)
		}
	}
	return missing
}

func (m Member) checkFile(store restore.Store, name string, v vault.Vault) error {
	data, err := store.Load(name)
	defer sanity.Wipe(data)
	if err != nil {
		return err
	}
	share, err := v.CheckFile(envelope.File{Name: name, Data: data}, m.PubKey)
	if err != nil {
		return err
	}
	share.Wipe()
	return nil
}
