package service

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/fakemember"
)

// TestCompleteAsksTheNodesThatAnswer restores what a home lacks though the first node that is named
// is the one that was lost with it, and no header is known from an earlier time.
func TestCompleteAsksTheNodesThatAnswer(t *testing.T) {
	const lost = "http://127.0.0.1:1"
	m := fakemember.New(t)
	m.Publish(t)
	m.Save(t, m.Vaults[0])
	done, err := Complete(t.Context(), m.Home, fakemember.Config(), m.Mnemonic,
		[]string{lost, m.OwnURL, m.OtherURL})
	require.NoError(t, err)
	require.Len(t, done.Vaults, 2)
	for _, v := range done.Vaults {
		require.NoError(t, v.Err)
		require.Equal(t, v.Vault != m.Vaults[0].Name(), v.Fetched)
	}
	require.Len(t, done.Warnings, 1)
	require.Contains(t, done.Warnings[0], lost)
	m.Holds(t, m.Vaults...)
}
