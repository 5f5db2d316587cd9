package rebuild

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
)

// ErrMixed means that secrets are not those of members of one vault in one epoch.
var ErrMixed = errors.New("the secrets do not belong together")

// FromSecrets gives a vault's private keys from the secrets files of as many members as sign
// together, when the group part is lost everywhere and the state with it: from their shares alone,
// which are checked by nothing but the vault's keys, the same in all of the files.
//
// How many are enough it cannot know, because nothing tells how many members there are. When one
// member's share does not fit what the others' give, it is left out: misfits are the places of such
// members. The error wraps [ErrMixed] when the secrets are of several vaults or epochs, or twice of
// one member, and [ErrTooFew] when they give no key: more are needed, or several are damaged.
func FromSecrets(secrets []*sanity.Secrets) (keys *Keys, misfits []int, err error) {
	if err := checkTogether(secrets); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrMixed, err)
	}
	first := secrets[0]
	keys = &Keys{
		vault:   hex.EncodeToString(first.PubKey),
		ed25519: hex.EncodeToString(first.PubKeyEd25519),
	}
	for g, vault := range [2][]byte{first.PubKey, first.PubKeyEd25519} {
		points, err := newShares(groups[g], secrets)
		if err == nil {
			var misfit int
			keys.keys[g], misfit, err = points.key(vault)
			if misfit >= 0 && !slices.Contains(misfits, misfit) {
				misfits = append(misfits, misfit)
			}
			points.wipe()
		}
		if err != nil {
			keys.Wipe()
			return nil, nil, err
		}
	}
	slices.Sort(misfits)
	return keys, misfits, nil
}

// checkTogether makes sure that secrets are of one vault and epoch, each of another member.
func checkTogether(secrets []*sanity.Secrets) error {
	if len(secrets) == 0 {
		return errors.New("there are none")
	}
	first := secrets[0]
	for i, s := range secrets {
		switch {
		case !bytes.Equal(s.PubKey, first.PubKey):
			return fmt.Errorf("those of member %x are of vault %x, and those of member %x of vault %x",
				s.Member, s.PubKey, first.Member, first.PubKey)
		case !bytes.Equal(s.PubKeyEd25519, first.PubKeyEd25519):
			return fmt.Errorf("those of members %x and %x name two ed25519 keys of the vault",
				s.Member, first.Member)
		case s.Epoch != first.Epoch:
			return fmt.Errorf("those of member %x are of epoch %d, and those of member %x of epoch %d",
				s.Member, s.Epoch, first.Member, first.Epoch)
		case slices.ContainsFunc(secrets[:i], func(o *sanity.Secrets) bool {
			return bytes.Equal(o.Member, s.Member)
		}):
			return fmt.Errorf("there are two of member %x", s.Member)
		}
	}
	return nil
}

// shares are those of one key, each with the place where it lies.
type shares struct {
	group  verenc.Group
	ids    [][]byte
	shares []verenc.Share
}

// newShares takes the shares of a group's key from secrets.
func newShares(group verenc.Group, secrets []*sanity.Secrets) (*shares, error) {
	s := &shares{group: group}
	for _, of := range secrets {
		xi := of.Secret.XiSecp256k1()
		if group == verenc.Ed25519 {
			xi = of.Secret.XiEd25519()
		}
		number := new(big.Int).SetBytes(xi)
		share, err := verenc.ShareFromInt(group, number)
		clear(number.Bits())
		var id []byte
		if err == nil {
			s.shares = append(s.shares, share)
			id, err = verenc.ShareID(group, of.Epoch, of.Member)
		}
		if err != nil {
			s.wipe()
			return nil, fmt.Errorf("%w: the %v share of member %x: %w", ErrDamaged, group, of.Member, err)
		}
		s.ids = append(s.ids, id)
	}
	return s, nil
}

// key is the one that the shares give, of this point: all of them, or all but one, whose place is
// misfit then.
func (s *shares) key(vault []byte) (key verenc.Share, misfit int, err error) {
	if key, err = verenc.Interpolate(s.group, vault, s.ids, s.shares); err == nil {
		return key, -1, nil
	}
	for i := range s.shares {
		key, err = verenc.Interpolate(s.group, vault,
			slices.Delete(slices.Clone(s.ids), i, i+1),
			slices.Delete(slices.Clone(s.shares), i, i+1))
		if err == nil {
			return key, i, nil
		}
	}
	return key, -1, fmt.Errorf("%w: the %v shares of %d members do not give the vault's key: more "+
		"are needed, two thirds of the vault's members in all, or several of these are damaged",
		ErrTooFew, s.group, len(s.shares))
}

func (s *shares) wipe() {
	for _, share := range s.shares {
		share.Wipe()
	}
}
