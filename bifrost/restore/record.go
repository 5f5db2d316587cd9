package restore

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/types/bech32"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// record is what the chain says about a vault, in bytes, with the member picked
// out.
type record struct {
	name    string
	keys    keyshare.VaultKeys
	member  []byte
	members [][]byte
}

// readRecord decodes a vault and finds the member in it by its address, which
// must be that of the member's key.
func readRecord(vault types.VaultInfo, address string) (*record, error) {
	r := &record{name: vault.Vault}
	var err error
	if r.keys.Secp256k1, err = decodeKey(vault.Vault, 33); err != nil {
		return nil, err
	}
	if r.keys.Ed25519, err = decodeKey(vault.PubKeyEd25519, 32); err != nil {
		return nil, err
	}
	for _, m := range vault.Members {
		key, err := decodeKey(m.PubKey, 33)
		if err != nil {
			return nil, err
		}
		r.members = append(r.members, key)
		if m.Address == address {
			r.member = key
		}
	}
	if r.member == nil {
		return nil, fmt.Errorf("%w: %s is not among its %d members", ErrNoVault, address, len(vault.Members))
	}
	_, raw, err := bech32.DecodeAndConvert(address)
	if err != nil {
		return nil, fmt.Errorf("address %s: %w", address, err)
	}
	if !bytes.Equal(raw, (&secp256k1.PubKey{Key: r.member}).Address()) {
		return nil, fmt.Errorf("%w: the member's key has another address than %s", ErrRecord, address)
	}
	return r, nil
}

func decodeKey(s string, size int) ([]byte, error) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != size || hex.EncodeToString(raw) != s {
		return nil, fmt.Errorf("%w: %.80q is not a key of %d bytes in lower-case hex", ErrRecord, s, size)
	}
	return raw, nil
}

// check returns the files, the secp256k1 keyshare first, if they are this
// member's two keyshares of this vault and nothing else.
func (r *record) check(files []envelope.File) ([]envelope.File, error) {
	var byCurve [2]*envelope.File
	for i, f := range files {
		share, err := keyshare.Parse(f.Data)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrKeyshare, f.Name, err)
		}
		defer share.Wipe()
		if share.FileName() != f.Name {
			return nil, fmt.Errorf("%w: %s holds the keyshare of %s", ErrKeyshare, f.Name, share.PubKey)
		}
		if err := share.Check(r.keys, r.member, r.members); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrKeyshare, f.Name, err)
		}
		place := &byCurve[0]
		if share.Curve() == keyshare.Ed25519 {
			place = &byCurve[1]
		}
		if *place != nil {
			return nil, fmt.Errorf("%w: two keyshares of the vault's %s key", ErrKeyshare, share.Curve())
		}
		*place = &files[i]
	}
	if byCurve[0] == nil {
		return nil, fmt.Errorf("%w: the secp256k1 keyshare is missing", ErrKeyshare)
	}
	if byCurve[1] == nil {
		return nil, fmt.Errorf("%w: the ed25519 keyshare is missing", ErrKeyshare)
	}
	return []envelope.File{*byCurve[0], *byCurve[1]}, nil
}
