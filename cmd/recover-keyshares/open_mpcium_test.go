package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
)

// A wallet's name is an attacker's text.
func TestNamesOfMpciumsWallets(t *testing.T) {
	names := map[string]string{}
	dir := t.TempDir()
	store, err := keystore.OpenFolder(dir)
	require.NoError(t, err)
	for _, wallet := range []string{
		"0b6c7e1a-93a5-4d1e-8f0c-5a2d1b3c4d01_v1", "", ".", "..", "/etc/passwd", "../../home/mnemonic", "a\x00b",
		"W", "w", ".57", "é", "e\u0301", "\u202e", "con", "a b", "a.b", `a\b`, "a:b", "\n", ".sha256-00",
		strings.Repeat("w", 150), strings.Repeat("w", 151), strings.Repeat("w", 5000), strings.Repeat("/", 100),
	} {
		name := mpciumName("ecdsa", wallet)
		require.Regexp(t, regexp.MustCompile(`^mpcium-ecdsa-[a-z0-9._-]*\.json$`), name)
		require.Less(t, len(name), 200)
		require.NotContains(t, names, name, "of %q too", names[name])
		names[name] = wallet
		require.NoError(t, store.Save([]envelope.File{{Name: name, Data: []byte(wallet)}}))
	}
	require.NotEqual(t, mpciumName("ecdsa", "w"), mpciumName("eddsa", "w"))
	got, err := store.List()
	require.NoError(t, err)
	require.Len(t, got, len(names))
}
