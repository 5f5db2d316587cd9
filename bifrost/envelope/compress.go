package envelope

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ulikunitz/xz/lzma"

	"github.com/tssbackup/tssbackup/sanity"
)

const (
	maxDictionary = 64 << 20 // that an LZMA header may ask for
	maxArchive    = 64 << 20 // that a stream may unpack to
	smallArchive  = 4 << 10  // at most: that of a secrets file, and no keyshare's
)

// errLimit is what readAll returns when there is more than it may read.
var errLimit = errors.New("limit exceeded")

// compress makes a classic .lzma stream of unknown size with an end marker, which needs no seeking
// and which all tools read.
//
// A keyshare is base64 of the digits of large random numbers, and there is little to find in it but
// this: three digits make four letters, and each of the four is one of a few. So literals are coded
// by their position modulo 4 (LP 2) and without regard to the letter before (LC 0); that gave the
// smallest streams of all parameters that xz reads, 1 to 2 % below the usual ones. The dictionary
// is larger than the keyshares of 200 members. A secrets file is too short for the coder to learn
// four positions: without them it gives 75 bytes less.
func compress(archive []byte) ([]byte, error) {
	properties := lzma.Properties{LC: 0, LP: 2, PB: 2}
	if len(archive) <= smallArchive {
		properties = lzma.Properties{}
	}
	stream := bytes.NewBuffer(make([]byte, 0, len(archive)+len(archive)/8+4096))
	w, err := lzma.WriterConfig{
		Properties: &properties,
		DictCap:    1 << 20,
		Matcher:    lzma.HashTable4,
		EOSMarker:  true,
	}.NewWriter(stream)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(archive); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return stream.Bytes(), nil
}

// Decompress is the second step of Open: it returns what an LZMA stream holds, when that is at most
// limit bytes. It reads streams of unknown and of known size, with an end marker or without, and
// nothing that xz does not read, and refuses a dictionary of more than 64 MiB before anything is
// allocated. Its errors wrap ErrDamaged or ErrTooLarge. The caller wipes the result.
func Decompress(stream []byte, limit int) ([]byte, error) {
	if len(stream) < lzma.HeaderLen+5 {
		return nil, fmt.Errorf("%w: what it holds is shorter than any LZMA stream", ErrDamaged)
	}
	// The header has no magic number, but the compressed data begin with a zero.
	properties, err := lzma.PropertiesForCode(stream[0])
	if err != nil || properties.LC+properties.LP > 4 || stream[lzma.HeaderLen] != 0 {
		return nil, fmt.Errorf("%w: what it holds is not an LZMA stream", ErrDamaged)
	}
	if size := binary.LittleEndian.Uint32(stream[1:]); size > maxDictionary {
		return nil, fmt.Errorf(
			"%w: its LZMA stream asks for a dictionary of %d bytes, at most %d are allowed",
			ErrTooLarge,
			size,
			maxDictionary,
		)
	}
	expected := 4 * len(stream)
	if size := binary.LittleEndian.Uint64(stream[5:]); size != 1<<64-1 {
		if size > uint64(limit) {
			return nil, fmt.Errorf(
				"%w: its LZMA stream unpacks to %d bytes, at most %d are allowed",
				ErrTooLarge,
				size,
				limit,
			)
		}
		expected = int(size)
	}

	source := bytes.NewReader(stream)
	r, err := lzma.ReaderConfig{DictCap: maxDictionary}.NewReader(source)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	archive, err := readAll(r, limit, expected)
	switch {
	case errors.Is(err, errLimit):
		return nil, fmt.Errorf(
			"%w: its LZMA stream unpacks to more than %d bytes",
			ErrTooLarge,
			limit,
		)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	// The reader takes single bytes from the source, and none after the end of the stream.
	if source.Len() > 0 {
		sanity.Wipe(archive)
		return nil, fmt.Errorf("%w: %d bytes follow the LZMA stream", ErrDamaged, source.Len())
	}
	return archive, nil
}

// readAll reads r to its end, at most limit bytes, and leaves no copies of what it read behind. It
// allocates what is expected first.
func readAll(r io.Reader, limit, expected int) ([]byte, error) {
	buf := make([]byte, 0, min(expected, limit)+1)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if len(buf) > limit {
			err = errLimit
		}
		switch {
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			sanity.Wipe(buf)
			return nil, err
		}
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(2*cap(buf), limit+1))
			copy(grown, buf)
			sanity.Wipe(buf)
			buf = grown
		}
	}
}
