package process

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeys(t *testing.T) {
	for name, tc := range map[string]struct{ sent, text string }{
		"words":                              {"one two\n", "one two\n"},
		"a line end of a keyboard":           {"one\rtwo\r", "one\ntwo\n"},
		"one of Windows":                     {"one\r\ntwo\r\n", "one\ntwo\n"},
		"an empty line of each":              {"\r\r\n\r\n\n", "\n\n\n\n"},
		"what is pasted":                     {"\x1b[200~one two\x1b[201~\r", "one two\n"},
		"cursor keys":                        {"o\x1b[Dn\x1bOCe\x1b[1;5D", "one"},
		"the escape key":                     {"\x1bone", "one"},
		"a sequence that is cut off":         {"one\x1b[12\rtwo", "one\ntwo"},
		"keys that edit":                     {"a\x7fb\x08c\x15d\x17", "a\x7fb\x08c\x15d\x17"},
		"which what is pasted does not have": {"\x1b[200~o\x04n\x7fe\x1b[201~\x04", "one\x04"},
		"keys that do nothing":               {"o\x01n\x00e\x1a", "one"},
		"a tabulator":                        {"one\ttwo", "one\ttwo"},
		"characters of several bytes":        {"\u00a0é", "\u00a0é"},
	} {
		t.Run(name, func(t *testing.T) {
			var whole, pieces keys
			require.Equal(t, tc.text, string(whole.decode(nil, []byte(tc.sent))))
			var text []byte
			for i := range len(tc.sent) {
				text = pieces.decode(text, []byte{tc.sent[i]})
			}
			require.Equal(t, tc.text, string(text), "in pieces")
		})
	}
}

func TestEdit(t *testing.T) {
	for typed, want := range map[string]string{
		"onex\x7f":           "one",
		"\x7f\x08one":        "one",
		"one\ntwo\x15x":      "one\nx",
		"one\nx\x7f\x7f\x7f": "one\n",
		"one two \x17x":      "one x",
		"one\x17\x17":        "",
		"é\x7f\u00a0\x7fx":   "x",
	} {
		text := []byte{}
		for i := range len(typed) {
			text = edit(text, typed[i])
		}
		require.Equal(t, want, string(text), "%q", typed)
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("\x1b[200~one\r\n\x1b[201~\r"))
	f.Add([]byte("\x1bO\x1b[\x1b"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		var whole, pieces keys
		text := whole.decode(nil, sent)
		var other, edited []byte
		for _, b := range sent {
			other = pieces.decode(other, []byte{b})
		}
		if !bytes.Equal(text, other) {
			t.Fatal("pieces make a difference")
		}
		if len(text) > len(sent) || bytes.ContainsAny(text, "\x1b\r") {
			t.Fatal("what is left is no text")
		}
		for _, b := range text {
			edited = edit(edited, b)
		}
	})
}

const testWords = "december noodle battle screen artist miracle exercise amused jacket rhythm marble prepare " +
	"despair pigeon resist caution twenty pumpkin inmate fragile genius digital panther adjust"

func TestWhenAnEntryIsComplete(t *testing.T) {
	lines := strings.ReplaceAll(testWords, " ", "\n")
	for name, tc := range map[string]struct {
		text string
		done bool
		// ends says that it ends when nothing more comes.
		ends bool
		rest string
	}{
		"24 words in a line":                 {text: testWords + "\n", done: true},
		"24 words in as many lines":          {text: lines + "\n", done: true},
		"what comes after them is not read":  {text: testWords + "\nnext\n", done: true, rest: "next\n"},
		"24 words without a line end":        {text: testWords},
		"half of them":                       {text: strings.Join(strings.Fields(testWords)[:12], " ") + "\n"},
		"half of them and an empty line":     {text: strings.Join(strings.Fields(testWords)[:12], " ") + "\n\n", ends: true},
		"an empty line between two halves":   {text: strings.Replace(testWords, " despair", "\n\ndespair", 1) + "\n", done: true},
		"an empty line before":               {text: "\n" + testWords + "\n", done: true},
		"an empty line alone":                {text: "\n", ends: true},
		"24 words of which one is wrong":     {text: strings.Replace(testWords, "marble", "marbel", 1) + "\n", ends: true},
		"Ctrl-D":                             {text: "december noodle\x04x", done: true, rest: "x"},
		"numbers before them":                {text: "1. " + strings.ReplaceAll(testWords, " ", "\n2. "), done: false},
		"a name before them, and many lines": {text: "WORDS=\"" + lines + "\"\n", done: true},
	} {
		t.Run(name, func(t *testing.T) {
			var e entry
			done, rest, err := e.add([]byte(tc.text))
			require.NoError(t, err)
			require.Equal(t, tc.done, done)
			require.Equal(t, tc.rest, string(rest))
			require.Equal(t, tc.ends, !done && e.ends)
		})
	}
	_, _, err := new(entry).add([]byte(strings.Repeat("x", maxSecret+1)))
	require.ErrorContains(t, err, "more than 4096 bytes")
}
