package publish

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// errNoKeyshares says that a vault's keyshares are not on this disk.
var errNoKeyshares = errors.New("the vault's keyshares are not here: recover them")

// keyshareFile is what is asked of a parsed keyshare file.
type keyshareFile interface {
	Check(vault keyshare.VaultKeys, member []byte, members [][]byte) error
	Group() verenc.Group
	PublicShares(epoch uint64) ([]keyshare.PublicShare, error)
	Share() (verenc.Share, error)
	Wipe()
}

// keyshares are this member's two keyshares of a vault, read from the disk and checked
// once, for the proof and for the message: what is proven is what is sealed.
type keyshares struct {
	// files are the two files, secp256k1 first.
	files []envelope.File
	// public are the public shares of all members: the same, byte for byte, for
	// each of them.
	public types.PublicShares
	// own are this member's secret shares, secp256k1 first.
	own []verenc.Share
}

// wipe overwrites the secrets.
func (s *keyshares) wipe() {
	for _, f := range s.files {
		sanity.Wipe(f.Data)
	}
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

// keysharesOf returns the keyshares that an entry holds, or reads those of an epoch of a
// vault into it. Whoever advances the entry makes it forget them.
func (p *Publisher) keysharesOf(
	e *entry, epoch uint64, vault keyshare.VaultKeys, members []types.MemberInfo,
) (*keyshares, error) {
	if e.keyshares == nil {
		var err error
		if e.keyshares, err = p.readKeyshares(epoch, vault, keysOf(members)); err != nil {
			return nil, err
		}
	}
	return e.keyshares, nil
}

// readKeyshares reads a vault's keyshare files and makes sure that they are this
// vault's and this member's: a backup of anything else is worse than none.
func (p *Publisher) readKeyshares(
	epoch uint64, vault keyshare.VaultKeys, members [][]byte,
) (_ *keyshares, err error) {
	names, err := p.fileNames(vault)
	if err != nil {
		return nil, err
	}
	s := &keyshares{}
	defer func() {
		if err != nil {
			s.wipe()
		}
	}()
	for i, group := range []verenc.Group{verenc.Secp256k1, verenc.Ed25519} {
		data, err := p.store.Load(names[i])
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: no %s", errNoKeyshares, names[i])
		}
		if err != nil {
			return nil, err
		}
		s.files = append(s.files, envelope.File{Name: names[i], Data: data})
		k, err := p.check(group, data, vault, members)
		if err == nil {
			err = s.take(k, epoch)
			k.Wipe()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", names[i], err)
		}
	}
	return s, nil
}

// check parses a keyshare file and makes sure that it is this member's, of this vault's
// key in the group. The caller wipes what it returns.
func (p *Publisher) check(
	group verenc.Group, data []byte, vault keyshare.VaultKeys, members [][]byte,
) (keyshareFile, error) {
	k, err := p.parse(data)
	if err != nil {
		return nil, err
	}
	if k.Group() != group {
		err = fmt.Errorf("it is not of the vault's %s key", group)
	} else {
		err = k.Check(vault, p.cfg.PubKey, members)
	}
	if err != nil {
		k.Wipe()
		return nil, err
	}
	return k, nil
}

// take adds the shares of a keyshare: of both, secp256k1 first.
func (s *keyshares) take(k keyshareFile, epoch uint64) error {
	public, err := k.PublicShares(epoch)
	if err != nil {
		return err
	}
	list := make([]types.PublicShare, len(public))
	for i, p := range public {
		list[i] = types.PublicShare{Member: types.SignerAddress(p.Member), Id: p.ID, Point: p.Point}
	}
	if k.Group() == verenc.Secp256k1 {
		s.public.Secp256k1 = list
	} else {
		s.public.Ed25519 = list
	}
	share, err := k.Share()
	if err != nil {
		return err
	}
	s.own = append(s.own, share)
	return nil
}

// fileNames are the names of a vault's keyshare files: secp256k1, then ed25519.
func (p *Publisher) fileNames(vault keyshare.VaultKeys) ([2]string, error) {
	ecdsa, err := keyshare.EncodeSecp256k1(p.cfg.Prefix, vault.Secp256k1)
	if err != nil {
		return [2]string{}, err
	}
	eddsa, err := keyshare.EncodeEd25519(p.cfg.Prefix, vault.Ed25519)
	if err != nil {
		return [2]string{}, err
	}
	return [2]string{keyshare.FileName(ecdsa), keyshare.FileName(eddsa)}, nil
}

func vaultKeys(vault, vaultEd25519 string) keyshare.VaultKeys {
	return keyshare.VaultKeys{Secp256k1: unhex(vault), Ed25519: unhex(vaultEd25519)}
}

func keysOf(members []types.MemberInfo) [][]byte {
	keys := make([][]byte, len(members))
	for i, m := range members {
		keys[i] = unhex(m.PubKey)
	}
	return keys
}
