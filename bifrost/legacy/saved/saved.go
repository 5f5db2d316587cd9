// Package saved finds what may be an encrypted backup of keyshares in a response of a node that
// somebody saved: a transaction or a block, as JSON (of CometBFT's RPC, of the REST interface, or
// of the node's command line), as YAML, as base64, or as bare bytes.
//
// It knows nothing of the messages of any network. A transaction is a tree of protobuf fields, and
// a backup is one of the byte strings in it; which one it is shows when it opens. So the result
// holds everything that is long enough, the transaction itself and its larger parts among them, and
// who opens them needs a cheap way to tell: the prefix of an envelope, or the authentication of a
// THORNode backup's outermost layer.
package saved

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/legacy/thornode"
	"github.com/tssbackup/tssbackup/sanity"
)

// MaxBytes is the size of the largest response that Candidates looks at: the JSON of the largest
// block that there is.
const MaxBytes = 160 << 20

const (
	// minBytes is the size of the smallest candidate: envelopes are larger than the smallest backup
	// of THORNode.
	minBytes = thornode.MinBytes
	// maxDepth is how deep fields are looked for within fields. In a block's bytes a vote's backup
	// is at depth 7, and 9 when somebody else was authorised to send it.
	maxDepth = 12
)

// ErrNone says that no backup is in the response.
var ErrNone = errors.New("no backup in it")

// Candidates returns the byte strings in a saved response that are as long as a backup may be, each
// once, those that hold others before what they hold, or an error that wraps ErrNone. They may be
// parts of data and of each other: the caller does not change them. Its work is bounded by a small
// multiple of the length of data, whatever that is.
func Candidates(data []byte) ([][]byte, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("a response of %d bytes, more than %d", len(data), MaxBytes)
	}
	s := search{seen: make(map[[sha256.Size]byte]bool)}
	texts, ok := jsonStrings(data)
	switch {
	case ok:
	case isText(data): // JSON that was cut off among it
		texts = plainTexts(data)
	default:
		s.look(data, maxDepth)
	}
	for _, text := range texts {
		// What reads as hex reads as base64 as well.
		if b, err := hex.DecodeString(text); err == nil {
			s.look(b, maxDepth)
		}
		if b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "=")); err == nil {
			s.look(b, maxDepth)
		}
	}
	if len(s.found) == 0 {
		return nil, fmt.Errorf("%w: nothing is as long as one", ErrNone)
	}
	return s.found, nil
}

// search collects candidates.
type search struct {
	found [][]byte
	seen  map[[sha256.Size]byte]bool
}

// look takes a byte string as a candidate and looks for others in its fields, when it has any.
func (s *search) look(b []byte, depth int) {
	if len(b) < minBytes {
		return
	}
	if len(b) <= envelope.MaxBytes {
		if hash := sha256.Sum256(b); !s.seen[hash] {
			s.seen[hash] = true
			s.found = append(s.found, b)
		}
	}
	if depth == 0 || bytes.HasPrefix(b, []byte(sanity.EnvelopePrefix)) {
		return
	}
	for _, field := range fields(b) {
		s.look(field, depth-1)
	}
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

// jsonStrings returns the long strings in one or several JSON values, and false for anything else.
func jsonStrings(data []byte) ([]string, bool) {
	if first := bytes.TrimLeft(
		data,
		" \t\r\n",
	); len(first) == 0 ||
		!strings.ContainsRune(`{["`, rune(first[0])) {
		return nil, false
	}
	var long []string
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return long, true
		}
		if err != nil {
			return nil, false
		}
		if text, ok := token.(string); ok && len(text) >= minBytes {
			long = append(long, text)
		}
	}
}

// plainTexts returns the whole text when it is base64 in lines, else all long runs of base64 in it.
func plainTexts(data []byte) []string {
	whole := bytes.Join(bytes.Fields(data), nil)
	if !bytes.ContainsFunc(whole, func(r rune) bool { return !isBase64(r) }) {
		return []string{string(whole)}
	}
	var long []string
	for _, run := range bytes.FieldsFunc(data, func(r rune) bool { return !isBase64(r) }) {
		if len(run) >= minBytes {
			long = append(long, string(run))
		}
	}
	return long
}

// isText reports whether there are no bytes in data that text has not, as there are in everything
// that is encrypted.
func isText(data []byte) bool {
	return utf8.Valid(data) &&
		!bytes.ContainsFunc(
			data,
			func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) },
		)
}

func isBase64(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '+' ||
		r == '/' ||
		r == '='
}
