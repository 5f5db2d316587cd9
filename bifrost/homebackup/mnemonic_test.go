package homebackup_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

// open returns what is in an age file, nil when the identity does not open it.
func open(t testing.TB, sealed string, id age.Identity) []byte {
	t.Helper()
	r, err := age.Decrypt(strings.NewReader(sealed), id)
	if err != nil {
		return nil
	}
	plain, err := io.ReadAll(r)
	require.NoError(t, err)
	return plain
}

func generated(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return id
}

// including is a host whose mnemonic is backed up for these recipients.
func including(t testing.TB, h *host, recipients ...string) *host {
	t.Helper()
	h = hostOf(t, h.Home, homekeys.Words, recipients...)
	m, err := sanity.ParseMnemonic([]byte(homekeys.Words))
	require.NoError(t, err)
	h.Mnemonic, h.MnemonicFor = m, recipients
	return h
}

func mnemonicOf(t testing.TB, m *homebackup.Manifest) homebackup.File {
	t.Helper()
	i := slices.IndexFunc(m.Files, homebackup.File.IsMnemonic)
	require.GreaterOrEqual(t, i, 0)
	return m.Files[i]
}

func TestTheMnemonicIsBackedUpForOthersAlone(t *testing.T) {
	plain, dir, want := scene(t)
	id := generated(t)
	h := including(t, plain, id.Recipient().String())
	created := h.create(t, dir)
	f := mnemonicOf(t, created.Manifest)
	require.Equal(t, []string{id.Recipient().String()}, created.Manifest.MnemonicFor)

	t.Run("one object holds it, which the recipients open and the home does not", func(t *testing.T) {
		words := strings.Fields(homekeys.Words)
		for path, data := range disk.Tree(t, dir) {
			sealed := open(t, data, id)
			require.NotNil(t, sealed, "%s: the recipient opens everything", path)
			if filepath.Base(path) == f.Object+".age" {
				require.Equal(t, homekeys.Words+"\n", string(sealed))
				_, err := h.Keys.Open([]byte(data))
				require.ErrorIs(t, err, keystore.ErrSealed)
				require.Equal(t, 1, strings.Count(data, "\n-> X25519 "))
				continue
			}
			for i := range words[:len(words)-2] {
				run := strings.Join(words[i:i+3], " ")
				require.NotContains(t, string(sealed), run, path)
			}
		}
	})
	t.Run("it is sealed once", func(t *testing.T) {
		require.True(t, h.create(t, dir).Unchanged)
		h.put(t, 9, "localstate-c.json", "secret c")
		want["keyshares/9/localstate-c.json"] = "secret c"
		next := h.create(t, dir)
		require.Equal(t, 1, next.Objects)
		require.Equal(t, f, mnemonicOf(t, next.Manifest))
	})
	t.Run("what is looked at is that it is there, and what its name says", func(t *testing.T) {
		keys := h.keys()
		all, err := homebackup.Verify(context.Background(), dir, &keys, nil)
		require.NoError(t, err)
		require.Empty(t, all[0].Damaged)
		require.Equal(t, []string{"mnemonic"}, all[0].Unopened)
		path := only(t, dir, "*", "objects", f.Object+".age")
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, spoil := range []func() error{
			func() error { return os.WriteFile(path, append([]byte("x"), whole...), 0o600) },
			func() error { return os.Remove(path) },
		} {
			require.NoError(t, spoil())
			all, err = homebackup.Verify(context.Background(), dir, &keys, nil)
			require.NoError(t, err)
			require.Len(t, all[0].Damaged, 1)
			require.Equal(t, "mnemonic", all[0].Damaged[0].Name)
		}
		again := h.create(t, dir)
		require.Equal(t, 1, again.Objects, "it is sealed anew")
		require.NotEqual(t, f.Object, mnemonicOf(t, again.Manifest).Object)
		f = mnemonicOf(t, again.Manifest)
	})
	t.Run("no home gets it", func(t *testing.T) {
		plan, err := homebackup.Prepare(context.Background(), dir, h.keys(), homebackup.Choice{}, nil)
		require.NoError(t, err)
		require.True(t, plan.Whole())
		require.Equal(t, []string{"mnemonic"}, plan.Unopened)
		require.Equal(t, want, restore(t, h, dir, filepath.Join(t.TempDir(), "new"), homebackup.Choice{}))
		path := export(t, h, dir, homebackup.Choice{})
		for _, m := range members(t, h, path) {
			require.NotContains(t, m.Name, "mnemonic")
			require.NotContains(t, m.Name, f.Object)
		}
		plan, err = prepareFile(t, h, path)
		require.NoError(t, err)
		require.True(t, plan.Whole())
		target := filepath.Join(t.TempDir(), "file")
		require.NoError(t, plan.Write(context.Background(), target, false))
		require.Equal(t, want, restored(t, h, target))
	})
	t.Run("other recipients get it anew", func(t *testing.T) {
		// The list of all recipients stays as it was, and so do the other objects.
		other := generated(t)
		both := []string{id.Recipient().String(), other.Recipient().String()}
		h := including(t, h, both...)
		h.MnemonicFor = both[1:]
		first := h.create(t, dir)
		require.Len(t, first.Manifest.Recipients, 3)
		h.MnemonicFor = both
		second := h.create(t, dir)
		require.Equal(t, 1, second.Objects)
		for path, data := range disk.Tree(t, dir) {
			switch filepath.Base(path) {
			case mnemonicOf(t, first.Manifest).Object + ".age":
				require.Nil(t, open(t, data, id))
				require.NotNil(t, open(t, data, other))
			case mnemonicOf(t, second.Manifest).Object + ".age":
				require.NotNil(t, open(t, data, id))
				require.NotNil(t, open(t, data, other))
			}
		}
	})
	t.Run("it is in no backup any more once it is not to be", func(t *testing.T) {
		h := hostOf(t, h.Home, homekeys.Words, id.Recipient().String())
		created := h.create(t, dir)
		require.False(t, slices.ContainsFunc(created.Manifest.Files, homebackup.File.IsMnemonic))
		require.Empty(t, created.Manifest.MnemonicFor)
		_, err := homebackup.Prune(context.Background(), h.Home, dir, h.keys(),
			homebackup.Keep{Last: 1}, nil, false)
		require.NoError(t, err)
		for path, data := range disk.Tree(t, dir) {
			require.False(t, bytes.Equal(open(t, data, id), []byte(homekeys.Words+"\n")), path)
		}
	})
}

func TestForWhomNoMnemonicIsSealed(t *testing.T) {
	plain, dir, _ := scene(t)
	hybrid, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	for name, recipients := range map[string][]string{
		"nobody":                     nil,
		"the home":                   homekeys.New(t).Recipients(),
		"the home, as hybrids do":    homekeys.New(t, hybrid.Recipient().String()).Recipients()[:1],
		"the home among others":      append(homekeys.New(t).Recipients(), generated(t).Recipient().String()),
		"what is no recipient":       {"age1x"},
		"recipients that do not mix": {generated(t).Recipient().String(), hybrid.Recipient().String()},
	} {
		t.Run(name, func(t *testing.T) {
			h := including(t, plain)
			h.MnemonicFor = recipients
			require.ErrorIs(t, h.Keys.CheckOthers(recipients), keystore.ErrRecipients)
			_, err := homebackup.Create(context.Background(), h.Owner, dir, noon)
			require.ErrorIs(t, err, keystore.ErrRecipients)
			keys := h.keys()
			_, err = homebackup.Verify(context.Background(), dir, &keys, nil)
			require.Error(t, err, "there is no backup")
		})
	}
}

// The hash in a manifest says nothing of 24 words, and a mnemonic that was wiped has none.
func TestAMnemonicThatIsNoneIsNotBackedUp(t *testing.T) {
	plain, dir, _ := scene(t)
	id := generated(t)
	twelve, err := sanity.ParseMnemonic([]byte(strings.Repeat("abandon ", 11) + "about"))
	require.NoError(t, err)
	wiped, err := sanity.ParseMnemonic([]byte(homekeys.Words))
	require.NoError(t, err)
	wiped.Wipe()
	for _, m := range []*sanity.Mnemonic{twelve, wiped} {
		h := including(t, plain, id.Recipient().String())
		h.Mnemonic = m
		_, err := homebackup.Create(context.Background(), h.Owner, dir, noon)
		require.ErrorContains(t, err, "mnemonic: mnemonic has")
	}
}
