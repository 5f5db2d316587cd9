package sanity

import (
	"bytes"
	"errors"
	"fmt"
)

// Phrase is words of the BIP39 list as they were given, with whatever is between and around them,
// and in their normal form. Their checksum may be wrong: what was encrypted with them by programs
// that did not look at it opens with them all the same. Nothing is ever encrypted with a Phrase. It
// shows itself as a [Mnemonic] does.
type Phrase struct {
	redaction
	reveal func() *phrase
}

type phrase struct {
	given, normal []byte
}

// ParsePhrase reads words as [ParseMnemonic] does, and lets those of a wrong checksum pass. It does
// not keep raw, which the caller should wipe.
func ParsePhrase(raw []byte) (*Phrase, error) {
	if len(raw) > maxRawMnemonic {
		return nil, fmt.Errorf("mnemonic is longer than %d bytes", maxRawMnemonic)
	}
	s, err := parse(raw)
	if err != nil && !errors.Is(err, errChecksum) {
		s.wipe()
		return nil, err
	}
	Wipe(s.entropy)
	p := &phrase{given: bytes.Clone(raw), normal: s.text}
	return &Phrase{reveal: func() *phrase { return p }}, nil
}

func (p *Phrase) phrase() *phrase {
	if p == nil || p.reveal == nil {
		return new(phrase)
	}
	return p.reveal()
}

// Given returns the bytes as they were given. The caller does not change them and does not use them
// after Wipe.
func (p *Phrase) Given() []byte { return p.phrase().given }

// Normal returns the normal form of the words, under the same conditions; nothing for no Phrase.
func (p *Phrase) Normal() []byte { return p.phrase().normal }

// Wipe overwrites the words.
func (p *Phrase) Wipe() {
	s := p.phrase()
	Wipe(s.given)
	Wipe(s.normal)
	*s = phrase{}
}
