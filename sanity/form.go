package sanity

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

const (
	// EnvelopePrefix is the beginning of every envelope: age's version line and the start of its
	// one stanza.
	EnvelopePrefix = "age-encryption.org/v1\n-> scrypt "

	// MaxWorkFactor is the highest scrypt work factor that a chain may accept: 1 GiB of memory and
	// some seconds.
	MaxWorkFactor = 20

	saltSize  = 16           // bytes of the scrypt salt
	keySize   = 16 + tagSize // bytes of the stanza's body: the encrypted file key
	macSize   = 32           // bytes of the header's MAC
	nonceSize = 16           // bytes of the payload's nonce
	tagSize   = 16           // bytes that encryption adds to each chunk of the payload
	chunkSize = 64<<10 + tagSize

	// leakRun is how many words of the BIP39 list in a row are taken for a mnemonic: the length of
	// the shortest.
	leakRun = 12
)

// ErrTooMuchWork is wrapped by the error of CheckEnvelopeForm when the work factor is above the
// maximum.
var ErrTooMuchWork = errors.New("scrypt work factor is too high")

// EnvelopeRules are the bounds that a caller sets on an envelope.
type EnvelopeRules struct {
	MaxBytes      uint64 // of the whole envelope
	MinWorkFactor uint32 // scrypt's log2(N)
	MaxWorkFactor uint32
}

// CheckEnvelopeForm returns an error that names what is wrong unless the bytes have the form of an
// envelope: an age v1 file with exactly one scrypt stanza, in the one way that age writes it,
// within the rules; a payload of a length that age's encryption can have, and not that of an empty
// plaintext; and no run of words that looks like a mnemonic.
//
// It is deterministic, uses integers only and depends on no library, because all nodes of a chain
// must agree on it. It needs no key, and therefore says nothing about what is inside.
func CheckEnvelopeForm(envelope []byte, r EnvelopeRules) error {
	if uint64(len(envelope)) > r.MaxBytes {
		return fmt.Errorf(
			"envelope has %d bytes: at most %d are accepted",
			len(envelope),
			r.MaxBytes,
		)
	}
	rest, ok := bytes.CutPrefix(envelope, []byte(EnvelopePrefix))
	if !ok {
		return errors.New("envelope does not begin with age's version line and a scrypt stanza")
	}

	// The stanza's arguments: the salt, a space and the work factor.
	line, rest, ok := bytes.Cut(rest, []byte{'\n'})
	if !ok {
		return errors.New("envelope ends in the stanza's first line")
	}
	salt, factor, ok := bytes.Cut(line, []byte{' '})
	if !ok {
		return errors.New("stanza has no work factor")
	}
	if !isBase64(salt, saltSize) {
		return errors.New("stanza's salt is not 16 bytes in canonical base64")
	}
	if err := checkWorkFactor(factor, r); err != nil {
		return err
	}

	// The stanza's body fits in one line, which is short and therefore the last.
	line, rest, ok = bytes.Cut(rest, []byte{'\n'})
	if !ok {
		return errors.New("envelope ends in the stanza's body")
	}
	if !isBase64(line, keySize) {
		return errors.New("stanza's body is not 32 bytes in one line of canonical base64")
	}

	line, payload, ok := bytes.Cut(rest, []byte{'\n'})
	if !ok {
		return errors.New("envelope ends in the line after the stanza")
	}
	mac, ok := bytes.CutPrefix(line, []byte("--- "))
	if !ok {
		return errors.New("stanza is not followed by the header's last line")
	}
	if !isBase64(mac, macSize) {
		return errors.New("header's MAC is not 32 bytes in canonical base64")
	}

	if err := checkPayloadLength(len(payload)); err != nil {
		return err
	}
	if holdsWordRun(envelope) {
		return fmt.Errorf("envelope contains %d mnemonic words in a row", leakRun)
	}
	return nil
}

// checkWorkFactor accepts a decimal number without leading zeros within the rules.
func checkWorkFactor(digits []byte, r EnvelopeRules) error {
	if len(digits) == 0 || digits[0] == '0' {
		return errors.New("stanza's work factor is not a decimal number without leading zeros")
	}
	var factor uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return errors.New("stanza's work factor is not a decimal number without leading zeros")
		}
		factor = min(10*factor+uint64(c-'0'), 1<<32) // more digits do not make it wrap around
	}
	switch {
	case factor < uint64(r.MinWorkFactor):
		return fmt.Errorf(
			"scrypt work factor is %d: at least %d is accepted",
			factor,
			r.MinWorkFactor,
		)
	case factor > uint64(r.MaxWorkFactor):
		return fmt.Errorf("%w: at most %d is accepted", ErrTooMuchWork, r.MaxWorkFactor)
	}
	return nil
}

// isBase64 reports whether text is the one encoding of so many bytes, which is not a multiple of 3,
// in standard base64 without padding: the bits of the last character that stand for no byte are
// zero.
func isBase64(text []byte, size int) bool {
	if len(text) != (8*size+5)/6 {
		return false
	}
	var last int
	for _, c := range text {
		switch {
		case 'A' <= c && c <= 'Z':
			last = int(c - 'A')
		case 'a' <= c && c <= 'z':
			last = int(c-'a') + 26
		case '0' <= c && c <= '9':
			last = int(c-'0') + 52
		case c == '+':
			last = 62
		case c == '/':
			last = 63
		default:
			return false
		}
	}
	unused := 6*len(text) - 8*size
	return last&(1<<unused-1) == 0
}

// checkPayloadLength accepts the lengths of a nonce followed by chunks of 64 KiB with their tags,
// of which the last may be shorter and holds at least one byte.
func checkPayloadLength(length int) error {
	if length <= nonceSize+tagSize {
		return fmt.Errorf("envelope's payload has %d bytes, which hold nothing", length)
	}
	if last := (length - nonceSize) % chunkSize; last > 0 && last <= tagSize {
		return fmt.Errorf(
			"envelope's payload has %d bytes, which is no whole number of chunks",
			length,
		)
	}
	return nil
}

// holdsWordRun reports whether leakRun words of the BIP39 list stand one after another, in capital
// letters or small ones. A word is a run of ASCII letters as long as it goes; whatever else stands
// between two of them separates them.
func holdsWordRun(b []byte) bool {
	run, end := 0, 0
	for start := threeLetters(b, 0); start < len(b); start = threeLetters(b, end) {
		// One or two letters since the last word are no word, and end its run.
		if run > 0 && slices.ContainsFunc(b[end:start], isLetter) {
			run = 0
		}
		for end = start + 3; end < len(b) && isLetter(b[end]); {
			end++
		}
		if !isWord(b[start:end]) {
			run = 0
			continue
		}
		if run++; run == leakRun {
			return true
		}
	}
	return false
}

// threeLetters is where the next three letters stand in a row, as many as the shortest word has, or
// the length of b. In ciphertext they are rare, so that eight bytes are looked at in one go.
func threeLetters(b []byte, from int) int {
	for ; from+8 <= len(b); from += 6 {
		letters := lettersOf(binary.LittleEndian.Uint64(b[from:]))
		if letters &= letters >> 8 & (letters >> 16); letters != 0 {
			return from + bits.TrailingZeros64(letters)/8
		}
	}
	for ; from+3 <= len(b); from++ {
		if isLetter(b[from]) && isLetter(b[from+1]) && isLetter(b[from+2]) {
			return from
		}
	}
	return len(b)
}

// lettersOf sets the highest bit of each of eight bytes that is a letter, and no other.
func lettersOf(b uint64) uint64 {
	const each = 0x0101010101010101
	// In small letters, without the highest bits, so that no sum goes beyond its byte.
	small := b&(0x7f*each) | 0x20*each
	fromA, afterZ := small+(0x80-'a')*each, small+(0x7f-'z')*each
	return fromA &^ afterZ &^ b & (0x80 * each)
}

func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// isWord reports whether letters are a word of the BIP39 list.
func isWord(letters []byte) bool {
	if len(letters) < minWordLen || len(letters) > maxWordLen {
		return false
	}
	var lower [maxWordLen]byte
	for i, c := range letters {
		lower[i] = c | 0x20
	}
	_, ok := wordIndex[string(lower[:len(letters)])]
	return ok
}
