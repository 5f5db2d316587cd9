package saved_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"filippo.io/age/armor"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/legacy/saved"
	"github.com/tssbackup/tssbackup/sanity"
)

func zip(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

func toUTF16(order binary.AppendByteOrder, b []byte) []byte {
	out := order.AppendUint16(nil, 0xfeff)
	for _, unit := range utf16.Encode([]rune(string(b))) {
		out = order.AppendUint16(out, unit)
	}
	return out
}

func toJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func lines(text []byte, indent, end string) (out []byte) {
	for part := range slices.Chunk(text, 76) {
		out = append(append(append(out, indent...), part...), end...)
	}
	return out
}

func base64Of(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }

// encodings are all that is undone, of bytes or of text alone.
var encodings = []struct {
	name string
	text bool
	of   func(b []byte) []byte
}{
	{"base64", false, base64Of},
	{"base64 without padding", false, func(b []byte) []byte { return []byte(base64.RawStdEncoding.EncodeToString(b)) }},
	{"base64url", false, func(b []byte) []byte { return []byte(base64.URLEncoding.EncodeToString(b)) }},
	{"base64url without padding", false, func(b []byte) []byte { return []byte(base64.RawURLEncoding.EncodeToString(b)) }},
	{"base64 in lines", false, func(b []byte) []byte { return lines(base64Of(b), "", "\n") }},
	{"base64 in lines of Windows", false, func(b []byte) []byte { return lines(base64Of(b), "", "\r\n") }},
	{"hex", false, func(b []byte) []byte { return []byte(hex.EncodeToString(b)) }},
	{"upper-case hex", false, func(b []byte) []byte { return fmt.Appendf(nil, "%X", b) }},
	{"hex with 0x", false, func(b []byte) []byte { return fmt.Appendf(nil, "0x%x", b) }},
	{"hex with 0X", false, func(b []byte) []byte { return fmt.Appendf(nil, "0X%X\n", b) }},
	{"hex of PostgreSQL", false, func(b []byte) []byte { return fmt.Appendf(nil, `\x%x`, b) }},
	{"hex with spaces", false, func(b []byte) []byte { return fmt.Appendf(nil, "% x", b) }},
	{"hex with 0x before each byte", false, func(b []byte) []byte { return fmt.Appendf(nil, "{% #x}", b) }},
	{"gzip", false, zip},
	{"JSON with a field in base64", false, func(b []byte) []byte { return toJSON(map[string]any{"result": map[string]any{"tx": b}}) }},
	{"JSON with escaped slashes", false, func(b []byte) []byte {
		return bytes.ReplaceAll(toJSON(map[string]any{"tx": b}), []byte("/"), []byte(`\/`))
	}},
	{"JSON with other escapes", false, func(b []byte) []byte {
		return bytes.ReplaceAll(toJSON(map[string]any{"tx": b}), []byte("+"), []byte(`\u002b`))
	}},
	{"JSON that was cut off", false, func(b []byte) []byte {
		return bytes.ReplaceAll(append([]byte(`{"jsonrpc":"2.0","result":{"tx":"`), append(base64Of(b), `","proof":{`...)...), []byte("/"), []byte(`\/`))
	}},
	{"JSON with hex of PostgreSQL", false, func(b []byte) []byte { return toJSON([]string{fmt.Sprintf(`\x%x`, b)}) }},
	{"JSON with an array of bytes", false, func(b []byte) []byte {
		return toJSON(map[string]any{"type": "Buffer", "data": numbers(b, 0)})
	}},
	{"JSON with an array of signed bytes", false, func(b []byte) []byte { return toJSON(numbers(b, 128)) }},
	{"JSON with an object of bytes", false, func(b []byte) []byte {
		var out strings.Builder
		for i, c := range b {
			fmt.Fprintf(&out, `,"%d":%d`, i, c)
		}
		return []byte("{" + out.String()[1:] + "}")
	}},
	{"JSON lines with a field in base64", false, func(b []byte) []byte {
		return slices.Concat([]byte("{\"height\":\"5\"}\n"), toJSON(map[string]any{"tx": b}), []byte("\n"))
	}},
	{"YAML with a plain scalar", false, func(b []byte) []byte { return append([]byte("height: \"5\"\ntx: "), base64Of(b)...) }},
	{"YAML with a block scalar", false, func(b []byte) []byte {
		return slices.Concat([]byte("height: \"5\"\ntx: |-\n"), lines(base64Of(b), "    ", "\n"), []byte("memo: none\n"))
	}},
	{"YAML with a folded scalar", false, func(b []byte) []byte {
		return slices.Concat([]byte("txs:\n- >-\n"), lines(base64Of(b), "  ", "\n"), []byte("memo: none\n"))
	}},
	{"YAML with a quoted scalar in lines", false, func(b []byte) []byte {
		return slices.Concat([]byte("tx: \""), bytes.TrimSuffix(lines(base64Of(b), "  ", "\\\n"), []byte("\\\n")), []byte("\"\nmemo: none\n"))
	}},
	{"YAML with a list of bytes", false, func(b []byte) []byte {
		out := []byte("tx:\n")
		for _, c := range b {
			out = fmt.Appendf(out, "- %d\n", c)
		}
		return out
	}},
	{"a variable of a shell", false, func(b []byte) []byte { return append([]byte("TX="), base64Of(b)...) }},
	{"a string of JSON", true, func(b []byte) []byte { return toJSON(string(b)) }},
	{"JSON within a string of JSON", true, func(b []byte) []byte { return toJSON(map[string]any{"level": "info", "body": string(b)}) }},
	{"a byte order mark", true, func(b []byte) []byte { return append([]byte("\ufeff"), b...) }},
	{"UTF-16, little end first", true, func(b []byte) []byte { return toUTF16(binary.LittleEndian, b) }},
	{"UTF-16, big end first", true, func(b []byte) []byte { return toUTF16(binary.BigEndian, b) }},
	{"UTF-16 without a mark", true, func(b []byte) []byte { return toUTF16(binary.LittleEndian, b)[2:] }},
	{"line ends of Windows", true, func(b []byte) []byte {
		return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	}},
	{"empty lines around", true, func(b []byte) []byte { return slices.Concat([]byte("\n\n"), b, []byte(" \n\n")) }},
}

func numbers(b []byte, over int) (all []int) {
	for _, c := range b {
		n := int(c)
		if over > 0 && n >= over {
			n -= 256
		}
		all = append(all, n)
	}
	return all
}

// anEnvelope has the form of one, and bytes that are no text.
func anEnvelope(seed byte) []byte {
	stanza := base64.RawStdEncoding.EncodeToString
	return slices.Concat([]byte(sanity.EnvelopePrefix), []byte(stanza(noise(seed, 16))+" 18\n"+stanza(noise(seed, 32))+
		"\n--- "+stanza(noise(seed, 32))+"\n"), noise(seed, 2000))
}

// latin1 is what bytes become when they are taken for text.
func latin1(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		out.WriteRune(rune(c))
	}
	return out.String()
}

func armored(b []byte) []byte {
	var out bytes.Buffer
	w := armor.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

func requireFound(t *testing.T, data, want []byte, how ...any) {
	t.Helper()
	require.True(t, slices.ContainsFunc(saved.Find(data).Candidates, func(c saved.Candidate) bool {
		return c.Form == saved.Envelope && bytes.Equal(c.Data, want)
	}), how...)
}

func TestAnEnvelopeInEachEncoding(t *testing.T) {
	own := anEnvelope(1)
	for _, e := range encodings {
		t.Run(e.name, func(t *testing.T) {
			in := own
			if e.text {
				in = base64Of(in)
			}
			requireFound(t, e.of(in), own)
		})
	}
	for name, data := range map[string][]byte{
		"armor":                          armored(own),
		"armor in a mail":                slices.Concat([]byte("Dear all,\n\n"), armored(own), []byte("\nRegards\n")),
		"armor in YAML":                  slices.Concat([]byte("backup: |\n"), bytes.ReplaceAll(append([]byte("  "), armored(own)...), []byte("\n"), []byte("\n  "))),
		"armor in lines of another size": slices.Concat([]byte(armor.Header+"\n"), lines(base64Of(own), "", "\r\n"), []byte(armor.Footer+"\r\n")),
		"armor in JSON":                  toJSON(map[string]string{"backup": string(armored(own))}),
		"a byte order mark before it":    append([]byte("\ufeff"), own...),
		"an empty line before it":        append([]byte("\n"), own...),
		"something before it":            slices.Concat([]byte("Content-Type: application/octet-stream\r\n\r\n"), own),
		"a text of Latin-1 in UTF-8":     []byte(latin1(own)),
		"a text of Latin-1 in UTF-16":    toUTF16(binary.LittleEndian, []byte(latin1(own))),
		"base64 in a URL":                []byte("https://host/tx?bytes=" + url.QueryEscape(string(base64Of(own)))),
		"line ends of Windows":           bytes.ReplaceAll(own, []byte("\n"), []byte("\r\n")),
		"a header with line ends of Windows": append(
			bytes.ReplaceAll(own[:len(own)-2000], []byte("\n"), []byte("\r\n")), own[len(own)-2000:]...),
	} {
		t.Run(name, func(t *testing.T) { requireFound(t, data, own) })
	}
}

// Whatever was done to it, one after the other, is undone.
func TestAnyCompositionOfEncodings(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 150 {
		own := anEnvelope(byte(round))
		data, how := own, []string{}
		if random.IntN(4) == 0 {
			data, how = armored(own), append(how, "armor")
		}
		for len(how) < 5 && len(data) < 1<<20 {
			e := encodings[random.IntN(len(encodings))]
			if e.text && (!utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0) {
				continue
			}
			data, how = e.of(data), append(how, e.name)
		}
		requireFound(t, data, own, "%s", strings.Join(how, ", then "))
	}
}

func TestWhatItIs(t *testing.T) {
	// Not even a good copy of what it is has the form of a backup.
	age := func(stanza string) string {
		return "age-encryption.org/v1\n-> " + stanza + "\n" + strings.Repeat("A", 43) + "\n--- " + strings.Repeat("B", 43) + "\n" + string(noise(1, 500))
	}
	tx := transaction(tssPool(nil))
	tar := make([]byte, 1024)
	copy(tar, "file")
	copy(tar[257:], "ustar\x0000")
	keyshare := `{"pub_key":"thorpub1","local_data":"` + strings.Repeat("A", 800) + `","participant_keys":[]}`
	for _, c := range []struct {
		name, data string
		is         error
		says       string
	}{
		{"an age file for a key", age("X25519 abc"), saved.ErrForeign, "age file for a key (X25519): no mnemonic opens it: age -d -i KEY does"},
		{"an age file for a key of SSH", age("ssh-ed25519 abc def"), saved.ErrForeign, "for a key of SSH (ssh-ed25519)"},
		{"an age file for a key, in armor", string(armored([]byte(age("X25519 abc")))), saved.ErrForeign, "X25519"},
		{"an age file for a key, in a transaction", `{"tx":"` + string(base64Of([]byte(age("X25519 abc")))) + `"}`, saved.ErrForeign, "X25519"},
		{"armor that was cut off", string(armored(anEnvelope(1))[:500]), saved.ErrForeign, "armor that is cut off"},
		{"an age file with the line ends of a Mac", strings.ReplaceAll(age("scrypt abc 18"), "\n", "\r"), saved.ErrForeign, "line ends were converted"},
		{"an age file that was converted", strings.ReplaceAll(latin1(anEnvelope(1)), "\u00e9", "\ufffd"), saved.ErrForeign, "taken for text and converted"},
		{"an age file as Python shows it", fmt.Sprintf("b'%q'", anEnvelope(1)), saved.ErrForeign, "quotes an age file"},
		{"a hex dump", hex.Dump(anEnvelope(1)), saved.ErrForeign, "a hex dump"},
		{"an envelope in an xz file", "\xfd7zXZ\x00" + string(anEnvelope(1)), saved.ErrForeign, "xz file: unpack it"},
		{"a key of PEM", "-----BEGIN OPENSSH PRIVATE KEY-----\n" + string(lines(base64Of(noise(1, 600)), "", "\n")) + "-----END OPENSSH PRIVATE KEY-----\n", saved.ErrForeign, "PEM file (OPENSSH PRIVATE KEY)"},
		{"a key of age", "# created: 2026-01-01\nAGE-SECRET-KEY-1QQQ\n", saved.ErrForeign, "a key of age"},
		{"a web page", "<!DOCTYPE html>\n<html><body><img src=\"data:image/x;base64," + string(base64Of(noise(1, 900))) + "\"></body></html>", saved.ErrForeign, "a web page"},
		{"an error page of a proxy", "<html>\r\n<head><title>502 Bad Gateway</title></head>", saved.ErrForeign, "a web page"},
		{"a list of users", "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n", saved.ErrForeign, "text without a backup"},
		{"words", "hello", saved.ErrForeign, "text without a backup"},
		{"a long text", strings.Repeat("not base64! ", 1000), saved.ErrForeign, "text without a backup"},
		{"a mnemonic", strings.Repeat("abandon ", 11) + "about\n", saved.ErrForeign, "it belongs in --mnemonic-file"},
		{"a tar archive", string(tar), saved.ErrForeign, "tar archive"},
		{"an LZMA stream", "\x5d\x00\x00\x80\x00" + strings.Repeat("\xff", 8) + "\x00" + string(noise(1, 600)), saved.ErrForeign, "LZMA stream"},
		{"an xz file", "\xfd7zXZ\x00" + string(noise(1, 600)), saved.ErrForeign, "xz file: unpack it"},
		{"a zip archive", "PK\x03\x04" + string(noise(1, 600)), saved.ErrForeign, "zip archive"},
		{"a zip archive in base64", string(base64Of([]byte("PK\x03\x04" + string(noise(1, 600))))), saved.ErrForeign, "zip archive"},
		{"gzip that was cut off", string(zip(noise(1, 5000))[:3000]), saved.ErrForeign, "gzip"},
		{"a keyshare", keyshare, saved.ErrForeign, "a keyshare file in the clear"},
		{"a keyshare in UTF-16", string(toUTF16(binary.LittleEndian, []byte(keyshare))), saved.ErrForeign, "a keyshare file in the clear"},
		{"nothing", "", saved.ErrForeign, "an empty file"},
		{"a line end", "\r\n", saved.ErrForeign, "an empty file"},
		{"zeros", string(make([]byte, 4000)), saved.ErrForeign, "4000 bytes, all of them zero"},
		{"zeros in base64", string(base64Of(make([]byte, 4000))), saved.ErrForeign, "all of them zero"},
		{"JSON of something else", `{"hello":"world"}`, saved.ErrForeign, "JSON, and no answer of a node"},
		{"a transaction without a backup", string(tx), saved.ErrNone, "a transaction or a block without one"},
		{"a transaction without a backup, in hex", "0x" + hex.EncodeToString(tx), saved.ErrNone, "a transaction or a block without one"},
		{"a block without a backup", string(field(2, field(1, tx))), saved.ErrNone, "a transaction or a block without one"},
		{"an answer without a backup", `{"jsonrpc":"2.0","id":-1,"result":{"tx":"` + string(base64Of(tx)) + `"}}`, saved.ErrNone, "an answer of a node"},
		{"the results of a block", `{"result":{"height":"5","txs_results":[{"code":0,"data":"` + string(base64Of(bytes.Repeat([]byte("y"), 900))) + `"}]}}`, saved.ErrNone, "an answer of a node"},
		{"an error of the RPC", `{"jsonrpc":"2.0","id":-1,"error":{"code":-32603,"message":"Internal error","data":"transaction indexing is disabled"}}`, saved.ErrNone, "Internal error: transaction indexing is disabled"},
		{"an error of the RPC, in UTF-16 and gzip", string(zip(toUTF16(binary.LittleEndian, []byte(`{"error":{"message":"tx (AB) not found"}}`)))), saved.ErrNone, "tx (AB) not found"},
		{"an error of the RPC, in a log", `{"body":"{\"error\":{\"message\":\"tx (AB) not found\"}}"}`, saved.ErrNone, "tx (AB) not found"},
		{"errors of a batch", `[{"id":1,"result":{}},{"id":2,"error":{"message":"too many requests"}}]`, saved.ErrNone, "too many requests"},
		{"an error of REST", `{"code":5,"message":"tx not found: AB","details":[]}`, saved.ErrNone, "tx not found: AB"},
		{"an error of the command line", "Error: rpc error: code = NotFound desc = tx not found: AB\n", saved.ErrNone, "desc = tx not found: AB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := saved.Find([]byte(c.data))
			require.ErrorIs(t, found.Why, c.is)
			require.ErrorContains(t, found.Why, c.says)
			for _, c := range found.Candidates {
				require.Equal(t, saved.Other, c.Form, "%.80q", c.Data)
			}
		})
	}
}

func TestObject(t *testing.T) {
	state := []byte(`{"vault":"02ab","proofs":[]}`)
	for name, data := range map[string][]byte{
		"as it is": state, "a byte order mark": append([]byte("\ufeff"), state...), "in gzip": zip(state),
		"in UTF-16": toUTF16(binary.LittleEndian, state), "in a string of JSON": toJSON(string(state)),
		"in JSON": toJSON(map[string]string{"stdout": string(state)}), "in base64": base64Of(state),
		"in lines of base64 in UTF-16": toUTF16(binary.BigEndian, lines(base64Of(state), "", "\r\n")),
	} {
		t.Run(name, func(t *testing.T) {
			object, err := saved.Object(data, "vault")
			require.NoError(t, err)
			require.JSONEq(t, string(state), string(object))
		})
	}
	_, err := saved.Object([]byte("<html>"), "vault")
	require.ErrorContains(t, err, "a web page")
	_, err = saved.Object([]byte(`{"code":5,"message":"vault not found"}`), "vault")
	require.ErrorContains(t, err, "vault not found")
}

func FuzzFind(f *testing.F) {
	tx := transaction(tssPool(noise(1, 300)))
	f.Add(tx)
	f.Add(anEnvelope(1))
	f.Add(armored(anEnvelope(1)))
	for _, e := range encodings {
		f.Add(e.of(base64Of(tx)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		found := saved.Find(data)
		require.Error(t, found.Why)
		require.True(t, slices.ContainsFunc([]error{saved.ErrNone, saved.ErrForeign, envelope.ErrTooLarge}, func(kind error) bool {
			return errors.Is(found.Why, kind)
		}))
		require.LessOrEqual(t, len(found.Why.Error()), 2000)
		for _, c := range found.Candidates {
			if c.Form == saved.Envelope {
				require.True(t, bytes.HasPrefix(c.Data, []byte(sanity.EnvelopePrefix)))
			}
		}
		_, _ = saved.Object(data, "vault")
	})
}
