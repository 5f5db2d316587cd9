package publish

import (
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// vaultShares are what a proof needs of a vault's two keyshares.
type vaultShares struct {
	// public are the public shares of all members: the same, byte for byte, for
	// each of them.
	public types.PublicShares
	// own are this member's secret shares, secp256k1 first.
	own []verenc.Share
}

// wipe overwrites the secret shares.
func (s *vaultShares) wipe() {
	for _, share := range s.own {
		share.Wipe()
	}
}

// readShares reads the two keyshare files of an epoch of a vault, the secp256k1 one
// first, which were checked before. The caller wipes what it returns.
func readShares(epoch uint64, files []envelope.File) (_ *vaultShares, err error) {
	if len(files) != 2 {
		return nil, errors.New("a vault has two keyshare files")
	}
	s := &vaultShares{}
	defer func() {
		if err != nil {
			s.wipe()
		}
	}()
	for i, group := range []verenc.Group{verenc.Secp256k1, verenc.Ed25519} {
		k, err := keyshare.Parse(files[i].Data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", files[i].Name, err)
		}
		defer k.Wipe()
		if k.Group() != group {
			return nil, fmt.Errorf("%s: it is not of the vault's %s key", files[i].Name, group)
		}
		public, err := k.PublicShares(epoch)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", files[i].Name, err)
		}
		list := make([]types.PublicShare, len(public))
		for j, p := range public {
			list[j] = types.PublicShare{Member: types.SignerAddress(p.Member), Id: p.ID, Point: p.Point}
		}
		if group == verenc.Secp256k1 {
			s.public.Secp256k1 = list
		} else {
			s.public.Ed25519 = list
		}
		share, err := k.Share()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", files[i].Name, err)
		}
		s.own = append(s.own, share)
	}
	return s, nil
}
