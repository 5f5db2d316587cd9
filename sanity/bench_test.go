package sanity_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/sanity"
)

// BenchmarkCheckEnvelopeForm is what a vote costs every node besides its signatures: with a payload
// as it is, and with one made of words to keep the search for a mnemonic busy.
func BenchmarkCheckEnvelopeForm(b *testing.B) {
	for _, size := range []int{64 << 10, 512 << 10} {
		for name, filler := range map[string]string{"binary": "\x80\x01k\xffQ\x9a", "words": "zoo zebra xyz "} {
			b.Run(fmt.Sprintf("bytes=%d/%s", size, name), func(b *testing.B) {
				envelope := []byte(header + strings.Repeat(filler, size/len(filler)))[:size]
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					require.NoError(b, sanity.CheckEnvelopeForm(envelope, rules))
				}
			})
		}
	}
}
