package held

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

const (
	// A member has so many requests at once, and all members together.
	streamsOfMember = 4
	streamsOfAll    = 32
	// A member makes so many requests in a row, and so many in a second in the long run. One that
	// has lost its disk asks each of the others for a part of what it lacks.
	requestsAtOnce    = 128
	requestsPerSecond = 4
)

// An Epoch is one that lives, of which this signer is a member, and whose envelopes the members
// hold.
type Epoch struct {
	Number uint64
	// Members are the compressed public keys of all members.
	Members [][]byte
	// Named are the envelopes that the chain names as held by the members.
	Named []Named
}

// A Named envelope is one whose commitment stands.
type Named struct {
	Member []byte // compressed public key
	SHA256 []byte
}

// ServerConfig says what a [Server] serves, and how it signs for what it was brought.
type ServerConfig struct {
	Store *Store
	// Check errs for what has not the form of an envelope that members hold.
	Check func(envelope []byte) error
	// Sign gives the receipt, 64 bytes, for an envelope that is kept: of an epoch, by the
	// compressed public key of the member that brought it, with its SHA-256 and size.
	Sign func(epoch uint64, publisher, sha256 []byte, size uint64) ([]byte, error)
	Log  zerolog.Logger
}

// A Server gives members of epochs that live what is in the store, and keeps what they bring of
// their own for such an epoch. It serves nobody else, and each of them within bounds.
type Server struct {
	cfg ServerConfig

	mu      sync.Mutex // guards what follows
	epochs  map[uint64]Epoch
	named   map[string]bool // by SHA-256
	members map[string]*guest
	streams int
}

// guest is what a member takes up.
type guest struct {
	requests *rate.Limiter
	streams  int
}

// NewServer serves nobody yet.
func NewServer(c ServerConfig) *Server { return &Server{cfg: c} }

// Update says which epochs live from now on.
func (s *Server) Update(epochs []Epoch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	members := map[string]*guest{}
	s.epochs, s.named = map[uint64]Epoch{}, map[string]bool{}
	for _, e := range epochs {
		s.epochs[e.Number] = e
		for _, n := range e.Named {
			s.named[string(n.SHA256)] = true
		}
		for _, m := range e.Members {
			g := s.members[string(m)]
			if g == nil {
				g = &guest{requests: rate.NewLimiter(requestsPerSecond, requestsAtOnce)}
			}
			members[string(m)] = g
		}
	}
	s.members = members
}

// Serve serves a stream that the signer with this compressed public key opened.
func (s *Server) Serve(pubKey []byte, st Stream) {
	_ = st.SetDeadline(time.Now().Add(streamTimeout))
	done, err := s.begin(pubKey)
	if err != nil {
		_ = say(st, encodeAnswer(nil, err))
		return
	}
	defer done()
	b, err := readAll(st, maxRequest)
	if err != nil {
		_ = st.Reset()
		return
	}
	body, err := s.answer(pubKey, b)
	if err != nil && !errors.Is(err, ErrNotHeld) {
		s.cfg.Log.Warn().Err(err).Hex("member", pubKey).
			Msg("what a member asked of the held envelopes is refused")
	}
	_ = say(st, encodeAnswer(body, err))
}

// begin lets a member have one more request, until done is called.
func (s *Server) begin(pubKey []byte) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.members[string(pubKey)]
	switch {
	case g == nil:
		return nil, ErrRefused
	case g.streams >= streamsOfMember || s.streams >= streamsOfAll || !g.requests.Allow():
		return nil, ErrLater
	}
	g.streams++
	s.streams++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		g.streams--
		s.streams--
	}, nil
}

func (s *Server) answer(pubKey, b []byte) (body []byte, err error) {
	r, err := decodeRequest(b)
	if err != nil {
		return nil, err
	}
	if r.sum == nil {
		return s.keep(pubKey, r)
	}
	body, err = s.cfg.Store.Get(r.sum)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", ErrNotHeld, err)
	}
	return body, err
}

// keep keeps what a member brings, and signs for it.
func (s *Server) keep(pubKey []byte, r request) ([]byte, error) {
	s.mu.Lock()
	epoch, lives := s.epochs[r.epoch]
	named := s.named
	s.mu.Unlock()
	if !lives || !contains(epoch.Members, pubKey) {
		return nil, fmt.Errorf("it is no member of an epoch %d whose envelopes are held", r.epoch)
	}
	if err := s.cfg.Check(r.envelope); err != nil {
		return nil, err
	}
	err := s.cfg.Store.Deposit(r.epoch, pubKey, r.envelope, func(sum []byte) bool {
		return named[string(sum)]
	})
	if errors.Is(err, ErrFull) {
		return nil, fmt.Errorf("%w: %w", ErrLater, err)
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(r.envelope)
	return s.cfg.Sign(r.epoch, pubKey, sum[:], uint64(len(r.envelope)))
}

func contains(keys [][]byte, key []byte) bool {
	for _, k := range keys {
		if bytes.Equal(k, key) {
			return true
		}
	}
	return false
}
