package keystore_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

func open(t *testing.T, dir string, keys *keystore.Keys) *keystore.Store {
	s, err := keystore.Open(dir, keys)
	require.NoError(t, err)
	return s
}

func vault() []envelope.File {
	return []envelope.File{
		{Name: "localstate-cosmospub1addwnpepq.json", Data: []byte("the secret of ecdsa")},
		{Name: "localstate-cosmospub1zcjduepq.json", Data: []byte("the secret of eddsa")},
	}
}

// opened is all that lies sealed in a folder, by path.
func opened(t *testing.T, dir string, keys *keystore.Keys) map[string]string {
	got := map[string]string{}
	for path, data := range disk.Tree(t, dir) {
		plain, err := keys.Open([]byte(data))
		require.NoError(t, err, path)
		got[path] = string(plain)
	}
	return got
}

func in(dir string) map[string]string {
	got := map[string]string{}
	for _, f := range vault() {
		got[filepath.Join(dir, f.Name+".age")] = string(f.Data)
	}
	return got
}

func TestKeysharesLieSealedByEpoch(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keyshares")
	keys := homekeys.New(t)
	s := open(t, dir, keys)
	_, err := s.Load(7, vault()[0].Name)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoDirExists(t, dir, "reading makes no folder")

	require.NoError(t, s.Save(7, vault()))
	before := disk.Tree(t, dir)
	require.NoError(t, s.Save(7, vault()), "again is fine")
	require.Equal(t, before, disk.Tree(t, dir), "and changes nothing")
	require.Equal(t, in("7"), opened(t, dir, keys))
	for _, data := range before {
		require.NotContains(t, data, "secret")
	}
	names, err := s.List(7)
	require.NoError(t, err)
	require.Equal(t, []string{vault()[0].Name, vault()[1].Name}, names)
	none, err := s.List(8)
	require.NoError(t, err)
	require.Empty(t, none)
	got, err := s.Load(7, names[1])
	require.NoError(t, err)
	require.Equal(t, "the secret of eddsa", string(got))
	_, err = s.Load(8, names[1])
	require.ErrorIs(t, err, fs.ErrNotExist, "of another epoch")
	for path := range before {
		info, err := os.Stat(filepath.Join(dir, path))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	}

	// The same names in another epoch are other files.
	require.NoError(t, s.Save(8, []envelope.File{{Name: names[0], Data: []byte("newer")}}))
	entries, err := s.Entries()
	require.NoError(t, err)
	require.Len(t, entries, 3)
	require.EqualValues(t, 8, entries[2].Epoch)
	for _, e := range entries {
		require.Equal(t, s.Path(e.Epoch, e.Name), e.Path)
		require.Positive(t, e.Bytes)
	}
}

func TestSaveReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	keys := homekeys.New(t)
	s := open(t, dir, keys)
	other := []envelope.File{{Name: vault()[1].Name, Data: []byte("other")}}
	require.NoError(t, s.Save(7, other))
	require.ErrorIs(t, s.Save(7, vault()), durable.ErrDifferent)
	require.Len(t, opened(t, dir, keys), 1, "all or none")

	path := s.Path(7, vault()[1].Name)
	require.NoError(t, os.WriteFile(path, []byte("damaged"), 0o600))
	require.ErrorIs(t, s.Save(7, vault()), durable.ErrDifferent, "what does not open is set aside by whoever knows better")
	_, err := s.Load(7, vault()[1].Name)
	require.ErrorIs(t, err, keystore.ErrSealed)
	require.ErrorContains(t, err, path)

	for _, name := range []string{"", "..", "../a", "a/b", ".hidden", strings.Repeat("a", 198)} {
		require.Error(t, s.Save(7, []envelope.File{{Name: name, Data: []byte("x")}}), name)
		_, err := s.Load(7, name)
		require.Error(t, err, name)
	}
	require.Error(t, s.Save(7, nil))
	require.ErrorContains(t, s.Save(9, append(vault(), vault()[0])), "two files named")
}

func TestReplaceTakesThePlaceOfWhatIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keyshares")
	keys := homekeys.New(t)
	s := open(t, dir, keys)
	require.NoError(t, s.Replace(7, vault()), "of nothing")
	require.Equal(t, in("7"), opened(t, dir, keys))
	before := disk.Tree(t, dir)
	require.NoError(t, s.Replace(7, vault()))
	require.Equal(t, before, disk.Tree(t, dir), "equal files stay as they are")
	next := vault()
	next[1].Data = []byte("another secret of eddsa")
	require.NoError(t, s.Replace(7, next))
	data, err := s.Load(7, next[1].Name)
	require.NoError(t, err)
	require.Equal(t, next[1].Data, data)
	data, err = s.Load(7, next[0].Name)
	require.NoError(t, err)
	require.Equal(t, next[0].Data, data)
	require.ErrorIs(t, s.Save(7, vault()), durable.ErrDifferent)
	require.Error(t, s.Replace(7, []envelope.File{{Name: "../escape", Data: []byte("x")}}))
}

func TestWhatIsUnplacedIsFoundAndPlaced(t *testing.T) {
	dir := t.TempDir()
	keys := homekeys.New(t)
	s := open(t, dir, keys)
	require.NoError(t, s.Save(keystore.Unplaced, vault()))
	require.Equal(t, in("unplaced"), opened(t, dir, keys))
	names, err := s.List(7)
	require.NoError(t, err)
	require.Len(t, names, 2)
	data, err := s.Load(7, names[0])
	require.NoError(t, err)
	require.Equal(t, "the secret of ecdsa", string(data))

	require.NoError(t, s.Place(7, names...))
	require.Equal(t, in("7"), opened(t, dir, keys))
	require.NoError(t, s.Place(7, names...), "again is fine")
	require.Error(t, s.Place(keystore.Unplaced, names...))

	// Where a place is taken, nothing is moved.
	require.NoError(t, s.Save(keystore.Unplaced, []envelope.File{{Name: names[0], Data: []byte("other")}}))
	require.NoError(t, s.Place(7, names...))
	data, err = s.Load(7, names[0])
	require.NoError(t, err)
	require.Equal(t, "the secret of ecdsa", string(data))
}

// A process may be killed at any change to the disk, while it saves, places, reseals or seals what
// was in plaintext: no keyshare is ever missing, and doing it once more finishes it.
func TestNoKillLosesAKeyshare(t *testing.T) {
	x, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	keys, wider := homekeys.New(t), homekeys.New(t, x.Recipient().String())
	plain := func(t *testing.T, dir string) {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "damaged"), 0o700))
		for _, f := range vault() {
			require.NoError(t, os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "damaged", "x.json.1"), []byte("half a keyshare"), 0o600))
	}
	saved := func(epoch uint64) func(*testing.T, string) {
		return func(t *testing.T, dir string) { require.NoError(t, open(t, dir, keys).Save(epoch, vault())) }
	}
	for name, row := range map[string]struct {
		before func(t *testing.T, dir string)
		do     func(s *keystore.Store) error
		// lost says that before the first kill nothing was acknowledged.
		lost bool
		in   string
	}{
		"saving": {
			before: func(*testing.T, string) {}, lost: true, in: "7",
			do: func(s *keystore.Store) error { return s.Save(7, vault()) },
		},
		"placing": {
			before: saved(keystore.Unplaced), in: "7",
			do: func(s *keystore.Store) error { return s.Place(7, vault()[0].Name, vault()[1].Name) },
		},
		"resealing": {
			before: saved(7), in: "7",
			do: func(s *keystore.Store) error {
				entries, err := s.Entries()
				for _, e := range entries {
					if err == nil {
						err = s.Reseal(e)
					}
				}
				return err
			},
		},
		"sealing plaintext": {
			before: plain, in: "unplaced",
			do: func(s *keystore.Store) error { _, err := s.SealPlain(); return err },
		},
	} {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				dir := filepath.Join(t.TempDir(), "keyshares")
				require.NoError(t, os.Mkdir(dir, 0o700))
				row.before(t, dir)
				faults := disk.DieAt(t, dir, n)
				err := row.do(open(t, dir, wider))
				faults.Mend()
				reached := faults.Reached()
				s := open(t, dir, wider)
				for _, f := range vault() {
					data, loadErr := s.Load(7, f.Name)
					if loadErr != nil {
						data, _ = os.ReadFile(filepath.Join(dir, f.Name))
					}
					if !row.lost || err == nil {
						require.Equal(t, string(f.Data), string(data), "step %d", n)
					}
				}
				require.NoError(t, row.do(s), "step %d", n)
				got := opened(t, dir, wider)
				for path, data := range in(row.in) {
					require.Equal(t, data, got[path], "step %d", n)
				}
				for path, sealed := range disk.Tree(t, dir) {
					require.NotContains(t, sealed, "secret", path)
				}
				if !reached {
					require.NoError(t, err)
					require.Greater(t, n, 3)
					return
				}
			}
		})
	}
}

func TestPlaintextIsSealedAndRemoved(t *testing.T) {
	keys := homekeys.New(t)
	dir := t.TempDir()
	s := open(t, dir, keys)
	f := vault()[0]
	put := func(data string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, f.Name), []byte(data), 0o600))
	}
	put(string(f.Data))
	plain, err := s.Plain()
	require.NoError(t, err)
	require.Len(t, plain, 1)
	sealed, err := s.SealPlain()
	require.NoError(t, err)
	require.Equal(t, []string{f.Name}, sealed)
	require.NoError(t, s.Place(7, f.Name))

	// An equal one needs no second copy, whatever folder the first is in.
	put(string(f.Data))
	_, err = s.SealPlain()
	require.NoError(t, err)
	require.Len(t, opened(t, dir, keys), 1)

	// One that differs is kept, and one too many is an error.
	put("other")
	_, err = s.SealPlain()
	require.NoError(t, err)
	put("third")
	_, err = s.SealPlain()
	require.ErrorIs(t, err, durable.ErrDifferent)
	require.FileExists(t, filepath.Join(dir, f.Name))
	sealed, err = s.SealPlain()
	require.Empty(t, sealed)
	require.Error(t, err)
}

func TestResealGivesTheFilesToTheRecipientsOfNow(t *testing.T) {
	dir := t.TempDir()
	x, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	pq, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	reads := func(id age.Identity) bool {
		for _, data := range disk.Tree(t, dir) {
			r, err := age.Decrypt(strings.NewReader(data), id)
			if err != nil {
				return false
			}
			_, err = io.ReadAll(r)
			require.NoError(t, err)
		}
		return true
	}
	require.NoError(t, open(t, dir, homekeys.New(t)).Save(7, vault()))
	require.False(t, reads(x))
	for _, row := range []struct {
		recipients []string
		x, pq      bool
	}{
		{[]string{x.Recipient().String()}, true, false},
		{[]string{pq.Recipient().String()}, false, true},
		{nil, false, false},
	} {
		s := open(t, dir, homekeys.New(t, row.recipients...))
		entries, err := s.Entries()
		require.NoError(t, err)
		for _, e := range entries {
			require.NoError(t, s.Reseal(e))
		}
		require.Equal(t, row.x, reads(x))
		require.Equal(t, row.pq, reads(pq))
		require.Equal(t, in("7"), opened(t, dir, homekeys.New(t)), "the mnemonic opens all of them")
	}
}

func TestRecipients(t *testing.T) {
	x, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	pq, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	one, two := x.Recipient().String(), pq.Recipient().String()
	for name, row := range map[string]struct {
		recipients []string
		ok         bool
	}{
		"none":                   {nil, true},
		"one":                    {[]string{one}, true},
		"hybrid ones":            {[]string{two, two}, true},
		"a mix":                  {[]string{one, two}, false},
		"a mix, the other way":   {[]string{two, one}, false},
		"an identity":            {[]string{x.String()}, false},
		"one that is cut off":    {[]string{one[:20]}, false},
		"a hybrid one cut off":   {[]string{two[:20]}, false},
		"a key of SSH":           {[]string{"ssh-ed25519 AAAA"}, false},
		"nothing between quotes": {[]string{""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := keystore.CheckRecipients(row.recipients)
			if row.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, keystore.ErrRecipients)
		})
	}
}

// The identities are pinned: what is sealed today opens in years.
func TestIdentityOfAHome(t *testing.T) {
	m, err := sanity.ParseMnemonic([]byte(homekeys.Words))
	require.NoError(t, err)
	file, err := signer.HomeIdentity(m)
	require.NoError(t, err)
	ids, err := age.ParseIdentities(bytes.NewReader(file))
	require.NoError(t, err)
	require.Len(t, ids, 2)
	require.Equal(t, wantRecipient, ids[0].(*age.X25519Identity).Recipient().String())
	require.Equal(t, wantHybrid, ids[1].(*age.HybridIdentity).Recipient().String()[:40])
	// An age that does not know one kind refuses the whole file, so each has a file of its own.
	var parts []byte
	for i, hybrid := range []bool{false, true} {
		part, err := signer.HomeIdentityOf(m, hybrid)
		require.NoError(t, err)
		alone, err := age.ParseIdentities(bytes.NewReader(part))
		require.NoError(t, err)
		require.Equal(t, ids[i:i+1], alone)
		parts = append(parts, part...)
	}
	require.Equal(t, file, parts)

	keys := homekeys.New(t)
	shown, err := json.Marshal(keys)
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, keys)...)
	}
	require.NotContains(t, strings.ToUpper(string(shown)), "AGE-SECRET")
}

func TestWhatDoesNotOpen(t *testing.T) {
	keys := homekeys.New(t)
	sealed, err := keys.Seal([]byte("plain"))
	require.NoError(t, err)
	other, err := sanity.ParseMnemonic([]byte("abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"))
	require.NoError(t, err)
	_, err = homekeys.Of(t, other).Open(sealed)
	require.ErrorIs(t, err, keystore.ErrSealed)
	for n := range sealed {
		_, err = keys.Open(sealed[:n])
		require.ErrorIs(t, err, keystore.ErrSealed)
	}
	for _, size := range []int{0, 1, 65535, 65536, 65537, 200000} {
		plain := bytes.Repeat([]byte{7}, size)
		sealed, err := keys.Seal(plain)
		require.NoError(t, err)
		again, err := keys.Open(sealed)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, again))
	}
}

const (
	wantRecipient = "age1y33c4vfduqpg7da4ka5kve333z9lvm6madyyuraqfjf3ns0cssmqvnctp9"
	wantHybrid    = "age1pq1j2z2dc8gf2rskre5jrrv7u335h5u8fnr3"
)
