package archive

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
)

// maxImported is the length of the longest envelope that Import reads, well above what a chain's
// parameters can accept.
const maxImported = 16 << 20

// Export writes these envelopes to a tar archive, each in a file named by its SHA-256. It stops at
// the first that cannot be served, and returns how many are written.
func (a *Archive) Export(w io.Writer, kept []keeper.Kept) (int, error) {
	written := make(map[string]bool)
	out := tar.NewWriter(w)
	for _, e := range kept {
		name := hex.EncodeToString(e.Commitment.Sha256)
		if written[name] {
			continue
		}
		envelope, err := a.Envelope(e.Commitment)
		if err != nil {
			return len(written), err
		}
		header := &tar.Header{
			Typeflag: tar.TypeReg,
			Name:     name,
			Mode:     0o600,
			Size:     int64(len(envelope)),
			Format:   tar.FormatUSTAR,
		}
		if err := out.WriteHeader(header); err != nil {
			return len(written), err
		}
		if _, err := out.Write(envelope); err != nil {
			return len(written), err
		}
		written[name] = true
	}
	return len(written), out.Close()
}

// Import puts the envelopes of a tar archive that Export wrote into the archive and returns how
// many there are. A file that is not what its name says is skipped, and the error names it.
func (a *Archive) Import(r io.Reader) (int, error) {
	var (
		count int
		bad   []error
	)
	for in := tar.NewReader(r); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return count, errors.Join(bad...)
		}
		if err != nil {
			return count, errors.Join(append(bad, err)...)
		}
		if header.Typeflag != tar.TypeReg || header.Size > maxImported {
			bad = append(bad, fmt.Errorf("%q is no envelope", header.Name))
			continue
		}
		envelope, err := io.ReadAll(in)
		if err != nil {
			return count, errors.Join(append(bad, err)...)
		}
		sum := sha256.Sum256(envelope)
		if header.Name != hex.EncodeToString(sum[:]) {
			bad = append(bad, fmt.Errorf("%q is not the envelope that its name says", header.Name))
			continue
		}
		if err := a.Put(envelope); err != nil {
			return count, errors.Join(append(bad, err)...)
		}
		count++
	}
}
