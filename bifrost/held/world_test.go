package held

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cosmossdk.io/core/address"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/tss"
)

// world is some signers on loopback, each with a store that it serves.
type world struct {
	*testing.T
	members []*member
	// names are where members say that they are, by their public keys.
	mu    sync.Mutex
	names map[string][]string
}

type member struct {
	key, pub []byte
	node     *tss.Node
	store    *Store
	server   *Server
	client   *Client
	log      *buffer
	passed   *passed
}

// passed are the members that a client passed over, and why.
type passed struct {
	mu   sync.Mutex
	errs map[string]error
}

func (p *passed) note(pubKey []byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs[string(pubKey)] = err
}

func (p *passed) of(m *member) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.errs[string(m.pub)]
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

var errForm = errors.New("it has not the form of an envelope")

func newWorld(t *testing.T, count int) *world {
	w := &world{T: t, names: map[string][]string{}}
	for range count {
		w.members = append(w.members, w.join())
	}
	for _, m := range w.members {
		require.NoError(t, m.node.Admit(w.keys()))
	}
	w.live(Epoch{Number: 1, Members: w.keys()})
	return w
}

// join starts a signer, who knows of no epoch.
func (w *world) join() *member {
	key, err := secp256k1.GeneratePrivateKey()
	require.NoError(w, err)
	m := &member{
		key: key.Serialize(), pub: key.PubKey().SerializeCompressed(), log: &buffer{},
		store:  Open(filepath.Join(w.TempDir(), "envelopes")),
		passed: &passed{errs: map[string]error{}},
	}
	m.node, err = tss.New(tss.Config{
		Key: m.key, ListenAddrs: []string{"/ip4/127.0.0.1/tcp/0"}, Log: zerolog.Nop(),
		Networks: loopback, Find: w.find,
	})
	require.NoError(w, err)
	w.Cleanup(func() { require.NoError(w, m.node.Close()) })
	w.says(m.pub, m.node.Addrs()...)
	m.server = NewServer(ServerConfig{
		Store: m.store, Log: zerolog.New(m.log),
		Check: func(envelope []byte) error {
			if !bytes.HasPrefix(envelope, []byte("envelope ")) {
				return errForm
			}
			return nil
		},
		Sign: func(epoch uint64, publisher, sum []byte, size uint64) ([]byte, error) {
			return receipt(m.pub, epoch, publisher, sum, size), nil
		},
	})
	m.node.Handle(Protocol, func(pubKey []byte, st network.Stream) { m.server.Serve(pubKey, st) })
	m.client = &Client{
		Open: func(ctx context.Context, pubKey []byte) (Stream, error) {
			return m.node.Open(ctx, pubKey, Protocol)
		},
		Passed: m.passed.note,
	}
	return m
}

func (m *member) logger() zerolog.Logger { return zerolog.New(m.log) }

// sign signs a digest.
func (m *member) sign(digest []byte) []byte {
	signature := ecdsa.Sign(secp256k1.PrivKeyFromBytes(m.key), digest)
	out := make([]byte, signatureSize)
	r, v := signature.R(), signature.S()
	r.PutBytesUnchecked(out[:32])
	v.PutBytesUnchecked(out[32:])
	return out
}

// codec reads addresses with the prefix of the tests.
type codec struct{ address.Codec }

func (codec) StringToBytes(text string) ([]byte, error) {
	_, raw, err := bech32.DecodeAndConvert(text)
	return raw, err
}

// receipt stands for a signature.
func receipt(by []byte, epoch uint64, publisher, sum []byte, size uint64) []byte {
	h := sha256.New()
	for _, b := range [][]byte{by, {byte(epoch)}, publisher, sum, {byte(size)}} {
		h.Write(b)
	}
	return append(h.Sum(nil), make([]byte, 32)...)
}

func (w *world) says(pubKey []byte, addresses ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var short []string
	for _, a := range addresses {
		short = append(short, a[:bytes.Index([]byte(a), []byte("/p2p/"))])
	}
	w.names[string(pubKey)] = short
}

func (w *world) find(_ context.Context, pubKey []byte) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.names[string(pubKey)], nil
}

// keys are those of all members.
func (w *world) keys() (keys [][]byte) {
	for _, m := range w.members {
		keys = append(keys, m.pub)
	}
	return keys
}

// others are the keys of all members but one.
func (w *world) others(than *member) (keys [][]byte) {
	for _, m := range w.members {
		if m != than {
			keys = append(keys, m.pub)
		}
	}
	return keys
}

// live tells all members which epochs live.
func (w *world) live(epochs ...Epoch) {
	for _, m := range w.members {
		m.server.Update(epochs)
	}
}

// dialer is that of the tool, with the identity of a member.
func (w *world) dialer(of *member, peers []string, find bool) *Client {
	claims := w.find
	if !find {
		claims = nil
	}
	d, err := NewDialer(of.key, peers, claims)
	require.NoError(w, err)
	return &Client{Open: d.Open, Passed: of.passed.note}
}

// liar answers every request with these bytes, or never when there are none.
func liar(m *member, says []byte) {
	m.node.Handle(Protocol, func(_ []byte, st network.Stream) {
		_ = st.SetDeadline(time.Now().Add(time.Minute))
		_, _ = readAll(st, maxRequest)
		if says == nil {
			_, _ = st.Read(make([]byte, 1))
			<-time.After(100 * time.Millisecond)
			return
		}
		_ = say(st, says)
	})
}
