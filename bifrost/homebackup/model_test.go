package homebackup_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

// set holds the contents of keyshares.
type set map[string]bool

func (s set) add(other set) { maps.Copy(s, other) }

// A world is some homes with one folder for their backups, and what backups have acknowledged.
type world struct {
	t     testing.TB
	root  string
	dir   string
	now   time.Time
	hosts []*host
	// live is what was put into each home and is there still, by its path.
	live map[*host]map[string]string
	// acked is what must be in the newest manifest of each store.
	acked map[string]set
	// stores are their ids, in the order in which they came.
	stores []string
	// byID is what was known to be in each manifest.
	byID map[string]map[string]set
	// spoilt says that an object was damaged, so that a restore may name one.
	spoilt bool
	count  int
}

func (w *world) host(r *rapid.T) *host { return rapid.SampledFrom(w.hosts).Draw(r, "home") }

func (w *world) put(r *rapid.T) {
	h := w.host(r)
	w.count++
	epoch := uint64(rapid.IntRange(0, 3).Draw(r, "epoch"))
	name := fmt.Sprintf("localstate-%d.json", w.count)
	secret := fmt.Sprintf("secret %d", w.count)
	h.put(w.t, epoch, name, secret)
	w.live[h][h.store.Path(epoch, name)] = secret
}

func (w *world) place(r *rapid.T) {
	h := w.host(r)
	names, err := h.store.List(keystore.Unplaced)
	require.NoError(w.t, err)
	if len(names) == 0 {
		return
	}
	from := h.store.Path(keystore.Unplaced, names[0])
	if w.live[h][from] == "" {
		return // a torn one would not be moved
	}
	require.NoError(w.t, h.store.Place(5, names[0]))
	w.live[h][h.store.Path(5, names[0])] = w.live[h][from]
	delete(w.live[h], from)
}

func (w *world) reseal(r *rapid.T) {
	h := w.host(r)
	entries, err := h.store.Entries()
	require.NoError(w.t, err)
	for _, e := range entries {
		_, whole := w.live[h][e.Path]
		if whole {
			require.NoError(w.t, h.store.Reseal(e))
		}
	}
}

// lose removes or spoils a keyshare of a home.
func (w *world) lose(r *rapid.T) {
	h := w.host(r)
	paths := slices.Sorted(maps.Keys(w.live[h]))
	if len(paths) == 0 {
		return
	}
	path := rapid.SampledFrom(paths).Draw(r, "path")
	delete(w.live[h], path)
	if rapid.Bool().Draw(r, "torn") {
		require.NoError(w.t, os.WriteFile(path, []byte("torn"), 0o600))
		return
	}
	require.NoError(w.t, os.Remove(path))
}

// fault lets a step fail, or the process die at it, or neither.
func (w *world) fault(r *rapid.T) (mend func()) {
	n := rapid.IntRange(1, 40).Draw(r, "step")
	switch rapid.IntRange(0, 3).Draw(r, "fault") {
	case 0:
		return disk.DieAt(w.t, w.root, n).Mend
	case 1:
		return disk.FailAt(w.t, w.root, n).Mend
	}
	return func() {}
}

func (w *world) backup(r *rapid.T) {
	h := w.host(r)
	w.now = w.now.Add(time.Duration(rapid.IntRange(-48, 48).Draw(r, "hours")) * time.Hour)
	mend := w.fault(r)
	created, err := homebackup.Create(context.Background(), h.Owner, w.dir, w.now)
	mend()
	if err != nil {
		require.ErrorIs(r, err, disk.ErrDisk)
		return
	}
	id := created.Manifest.Store
	if w.acked[id] == nil {
		w.acked[id], w.byID[id] = set{}, map[string]set{}
		w.stores = append(w.stores, id)
	}
	for _, secret := range w.live[h] {
		w.acked[id][secret] = true
	}
	// What this manifest tells of later: all that its store had acknowledged.
	w.byID[id][created.Manifest.ID()] = maps.Clone(w.acked[id])
}

func (w *world) prune(r *rapid.T) {
	h := w.host(r)
	keep := homebackup.Keep{
		Last: rapid.IntRange(0, 3).Draw(r, "last"), Daily: rapid.IntRange(1, 3).Draw(r, "daily"),
	}
	mend := w.fault(r)
	_, err := homebackup.Prune(context.Background(), h.Home, w.dir, h.keys(), keep, nil, false)
	mend()
	if err == nil || errors.Is(err, disk.ErrDisk) || errors.Is(err, homebackup.ErrNone) {
		return
	}
	require.True(r, w.spoilt && errors.Is(err, homebackup.ErrDamaged), "%v", err)
}

// loseNewest removes the newest manifest of a store: what it alone had is lost, and nobody can tell.
func (w *world) loseNewest(r *rapid.T) {
	if len(w.stores) == 0 {
		return
	}
	id := rapid.SampledFrom(w.stores).Draw(r, "store")
	files, err := filepath.Glob(filepath.Join(w.dir, id, "manifests", "*-*.age"))
	require.NoError(w.t, err)
	var newest string
	var most uint64
	left := set{}
	for _, path := range files {
		var sequence uint64
		_, err := fmt.Sscanf(filepath.Base(path), "%d-", &sequence)
		require.NoError(w.t, err)
		if sequence >= most {
			newest, most = path, sequence
		}
	}
	if newest == "" {
		return
	}
	require.NoError(w.t, os.Remove(newest))
	for _, path := range files {
		if path != newest {
			left.add(w.byID[id][strings.TrimSuffix(filepath.Base(path), ".age")])
		}
	}
	w.acked[id] = left
}

func (w *world) spoil(r *rapid.T) {
	files, err := filepath.Glob(filepath.Join(w.dir, "*", "objects", "*.age"))
	require.NoError(w.t, err)
	if len(files) == 0 {
		return
	}
	w.spoilt = true
	path := rapid.SampledFrom(files).Draw(r, "object")
	if rapid.Bool().Draw(r, "gone") {
		require.NoError(w.t, os.Remove(path))
		return
	}
	require.NoError(w.t, os.WriteFile(path, []byte("rot"), 0o600))
}

func (w *world) foreign(r *rapid.T) {
	name := rapid.SampledFrom([]string{
		"README", "x/objects/y.age", strings.Repeat("a", 32) + "/manifests/1-x.age", ".DS_Store",
	}).Draw(r, "name")
	path := filepath.Join(w.dir, name)
	require.NoError(w.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(w.t, os.WriteFile(path, []byte("foreign"), 0o600))
}

// clone copies a home as it is: both live on.
func (w *world) clone(r *rapid.T) {
	if len(w.hosts) == 3 {
		return
	}
	h := w.host(r)
	to := filepath.Join(w.root, fmt.Sprintf("home-%d", len(w.hosts)))
	require.NoError(w.t, os.CopyFS(to, os.DirFS(h.Home)))
	require.NoError(w.t, os.Chmod(to, 0o700))
	w.add(to, h)
}

// revive makes a home of a backup, which lives on beside the others.
func (w *world) revive(r *rapid.T) {
	if len(w.hosts) == 3 {
		return
	}
	h := w.hosts[0]
	plan, err := homebackup.Prepare(context.Background(), w.dir, h.keys(), homebackup.Choice{}, nil)
	if err != nil || !plan.Whole() {
		return
	}
	to := filepath.Join(w.root, fmt.Sprintf("home-%d", len(w.hosts)))
	require.NoError(r, plan.Write(context.Background(), to, false))
	w.add(to, nil)
}

func (w *world) add(dir string, like *host) {
	n := hostOf(w.t, dir, homekeys.Words)
	w.hosts, w.live[n] = append(w.hosts, n), map[string]string{}
	if like != nil {
		for path, secret := range w.live[like] {
			rel, err := filepath.Rel(like.Home, path)
			require.NoError(w.t, err)
			w.live[n][filepath.Join(dir, rel)] = secret
		}
		return
	}
	entries, err := n.store.Entries()
	require.NoError(w.t, err)
	for _, e := range entries {
		data, err := n.store.Read(e)
		require.NoError(w.t, err)
		w.live[n][e.Path] = string(data)
	}
}

// check restores each store, and the union: whatever says that it is complete is.
func (w *world) check(r *rapid.T) {
	all := set{}
	for _, id := range w.stores {
		all.add(w.acked[id])
		w.restored(r, homebackup.Choice{Store: id}, w.acked[id])
	}
	w.restored(r, homebackup.Choice{Unite: true}, all)
}

func (w *world) restored(r *rapid.T, c homebackup.Choice, want set) {
	h := w.hosts[0]
	plan, err := homebackup.Prepare(context.Background(), w.dir, h.keys(), c, nil)
	if w.spoilt && errors.Is(err, homebackup.ErrDamaged) {
		return
	}
	if err != nil {
		if c.Unite {
			require.True(r, len(want) == 0 && (errors.Is(err, homebackup.ErrNone) ||
				errors.Is(err, fs.ErrNotExist)), "%v", err)
			return
		}
		// One home alone never makes a fork.
		forked := len(w.hosts) > 1 && errors.Is(err, homebackup.ErrChoose)
		require.True(r, forked || len(want) == 0, "%v", err)
		return
	}
	if !plan.Whole() {
		require.True(r, w.spoilt, "nothing was damaged")
		return
	}
	// Reading the objects once more would say nothing else: the plan has verified each.
	got := set{}
	for _, f := range plan.Files() {
		got[f.SHA256] = f.IsKeyshare()
	}
	for secret := range want {
		require.True(r, got[sumOf(secret)], "%s is missing from %s of %v", secret, plan.Manifest.ID(), c)
	}
}

func TestNoAcknowledgedKeyshareIsMissingFromWhatSaysItIsComplete(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		root, err := os.MkdirTemp(t.TempDir(), "")
		require.NoError(r, err)
		w := &world{
			t: t, root: root, dir: filepath.Join(root, "backups"), now: noon,
			live: map[*host]map[string]string{}, acked: map[string]set{},
			byID: map[string]map[string]set{},
		}
		newHost(t, filepath.Join(root, "home-0"), homekeys.Words)
		w.add(filepath.Join(root, "home-0"), nil)
		r.Repeat(map[string]func(*rapid.T){
			"put": w.put, "put again": w.put, "place": w.place, "reseal": w.reseal, "lose": w.lose,
			"backup": w.backup, "backup again": w.backup, "prune": w.prune,
			"lose the newest": w.loseNewest, "spoil": w.spoil, "foreign": w.foreign,
			"clone": w.clone, "revive": w.revive, "check": w.check,
		})
		w.check(r)
	})
}
