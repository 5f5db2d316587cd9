package archive_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
)

// BenchmarkPut writes a block of n envelopes, of 64 KiB and of the 1.1 KB of a split vault's, by turns with a block of one, and with n files
// that are not flushed, on the disk of the folder for temporary files. The best of all rounds
// counts, because whatever else the machine does only adds to a time.
func BenchmarkPut(b *testing.B) {
	a, err := archive.Open(b.TempDir())
	require.NoError(b, err)
	envelopes := func(n, size int) [][]byte {
		all := make([][]byte, n)
		for i := range all {
			all[i] = make([]byte, size)
			_, _ = rand.Read(all[i]) // never fails
		}
		return all
	}
	put := func(n, size int) time.Duration {
		all := envelopes(n, size)
		start := time.Now()
		require.NoError(b, a.Put(all...))
		return time.Since(start)
	}
	unflushed := func(n, size int) time.Duration {
		dir, all := b.TempDir(), envelopes(n, size)
		start := time.Now()
		for i, envelope := range all {
			require.NoError(b, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), envelope, 0o600))
		}
		return time.Since(start)
	}
	for _, size := range []int{64 << 10, 1_150} {
		for _, n := range []int{4, 20, 40, 100} {
			b.Run(fmt.Sprintf("%d envelopes of %d bytes", n, size), func(b *testing.B) {
				one, many, plain := put(1, size), put(n, size), unflushed(n, size)
				for b.Loop() {
					one, many = min(one, put(1, size)), min(many, put(n, size))
					plain = min(plain, unflushed(n, size))
					require.NoError(b, a.Sweep(nil))
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(one.Microseconds()), "one-µs")
				b.ReportMetric(float64(many.Microseconds()), "all-µs")
				b.ReportMetric(float64(plain.Microseconds()), "unflushed-µs")
				b.ReportMetric(float64(many)/float64(one), "all/one")
			})
		}
	}
}
