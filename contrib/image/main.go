// Command image packs a static binary into a container image, as an OCI layout in a tar file: no
// daemon builds it, and the same binary gives the same bytes. The image has nothing but the binary,
// a user that is not root, and that user's home folder, which is where a volume goes.
//
//	image -binary build/bifrost -arch amd64 -version v0.1.0 -out bifrost.oci.tar
//
// SOURCE_DATE_EPOCH is its time. podman load -i and skopeo copy oci-archive: take the file.
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is who the binary runs as, and owns its home: the number that images without root commonly
// have.
const user = 65532

func main() {
	binary := flag.String("binary", "", "static binary to pack; its name is the image's")
	arch := flag.String("arch", "", "architecture that it is built for")
	version := flag.String("version", "", "version, for the label and the tag")
	out := flag.String("out", "", "file to write")
	flag.Parse()
	if err := run(*binary, *arch, *version, *out); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(binary, arch, version, out string) error {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	created := time.Unix(seconds, 0).UTC()
	data, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	name := filepath.Base(binary)
	image, err := build(name, arch, version, data, created)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "image")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendImage(image, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": name + ":" + version,
	}), layout.WithPlatform(v1.Platform{OS: "linux", Architecture: arch})); err != nil {
		return err
	}
	return pack(folder, out, created)
}

func build(name, arch, version string, binary []byte, created time.Time) (v1.Image, error) {
	home := "home/" + name
	content, err := layer(created, []tar.Header{
		{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "bin/" + name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(binary))},
		{Name: "home/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: home + "/", Typeflag: tar.TypeDir, Mode: 0o700, Uid: user, Gid: user},
	}, binary)
	if err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithCompressedCaching, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	image, err := mutate.Append(base, mutate.Addendum{Layer: l, History: v1.History{
		Created: v1.Time{Time: created}, CreatedBy: "contrib/image",
	}})
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = "linux", arch, v1.Time{Time: created}
	file.Config = v1.Config{
		User:       fmt.Sprintf("%d:%d", user, user),
		Env:        []string{"HOME=/" + home, "PATH=/bin"},
		Entrypoint: []string{"/bin/" + name},
		WorkingDir: "/" + home,
		Volumes:    map[string]struct{}{"/" + home: {}},
		Labels: map[string]string{
			"org.opencontainers.image.title":    name,
			"org.opencontainers.image.version":  version,
			"org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.source":   "https://github.com/tssbackup/tssbackup",
		},
	}
	return mutate.ConfigFile(image, file)
}

// layer is a tar of the entries; the regular file among them has the data.
func layer(created time.Time, entries []tar.Header, data []byte) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		h.ModTime, h.Format = created, tar.FormatUSTAR
		if err := w.WriteHeader(&h); err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(data); err != nil {
				return nil, err
			}
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// pack writes the folder's files into one tar file, in the order of their names.
func pack(folder, out string, created time.Time) error {
	file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	w := tar.NewWriter(file)
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{
			Name: filepath.ToSlash(name), Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(data)),
			ModTime: created, Format: tar.FormatUSTAR,
		}); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return file.Close()
}
