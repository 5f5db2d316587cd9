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
	"io"
	"log/slog"

	"golang.org/x/text/unicode/norm"
)

const (
	// sealWords is the number of words demanded of a mnemonic that anything is sealed with.
	sealWords = 24
	// maxRawMnemonic bounds what ParseMnemonic looks at. 24 words of 8 letters are 215 bytes; the
	// rest is white space.
	maxRawMnemonic = 4096

	redacted = "[redacted mnemonic]"
)

// Mnemonic is a BIP39 mnemonic in its normal form, with its checksum verified. It shows itself as a
// constant in every formatting verb, in JSON, as text and in structured logs. The zero Mnemonic
// holds no words and passes no check.
type Mnemonic struct {
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
func ParseMnemonic(raw []byte) (*Mnemonic, error) {
	if len(raw) > maxRawMnemonic {
		return nil, fmt.Errorf("mnemonic is longer than %d bytes", maxRawMnemonic)
	}
	decomposed := norm.NFKD.Append(nil, raw...)
	defer Wipe(decomposed)
	lower := bytes.ToLower(decomposed)
	defer Wipe(lower)
	words := bytes.Fields(lower)
	switch len(words) {
	case 12, 15, 18, 21, 24:
	default:
		return nil, fmt.Errorf(
			"mnemonic has %d words: it must have 12, 15, 18, 21 or 24",
			len(words),
		)
	}

	s := &secret{words: len(words)}
	var bits [33]byte // 24 words are 264 bits
	defer Wipe(bits[:])
	for i, word := range words {
		index, ok := wordIndex[string(word)]
		if !ok {
			return nil, fmt.Errorf(
				"word %d of the mnemonic is not in the BIP39 English word list",
				i+1,
			)
		}
		for j := range 11 {
			if index>>(10-j)&1 == 1 {
				at := 11*i + j
				bits[at/8] |= 0x80 >> (at % 8)
			}
		}
	}

	// Of every 33 bits 32 are entropy; the rest, the last 4 to 8 bits of all, is the checksum.
	size := len(words) / 3 * 4
	sum := sha256.Sum256(bits[:size])
	unused := 8 - len(words)/3
	if sum[0]>>unused != bits[size]>>unused {
		return nil, errors.New(
			"mnemonic fails its BIP39 checksum: a word is wrong, or words are out of order",
		)
	}
	s.entropy = bytes.Clone(bits[:size])
	s.text = bytes.Join(words, []byte{' '})
	return &Mnemonic{reveal: func() *secret { return s }}, nil
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
func (m *Mnemonic) Wipe() {
	s := m.secret()
	Wipe(s.text)
	Wipe(s.entropy)
	*s = secret{}
}

// String returns a constant.
func (Mnemonic) String() string { return redacted }

// GoString returns a constant.
func (Mnemonic) GoString() string { return redacted }

// Format writes a constant, whatever the verb.
func (Mnemonic) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON returns a constant.
func (Mnemonic) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns a constant.
func (Mnemonic) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns a constant.
func (Mnemonic) LogValue() slog.Value { return slog.StringValue(redacted) }

// Wipe overwrites a secret. What the runtime or a library copied of it before is out of reach.
func Wipe(b []byte) { clear(b) }
