// Package saved finds what may be an encrypted backup of keyshares in bytes that somebody saved: an
// envelope, or a node's answer with a transaction or a block, in whatever way they were saved. It
// finds out what the bytes are before anything is made of them, and names what it cannot use.
//
// It undoes, each within the others and in any order: age's armor; base64 and base64url, padded or
// not, in lines or in one; hex, with 0x, 0X or \x before it; gzip; UTF-16; byte order marks; line
// ends that were converted; JSON with its escapes, JSON within strings of JSON, arrays of bytes;
// the block and folded scalars of YAML; and JSON that was cut off.
//
// It knows nothing of the messages of any network. A transaction is a tree of protobuf fields, and
// a backup is one of the byte strings in it; which one it is shows when it opens. So the result
// holds everything that is long enough, the transaction itself and its larger parts among them, and
// says of each how much of a backup's form it has.
package saved

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/legacy/thornode"
	"github.com/tssbackup/tssbackup/sanity"
)

// MaxBytes is the size of the largest response that Find looks at: the JSON of the largest block
// that there is.
const MaxBytes = 160 << 20

const (
	// minBytes is the size of the smallest candidate: envelopes are larger than the smallest backup
	// of THORNode.
	minBytes = thornode.MinBytes
	// maxDepth is how deep fields are looked for within fields, and encodings within encodings. In
	// a block's bytes a vote's backup is at depth 7, and 9 when somebody else was authorised to
	// send it.
	maxDepth = 24
	// All that is looked at, in bytes, is at most so many times the data, and so many more: what
	// a small file in gzip may unpack to.
	maxTimes, maxMore = 24, 128 << 20
)

var (
	// ErrNone says that a node's answer, a transaction or a block holds no backup.
	ErrNone = errors.New("no backup in it")
	// ErrForeign says that the bytes are something else than a backup or what may hold one.
	ErrForeign = errors.New("not a backup")
)

// Form is how much of a backup's form a byte string has, as far as that shows without a mnemonic.
type Form int

// The forms.
const (
	// Other has none: it is tried because a backup of THORNode's has hardly a form, and a try costs
	// hardly anything.
	Other Form = iota
	// Thornode has the form of THORNode's backups, a weak one: it is as long as one, no message, of
	// no other form that is known here, and its bytes are as evenly spread as those of a
	// ciphertext. Other ciphertexts and signatures pass for one.
	Thornode
	// Envelope begins as an envelope does.
	Envelope
)

// Candidate is a byte string that may be a backup.
type Candidate struct {
	Data []byte
	Form Form
	// Note tells what was undone to get at it, when that may have gone wrong; else it is empty.
	Note string
}

// Found is what Find made of the bytes.
type Found struct {
	// Candidates are the byte strings that may be a backup, each once, those that hold others
	// before what they hold. They may be parts of the data and of each other: the caller does not
	// change them.
	Candidates []Candidate
	// Why says what the bytes are, for when no candidate opens or there is none. It wraps ErrNone,
	// ErrForeign or, when there was more in them than is looked at, [envelope.ErrTooLarge].
	Why error
}

// Find looks for backups in bytes that were saved. No bytes make it panic, and its work is bounded
// by a small multiple of their length.
func Find(data []byte) Found {
	if len(data) > MaxBytes {
		return Found{Why: fmt.Errorf(
			"%w: more than %d bytes", envelope.ErrTooLarge, MaxBytes)}
	}
	s := newSearch(data)
	s.look(data, maxDepth, true)
	return Found{Candidates: s.found, Why: s.why()}
}

// Object returns the JSON object that the bytes hold in any of the encodings that Find undoes, a
// cut-off one too. Otherwise its error says what they are, as that of Find. When an object holds
// others as text, it is the first that has this field, or the outermost.
func Object(data []byte, field string) ([]byte, error) {
	s := newSearch(data)
	s.look(data, maxDepth, true)
	for _, object := range s.objects {
		if _, ok := fieldsOf(object)[field]; ok {
			return object, nil
		}
	}
	if len(s.objects) > 0 && s.refusal == "" {
		return s.objects[0], nil
	}
	return nil, s.why()
}

// search collects candidates.
type search struct {
	found []Candidate
	seen  map[[sha256.Size]byte]bool
	// left is how many bytes may still be looked at.
	left int
	// kind is what the whole of the data is.
	kind kind
	// weak is set within what holds long random texts of other kinds.
	weak bool
	// objects are the JSON objects that are the whole of the data, the outermost first.
	objects [][]byte
	// refusal is what a node answered instead of what it was asked for.
	refusal string
	tooMuch bool
}

func newSearch(data []byte) *search {
	return &search{
		seen: make(map[[sha256.Size]byte]bool),
		left: maxTimes*len(data) + maxMore,
		kind: kind{rank: rankNone, what: "bytes of no form that is known here"},
	}
}

// look takes a byte string as a candidate, after it has undone what it is encoded in, and looks for
// others in it. Whole says that it is all of the data, in another form.
func (s *search) look(b []byte, depth int, whole bool) {
	if !whole && len(b) < minBytes {
		return
	}
	if s.left -= len(b); s.left < 0 || depth < 0 {
		s.tooMuch = true
		return
	}
	if whole {
		s.note(identify(b))
	}
	if s.peel(b, depth, whole) {
		return
	}
	if isText(b) {
		s.text(b, depth, whole)
		return
	}
	s.binary(b, depth, whole)
}

// binary takes bytes that are neither text nor encoded in a way that peel undoes.
func (s *search) binary(b []byte, depth int, whole bool) {
	if envelope := bytes.TrimLeft(b, " \t\r\n"); bytes.HasPrefix(envelope, []byte(ageLine)) {
		s.age(envelope, whole)
		return
	}
	inner := fields(b)
	if at := bytes.Index(b, []byte(sanity.EnvelopePrefix)); at > 0 && len(inner) == 0 &&
		identify(b).rank < rankKnown {
		s.take(b[at:], Envelope, fmt.Sprintf("%d bytes before it were left out", at))
		return
	}
	form := Other
	if len(inner) == 0 && identify(b).rank < rankKnown && !s.weak && looksEncrypted(b) {
		form = Thornode
		if whole {
			s.note(kind{
				rank: rankKnown, what: "random bytes, as a ciphertext has them, and no envelope",
			})
		}
	}
	s.take(b, form, "")
	if whole && holdsTransaction(b, 4) {
		s.note(kind{rank: rankKnown, none: true, what: "a transaction or a block without one"})
	}
	for _, field := range inner {
		s.look(field, depth-1, false)
	}
}

// take adds a candidate.
func (s *search) take(b []byte, form Form, note string) {
	if len(b) < minBytes && form != Envelope || len(b) > envelope.MaxBytes && form != Envelope {
		return
	}
	if hash := sha256.Sum256(b); !s.seen[hash] {
		s.seen[hash] = true
		s.found = append(s.found, Candidate{Data: b, Form: form, Note: note})
	}
}

const (
	// ageLine is the first line of an age file, without its end.
	ageLine = "age-encryption.org/v1"
	// The header of an envelope has so many lines, each shorter than that.
	headerLines, maxHeaderLine = 4, 80
)

// age takes what begins as an age file.
func (s *search) age(b []byte, whole bool) {
	if binary, text := fromText(b); binary != nil {
		b = binary
	} else if text {
		s.note(kind{
			rank: rankBroken, what: "an age file that was taken for text and converted",
			todo: "copy it once more, as binary",
		})
		return
	}
	switch rest := b[len(ageLine):]; {
	case bytes.HasPrefix(b, []byte(sanity.EnvelopePrefix)) && undoCRLF(b) == nil:
		s.take(b, Envelope, "")
	case bytes.HasPrefix(bytes.TrimLeft(rest, "\r\n"), []byte("-> scrypt ")):
		if fixed := undoCRLF(b); fixed != nil {
			s.take(fixed, Envelope,
				"its line ends had been converted to CR LF, which was undone: save it as binary")
			return
		}
		s.note(kindConverted)
	case bytes.HasPrefix(rest, []byte("\r")):
		s.note(kindConverted)
	default:
		s.note(identifyAge(b))
	}
}

// undoCRLF gives an age file back whose line ends were converted: those of its header, or some of
// them, or all. When one byte 10 of what follows the header has no 13 before it, only the header
// was converted; else all of it was, for in a ciphertext each of them has one by chance in 256. It
// returns nil for what has not the lines of an envelope's header, or has them unconverted.
func undoCRLF(b []byte) []byte {
	var header []byte
	converted := false
	for range headerLines {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok || len(line) > maxHeaderLine {
			return nil
		}
		line, cr := bytes.CutSuffix(line, []byte("\r"))
		converted = converted || cr
		header, b = append(append(header, line...), '\n'), rest
	}
	if !converted {
		return nil
	}
	if bytes.Count(b, []byte("\r\n")) == bytes.Count(b, []byte("\n")) {
		b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	}
	return append(header, b...)
}

// WithoutEnd returns what an envelope may be that has a line end or zeros behind it, which only
// opening it can tell: a ciphertext may end with them.
func WithoutEnd(b []byte) (shorter [][]byte) {
	for _, end := range []string{"\r\n", "\n"} {
		if rest, ok := bytes.CutSuffix(b, []byte(end)); ok {
			shorter = append(shorter, rest)
		}
	}
	if rest := bytes.TrimRight(b, "\x00"); len(rest) < len(b) {
		shorter = append(shorter, rest)
	}
	return shorter
}

// fields returns the length-delimited fields of a protobuf message that are long enough, or nothing
// for what is no message to its end.
func fields(b []byte) [][]byte {
	var long [][]byte
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil
		}
		b = b[n:]
		if kind == protowire.BytesType {
			var value []byte
			if value, n = protowire.ConsumeBytes(b); len(value) >= minBytes {
				long = append(long, value)
			}
		} else {
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return nil
		}
		b = b[n:]
	}
	return long
}

// isTransaction reports whether bytes are a transaction of the Cosmos SDK: its body, which begins
// with a message that names its type.
func isTransaction(b []byte) bool {
	for range 3 { // the body, a message, its type
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 || number != 1 || kind != protowire.BytesType {
			return false
		}
		var m int
		if b, m = protowire.ConsumeBytes(b[n:]); m < 0 {
			return false
		}
	}
	return len(b) > 1 && b[0] == '/' && isText(b)
}

// holdsTransaction reports whether bytes are a transaction, or a message that has some so deep.
func holdsTransaction(b []byte, depth int) bool {
	if isTransaction(b) {
		return true
	}
	for depth > 0 && len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		if kind == protowire.BytesType {
			var value []byte
			if value, n = protowire.ConsumeBytes(b); n >= 0 && holdsTransaction(value, depth-1) {
				return true
			}
		} else {
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return false
		}
		b = b[n:]
	}
	return false
}

// looksEncrypted reports whether the 256 values of a byte are about as frequent as each other, as
// in a ciphertext: the sum of squared deviations from that, which is 255 ± 23 for random bytes of
// any number, is at most twice that.
func looksEncrypted(b []byte) bool {
	if len(b) < minBytes {
		return false
	}
	var count [256]int
	for _, c := range b {
		count[c]++
	}
	expected := float64(len(b)) / 256
	sum := 0.0
	for _, n := range count {
		sum += (float64(n) - expected) * (float64(n) - expected) / expected
	}
	return sum <= 2*255
}
