package chain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func anEnvelope(size int, fill byte) []byte {
	return append([]byte(sanity.EnvelopePrefix), bytes.Repeat([]byte{fill}, size-len(sanity.EnvelopePrefix))...)
}

func TestFindEnvelope(t *testing.T) {
	envelope := anEnvelope(500, 'x')
	hash := sha256.Sum256(envelope)
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
			got, ok := FindEnvelope(tc.txs, 500, hash)
			require.Equal(t, tc.found, ok)
			if ok {
				require.Equal(t, envelope, got)
			}
		})
	}
	t.Run("sizes that no envelope has", func(t *testing.T) {
		for _, size := range []uint64{0, 1, uint64(len(sanity.EnvelopePrefix)) - 1, 1 << 63, 1<<64 - 1} {
			_, ok := FindEnvelope([][]byte{envelope}, size, hash)
			require.False(t, ok)
		}
	})
	t.Run("the result is the caller's own", func(t *testing.T) {
		tx := bytes.Clone(envelope)
		got, _ := FindEnvelope([][]byte{tx}, 500, hash)
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
		got, ok := FindEnvelope(txs, uint64(len(envelope)), sha256.Sum256(envelope))
		require.True(t, ok)
		require.Equal(t, envelope, got)
	})
}

func TestEnvelope(t *testing.T) {
	node, c := newNode(t)
	envelope := anEnvelope(500, 'x')
	node.Publish("02aa", "cosmos1a", 60, envelope)
	hash := sha256.Sum256(envelope)
	good := types.CommitmentInfo{Sha256: hex.EncodeToString(hash[:]), Size_: 500, Height: 60}

	got, err := c.Envelope(t.Context(), good)
	require.NoError(t, err)
	require.Equal(t, envelope, got)

	for name, tc := range map[string]struct {
		change func(*types.CommitmentInfo)
		err    error
	}{
		"another block":             {func(c *types.CommitmentInfo) { c.Height = 61 }, ErrNoEnvelope},
		"another hash":              {func(c *types.CommitmentInfo) { c.Sha256 = hex.EncodeToString(make([]byte, 32)) }, ErrNoEnvelope},
		"another size":              {func(c *types.CommitmentInfo) { c.Size_ = 499 }, ErrNoEnvelope},
		"a block that is not there": {func(c *types.CommitmentInfo) { c.Height = 101 }, ErrNoBlock},
		"a hash that is too short":  {func(c *types.CommitmentInfo) { c.Sha256 = "00" }, ErrUnreachable},
		"a hash that is not in hex": {func(c *types.CommitmentInfo) { c.Sha256 = "zz" }, ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			commitment := good
			tc.change(&commitment)
			_, err := c.Envelope(t.Context(), commitment)
			require.ErrorIs(t, err, tc.err)
		})
	}
}
