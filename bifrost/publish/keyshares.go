package publish

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// errNoKeyshares says that a vault's keyshares are not on this disk.
var errNoKeyshares = errors.New("the vault's keyshares are not here: recover them")

// checkedKeyshares are two keyshare files that were found to be this member's, as
// keyfiles.Keyshares are.
type checkedKeyshares interface {
	PublicShares() (types.PublicShares, error)
	GroupPart() ([]byte, error)
	Shares() ([]verenc.Share, error)
	Wipe()
}

// keyshares are this member's two keyshares of a vault, read from the disk and checked once, for
// the proof and for the message: what is proven is what is sealed.
type keyshares struct {
	// files are the two files, secp256k1 first.
	files []envelope.File
	// public are the public shares of all members, and group in a split keygen their group part:
	// the same, byte for byte, for each of them. hash names what the members agree on of it.
	public types.PublicShares
	group  []byte
	hash   []byte
	// own are this member's secret shares, secp256k1 first.
	own []verenc.Share
}

// wipe overwrites the secrets.
func (s *keyshares) wipe() {
	keyfiles.Wipe(s.files)
	for _, share := range s.own {
		share.Wipe()
	}
}

func (e *entry) forgetKeyshares() {
	if e.keyshares != nil {
		e.keyshares.wipe()
		e.keyshares = nil
	}
}

// keysharesOf returns the keyshares that an entry holds, or reads those of a vault into it. Whoever
// advances the entry makes it forget them.
func (p *Publisher) keysharesOf(e *entry, v vault.Vault) (*keyshares, error) {
	if e.keyshares == nil {
		var err error
		if e.keyshares, err = p.readKeyshares(v); err != nil {
			return nil, err
		}
	}
	return e.keyshares, nil
}

// readKeyshares reads a vault's keyshare files and makes sure that they are this vault's and this
// member's: a backup of anything else is worse than none.
func (p *Publisher) readKeyshares(v vault.Vault) (*keyshares, error) {
	files, err := p.keyshareFiles(v)
	if err != nil {
		return nil, err
	}
	return p.takeKeyshares(v, files)
}

// takeKeyshares does so for files that were read, which it wipes when it errs.
func (p *Publisher) takeKeyshares(v vault.Vault, files []envelope.File) (_ *keyshares, err error) {
	s := &keyshares{files: files}
	defer func() {
		if err != nil {
			s.wipe()
		}
	}()
	checked, err := p.checkFiles(v, s.files)
	if err != nil {
		return nil, err
	}
	defer checked.Wipe()
	if s.public, s.group, s.hash, err = agreed(v, checked); err != nil {
		return nil, err
	}
	s.own, err = checked.Shares()
	return s, err
}

// agreed is what all members have to agree on beside the vault's keys, and what names it: their
// public shares, and the group part in a split keygen.
func agreed(
	v vault.Vault, checked checkedKeyshares,
) (public types.PublicShares, group, hash []byte, err error) {
	if public, err = checked.PublicShares(); err != nil {
		return public, nil, nil, err
	}
	if v.Split {
		if group, err = checked.GroupPart(); err != nil {
			return public, nil, nil, fmt.Errorf("the group part: %w", err)
		}
	}
	hash, err = v.ResultHash(public, group)
	return public, group, hash, err
}

// keyshareFiles reads a vault's two keyshare files, secp256k1 first, which the caller wipes. The
// error wraps errNoKeyshares when one is not there.
func (p *Publisher) keyshareFiles(v vault.Vault) ([]envelope.File, error) {
	files, err := keyfiles.Read(v, p.cfg.Prefix, p.store.Load)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", errNoKeyshares, err)
	}
	return files, err
}
