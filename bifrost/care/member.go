package care

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/restore"
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

// CheckFiles makes sure that the store holds this member's two keyshares of a
// vault. The error of one that is not there wraps fs.ErrNotExist; a wrong one is
// reported before a missing one.
func (m Member) CheckFiles(store restore.Store, v types.VaultInfo) error {
	names, err := m.fileNames(v)
	if err != nil {
		return err
	}
	keys := keyshare.VaultKeys{}
	if keys.Secp256k1, err = hex.DecodeString(v.Vault); err != nil {
		return err
	}
	if keys.Ed25519, err = hex.DecodeString(v.PubKeyEd25519); err != nil {
		return err
	}
	var members [][]byte
	for _, of := range v.Members {
		key, err := hex.DecodeString(of.PubKey)
		if err != nil {
			return err
		}
		members = append(members, key)
	}
	var missing error
	for _, name := range names {
		err := m.checkFile(store, name, keys, members)
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

func (m Member) checkFile(
	store restore.Store, name string, keys keyshare.VaultKeys, members [][]byte,
) error {
	data, err := store.Load(name)
	defer sanity.Wipe(data)
	if err != nil {
		return err
	}
	share, err := keyshare.Parse(data)
	if err != nil {
		return err
	}
	defer share.Wipe()
	if share.FileName() != name {
		return fmt.Errorf("it holds the keyshare of %s", share.PubKey)
	}
	return share.Check(keys, m.PubKey, members)
}

// fileNames are the names of a vault's keyshare files: secp256k1, then ed25519.
func (m Member) fileNames(v types.VaultInfo) ([2]string, error) {
	var names [2]string
	for i, key := range []struct {
		hex    string
		encode func(prefix string, raw []byte) (string, error)
	}{{v.Vault, keyshare.EncodeSecp256k1}, {v.PubKeyEd25519, keyshare.EncodeEd25519}} {
		raw, err := hex.DecodeString(key.hex)
		if err != nil {
			return names, err
		}
		text, err := key.encode(m.Prefix, raw)
		if err != nil {
			return names, err
		}
		names[i] = keyshare.FileName(text)
	}
	return names, nil
}
