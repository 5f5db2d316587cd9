package homebackup_test

import (
	"context"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

func TestBackupsForHybridRecipients(t *testing.T) {
	plain, dir, want := scene(t)
	id, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	other, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	// One of the keystore's recipients, and one of the backups'.
	h := hostOf(t, plain.Home, homekeys.Words, id.Recipient().String(), other.Recipient().String())
	m, err := sanity.ParseMnemonic([]byte(homekeys.Words))
	require.NoError(t, err)
	h.Mnemonic, h.MnemonicFor = m, []string{other.Recipient().String()}
	created := h.create(t, dir)
	require.True(t, h.create(t, dir).Unchanged)
	words := mnemonicOf(t, created.Manifest).Object
	for path, data := range disk.Tree(t, dir) {
		require.Contains(t, data, "\n-> mlkem768x25519 ", path)
		require.NotContains(t, data, "\n-> X25519 ", path)
		require.NotNil(t, open(t, data, other), path)
		require.Equal(t, filepath.Base(path) == words+".age", open(t, data, id) == nil, path)
	}
	keys := h.keys()
	for _, k := range []*homebackup.Keys{nil, &keys} {
		all, err := homebackup.Verify(context.Background(), dir, k, nil)
		require.NoError(t, err)
		require.Empty(t, all[0].Damaged)
	}
	require.Equal(t, want, restore(t, h, dir, filepath.Join(t.TempDir(), "new"), homebackup.Choice{}))

	// The host is lost, and with it the configuration: the words are enough, whatever the kind.
	bare := hostOf(t, filepath.Join(t.TempDir(), "bare"), homekeys.Words)
	require.Equal(t, want, restore(t, bare, dir, filepath.Join(t.TempDir(), "new"), homebackup.Choice{}))
	plan, err := prepareFile(t, bare, export(t, h, dir, homebackup.Choice{}))
	require.NoError(t, err)
	require.True(t, plan.Whole())

	// Recipients of the other kind get all of it anew.
	x := hostOf(t, plain.Home, homekeys.Words, generated(t).Recipient().String())
	next := x.create(t, dir)
	require.Equal(t, len(next.Manifest.Files), next.Objects)
	require.Equal(t, want, restore(t, x, dir, filepath.Join(t.TempDir(), "x"), homebackup.Choice{}))
}
