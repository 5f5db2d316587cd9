package envelope

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz/lzma"

	"github.com/tssbackup/tssbackup/sanity"
)

// Envelopes of version 1 must open, or be refused, in the same way for good. So the vectors are
// frozen: -update adds those that are missing, and leaves what is there as it is.
var update = flag.Bool("update", false, "add to testdata/vectors.json what it lacks")

const vectorsFile = "testdata/vectors.json"

// vector is an envelope and what becomes of it.
type vector struct {
	Name     string            `json:"name"`
	Expect   string            `json:"expect"` // a key of expectations
	Mnemonic string            `json:"mnemonic"`
	Envelope []byte            `json:"envelope"`
	Files    map[string]string `json:"files,omitempty"` // what opening gives
}

var expectations = map[string]error{
	"opens":           nil,
	"wrong mnemonic":  ErrWrongMnemonic,
	"not an envelope": ErrNotEnvelope,
	"damaged":         ErrDamaged,
	"too large":       ErrTooLarge,
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile(vectorsFile)
	require.NoError(t, err)
	var vectors []vector
	require.NoError(t, json.Unmarshal(data, &vectors))
	return vectors
}

func TestFrozenVectors(t *testing.T) {
	if *update {
		vectors := readVectors(t)
		for _, v := range makeVectors(t) {
			if !slices.ContainsFunc(vectors, func(old vector) bool { return old.Name == v.Name }) {
				vectors = append(vectors, v)
			}
		}
		data, err := json.MarshalIndent(vectors, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(vectorsFile, append(data, '\n'), 0o644))
	}
	seen := make(map[string]bool)
	for _, v := range readVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			want, ok := expectations[v.Expect]
			require.True(t, ok, "unknown expectation %q", v.Expect)
			files, err := Open(v.Envelope, parse(t, v.Mnemonic))
			if want != nil {
				require.ErrorIs(t, err, want)
				require.Nil(t, files)
				return
			}
			require.NoError(t, err)
			got := make(map[string]string)
			for _, file := range files {
				got[file.Name] = string(file.Data)
			}
			require.Equal(t, v.Files, got)
		})
		seen[v.Expect] = true
	}
	require.Len(t, seen, len(expectations), "every outcome has a vector")
}

const (
	nameA = "localstate-cosmospub1addwnpepqexample.json"
	nameB = "localstate-cosmospub1zcjduepqexample.json"
	dataA = `{"pub_key":"cosmospub1addwnpepqexample","local_data":"e30=","participant_keys":[],"local_party_key":""}`
	dataB = `{"pub_key":"cosmospub1zcjduepqexample","local_data":"e30=","participant_keys":[],"local_party_key":""}`
)

func makeVectors(t *testing.T) []vector {
	var vectors []vector
	add := func(name, expect, mnemonic string, envelope []byte, files map[string]string) {
		vectors = append(vectors, vector{name, expect, mnemonic, envelope, files})
	}
	both := map[string]string{nameA: dataA, nameB: dataB}
	fileA := &tar.Header{Name: nameA}
	fileB := &tar.Header{Name: nameB}
	archive := makeTar(t, fileA, dataA, fileB, dataB)
	stream := makeLZMA(t, archive, lzma.WriterConfig{})
	good := makeAge(t, stream, mnemonic24)

	// What opens.
	sealed, err := Seal([]File{{nameB, []byte(dataB)}, {nameA, []byte(dataA)}}, parse(t, mnemonic24), WithWorkFactor(testWorkFactor))
	require.NoError(t, err)
	add("as Seal makes it", "opens", mnemonic24, sealed, both)
	add("usual LZMA parameters", "opens", mnemonic24, good, both)
	add("mnemonic of 12 words", "opens", mnemonic12, makeAge(t, stream, mnemonic12), both)
	add("mnemonic with age and cry", "opens", mnemonicTwo, makeAge(t, stream, mnemonicTwo), both)
	add("mnemonic in capital letters and lines", "opens", strings.ToUpper(strings.ReplaceAll(mnemonic24, " ", "\n"))+"\n", good, both)
	size := int64(len(archive))
	add("LZMA of known size", "opens", mnemonic24, makeAge(t, makeLZMA(t, archive, lzma.WriterConfig{SizeInHeader: true, Size: size}), mnemonic24), both)
	add("LZMA of known size with an end marker", "opens", mnemonic24, makeAge(t, makeLZMA(t, archive, lzma.WriterConfig{SizeInHeader: true, Size: size, EOSMarker: true}), mnemonic24), both)
	add("LZMA with a dictionary of 64 MiB", "opens", mnemonic24, makeAge(t, withDictionary(stream, 64<<20), mnemonic24), both)
	fromTar := func(archive []byte) []byte { return makeAge(t, makeLZMA(t, archive, lzma.WriterConfig{}), mnemonic24) }
	add("files not in the order of their names", "opens", mnemonic24, fromTar(makeTar(t, fileB, dataB, fileA, dataA)), both)
	add("archive filled up with zeros to 10 KiB", "opens", mnemonic24, fromTar(append(bytes.Clone(archive), make([]byte, 10240-len(archive))...)), both)
	add("mode, time and owner set", "opens", mnemonic24, fromTar(makeTar(t, &tar.Header{Name: nameA, Mode: 0o4777, Uid: 1000, Gname: "wheel", ModTime: time.Unix(1_700_000_000, 0)}, dataA)), map[string]string{nameA: dataA})

	// The mnemonic.
	add("another mnemonic", "wrong mnemonic", mnemonicOther, good, nil)
	add("another mnemonic of 12 words", "wrong mnemonic", mnemonic12, good, nil)
	saltAt := len(sanity.EnvelopePrefix)
	bodyAt := saltAt + 22 + len(" 4\n")
	macAt := bodyAt + 43 + len("\n--- ")
	nonceAt := macAt + 43 + 1
	add("salt changed", "wrong mnemonic", mnemonic24, changeLetter(good, saltAt), nil)
	add("encrypted key changed", "wrong mnemonic", mnemonic24, changeLetter(good, bodyAt), nil)
	add("work factor changed", "wrong mnemonic", mnemonic24, replace(good, " 4\n", " 5\n"), nil)
	trailingNewline := makeAge(t, stream, mnemonic24+"\n")
	add("sealed with a newline after the mnemonic", "wrong mnemonic", mnemonic24, trailingNewline, nil)

	// Not an envelope.
	add("nothing", "not an envelope", mnemonic24, []byte{}, nil)
	add("a keyshare as it is", "not an envelope", mnemonic24, []byte(dataA), nil)
	add("the archive as it is", "not an envelope", mnemonic24, archive, nil)
	add("the LZMA stream as it is", "not an envelope", mnemonic24, stream, nil)
	add("version 2 of age", "not an envelope", mnemonic24, replace(good, "v1", "v2"), nil)
	add("age for a recipient's key", "not an envelope", mnemonic24, makeAgeX25519(t, stream), nil)
	add("armoured age file", "not an envelope", mnemonic24, makeArmour(t, good), nil)
	add("space before the envelope", "not an envelope", mnemonic24, append([]byte{' '}, good...), nil)

	// Damage to the outer layer.
	add("MAC changed", "damaged", mnemonic24, changeLetter(good, macAt), nil)
	add("nonce changed", "damaged", mnemonic24, flip(good, nonceAt), nil)
	add("payload changed", "damaged", mnemonic24, flip(good, nonceAt+16+5), nil)
	add("last byte changed", "damaged", mnemonic24, flip(good, len(good)-1), nil)
	add("only the prefix", "damaged", mnemonic24, good[:saltAt], nil)
	add("cut in the stanza", "damaged", mnemonic24, good[:bodyAt+20], nil)
	add("cut after the header", "damaged", mnemonic24, good[:nonceAt], nil)
	add("cut after the nonce", "damaged", mnemonic24, good[:nonceAt+16], nil)
	add("last byte cut off", "damaged", mnemonic24, good[:len(good)-1], nil)
	add("first half alone", "damaged", mnemonic24, good[:(nonceAt+len(good))/2], nil)
	add("work factor with a leading zero", "damaged", mnemonic24, replace(good, " 4\n", " 04\n"), nil)
	add("work factor of zero", "damaged", mnemonic24, replace(good, " 4\n", " 0\n"), nil)
	add("salt with padding", "damaged", mnemonic24, replace(good, " 4\n", "== 4\n"), nil)
	add("line ends of another system", "damaged", mnemonic24, replace(good, " 4\n", " 4\r\n"), nil)
	second := string(good[saltAt-len("-> scrypt ") : macAt-len("--- ")])
	add("two stanzas", "damaged", mnemonic24, replace(good, "--- ", second+"--- "), nil)
	add("empty plaintext", "damaged", mnemonic24, makeAge(t, nil, mnemonic24), nil)

	// One byte after each of the three layers.
	add("a byte after the age file", "damaged", mnemonic24, append(bytes.Clone(good), 0), nil)
	add("an envelope after the envelope", "damaged", mnemonic24, append(bytes.Clone(good), good...), nil)
	add("a byte after the LZMA stream", "damaged", mnemonic24, makeAge(t, append(bytes.Clone(stream), 0), mnemonic24), nil)
	known := makeLZMA(t, archive, lzma.WriterConfig{SizeInHeader: true, Size: size})
	add("a byte after an LZMA stream of known size", "damaged", mnemonic24, makeAge(t, append(known, 0), mnemonic24), nil)
	add("a stream after the LZMA stream", "damaged", mnemonic24, makeAge(t, append(bytes.Clone(stream), stream...), mnemonic24), nil)
	add("a byte after the archive", "damaged", mnemonic24, fromTar(append(bytes.Clone(archive), 1)), nil)
	add("a byte far behind the archive", "damaged", mnemonic24, fromTar(append(append(bytes.Clone(archive), make([]byte, 8000)...), 1)), nil)
	add("an archive after the archive", "damaged", mnemonic24, fromTar(append(bytes.Clone(archive), archive...)), nil)

	// The LZMA stream.
	fromStream := func(stream []byte) []byte { return makeAge(t, stream, mnemonic24) }
	add("not LZMA", "damaged", mnemonic24, fromStream([]byte("plain text in the place of an LZMA stream")), nil)
	add("an archive that is not compressed", "damaged", mnemonic24, fromStream(archive), nil)
	add("xz in the place of LZMA", "damaged", mnemonic24, fromStream([]byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00")), nil)
	add("one byte of LZMA", "damaged", mnemonic24, fromStream(stream[:1]), nil)
	add("header of LZMA alone", "damaged", mnemonic24, fromStream(stream[:13]), nil)
	add("LZMA cut off", "damaged", mnemonic24, fromStream(stream[:len(stream)-10]), nil)
	add("LZMA without its end marker", "damaged", mnemonic24, fromStream(withSize(known, 1<<64-1)), nil)
	add("LZMA shorter than its header says", "damaged", mnemonic24, fromStream(withSize(stream, uint64(size)+1)), nil)
	add("LZMA longer than its header says", "damaged", mnemonic24, fromStream(withSize(stream, uint64(size)-1)), nil)
	add("LZMA changed in the middle", "damaged", mnemonic24, fromStream(flip(stream, len(stream)/2)), nil)
	add("LZMA of nothing", "damaged", mnemonic24, fromStream(makeLZMA(t, nil, lzma.WriterConfig{})), nil)
	add("LZMA parameters that xz does not read", "damaged", mnemonic24, fromStream(makeLZMA(t, archive, lzma.WriterConfig{Properties: &lzma.Properties{LC: 4, LP: 1}})), nil)

	// Too much.
	add("work factor 23", "too large", mnemonic24, replace(good, " 4\n", " 23\n"), nil)
	add("work factor 62", "too large", mnemonic24, replace(good, " 4\n", " 62\n"), nil)
	add("work factor of 30 digits", "too large", mnemonic24, replace(good, " 4\n", " "+strings.Repeat("4", 30)+"\n"), nil)
	add("dictionary of 64 MiB and a byte", "too large", mnemonic24, fromStream(withDictionary(stream, 64<<20+1)), nil)
	add("dictionary of 4 GiB", "too large", mnemonic24, fromStream(withDictionary(stream, 1<<32-1)), nil)
	add("64 MiB and a byte, as the header says", "too large", mnemonic24, fromStream(withSize(stream, 64<<20+1)), nil)
	add("largest size below unknown", "too large", mnemonic24, fromStream(withSize(stream, 1<<64-2)), nil)
	add("negative size", "too large", mnemonic24, fromStream(withSize(stream, 1<<63)), nil)
	bomb := makeLZMA(t, make([]byte, 64<<20+1), lzma.WriterConfig{})
	add("decompression bomb", "too large", mnemonic24, fromStream(bomb), nil)
	add("decompression bomb that says it is small", "damaged", mnemonic24, fromStream(withSize(bomb, 1000)), nil)
	var many []any
	for i := range maxFiles + 1 {
		many = append(many, &tar.Header{Name: fmt.Sprintf("localstate-%d.json", i)}, "{}")
	}
	add("17 files", "too large", mnemonic24, fromTar(makeTar(t, many...)), nil)

	// The archive.
	paths := map[string]string{
		"absolute path":             "/" + nameA,
		"path that goes up":         "../" + nameA,
		"path that goes up far":     "../../../../etc/" + nameA,
		"path in a folder":          "folder/" + nameA,
		"path through this folder":  "./" + nameA,
		"path inside the name":      "localstate-a/../../b.json",
		"backslash":                 `localstate-..\..\b.json`,
		"drive":                     "C:localstate-b.json",
		"dot dot":                   "..",
		"name of something else":    "authorized_keys",
		"name without a key":        "localstate-.json",
		"name with a second suffix": nameA + ".json",
		"name with capital letters": "localstate-KEY.json",
		"name with a space":         "localstate-a b.json",
		"name with a newline":       "localstate-a\nb.json",
		"name with an escape":       "localstate-\x1b[2J.json",
	}
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		add("archive: "+name, "damaged", mnemonic24, fromTar(makeTar(t, &tar.Header{Name: paths[name]}, dataA)), nil)
	}
	add("archive: no file", "damaged", mnemonic24, fromTar(makeTar(t)), nil)
	add("archive: an empty file", "damaged", mnemonic24, fromTar(makeTar(t, fileA, dataA, fileB, "")), nil)
	add("archive: one name twice", "damaged", mnemonic24, fromTar(makeTar(t, fileA, dataA, fileA, dataA)), nil)
	add("archive: symbolic link", "damaged", mnemonic24, fromTar(makeTar(t, &tar.Header{Typeflag: tar.TypeSymlink, Name: nameA, Linkname: "/etc/passwd"}, "", fileB, dataB)), nil)
	add("archive: symbolic link to write through", "damaged", mnemonic24, fromTar(makeTar(t, &tar.Header{Typeflag: tar.TypeSymlink, Name: nameA, Linkname: "/tmp/x"}, "", fileA, dataA)), nil)
	add("archive: hard link", "damaged", mnemonic24, fromTar(makeTar(t, fileA, dataA, &tar.Header{Typeflag: tar.TypeLink, Name: nameB, Linkname: nameA}, "")), nil)
	add("archive: folder", "damaged", mnemonic24, fromTar(makeTar(t, &tar.Header{Typeflag: tar.TypeDir, Name: "folder/"}, "")), nil)
	add("archive: folder named as a keyshare", "damaged", mnemonic24, fromTar(resum(patch(archive, 156, "5"))), nil)
	add("archive: device", "damaged", mnemonic24, fromTar(makeTar(t, &tar.Header{Typeflag: tar.TypeChar, Name: nameA, Devmajor: 1, Devminor: 3}, "")), nil)
	add("archive: named pipe", "damaged", mnemonic24, fromTar(makeTar(t, &tar.Header{Typeflag: tar.TypeFifo, Name: nameA}, "")), nil)
	add("archive: contiguous file", "damaged", mnemonic24, fromTar(resum(patch(archive, 156, "7"))), nil)
	add("archive: pax header", "damaged", mnemonic24, fromTar(makeTar(t, &tar.Header{Name: nameA, Format: tar.FormatPAX, PAXRecords: map[string]string{"VENDOR.comment": "hidden"}}, dataA)), nil)
	add("archive: pax header that renames the file after it", "damaged", mnemonic24, fromTar(resum(patch(makeTar(t, fileA, "19 path=../../evil\n", fileB, dataB), 156, "x"))), nil)
	add("archive: global pax header", "damaged", mnemonic24, fromTar(makeTar(t, &tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "hidden"}, Format: tar.FormatPAX}, "", fileA, dataA)), nil)
	add("archive: GNU format", "damaged", mnemonic24, fromTar(makeTar(t, &tar.Header{Name: nameA, Format: tar.FormatGNU}, dataA)), nil)
	add("archive: GNU long name", "damaged", mnemonic24, fromTar(makeTar(t, &tar.Header{Name: "localstate-" + strings.Repeat("a", 200) + ".json", Format: tar.FormatGNU}, dataA)), nil)
	add("archive: V7 format", "damaged", mnemonic24, fromTar(resum(patch(archive, 257, strings.Repeat("\x00", 8)))), nil)
	add("archive: ustar prefix", "damaged", mnemonic24, fromTar(resum(patch(archive, 345, "etc"))), nil)
	add("archive: link name on a file", "damaged", mnemonic24, fromTar(resum(patch(archive, 157, "x"))), nil)
	add("archive: bytes behind the name", "damaged", mnemonic24, fromTar(resum(patch(archive, 90, "hidden"))), nil)
	add("archive: bytes behind a file", "damaged", mnemonic24, fromTar(patch(archive, 512+len(dataA)+3, "hidden")), nil)
	add("archive: wrong checksum", "damaged", mnemonic24, fromTar(patch(archive, 148, "0000000")), nil)
	add("archive: size that is no number", "damaged", mnemonic24, fromTar(resum(patch(archive, 124, "0000000009z"))), nil)
	add("archive: negative size", "damaged", mnemonic24, fromTar(resum(patch(archive, 124, "-0000000001"))), nil)
	add("archive: binary size", "damaged", mnemonic24, fromTar(resum(patch(archive, 124, "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10"))), nil)
	add("archive: size beyond the end", "damaged", mnemonic24, fromTar(resum(patch(archive, 124, "00000077777"))), nil)
	add("archive: largest size", "damaged", mnemonic24, fromTar(resum(patch(archive, 124, "777777777777"))), nil)
	add("archive: cut in a file", "damaged", mnemonic24, fromTar(archive[:600]), nil)
	add("archive: cut in a header", "damaged", mnemonic24, fromTar(archive[:1100]), nil)
	add("archive: cut after the last file", "damaged", mnemonic24, fromTar(archive[:len(archive)-1024]), nil)
	add("archive: one zero block at its end", "damaged", mnemonic24, fromTar(archive[:len(archive)-512]), nil)
	add("archive: zeros alone", "damaged", mnemonic24, fromTar(make([]byte, 10240)), nil)
	add("archive: a file after the end", "damaged", mnemonic24, fromTar(append(makeTar(t), archive...)), nil)

	// A member's secrets in place of the files.
	secrets := secretsFile(t, 1)
	fileS, text := &tar.Header{Name: secrets.Name}, string(secrets.Data)
	sealedSecrets, err := Seal([]File{secrets}, parse(t, mnemonic24), WithWorkFactor(testWorkFactor))
	require.NoError(t, err)
	own := map[string]string{secrets.Name: text}
	add("secrets, as Seal makes them", "opens", mnemonic24, sealedSecrets, own)
	add("secrets, usual LZMA parameters", "opens", mnemonic24, fromTar(makeTar(t, fileS, text)), own)
	add("secrets and a keyshare", "damaged", mnemonic24, fromTar(makeTar(t, fileA, dataA, fileS, text)), nil)
	add("secrets of another vault than their name's", "damaged", mnemonic24, fromTar(makeTar(t, &tar.Header{Name: secretsFile(t, 2).Name}, text)), nil)
	add("secrets with a byte after them", "damaged", mnemonic24, fromTar(makeTar(t, fileS, text+"\n")), nil)
	add("secrets of version 2", "damaged", mnemonic24, fromTar(makeTar(t, fileS, strings.Replace(text, `"version":1`, `"version":2`, 1))), nil)
	return vectors
}

// makeTar packs headers, each followed by its content.
func makeTar(t *testing.T, entries ...any) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for i := 0; i < len(entries); i += 2 {
		h := *entries[i].(*tar.Header)
		content := entries[i+1].(string)
		if h.Format == tar.FormatUnknown {
			h.Format = tar.FormatUSTAR
		}
		if h.ModTime.IsZero() && h.Typeflag != tar.TypeXGlobalHeader {
			h.ModTime = time.Unix(0, 0)
		}
		h.Size = int64(len(content))
		require.NoError(t, w.WriteHeader(&h))
		_, err := w.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func makeLZMA(t *testing.T, archive []byte, c lzma.WriterConfig) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := c.NewWriter(&buf)
	require.NoError(t, err)
	_, err = w.Write(archive)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func makeAge(t *testing.T, stream []byte, passphrase string) []byte {
	t.Helper()
	recipient, err := age.NewScryptRecipient(passphrase)
	require.NoError(t, err)
	recipient.SetWorkFactor(testWorkFactor)
	return encryptTo(t, stream, recipient)
}

func makeAgeX25519(t *testing.T, stream []byte) []byte {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return encryptTo(t, stream, identity.Recipient())
}

func encryptTo(t *testing.T, stream []byte, recipient age.Recipient) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := age.Encrypt(&buf, recipient)
	require.NoError(t, err)
	_, err = w.Write(stream)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func makeArmour(t *testing.T, envelope []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := armor.NewWriter(&buf)
	_, err := w.Write(envelope)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.Bytes()
}

// withDictionary and withSize change what the header of an LZMA stream asks for.
func withDictionary(stream []byte, size uint32) []byte {
	stream = bytes.Clone(stream)
	binary.LittleEndian.PutUint32(stream[1:], size)
	return stream
}

func withSize(stream []byte, size uint64) []byte {
	stream = bytes.Clone(stream)
	binary.LittleEndian.PutUint64(stream[5:], size)
	return stream
}

// resum writes the checksum of the first header of an archive.
func resum(archive []byte) []byte {
	archive = patch(archive, 148, "        ")
	sum := 0
	for _, b := range archive[:512] {
		sum += int(b)
	}
	return patch(archive, 148, fmt.Sprintf("%06o\x00 ", sum))
}

func patch(b []byte, at int, with string) []byte {
	b = bytes.Clone(b)
	copy(b[at:], with)
	return b
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// changeLetter puts another letter of base64 in the place of one.
func changeLetter(b []byte, at int) []byte {
	if b[at] == 'A' {
		return patch(b, at, "B")
	}
	return patch(b, at, "A")
}

func replace(b []byte, old, with string) []byte {
	return bytes.Replace(b, []byte(old), []byte(with), 1)
}
