package envelope

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	blockSize = 512
	maxFiles  = 16
	maxName   = 100 // the name field of a ustar header
	minFile   = 32  // bytes to seal: an envelope holds a few bytes of anything by chance

	namePrefix = "localstate-"
	nameSuffix = ".json"
)

// pack makes a ustar archive of the files, which are sorted by name: of keyshare files, or of one
// secrets file.
func pack(files []File) ([]byte, error) {
	switch {
	case len(files) == 0:
		return nil, errors.New("no files to seal")
	case len(files) > maxFiles:
		return nil, fmt.Errorf("%d files to seal, at most %d are allowed", len(files), maxFiles)
	}
	size := 2 * blockSize
	for i, file := range files {
		switch {
		case !isFileName(file.Name):
			return nil, fmt.Errorf(
				"file %d to seal is not named %s<public key>%s or %s<vault>%s",
				i+1,
				namePrefix,
				nameSuffix,
				secretsPrefix,
				nameSuffix,
			)
		case i > 0 && files[i-1].Name == file.Name:
			return nil, fmt.Errorf("two files to seal are named %s", file.Name)
		case len(file.Data) < minFile:
			return nil, fmt.Errorf(
				"%s has %d bytes, fewer than any keyshare",
				file.Name,
				len(file.Data),
			)
		}
		size += blockSize + padded(len(file.Data))
	}
	if err := checkSecrets(files); err != nil {
		return nil, err
	}
	if size > maxArchive {
		return nil, fmt.Errorf(
			"%w: the files have %d bytes, at most %d are allowed",
			ErrTooLarge,
			size,
			maxArchive,
		)
	}

	archive := bytes.NewBuffer(make([]byte, 0, size))
	w := tar.NewWriter(archive)
	for _, file := range files {
		err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg,
			Name:     file.Name,
			Size:     int64(len(file.Data)),
			Mode:     0o600,
			ModTime:  time.Unix(0, 0),
			Format:   tar.FormatUSTAR,
		})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(file.Data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}

// unpack returns the files of an archive, sorted by name, their data being parts of it. It takes a
// ustar archive of keyshare files, or of one secrets file, and of nothing else: where archive/tar
// would follow what pax and GNU tar add to the format, this refuses. Mode, time and owner mean
// nothing.
func unpack(archive []byte) ([]File, error) {
	var files []File
	rest := archive
	for len(rest) >= blockSize && !allZero(rest[:blockSize]) {
		number := len(files) + 1
		if number > maxFiles {
			return nil, fmt.Errorf("%w: its archive has more than %d files", ErrTooLarge, maxFiles)
		}
		name, size, err := readHeader(rest[:blockSize])
		if err != nil {
			return nil, fmt.Errorf("%w: file %d of its archive: %w", ErrDamaged, number, err)
		}
		rest = rest[blockSize:]
		if size > len(rest) || padded(size) > len(rest) {
			return nil, fmt.Errorf("%w: its archive ends in file %d", ErrDamaged, number)
		}
		if !allZero(rest[size:padded(size)]) {
			return nil, fmt.Errorf(
				"%w: something follows file %d of its archive",
				ErrDamaged,
				number,
			)
		}
		if slices.ContainsFunc(files, func(f File) bool { return f.Name == name }) {
			return nil, fmt.Errorf(
				"%w: file %d of its archive has the name of another",
				ErrDamaged,
				number,
			)
		}
		files = append(files, File{Name: name, Data: rest[:size:size]})
		rest = rest[padded(size):]
	}
	switch {
	case len(files) == 0:
		return nil, fmt.Errorf("%w: its archive holds no file", ErrDamaged)
	case len(rest) < 2*blockSize:
		return nil, fmt.Errorf("%w: its archive has no end", ErrDamaged)
	case !allZero(rest):
		return nil, fmt.Errorf("%w: something follows the last file of its archive", ErrDamaged)
	}
	if err := checkSecrets(files); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}

// readHeader returns the name and the size of the file that a header block describes.
func readHeader(block []byte) (name string, size int, err error) {
	var (
		rawName  = block[0:100]
		rawSize  = block[124:136]
		checksum = block[148:156]
		kind     = block[156]
		linkName = block[157:257]
		magic    = block[257:265]
		prefix   = block[345:500]
	)
	if string(magic) != "ustar\x0000" {
		return "", 0, errors.New("header is not a ustar header")
	}
	sum := 8 * int(' ') // the checksum counts as spaces
	for i, b := range block {
		if i < 148 || i >= 156 {
			sum += int(b)
		}
	}
	if n, ok := octal(checksum); !ok || n != sum {
		return "", 0, errors.New("header fails its checksum")
	}
	if kind != tar.TypeReg && kind != 0 {
		return "", 0, errors.New("it is not a regular file")
	}
	if !allZero(linkName) {
		return "", 0, errors.New("it is a link")
	}
	end := bytes.IndexByte(rawName, 0)
	if end < 0 {
		end = len(rawName)
	}
	name = string(rawName[:end])
	if !isFileName(name) || !allZero(rawName[end:]) || !allZero(prefix) {
		return "", 0, errors.New("it is not named as a keyshare or as a member's secrets")
	}
	size, ok := octal(rawSize)
	switch {
	case !ok:
		return "", 0, errors.New("its size is not an octal number")
	case size == 0:
		return "", 0, errors.New("it is empty")
	}
	return name, size, nil
}

// octal reads a numeric field: octal digits that end with a zero byte or a space, or fill the
// field.
func octal(field []byte) (int, bool) {
	digits := strings.TrimRight(string(field), " \x00")
	n, err := strconv.ParseUint(digits, 8, 31)
	return int(n), err == nil
}

// IsKeyshareName reports whether the name is that of a keyshare file, as in [File]. Such names are
// safe to use as file names: they have no path separators or dots of their own.
func IsKeyshareName(name string) bool {
	key, ok := strings.CutPrefix(name, namePrefix)
	if !ok || len(name) > maxName {
		return false
	}
	key, ok = strings.CutSuffix(key, nameSuffix)
	return ok && key != "" && strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// padded returns the number of bytes that a file of n bytes takes up in whole blocks.
func padded(n int) int { return (n + blockSize - 1) / blockSize * blockSize }

func allZero(b []byte) bool {
	return len(bytes.TrimLeft(b, "\x00")) == 0
}
