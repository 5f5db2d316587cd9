package main

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tyler-smith/go-bip39"
	"github.com/tyler-smith/go-bip39/wordlists"

	"github.com/tssbackup/tssbackup/sanity"
)

func TestWordsAndEntropyAreThoseOfTheLibrary(t *testing.T) {
	tables := newTables()
	source := rand.NewChaCha8([32]byte{7})
	for range 1000 {
		var bits [33]byte
		_, _ = source.Read(bits[:32])
		want, err := bip39.NewMnemonic(bits[:32])
		require.NoError(t, err)
		checksummed, err := bip39.MnemonicToByteArray(want)
		require.NoError(t, err)
		copy(bits[:], checksummed)

		indices := split(&bits)
		var got []string
		for _, w := range indices {
			got = append(got, wordlists.English[w])
		}
		require.Equal(t, want, strings.Join(got, " "))

		m, err := sanity.ParseMnemonic([]byte(want))
		require.NoError(t, err)
		require.InDelta(t, m.Entropy(), tables.entropy(&indices), 1e-12)
	}
}

func TestRunAddsUpItsWorkers(t *testing.T) {
	r, err := run(10_001, 3)
	require.NoError(t, err)
	require.Equal(t, 10_001, r.n)
	mean := r.sum / float64(r.n)
	require.InDelta(t, 4.11, mean, 0.02)
	require.Less(t, r.min, mean)
	require.Greater(t, r.max, mean)
}
