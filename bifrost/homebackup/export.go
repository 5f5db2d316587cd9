package homebackup

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"path"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/sanity"
)

// Export returns the home that [Plan.Write] would build as one file: age around a tar archive, in
// which keyshares are sealed once more. Before the files it has the manifests that name them, as
// they lie in the folder, and the mark of a home that was restored. It is sealed for all recipients
// of the keys, and is in memory whole. A backup that is not whole is none: the error wraps
// [ErrDamaged].
func (p *Plan) Export(ctx context.Context, keys *keystore.Keys) ([]byte, error) {
	if p.cause != nil {
		return nil, p.cause
	}
	var archive bytes.Buffer
	defer func() { sanity.Wipe(archive.Bytes()) }()
	w := tar.NewWriter(&archive)
	add := func(h tar.Header, data []byte) error {
		h.ModTime = p.Manifest.Time
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
		_, err := w.Write(data)
		return err
	}
	// A folder that tar makes by itself is open to others.
	made := map[string]bool{".": true}
	var folder func(dir string) error
	folder = func(dir string) error {
		if made[dir] {
			return nil
		}
		made[dir] = true
		if err := folder(path.Dir(dir)); err != nil {
			return err
		}
		return add(tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o700}, nil)
	}
	file := func(name string, data []byte) error {
		if err := folder(path.Dir(name)); err != nil {
			return err
		}
		return add(tar.Header{
			Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(data)),
		}, data)
	}
	for _, m := range p.manifests {
		if err := file(m.member(), m.data); err != nil {
			return nil, err
		}
	}
	mark, err := home.Restored{}.Bytes()
	if err != nil {
		return nil, err
	}
	if err := file(restoredName, mark); err != nil {
		return nil, err
	}
	for _, f := range p.files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := p.each(f, file); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	sealed, err := keys.SealForAll(archive.Bytes())
	if err == nil && len(sealed) > maxExport {
		err = fmt.Errorf("the file would have %d bytes, of which no more than %d are read back: "+
			"copy the folder", len(sealed), maxExport)
	}
	return sealed, err
}
