package homebackup

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

var (
	// ErrDamaged means that a backup is not whole: something of it is missing, or is not what it
	// was.
	ErrDamaged = errors.New("the backup is not whole")
	// ErrNone means that a folder holds no backup, or none that the keys open.
	ErrNone = errors.New("no backup")
	// ErrOthers means that there are backups and the keys open none.
	ErrOthers = errors.New("the backups are of another mnemonic")
	// ErrChoose means that there are several backups to restore from, and that the newest of a
	// store is not all of it.
	ErrChoose = errors.New("choose a backup")
)

const (
	objectsDir   = "objects"
	manifestsDir = "manifests"
	sealedSuffix = ".age"

	// maxFile bounds what is read.
	maxFile = 80 << 20
)

// Keys open the backups of one signer.
type Keys struct {
	// Home is what they are sealed with.
	Home *keystore.Keys
	// PubKey is the signer's, by which manifests are signed.
	PubKey []byte
}

// A place is a manifest's file in a store, by its name.
type place struct {
	sequence uint64
	// head is what the name has of the SHA-256.
	head string
}

func (p place) id() string { return strconv.FormatUint(p.sequence, 10) + "-" + p.head }

func parsePlace(id string) (p place, ok bool) {
	sequence, head, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(sequence, 10, 64)
	p = place{n, head}
	ok = err == nil && n > 0 && p.id() == id && isSum(strings.Repeat(head, 4))
	return p, ok && len(head) == 16
}

// A store is what one home has in a folder.
type store struct{ dir, id string }

func (s store) path(sub, name string) string {
	return filepath.Join(s.dir, s.id, sub, name+sealedSuffix)
}

// names are those of the files in a folder of the store, without their ending and without what is
// no file of a backup.
func (s store) names(sub string, is func(string) bool) (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, s.id, sub))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), sealedSuffix); ok && !e.IsDir() && is(name) {
			names = append(names, name)
		}
	}
	return names, err
}

func (s store) objects() ([]string, error) { return s.names(objectsDir, isSum) }

// manifests are the places of the store's manifests, the newest first.
func (s store) manifests() (places []place, err error) {
	_, err = s.names(manifestsDir, func(name string) bool {
		p, ok := parsePlace(name)
		if ok {
			places = append(places, p)
		}
		return ok
	})
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(b.sequence, a.sequence), strings.Compare(a.head, b.head))
	})
	return places, err
}

// stores are those in a folder. One that does not exist is an error.
func stores(dir string) (all []store, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if isID(e.Name()) {
			all = append(all, store{dir, e.Name()})
		}
	}
	return all, err
}

// object returns the age file of an object. Its error wraps [ErrDamaged] when it is not there, or
// is not what its name says.
func (s store) object(sum string) ([]byte, error) {
	data, err := durable.Read(s.path(objectsDir, sum), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the object %s is missing", ErrDamaged, sum)
	}
	if err == nil && sumOf(data) != sum {
		err = fmt.Errorf("%w: the object %s is not what its name says", ErrDamaged, sum)
	}
	return data, err
}

// sealed returns the age file of a manifest.
func (s store) sealed(p place) (m sealedManifest, err error) {
	data, err := durable.Read(s.path(manifestsDir, p.id()), maxFile)
	m = sealedManifest{s.id, p, data}
	if err == nil {
		err = m.check()
	}
	return m, err
}

// check errs when the manifest is not what its name says.
func (s sealedManifest) check() error {
	if sum := sumOf(s.data); sum[:len(s.place.head)] != s.place.head {
		return fmt.Errorf("%w: the manifest %s is not what its name says", ErrDamaged, s.place.id())
	}
	return nil
}

// open returns a manifest, which is signed by the signer. Its error wraps [keystore.ErrSealed] when
// it is sealed for others, and [ErrDamaged] when it is not what it should be.
func (s store) open(p place, keys Keys) (*Manifest, error) {
	sealed, err := s.sealed(p)
	if err != nil {
		return nil, err
	}
	return sealed.open(keys)
}

// open is that of a store, for a manifest that was read.
func (s sealedManifest) open(keys Keys) (*Manifest, error) {
	p := s.place
	if err := s.check(); err != nil {
		return nil, err
	}
	plain, err := keys.Home.Open(s.data)
	if err != nil {
		return nil, fmt.Errorf("the manifest %s: %w", p.id(), err)
	}
	m, err := parseManifest(plain)
	if err == nil {
		m.sum = sumOf(s.data)
		switch {
		case m.PubKey != hex.EncodeToString(keys.PubKey):
			err = fmt.Errorf("it is signed by %s, whose key is not that of the mnemonic: is it another "+
				"HD path?", m.Signer)
		case m.Store != s.store || m.Sequence != p.sequence:
			err = errors.New("it is of another place")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the manifest %s: %w", ErrDamaged, p.id(), err)
	}
	return m, nil
}

// openFile returns the contents of a file of a manifest, which the caller wipes: none of the
// mnemonic, whose object is compared with its name alone. Its error wraps [ErrDamaged], and there
// are none beside it.
func (s store) openFile(f File, keys Keys) (sealed, plain []byte, err error) {
	sealed, err = s.object(f.Object)
	if err == nil && f.IsMnemonic() {
		return sealed, nil, nil
	}
	if err == nil {
		plain, err = keys.Home.Open(sealed)
	}
	if err == nil && !f.holds(plain) {
		sanity.Wipe(plain)
		sealed, plain = nil, nil
		err = fmt.Errorf("the object %s does not hold what the manifest says", f.Object)
	}
	if err != nil && !errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return sealed, plain, err
}

// write writes a file of the store, reads it back and compares it. Nothing is replaced.
func write(path string, data []byte) error {
	if err := durable.Write(path, data); err != nil {
		return err
	}
	again, err := durable.Read(path, maxFile)
	if err == nil && !bytes.Equal(again, data) {
		err = fmt.Errorf("%s does not hold what was written to it", path)
	}
	return err
}
