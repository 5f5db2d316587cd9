package types

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/tssbackup/tssbackup/internal/cid"
	"github.com/tssbackup/tssbackup/sanity"
)

// EnvelopeRules are the bounds that the chain sets on an envelope.
func (p Params) EnvelopeRules() sanity.EnvelopeRules {
	return sanity.EnvelopeRules{
		MaxBytes:      p.MaxEnvelopeBytes,
		MinWorkFactor: p.MinWorkFactor,
		MaxWorkFactor: sanity.MaxWorkFactor,
	}
}

// Matches reports whether these are the bytes that the chain is bound to.
func (c Commitment) Matches(envelope []byte) bool {
	if uint64(len(envelope)) != c.Size_ {
		return false
	}
	sum := sha256.Sum256(envelope)
	return bytes.Equal(sum[:], c.Sha256)
}

// Info is the commitment as queries show it.
func (c Commitment) Info() CommitmentInfo {
	return CommitmentInfo{
		Sha256: hex.EncodeToString(c.Sha256), Cid: cid.Of(c.Sha256),
		Size_: c.Size_, Height: c.Height, Placement: c.Placement,
	}
}

// Commitment is what a query shows, or an error when its hash is none.
func (c CommitmentInfo) Commitment() (Commitment, error) {
	sum, err := hex.DecodeString(c.Sha256)
	if err != nil || len(sum) != sha256.Size {
		return Commitment{}, errors.New("the hash of a commitment is not 32 bytes in hex")
	}
	return Commitment{
		Sha256: sum, Size_: c.Size_, Height: c.Height, Placement: c.Placement,
	}, nil
}

// Matches reports whether these are the bytes that the chain is bound to. None are when the hash is
// none.
func (c CommitmentInfo) Matches(envelope []byte) bool {
	bound, err := c.Commitment()
	return err == nil && bound.Matches(envelope)
}

// extraCandidates is how many places that merely look like an envelope a transaction may hold
// before it is given up. An honest one holds none.
const extraCandidates = 16

// FindEnvelope looks for the envelope of a commitment in a block's transactions, by its content
// alone: no matter which message carries it, or how deep that is nested. The work is bounded by a
// small multiple of the transactions' length, whatever they hold, and counted for each transaction,
// so that one full of decoys cannot hide the envelope of another. The bytes are the caller's own.
func FindEnvelope(txs [][]byte, c Commitment) ([]byte, bool) {
	prefix := []byte(sanity.EnvelopePrefix)
	if c.Size_ < uint64(len(prefix)) {
		return nil, false
	}
	for _, tx := range txs {
		if uint64(len(tx)) < c.Size_ {
			continue
		}
		candidates := uint64(len(tx))/c.Size_ + extraCandidates
		for rest := tx; candidates > 0; candidates-- {
			at := bytes.Index(rest, prefix)
			if at < 0 || uint64(len(rest)-at) < c.Size_ {
				break
			}
			rest = rest[at:]
			if found := rest[:c.Size_]; c.Matches(found) {
				return bytes.Clone(found), true
			}
			rest = rest[1:]
		}
	}
	return nil, false
}
