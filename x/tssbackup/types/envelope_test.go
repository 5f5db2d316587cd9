package types_test

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func anEnvelope(size int, fill byte) []byte {
	return append([]byte(sanity.EnvelopePrefix), bytes.Repeat([]byte{fill}, size-len(sanity.EnvelopePrefix))...)
}

func commitmentTo(envelope []byte) types.Commitment {
	sum := sha256.Sum256(envelope)
	return types.Commitment{Sha256: sum[:], Size_: uint64(len(envelope)), Height: 5}
}

func TestFindEnvelope(t *testing.T) {
	envelope := anEnvelope(500, 'x')
	bound := commitmentTo(envelope)
	around := func(before, after string) []byte {
		return bytes.Join([][]byte{[]byte(before), envelope, []byte(after)}, nil)
	}
	decoys := bytes.Repeat([]byte(sanity.EnvelopePrefix), 10_000)
	for name, tc := range map[string]struct {
		txs   [][]byte
		found bool
	}{
		"alone in a transaction":                   {[][]byte{envelope}, true},
		"deep in a message":                        {[][]byte{around("some\x00bytes", "more")}, true},
		"behind others' envelopes":                 {[][]byte{anEnvelope(500, 'y'), anEnvelope(600, 'y'), around("a", "")}, true},
		"behind a transaction full of decoys":      {[][]byte{decoys, envelope}, true},
		"second of two in one transaction":         {[][]byte{append(anEnvelope(500, 'y'), envelope...)}, true},
		"behind a few decoys of its own":           {[][]byte{append(bytes.Repeat([]byte(sanity.EnvelopePrefix), 10), envelope...)}, true},
		"buried under thousands of its own decoys": {[][]byte{append(bytes.Clone(decoys), envelope...)}, false},
		"one byte short":                           {[][]byte{envelope[:499]}, false},
		"another of the same size":                 {[][]byte{anEnvelope(500, 'y')}, false},
		"split over two transactions":              {[][]byte{envelope[:250], envelope[250:]}, false},
		"a block without transactions":             {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := types.FindEnvelope(tc.txs, bound)
			require.Equal(t, tc.found, ok)
			if ok {
				require.Equal(t, envelope, got)
			}
		})
	}
	t.Run("sizes that no envelope has", func(t *testing.T) {
		for _, size := range []uint64{0, 1, uint64(len(sanity.EnvelopePrefix)) - 1, 1 << 63, 1<<64 - 1} {
			other := bound
			other.Size_ = size
			_, ok := types.FindEnvelope([][]byte{envelope}, other)
			require.False(t, ok)
		}
	})
	t.Run("the result is the caller's own", func(t *testing.T) {
		tx := bytes.Clone(envelope)
		got, _ := types.FindEnvelope([][]byte{tx}, bound)
		clear(tx)
		require.Equal(t, envelope, got)
	})
}

func TestFindEnvelopeWherever(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rest := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "rest")
		envelope := append([]byte(sanity.EnvelopePrefix), rest...)
		before := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "before")
		after := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "after")
		txs := [][]byte{after, bytes.Join([][]byte{before, envelope, after}, nil), before}
		got, ok := types.FindEnvelope(txs, commitmentTo(envelope))
		require.True(t, ok)
		require.Equal(t, envelope, got)
	})
}

func TestCommitment(t *testing.T) {
	envelope := anEnvelope(500, 'x')
	bound := commitmentTo(envelope)
	shown := bound.Info()
	again, err := shown.Commitment()
	require.NoError(t, err)
	require.Equal(t, bound, again)
	for name, other := range map[string][]byte{
		"nothing": nil, "another": anEnvelope(500, 'y'), "one byte less": envelope[1:], "one byte more": append(envelope, 0),
	} {
		require.False(t, bound.Matches(other), name)
		require.False(t, shown.Matches(other), name)
	}
	require.True(t, bound.Matches(envelope))
	require.True(t, shown.Matches(envelope))
	for name, hash := range map[string]string{
		"none": "", "no hex": "zz" + shown.Sha256[2:], "too short": shown.Sha256[2:], "too long": shown.Sha256 + "00",
		"half a byte": strings.Repeat("a", 63),
	} {
		bad := shown
		bad.Sha256 = hash
		_, err := bad.Commitment()
		require.Error(t, err, name)
		require.False(t, bad.Matches(envelope), name)
	}
}
