package keyfiles

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
)

// Sound makes sure, as far as that shows without the chain's record, that files are one
// member's keyshares of one vault: at most one of each of its two keys, each whole, sound in itself
// and under its own name, all of one member among the same members. They can be restored, then. Its
// error wraps [ErrKeyshares] and names the file.
func Sound(files []envelope.File) error {
	if len(files) == 0 {
		return fmt.Errorf("%w: there is none", ErrKeyshares)
	}
	var shares []*keyshare.Keyshare
	defer func() {
		for _, share := range shares {
			share.Wipe()
		}
	}()
	for _, f := range files {
		share, err := checkFile(f, (*keyshare.Keyshare).Verify)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrKeyshares, f.Name, err)
		}
		for i, other := range shares {
			if err := together(other, share); err != nil {
				share.Wipe()
				return fmt.Errorf("%w: %s and %s: %w", ErrKeyshares, files[i].Name, f.Name, err)
			}
		}
		shares = append(shares, share)
	}
	return nil
}

// together says why two keyshares are not a member's of one vault.
func together(a, b *keyshare.Keyshare) error {
	switch {
	case !bytes.Equal(a.LocalParty(), b.LocalParty()):
		return fmt.Errorf("they are of two members, %x and %x", a.LocalParty(), b.LocalParty())
	case !slices.EqualFunc(a.Participants(), b.Participants(), bytes.Equal):
		return errors.New("they are of two vaults: their members differ")
	case a.PubKey == b.PubKey:
		return errors.New("they are of the same key")
	case a.Curve() == b.Curve():
		return fmt.Errorf("they are of two vaults: each is of a %s key", a.Curve())
	}
	return nil
}

// checkFile returns the keyshare in a file that passes the check, whole and under its own name.
func checkFile(
	f envelope.File,
	check func(*keyshare.Keyshare) error,
) (*keyshare.Keyshare, error) {
	share, err := keyshare.Parse(f.Data)
	if err != nil {
		return nil, err
	}
	if !share.IsNamed(f.Name) {
		err = fmt.Errorf(
			"it holds the keyshare of %s, whose file is named %s",
			share.PubKey,
			share.FileName(),
		)
	} else {
		err = check(share)
	}
	if err != nil {
		share.Wipe()
		return nil, err
	}
	return share, nil
}
