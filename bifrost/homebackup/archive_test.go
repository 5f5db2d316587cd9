package homebackup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

// export writes the export of a folder into a file.
func export(t testing.TB, h *host, dir string, c homebackup.Choice) string {
	t.Helper()
	plan, err := homebackup.Prepare(context.Background(), dir, h.keys(), c, nil)
	require.NoError(t, err)
	sealed, err := plan.Export(context.Background(), h.Keys)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "home.tar.age")
	require.NoError(t, os.WriteFile(path, sealed, 0o600))
	return path
}

func prepareFile(t testing.TB, h *host, path string) (*homebackup.Plan, error) {
	t.Helper()
	return homebackup.PrepareFile(context.Background(), path, h.keys(), nil)
}

func TestAHomeComesBackFromOneFile(t *testing.T) {
	h, dir, want := scene(t)
	created := h.create(t, dir)
	path := export(t, h, dir, homebackup.Choice{})
	before := disk.Tree(t, filepath.Dir(path))
	plan, err := prepareFile(t, h, path)
	require.NoError(t, err)
	require.True(t, plan.Whole())
	require.Equal(t, created.Manifest.ID(), plan.Manifest.ID())
	require.Equal(t, []string{"outbox/keygen-8.json"}, plan.Left)
	target := filepath.Join(t.TempDir(), "new")
	require.NoError(t, plan.Write(context.Background(), target, false))
	require.Equal(t, want, restored(t, h, target))
	require.Equal(t, before, disk.Tree(t, filepath.Dir(path)))
	require.ErrorContains(t, plan.Write(context.Background(), target, false), "is there already")

	s, err := homebackup.VerifyFile(context.Background(), path, h.keys(), nil)
	require.NoError(t, err)
	require.Empty(t, s.Damaged)
	require.Equal(t, created.Manifest.Store, s.ID)

	t.Run("and from what was exported of that", func(t *testing.T) {
		again, err := plan.Export(context.Background(), h.Keys)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, again, 0o600))
		plan, err := prepareFile(t, h, path)
		require.NoError(t, err)
		require.True(t, plan.Whole())
	})
}

func TestTheKeysharesOfACopyComeBackFromOneFile(t *testing.T) {
	h, dir, _ := scene(t)
	h.create(t, dir)
	clone := filepath.Join(t.TempDir(), "clone")
	require.NoError(t, os.CopyFS(clone, os.DirFS(h.Home)))
	require.NoError(t, os.Chmod(clone, 0o700))
	c := hostOf(t, clone, homekeys.Words)
	h.put(t, 9, "localstate-h.json", "secret of the home")
	h.put(t, 10, "localstate-x.json", "one secret")
	h.create(t, dir)
	c.put(t, 9, "localstate-c.json", "secret of the copy")
	c.put(t, 10, "localstate-x.json", "another secret in its place")
	c.create(t, dir)
	want := restore(t, h, dir, filepath.Join(t.TempDir(), "a"), homebackup.Choice{Unite: true})
	path := export(t, h, dir, homebackup.Choice{Unite: true})
	plan, err := prepareFile(t, h, path)
	require.NoError(t, err)
	target := filepath.Join(t.TempDir(), "b")
	require.NoError(t, plan.Write(context.Background(), target, false))
	require.Equal(t, want, restored(t, h, target))
	require.Equal(t, "secret of the copy", want["keyshares/9/localstate-c.json"])
}

// A member is one of a tar archive.
type member struct {
	tar.Header
	data string
}

func members(t testing.TB, h *host, path string) (list []member) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	plain, err := h.Keys.Open(data)
	require.NoError(t, err)
	r := tar.NewReader(bytes.NewReader(plain))
	for {
		head, err := r.Next()
		if err != nil {
			return list
		}
		var data bytes.Buffer
		_, err = data.ReadFrom(r)
		require.NoError(t, err)
		head.PAXRecords, head.Format = nil, tar.FormatUnknown
		list = append(list, member{*head, data.String()})
	}
}

// archived is a tar archive of members; a bare one is cut off behind the last of them.
func archived(t testing.TB, list []member, bare bool) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range list {
		if m.Typeflag == tar.TypeReg {
			m.Size = int64(len(m.data))
		}
		require.NoError(t, w.WriteHeader(&m.Header), m.Name)
		_, err := w.Write([]byte(m.data))
		require.NoError(t, err)
	}
	require.NoError(t, w.Flush())
	if !bare {
		require.NoError(t, w.Close())
	}
	return out.Bytes()
}

func TestHostileFiles(t *testing.T) {
	h, dir, _ := scene(t)
	h.create(t, dir)
	good := members(t, h, export(t, h, dir, homebackup.Choice{}))
	h.put(t, 9, "localstate-z.json", "secret z")
	h.create(t, dir)
	next := members(t, h, export(t, h, dir, homebackup.Choice{}))
	// The signer of another home, who knows whom to seal for.
	other := newHost(t, filepath.Join(t.TempDir(), "home"), otherWords,
		"age1y33c4vfduqpg7da4ka5kve333z9lvm6madyyuraqfjf3ns0cssmqvnctp9")
	other.put(t, 7, "localstate-a.json", "a keyshare that is another's")
	others := filepath.Join(t.TempDir(), "backups")
	other.create(t, others)
	foreign := members(t, other, export(t, other, others, homebackup.Choice{}))

	first := slices.IndexFunc(good, func(m member) bool { return m.Typeflag == tar.TypeReg })
	at := func(list []member, suffix string) *member {
		i := slices.IndexFunc(list, func(m member) bool { return strings.HasSuffix(m.Name, suffix) })
		return &list[i]
	}
	link := func(kind byte) func(list []member) []member {
		return func(list []member) []member {
			m := at(list, "aa.header")
			m.Typeflag, m.Linkname, m.data = kind, "/etc/passwd", ""
			return list
		}
	}
	added := func(name string) func(list []member) []member {
		return func(list []member) []member {
			return append(list, member{tar.Header{Typeflag: tar.TypeReg, Name: name}, "evil"})
		}
	}
	for name, c := range map[string]struct {
		change func(list []member) []member
		bare   bool
		behind string
		says   string
		// nothing says that it is refused at once, by which error.
		nothing error
	}{
		"a symbolic link":      {change: link(tar.TypeSymlink), says: "neither a file nor a folder"},
		"a hard link":          {change: link(tar.TypeLink), says: "neither a file nor a folder"},
		"a device":             {change: link(tar.TypeChar), says: "neither a file nor a folder"},
		"a path out of it":     {change: added("../evil"), says: "no manifest in it"},
		"an absolute path":     {change: added("/etc/evil"), says: "no manifest in it"},
		"a way around":         {change: added("keyshares/7/../../evil"), says: "no manifest in it"},
		"a file of no name":    {change: added("."), says: "no manifest in it"},
		"the mnemonic":         {change: added("mnemonic"), says: "no manifest in it"},
		"a keyshare beside it": {change: added("keyshares/7/x.json.age"), says: "no manifest in it"},
		"a plain keyshare":     {change: added("keyshares/7/localstate-a.json"), says: "no manifest in it"},
		"a name twice":         {change: added("config.toml"), says: "in it twice"},
		"no end":               {bare: true, says: "has no end"},
		"something behind it":  {behind: "x", says: "no end"},
		"more behind it":       {behind: "x" + strings.Repeat("\x00", 2048), says: "something follows"},
		"what pax can say": {says: `has a "`, change: func(list []member) []member {
			at(list, "aa.header").PAXRecords = map[string]string{"SCHILY.xattr.user.x": "y"}
			return list
		}},
		"a name of GNU tar": {says: "another kind of tar", change: func(list []member) []member {
			m := at(list, "aa.header")
			m.Name, m.Format = strings.Repeat("long", 40), tar.FormatGNU
			return list
		}},
		"a config that is another": {says: "does not hold", change: func(list []member) []member {
			at(list, "config.toml").data += "x"
			return list
		}},
		"a keyshare in the place of another": {
			says: "not the object", change: func(list []member) []member {
				at(list, "/8/localstate-a.json.age").data = at(list, "/7/localstate-a.json.age").data
				return list
			},
		},
		"a keyshare sealed by somebody": {says: "not the object", change: func(list []member) []member {
			sealed, err := h.Keys.Seal([]byte("evil"))
			require.NoError(t, err)
			at(list, "/8/localstate-a.json.age").data = string(sealed)
			return list
		}},
		"a file that is missing": {says: "missing in the file", change: func(list []member) []member {
			return slices.DeleteFunc(list, func(m member) bool { return m.Name == "config.toml" })
		}},
		"no manifest": {
			nothing: homebackup.ErrDamaged, says: "begin with a manifest",
			change: func(list []member) []member { return list[first+1:] },
		},
		"a manifest that is not the first": {
			nothing: homebackup.ErrDamaged, says: "begin with a manifest",
			change: func(list []member) []member { return append(list[first+1:], list[first]) },
		},
		"a manifest under another sequence": {
			nothing: homebackup.ErrDamaged, says: "another place",
			change: func(list []member) []member {
				list[first].Name = strings.Replace(list[first].Name, "/1-", "/2-", 1)
				return list
			},
		},
		"a manifest under another hash": {
			nothing: homebackup.ErrDamaged, says: "not what its name says",
			change: func(list []member) []member {
				list[first].data = next[first].data
				return list
			},
		},
		"the manifest twice": {
			says: "in it twice", nothing: homebackup.ErrDamaged,
			change: func(list []member) []member {
				return slices.Insert(list, first, list[first])[:first+2]
			},
		},
		"the newer manifest of the store": {
			says: "missing in the file",
			change: func(list []member) []member {
				list[first] = next[first]
				return list
			},
		},
		"the home of another signer": {
			nothing: homebackup.ErrDamaged, says: "is signed by",
			change: func([]member) []member { return foreign },
		},
		"no member at all": {
			nothing: homebackup.ErrDamaged, says: "manifest",
			change: func([]member) []member { return nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			list := slices.Clone(good)
			if c.change != nil {
				list = c.change(list)
			}
			sealed, err := h.Keys.SealForAll(append(archived(t, list, c.bare), c.behind...))
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), "home.tar.age")
			require.NoError(t, os.WriteFile(path, sealed, 0o600))
			plan, err := prepareFile(t, h, path)
			if c.nothing != nil {
				require.ErrorIs(t, err, c.nothing)
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.False(t, plan.Whole())
			root := t.TempDir()
			err = plan.Write(context.Background(), filepath.Join(root, "new"), false)
			require.ErrorIs(t, err, homebackup.ErrDamaged)
			require.ErrorContains(t, err, c.says)
			require.Empty(t, disk.Tree(t, root), "nothing is written")
			_, err = plan.Export(context.Background(), h.Keys)
			require.ErrorIs(t, err, homebackup.ErrDamaged)
			s, err := homebackup.VerifyFile(context.Background(), path, h.keys(), nil)
			require.NoError(t, err)
			require.NotEmpty(t, s.Damaged)

			// What can be had is what the manifest names, and nothing else.
			require.NoError(t, plan.Write(context.Background(), filepath.Join(root, "new"), true))
			for path, data := range disk.Tree(t, root) {
				require.True(t, strings.HasPrefix(path, "new/"), path)
				require.NotContains(t, data, "evil", path)
				require.NotContains(t, path, "evil")
			}
		})
	}
}

// big is a home whose export is of more than one chunk of age.
func big(t *testing.T) (h *host, path string, want map[string]string) {
	h, dir, want := scene(t)
	for _, name := range []string{"c", "d", "e"} {
		data := "secret " + strings.Repeat(name, 60000)
		h.put(t, 9, "localstate-"+name+".json", data)
		want["keyshares/9/localstate-"+name+".json"] = data
	}
	h.create(t, dir)
	return h, export(t, h, dir, homebackup.Choice{}), want
}

func TestATornOrFlippedFileGivesWhatIsBeforeThatPlace(t *testing.T) {
	h, path, want := big(t)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	read := func(data []byte) (got map[string]string, err error) {
		require.NoError(t, os.WriteFile(path, data, 0o600))
		plan, err := prepareFile(t, h, path)
		if err != nil {
			return nil, err
		}
		require.False(t, plan.Whole())
		root := t.TempDir()
		err = plan.Write(context.Background(), filepath.Join(root, "new"), false)
		require.ErrorIs(t, err, homebackup.ErrDamaged)
		require.Empty(t, disk.Tree(t, root))
		require.NoError(t, plan.Write(context.Background(), filepath.Join(root, "new"), true))
		got = restored(t, h, filepath.Join(root, "new"))
		for path, data := range got {
			require.Equal(t, want[path], data)
		}
		return got, nil
	}
	most := 0
	for n := 0; n < len(whole); n += 1 + len(whole)/61 {
		got, err := read(whole[:n])
		if err == nil {
			require.Less(t, len(got), len(want))
			most = max(most, len(got))
			continue
		}
		require.True(t, isOneOf(err, homebackup.ErrDamaged, homebackup.ErrOthers), "%d: %v", n, err)
	}
	require.Positive(t, most)
	for n := 0; n < len(whole); n += 1 + len(whole)/61 {
		data := bytes.Clone(whole)
		data[n] ^= 1
		got, err := read(data)
		if err == nil {
			require.Less(t, len(got), len(want))
			continue
		}
		require.True(t, isOneOf(err, homebackup.ErrDamaged, homebackup.ErrOthers), "%d: %v", n, err)
	}
	_, err = read(append(bytes.Clone(whole), 0))
	require.NoError(t, err, "all is there, and something behind it")
}

func isOneOf(err error, kinds ...error) bool {
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

func TestAFileOfOthersIsTold(t *testing.T) {
	h, dir, _ := scene(t)
	h.create(t, dir)
	path := export(t, h, dir, homebackup.Choice{})
	other := newHost(t, filepath.Join(t.TempDir(), "home"), otherWords)
	_, err := prepareFile(t, other, path)
	require.ErrorIs(t, err, homebackup.ErrOthers)
	require.NoError(t, os.WriteFile(path, []byte("no age file"), 0o600))
	_, err = prepareFile(t, h, path)
	require.ErrorIs(t, err, homebackup.ErrDamaged)
	_, err = prepareFile(t, h, filepath.Join(dir, "nowhere"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
