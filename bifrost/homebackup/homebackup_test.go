package homebackup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

// otherWords are those of another signer.
const otherWords = "december noodle battle screen artist miracle exercise amused jacket rhythm " +
	"marble prepare despair pigeon resist caution twenty pumpkin inmate fragile genius digital " +
	"panther adjust"

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A host is a home with its owner.
type host struct {
	homebackup.Owner
	store *keystore.Store
}

func newHost(t testing.TB, dir, words string, recipients ...string) *host {
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, durable.Write(home.ConfigPath(dir), []byte("chain_id = \"test-1\"\n")))
	return hostOf(t, dir, words, recipients...)
}

// hostOf is that of a home which is there.
func hostOf(t testing.TB, dir, words string, recipients ...string) *host {
	m, err := sanity.ParseMnemonic([]byte(words))
	require.NoError(t, err)
	key, err := signer.Derive(m, signer.DefaultHDPath)
	require.NoError(t, err)
	keys := homekeys.Of(t, m, recipients...)
	s, err := keystore.Open(home.KeysharesDir(dir), keys)
	require.NoError(t, err)
	return &host{homebackup.Owner{
		Home: dir, ChainID: "test-1", Prefix: "cosmos", Keys: keys, Key: key,
	}, s}
}

func (h *host) keys() homebackup.Keys { return homebackup.Keys{Home: h.Keys, PubKey: h.Key.PubKey()} }

func (h *host) put(t testing.TB, epoch uint64, name, data string) {
	require.NoError(t, h.store.Save(epoch, []envelope.File{{Name: name, Data: []byte(data)}}))
}

func (h *host) create(t testing.TB, dir string) *homebackup.Created {
	t.Helper()
	created, err := homebackup.Create(context.Background(), h.Owner, dir, noon)
	require.NoError(t, err)
	return created
}

func (h *host) record(t testing.TB, path, step string) {
	data := fmt.Sprintf(`{"version":2,"kind":"vote","epoch":7,"step":%q}`, step)
	require.NoError(t, durable.Replace(filepath.Join(home.OutboxDir(h.Home), path), []byte(data)))
}

// restored is what is in a home that was restored: paths to contents, keyshares opened.
func restored(t testing.TB, h *host, dir string) map[string]string {
	got := disk.Tree(t, dir)
	delete(got, "lock")
	delete(got, "restored.json")
	for path, data := range got {
		if name, ok := strings.CutSuffix(path, ".age"); ok {
			plain, err := h.Keys.Open([]byte(data))
			require.NoError(t, err, path)
			delete(got, path)
			got[name] = string(plain)
		}
	}
	return got
}

func restore(t testing.TB, h *host, from, to string, c homebackup.Choice) map[string]string {
	t.Helper()
	plan, err := homebackup.Prepare(context.Background(), from, h.keys(), c, nil)
	require.NoError(t, err)
	require.NoError(t, plan.Write(context.Background(), to, false))
	mark, err := home.LoadRestored(to)
	require.NoError(t, err)
	require.Equal(t, &home.Restored{}, mark, "the home says that it was restored")
	return restored(t, h, to)
}

// scene is a home with everything in it, and a folder for its backups.
func scene(t testing.TB) (h *host, dir string, want map[string]string) {
	root := t.TempDir()
	h = newHost(t, filepath.Join(root, "home"), homekeys.Words)
	h.put(t, 7, "localstate-a.json", "secret a")
	h.put(t, 8, "localstate-a.json", "secret a of the next epoch")
	h.put(t, keystore.Unplaced, "localstate-b.json", "secret b")
	h.record(t, "closed/keygen-7.json", string(outbox.StepDone))
	h.record(t, "keygen-8.json", string(outbox.StepMessage))
	h.record(t, "keygen-9.json", string(outbox.StepResult))
	require.NoError(t, durable.Replace(filepath.Join(home.TrustDir(h.Home), "aa.header"), []byte("h1")))
	require.NoError(t, durable.Replace(filepath.Join(home.PreParamsDir(h.Home), "x.json.age"), nil))
	require.NoError(t, durable.Replace(home.MnemonicPath(h.Home), []byte(homekeys.Words)))
	want = map[string]string{
		"config.toml":                          "chain_id = \"test-1\"\n",
		"keyshares/7/localstate-a.json":        "secret a",
		"keyshares/8/localstate-a.json":        "secret a of the next epoch",
		"keyshares/unplaced/localstate-b.json": "secret b",
		"outbox/closed/keygen-7.json":          `{"version":2,"kind":"vote","epoch":7,"step":"done"}`,
		"trust/aa.header":                      "h1",
	}
	return h, filepath.Join(root, "backups"), want
}

// only is the path of the one file, or folder, that a pattern finds.
func only(t testing.TB, pattern ...string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(pattern...))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}

func TestAHomeComesBack(t *testing.T) {
	h, dir, want := scene(t)
	created := h.create(t, dir)
	require.True(t, created.First)
	require.Empty(t, created.Damaged)
	require.Equal(t, 3, created.Manifest.Keyshares())
	for path, data := range disk.Tree(t, dir) {
		require.NotContains(t, data, "secret", path)
	}

	plan, err := homebackup.Prepare(context.Background(), dir, h.keys(), homebackup.Choice{}, nil)
	require.NoError(t, err)
	require.True(t, plan.Whole())
	require.Equal(t, []string{"outbox/keygen-8.json"}, plan.Left, "what is one-time does not survive")
	target := filepath.Join(t.TempDir(), "new")
	require.NoError(t, plan.CheckTarget(target))
	require.NoDirExists(t, target, "looking changes nothing")
	require.Equal(t, want, restore(t, h, dir, target, homebackup.Choice{}))
	unlock, err := home.Lock(target)
	require.NoError(t, err, "bifrost starts there")
	unlock()

	// It is a new home: it begins a store of its own, and leaves that of the old one.
	again := hostOf(t, target, homekeys.Words)
	next := again.create(t, dir)
	require.True(t, next.First)
	require.Empty(t, next.Fork)
	_, err = homebackup.Prepare(context.Background(), dir, h.keys(), homebackup.Choice{}, nil)
	require.ErrorIs(t, err, homebackup.ErrChoose)
	require.ErrorContains(t, err, created.Manifest.Store)
	require.Equal(t, want, restore(t, h, dir, filepath.Join(t.TempDir(), "b"),
		homebackup.Choice{Store: next.Manifest.Store}))
}

func TestABackupCostsWhatChanged(t *testing.T) {
	h, dir, _ := scene(t)
	first := h.create(t, dir)
	before := disk.Tree(t, dir)
	require.True(t, h.create(t, dir).Unchanged)
	require.NoError(t, durable.Replace(filepath.Join(home.TrustDir(h.Home), "aa.header"), []byte("h2")))
	for range 2 {
		require.True(t, h.create(t, dir).Unchanged, "a header causes no backup")
		require.Equal(t, before, disk.Tree(t, dir), "and writes nothing")
	}
	h.record(t, "keygen-9.json", string(outbox.StepProven))
	require.True(t, h.create(t, dir).Unchanged, "nor does what is not in it")

	h.put(t, 9, "localstate-c.json", "secret c")
	second := h.create(t, dir)
	require.Equal(t, 2, second.Objects, "a keyshare and the header that rode along before")
	require.Equal(t, first.Manifest.Sequence+1, second.Manifest.Sequence)
	after := disk.Tree(t, dir)
	for path, data := range before {
		require.Equal(t, data, after[path], "nothing is replaced")
	}

	t.Run("a keyshare that finds its place is no new object", func(t *testing.T) {
		require.NoError(t, h.store.Place(9, "localstate-b.json"))
		moved := h.create(t, dir)
		require.Zero(t, moved.Objects)
		require.Equal(t, 4, moved.Manifest.Keyshares())
	})
	t.Run("nor is a keyshare that was sealed anew", func(t *testing.T) {
		entries, err := h.store.Entries()
		require.NoError(t, err)
		require.NoError(t, h.store.Reseal(entries[0]))
		require.True(t, h.create(t, dir).Unchanged)
	})
	t.Run("other recipients get all of it", func(t *testing.T) {
		other := hostOf(t, h.Home, homekeys.Words,
			"age1y33c4vfduqpg7da4ka5kve333z9lvm6madyyuraqfjf3ns0cssmqvnctp9")
		created := other.create(t, dir)
		require.Equal(t, len(created.Manifest.Files), created.Objects)
		require.Len(t, created.Manifest.Recipients, 2)
		require.True(t, other.create(t, dir).Unchanged)
	})
}

func TestTheNextBackupIsWholeAgainWhateverWasLost(t *testing.T) {
	for _, lost := range []string{"config.toml", "keyshares/7/", "outbox/closed/", "trust/"} {
		h, dir, want := scene(t)
		first := h.create(t, dir)
		object := objectOf(t, first.Manifest, lost)
		require.NoError(t, os.Remove(only(t, dir, "*", "objects", object+".age")))
		next := h.create(t, dir)
		require.False(t, next.Unchanged, lost)
		require.Equal(t, 1, next.Objects, lost)
		require.Equal(t, want, restore(t, h, dir, filepath.Join(t.TempDir(), "new"), homebackup.Choice{}))
		require.True(t, h.create(t, dir).Unchanged, lost)
	}
}

func TestAKeyshareStaysInTheBackupsWhateverBecomesOfItsFile(t *testing.T) {
	h, dir, want := scene(t)
	h.create(t, dir)
	require.NoError(t, os.Remove(h.store.Path(7, "localstate-a.json")))
	require.NoError(t, os.WriteFile(h.store.Path(8, "localstate-a.json"), []byte("torn"), 0o600))
	created := h.create(t, dir)
	require.Len(t, created.Damaged, 1)
	require.Equal(t, "keyshares/8/localstate-a.json", created.Damaged[0].Name)
	require.Equal(t, want, restore(t, h, dir, filepath.Join(t.TempDir(), "a"), homebackup.Choice{}))

	// Another one in its place leaves both.
	require.NoError(t, os.Remove(h.store.Path(8, "localstate-a.json")))
	h.put(t, 8, "localstate-a.json", "secret d")
	require.Empty(t, h.create(t, dir).Damaged)
	got := restore(t, h, dir, filepath.Join(t.TempDir(), "b"), homebackup.Choice{})
	require.Equal(t, "secret d", got["keyshares/8/localstate-a.json"])
	delete(got, "keyshares/8/localstate-a.json")
	found := false
	for path, data := range got {
		found = found || strings.HasPrefix(path, "keyshares/damaged/") &&
			data == "secret a of the next epoch"
	}
	require.True(t, found)
}

func TestWhatIsNotWholeIsNamed(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string, m *homebackup.Manifest)
		// says is in the error of a restore; salvage says that the rest can be had.
		says    string
		salvage bool
		// keyless says that no key is needed to see it.
		keyless bool
	}{
		{
			name: "an object that is missing",
			spoil: func(t *testing.T, dir string, m *homebackup.Manifest) {
				require.NoError(t, os.Remove(only(t, dir, "*", "objects", objectOf(t, m, "keyshares/7/")+".age")))
			},
			says: "keyshares/7/localstate-a.json: the backup is not whole: the object", salvage: true,
		},
		{
			name: "an object that is another one",
			spoil: func(t *testing.T, dir string, m *homebackup.Manifest) {
				from := only(t, dir, "*", "objects", objectOf(t, m, "keyshares/8/")+".age")
				data, err := os.ReadFile(from)
				require.NoError(t, err)
				to := only(t, dir, "*", "objects", objectOf(t, m, "keyshares/7/")+".age")
				require.NoError(t, os.WriteFile(to, data, 0o600))
			},
			says: "is not what its name says", salvage: true, keyless: true,
		},
		{
			name: "a manifest that is torn",
			spoil: func(t *testing.T, dir string, _ *homebackup.Manifest) {
				path := only(t, dir, "*", "manifests", "1-*.age")
				data, err := os.ReadFile(path)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(path, data[:len(data)/2], 0o600))
			},
			says: "the manifest 1-", keyless: true,
		},
		{
			name: "a manifest under another sequence",
			spoil: func(t *testing.T, dir string, m *homebackup.Manifest) {
				path := only(t, dir, "*", "manifests", "1-*.age")
				require.NoError(t, os.Rename(path, filepath.Join(filepath.Dir(path), "2"+m.ID()[1:]+".age")))
			},
			says: "it is of another place",
		},
		{
			name: "a store under another id",
			spoil: func(t *testing.T, dir string, m *homebackup.Manifest) {
				require.NoError(t, os.Rename(filepath.Join(dir, m.Store),
					filepath.Join(dir, strings.Repeat("0", 32))))
			},
			says: "it is of another place",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, dir, want := scene(t)
			created := h.create(t, dir)
			keys := h.keys()
			for _, k := range []*homebackup.Keys{nil, &keys} {
				all, err := homebackup.Verify(context.Background(), dir, k, nil)
				require.NoError(t, err)
				require.Empty(t, all[0].Damaged)
			}
			c.spoil(t, dir, created.Manifest)
			before := disk.Tree(t, dir)

			all, err := homebackup.Verify(context.Background(), dir, &keys, nil)
			require.NoError(t, err)
			require.NotEmpty(t, all[0].Damaged)
			all, err = homebackup.Verify(context.Background(), dir, nil, nil)
			require.NoError(t, err)
			require.Equal(t, c.keyless, len(all[0].Damaged) > 0)

			target := filepath.Join(t.TempDir(), "new")
			plan, err := homebackup.Prepare(context.Background(), dir, keys, homebackup.Choice{}, nil)
			if err == nil {
				require.False(t, plan.Whole())
				err = plan.Write(context.Background(), target, false)
			}
			require.ErrorIs(t, err, homebackup.ErrDamaged)
			require.ErrorContains(t, err, c.says)
			require.NoDirExists(t, target, "nothing is written")
			if c.salvage {
				require.NoError(t, plan.Write(context.Background(), target, true))
				delete(want, "keyshares/7/localstate-a.json")
				require.Equal(t, want, restored(t, h, target))
			}
			require.Equal(t, before, disk.Tree(t, dir), "nothing in the folder was changed")

			if c.salvage {
				// The home still has it: the next backup is whole again.
				h.create(t, dir)
				h.put(t, 9, "localstate-z.json", "secret z")
				h.create(t, dir)
				plan, err = homebackup.Prepare(context.Background(), dir, keys, homebackup.Choice{}, nil)
				require.NoError(t, err)
				require.True(t, plan.Whole())
			}
		})
	}
}

func objectOf(t *testing.T, m *homebackup.Manifest, prefix string) string {
	for _, f := range m.Files {
		if strings.HasPrefix(f.Name, prefix) {
			return f.Object
		}
	}
	t.Fatal("no such file")
	return ""
}

func TestFoldersWithoutABackupOfTheSigner(t *testing.T) {
	h, dir, _ := scene(t)
	keys := h.keys()
	_, err := homebackup.Prepare(context.Background(), dir, keys, homebackup.Choice{}, nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, os.Mkdir(dir, 0o700))
	_, err = homebackup.Prepare(context.Background(), dir, keys, homebackup.Choice{}, nil)
	require.ErrorIs(t, err, homebackup.ErrNone)
	_, err = homebackup.Verify(context.Background(), dir, nil, nil)
	require.ErrorIs(t, err, homebackup.ErrNone)

	other := newHost(t, filepath.Join(t.TempDir(), "home"), otherWords)
	other.create(t, dir)
	_, err = homebackup.Prepare(context.Background(), dir, keys, homebackup.Choice{}, nil)
	require.ErrorIs(t, err, homebackup.ErrOthers)
	_, err = homebackup.Verify(context.Background(), dir, &keys, nil)
	require.ErrorIs(t, err, homebackup.ErrOthers)

	// One folder is good for two homes.
	h.create(t, dir)
	all, err := homebackup.Verify(context.Background(), dir, &keys, nil)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.True(t, all[0].Others != all[1].Others)
	_, err = homebackup.Prepare(context.Background(), dir, keys, homebackup.Choice{}, nil)
	require.NoError(t, err)

	// The signer of another HD path is not the signer.
	keys.PubKey = other.Key.PubKey()
	_, err = homebackup.Prepare(context.Background(), dir, keys, homebackup.Choice{}, nil)
	require.ErrorIs(t, err, homebackup.ErrDamaged)
	require.ErrorContains(t, err, "HD path")
}

func TestACopyOfAHomeIsTold(t *testing.T) {
	h, dir, _ := scene(t)
	first := h.create(t, dir)
	clone := filepath.Join(t.TempDir(), "clone")
	require.NoError(t, os.CopyFS(clone, os.DirFS(h.Home)))
	require.NoError(t, os.Chmod(clone, 0o700))
	c := hostOf(t, clone, homekeys.Words)
	h.put(t, 9, "localstate-h.json", "secret of the home")
	require.Empty(t, h.create(t, dir).Fork)
	c.put(t, 9, "localstate-c.json", "secret of the copy")
	created := c.create(t, dir)
	require.Equal(t, first.Manifest.Store, created.Fork)
	require.True(t, created.First)
	require.NotEqual(t, first.Manifest.Store, created.Manifest.Store)
	c.put(t, 10, "localstate-c.json", "next secret of the copy")
	require.Empty(t, c.create(t, dir).Fork, "the copy goes on in its own")
	h.put(t, 10, "localstate-h.json", "next secret of the home")
	require.Empty(t, h.create(t, dir).Fork, "and so does the home")

	got := restore(t, h, dir, filepath.Join(t.TempDir(), "new"), homebackup.Choice{Unite: true})
	require.Equal(t, "secret of the home", got["keyshares/9/localstate-h.json"])
	require.Equal(t, "secret of the copy", got["keyshares/9/localstate-c.json"])
	require.Equal(t, "secret a", got["keyshares/7/localstate-a.json"])
}

func TestAManifestThatIsNotInOrderIsNoCopyOfTheHome(t *testing.T) {
	h, dir, _ := scene(t)
	h.create(t, dir)
	junk := filepath.Join(filepath.Dir(only(t, dir, "*", "manifests", "1-*.age")), "99-0123456789abcdef.age")
	require.NoError(t, os.WriteFile(junk, []byte("junk"), 0o600))
	h.put(t, 9, "localstate-z.json", "secret z")
	require.Empty(t, h.create(t, dir).Fork)
	all, err := homebackup.List(context.Background(), dir, h.keys())
	require.NoError(t, err)
	require.Len(t, all[0].Damaged, 1)
}

func TestRestoreTargets(t *testing.T) {
	h, dir, want := scene(t)
	h.create(t, dir)
	plan, err := homebackup.Prepare(context.Background(), dir, h.keys(), homebackup.Choice{}, nil)
	require.NoError(t, err)

	t.Run("mount points and what file systems make themselves are no obstacle", func(t *testing.T) {
		target := filepath.Join(t.TempDir(), "new")
		for _, sub := range []string{"lost+found", "keyshares/lost+found"} {
			require.NoError(t, os.MkdirAll(filepath.Join(target, sub), 0o700))
		}
		require.NoError(t, os.WriteFile(filepath.Join(target, "lost+found", "#1"), nil, 0o600))
		require.NoError(t, plan.Write(context.Background(), target, false))
		got := restored(t, h, target)
		delete(got, "lost+found/#1")
		require.Equal(t, want, got)
	})
	t.Run("any file is", func(t *testing.T) {
		target := filepath.Join(t.TempDir(), "new")
		require.NoError(t, os.MkdirAll(filepath.Join(target, "keyshares"), 0o700))
		there := filepath.Join(target, "keyshares", "mine")
		require.NoError(t, os.WriteFile(there, []byte("mine"), 0o600))
		require.ErrorContains(t, plan.Write(context.Background(), target, false), "is there already")
		require.Equal(t, map[string]string{"keyshares/mine": "mine"}, disk.Tree(t, target))
	})
	t.Run("so is a folder that others may read", func(t *testing.T) {
		target := t.TempDir()
		require.NoError(t, os.Chmod(target, 0o755))
		require.ErrorContains(t, plan.Write(context.Background(), target, false), "0700")
	})
	t.Run("a restore that died at any step ends when it is run again", func(t *testing.T) {
		for n := 1; ; n++ {
			target := filepath.Join(t.TempDir(), "new")
			faults := disk.DieAt(t, target, n)
			err := plan.Write(context.Background(), target, false)
			faults.Mend()
			if !faults.Reached() {
				require.NoError(t, err)
				require.Greater(t, n, 20)
				break
			}
			require.Error(t, err)
			got := restored(t, h, target)
			if _, err := os.Stat(home.RestoringPath(target)); err == nil {
				_, err = home.Lock(target)
				require.ErrorIs(t, err, home.ErrRestoring)
			} else if len(got) > 1 {
				require.Equal(t, want, got, "without the marker all of it is there")
				continue
			}
			require.NoError(t, plan.Write(context.Background(), target, false))
			got = restored(t, h, target)
			for path := range got {
				if strings.HasPrefix(filepath.Base(path), ".tmp-") {
					delete(got, path)
				}
			}
			require.Equal(t, want, got)
		}
	})
}

func TestABackupThatDiesLeavesTheOneBeforeOrIsWhole(t *testing.T) {
	for n := 1; ; n++ {
		h, dir, _ := scene(t)
		first := h.create(t, dir)
		h.put(t, 9, "localstate-c.json", "secret c")
		faults := disk.DieAt(t, filepath.Dir(dir), n)
		_, err := homebackup.Create(context.Background(), h.Owner, dir, noon)
		faults.Mend()
		if !faults.Reached() {
			require.NoError(t, err)
			require.Greater(t, n, 10)
			return
		}
		plan, prepared := homebackup.Prepare(context.Background(), dir, h.keys(), homebackup.Choice{}, nil)
		require.NoError(t, prepared, "step %d", n)
		require.True(t, plan.Whole())
		require.GreaterOrEqual(t, plan.Manifest.Keyshares(), first.Manifest.Keyshares())

		again := h.create(t, dir)
		require.Empty(t, again.Fork, "step %d: it knows its own", n)
		require.Equal(t, first.Manifest.Store, again.Manifest.Store)
		require.Equal(t, 4, again.Manifest.Keyshares())
	}
}

func TestAFullDiskLeavesNothingThatCounts(t *testing.T) {
	for n := 1; ; n++ {
		h, dir, _ := scene(t)
		faults := disk.FailAt(t, dir, n)
		_, err := homebackup.Create(context.Background(), h.Owner, dir, noon)
		faults.Mend()
		if !faults.Reached() {
			require.NoError(t, err)
			require.Greater(t, n, 10)
			return
		}
		if err == nil {
			continue // the step was one of tidying up
		}
		require.ErrorIs(t, err, disk.ErrDisk)
		for path := range disk.Tree(t, dir) {
			require.NotContains(t, path, "objects", "step %d: nor anything that fills the disk", n)
		}
		_, err = homebackup.Prepare(context.Background(), dir, h.keys(), homebackup.Choice{}, nil)
		require.True(t, errors.Is(err, homebackup.ErrNone) || errors.Is(err, fs.ErrNotExist), "%v", err)
		created := h.create(t, dir)
		require.Equal(t, uint64(1), created.Manifest.Sequence)
	}
}

func TestAKeyshareThatCannotBeReadCostsTheBackupNoOther(t *testing.T) {
	h, dir, want := scene(t)
	h.create(t, dir)
	path := h.store.Path(7, "localstate-a.json")
	require.NoError(t, os.Truncate(path, 65<<20)) // no file of a keyshare is that large
	h.put(t, 9, "localstate-z.json", "secret z")
	created := h.create(t, dir)
	require.Len(t, created.Damaged, 1)
	require.Equal(t, "keyshares/7/localstate-a.json", created.Damaged[0].Name)
	want["keyshares/9/localstate-z.json"] = "secret z"
	require.Equal(t, want, restore(t, h, dir, filepath.Join(t.TempDir(), "new"), homebackup.Choice{}))
}

func TestAConfigurationThatIsALinkIsBackedUp(t *testing.T) {
	h, dir, want := scene(t)
	elsewhere := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.Rename(home.ConfigPath(h.Home), elsewhere))
	require.NoError(t, os.Symlink(elsewhere, home.ConfigPath(h.Home)))
	h.create(t, dir)
	require.Equal(t, want, restore(t, h, dir, filepath.Join(t.TempDir(), "new"), homebackup.Choice{}))
}

func TestPruneKeepsWhatItIsToldAndNeverTheLastOfAKeyshare(t *testing.T) {
	h, dir, _ := scene(t)
	for day := range 4 {
		for hour := range 2 {
			h.put(t, uint64(20+10*day+hour), "localstate-a.json", fmt.Sprintf("secret %d %d", day, hour))
			at := noon.AddDate(0, 0, day).Add(time.Duration(hour) * time.Hour)
			_, err := homebackup.Create(context.Background(), h.Owner, dir, at)
			require.NoError(t, err)
		}
	}
	prune := func(keep homebackup.Keep, dry bool) homebackup.Pruned {
		all, err := homebackup.Prune(context.Background(), h.Home, dir, h.keys(), keep, nil, dry)
		require.NoError(t, err)
		require.Len(t, all, 1)
		return all[0]
	}
	sequences := func(ids []string) (list []string) {
		for _, id := range ids {
			list = append(list, id[:strings.Index(id, "-")])
		}
		return list
	}
	_, err := homebackup.Prune(context.Background(), h.Home, dir, h.keys(), homebackup.Keep{}, nil, false)
	require.ErrorContains(t, err, "which backups to keep")

	before := disk.Tree(t, dir)
	dry := prune(homebackup.Keep{Daily: 3}, true)
	require.Equal(t, before, disk.Tree(t, dir))
	require.Equal(t, []string{"8", "6", "4"}, sequences(dry.Kept))
	// The first two backups are of a Sunday, all are of one month.
	weeks := homebackup.Keep{Daily: 1, Weekly: 2, Monthly: 9, Yearly: 9}
	require.Equal(t, []string{"8", "2"}, sequences(prune(weeks, true).Kept))
	require.Equal(t, []string{"8", "7", "6", "4"},
		sequences(prune(homebackup.Keep{Last: 2, Daily: 3}, false).Kept))
	require.Equal(t, []string{"8"}, sequences(prune(homebackup.Keep{Last: 1}, false).Kept))
	got := restore(t, h, dir, filepath.Join(t.TempDir(), "new"), homebackup.Choice{})
	require.Equal(t, "secret 0 0", got["keyshares/20/localstate-a.json"])

	// A config that changed leaves an object that nothing names, once its manifest is gone.
	require.NoError(t, durable.Replace(home.ConfigPath(h.Home), []byte("chain_id = \"test-2\"\n")))
	h.create(t, dir)
	pruned := prune(homebackup.Keep{Last: 1}, false)
	require.Equal(t, 1, pruned.Objects)
	require.Positive(t, pruned.Bytes)

	// Nothing is removed when the newest is not whole.
	h.put(t, 99, "localstate-a.json", "secret z")
	created := h.create(t, dir)
	require.NoError(t, os.Remove(only(t, dir, "*", "objects", objectOf(t, created.Manifest, "keyshares/7/")+".age")))
	before = disk.Tree(t, dir)
	_, err = homebackup.Prune(context.Background(), h.Home, dir, h.keys(), homebackup.Keep{Last: 1}, nil, false)
	require.ErrorIs(t, err, homebackup.ErrDamaged)
	require.Equal(t, before, disk.Tree(t, dir))
}

func TestManifestsShareWhatTheySayAlike(t *testing.T) {
	h, dir, _ := scene(t)
	h.create(t, dir)
	require.NoError(t, durable.Replace(home.ConfigPath(h.Home), []byte("chain_id = \"test-2\"\n")))
	h.create(t, dir)
	all, err := homebackup.List(context.Background(), dir, h.keys())
	require.NoError(t, err)
	require.Len(t, all[0].Manifests, 2)
	// Both have the configuration first, and then the same keyshares.
	a, b := all[0].Manifests[0].Files[1], all[0].Manifests[1].Files[1]
	require.Equal(t, a, b)
	require.Same(t, unsafe.StringData(a.Name), unsafe.StringData(b.Name))
	require.Same(t, unsafe.StringData(a.SHA256), unsafe.StringData(b.SHA256))
	require.Same(t, unsafe.StringData(a.Object), unsafe.StringData(b.Object))
}

func TestAFolderWithinTheHomeIsRefused(t *testing.T) {
	h, _, _ := scene(t)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(h.Home, link))
	for _, dir := range []string{
		h.Home, filepath.Join(h.Home, "b"), filepath.Dir(h.Home), link, filepath.Join(link, "b", "c"),
	} {
		_, err := homebackup.Create(context.Background(), h.Owner, dir, noon)
		require.ErrorContains(t, err, "one within the other", dir)
	}
}

func sumOf(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

func TestAnExportIsAHome(t *testing.T) {
	h, dir, want := scene(t)
	created := h.create(t, dir)
	plan, err := homebackup.Prepare(context.Background(), dir, h.keys(), homebackup.Choice{}, nil)
	require.NoError(t, err)
	sealed, err := plan.Export(context.Background(), h.Keys)
	require.NoError(t, err)
	archive, err := h.Keys.Open(sealed)
	require.NoError(t, err)
	got := map[string]string{}
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Zero(t, head.Mode&0o077, head.Name)
		name, isSealed := strings.CutSuffix(head.Name, ".age")
		if isSealed {
			data, err = h.Keys.Open(data)
			require.NoError(t, err)
		}
		manifest := name == "manifests/"+created.Manifest.Store+"/"+created.Manifest.ID()
		if name == "restored.json" {
			require.JSONEq(t, `{"height":0}`, string(data))
			continue
		}
		if head.Typeflag == tar.TypeReg && !manifest {
			got[name] = string(data)
		}
	}
	require.Equal(t, want, got)
}

func TestOneBackupOfAHomeAtATime(t *testing.T) {
	h, dir, _ := scene(t)
	h.create(t, dir)
	unlock, err := durable.TryLock(filepath.Join(home.BackupsDir(h.Home), "lock"))
	require.NoError(t, err)
	_, err = homebackup.Create(context.Background(), h.Owner, dir, noon)
	require.ErrorIs(t, err, homebackup.ErrBusy)
	_, err = homebackup.Prune(context.Background(), h.Home, dir, h.keys(), homebackup.Keep{Last: 1}, nil, false)
	require.ErrorIs(t, err, homebackup.ErrBusy)
	unlock()
	h.create(t, dir)
}
