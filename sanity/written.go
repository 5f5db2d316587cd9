package sanity

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// This file reads mnemonics as people and programs write them down: with invisible characters, in
// UTF-16, numbered, in columns, with commas, in quotes, behind a name, as a list of JSON. It takes
// what can be read in one way only. Words are never guessed: all of them must be there, and the
// checksum must hold.

// token is a run of letters, or one of digits, and where it stands.
type token struct {
	word   []byte // nil for a number
	number int
	line   int
	first  bool // of its line
	named  bool // a colon or an equals sign follows it
}

// windows are the spaces, quotes and dashes of Windows' own code page, as bytes that are no UTF-8.
const windows = "\x85\x91\x92\x93\x94\x95\x96\x97\xa0"

// maxNumber is more than any number that counts words.
const maxNumber = 1000

// decodeText returns text as UTF-8 in lower case and in NFKD. The caller wipes it.
func decodeText(raw []byte) ([]byte, error) {
	text := fromUTF16(raw)
	if text == nil {
		text = bytes.Clone(raw)
	}
	defer func() { Wipe(text) }()
	if n := bytes.Count(text, []byte{0}); n > 0 {
		return nil, fmt.Errorf(
			"mnemonic holds %d NUL bytes, which nobody sees: take them out of the file, or write "+
				"it anew", n)
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 && bytes.IndexByte([]byte(windows), text[i]) >= 0 {
			text[i] = ' '
		}
		i += size
	}
	decomposed := norm.NFKD.Append(nil, text...)
	defer Wipe(decomposed)
	return bytes.ToLower(decomposed), nil
}

// fromUTF16 returns what is in UTF-16, with a byte order mark or in a text of ASCII without one, as
// UTF-8; or nil.
func fromUTF16(raw []byte) []byte {
	var order binary.ByteOrder
	switch {
	case len(raw) < 8:
		return nil
	case raw[0] == 0xff && raw[1] == 0xfe:
		order = binary.LittleEndian
	case raw[0] == 0xfe && raw[1] == 0xff:
		order = binary.BigEndian
	case alternates(raw, 1):
		order = binary.LittleEndian
	case alternates(raw, 0):
		order = binary.BigEndian
	default:
		return nil
	}
	text := make([]byte, 0, 3*len(raw)/2)
	for i := 0; i+1 < len(raw); i += 2 {
		r := rune(order.Uint16(raw[i:]))
		if utf16.IsSurrogate(r) {
			r = utf8.RuneError // no word has any
		}
		text = utf8.AppendRune(text, r)
	}
	return text
}

// alternates reports whether every second byte, from this one on, is zero, and no other.
func alternates(raw []byte, from int) bool {
	for i, c := range raw[:len(raw)&^1] {
		if (i%2 == from) != (c == 0) {
			return false
		}
	}
	return true
}

// isInvisible reports whether a character takes up no place: zero-width spaces and joiners, byte
// order marks, soft hyphens, marks of direction, variation selectors.
func isInvisible(r rune) bool {
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) || r == '\u034f'
}

// visible returns the text without what is invisible, or with a space in each place of it, and
// whether there was any. The caller wipes it.
func visible(text []byte, spaced bool) (out []byte, any bool) {
	out = make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case !isInvisible(r):
			out = append(out, text[i:i+size]...)
		case spaced:
			out, any = append(out, ' '), true
		default:
			any = true
		}
		i += size
	}
	return out, any
}

// tokens cuts a text into words and numbers. Whatever is neither letter nor digit separates them;
// letters are those of all alphabets, with their accents. The words are parts of the text.
func tokens(text []byte) (all []token) {
	line, first, start := 0, true, 0
	end := func(at int) {
		if start < at {
			t := token{word: text[start:at], line: line, first: first}
			if text[start] >= '0' && text[start] <= '9' {
				t.word, t.number = nil, number(text[start:at])
			}
			all, first = append(all, t), false
		}
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		// The escapes of line ends and tabs, in what was taken out of a string.
		if r == '\\' && i+1 < len(text) && bytes.IndexByte([]byte("nrt"), text[i+1]) >= 0 {
			size = 2
		}
		digit := r >= '0' && r <= '9'
		switch {
		case digit && start < i && (text[start] < '0' || text[start] > '9'),
			!digit && isWordRune(r) && start < i && text[start] >= '0' && text[start] <= '9':
			end(i)
			start = i
		case !digit && !isWordRune(r):
			end(i)
			if n := len(all); n > 0 && (r == ':' || r == '=') && all[n-1].line == line {
				all[n-1].named = true
			}
			if r == '\n' {
				line, first = line+1, true
			}
			start = i + size
		}
		i += size
	}
	end(len(text))
	return all
}

// isWordRune reports whether a character is part of a word. What is no UTF-8 is, and makes the word
// an unknown one.
func isWordRune(r rune) bool {
	return r == utf8.RuneError || unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r)
}

func number(digits []byte) (n int) {
	for _, c := range digits {
		n = min(10*n+int(c-'0'), maxNumber)
	}
	return n
}

// errNumbers says that there are numbers which do not count the words.
var errNumbers = errors.New(
	"mnemonic holds numbers that do not count its words: leave the words alone, with spaces between")

// order returns the words in the order that the numbers give them, if there are numbers.
func order(all []token) ([][]byte, error) {
	var words [][]byte
	var numbers []token
	for _, t := range all {
		if t.word != nil {
			words = append(words, t.word)
		} else {
			numbers = append(numbers, t)
		}
	}
	switch {
	case len(numbers) == 0 || countsLines(all):
		return words, nil
	case all[0].word != nil && all[len(all)-1].word != nil && len(numbers) >= minWords:
		// What stands before the first number is the head of a table.
		for all[0].word != nil {
			all = all[1:]
		}
	}
	if len(all) != 2*len(numbers) {
		return words, errNumbers
	}
	sorted := make([][]byte, len(numbers))
	from := len(numbers)
	for _, t := range numbers {
		from = min(from, t.number)
	}
	for i := 0; i < len(all); i += 2 {
		word, at := all[i], all[i+1]
		if word.word == nil {
			word, at = at, word
		}
		place := at.number - from
		if word.word == nil || at.word != nil || from > 1 || place >= len(sorted) ||
			sorted[place] != nil {
			return words, errNumbers
		}
		sorted[place] = word.word
	}
	return sorted, nil
}

// countsLines reports whether all numbers are at the beginnings of lines and count them, or the
// words, as they do before lines of several words.
func countsLines(all []token) bool {
	lines, words := 0, 0
	byLine, byWord := true, true
	for _, t := range all {
		if t.word != nil {
			words++
			continue
		}
		lines++
		if !t.first {
			return false
		}
		byLine = byLine && t.number == lines
		byWord = byWord && t.number == words+1
	}
	return 2*lines <= words && (byLine || byWord)
}

// maxName is how many words and numbers a name may have that stands before a mnemonic.
const maxName = 6

// readings returns the ways to read the tokens: as they are, behind a name that ends with a colon
// or an equals sign, in the one line of a file of such names that has enough of them, and without
// the words that a list repeats before or behind each.
func readings(all []token) [][]token {
	out := [][]token{all}
	letters := false
	for i, t := range all[:min(len(all), maxName)] {
		letters = letters || t.word != nil
		if t.named && letters && !anyNamed(all[i+1:]) {
			out = append(out, all[i+1:])
		}
	}
	if line := longLine(all); line != nil {
		out = append(out, line)
	}
	for _, each := range []int{2, 3} {
		if words := withoutRepeated(all, each); words != nil {
			out = append(out, words)
		}
	}
	return out
}

func anyNamed(all []token) bool {
	return slices.ContainsFunc(all, func(t token) bool { return t.named })
}

// longLine returns what is behind the name in the only line that has enough words, when each other
// line is one of a name too.
func longLine(all []token) (long []token) {
	for start := 0; start < len(all); {
		end := start
		for end < len(all) && all[end].line == all[start].line {
			end++
		}
		line, name := all[start:end], -1
		for i, t := range line[:min(len(line), maxName)] {
			if t.named {
				name = i
			}
		}
		if name < 0 {
			return nil
		}
		if len(line)-name-1 >= minWords {
			if long != nil || anyNamed(line[name+1:]) {
				return nil
			}
			long = line[name+1:]
		}
		start = end
	}
	return long
}

// withoutRepeated leaves out words that are the same in each group of so many, as the names of
// fields are in a list of objects, when one word of each group remains.
func withoutRepeated(all []token, each int) (kept []token) {
	var words []int
	for i, t := range all {
		if t.word != nil {
			words = append(words, i)
		}
	}
	if len(words)%each != 0 || len(words) < each*minWords {
		return nil
	}
	drop := map[int]bool{}
	for place := range each {
		same := true
		for i := place; i < len(words); i += each {
			same = same && bytes.Equal(all[words[i]].word, all[words[place]].word)
		}
		for i := place; same && i < len(words); i += each {
			drop[words[i]] = true
		}
	}
	if len(drop) != len(words)/each*(each-1) {
		return nil
	}
	for i, t := range all {
		if !drop[i] {
			kept = append(kept, t)
		}
	}
	return kept
}
