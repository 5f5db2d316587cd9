package vault

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// groupFile is a group part with all that it takes to join keyshares, in the JSON in which the
// module's query Group shows it.
type groupFile struct {
	Vault         string `json:"vault"`
	PubKeyEd25519 string `json:"pub_key_ed25519"`
	Epoch         uint64 `json:"epoch,string"`
	GroupHash     string `json:"group_hash"`
	Group         []byte `json:"group"`
	Sha256        string `json:"sha256"`
	// Height is that of the block whose transaction carries it, 0 when that is not known.
	Height int64 `json:"height,string"`
	// Members are the members' compressed keys in hex, in the order of the group part.
	Members []string `json:"members"`
}

// EncodeGroup gives the file in which the group part of the vault is kept: the JSON that the query
// Group answers, which [ParseGroup] reads. The group part alone does not name the members. It errs
// when the bytes are not the group part of so many members.
func (v Vault) EncodeGroup(group []byte) ([]byte, error) {
	hash, err := v.groupHash(group)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(group)
	f := groupFile{
		Vault: v.Name(), PubKeyEd25519: hex.EncodeToString(v.PubKeyEd25519), Epoch: v.Epoch,
		GroupHash: hex.EncodeToString(hash), Group: group, Sha256: hex.EncodeToString(sum[:]),
		Members: []string{},
	}
	for _, m := range v.Members {
		f.Members = append(f.Members, hex.EncodeToString(m.PubKey))
	}
	data, err := json.Marshal(f)
	return append(data, '\n'), err
}

// ParseGroup reads what the query Group answered, or [Vault.EncodeGroup] gave: the group part, and
// the vault as far as it shows, its keys, its epoch and its members. All of it must have the group
// hash that stands beside it; whether that is the vault's only its record tells, and secrets that
// are joined with it do.
func ParseGroup(data []byte) (v Vault, group []byte, err error) {
	var f groupFile
	if err := json.Unmarshal(data, &f); err != nil {
		return v, nil, errors.New("it is not the JSON that the query group prints")
	}
	v = Vault{Vault: types.Vault{Epoch: f.Epoch, Split: true}}
	if v.PubKey, err = decodeHex("vault", f.Vault, types.PubKeySize); err != nil {
		return v, nil, err
	}
	v.PubKeyEd25519, err = decodeHex("ed25519 key", f.PubKeyEd25519, types.PubKeyEd25519Size)
	if err != nil {
		return v, nil, err
	}
	if v.SharesHash, err = decodeHex("group hash", f.GroupHash, types.HashSize); err != nil {
		return v, nil, err
	}
	for _, key := range f.Members {
		raw, err := decodeHex("member's key", key, types.PubKeySize)
		if err != nil {
			return v, nil, err
		}
		v.Members = append(v.Members, types.Member{PubKey: raw})
	}
	hash, err := v.groupHash(f.Group)
	if err != nil {
		return v, nil, err
	}
	if !bytes.Equal(hash, v.SharesHash) {
		return v, nil, fmt.Errorf("its group hash is %x, and what is in it has %x", v.SharesHash, hash)
	}
	return v, f.Group, nil
}

func (v Vault) groupHash(group []byte) ([]byte, error) {
	entries, err := sanity.ParseGroup(group, len(v.Members))
	if err != nil {
		return nil, err
	}
	return types.GroupHash(v.PubKey, v.PubKeyEd25519, v.Members, sanity.GroupPoints(entries))
}
