package homebackup_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

// BenchmarkKeyshares backs up, verifies and restores 100 keyshares of 24 KB, on a real disk. Bytes
// are what the folder has.
func BenchmarkKeyshares(b *testing.B) {
	const count, size = 100, 24 << 10
	ctx := context.Background()
	h := newHost(b, filepath.Join(b.TempDir(), "home"), homekeys.Words)
	for i := range count {
		data := make([]byte, size)
		_, _ = rand.Read(data)
		h.put(b, uint64(i+1), "localstate-a.json", string(data))
	}
	dir := filepath.Join(b.TempDir(), "backups")
	h.create(b, dir)
	total := 0
	for _, data := range disk.Tree(b, dir) {
		total += len(data)
	}
	keys := h.keys()

	b.Run("first", func(b *testing.B) {
		for range b.N {
			fresh := filepath.Join(b.TempDir(), "backups")
			h.create(b, fresh)
			require.NoError(b, os.RemoveAll(fresh))
		}
		b.ReportMetric(float64(total), "bytes")
	})
	b.Run("one more keyshare", func(b *testing.B) {
		var written int64
		for i := range b.N {
			h.put(b, uint64(count+1+i), "localstate-a.json", fmt.Sprint(i, written))
			written = h.create(b, dir).Bytes
		}
		b.ReportMetric(float64(written), "bytes")
	})
	b.Run("nothing new", func(b *testing.B) {
		for range b.N {
			require.True(b, h.create(b, dir).Unchanged)
		}
	})
	b.Run("verify without keys", func(b *testing.B) {
		for range b.N {
			_, err := homebackup.Verify(ctx, dir, nil, nil)
			require.NoError(b, err)
		}
	})
	b.Run("verify", func(b *testing.B) {
		for range b.N {
			_, err := homebackup.Verify(ctx, dir, &keys, nil)
			require.NoError(b, err)
		}
	})
	b.Run("restore", func(b *testing.B) {
		for range b.N {
			plan, err := homebackup.Prepare(ctx, dir, keys, homebackup.Choice{}, nil)
			require.NoError(b, err)
			require.NoError(b, plan.Write(ctx, filepath.Join(b.TempDir(), "new"), false))
		}
	})
}
