package sanity

import (
	"bytes"
	"errors"
	"fmt"
)

// The output checks look at an envelope before it is sent. They guard against mistakes in the code
// that makes it and in what that code calls, so they trust none of it. "The input" is every form
// that the plaintext had on its way: each file, the archive, the compressed stream.
var (
	// ErrIsInput is returned by CheckNotInput.
	ErrIsInput = errors.New("output is the input, not encrypted")
	// ErrDoesNotOpen is returned by CheckOpens.
	ErrDoesNotOpen = errors.New("output does not give back the input when it is opened")
	// ErrHoldsInput is returned by CheckNoInput.
	ErrHoldsInput = errors.New("output contains the input")
	// ErrHoldsPassphrase is returned by CheckNoPassphrase.
	ErrHoldsPassphrase = errors.New("output contains the mnemonic")
	// ErrHoldsWord is returned by CheckNoWord. A good envelope fails this check by chance once in
	// hundreds: seal again.
	ErrHoldsWord = errors.New("output contains a word of the mnemonic")
)

// CheckNotInput returns ErrIsInput when the envelope is a form of the input, whole or a piece of
// one: what comes out when the encryption was left out, even if the result was cut.
func CheckNotInput(envelope []byte, forms ...[]byte) error {
	for _, form := range forms {
		if bytes.Contains(form, envelope) {
			return ErrIsInput
		}
	}
	return nil
}

// CheckOpens opens the envelope with open, which gets its bytes and nothing else, and returns an
// error wrapping ErrDoesNotOpen unless that gives back the parts of the input, in order.
func CheckOpens(
	envelope []byte,
	open func(envelope []byte) ([][]byte, error),
	input ...[]byte,
) error {
	parts, err := open(envelope)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDoesNotOpen, err)
	}
	if len(parts) != len(input) {
		return ErrDoesNotOpen
	}
	for i, part := range parts {
		if !bytes.Equal(part, input[i]) {
			return ErrDoesNotOpen
		}
	}
	return nil
}

// CheckNoInput returns ErrHoldsInput when the envelope contains a form of the input.
func CheckNoInput(envelope []byte, forms ...[]byte) error {
	for _, form := range forms {
		if bytes.Contains(envelope, form) {
			return ErrHoldsInput
		}
	}
	return nil
}

// CheckNoPassphrase returns ErrHoldsPassphrase when the envelope contains the mnemonic: its normal
// form, the same in capital letters or mixed ones, or the bytes that the words stand for.
func CheckNoPassphrase(envelope []byte, m *Mnemonic) error {
	if m.Words() == 0 {
		return errors.New("no mnemonic to look for")
	}
	lower := lowerASCII(envelope)
	if bytes.Contains(lower, m.Bytes()) || bytes.Contains(envelope, m.secret().entropy) {
		return ErrHoldsPassphrase
	}
	return nil
}

// CheckNoWord returns ErrHoldsWord when the envelope contains a word of the mnemonic, exactly as it
// stands in the normal form. EnvelopePrefix, with which every envelope begins, contains the words
// "age" and "cry" and is left out, at the beginning and nowhere else. It ends with a space, so no
// word can lie across its end.
func CheckNoWord(envelope []byte, m *Mnemonic) error {
	if m.Words() == 0 {
		return errors.New("no mnemonic to look for")
	}
	rest := bytes.TrimPrefix(envelope, []byte(EnvelopePrefix))
	for word := range bytes.FieldsSeq(m.Bytes()) {
		if bytes.Contains(rest, word) {
			return ErrHoldsWord
		}
	}
	return nil
}

// lowerASCII returns a copy with the letters A to Z lowered and every other byte kept, whatever the
// encoding.
func lowerASCII(b []byte) []byte {
	lower := bytes.Clone(b)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	return lower
}
