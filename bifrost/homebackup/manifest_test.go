package homebackup

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

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

func FuzzParseManifest(f *testing.F) {
	key := testKey(f)
	good, err := testManifest(key).sign(key)
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte("{}\n00\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(m)
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(data, append(again, '\n')), "there is one writing")
		for _, file := range m.Files {
			require.NoError(t, file.check())
		}
	})
}
