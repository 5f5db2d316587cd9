package tss

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/fixture"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

// BenchmarkKeygen makes a vault over loopback: both keys, with real parameters. It prints what one
// member says to all others, and how that compares with what it said before the members of a keygen
// agreed on broadcasts: plain broadcasts with one echo each, and tss-lib's own proofs alone.
func BenchmarkKeygen(b *testing.B) {
	for _, c := range []struct {
		members, before int // bytes
	}{{4, 556_949}, {7, 1_130_377}} {
		if c.members > 4 && testing.Short() {
			continue // a minute
		}
		b.Run(fmt.Sprintf("of %d", c.members), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				said := benchmarkKeygen(b, c.members)
				b.ReportMetric(said, "B/member")
				b.ReportMetric(said/float64(c.before), "of-before")
			}
		})
	}
}

func benchmarkKeygen(b *testing.B, members int) float64 {
	net, said := benchmarkCluster(b, members)
	b.StartTimer()
	for _, err := range net.each(net.all(), func(i int, n *Node) error {
		_, err := n.Keygen(b.Context(), net.keygenOf(i, (2*members+2)/3, "attempt"))
		return err
	}) {
		require.NoError(b, err)
	}
	return float64(said.Load()) / float64(members)
}

// benchmarkCluster has a set of pre-parameters at each node, and counts what all say.
func benchmarkCluster(b *testing.B, members int) (*cluster, *atomic.Int64) {
	made := 0
	net := newCluster(b, members, func(cfg *Config) {
		cfg.PreParams = NewPreParams(b.TempDir(), homekeys.New(b), zerolog.Nop())
		require.NoError(b, cfg.PreParams.Import(fixture.PreParams()[made].Data))
		cfg.Bech32Prefix = "cosmos"
		made++
	})
	said := new(atomic.Int64)
	for _, n := range net.nodes {
		n.mangle = func(_ *session, _ int, frame []byte) []byte {
			said.Add(int64(len(frame)))
			return frame
		}
	}
	return net, said
}

// BenchmarkReshare hands a vault on over loopback: both keys, with real parameters. It prints how
// long that takes, and what one of those who take part says, compared with a keygen of the next
// epoch's members in the same run.
func BenchmarkReshare(b *testing.B) {
	for _, c := range []struct{ old, next int }{{4, 4}, {4, 7}, {7, 4}} {
		if max(c.old, c.next) > 4 && testing.Short() {
			continue // a minute
		}
		b.Run(fmt.Sprintf("of %d to %d", c.old, c.next), func(b *testing.B) {
			b.StopTimer()
			begin := b.Elapsed()
			keygen := benchmarkKeygen(b, c.next)
			b.StopTimer()
			took := b.Elapsed() - begin
			b.StartTimer()
			for b.Loop() {
				b.StopTimer()
				net, said := benchmarkCluster(b, max(c.old, c.next))
				g := firstGeneration("bench", net.members[:c.old])
				dealers, next := g.members[:thresholdOf(c.old)], net.members[:c.next]
				b.StartTimer()
				net.reshare(b, g, dealers, next, reshareBoth)
				b.StopTimer()
				each := float64(said.Load()) / float64(max(len(dealers), len(next)))
				b.ReportMetric(each, "B/member")
				b.ReportMetric(each/keygen, "of-keygen-B")
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(took), "of-keygen")
		})
	}
}
