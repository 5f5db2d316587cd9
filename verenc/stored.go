package verenc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Stored is what is kept of a proof that was verified: enough to open it for ever, and not enough
// to verify it again. It names neither the recipient key nor the public points, which are kept
// beside it.
type Stored struct {
	params     params
	context    [32]byte
	commitment [32]byte
	nonce      uint32
	rows       []byte
}

// storedHeader is what comes before the rows: suite, context, commitment, nonce.
const storedHeader = 1 + 32 + 32 + 4

// StoredSize is the length of the stored form of a proof over the given number of shares.
func StoredSize(shares int) int { return storedHeader + suite1.closed*rowSize(shares) }

// ParseStored decodes a stored form. It checks the suite, the length and that the nonce is
// admissible, which says nothing about whether a proof was ever verified.
func ParseStored(form []byte) (*Stored, error) {
	if len(form) != StoredSize(1) && len(form) != StoredSize(2) {
		return nil, fmt.Errorf("verenc: %d bytes are no stored proof", len(form))
	}
	if form[0] != suite {
		return nil, fmt.Errorf("verenc: unknown suite %d", form[0])
	}
	s := &Stored{
		params:     suite1,
		context:    [32]byte(form[1:]),
		commitment: [32]byte(form[33:]),
		nonce:      beUint32(form[65:]),
		rows:       bytes.Clone(form[storedHeader:]),
	}
	if _, _, ok := s.params.challenge(&s.context, &s.commitment, s.nonce); !ok {
		return nil, errors.New("verenc: the nonce is not admissible")
	}
	return s, nil
}

// Bytes encodes the stored form.
func (s *Stored) Bytes() []byte {
	b := make([]byte, 0, storedHeader+len(s.rows))
	b = append(b, suite)
	b = append(b, s.context[:]...)
	b = append(b, s.commitment[:]...)
	b = binary.BigEndian.AppendUint32(b, s.nonce)
	return append(b, s.rows...)
}

// Context is the context that the proof was verified in.
func (s *Stored) Context() [32]byte { return s.context }

// Shares is the number of shares in the stored form.
func (s *Stored) Shares() int { return (len(s.rows)/s.params.closed - 32) / 32 }

// ephemeral is E of the n-th closed row, masked its w for share j; k is the number of shares.
func (s *Stored) ephemeral(n, k int) point {
	return s.rows[n*rowSize(k):][:32:32]
}

func (s *Stored) masked(n, j, k int) *scalar {
	return (*scalar)(s.rows[n*rowSize(k)+32+32*j:])
}

func beUint32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
