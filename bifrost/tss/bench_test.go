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
	made := 0
	net := newCluster(b, members, func(cfg *Config) {
		cfg.PreParams = NewPreParams(b.TempDir(), homekeys.New(b), zerolog.Nop())
		require.NoError(b, cfg.PreParams.Import(fixture.PreParams()[made].Data))
		cfg.Bech32Prefix = "cosmos"
		made++
	})
	var said atomic.Int64
	for _, n := range net.nodes {
		n.mangle = func(_ *session, _ int, frame []byte) []byte {
			said.Add(int64(len(frame)))
			return frame
		}
	}
	b.StartTimer()
	for _, err := range net.each(net.all(), func(i int, n *Node) error {
		_, err := n.Keygen(b.Context(), net.keygenOf(i, (2*members+2)/3, "attempt"))
		return err
	}) {
		require.NoError(b, err)
	}
	return float64(said.Load()) / float64(members)
}
