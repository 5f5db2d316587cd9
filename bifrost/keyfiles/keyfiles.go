// Package keyfiles knows which files are a member's keyshares of a vault: how they are named, and
// whether what they hold is whole, sound and of that vault and that member. Whoever writes, seals
// or reads keyshare files asks it.
package keyfiles

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// ErrKeyshares means that files are not a member's two keyshares of a vault, whole and nothing
// else.
var ErrKeyshares = errors.New("keyshares do not fit")

// ErrOtherEpoch means that keyshares are of another epoch of the vault than its record: stale after
// a reshare, they sign nothing together with those of the present one.
var ErrOtherEpoch = errors.New("keyshares of another epoch of the vault")

// Names are the names of a vault's two keyshare files, the secp256k1 one first. The prefix is
// that of account addresses. It errs when a key is no point of its curve.
func Names(v vault.Vault, prefix string) ([2]string, error) {
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

// Read returns a vault's two keyshare files, the secp256k1 one first, of a store that loads a file
// of an epoch by its name. Nothing of what they hold is checked. The caller wipes them; with an
// error there are none.
func Read(
	v vault.Vault, prefix string, load func(epoch uint64, name string) ([]byte, error),
) ([]envelope.File, error) {
	names, err := Names(v, prefix)
	if err != nil {
		return nil, err
	}
	var files []envelope.File
	for _, name := range names {
		data, err := load(v.Epoch, name)
		if err != nil {
			Wipe(files)
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files = append(files, envelope.File{Name: name, Data: data})
	}
	return files, nil
}

// Wipe overwrites what files hold.
func Wipe(files []envelope.File) {
	for _, f := range files {
		sanity.Wipe(f.Data)
	}
}

// Keyshares are a member's two keyshares of a vault, which [Check] found to be right. They
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
// files come in any order. The error wraps [ErrKeyshares] and names the file. Where the record says
// that the vault was reshared they are of its epoch, or the error wraps [ErrOtherEpoch] too.
func Check(v vault.Vault, files []envelope.File, member []byte) (_ *Keyshares, err error) {
	keys := &Keyshares{Files: make([]envelope.File, 2), epoch: v.Epoch}
	defer func() {
		if err != nil {
			keys.Wipe()
		}
	}()
	for _, f := range files {
		share, err := CheckFile(v, f, member)
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
	// All epochs of a vault that was reshared have the same keys, and may have the same members.
	if len(v.Former) > 0 && len(v.SharesHash) > 0 {
		if err := keys.CheckShares(v); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// CheckShares makes sure that the public shares in the keyshares are those that the vault's record
// names, which has a hash of them. The error wraps [ErrKeyshares], and of a vault that was reshared
// [ErrOtherEpoch] too.
func (k *Keyshares) CheckShares(v vault.Vault) error {
	public, err := k.PublicShares()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKeyshares, err)
	}
	var group []byte
	if v.Split {
		if group, err = k.GroupPart(); err != nil {
			return fmt.Errorf("%w: %w", ErrKeyshares, err)
		}
	}
	hash, err := v.ResultHash(public, group)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrKeyshares, err)
	case bytes.Equal(hash, v.SharesHash):
		return nil
	case len(v.Former) > 0:
		return fmt.Errorf("%w: %w", ErrKeyshares, otherEpoch(v))
	}
	return fmt.Errorf("%w: the public shares in them are not those that the chain's state names "+
		"for epoch %d", ErrKeyshares, v.Epoch)
}

// otherEpoch names the epoch that keyshares are not of.
func otherEpoch(v vault.Vault) error {
	return fmt.Errorf("%w: vault %s was reshared and is in epoch %d, from whose folder or backup "+
		"they have to be", ErrOtherEpoch, v.Name(), v.Epoch)
}

// CheckFile returns the keyshare that a file holds if it is this member's, given by its compressed
// public key, of one of the vault's keys, whole and under its own name. The caller wipes it.
func CheckFile(v vault.Vault, f envelope.File, member []byte) (*keyshare.Keyshare, error) {
	keys := keyshare.VaultKeys{Secp256k1: v.PubKey, Ed25519: v.PubKeyEd25519}
	return checkFile(f, func(share *keyshare.Keyshare) error {
		err := share.Check(keys, member, v.MemberKeys())
		if err != nil && len(v.Former) > 0 && share.Check(keys, member, nil) == nil {
			err = fmt.Errorf("%w: %w", otherEpoch(v), err)
		}
		return err
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
