package home

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAHomeSaysThatItWasRestored(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	r, err := LoadRestored(dir)
	require.NoError(t, err)
	require.Nil(t, r, "most were not")
	for _, height := range []int64{0, 77} {
		require.NoError(t, Restored{Height: height}.Save(dir))
		r, err = LoadRestored(dir)
		require.NoError(t, err)
		require.Equal(t, &Restored{Height: height}, r)
	}
	for _, text := range []string{"", "{", `{"height":-1}`, `{"height":"1"}`} {
		require.NoError(t, os.WriteFile(RestoredPath(dir), []byte(text), 0o600))
		_, err = LoadRestored(dir)
		require.ErrorContains(t, err, "is damaged", text)
	}
}
