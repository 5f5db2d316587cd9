package care

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
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
	// SHA256 are the hashes in hex, by name, of what is in those of the two files that are there;
	// empty for one that does not open.
	SHA256 map[string]string `json:"sha256"`
	// Error says what is wrong with them, as [Member.CheckFiles] does; it is empty when both are
	// there and right.
	Error string `json:"error,omitempty"`
}

// Held looks at what a store holds of a vault. It errs when a file cannot be read.
func (m Member) Held(store restore.Store, v vault.Vault) (Held, error) {
	hashes, err := m.hashes(store, v)
	if err != nil {
		return Held{}, err
	}
	held := Held{SHA256: hashes}
	if err := m.CheckFiles(store, v); err != nil {
		held.Error = err.Error()
	}
	return held, nil
}

// hashes are those of the vault's files that are there, by name.
func (m Member) hashes(store restore.Store, v vault.Vault) (map[string]string, error) {
	names, err := keyfiles.Names(v, m.Prefix)
	if err != nil {
		return nil, err
	}
	hashes := map[string]string{}
	for _, name := range names {
		data, err := store.Load(v.Epoch, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil && !passing(err):
			hashes[name] = "" // it does not open, and is not what any other is
			continue
		case err != nil:
			return nil, err
		}
		hashes[name] = hashOf(data)
		sanity.Wipe(data)
	}
	return hashes, nil
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// CheckFiles makes sure that the store holds this member's two keyshares of a vault. The error of
// one that is not there wraps fs.ErrNotExist; a wrong one is reported before a missing one.
func (m Member) CheckFiles(store restore.Store, v vault.Vault) error {
	_, err := m.examine(store, v)
	return err
}

// examine is [Member.CheckFiles], and names the files that are there and do not hold what they
// should. It errs without naming any where a file may be right and cannot be read now.
func (m Member) examine(store restore.Store, v vault.Vault) (damaged []string, _ error) {
	names, err := keyfiles.Names(v, m.Prefix)
	if err != nil {
		return nil, err
	}
	var wrong, missing error
	for _, name := range names {
		err := m.checkFile(store, name, v)
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist):
			missing = fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		case passing(err):
			return nil, err
		default:
			damaged = append(damaged, name)
			wrong = errors.Join(wrong, fmt.Errorf("%s is damaged or another's: %w", name, err))
		}
	}
	if wrong != nil {
		return damaged, wrong
	}
	if missing == nil && len(v.Former) > 0 {
		// What each file is of does not tell of which epoch.
		if err := m.checkBoth(store, v); errors.Is(err, keyfiles.ErrOtherEpoch) {
			return names[:], err
		} else if err != nil {
			return nil, err
		}
	}
	return nil, missing
}

func (m Member) checkBoth(store restore.Store, v vault.Vault) error {
	files, err := keyfiles.Read(v, m.Prefix, store.Load)
	if err != nil {
		return err
	}
	defer keyfiles.Wipe(files)
	keys, err := keyfiles.Check(v, files, m.PubKey)
	if err == nil {
		keys.Wipe()
	}
	return err
}

// passing reports whether an error is about the way to a file, such as its mode or too many open
// files, and says nothing of what it holds. A disk that cannot read a sector any more does.
func passing(err error) bool {
	var way *fs.PathError
	return errors.As(err, &way) && !errors.Is(err, syscall.EIO)
}

func (m Member) checkFile(store restore.Store, name string, v vault.Vault) error {
	data, err := store.Load(v.Epoch, name)
	defer sanity.Wipe(data)
	if err != nil {
		return err
	}
	share, err := keyfiles.CheckFile(v, envelope.File{Name: name, Data: data}, m.PubKey)
	if err != nil {
		return err
	}
	share.Wipe()
	return nil
}
