package homebackup

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/sanity"
)

// maxExport bounds an exported file, which is in memory whole.
const maxExport = 1 << 30

// restoredName is that of the mark of a home that was restored, which tar brings into one as well.
var restoredName = filepath.Base(home.RestoredPath(""))

// ageBeginning is what every age file begins with.
const ageBeginning = "age-encryption.org/v1\n"

var errNoManifest = errors.New("it does not begin with a manifest")

// A sealedManifest is a manifest as it lies in a folder of backups.
type sealedManifest struct {
	store string
	place place
	data  []byte
}

// member is its name in an exported file.
func (m sealedManifest) member() string {
	return path.Join(manifestsDir, m.store, m.place.id()+sealedSuffix)
}

// parseMember is the inverse of member.
func parseMember(name string) (m sealedManifest, ok bool) {
	id, ok := strings.CutSuffix(path.Base(name), sealedSuffix)
	if !ok {
		return m, false
	}
	m.store = path.Base(path.Dir(name))
	m.place, ok = parsePlace(id)
	return m, ok && isID(m.store) && m.member() == name
}

// An archive is what an exported file holds: manifests, and files of a home as they lie in one.
type archive struct {
	manifests []sealedManifest
	members   map[string][]byte
}

// readArchive reads what [Plan.Export] writes and little else: a manifest first, folders, and
// regular files whose names are in the form of ustar, or of pax when they are long. With its error
// comes what precedes the place where the archive is not in order. Nothing is done by the names:
// what is not in a manifest is not used.
func readArchive(plain []byte) (a archive, err error) {
	a.members = map[string][]byte{}
	in := bytes.NewReader(plain)
	r := tar.NewReader(in)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return a, errors.New("its tar archive is torn, or is none")
		}
		if err := checkHeader(h, int64(in.Len())); err != nil {
			return a, err
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		data := make([]byte, h.Size)
		if _, err := io.ReadFull(r, data); err != nil {
			return a, fmt.Errorf("its tar archive ends in %.200q", h.Name)
		}
		if m, ok := parseMember(h.Name); ok && len(a.members) == 0 {
			m.data = data
			same := func(o sealedManifest) bool { return o.member() == h.Name }
			if slices.ContainsFunc(a.manifests, same) {
				return a, fmt.Errorf("%s is in it twice", h.Name)
			}
			a.manifests = append(a.manifests, m)
			continue
		}
		if len(a.manifests) == 0 {
			return a, errNoManifest
		}
		if _, twice := a.members[h.Name]; twice {
			return a, fmt.Errorf("%.200q is in it twice", h.Name)
		}
		a.members[h.Name] = data
	}
	// Two empty blocks end an archive.
	if n := len(plain) - 1024; n < 0 || !allZero(plain[n:]) {
		return a, errors.New("its tar archive has no end")
	}
	if !allZero(plain[len(plain)-in.Len():]) {
		return a, errors.New("something follows its tar archive")
	}
	return a, nil
}

// checkHeader refuses what Export does not write, of a member that is followed by so many bytes.
func checkHeader(h *tar.Header, left int64) error {
	if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir {
		return fmt.Errorf("%.200q in it is neither a file nor a folder", h.Name)
	}
	for record := range h.PAXRecords {
		if record != "path" {
			return fmt.Errorf("%.200q in it has a %.40q", h.Name, record)
		}
	}
	switch {
	case h.Format != tar.FormatUSTAR && h.Format != tar.FormatPAX:
		return fmt.Errorf("%.200q in it is of another kind of tar", h.Name)
	case h.Size < 0 || h.Size > left || h.Typeflag == tar.TypeDir && h.Size != 0:
		return fmt.Errorf("%.200q in it has no such size", h.Name)
	}
	return nil
}

func allZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

func (a archive) wipe() {
	for _, data := range a.members {
		sanity.Wipe(data)
	}
}

// openFile implements source.
func (a archive) openFile(f File, keys Keys) (sealed, plain []byte, err error) {
	name := f.Name
	if f.IsKeyshare() {
		name += sealedSuffix
	}
	data, ok := a.members[name]
	switch {
	case !ok:
		return nil, nil, fmt.Errorf("%w: it is missing in the file", ErrDamaged)
	case f.IsKeyshare() && sumOf(data) != f.Object:
		return nil, nil, fmt.Errorf("%w: it is not the object that the manifest says", ErrDamaged)
	case f.IsKeyshare():
		sealed = data
		if plain, err = keys.Home.Open(data); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	default:
		plain = bytes.Clone(data)
	}
	if !f.holds(plain) {
		sanity.Wipe(plain)
		return nil, nil, fmt.Errorf("%w: it does not hold what the manifest says", ErrDamaged)
	}
	return sealed, plain, nil
}

// readExport reads a file or a pipe whole.
func readExport(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxExport+1))
	if err == nil && len(data) > maxExport {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxExport)
	}
	return data, err
}

// PrepareFile is [Prepare] for a file that [Plan.Export] wrote. What is in it is checked as in a
// folder: by the signature of the manifest that it begins with, and the hashes that this names. Of
// a file that is torn or damaged the plan has what comes before that place. The caller wipes the
// plan.
func PrepareFile(ctx context.Context, path string, keys Keys, check Check) (*Plan, error) {
	data, err := readExport(path)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(data, []byte(ageBeginning)) {
		return nil, fmt.Errorf("%w: %s is no age file", ErrDamaged, path)
	}
	plain, torn := keys.Home.OpenPart(data)
	if plain == nil {
		return nil, fmt.Errorf("%w, or its beginning is damaged: %s", ErrOthers, path)
	}
	defer sanity.Wipe(plain)
	a, bad := readArchive(plain)
	if torn != nil {
		bad = errors.New("it is torn or damaged from here on")
	}
	p := &Plan{keys: keys, manifests: a.manifests, archive: a, size: int64(len(data))}
	if err := p.fromArchive(ctx, path, bad, check); err != nil {
		p.Wipe()
		return nil, err
	}
	return p, nil
}

// fromArchive makes the plan of what the archive at a path holds, of which bad is wrong.
func (p *Plan) fromArchive(ctx context.Context, path string, bad error, check Check) error {
	if bad == nil && len(p.manifests) == 0 {
		bad = errNoManifest
	}
	if bad != nil {
		p.spoil(Damage{Name: path, Err: fmt.Errorf("%w: %w", ErrDamaged, bad)})
	}
	if len(p.manifests) == 0 {
		return p.cause
	}
	var files []File
	for i, sealed := range p.manifests {
		m, err := sealed.open(p.keys)
		switch {
		case err != nil && i == 0:
			return err
		case err != nil:
			p.spoil(Damage{Name: sealed.member(), Err: err})
			continue
		case i == 0:
			p.Manifest, files = m, slices.Clone(m.Files)
			continue
		}
		for _, f := range m.Files {
			if f.IsKeyshare() {
				files = addKeyshare(files, f)
			}
		}
	}
	sortFiles(files)
	known := map[string]bool{restoredName: true} // Write makes its own
	for _, f := range files {
		if f.isOpen() {
			p.Left = append(p.Left, f.Name)
			continue
		}
		if f.IsMnemonic() {
			continue // an export has not even its object
		}
		known[f.Name], known[f.Name+sealedSuffix] = !f.IsKeyshare(), f.IsKeyshare()
		if err := p.add(ctx, f, p.archive, check); err != nil {
			return err
		}
	}
	for name := range p.archive.members {
		if !known[name] {
			p.spoil(Damage{
				Name: name,
				Err:  fmt.Errorf("%w: the file has it, and no manifest in it", ErrDamaged),
			})
		}
	}
	return p.possible()
}

// VerifyFile is [Verify] for a file that [Plan.Export] wrote, told as a store with one manifest.
// The error of one of which nothing can be restored is that of [PrepareFile].
func VerifyFile(ctx context.Context, path string, keys Keys, check Check) (s Store, err error) {
	p, err := PrepareFile(ctx, path, keys, check)
	if err != nil {
		return s, err
	}
	defer p.Wipe()
	return Store{
		ID: p.Manifest.Store, Manifests: []*Manifest{p.Manifest}, Damaged: p.Damaged,
		Objects: len(p.files), Bytes: p.size,
	}, nil
}
