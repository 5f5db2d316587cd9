package keyshare

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/tssbackup/tssbackup/verenc"
)

// PublicShare is the public point of one member's share, as package verenc encodes it.
type PublicShare struct {
	// Member is the compressed public key of the member.
	Member []byte
	// ID is where the share lies on the secret polynomial, see [verenc.ShareID].
	ID []byte
	// Point is X = x·G of the share x.
	Point []byte
}

// Group is the group of the keyshare in the numbering of package verenc.
func (k *Keyshare) Group() verenc.Group {
	if k.curve == Ed25519 {
		return verenc.Ed25519
	}
	return verenc.Secp256k1
}

// PublicShares are the public shares of all members in ascending order of their ids, which is not
// the order of the parties. They are the same in the keyshares of all members. The file does not
// name the epoch that the keyshare is of: the caller knows it.
func (k *Keyshare) PublicShares(epoch uint64) ([]PublicShare, error) {
	shares := make([]PublicShare, len(k.participants))
	for i, member := range k.participants {
		id, err := verenc.ShareID(k.Group(), epoch, member)
		if err != nil {
			return nil, fmt.Errorf("participant %d: %w", i, err)
		}
		point, err := verenc.PointFromInts(k.Group(), k.bigXj[i].X, k.bigXj[i].Y)
		if err != nil {
			return nil, fmt.Errorf("public share BigXj[%d]: %w", i, err)
		}
		shares[i] = PublicShare{Member: bytes.Clone(member), ID: id, Point: point}
	}
	slices.SortFunc(shares, func(a, b PublicShare) int { return bytes.Compare(a.ID, b.ID) })
	return shares, nil
}

// Share is the member's own secret share, for a proof. The caller wipes it.
func (k *Keyshare) Share() (verenc.Share, error) {
	share, err := verenc.ShareFromInt(k.Group(), k.xi)
	if err != nil {
		return verenc.Share{}, fmt.Errorf("the secret share Xi: %w", err)
	}
	return share, nil
}
