package saved

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"filippo.io/age/armor"
)

const (
	bom        = "\ufeff"
	bomLittle  = "\xff\xfe"
	bomBig     = "\xfe\xff"
	gzipMagic  = "\x1f\x8b\x08"
	lineLength = 64 // of age's armor
)

// peel undoes one encoding of the whole of b, when it is in one that its first bytes name, and
// looks at what is inside. It returns false otherwise.
func (s *search) peel(b []byte, depth int, whole bool) bool {
	if rest, ok := bytes.CutPrefix(b, []byte(bom)); ok && (isText(rest) || isAge(rest)) {
		s.look(rest, depth-1, whole)
		return true
	}
	if text := fromUTF16(b); text != nil {
		s.look(text, depth-1, whole)
		return true
	}
	if bytes.HasPrefix(b, []byte(gzipMagic)) {
		inner, err := gunzip(b, min(s.left, MaxBytes))
		switch {
		case errors.Is(err, errLimit):
			s.tooMuch = true
			return true
		case err != nil && whole:
			s.weak = true
			s.note(kind{
				rank: rankBroken, what: "a gzip file that is cut off or damaged",
				todo: "copy it once more",
			})
		}
		if len(inner) == 0 {
			return err == nil // else it begins so by chance, perhaps
		}
		s.look(inner, depth-1, whole)
		return true
	}
	if isAge(b) {
		s.age(b, whole)
		return true
	}
	return false
}

func isAge(b []byte) bool { return bytes.HasPrefix(b, []byte(ageLine)) }

// fromUTF16 returns the text that b is in UTF-16, with a byte order mark or so that it shows in its
// ASCII, or nil.
func fromUTF16(b []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte(bomLittle)):
		order, b = binary.LittleEndian, b[2:]
	case bytes.HasPrefix(b, []byte(bomBig)):
		order, b = binary.BigEndian, b[2:]
	case alternates(b, 1):
		order = binary.LittleEndian
	case alternates(b, 0):
		order = binary.BigEndian
	default:
		return nil
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	text := make([]byte, 0, len(units))
	for _, r := range utf16.Decode(units) {
		text = utf8.AppendRune(text, r)
	}
	if !isText(text) && !isAge(text) && !alternates(text, 0) && !alternates(text, 1) {
		return nil // it begins so by chance
	}
	return text
}

// fromText undoes what happens to a binary file of some length that is taken for a text of Latin-1
// and saved as UTF-8, which no ciphertext is by chance. It returns nil for what is anything else,
// and whether it is a text all the same.
func fromText(b []byte) (binary []byte, text bool) {
	if !utf8.Valid(b) || bytes.IndexFunc(b, func(r rune) bool { return r > unicode.MaxASCII }) < 0 {
		return nil, false
	}
	for _, r := range string(b) {
		if r > unicode.MaxLatin1 {
			return nil, true
		}
		binary = append(binary, byte(r))
	}
	return binary, true
}

// alternates reports whether of the first bytes every second one, from this one on, is a zero, and
// no other.
func alternates(b []byte, from int) bool {
	const look = 32
	if len(b) < look {
		return false
	}
	for i, c := range b[:look] {
		if (i%2 == from) != (c == 0) {
			return false
		}
	}
	return true
}

var errLimit = errors.New("it unpacks to more than is looked at")

// gunzip returns what is in b, when that has at most limit bytes. With an error it returns what it
// could read.
func gunzip(b []byte, limit int) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	inner, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if len(inner) > limit {
		return nil, errLimit
	}
	if errors.Is(err, gzip.ErrHeader) { // something follows it
		err = nil
	}
	return inner, err
}

// unarmor returns the age file in a text that holds one in age's armor, whatever is around it and
// however its lines were broken anew, and whether there is any armor at all.
func unarmor(text []byte) (file []byte, armored bool) {
	begin := bytes.Index(text, []byte(armor.Header))
	if begin < 0 {
		return nil, false
	}
	body := text[begin+len(armor.Header):]
	end := bytes.Index(body, []byte(armor.Footer))
	if end < 0 {
		return nil, true
	}
	compact := bytes.Map(func(r rune) rune {
		if isBase64(r) {
			return r
		}
		return -1
	}, body[:end])
	var lines strings.Builder
	lines.WriteString(armor.Header + "\n")
	for len(compact) > 0 {
		n := min(lineLength, len(compact))
		lines.Write(compact[:n])
		lines.WriteString("\n")
		compact = compact[n:]
	}
	lines.WriteString(armor.Footer + "\n")
	file, err := io.ReadAll(armor.NewReader(strings.NewReader(lines.String())))
	if err != nil {
		return nil, true
	}
	return file, true
}

// decode returns what a run of characters stands for in hex or base64, or nil. What reads as hex is
// hex, when it is not padded: it reads as base64 as well. Of what was cut off in the middle of a
// byte it takes the rest.
func decode(text string) []byte {
	padded := strings.HasSuffix(text, "=")
	text = strings.TrimRight(text, "=")
	text = text[strings.LastIndexByte(text, '=')+1:] // NAME=…
	digits := text
	for _, prefix := range []string{"0x", "0X", "x", "X"} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			digits = rest
			break
		}
	}
	if b, err := hex.DecodeString(digits[:len(digits)&^1]); err == nil && len(b) > 0 && !padded {
		return b
	}
	text = strings.NewReplacer("-", "+", "_", "/").Replace(text)
	if len(text)%4 == 1 {
		text = text[:len(text)-1]
	}
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil
	}
	return b
}

// decorations are what stands around and between the bytes in lists of hex.
var decorations = strings.NewReplacer(
	`\x`, "", "0x", "", "0X", "", ",", "", ":", "", `"`, "", "'", "",
	"[", "", "]", "", "{", "", "}", "",
)

// decodeList returns what a text stands for that is hex with something before or between its bytes.
func decodeList(text string) []byte {
	digits := decorations.Replace(text)
	if len(digits) == len(text) || digits == "" {
		return nil
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil
	}
	return b
}

func isBase64(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '+' ||
		r == '/' || r == '='
}

// isEncoded reports whether a character may be one of base64, base64url or hex.
func isEncoded(r rune) bool { return isBase64(r) || r == '-' || r == '_' }
