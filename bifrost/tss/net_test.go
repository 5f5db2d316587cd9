package tss

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

// cluster is some signers on loopback, in the order of their public keys.
type cluster struct {
	nodes   []*Node
	members [][]byte
	keys    [][]byte
	configs []Config
	logs    *syncBuffer
	kept    []*kept // by member, of the last keygen
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// loopback is where tests are, which no signer dials by itself.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func newCluster(t testing.TB, count int, change func(*Config)) *cluster {
	t.Helper()
	net := &cluster{logs: &syncBuffer{}}
	var keys []*secp256k1.PrivateKey
	for range count {
		key, err := secp256k1.GeneratePrivateKey()
		require.NoError(t, err)
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b *secp256k1.PrivateKey) int {
		return bytes.Compare(a.PubKey().SerializeCompressed(), b.PubKey().SerializeCompressed())
	})
	for _, key := range keys {
		cfg := Config{
			Key:          key.Serialize(),
			ListenAddrs:  []string{"/ip4/127.0.0.1/tcp/0"},
			Log:          zerolog.New(net.logs).With().Timestamp().Logger().Level(zerolog.DebugLevel),
			JoinTimeout:  60 * time.Second,
			RoundTimeout: 60 * time.Second,
			Networks:     loopback,
		}
		if change != nil {
			change(&cfg)
		}
		net.configs = append(net.configs, cfg)
		net.keys = append(net.keys, key.Serialize())
		net.members = append(net.members, key.PubKey().SerializeCompressed())
		net.nodes = append(net.nodes, newNode(t, cfg))
	}
	net.introduce()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(net.logs.String())
		}
		for _, key := range net.keys {
			require.NotContains(t, net.logs.String(), fmt.Sprintf("%x", key))
		}
	})
	return net
}

// A lazyClock goes as fast as this process gets to run, so that a busy machine is no member's fault.
type lazyClock struct {
	start time.Time
	ticks atomic.Int64
	tick  *sync.Cond
}

const lazyTick = 10 * time.Millisecond

func newLazyClock() *lazyClock {
	c := &lazyClock{start: time.Now(), tick: sync.NewCond(new(sync.Mutex))}
	go func() {
		for range time.Tick(lazyTick) { // which leaves out those that come too late
			for range 4 {
				runtime.Gosched() // whatever can run goes first
			}
			c.ticks.Add(1)
			c.tick.Broadcast()
		}
	}()
	return c
}

func (c *lazyClock) now() time.Time {
	return c.start.Add(time.Duration(c.ticks.Load()) * lazyTick)
}

// until returns when the clock shows a time.
func (c *lazyClock) until(t time.Time) {
	c.tick.L.Lock()
	defer c.tick.L.Unlock()
	for c.now().Before(t) {
		c.tick.Wait()
	}
}

var lazy = newLazyClock()

func newNode(t testing.TB, cfg Config) *Node {
	t.Helper()
	n, err := New(cfg)
	require.NoError(t, err)
	n.now = lazy.now
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n
}

// introduce tells all nodes where the others are, as Peers in the configuration does.
func (net *cluster) introduce() {
	for _, n := range net.nodes {
		for _, m := range net.nodes {
			n.host.Peerstore().AddAddrs(m.host.ID(), m.host.Addrs(), peerstore.PermanentAddrTTL)
		}
	}
}

// keygenOf is a request for a keygen of all members by one of them, in the session of this name.
func (net *cluster) keygenOf(i int, threshold int, name string) ceremony.KeygenRequest {
	r := ceremony.KeygenRequest{ID: "keygen-1", Members: net.members, Threshold: threshold}
	id := sha256.Sum256([]byte(name))
	r.Session.ID = id[:]
	r.Keep = func(_ context.Context, res ceremony.KeygenResult) ([]byte, error) {
		digest := sha256.Sum256(slices.Concat(id[:], res.Secp256k1, res.Ed25519))
		return digest[:], nil
	}
	for j, m := range net.members {
		secret := sha256.Sum256(append([]byte(name), m...))
		if j == i {
			r.Session.Secret = secret[:]
		}
		key := secp256k1.PrivKeyFromBytes(secret[:]).PubKey()
		r.Session.Keys = append(r.Session.Keys, key.SerializeCompressed())
	}
	return r
}

// each calls f for several nodes at once and returns their errors.
func (net *cluster) each(nodes []int, f func(i int, n *Node) error) []error {
	errs := make([]error, len(net.nodes))
	var wg sync.WaitGroup
	for _, i := range nodes {
		wg.Go(func() { errs[i] = f(i, net.nodes[i]) })
	}
	wg.Wait()
	return errs
}

func (net *cluster) all() (out []int) {
	for i := range net.nodes {
		out = append(out, i)
	}
	return out
}

// kept is what a member has of the EdDSA half of a keygen.
type kept struct {
	times       int // that it was asked to keep its result
	digest      hash
	certificate [][]byte
}

// eddsaKeygenOf runs the EdDSA half of a keygen alone, which takes little time. It fails when it
// ends well and has no whole certificate.
func eddsaKeygenOf(ctx context.Context, n *Node, id string, members [][]byte, threshold int) (*kept, error) {
	d, err := describe(ceremony.KeygenRequest{ID: id, Members: members, Threshold: threshold})
	if err != nil {
		return nil, err
	}
	d.build = func(at seat) ([]*instance, error) { return []*instance{newEdDSAKeygen(at, threshold, nil)}, nil }
	out := &kept{}
	d.keep = func(_ context.Context, results []any) ([]byte, error) {
		out.times++
		k, err := newKeyshare("cosmos", keyshare.Ed25519, results[0].(*edkeygen.LocalPartySaveData), n.pub, d.members)
		if err != nil {
			return nil, err
		}
		if err := k.Verify(); err != nil {
			return nil, err
		}
		out.digest = sha256.Sum256(append([]byte(id), k.VaultKey()...))
		return out.digest[:], nil
	}
	results, err := n.run(ctx, d)
	if err != nil {
		return out, err
	}
	out.certificate = results[1].([][]byte)
	return out, checkCertificate(out.certificate, d.members, out.digest)
}

// checkCertificate wants a good signature by each member.
func checkCertificate(certificate, members [][]byte, digest hash) error {
	if len(certificate) != len(members) {
		return fmt.Errorf("%d signatures of %d members", len(certificate), len(members))
	}
	for i, m := range members {
		pub, err := secp256k1.ParsePubKey(m)
		if err != nil {
			return err
		}
		if len(certificate[i]) != sigSize || !verify(pub, digest[:], certificate[i]) {
			return fmt.Errorf("no signature of member %d", i)
		}
	}
	return nil
}

// eddsaKeygens runs the EdDSA half of a keygen at these nodes, and has their results in net.kept.
func (net *cluster) eddsaKeygens(ctx context.Context, id string, threshold int, nodes ...int) []error {
	net.kept = make([]*kept, len(net.nodes))
	return net.each(nodes, func(i int, n *Node) (err error) {
		net.kept[i], err = eddsaKeygenOf(ctx, n, id, net.members, threshold)
		return err
	})
}

// requireOneEnd checks that a keygen ended the same at all of these members: with one certificate, when
// nobody is to be blamed, or by naming the same ones.
func (net *cluster) requireOneEnd(t *testing.T, errs []error, honest []int, reason string, blamed ...int) {
	t.Helper()
	for _, i := range honest {
		if len(blamed) > 0 {
			net.requireBlame(t, errs[i], reason, blamed...)
			require.Nil(t, net.kept[i].certificate)
			continue
		}
		require.NoError(t, errs[i])
		require.Equal(t, net.kept[honest[0]].certificate, net.kept[i].certificate)
		require.Equal(t, 1, net.kept[i].times)
	}
}

// requireBlame checks that the error names exactly these members.
func (net *cluster) requireBlame(t *testing.T, err error, reason string, members ...int) {
	t.Helper()
	var blame *ceremony.BlameError
	require.ErrorAs(t, err, &blame)
	var want [][]byte
	for _, m := range members {
		want = append(want, net.members[m])
	}
	require.Equal(t, want, blame.Members, blame.Error())
	require.Contains(t, blame.Reason, reason)
}

// joined waits until members have heard each other's hello so many times, in all ceremonies so far.
func (net *cluster) joined(t *testing.T, times int) {
	t.Helper()
	require.Eventually(t, func() bool {
		return strings.Count(net.logs.String(), "member joined") >= times
	}, 30*time.Second, 5*time.Millisecond)
}

func preParams(t *testing.T, i int) *eckeygen.LocalPreParams {
	t.Helper()
	pre, err := parsePreParams(fixture.PreParams()[i].Data)
	require.NoError(t, err)
	return pre
}

// storeOf is a store with one set of the fixture's.
func storeOf(t *testing.T, i int) *PreParams {
	t.Helper()
	store := NewPreParams(t.TempDir(), homekeys.New(t), zerolog.Nop())
	require.NoError(t, store.Import(fixture.MorePreParams(i + 1)[i].Data))
	return store
}

// A tamper changes the frames that a member sends to another in a ceremony, or with nil drops them.
type tamper = func(s *session, to int, f *frame) *frame

// tamper lets a node change what it sends.
func (net *cluster) tamper(i int, change tamper) { net.nodes[i].tamper(change) }

func (n *Node) tamper(change tamper) {
	n.mangle = func(s *session, to int, b []byte) []byte {
		f, err := decodeFrame(b)
		if err != nil {
			panic(err)
		}
		if f = change(s, to, f); f == nil {
			return nil
		}
		return f.encode()
	}
}

func noLeak(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		var stacks string
		require.Eventually(t, func() bool {
			buf := make([]byte, 1<<20)
			stacks = string(buf[:runtime.Stack(buf, true)])
			return !strings.Contains(stacks, "tssbackup/bifrost/tss.(*session)") &&
				!strings.Contains(stacks, "tssbackup/bifrost/tss.(*link)") &&
				!strings.Contains(stacks, "tssbackup/bifrost/tss.(*Node)")
		}, 10*time.Second, 20*time.Millisecond, "goroutines are left")
	})
}

func (net *cluster) peerIDs() (out []peer.ID) {
	for _, n := range net.nodes {
		out = append(out, n.host.ID())
	}
	return out
}

// fixtureShare is the secp256k1 keyshare file of one of the fixture's four members.
func fixtureShare(t *testing.T, member int) []byte {
	t.Helper()
	return fixture.Keyshares(t, 4, member)[0].Data
}
