package homebackup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
)

const words = "profit used piece repeat real curtain endorse tennis tenant sentence include glass " +
	"return learn upgrade apple crane polar attend before ripple doctor decrease depend"

func testKey(t testing.TB) *signer.Key {
	m, err := sanity.ParseMnemonic([]byte(words))
	require.NoError(t, err)
	key, err := signer.Derive(m, signer.DefaultHDPath)
	require.NoError(t, err)
	return key
}

func testManifest(key *signer.Key) *Manifest {
	sum := strings.Repeat("ab", 32)
	return &Manifest{
		Format: format, ChainID: "test-1", Signer: key.Bech32("cosmos"),
		PubKey: hex.EncodeToString(key.PubKey()), Store: sum[:32], Writer: sum[:32],
		Sequence: 2, Previous: sum, Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Recipients: []string{"age1x"},
		Files: []File{
			{Name: "config.toml", Size: 1, SHA256: sum, Object: sum},
			{Name: "keyshares/7/localstate-a.json", Epoch: 7, Size: 1, SHA256: sum, Object: sum},
		},
	}
}

func TestManifestsThatAreRefused(t *testing.T) {
	key := testKey(t)
	good, err := testManifest(key).sign(key)
	require.NoError(t, err)
	m, err := parseManifest(good)
	require.NoError(t, err)
	require.Equal(t, testManifest(key), m)

	for name, change := range map[string]func(m *Manifest){
		"another format":                    func(m *Manifest) { m.Format += "x" },
		"a store that is a path":            func(m *Manifest) { m.Store = "../" + m.Store[3:] },
		"no writer":                         func(m *Manifest) { m.Writer = "" },
		"sequence 0":                        func(m *Manifest) { m.Sequence = 0 },
		"a first one after another":         func(m *Manifest) { m.Sequence = 1 },
		"one after none":                    func(m *Manifest) { m.Previous = "" },
		"a predecessor that is none":        func(m *Manifest) { m.Previous = "x" },
		"a local time":                      func(m *Manifest) { m.Time = m.Time.In(time.FixedZone("", 3600)) },
		"no recipient":                      func(m *Manifest) { m.Recipients = nil },
		"no list of files":                  func(m *Manifest) { m.Files = nil },
		"files that are not sorted":         func(m *Manifest) { m.Files[0], m.Files[1] = m.Files[1], m.Files[0] },
		"a file twice":                      func(m *Manifest) { m.Files[1] = m.Files[0] },
		"a path out of the home":            func(m *Manifest) { m.Files[0].Name = "../config.toml" },
		"an absolute path":                  func(m *Manifest) { m.Files[0].Name = "/config.toml" },
		"a way around":                      func(m *Manifest) { m.Files[1].Name = "keyshares/7/../x" },
		"a hidden file":                     func(m *Manifest) { m.Files[1].Name = "keyshares/7/.x" },
		"the mnemonic":                      func(m *Manifest) { m.Files[1].Name = "mnemonic" },
		"a pre-parameter":                   func(m *Manifest) { m.Files[1].Name = "preparams/x.json" },
		"an epoch with a zero before":       func(m *Manifest) { m.Files[1].Name = "keyshares/07/x.json" },
		"an epoch that is not its folder's": func(m *Manifest) { m.Files[1].Epoch = 8 },
		"a negative size":                   func(m *Manifest) { m.Files[0].Size = -1 },
		"an object that is a path":          func(m *Manifest) { m.Files[0].Object = "../x" },
		"the mnemonic for nobody": func(m *Manifest) {
			m.Files = append(m.Files, File{Name: "mnemonic", SHA256: m.Previous, Object: m.Previous})
		},
		"somebody for no mnemonic": func(m *Manifest) { m.MnemonicFor = []string{"age1x"} },
		"another's address": func(m *Manifest) {
			m.Signer = "cosmos1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnrujsuw"
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := testManifest(key)
			change(m)
			data, err := m.sign(key)
			require.NoError(t, err)
			_, err = parseManifest(data)
			require.Error(t, err)
		})
	}

	body, rest, _ := bytes.Cut(good, []byte("\n"))
	for name, data := range map[string][]byte{
		"nothing":           nil,
		"no signature":      body,
		"more after it":     append(bytes.Clone(good), 'x'),
		"a changed body":    bytes.Replace(good, []byte("test-1"), []byte("test-2"), 1),
		"a space in it":     bytes.Replace(good, []byte(","), []byte(", "), 1),
		"an unknown field":  bytes.Replace(good, []byte("{"), []byte(`{"x":1,`), 1),
		"another signature": append(append(bytes.Clone(body), '\n'), bytes.ToUpper(rest)...),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseManifest(data)
			require.Error(t, err)
		})
	}
}

// FuzzParseManifest parses what there is as it is, and signed by the key of its signer: most of the
// parser lies beyond the signature.
func FuzzParseManifest(f *testing.F) {
	key := testKey(f)
	good, err := testManifest(key).sign(key)
	require.NoError(f, err)
	body, _, _ := bytes.Cut(good, []byte("\n"))
	f.Add(good)
	f.Add(body)
	for _, name := range []string{
		"trust/1.header", "outbox/keygen-1.json", "outbox/closed/keygen-1.json",
		"keyshares/unplaced/x", "keyshares/damaged/x.0123456789abcdef", "mnemonic",
	} {
		f.Add(bytes.Replace(body, []byte("config.toml"), []byte(name), 1))
	}
	f.Add([]byte("{}\n00\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		signature, err := key.Sign(signed(data))
		require.NoError(t, err)
		for _, data := range [][]byte{data, fmt.Appendf(bytes.Clone(data), "\n%x\n", signature)} {
			if m, err := parseManifest(data); err == nil {
				requireSound(t, key, m, data)
			}
		}
	})
}

// requireSound requires of a manifest what whoever uses one relies on.
func requireSound(t *testing.T, key *signer.Key, m *Manifest, data []byte) {
	again, err := m.sign(key)
	require.NoError(t, err)
	require.Equal(t, string(data), string(again), "there is one writing")
	seen := map[string]bool{}
	for _, f := range m.Files {
		require.True(t, filepath.IsLocal(f.Name) && path.Clean(f.Name) == f.Name, "%q", f.Name)
		require.False(t, seen[f.Name], "%q is there twice", f.Name)
		seen[f.Name] = true
		top, rest, _ := strings.Cut(f.Name, "/")
		require.Contains(t, []string{"config.toml", "mnemonic", "trust", "outbox", "keyshares"}, top)
		require.Equal(t, f.IsKeyshare(), top == "keyshares")
		require.NotContains(t, "/"+rest, "/.", "%q is hidden", f.Name)
		require.False(t, strings.ContainsFunc(f.Name, func(r rune) bool {
			return r <= ' ' || r > '~' || strings.ContainsRune(`\:*?"<>|`, r)
		}), "%q", f.Name)
		require.NotEmpty(t, f.keyshareFile())
		require.GreaterOrEqual(t, f.Size, int64(0))
		for _, sum := range []string{f.SHA256, f.Object} {
			raw, err := hex.DecodeString(sum)
			require.NoError(t, err)
			require.Equal(t, sum, hex.EncodeToString(raw))
			require.Len(t, raw, sha256.Size)
		}
	}
	require.Equal(t, hex.EncodeToString(key.PubKey()), m.PubKey)
	_, address, err := bech32.DecodeAndConvert(m.Signer)
	require.NoError(t, err)
	require.Equal(t, signer.AddressOf(key.PubKey()), address)
	require.Equal(t, strings.ToLower(m.Signer), m.Signer)
}

// FuzzReadArchive requires of what is read of any bytes that it comes from them, each name once.
func FuzzReadArchive(f *testing.F) {
	sum := strings.Repeat("ab", 32)
	manifest := sealedManifest{sum[:32], place{1, sum[:16]}, []byte("manifest")}
	write := func(headers ...tar.Header) []byte {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		for _, h := range headers {
			require.NoError(f, w.WriteHeader(&h))
			_, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size)))
			require.NoError(f, err)
		}
		require.NoError(f, w.Close())
		return out.Bytes()
	}
	first := tar.Header{Typeflag: tar.TypeReg, Name: manifest.member(), Size: 8}
	long := "keyshares/damaged/" + strings.Repeat("x", 200)
	f.Add(write(first))
	f.Add(write(tar.Header{Typeflag: tar.TypeDir, Name: "manifests/"}, first,
		tar.Header{Typeflag: tar.TypeReg, Name: "config.toml", Size: 600},
		tar.Header{Typeflag: tar.TypeReg, Name: long, Size: 1}))
	f.Add(write(first, tar.Header{Typeflag: tar.TypeSymlink, Name: "x", Linkname: "/"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := readArchive(data)
		size := 0
		for _, m := range a.manifests {
			again, ok := parseMember(m.member())
			require.True(t, ok)
			require.Equal(t, m.place, again.place)
			size += len(m.data)
		}
		for _, member := range a.members {
			size += len(member)
		}
		require.LessOrEqual(t, size, len(data))
		require.True(t, err != nil || len(data) >= 1024)
	})
}
