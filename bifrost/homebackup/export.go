package homebackup

import (
	"archive/tar"
	"bytes"
	"context"
	"path"

	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/sanity"
)

// Export returns the home that [Plan.Write] would build as one file: age around a tar archive, in
// which keyshares are sealed once more. It is sealed for all recipients of the keys, and is in
// memory whole. A backup that is not whole is none: the error wraps [ErrDamaged].
func (p *Plan) Export(ctx context.Context, keys *keystore.Keys) ([]byte, error) {
	if !p.whole {
		return nil, p.damage()
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
	for _, f := range p.files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := p.each(f, func(name string, data []byte) error {
			if err := folder(path.Dir(name)); err != nil {
				return err
			}
			return add(tar.Header{
				Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(data)),
			}, data)
		})
		if err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return keys.SealForAll(archive.Bytes())
}
