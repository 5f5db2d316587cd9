package saved

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/sanity"
)

// kind is what bytes are, and what is to be done about it.
type kind struct {
	rank rank
	what string
	todo string
	// none says that it is what may hold a backup, and holds none.
	none bool
	// weak says that it is full of long random texts that are no backups.
	weak bool
}

// rank is how much a kind tells: a higher one goes before a lower one.
type rank int

const (
	rankNone   rank = iota
	rankText        // text and nothing more
	rankKnown       // something with a name
	rankBroken      // a part of something, whatever it seems to be
)

// note keeps what the whole of the data is. What is further inside tells more.
func (s *search) note(k kind) {
	if k.rank > rankNone && k.rank >= s.kind.rank {
		s.kind = k
	}
}

// why is the error for when no candidate opens.
func (s *search) why() error {
	k := s.kind
	switch {
	case s.tooMuch:
		return fmt.Errorf("%w: there is more in it than is looked at", envelope.ErrTooLarge)
	case s.refusal != "":
		return fmt.Errorf("%w: it is an error that a node answered: %s", ErrNone, s.refusal)
	case k.none:
		return fmt.Errorf("%w: it is %s", ErrNone, k.what)
	case k.todo == "":
		return fmt.Errorf("%w: it is %s", ErrForeign, k.what)
	}
	return fmt.Errorf("%w: it is %s: %s", ErrForeign, k.what, k.todo)
}

var kindConverted = kind{
	rank: rankKnown,
	what: "an age file whose line ends were converted",
	todo: "copy it once more, as binary",
}

// unpackFirst is the advice for archives.
const unpackFirst = "unpack it, and give the file that is in it"

// magics are the first bytes of what is often mistaken for a backup.
var magics = []struct {
	magic, what, todo string
}{
	{"\xfd7zXZ\x00", "an xz file", unpackFirst},
	{"PK\x03\x04", "a zip archive", unpackFirst},
	{"BZh", "a bzip2 file", unpackFirst},
	{"\x28\xb5\x2f\xfd", "a zstd file", unpackFirst},
	{"7z\xbc\xaf\x27\x1c", "a 7z archive", unpackFirst},
	{"Rar!\x1a\x07", "a rar archive", unpackFirst},
	{"\x04\x22\x4d\x18", "an lz4 file", unpackFirst},
	{"%PDF-", "a PDF", "give the file that the envelope is in"},
	{"\x89PNG\r\n", "an image", "give the file that the envelope is in"},
	{"\xff\xd8\xff", "an image", "give the file that the envelope is in"},
	{"\x7fELF", "a program", "give the file that the envelope is in"},
	{"SQLite format 3\x00", "a database of SQLite", "give the file that the envelope is in"},
	{"\x00asm", "WebAssembly", "give the file that the envelope is in"},
	{"\x00\x00\x00\x07ssh-", "a public key of SSH", "give the file that the envelope is in"},
	{"\x00\x00\x00\x13ecdsa-", "a public key of SSH", "give the file that the envelope is in"},
	{"openssh-key-v1\x00", "a private key of SSH", "give the file that the envelope is in"},
	{"Salted__", "a file that openssl encrypted", "open it with openssl"},
}

// identify names bytes by what they begin with. It judges no candidate: what is named is tried all
// the same.
func identify(b []byte) kind {
	known := func(what, todo string) kind { return kind{rank: rankKnown, what: what, todo: todo} }
	switch {
	case len(bytes.TrimSpace(b)) == 0:
		return known("an empty file", "copy it once more")
	case len(bytes.Trim(b, "\x00")) == 0:
		return known(
			fmt.Sprintf("%d bytes, all of them zero", len(b)),
			"the disk has lost what was there: take another copy",
		)
	case isAge(b):
		return identifyAge(b)
	}
	for _, m := range magics {
		if bytes.HasPrefix(b, []byte(m.magic)) {
			return known(m.what, m.todo)
		}
	}
	switch {
	case len(b) > 263 && string(b[257:262]) == "ustar":
		return known("a tar archive", "keyshares in it need no opening: tar x unpacks it")
	case len(b) > 13 && b[0] == 0x5d && b[1] == 0 && b[2] == 0 && b[13] == 0:
		return known(
			"an LZMA stream",
			"if it is what age took out of an envelope, xz -dc --format=lzma | tar x unpacks it",
		)
	case isText(b):
		return identifyText(bytes.TrimSpace(b))
	}
	return kind{rank: rankNone}
}

// identifyAge names an age file by whom it is encrypted to.
func identifyAge(b []byte) kind {
	k := kind{rank: rankKnown, what: "an age file that is damaged", todo: "copy it once more"}
	stanza, ok := bytes.CutPrefix(b[len(ageLine):], []byte("\n-> "))
	if !ok {
		return k
	}
	name, _, _ := bytes.Cut(stanza, []byte("\n"))
	name, _, _ = bytes.Cut(name, []byte(" "))
	switch {
	case string(name) == "scrypt":
		k.what, k.todo = "an age file with a passphrase, as an envelope is", "" // a candidate
	case len(name) == 0 || len(name) > 32 || !isWord(name):
	case bytes.HasPrefix(name, []byte("ssh-")):
		k.what = fmt.Sprintf("an age file for a key of SSH (%s)", name)
		k.todo = "no mnemonic opens it: age -d -i KEY does"
	default:
		k.what = fmt.Sprintf("an age file for a key (%s)", name)
		k.todo = "no mnemonic opens it: age -d -i KEY does"
	}
	return k
}

func isWord(b []byte) bool {
	return !bytes.ContainsFunc(b, func(r rune) bool {
		return r > unicode.MaxASCII || r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// identifyText names a text.
func identifyText(b []byte) kind {
	lower := strings.ToLower(string(b[:min(len(b), 512)]))
	known := func(what, todo string) kind {
		return kind{rank: rankKnown, what: what, todo: todo, weak: true}
	}
	switch {
	case strings.HasPrefix(lower, "<!doctype html"), strings.HasPrefix(lower, "<html"),
		strings.Contains(lower, "<head>"), strings.Contains(lower, "<html"):
		return known("a web page", "its address is no node's: ask a node's RPC or REST port")
	case strings.HasPrefix(lower, "<?xml"), strings.HasPrefix(lower, "<"):
		return known("XML or a web page", "its address is no node's: ask a node's RPC or REST port")
	case strings.Contains(lower, "age-secret-key-1"):
		return known("a key of age", "it opens age files that were encrypted to it, and is no backup")
	case strings.HasPrefix(lower, "-----begin age "):
		return kind{rank: rankText, what: "age armor"}
	case strings.Contains(lower, "-----begin pgp "):
		return known("a PGP message or key", "gpg opens it")
	case strings.Contains(lower, "-----begin "):
		_, label, _ := strings.Cut(string(b[:min(len(b), 512)]), "-----BEGIN ")
		label, _, _ = strings.Cut(label, "-----")
		if len(label) > 40 || !isWord([]byte(strings.ReplaceAll(label, " ", ""))) {
			label = "key"
		}
		return known("a PEM file ("+label+")", "give the file that the envelope is in")
	case strings.HasPrefix(lower, "ssh-"), strings.HasPrefix(lower, "ecdsa-sha2-"):
		return known("a public key of SSH", "give the file that the envelope is in")
	}
	switch {
	case bytes.Contains(b, []byte(ageLine)):
		return known("a text that quotes an age file", "give the file itself, as binary")
	case isDump(b):
		return known("a hex dump", "xxd -r makes the file of it again")
	}
	if line := strings.TrimSpace(string(b)); len(line) < 4096 && !strings.HasPrefix(line, "{") {
		for _, says := range []string{"rpc error: ", "Error: ", "error: "} {
			if strings.HasPrefix(line, says) || says == "rpc error: " && strings.Contains(line, says) {
				return kind{
					rank: rankKnown, none: true, what: "an error that was printed: " + clip(line),
				}
			}
		}
	}
	if m, err := sanity.ParseMnemonic(b); err == nil {
		m.Wipe()
		return known("a mnemonic", "it belongs in --mnemonic-file, and an envelope here")
	}
	return kind{rank: rankText, what: "text without a backup in base64 or hex"}
}

// isDump reports whether a text begins with an offset in hex, as xxd and hexdump print it.
func isDump(b []byte) bool {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	offset, rest, ok := bytes.Cut(line, []byte(" "))
	offset = bytes.TrimSuffix(offset, []byte(":"))
	zeros := len(offset) >= 7 && len(bytes.Trim(offset, "0")) == 0
	return ok && zeros && bytes.Contains(rest, []byte(" "))
}

// answerFields are fields of JSON by which a node's answer, or a transaction, is known.
var answerFields = []string{
	"jsonrpc", "result", "error", "tx", "txs", "tx_response", "tx_responses", "txhash", "block",
	"block_id", "sdk_block", "blocks", "height", "code", "body", "auth_info", "messages",
	"txs_results", "tx_result", "signatures",
}

// fieldsOf are the fields of the first JSON value, if it is an object, or of the first object in it
// if it is a list that has one with an error.
func fieldsOf(b []byte) map[string]json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(b))
	if len(b) > 0 && b[0] == '[' {
		var list []map[string]json.RawMessage
		if d.Decode(&list) != nil || len(list) == 0 {
			return nil
		}
		for _, fields := range list {
			if _, ok := fields["error"]; ok {
				return fields
			}
		}
		return list[0]
	}
	var fields map[string]json.RawMessage
	if d.Decode(&fields) != nil {
		return nil
	}
	return fields
}

// answer names JSON that is the whole of the data.
func (s *search) answer(b []byte) {
	fields := fieldsOf(b)
	if refusal := refusalOf(fields); refusal != "" {
		s.refusal = clip(refusal)
	}
	if fields["pub_key"] != nil && fields["local_data"] != nil {
		s.note(kind{
			rank: rankKnown, what: "a keyshare file in the clear",
			todo: "it needs no opening: keep it secret, and put it among the keyshares of bifrost's home",
		})
		return
	}
	for _, name := range answerFields {
		// A log of HTTP has bodies that are text.
		if raw, ok := fields[name]; ok && (name != "body" || raw[0] == '{') {
			s.note(kind{
				rank: rankKnown, none: true,
				what: "an answer of a node, or a transaction, in which nothing is a backup",
			})
			return
		}
	}
	s.note(kind{rank: rankText, what: "JSON, and no answer of a node"})
}

// refusalOf is the text of an error that a node answered, or nothing.
func refusalOf(fields map[string]json.RawMessage) string {
	var e struct {
		Message string
		Data    any
	}
	if raw, ok := fields["error"]; ok && string(raw) != "null" {
		var text string
		switch {
		case json.Unmarshal(raw, &text) == nil && text != "":
			return text
		case json.Unmarshal(raw, &e) == nil:
			parts := []string{}
			if e.Message != "" {
				parts = append(parts, e.Message)
			}
			if data, ok := e.Data.(string); ok && data != "" {
				parts = append(parts, data)
			}
			if len(parts) > 0 {
				return strings.Join(parts, ": ")
			}
			return string(raw)
		}
		return string(raw)
	}
	var code json.Number
	if raw, ok := fields["message"]; ok && json.Unmarshal(fields["code"], &code) == nil &&
		code.String() != "0" {
		_ = json.Unmarshal(raw, &e.Message)
		return e.Message
	}
	return ""
}

// clip makes somebody else's text short enough for an error.
func clip(text string) string {
	const most = 300
	runes := []rune(text)
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
