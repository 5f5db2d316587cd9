// Package vault is what bifrost knows of a vault: its keys, its epoch, its members, and which files
// are a member's keyshares of it. All of it is raw bytes, decoded once, in package chain, whether a
// light client verified it or a node merely said so. It becomes text where people read it.
package vault

import (
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// ErrKeyshares means that files are not a member's two keyshares of a vault, whole and nothing
// else.
var ErrKeyshares = errors.New("keyshares do not fit")

// Vault is a vault in its present epoch: the chain's record of it and its name. Of a vault that a
// keygen has just made, the record has its keys, its epoch and its members.
type Vault struct {
	// PubKey is the compressed secp256k1 key, 33 bytes. It names the vault.
	PubKey []byte
	// Vault is the record. Its members are in ascending order of their keys.
	types.Vault
}

// Name is the vault's name as people read it: its secp256k1 key in lower-case hex.
func (v Vault) Name() string { return types.VaultName(v.PubKey) }

// Keys are both of the vault's keys.
func (v Vault) Keys() keyshare.VaultKeys {
	return keyshare.VaultKeys{Secp256k1: v.PubKey, Ed25519: v.PubKeyEd25519}
}

// Degree is that of the polynomials on which the members' shares lie.
func (v Vault) Degree() int { return verenc.Degree(len(v.Members)) }

// MemberKeys are the members' compressed public keys.
func (v Vault) MemberKeys() [][]byte { return MemberKeys(v.Members) }

// Member finds the member with this raw account address.
func (v Vault) Member(address []byte) (types.Member, bool) {
	return types.FindMember(v.Members, address)
}

// MemberKeys are the compressed public keys of members.
func MemberKeys(members []types.Member) [][]byte {
	keys := make([][]byte, len(members))
	for i, m := range members {
		keys[i] = m.PubKey
	}
	return keys
}

// FileNames are the names of the vault's two keyshare files, the secp256k1 one first. The prefix is
// that of account addresses. It errs when a key is no point of its curve.
func (v Vault) FileNames(prefix string) ([2]string, error) {
	ecdsa, err := keyshare.EncodeSecp256k1(prefix, v.PubKey)
	if err != nil {
		return [2]string{}, fmt.Errorf("vault %s: %w", v.Name(), err)
	}
	eddsa, err := keyshare.EncodeEd25519(prefix, v.PubKeyEd25519)
	if err != nil {
		return [2]string{}, fmt.Errorf("vault %s: %w", v.Name(), err)
	}
	return [2]string{keyshare.FileName(ecdsa), keyshare.FileName(eddsa)}, nil
}

// Keyshares are a member's two keyshares of a vault, which [Vault.Check] found to be right. They
// are secret: the caller wipes them.
type Keyshares struct {
	Secp256k1, Ed25519 *keyshare.Keyshare
	// Files are the two files, in the same order. They are the caller's, and not wiped with this.
	Files []envelope.File

	epoch uint64
}

// Wipe overwrites the parsed keyshares.
func (k *Keyshares) Wipe() {
	for _, share := range []*keyshare.Keyshare{k.Secp256k1, k.Ed25519} {
		if share != nil {
			share.Wipe()
		}
	}
}

// Check returns the keyshares that the files hold if they are those of this member, given by its
// compressed public key, of this vault: both, whole, under their own names, and nothing else. The
// files come in any order. The error wraps [ErrKeyshares] and names the file.
func (v Vault) Check(files []envelope.File, member []byte) (_ *Keyshares, err error) {
	keys := &Keyshares{Files: make([]envelope.File, 2), epoch: v.Epoch}
	defer func() {
		if err != nil {
			keys.Wipe()
		}
	}()
	for _, f := range files {
		share, err := v.CheckFile(f, member)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrKeyshares, f.Name, err)
		}
		i, place := 0, &keys.Secp256k1
		if share.Curve() == keyshare.Ed25519 {
			i, place = 1, &keys.Ed25519
		}
		if *place != nil {
			share.Wipe()
			return nil, fmt.Errorf(
				"%w: two keyshares of the vault's %s key",
				ErrKeyshares,
				share.Curve(),
			)
		}
		*place, keys.Files[i] = share, f
	}
	if keys.Secp256k1 == nil {
		return nil, fmt.Errorf("%w: the secp256k1 keyshare is missing", ErrKeyshares)
	}
	if keys.Ed25519 == nil {
		return nil, fmt.Errorf("%w: the ed25519 keyshare is missing", ErrKeyshares)
	}
	return keys, nil
}

// CheckFile returns the keyshare that a file holds if it is this member's, given by its compressed
// public key, of one of this vault's keys, whole and under its own name. The caller wipes it.
func (v Vault) CheckFile(f envelope.File, member []byte) (*keyshare.Keyshare, error) {
	return checkFile(f, func(share *keyshare.Keyshare) error {
		return share.Check(v.Keys(), member, v.MemberKeys())
	})
}

// PublicShares are those of all members, as their votes carry them: the same, byte for byte, from
// each member's keyshares.
func (k *Keyshares) PublicShares() (types.PublicShares, error) {
	var shares types.PublicShares
	for _, c := range []struct {
		share *keyshare.Keyshare
		list  *[]types.PublicShare
	}{{k.Secp256k1, &shares.Secp256k1}, {k.Ed25519, &shares.Ed25519}} {
		public, err := c.share.PublicShares(k.epoch)
		if err != nil {
			return types.PublicShares{}, fmt.Errorf("%s: %w", c.share.FileName(), err)
		}
		for _, p := range public {
			*c.list = append(
				*c.list,
				types.PublicShare{Member: types.SignerAddress(p.Member), Id: p.ID, Point: p.Point},
			)
		}
	}
	return shares, nil
}

// Shares are the member's secret shares, the secp256k1 one first. The caller wipes them.
func (k *Keyshares) Shares() ([]verenc.Share, error) {
	var shares []verenc.Share
	for _, share := range []*keyshare.Keyshare{k.Secp256k1, k.Ed25519} {
		s, err := share.Share()
		if err != nil {
			for _, made := range shares {
				made.Wipe()
			}
			return nil, fmt.Errorf("%s: %w", share.FileName(), err)
		}
		shares = append(shares, s)
	}
	return shares, nil
}
