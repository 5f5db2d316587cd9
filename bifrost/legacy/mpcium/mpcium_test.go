package mpcium

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

const goodKey = "small/good/key.txt"

// now is later than everything in the vectors.
var now = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return data
}

func key(t testing.TB, raw []byte) *Key {
	t.Helper()
	k, err := NewKey(raw)
	require.NoError(t, err)
	return k
}

// expected is the state in a file of the vectors, by keys.
func expected(t testing.TB, name string) map[string]string {
	t.Helper()
	var file map[string]struct {
		Version uint64 `json:"badger_version"`
		SHA256  string `json:"sha256"`
	}
	require.NoError(t, json.Unmarshal(testdata(t, name), &file))
	state := map[string]string{}
	for key, r := range file {
		state[key] = fmt.Sprintf("%d %s", r.Version, r.SHA256)
	}
	return state
}

func stateOf(records []Record) map[string]string {
	state := map[string]string{}
	for _, r := range records {
		state[r.Key] = fmt.Sprintf("%d %x", r.Version, sha256.Sum256(r.Value))
	}
	return state
}

// Each folder that mpcium made, whole or with one fault, and what is right for it.
func TestVectors(t *testing.T) {
	const good = "small/good/expected-state.json"
	for name, row := range map[string]struct {
		folder, node, key string
		// state is the file with what the store held; without one, err says what is wrong, and
		// names what is in its text.
		state     string
		version   uint64
		confirmed bool
		notes     []string
		err       error
		names     []string
		// salvaged is how many keys are there all the same.
		salvaged int
	}{
		"four increments, with a deletion and a key that was written again": {
			folder: "small/good", state: good, version: 13, confirmed: true,
		},
		"shares of real keygens": {
			folder: "realistic", state: "realistic/expected-state.json", version: 13, confirmed: true,
		},
		"the newest file is missing": {
			folder: "small/missing-last", err: ErrIncomplete, salvaged: 7,
			names: []string{"latest.version", "up to version 13", "end at 10"},
		},
		"the first file is missing": {
			folder: "small/missing-first", err: ErrIncomplete, salvaged: 6,
			names: []string{"versions 1 to 4", "15-18-46-2.enc"},
		},
		"nothing is there but latest.version": {folder: "small/missing-all", err: ErrNone},
		"the folder is another node's": {
			folder: "small/other-node-only", node: "node0", err: ErrNone,
			names: []string{`"node0"`, `"node1"`},
		},
		"a file of a node under another key": {
			folder: "small/other-node-other-key", state: good, version: 13, confirmed: true,
			notes: []string{`backup-anode-2026-11-26_15-18-58-1.enc is a backup of the node "anode"`},
		},
		"the newest file is cut off": {
			folder: "small/truncated-last", err: ErrIncomplete, salvaged: 7,
			names: []string{"15-18-50-4.enc", "cut off", "up to version 13"},
		},
		"what a write to a full disk left behind": {
			folder: "small/torn-leftover", state: good, version: 13, confirmed: true,
			notes: []string{"backup-node0-2026-11-26_15-18-48-3.enc was passed over"},
		},
		"the wrong key": {
			folder: "small/good", key: "hF-test-vector-key-node1-32bytes", err: ErrKey,
			names: []string{"8071006942885e26", "90900003bef1e1b2"},
		},
		"a changed ciphertext": {
			folder: "small/bitflip-ciphertext", err: ErrIncomplete, salvaged: 8,
			names: []string{"15-18-46-2.enc", "versions 5 to 8"},
		},
		"a changed time in a header": {
			folder: "small/bitflip-created-at", err: ErrIncomplete, salvaged: 9,
			names: []string{"15-18-46-2.enc", "2027-11-26T15:18:46Z"},
		},
		"a changed magic": {
			folder: "small/bitflip-magic", err: ErrIncomplete, salvaged: 8,
			names: []string{"15-18-46-2.enc", "begin with MPCIUM_BACKUP"},
		},
		"a changed nonce": {
			folder: "small/bitflip-nonce", err: ErrIncomplete, salvaged: 8,
			names: []string{"15-18-46-2.enc", "does not open"},
		},
		"a changed length of the header": {
			folder: "small/bitflip-length", err: ErrIncomplete, salvaged: 8,
			names: []string{"15-18-46-2.enc", "65689 bytes"},
		},
		"a nonce of nine bytes": {
			folder: "small/header-short-nonce", err: ErrIncomplete, salvaged: 8,
			names: []string{"15-18-46-2.enc", "nonce"},
		},
		"a file that is there twice": {
			folder: "small/duplicate-file", state: good, version: 13, confirmed: true,
			notes: []string{"2099-01-01_00-00-00-2.enc is backup-node0-2026-11-26_15-18-46-2.enc once more"},
		},
		"a note of the operator": {
			folder: "small/stray-file", state: good, version: 13, confirmed: true,
			notes: []string{`"backup-README.enc" is not named`},
		},
		"a backup of everything after latest.version was lost": {
			folder: "small/lost-latest-version", state: "small/lost-latest-version/live-state.json",
			version: 14, confirmed: true,
		},
		"latest.version is empty, and what was written since is in no backup": {
			folder: "small/empty-latest-version", state: good, version: 13,
			notes: []string{"latest.version cannot be read"},
		},
		"a backup of everything after latest.version was reset": {
			folder: "small/null-latest-version", state: "small/null-latest-version/live-state.json",
			version: 15, confirmed: true,
		},
		"a folder that two live nodes share, of which one has backups": {
			folder: "small/shared-folder-live", state: "small/shared-folder-live/live-state-node0.json",
			version: 4, confirmed: true,
		},
		"and the other has none": {
			folder: "small/shared-folder-live", node: "node1", err: ErrNone, names: []string{`"node1"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			raw := []byte(row.key)
			if row.key == "" {
				raw = testdata(t, goodKey)
			}
			b, err := Read(os.DirFS(filepath.Join("testdata", row.folder, "backups")), key(t, raw), row.node, now)
			for _, text := range row.names {
				require.ErrorContains(t, err, text)
			}
			if row.err != nil {
				require.ErrorIs(t, err, row.err)
				if row.salvaged == 0 {
					require.Nil(t, b)
					return
				}
				require.Len(t, b.Records, row.salvaged)
				return
			}
			require.NoError(t, err)
			require.Equal(t, expected(t, row.state), stateOf(b.Records))
			require.True(t, slices.IsSortedFunc(b.Records, func(x, y Record) int { return strings.Compare(x.Key, y.Key) }))
			require.Equal(t, row.version, b.Version)
			require.Equal(t, row.confirmed, b.Confirmed)
			require.Len(t, b.Notes, len(row.notes), "%q", b.Notes)
			for i, text := range row.notes {
				require.Contains(t, b.Notes[i], text)
			}
			b.Wipe()
			for _, r := range b.Records {
				require.Empty(t, strings.Trim(string(r.Value), "\x00"))
			}
		})
	}
}

// The vectors say of themselves what is in them.
func TestEachVectorIsTested(t *testing.T) {
	var outcomes []struct{ Name string }
	require.NoError(t, json.Unmarshal(testdata(t, "small/outcomes.json"), &outcomes))
	source, err := os.ReadFile("mpcium_test.go")
	require.NoError(t, err)
	for _, o := range outcomes {
		if !strings.HasPrefix(o.Name, "wrong-key") { // good, with another key
			require.Contains(t, string(source), `"small/`+o.Name+`"`)
		}
	}
}

func TestKeys(t *testing.T) {
	for name, row := range map[string]struct {
		raw string
		ok  bool
	}{
		"16 bytes":                         {strings.Repeat("k", 16), true},
		"24 bytes":                         {strings.Repeat("k", 24), true},
		"32 bytes":                         {strings.Repeat("k", 32), true},
		"32 bytes and a line end":          {strings.Repeat("k", 32) + "\n", true},
		"32 bytes and a line end of DOS":   {strings.Repeat("k", 32) + "\r\n", true},
		"32 bytes of which one is a space": {strings.Repeat("k", 31) + " ", true},
		"31 bytes":                         {strings.Repeat("k", 31), false},
		"two line ends":                    {strings.Repeat("k", 32) + "\n\n", false},
		"nothing":                          {"", false},
		"a line end alone":                 {"\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := NewKey([]byte(row.raw))
			if !row.ok {
				require.ErrorIs(t, err, ErrKey)
				require.NotContains(t, err.Error(), "kkk")
				return
			}
			require.NoError(t, err)
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
				require.NotContains(t, fmt.Sprintf(verb, k), "kkk")
				require.NotContains(t, fmt.Sprintf(verb, k), "6b6b")
			}
			data, err := json.Marshal(k)
			require.NoError(t, err)
			require.Contains(t, string(data), k.ID())
			k.Wipe()
			require.NotContains(t, string(k.bytes), "k")
		})
	}
}

func TestRecordsShowNoValue(t *testing.T) {
	r := Record{Key: "ecdsa:w", Version: 7, Value: []byte("secret")}
	b := Backup{Node: "node0", Records: []Record{r}}
	text, err := json.Marshal(b)
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		text = append(text, fmt.Sprintf(verb, r)+fmt.Sprintf(verb, b)...)
	}
	require.Contains(t, string(text), "ecdsa:w")
	for _, shown := range []string{"secret", "736563726574", "c2VjcmV0", "115"} {
		require.NotContains(t, string(text), shown)
	}
}

// A writer makes files as mpcium does.
type writer struct {
	testing.TB
	key   *Key
	files fstest.MapFS
}

func newWriter(t testing.TB) *writer {
	return &writer{TB: t, key: key(t, []byte(strings.Repeat("k", 32))), files: fstest.MapFS{}}
}

// at is the time of the n-th backup.
func at(n int) time.Time {
	return time.Date(2026, 11, 26, 12, 0, n, 0, time.FixedZone("", 3600))
}

func (w *writer) header(n int, since, next uint64) header {
	return header{
		Algo: algorithm, Nonce: base64.StdEncoding.EncodeToString(make([]byte, nonceSize)),
		CreatedAt: at(n).Format(time.RFC3339), Since: since, NextSince: next, KeyID: w.key.id,
	}
}

func (w *writer) seal(h header, plain []byte) []byte {
	text, err := json.Marshal(h)
	require.NoError(w, err)
	block, err := aes.NewCipher(w.key.bytes)
	require.NoError(w, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(w, err)
	data := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(text)))
	return aead.Seal(append(data, text...), make([]byte, nonceSize), plain, nil)
}

// put makes the n-th backup.
func (w *writer) put(n int, counter, since, next uint64, records ...Record) string {
	name := fmt.Sprintf("backup-node0-%s-%d.enc", at(n).Format(nameTime), counter)
	w.files[name] = &fstest.MapFile{Data: w.seal(w.header(n, since, next), encode(records...))}
	return name
}

func (w *writer) read() (*Backup, error) { return Read(w.files, w.key, "", now) }

func encode(records ...Record) (plain []byte) {
	for _, r := range records {
		var kv []byte
		kv = protowire.AppendBytes(protowire.AppendTag(kv, 1, protowire.BytesType), []byte(r.Key))
		kv = protowire.AppendBytes(protowire.AppendTag(kv, 2, protowire.BytesType), r.Value)
		kv = protowire.AppendVarint(protowire.AppendTag(kv, 4, protowire.VarintType), r.Version)
		if !r.expires.IsZero() {
			kv = protowire.AppendVarint(protowire.AppendTag(kv, 5, protowire.VarintType), uint64(r.expires.Unix()))
		}
		meta := []byte{0}
		if r.deleted {
			meta[0] = metaDeleted
		}
		kv = protowire.AppendBytes(protowire.AppendTag(kv, 6, protowire.BytesType), meta)
		plain = append(plain, framed(kv)...)
	}
	return plain
}

// framed is a list of one record.
func framed(kv []byte) []byte {
	list := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), kv)
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(list))), list...)
}

func record(key, value string, version uint64) Record {
	return Record{Key: key, Value: []byte(value), Version: version}
}

func gone(key string, version uint64) Record {
	return Record{Key: key, Version: version, deleted: true}
}

func TestWhatTheIncrementsGiveTogether(t *testing.T) {
	expiring := func(version uint64, at time.Time) Record {
		r := record("k", "old", version)
		r.expires = at
		return r
	}
	for name, row := range map[string]struct {
		write func(w *writer)
		want  map[string]string
	}{
		"the newest version wins, also where files overlap": {func(w *writer) {
			w.put(1, 1, 0, 2, record("a", "1", 1), record("b", "2", 2))
			w.put(2, 2, 2, 3, record("a", "3", 3))
			w.put(3, 2, 2, 4, record("a", "3", 3), record("b", "4", 4))
		}, map[string]string{"a": "3", "b": "4"}},
		"several versions of a key in one file": {func(w *writer) {
			w.put(1, 1, 0, 3, record("a", "3", 3), record("a", "1", 1))
		}, map[string]string{"a": "3"}},
		"a deletion counts, whatever the order of files": {func(w *writer) {
			w.put(1, 1, 0, 1, record("a", "1", 1))
			w.put(2, 2, 1, 2, gone("a", 2))
		}, map[string]string{}},
		"a deletion that Badger no longer tells of": {func(w *writer) {
			w.put(1, 1, 0, 2, record("a", "1", 1), record("b", "2", 2))
			w.put(2, 1, 0, 4, record("b", "2", 2), record("c", "4", 4))
		}, map[string]string{"b": "2", "c": "4"}},
		"a key that was written again": {func(w *writer) {
			w.put(1, 1, 0, 2, record("a", "1", 1), gone("b", 2))
			w.put(2, 2, 2, 3, record("b", "3", 3))
		}, map[string]string{"a": "1", "b": "3"}},
		"a key that has expired": {func(w *writer) {
			w.put(1, 1, 0, 1, expiring(1, now))
		}, map[string]string{}},
		"a key that has not": {func(w *writer) {
			w.put(1, 1, 0, 1, expiring(1, now.Add(time.Second)))
		}, map[string]string{"k": "old"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWriter(t)
			row.write(w)
			b, err := w.read()
			require.NoError(t, err)
			require.False(t, b.Confirmed)
			got := map[string]string{}
			for _, r := range b.Records {
				got[r.Key] = string(r.Value)
			}
			require.Equal(t, row.want, got)
		})
	}
}

func TestWhatIsNotComplete(t *testing.T) {
	for name, row := range map[string]struct {
		write func(w *writer)
		err   error
		says  string
	}{
		"an increment in between": {func(w *writer) {
			w.put(1, 1, 0, 1, record("a", "1", 1))
			w.put(2, 3, 2, 3, record("a", "3", 3))
		}, ErrIncomplete, "versions 2 to 2"},
		"a torn file that is newer than the others, when nothing names the newest": {func(w *writer) {
			w.put(1, 1, 0, 1, record("a", "1", 1))
			name := w.put(2, 2, 1, 2, record("a", "2", 2))
			w.files[name].Data = w.files[name].Data[:20]
		}, ErrIncomplete, "cut off in its header"},
		"an empty file that is newer": {func(w *writer) {
			w.put(1, 1, 0, 1, record("a", "1", 1))
			w.files[w.put(2, 2, 1, 2, record("a", "2", 2))].Data = nil
		}, ErrIncomplete, "cut off in its first bytes"},
		"a store that was made anew in the same folder": {func(w *writer) {
			w.put(1, 1, 0, 3, record("a", "1", 3))
			w.put(2, 1, 0, 1, record("b", "2", 1))
		}, ErrIncomplete, "made anew"},
		"two stores that tell different things of a version": {func(w *writer) {
			w.put(1, 1, 0, 1, record("a", "1", 1))
			w.put(2, 1, 0, 2, record("b", "1", 1), record("c", "2", 2))
		}, ErrIncomplete, "two stores"},
		"a header that says to begin lower than it does": {func(w *writer) {
			w.put(1, 2, 0, 5, record("a", "5", 5))
		}, ErrIncomplete, "one of them was changed"},
		"a header that says to end higher than the records": {func(w *writer) {
			w.put(1, 1, 0, 9, record("a", "5", 5))
		}, ErrIncomplete, "ends at 5"},
		"a header that says to begin above the records": {func(w *writer) {
			w.put(1, 1, 0, 5, record("a", "5", 5))
			w.put(2, 2, 5, 6, record("a", "5", 5), record("a", "6", 6))
		}, ErrIncomplete, "above version 5 and holds version 5"},
		"backups of two nodes under one key": {func(w *writer) {
			name := w.put(1, 1, 0, 1, record("a", "1", 1))
			w.files[strings.Replace(name, "node0", "node1", 1)] = w.files[name]
		}, ErrNodes, `"node0", "node1"`},
		"a folder that is named as a backup": {func(w *writer) {
			w.put(1, 1, 0, 1, record("a", "1", 1))
			w.files["backup-node0-2026-11-26_13-00-00-2.enc/x"] = &fstest.MapFile{}
		}, ErrIncomplete, "no file"},
		"a file that cannot be read": {func(w *writer) {
			w.files["backup-node0-2026-11-26_13-00-00-1.enc"] = &fstest.MapFile{Data: []byte("text")}
		}, ErrNone, "does not begin with"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWriter(t)
			row.write(w)
			_, err := w.read()
			require.ErrorIs(t, err, row.err)
			require.ErrorContains(t, err, row.says)
		})
	}
}

func TestLatestVersionOfAnotherNodeTellsNothing(t *testing.T) {
	w := newWriter(t)
	w.put(1, 1, 0, 1, record("a", "1", 1))
	name := w.put(2, 1, 0, 7, record("b", "7", 7))
	w.files[strings.Replace(name, "node0", "node1", 1)] = w.files[name]
	delete(w.files, name)
	w.files[latestName] = &fstest.MapFile{Data: []byte(`{"version":1,"since":7}`)}
	b, err := Read(w.files, w.key, "node0", now)
	require.NoError(t, err)
	require.False(t, b.Confirmed)
	require.Contains(t, strings.Join(b.Notes, "\n"), "another node's newest backup")
	b, err = Read(w.files, w.key, "node1", now)
	require.NoError(t, err)
	require.True(t, b.Confirmed)
}

// What a header may ask for is refused before anything is done for it.
func TestHeadersOfAnAttacker(t *testing.T) {
	w := newWriter(t)
	good := w.header(1, 0, 1)
	changed := func(change func(h *header)) []byte {
		h := good
		change(&h)
		return w.seal(h, encode(record("a", "1", 1)))
	}
	text, err := json.Marshal(good)
	require.NoError(t, err)
	raw := func(header string) []byte {
		data := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(header)))
		return append(append(data, header...), make([]byte, 32)...)
	}
	_, _, err = parseHeader(raw(string(text)))
	require.NoError(t, err)
	for name, data := range map[string][]byte{
		"a length of 4 GiB":              append([]byte(magic), 0xff, 0xff, 0xff, 0xff, '{'),
		"a length of more than is there": append([]byte(magic), 0, 0, 3, 0, '{'),
		"no length":                      append([]byte(magic), 0),
		"no header":                      append([]byte(magic), 0, 0, 0, 0),
		"a short nonce":                  changed(func(h *header) { h.Nonce = "AAAAAAAAAAAA" }),
		"a long nonce":                   changed(func(h *header) { h.Nonce = strings.Repeat("A", 24) }),
		"no base64":                      changed(func(h *header) { h.Nonce = "!" }),
		"bits behind the nonce":          changed(func(h *header) { h.Nonce = "AAAAAAAAAAAAAAAA=" }),
		"another algorithm":              changed(func(h *header) { h.Algo = "none" }),
		"no time":                        changed(func(h *header) { h.CreatedAt = "today" }),
		"an end before the beginning":    changed(func(h *header) { h.Since = 2 }),
		"a field twice":                  raw(strings.Replace(string(text), `"since":0`, `"since":0,"since":0`, 1)),
		"a field that is unknown":        raw(strings.Replace(string(text), `{`, `{"x":1,`, 1)),
		"a field in capital letters":     raw(strings.Replace(string(text), `"since"`, `"SINCE"`, 1)),
		"a negative number":              raw(strings.Replace(string(text), `"since":0`, `"since":-1`, 1)),
		"deep JSON":                      raw(strings.Repeat("[", 1000)),
		"no ciphertext":                  raw(string(text))[:len(magic)+4+len(text)],
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := parseHeader(data)
			require.Error(t, err)
		})
	}
}

func TestRecordsOfAnAttacker(t *testing.T) {
	field := func(kv []byte, number protowire.Number, value string) []byte {
		return protowire.AppendString(protowire.AppendTag(kv, number, protowire.BytesType), value)
	}
	varint := func(kv []byte, number protowire.Number, value uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(kv, number, protowire.VarintType), value)
	}
	whole := varint(field(field(nil, 1, "k"), 2, "v"), 4, 7)
	records, err := decode(framed(whole))
	require.NoError(t, err)
	require.Equal(t, []Record{record("k", "v", 7)}, records)
	records, err = decode(append(framed(whole), framed(varint(varint(nil, 10, 1), 11, 1))...))
	require.NoError(t, err)
	require.Len(t, records, 1, "the end of a stream is no record")

	deep := []byte{}
	for range 1000 {
		deep = field(nil, 1, string(deep))
	}
	for name, plain := range map[string][]byte{
		"a length of 2^64 - 1":     append(slices.Repeat([]byte{0xff}, 8), whole...),
		"a length that is cut off": {1, 0, 0},
		"a list that is cut off":   framed(whole)[:20],
		"a group":                  framed(append(slices.Clone(whole), 0x0b, 0x0c)),
		"messages within messages": append(binary.LittleEndian.AppendUint64(nil, uint64(len(deep))), deep...),
		"the key twice":            framed(field(slices.Clone(whole), 1, "other")),
		"the value twice":          framed(field(slices.Clone(whole), 2, "other")),
		"the version twice":        framed(varint(slices.Clone(whole), 4, 8)),
		"an unknown field":         framed(field(slices.Clone(whole), 9, "x")),
		"a value that is a number": framed(varint(varint(field(nil, 1, "k"), 2, 1), 4, 7)),
		"a record twice":           append(framed(whole), framed(whole)...),
		"no key":                   framed(varint(field(nil, 2, "v"), 4, 7)),
		"a key of 5000 bytes":      framed(varint(field(nil, 1, strings.Repeat("k", 5000)), 4, 7)),
		"no version":               framed(field(field(nil, 1, "k"), 2, "v")),
		"two bytes of meta":        framed(field(slices.Clone(whole), 6, "\x00\x00")),
		"an operand of a merge":    framed(field(slices.Clone(whole), 6, "\x08")),
		"a time after all times":   framed(varint(slices.Clone(whole), 5, 1<<63)),
		"a number without an end":  framed(append(slices.Clone(whole), 0x28, 0xff, 0xff)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decode(plain)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "other")
		})
	}
}

func FuzzFile(f *testing.F) {
	for _, dir := range []string{"good", "torn-leftover", "bitflip-length", "header-short-nonce"} {
		paths, err := filepath.Glob(filepath.Join("testdata/small", dir, "backups/*.enc"))
		require.NoError(f, err)
		for _, path := range paths {
			data, err := os.ReadFile(path)
			require.NoError(f, err)
			f.Add(data)
		}
	}
	k := key(f, testdata(f, goodKey))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, ciphertext, err := parseHeader(data)
		if err != nil {
			return
		}
		require.Len(t, h.nonce, nonceSize)
		require.Less(t, len(ciphertext), len(data))
		_, _, _ = h.open(ciphertext, k)
	})
}

func FuzzRecords(f *testing.F) {
	f.Add(encode(record("a", "1", 1), gone("b", 2), record("c", "", 3)))
	f.Add(encode(record("ecdsa:w", strings.Repeat("v", 300), 1<<40)))
	f.Fuzz(func(t *testing.T, plain []byte) {
		records, err := decode(plain)
		if err != nil {
			return
		}
		again, err := decode(encode(records...))
		require.NoError(t, err)
		require.Len(t, again, len(records))
		state := maps.Clone(stateOf(records))
		require.Equal(t, state, stateOf(again))
	})
}
