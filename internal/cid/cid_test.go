package cid_test

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/internal/cid"
)

// TestItIsThatOfEveryTool compares with what ipfs prints for no bytes and for some.
func TestItIsThatOfEveryTool(t *testing.T) {
	empty := sha256.Sum256(nil)
	require.Equal(t, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", cid.Of(empty[:]))
	sum, ok := cid.Sum(cid.Of(empty[:]))
	require.True(t, ok)
	require.Equal(t, empty[:], sum)
}

func TestWhatIsNoneOfThese(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                    "",
		"of version 0":               "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n",
		"of a directory":             "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
		"in another base":            "afkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
		"cut off":                    "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvy",
		"in upper case":              "BAFKREIHDWDCEFGH4DQKJV67UZCMW7OJEE6XEDZDETOJUZJEVTENXQUVYKU",
		"with bits that say nothing": "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvykv",
	} {
		_, ok := cid.Sum(text)
		require.False(t, ok, name)
	}
}
