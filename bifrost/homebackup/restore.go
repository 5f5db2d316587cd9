package homebackup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// A Choice says which backup to restore from. The zero value is the newest, where there is one
// store of the signer.
type Choice struct {
	// Store is the id of a store.
	Store string
	// At is a sequence, or the id of a manifest where two have the same.
	At string
	// Unite adds the keyshares of all manifests of the signer in the folder.
	Unite bool
}

// A planned file is one to restore, and where it is.
type planned struct {
	File
	from source
}

// A Plan is a restore that was verified: nothing is written yet.
type Plan struct {
	Manifest *Manifest
	// Left are files that do not come back: records of what was on its way to the chain when the
	// backup was made.
	Left []string
	// Unopened are files that these keys do not open, so that they do not come back: the mnemonic.
	Unopened []string
	// Damaged are files that cannot be restored, and why; and manifests that are not in order, of
	// which nothing is needed.
	Damaged []Damage
	// cause is why not all of it can be restored, nil when it can.
	cause error
	keys  Keys
	files []planned
	// open are the files that are Left.
	open []planned
	// manifests name the files: Manifest first, and those whose keyshares were added to it.
	manifests []sealedManifest
	// archive is that of an exported file, of this size.
	archive archive
	size    int64
}

// Wipe wipes what the plan has in memory of an exported file, which is of no use then.
func (p *Plan) Wipe() { p.archive.wipe() }

// Files are those that the plan restores, sorted by name.
func (p *Plan) Files() (files []File) {
	for _, f := range p.files {
		files = append(files, f.File)
	}
	return files
}

// Whole reports whether all that the backup holds can be restored.
func (p *Plan) Whole() bool { return p.cause == nil }

// Err is why not all that the backup holds can be restored, nil when it can.
func (p *Plan) Err() error { return p.cause }

// Prepare chooses a backup and verifies all of it. Its error wraps [ErrChoose] when the choice says
// too little, [ErrNone] or [ErrOthers] when there is none, and [ErrDamaged] when nothing of it can
// be restored, as when the newest manifest is not in order: then At can name an older one.
func Prepare(
	ctx context.Context,
	dir string,
	keys Keys,
	choice Choice,
	check Check,
) (*Plan, error) {
	own, err := openStores(ctx, dir, keys)
	if err != nil {
		return nil, err
	}
	from, m, err := choice.pick(own)
	if err != nil {
		return nil, err
	}
	p := &Plan{Manifest: m, keys: keys}
	if err := p.name(from.store, m); err != nil {
		return nil, err
	}
	files := slices.Clone(m.Files)
	origin := map[string]store{}
	if choice.Unite {
		for _, o := range own {
			for _, other := range o.manifests {
				before := len(files)
				for _, f := range other.Files {
					if f.IsKeyshare() {
						files = addKeyshare(files, f)
					}
				}
				for _, f := range files[before:] {
					origin[f.Name] = o.store
				}
				if len(files) == before {
					continue
				}
				if err := p.name(o.store, other); err != nil {
					return nil, err
				}
			}
		}
	}
	sortFiles(files)
	p.Damaged = append(p.Damaged, from.damaged...)
	for _, f := range files {
		at, other := origin[f.Name]
		if !other {
			at = from.store
		}
		if err := p.add(ctx, f, at, check); err != nil {
			return nil, err
		}
	}
	if err := p.possible(); err != nil {
		return nil, err
	}
	return p, nil
}

// name takes a manifest of a store among those that name the files.
func (p *Plan) name(s store, m *Manifest) error {
	sealed, err := s.sealed(place{m.Sequence, m.sum[:16]})
	p.manifests = append(p.manifests, sealed)
	return err
}

// add verifies a file, and plans to restore it.
func (p *Plan) add(ctx context.Context, f File, from source, check Check) error {
	bad, err := verifyFiles(ctx, from, []File{f}, p.keys, check, map[string]bool{})
	switch {
	case err != nil:
		return err
	case len(bad) > 0:
		p.spoil(bad[0])
	case f.isOpen():
		p.Left, p.open = append(p.Left, f.Name), append(p.open, planned{f, from})
	case f.IsMnemonic():
		p.Unopened = append(p.Unopened, f.Name)
	default:
		p.files = append(p.files, planned{f, from})
	}
	return nil
}

// spoil notes that not all can be restored.
func (p *Plan) spoil(d Damage) {
	p.Damaged = append(p.Damaged, d)
	if p.cause == nil {
		p.cause = d
	}
}

// possible errs when there is nothing to restore.
func (p *Plan) possible() error {
	switch {
	case len(p.files) > 0:
		return nil
	case p.cause != nil:
		return p.cause
	}
	return fmt.Errorf("%w: the manifest %s has nothing to restore", ErrNone, p.Manifest.ID())
}

func (c Choice) pick(own []opened) (from opened, m *Manifest, err error) {
	if c.Store != "" {
		own = slices.DeleteFunc(slices.Clone(own), func(o opened) bool { return o.id != c.Store })
		if len(own) == 0 {
			return from, nil, fmt.Errorf("%w: no store of this signer has the id %.40q", ErrChoose,
				c.Store)
		}
	}
	if len(own) > 1 && !c.Unite {
		var lines []string
		for _, o := range own {
			lines = append(lines, o.describe())
		}
		return from, nil, fmt.Errorf("%w: there are %d stores of this signer; give --store, or "+
			"--unite for the keyshares of all: %s", ErrChoose, len(own), strings.Join(lines, "; "))
	}
	from = own[0]
	if c.At != "" {
		m, err = from.at(c.At)
		return from, m, err
	}
	if d, bad := from.newestDamaged(); bad {
		return from, nil, fmt.Errorf("%w; an older one is chosen with --at", d)
	}
	if forks := from.forks(); len(forks) > 0 && !c.Unite {
		return from, nil, fmt.Errorf("%w: %s was written beside %s, as by a copy of the home; choose "+
			"with --at, or give --unite for the keyshares of all", ErrChoose, forks[0].ID(),
			from.manifests[0].ID())
	}
	return from, from.manifests[0], nil
}

func (o opened) describe() string {
	if len(o.manifests) == 0 {
		return o.id + " without a manifest in order"
	}
	m := o.manifests[0]
	return fmt.Sprintf("%s with %d keyshares, newest %d of %s", o.id, m.Keyshares(), m.Sequence,
		m.Time.Format("2006-01-02 15:04:05Z"))
}

// at finds a manifest by its sequence or id.
func (o opened) at(name string) (m *Manifest, err error) {
	for _, candidate := range o.manifests {
		if candidate.ID() == name {
			return candidate, nil
		}
		if strconv.FormatUint(candidate.Sequence, 10) != name {
			continue
		}
		if m != nil {
			return nil, fmt.Errorf("%w: %s and %s have this sequence: give one of them", ErrChoose,
				m.ID(), candidate.ID())
		}
		m = candidate
	}
	if m == nil {
		return nil, fmt.Errorf("%w: the store has no manifest %.40q that is in order", ErrChoose, name)
	}
	return m, nil
}

// marker is what the marker of this restore says.
func (p *Plan) marker() ([]byte, error) {
	list, err := json.Marshal(p.Files())
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "a restore of %s/%s, of these files: %s\n", p.Manifest.Store,
		p.Manifest.ID(), sumOf(list)), nil
}

const lostFound = "lost+found"

// CheckTarget errs when the home cannot be built in a folder: one that is missing or holds nothing
// but folders, or in which the same restore has not ended. It changes nothing.
func (p *Plan) CheckTarget(target string) error {
	if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := home.Check(target); err != nil {
		return err
	}
	want, err := p.marker()
	if err != nil {
		return err
	}
	marker, err := durable.Read(home.RestoringPath(target), maxState)
	switch {
	case err == nil && bytes.Equal(marker, want):
		return nil
	case err == nil:
		return fmt.Errorf("%s: %.80q has not ended: end it, or give another folder", target, marker)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return filepath.WalkDir(target, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if d != nil && d.IsDir() && d.Name() == lostFound {
				return fs.SkipDir
			}
			return err
		}
		of, leftover := durable.Leftover(d.Name())
		switch {
		case d.IsDir() && d.Name() == lostFound:
			return fs.SkipDir
		case d.IsDir():
			return nil
		case filepath.Dir(path) == filepath.Clean(target) && d.Name() == "lock":
			return nil
		case leftover && of == filepath.Base(home.RestoringPath(target)):
			return nil
		}
		return fmt.Errorf("%s is there already: a home is restored into an empty folder", path)
	})
}

// Write builds the home in a folder; see [Plan.CheckTarget]. It replaces and deletes nothing, and
// can be run again after it was cut off. Until it has ended bifrost does not start in the home. A
// backup that is not whole is written with salvage alone; else the error wraps [ErrDamaged].
func (p *Plan) Write(ctx context.Context, target string, salvage bool) (err error) {
	if p.cause != nil && !salvage {
		return p.cause
	}
	if err := p.CheckTarget(target); err != nil {
		return err
	}
	if err := durable.MakeFolder(target); err != nil {
		return err
	}
	unlock, err := home.LockRestoring(target)
	if err != nil {
		return err
	}
	defer unlock()
	marker, err := p.marker()
	if err != nil {
		return err
	}
	if err := write(home.RestoringPath(target), marker); err != nil {
		return err
	}
	for _, f := range p.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := p.each(f, func(name string, data []byte) error {
			return write(filepath.Join(target, filepath.FromSlash(name)), data)
		})
		if err != nil {
			return err
		}
	}
	if err := (home.Restored{}).Save(target); err != nil {
		return err
	}
	return durable.Remove(home.RestoringPath(target))
}

// each gives a file as it is in a home, a keyshare sealed, to use.
func (p *Plan) each(f planned, use func(name string, data []byte) error) error {
	sealed, plain, err := f.from.openFile(f.File, p.keys)
	if err != nil {
		return Damage{f.Name, f.Epoch, f.Object, err}
	}
	defer sanity.Wipe(plain)
	if f.IsKeyshare() {
		return use(f.Name+sealedSuffix, sealed)
	}
	return use(f.Name, plain)
}
