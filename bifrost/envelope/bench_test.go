package envelope

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/fixture"
)

// thornodeBytes is what THORNode's pipeline makes of the same keyshares, by the size of the vault:
// one encrypted backup for each of the two files.
var thornodeBytes = map[int]int{4: 9_497 + 1_686, 20: 30_250 + 4_418}

func forEachSize(b *testing.B, bench func(b *testing.B, files []File)) {
	for _, size := range fixture.Sizes {
		b.Run(fmt.Sprintf("members=%d", size), func(b *testing.B) {
			bench(b, keyshares(b, size, 0))
		})
	}
}

func content(files []File) int {
	n := 0
	for _, file := range files {
		n += len(file.Data)
	}
	return n
}

// BenchmarkSize reports sizes; its times mean nothing.
func BenchmarkSize(b *testing.B) {
	for _, size := range fixture.Sizes {
		b.Run(fmt.Sprintf("members=%d", size), func(b *testing.B) {
			files := keyshares(b, size, 0)
			var sealed []byte
			for b.Loop() {
				var err error
				sealed, err = Seal(files, parse(b, mnemonic24), WithWorkFactor(10))
				require.NoError(b, err)
			}
			b.ReportMetric(float64(content(files)), "raw-bytes")
			b.ReportMetric(float64(len(sealed)), "envelope-bytes")
			b.ReportMetric(float64(thornodeBytes[size]), "thornode-bytes")
			b.ReportMetric(float64(content(files))/float64(len(sealed)), "ratio")
		})
	}
}

// BenchmarkSealWithoutScrypt packs and compresses, which is what takes time besides scrypt.
func BenchmarkSealWithoutScrypt(b *testing.B) {
	forEachSize(b, func(b *testing.B, files []File) {
		b.SetBytes(int64(content(files)))
		for b.Loop() {
			archive, err := pack(files)
			require.NoError(b, err)
			_, err = compress(archive)
			require.NoError(b, err)
		}
	})
}

// BenchmarkOpenWithoutScrypt decompresses and unpacks.
func BenchmarkOpenWithoutScrypt(b *testing.B) {
	forEachSize(b, func(b *testing.B, files []File) {
		archive, err := pack(files)
		require.NoError(b, err)
		stream, err := compress(archive)
		require.NoError(b, err)
		b.SetBytes(int64(content(files)))
		for b.Loop() {
			archive, err := Decompress(stream, maxArchive)
			require.NoError(b, err)
			_, err = unpack(archive)
			require.NoError(b, err)
		}
	})
}

// BenchmarkScrypt encrypts one byte, which is as good as scrypt alone. Seal does it twice, Open
// once.
func BenchmarkScrypt(b *testing.B) {
	b.Run(fmt.Sprintf("workfactor=%d", DefaultWorkFactor), func(b *testing.B) {
		b.ReportAllocs()
		m := parse(b, mnemonic24)
		for b.Loop() {
			_, err := encrypt([]byte{0}, m, DefaultWorkFactor)
			require.NoError(b, err)
		}
	})
}
