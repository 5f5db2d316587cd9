// Package sanity holds the checks that stand between a keyshare and the public: on the mnemonic
// before anything is encrypted with it, on the encrypted output before it is sent, and on the form
// of an envelope that the chain accepts.
//
// All of it is pure: no files, no network, no clock, no randomness. CheckEnvelopeForm is part of
// consensus: what it accepts may change only with an upgrade of the chain. Everything else runs
// beside a validator and may use floats.
//
// Errors never hold a word, a passphrase or a byte of the input, so they may be logged and shown.
package sanity

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// sealWords is the number of words demanded of a mnemonic that anything is sealed with.
	sealWords = 24
	// maxRawMnemonic bounds what ParseMnemonic looks at. 24 words of 8 letters are 215 bytes; the
	// rest is what stands between and around them.
	maxRawMnemonic = 4096
)

// Mnemonic is a BIP39 mnemonic in its normal form, with its checksum verified. It shows itself as a
// constant in every formatting verb, in JSON, as text and in structured logs. The zero Mnemonic
// holds no words and passes no check.
type Mnemonic struct {
	redaction
	// A function, so that fmt and whatever else works by reflection sees an address: in unexported
	// fields of another struct they cannot call the methods below, and they follow pointers.
	reveal func() *secret
}

type secret struct {
	text    []byte // the normal form
	entropy []byte // the 16 to 32 bytes that the words stand for
	words   int
}

// ParseMnemonic reads a mnemonic of 12, 15, 18, 21 or 24 words of the English BIP39 list, verifies
// its checksum and brings it into the normal form: NFKD, lower case, single spaces between the
// words and no white space around. Two writings of the same words give the same Mnemonic. It does
// not keep raw, which the caller should wipe.
//
// It reads the usual ways to write words down as well, as long as they can be read in one way only:
// in UTF-16; with byte order marks and other characters that nobody sees; with commas, quotes or
// other signs between; numbered, in lines or columns; behind a name, as NAME="…"; as a list of JSON.
// The error for the rest says what is in the way, and the places of words, but no word.
func ParseMnemonic(raw []byte) (*Mnemonic, error) {
	if len(raw) > maxRawMnemonic {
		return nil, fmt.Errorf("mnemonic is longer than %d bytes", maxRawMnemonic)
	}
	s, err := parse(raw)
	if err != nil {
		s.wipe()
		return nil, err
	}
	return &Mnemonic{reveal: func() *secret { return s }}, nil
}

// parse reads words and the entropy that they stand for. With an error that wraps errChecksum it
// returns the words alone.
func parse(raw []byte) (*secret, error) {
	text, err := decodeText(raw)
	if err != nil {
		return nil, err
	}
	defer Wipe(text)
	dropped, invisible := visible(text, false)
	defer Wipe(dropped)
	s, err := read(dropped)
	if err != nil && invisible {
		// They may be all that stands between the words.
		spaced, _ := visible(text, true)
		defer Wipe(spaced)
		if other, otherErr := read(spaced); otherErr == nil {
			s, err = other, nil
		}
	}
	return s, err
}

// read finds the words in a text. Its error is that of the text as it is, unless there is a name
// before the words.
func read(text []byte) (*secret, error) {
	all := tokens(text)
	var first error
	for i, reading := range readings(all) {
		words, err := order(reading)
		var s *secret
		if err == nil {
			s, err = newSecret(words)
		}
		if err == nil {
			return s, nil
		}
		if i == 0 || errors.Is(err, errWords) && !errors.Is(first, errWords) {
			first = err
		}
		if errors.Is(err, errChecksum) {
			return s, err // all words are in the list: these are the words
		}
	}
	return nil, first
}

var (
	// errWords says that there are as many words as there may be, and not all are in the list.
	errWords = errors.New("not in the BIP39 English word list")
	// errChecksum says that all of them are in the list.
	errChecksum = errors.New("fails its BIP39 checksum")
)

// minWords is the number of words of the shortest mnemonic.
const minWords = 12

// newSecret checks words in lower case, of which it keeps none. With an error that wraps
// errChecksum it returns the words alone.
func newSecret(words [][]byte) (*secret, error) {
	switch len(words) {
	case minWords, 15, 18, 21, 24:
	default:
		return nil, fmt.Errorf(
			"mnemonic has %d words: it must have 12, 15, 18, 21 or 24",
			len(words),
		)
	}
	indices := make([]uint16, len(words))
	defer clear(indices)
	var unknown []int
	foreign := false
	for i, word := range words {
		index, ok := wordIndex[string(word)]
		if !ok {
			unknown = append(unknown, i+1)
			foreign = foreign || bytes.ContainsFunc(word, func(r rune) bool { return r > 'z' })
		}
		indices[i] = index
	}
	if len(unknown) > 0 {
		err := unknownWords(unknown)
		if foreign {
			err = fmt.Errorf("%w; there are characters that are no English letters", err)
		}
		return nil, err
	}
	s := &secret{words: len(words), text: bytes.Join(words, []byte{' '})}
	if s.entropy = checkedEntropy(indices); s.entropy == nil {
		return s, checksumError(indices)
	}
	return s, nil
}

// checkedEntropy returns what the words of these numbers stand for, or nil when the checksum fails:
// of every 33 bits 32 are entropy; the rest, the last 4 to 8 bits of all, is the checksum.
func checkedEntropy(indices []uint16) []byte {
	var bits [33]byte // 24 words are 264 bits
	defer Wipe(bits[:])
	for i, index := range indices {
		for j := range 11 {
			if index>>(10-j)&1 == 1 {
				at := 11*i + j
				bits[at/8] |= 0x80 >> (at % 8)
			}
		}
	}
	size := len(indices) / 3 * 4
	sum := sha256.Sum256(bits[:size])
	unused := 8 - len(indices)/3
	if sum[0]>>unused != bits[size]>>unused {
		return nil
	}
	return bytes.Clone(bits[:size])
}

// unknownWords says which words are not in the list, by their places.
func unknownWords(places []int) error {
	if len(places) == 1 {
		return fmt.Errorf(
			"word %d of the mnemonic is %w: compare it, and its neighbours, with what was written down",
			places[0],
			errWords,
		)
	}
	return fmt.Errorf(
		"words %s of the mnemonic are %w: compare them with what was written down",
		list(places),
		errWords,
	)
}

// checksumError says what may be wrong with words that are all in the list, and of which neighbours
// the checksum would hold if they were exchanged.
func checksumError(indices []uint16) error {
	err := fmt.Errorf(
		"mnemonic %w: each of the words 1 to %d is in the list, but one is not the right one, or some "+
			"are out of order",
		errChecksum,
		len(indices),
	)
	swapped := slices.Clone(indices)
	defer clear(swapped)
	var pairs []int
	for i := range len(swapped) - 1 {
		swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
		if indices[i] != indices[i+1] {
			if entropy := checkedEntropy(swapped); entropy != nil {
				Wipe(entropy)
				pairs = append(pairs, i+1)
			}
		}
		swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
	}
	if len(pairs) == 0 {
		return fmt.Errorf("%w; it is not that two neighbours are swapped", err)
	}
	return fmt.Errorf(
		"%w; two neighbours may be swapped: look first at the words %s, each with the next one",
		err,
		list(pairs),
	)
}

func list(places []int) string {
	var b strings.Builder
	for i, place := range places {
		switch {
		case i > 0 && i == len(places)-1:
			b.WriteString(" and ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(strconv.Itoa(place))
	}
	return b.String()
}

// secret returns what the mnemonic holds, which is empty for no Mnemonic or the zero one.
func (m *Mnemonic) secret() *secret {
	if m == nil || m.reveal == nil {
		return new(secret)
	}
	return m.reveal()
}

// Bytes returns the normal form: the passphrase that envelopes are sealed with. The caller does not
// change it and does not use it after Wipe.
func (m *Mnemonic) Bytes() []byte { return m.secret().text }

// Words returns the number of words.
func (m *Mnemonic) Words() int { return m.secret().words }

// Seed returns the 64-byte BIP39 seed of the normal form with an empty BIP39 passphrase. The caller
// wipes it.
func (m *Mnemonic) Seed() []byte {
	seed, err := pbkdf2.Key(sha512.New, string(m.Bytes()), []byte("mnemonic"), 2048, 64)
	if err != nil {
		panic(err) // only for parameters that FIPS 140 forbids; these are constants and allowed
	}
	return seed
}

// CheckSeal returns an error unless anything may be sealed with the mnemonic: it has 24 words, and
// their entropy is not below that of any mnemonic that chance brings about.
func (m *Mnemonic) CheckSeal() error {
	if m.Words() != sealWords {
		return fmt.Errorf("mnemonic has %d words: sealing needs %d", m.Words(), sealWords)
	}
	if entropy := m.Entropy(); entropy < minEntropy {
		return fmt.Errorf(
			"mnemonic has %.3f bits of entropy per byte, less than %.2f: it was not drawn at random",
			entropy,
			minEntropy,
		)
	}
	return nil
}

// Wipe overwrites the mnemonic, which then holds no words. Copies that libraries made of it stay in
// memory until they are collected.
func (m *Mnemonic) Wipe() { m.secret().wipe() }

func (s *secret) wipe() {
	if s == nil {
		return
	}
	Wipe(s.text)
	Wipe(s.entropy)
	*s = secret{}
}

// Wipe overwrites a secret. What the runtime or a library copied of it before is out of reach.
func Wipe(b []byte) { clear(b) }
