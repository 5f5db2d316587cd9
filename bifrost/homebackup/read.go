package homebackup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/sanity"
)

// A Check says whether a keyshare is one, as mathematics; it does not keep the data.
type Check func(name string, data []byte) error

// opened is a store as its keys see it.
type opened struct {
	store
	// manifests are the ones that are in order, the newest first.
	manifests []*Manifest
	// damaged are the others, at the places bad, the newest first too.
	damaged []Damage
	bad     []place
	// others says that it is sealed for others.
	others bool
}

func openStore(ctx context.Context, s store, keys Keys) (o opened, err error) {
	o.store = s
	places, err := s.manifests()
	if err != nil {
		return o, err
	}
	foreign, known := false, map[string]string{}
	for _, p := range places {
		if err := ctx.Err(); err != nil {
			return o, err
		}
		m, err := s.open(p, keys)
		if err != nil {
			foreign = foreign || errors.Is(err, keystore.ErrSealed)
			o.damaged = append(o.damaged, Damage{Name: s.id + "/manifests/" + p.id(), Err: err})
			o.bad = append(o.bad, p)
			continue
		}
		m.share(known)
		o.manifests = append(o.manifests, m)
	}
	o.others = len(o.manifests) == 0 && foreign
	return o, nil
}

// newestDamaged returns the manifest that is not in order, when it may be the newest.
func (o opened) newestDamaged() (Damage, bool) {
	if len(o.bad) == 0 || len(o.manifests) > 0 && o.bad[0].sequence < o.manifests[0].Sequence {
		return Damage{}, false
	}
	return o.damaged[0], true
}

// openStores are the stores of the signer in a folder, those with the latest backups first. Its
// error wraps [ErrNone] or [ErrOthers] when there is none.
func openStores(ctx context.Context, dir string, keys Keys) (own []opened, err error) {
	all, err := stores(dir)
	if err != nil {
		return nil, err
	}
	others := 0
	for _, s := range all {
		o, err := openStore(ctx, s, keys)
		switch {
		case err != nil:
			return nil, err
		case o.others:
			others++
		case len(o.manifests)+len(o.damaged) > 0:
			own = append(own, o)
		}
	}
	slices.SortStableFunc(own, func(a, b opened) int { return b.time().Compare(a.time()) })
	switch {
	case len(own) > 0:
		return own, nil
	case others > 0:
		return nil, fmt.Errorf("%w: %s", ErrOthers, dir)
	}
	return nil, fmt.Errorf("%w is in %s", ErrNone, dir)
}

func (o opened) time() time.Time {
	if len(o.manifests) == 0 {
		return time.Time{}
	}
	return o.manifests[0].Time
}

// A Store is what one home has in a folder, for people.
type Store struct {
	ID string
	// Manifests are those in order, the newest first.
	Manifests []*Manifest
	// Forks are ids of manifests that name keyshares which the newest does not, as those of a
	// copy of the home do.
	Forks   []string
	Damaged []Damage
	// Objects and Bytes count what is in the store, manifests in the bytes too.
	Objects int
	Bytes   int64
	// Others says that the store is sealed for others, so that nothing in it was opened.
	Others bool
	// Unopened are files of the newest manifest whose objects these keys do not open: the mnemonic.
	Unopened []string
}

// List are the stores of the signer in a folder, those with the latest backups first. It opens
// manifests and reads no object. Its error wraps [ErrNone] or [ErrOthers] when there is none.
func List(ctx context.Context, dir string, keys Keys) (all []Store, err error) {
	own, err := openStores(ctx, dir, keys)
	if err != nil {
		return nil, err
	}
	for _, o := range own {
		s, err := o.summary()
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Newest is the newest backup of a home in a folder, nil when there is none, and the keyshares that
// the home has and it lacks. It goes by names and opens no keyshare.
func Newest(
	ctx context.Context, homeDir, dir string, keys Keys,
) (newest *Manifest, missing []string, err error) {
	known, err := states(homeDir)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range known {
		o, err := openStore(ctx, store{dir, s.id}, keys)
		if err != nil {
			return nil, nil, err
		}
		if d, bad := o.newestDamaged(); bad {
			return nil, nil, d
		}
		if len(o.manifests) > 0 && (newest == nil || newest.Time.Before(o.manifests[0].Time)) {
			newest = o.manifests[0]
		}
	}
	has := map[string]bool{}
	if newest != nil {
		for _, f := range newest.Files {
			has[f.Name] = true
		}
	}
	folder := home.KeysharesDir(homeDir)
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		return newest, nil, nil
	}
	s, err := keystore.Open(folder, keys.Home)
	if err != nil {
		return nil, nil, err
	}
	entries, err := listKeyshares(folder, s)
	for _, e := range entries {
		if name := keyshareName(e); !has[name] {
			missing = append(missing, name)
		}
	}
	return newest, missing, err
}

func (o opened) summary() (Store, error) {
	s := Store{ID: o.id, Manifests: o.manifests, Damaged: o.damaged, Others: o.others}
	if o.others {
		s.Damaged = nil
	}
	for _, m := range o.forks() {
		s.Forks = append(s.Forks, m.ID())
	}
	if len(o.manifests) > 0 {
		s.Unopened = o.manifests[0].unopened()
	}
	objects, err := o.objects()
	if err != nil {
		return s, err
	}
	s.Objects = len(objects)
	for _, sub := range []string{objectsDir, manifestsDir} {
		entries, err := os.ReadDir(filepath.Join(o.dir, o.id, sub))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return s, err
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
				s.Bytes += info.Size()
			}
		}
	}
	return s, nil
}

// forks are the manifests that name a keyshare which the newest does not, and those of its
// sequence. A home never leaves a keyshare out, so another one wrote the manifest, or the newest.
func (o opened) forks() (forks []*Manifest) {
	if len(o.manifests) == 0 {
		return nil
	}
	newest := o.manifests[0]
	has := map[string]bool{}
	for _, f := range newest.Files {
		has[f.SHA256] = f.IsKeyshare() || has[f.SHA256]
	}
	for _, m := range o.manifests[1:] {
		lacks := func(f File) bool { return f.IsKeyshare() && !has[f.SHA256] }
		if m.Sequence == newest.Sequence || slices.ContainsFunc(m.Files, lacks) {
			forks = append(forks, m)
		}
	}
	return forks
}

// Verify reads all that is in a folder and changes nothing. Without keys it compares each object
// and each manifest with its name, and finds out whether there are manifests. With keys it opens
// all that is of the signer as well: signatures, contents, and keyshares by check, which may be
// nil. What is not in order is in the stores; its error is that nothing could be looked at, or
// wraps [ErrNone] or [ErrOthers].
func Verify(ctx context.Context, dir string, keys *Keys, check Check) (all []Store, err error) {
	list, err := stores(dir)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w is in %s", ErrNone, dir)
	}
	own := keys == nil
	for _, s := range list {
		o := opened{store: s}
		if keys != nil {
			if o, err = openStore(ctx, s, *keys); err != nil {
				return nil, err
			}
			own = own || !o.others && len(o.manifests)+len(o.damaged) > 0
		}
		if keys == nil || o.others {
			o.damaged, err = s.checkManifests()
			if err != nil {
				return nil, err
			}
		}
		bad, err := o.verify(ctx, keys, check)
		if err != nil {
			return nil, err
		}
		sum, err := o.summary()
		if err != nil {
			return nil, err
		}
		sum.Damaged = append(o.damaged, bad...)
		all = append(all, sum)
	}
	if !own {
		return all, fmt.Errorf("%w: %s", ErrOthers, dir)
	}
	return all, nil
}

// checkManifests compares manifests with their names.
func (s store) checkManifests() (bad []Damage, err error) {
	places, err := s.manifests()
	for _, p := range places {
		if _, err := s.sealed(p); err != nil {
			bad = append(bad, Damage{Name: s.id + "/manifests/" + p.id(), Err: err})
		}
	}
	return bad, err
}

// verify looks at the objects of a store, each once, and at the files in them.
func (o opened) verify(ctx context.Context, keys *Keys, check Check) (bad []Damage, err error) {
	places, err := o.store.manifests()
	if err != nil {
		return nil, err
	}
	if len(places) == 0 {
		bad = append(bad, Damage{Name: o.id, Err: fmt.Errorf("%w: it has no manifest, so a first "+
			"backup did not end or the manifests are lost", ErrDamaged)})
	}
	seen := map[string]bool{}
	for _, m := range o.manifests {
		found, err := verifyFiles(ctx, o.store, m.Files, *keys, check, seen)
		bad = append(bad, found...)
		if err != nil {
			return bad, err
		}
	}
	names, err := o.objects()
	if err != nil {
		return bad, err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return bad, err
		}
		if seen[name] {
			continue
		}
		if _, err := o.object(name); err != nil {
			bad = append(bad, Damage{Name: o.id + "/objects/" + name, Object: name, Err: err})
		}
	}
	return bad, nil
}

// A source has the files of manifests.
type source interface {
	// openFile returns the contents of a file, which the caller wipes, and the age file that a
	// keyshare is. Its error wraps [ErrDamaged].
	openFile(f File, keys Keys) (sealed, plain []byte, err error)
}

// verifyFiles opens files whose objects were not seen yet, and checks what is in them.
func verifyFiles(
	ctx context.Context,
	from source,
	files []File,
	keys Keys,
	check Check,
	seen map[string]bool,
) (bad []Damage, err error) {
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return bad, err
		}
		if seen[f.Object] {
			continue
		}
		seen[f.Object] = true
		_, plain, err := from.openFile(f, keys)
		if err == nil && f.IsKeyshare() && check != nil {
			if err = check(f.keyshareFile(), plain); err != nil {
				err = fmt.Errorf("%w: %w", ErrDamaged, err)
			}
		}
		sanity.Wipe(plain)
		if err != nil {
			bad = append(bad, Damage{f.Name, f.Epoch, f.Object, err})
		}
	}
	return bad, nil
}
