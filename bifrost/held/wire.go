package held

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Protocol is what members speak with each other about envelopes. A stream has one request and one
// answer, each ended by closing that side of it; docs/format.md has their bytes.
const Protocol = "/tssbackup/envelopes/1.0.0"

// A Stream is what a request and its answer go over. Streams of libp2p are such.
type Stream interface {
	io.ReadWriter
	// CloseWrite ends what is written, Close the stream, and Reset at once and on both sides.
	CloseWrite() error
	Close() error
	Reset() error
	SetDeadline(time.Time) error
}

// streamTimeout is how long a request and its answer may take together.
const streamTimeout = time.Minute

const (
	kindGet = 1
	kindPut = 2

	answerOK    = 0
	answerNone  = 1
	answerNo    = 2
	answerLater = 3

	// signatureSize is the size of a receipt.
	signatureSize = 64

	getSize    = 1 + sha256.Size
	putHead    = 1 + 8
	maxRequest = putHead + types.MaxHeldEnvelope
	maxAnswer  = 1 + types.MaxHeldEnvelope
)

// A request asks for the envelope with a SHA-256, or brings one of an epoch.
type request struct {
	sum      []byte
	epoch    uint64
	envelope []byte
}

func (r request) encode() []byte {
	if r.sum != nil {
		return append([]byte{kindGet}, r.sum...)
	}
	return append(binary.BigEndian.AppendUint64([]byte{kindPut}, r.epoch), r.envelope...)
}

var errRequest = errors.New("malformed request")

// decodeRequest accepts exactly what encode gives, of an envelope that may be kept.
func decodeRequest(b []byte) (request, error) {
	switch {
	case len(b) == getSize && b[0] == kindGet:
		return request{sum: b[1:]}, nil
	case len(b) > putHead && len(b) <= maxRequest && b[0] == kindPut:
		return request{epoch: binary.BigEndian.Uint64(b[1:]), envelope: b[putHead:]}, nil
	}
	return request{}, errRequest
}

// The errors of answers, beside those that have an envelope or a receipt.
var (
	// ErrNotHeld means that the member does not hold the envelope.
	ErrNotHeld = errors.New("it does not hold this envelope")
	// ErrRefused means that the member does not take the envelope, or does not serve this signer.
	ErrRefused = errors.New("it refuses the request")
	// ErrLater means that the member has been asked too much for now.
	ErrLater = errors.New("it asks to come back later")
)

// encodeAnswer is what answers a request that ended with an error, or with a body.
func encodeAnswer(body []byte, err error) []byte {
	switch {
	case err == nil:
		return append([]byte{answerOK}, body...)
	case errors.Is(err, ErrNotHeld):
		return []byte{answerNone}
	case errors.Is(err, ErrLater):
		return []byte{answerLater}
	}
	return []byte{answerNo}
}

// decodeAnswer is the other way round. Nothing is said of the body.
func decodeAnswer(b []byte) (body []byte, err error) {
	switch {
	case len(b) > 1 && b[0] == answerOK:
		return b[1:], nil
	case len(b) != 1:
	case b[0] == answerNone:
		return nil, ErrNotHeld
	case b[0] == answerNo:
		return nil, ErrRefused
	case b[0] == answerLater:
		return nil, ErrLater
	}
	return nil, fmt.Errorf("malformed answer of %d bytes", len(b))
}

// readAll reads what a peer says, up to where it ends it.
func readAll(r io.Reader, limit int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(b) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return b, err
}

// say writes all that is to be said.
func say(st Stream, b []byte) error {
	if _, err := st.Write(b); err != nil {
		return err
	}
	return st.CloseWrite()
}
