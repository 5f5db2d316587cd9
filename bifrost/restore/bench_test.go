package restore_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// maxTrips is how many round trips the recovery of one vault may take by two nodes, from the header
// that is trusted on: each one's status, the headers, the vault's records and the envelope.
const maxTrips = 7

// window is how many blocks after a keygen began a vote may come on THORChain, and so how many a
// recovery without a record of commitments has to look through.
const window = 720

// traffic is what clients cost the nodes.
type traffic struct {
	trips, bytes int64
}

func (a traffic) minus(b traffic) traffic { return traffic{a.trips - b.trips, a.bytes - b.bytes} }

// meter counts requests and the bytes of the answers' bodies, in front of nodes.
type meter struct{ trips, bytes atomic.Int64 }

func (m *meter) read() traffic { return traffic{m.trips.Load(), m.bytes.Load()} }

// front returns an address where the node answers and is counted.
func (m *meter) front(t testing.TB, node string) string {
	target, err := url.Parse(node)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(res *http.Response) error {
		m.trips.Add(1)
		res.Body = &meteredBody{res.Body, m}
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

type meteredBody struct {
	io.ReadCloser
	meter *meter
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.meter.bytes.Add(int64(n))
	return n, err
}

// recoverVerified recovers into a folder by these nodes, as the command does, and returns what the
// light client has cost and what was asked after it.
func (s *scene) recoverVerified(ctx context.Context, m *meter, nodes []*chain.Client, dir string) (light, after traffic, err error) {
	start := m.read()
	state, err := s.verify(ctx, nodes, s.trusted)
	if err != nil {
		return traffic{}, traffic{}, err
	}
	verified := m.read()
	err = s.restore(ctx, state, dir)
	return verified.minus(start), m.read().minus(verified), err
}

// maxTripsAfter is how many it may take after the light client's: the live vaults, the vault's
// records, and the envelope, of a split vault with the group part.
const maxTripsAfter = 3

// TestRoundTrips holds the whole recovery of one vault to the round trips that it needs.
func TestRoundTrips(t *testing.T) {
	t.Run("whole", func(t *testing.T) { roundTrips(t, splitConfig(false), maxTrips) })
	t.Run("split", func(t *testing.T) { roundTrips(t, splitConfig(true), maxTrips) })
}

// splitConfig is that of a network whose keygens are split, or not.
func splitConfig(split bool) network.Config {
	return network.Config{Tssbackup: func(gs *types.GenesisState) { gs.Params.SplitBackups = split }}
}

func roundTrips(t *testing.T, cfg network.Config, all int64) {
	s := newScene(t, cfg)
	var m meter
	nodes := clients(t, 0, m.front(t, s.me.RPC()), m.front(t, s.network.Validators[1].RPC()))
	dir := filepath.Join(t.TempDir(), "keyshares")
	light, after, err := s.recoverVerified(t.Context(), &m, nodes, dir)
	require.NoError(t, err)
	require.Equal(t, byName(s.backups.Vault.Files[0]), held(t, dir))
	t.Logf("%d round trips of the light client, %d after it", light.trips, after.trips)
	require.LessOrEqual(t, after.trips, int64(maxTripsAfter))
	require.LessOrEqual(t, light.trips+after.trips, all)
}

// scan recovers as one has to without commitments in state: it believes one node, and reads its
// blocks backwards from one height until it sees the member's vote for the vault.
type scan struct {
	*chain.Client
	member string
	vault  vault.Vault
	from   int64
	vote   *types.MsgTssPool
}

func (s *scan) Vaults(ctx context.Context, _ []byte) ([]vault.Vault, error) {
	_, err := s.Client.Vaults(ctx, s.member)
	return []vault.Vault{s.vault}, err
}

func (s *scan) Vault(context.Context, []byte) (vault.Vault, error) { return s.vault, nil }

func (s *scan) Backup(ctx context.Context, v vault.Vault, _ []byte) ([]types.Commitment, error) {
	for height := s.from; height > s.from-window; height-- {
		txs, err := s.BlockTxs(ctx, height)
		if err != nil {
			return nil, err
		}
		for _, raw := range txs {
			if s.vote = voteIn(raw, v.Name(), s.member); s.vote != nil {
				sum := sha256.Sum256(s.vote.KeysharesBackup)
				return []types.Commitment{{
					Sha256: sum[:], Size_: uint64(len(s.vote.KeysharesBackup)), Height: height,
				}}, nil
			}
		}
	}
	return nil, nil
}

// Group is not asked for: whoever scans knows whole keyshares alone.
func (s *scan) Group(context.Context, vault.Vault) ([]byte, error) { return nil, chain.ErrNotFound }

func (s *scan) Envelope(context.Context, vault.Vault, []byte, types.Commitment) ([]byte, error) {
	return s.vote.KeysharesBackup, nil
}

// voteIn is the member's vote for the vault in a transaction, nil if there is none.
func voteIn(raw []byte, vault, member string) *types.MsgTssPool {
	var decoded tx.Tx
	if decoded.Unmarshal(raw) != nil || decoded.Body == nil {
		return nil
	}
	for _, msg := range decoded.Body.Messages {
		var vote types.MsgTssPool
		if msg.TypeUrl == "/tssbackup.v1.MsgTssPool" && vote.Unmarshal(msg.Value) == nil && vote.Signer == member && vote.PubKey == vault {
			return &vote
		}
	}
	return nil
}

// BenchmarkRecovery recovers one vault of one member from two nodes of a local network, with
// verified records, and then by a scan of the last 720 blocks for the vote.
//
// The blocks are real, and the scan finds the vote in the last one that it looks at. But for the
// other members' votes the rest are empty, which is the best that can happen to a scan. When they
// are there half of the validators stop, so that making blocks takes no time from what is measured.
// Both ways go through the same proxies and end with the same checks and files, and the envelope
// has the least scrypt work factor, which takes no time: on a real one both take as much longer as
// BenchmarkScrypt of package envelope says.
//
// roundtrips/op are HTTP requests and bytes/op the answers' bodies, those of the light client
// included; light-roundtrips/op and after-roundtrips/op are its part and the rest. The ratios are
// on the line of the scan.
func BenchmarkRecovery(b *testing.B) {
	cfg := splitConfig(false) // whoever scans knows whole keyshares alone
	cfg.TimeoutCommit = time.Millisecond
	s := newScene(b, cfg)
	from := s.backups.Heights[0] + window - 1
	for height := s.backups.Heights[0]; height < from+2; {
		height = min(height+window/12, from+2) // so that no wait is long
		s.network.WaitHeight(height)
	}
	s.network.Stop(2)
	s.network.Stop(3)
	var m meter
	nodes := clients(b, 0, m.front(b, s.network.Validators[0].RPC()), m.front(b, s.network.Validators[1].RPC()))
	state, err := s.verify(b.Context(), nodes, s.trusted)
	require.NoError(b, err)
	known, err := state.Vault(b.Context(), s.backups.Vault.Keys.Secp256k1)
	require.NoError(b, err)
	blocks := &scan{Client: nodes[0], member: s.address, vault: known, from: from}

	var light, after traffic
	checked := s.measure(b, "verified", &m, func(ctx context.Context, dir string) (err error) {
		light, after, err = s.recoverVerified(ctx, &m, nodes, dir)
		return err
	}, func(b *testing.B, _ cost) {
		b.ReportMetric(float64(light.trips), "light-roundtrips/op")
		b.ReportMetric(float64(after.trips), "after-roundtrips/op")
	})
	s.measure(b, fmt.Sprintf("scan-of-%d-blocks", window), &m, func(ctx context.Context, dir string) error {
		return s.restore(ctx, blocks, dir)
	}, func(b *testing.B, scanned cost) {
		if checked == (cost{}) {
			return // only the scan was asked for
		}
		b.ReportMetric(scanned.trips/checked.trips, "x-fewer-roundtrips")
		b.ReportMetric(scanned.bytes/checked.bytes, "x-fewer-bytes")
		b.ReportMetric(scanned.time/checked.time, "x-less-time")
	})
}

// BenchmarkRecoveryByMembers recovers the keyshares of one member of a vault of 4, 20, 40 and 100, whole
// and split, as BenchmarkRecovery does. Each member is a validator, but two have nodes: the others sign
// no header, and each would add some 0.5 KB to light-bytes/op, which are the light client's. With
// -short it is 4 members alone.
func BenchmarkRecoveryByMembers(b *testing.B) {
	sizes := []int{4, 20, 40, 100}
	if testing.Short() {
		sizes = sizes[:1]
	}
	for _, n := range sizes {
		for _, kind := range []string{"whole", "split"} {
			cfg := network.Config{
				Validators: n, Running: 2,
				Tssbackup: func(gs *types.GenesisState) {
					gs.Params.SplitBackups = kind == "split"
					gs.Params.MaxVaultMembers = 100
				},
			}
			s := newScene(b, cfg)
			var m meter
			nodes := clients(b, 0, m.front(b, s.network.Validators[0].RPC()), m.front(b, s.network.Validators[1].RPC()))
			var light, after traffic
			s.measure(b, fmt.Sprintf("%d members/%s", n, kind), &m, func(ctx context.Context, dir string) (err error) {
				light, after, err = s.recoverVerified(ctx, &m, nodes, dir)
				return err
			}, func(b *testing.B, _ cost) {
				b.ReportMetric(float64(light.bytes), "light-bytes/op")
				b.ReportMetric(float64(after.bytes), "after-bytes/op")
			})
			for i := range cfg.Running {
				s.network.Stop(i)
			}
		}
	}
}

// cost is what one recovery takes.
type cost struct{ trips, bytes, time float64 }

// measure reports what a way to recover costs, and what else there is to say of it, and requires
// that it gets the keyshares back.
func (s *scene) measure(b *testing.B, name string, m *meter, recover func(ctx context.Context, dir string) error, also func(*testing.B, cost)) (c cost) {
	b.Run(name, func(b *testing.B) {
		root, runs := b.TempDir(), 0
		dir := func() string { return filepath.Join(root, strconv.Itoa(runs)) }
		start := m.read()
		for b.Loop() {
			runs++
			require.NoError(b, recover(b.Context(), dir()))
		}
		sum, per := m.read().minus(start), 1/float64(runs)
		c = cost{float64(sum.trips) * per, float64(sum.bytes) * per, float64(b.Elapsed()) * per}
		require.Equal(b, byName(s.backups.Vault.Files[0]), held(b, dir()))
		b.ReportMetric(c.trips, "roundtrips/op")
		b.ReportMetric(c.bytes, "bytes/op")
		also(b, c)
	})
	return c
}
