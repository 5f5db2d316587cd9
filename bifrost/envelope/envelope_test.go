package envelope

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/fixture"
)

const (
	mnemonic24    = "rookie utility later divert jealous wire response lens horse lottery switch decline bullet chest bicycle marine hour outdoor seek magnet plastic virus repeat alter"
	mnemonicOther = "stool shrimp floor hidden parent change runway industry lift couple panel story ceiling door wall suit sheriff congress country base robust addict extra avoid"
	mnemonicAge   = "travel version weekend age horse alone ensure ribbon ostrich teach there trust conduct arrange shed budget area planet imitate excess provide dinner ivory alert"
	mnemonicCry   = "program ghost vintage cry lake insane crime myself riot cycle clerk express ribbon steak arena antique stove embody buyer nerve wheat vivid earth assault"
	mnemonicTwo   = "final equal oblige age cry rough first rebel avocado earn vessel culture opera test swim smart flip daughter seminar rule educate loan keep boring"
	mnemonic12    = "bone rival cancel isolate usual snow napkin cliff south engine swap assume"

	// testWorkFactor keeps the tests fast.
	testWorkFactor = 4
)

func parse(t testing.TB, text string) *sanity.Mnemonic {
	t.Helper()
	m, err := sanity.ParseMnemonic([]byte(text))
	require.NoError(t, err)
	return m
}

// keyshares returns the fixture's files of one member as this package takes them.
func keyshares(t testing.TB, size, member int) []File {
	t.Helper()
	var files []File
	for _, file := range fixture.Keyshares(t, size, member) {
		files = append(files, File(file))
	}
	return files
}

func TestEveryKeyshareComesBackByteForByte(t *testing.T) {
	m := parse(t, mnemonic24)
	for _, size := range fixture.Sizes {
		for member := range fixture.Members(t, size) {
			t.Run(fmt.Sprintf("member %d of %d", member, size), func(t *testing.T) {
				files := keyshares(t, size, member)
				sealed, err := Seal(files, m, WithWorkFactor(testWorkFactor))
				require.NoError(t, err)
				opened, err := Open(sealed, m)
				require.NoError(t, err)
				require.Equal(t, keyshares(t, size, member), opened)
				require.Equal(t, keyshares(t, size, member), files, "the input was changed")
			})
		}
	}
}

func TestAnyFilesComeBackSortedByName(t *testing.T) {
	m := parse(t, mnemonic24)
	rapid.Check(t, func(t *rapid.T) {
		contents := rapid.MapOfN(rapid.StringMatching("[a-z0-9]{1,84}"), rapid.SliceOfN(rapid.Byte(), minFile, 3000), 1, maxFiles).Draw(t, "contents")
		var files []File
		for key, data := range contents {
			files = append(files, File{Name: "localstate-" + key + ".json", Data: data})
		}
		sealed, err := Seal(files, m, WithWorkFactor(1))
		require.NoError(t, err)
		opened, err := Open(sealed, m)
		require.NoError(t, err)
		require.ElementsMatch(t, files, opened)
		for i := range opened[1:] {
			require.Less(t, opened[i].Name, opened[i+1].Name)
		}
	})
}

func TestASealedEnvelopeHasTheFormThatTheChainAccepts(t *testing.T) {
	sealed, err := Seal(keyshares(t, 4, 0), parse(t, mnemonic24))
	require.NoError(t, err)
	require.NoError(t, sanity.CheckEnvelopeForm(sealed, sanity.EnvelopeRules{
		MaxBytes:      512 << 10,
		MinWorkFactor: 18,
		MaxWorkFactor: sanity.MaxWorkFactor,
	}))
}

func TestSealNeverGivesTheSameEnvelopeTwice(t *testing.T) {
	m := parse(t, mnemonic24)
	seen := make(map[[32]byte]bool)
	for range 20 {
		sealed, err := Seal(keyshares(t, 4, 0), m, WithWorkFactor(1))
		require.NoError(t, err)
		require.NoError(t, sanity.CheckNoWord(sealed, m))
		seen[sha256.Sum256(sealed)] = true
	}
	require.Len(t, seen, 20)
}

// The words "age" and "cry" stand in the beginning of every envelope; a mnemonic that holds them
// can be used all the same.
func TestMnemonicsWithTheWordsOfThePrefix(t *testing.T) {
	for name, text := range map[string]string{"age": mnemonicAge, "cry": mnemonicCry, "both": mnemonicTwo} {
		t.Run(name, func(t *testing.T) {
			m := parse(t, text)
			sealed, err := Seal(keyshares(t, 4, 0), m, WithWorkFactor(testWorkFactor))
			require.NoError(t, err)
			opened, err := Open(sealed, m)
			require.NoError(t, err)
			require.Equal(t, keyshares(t, 4, 0), opened)
		})
	}
}

func TestTheWritingOfTheMnemonicMakesNoDifference(t *testing.T) {
	sealed, err := Seal(keyshares(t, 4, 0), parse(t, mnemonic24), WithWorkFactor(testWorkFactor))
	require.NoError(t, err)
	_, err = Open(sealed, parse(t, "  "+strings.ToUpper(strings.ReplaceAll(mnemonic24, " ", "\n"))+"\r\n"))
	require.NoError(t, err)
}

func TestWhatIsNotSealed(t *testing.T) {
	good := File{Name: "localstate-key.json", Data: []byte(dataA)}
	named := func(name string) []File { return []File{good, {Name: name, Data: good.Data}} }
	many := make([]File, maxFiles+1)
	for i := range many {
		many[i] = File{Name: fmt.Sprintf("localstate-%d.json", i), Data: good.Data}
	}
	rows := map[string]struct {
		mnemonic string
		files    []File
		want     string
	}{
		"a mnemonic of 12 words":         {mnemonic12, []File{good}, "mnemonic has 12 words"},
		"a mnemonic of one word":         {strings.Repeat("abandon ", 23) + "art", []File{good}, "bits of entropy per byte"},
		"no files":                       {mnemonic24, nil, "no files"},
		"an empty file":                  {mnemonic24, []File{{Name: good.Name}}, "has 0 bytes, fewer than any keyshare"},
		"a file of a few bytes":          {mnemonic24, []File{{Name: good.Name, Data: good.Data[:31]}}, "has 31 bytes, fewer than any keyshare"},
		"two files of one name":          {mnemonic24, []File{good, good}, "two files to seal are named localstate-key.json"},
		"too many files":                 {mnemonic24, many, "17 files to seal"},
		"no name":                        {mnemonic24, named(""), "is not named localstate-"},
		"a name without a key":           {mnemonic24, named("localstate-.json"), "is not named localstate-"},
		"a name that goes up":            {mnemonic24, named("localstate-../key.json"), "is not named localstate-"},
		"a name in a folder":             {mnemonic24, named("folder/localstate-key.json"), "is not named localstate-"},
		"a name of another system":       {mnemonic24, named(`localstate-a\b.json`), "is not named localstate-"},
		"a name with a second extension": {mnemonic24, named("localstate-key.json.json"), "is not named localstate-"},
		"a name with capital letters":    {mnemonic24, named("localstate-KEY.json"), "is not named localstate-"},
		"a name with a zero byte":        {mnemonic24, named("localstate-k\x00y.json"), "is not named localstate-"},
		"a name too long for ustar":      {mnemonic24, named("localstate-" + strings.Repeat("k", 85) + ".json"), "is not named localstate-"},
		"more than 64 MiB":               {mnemonic24, []File{{Name: good.Name, Data: make([]byte, 64<<20)}}, "envelope is too large"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			sealed, err := Seal(row.files, parse(t, row.mnemonic), WithWorkFactor(1))
			require.Nil(t, sealed)
			require.ErrorContains(t, err, row.want)
		})
	}
	for _, workFactor := range []int{-1, 0, 23, 64} {
		_, err := Seal([]File{good}, parse(t, mnemonic24), WithWorkFactor(workFactor))
		require.ErrorContains(t, err, "work factor must be from 1 to 22")
	}
	_, err := Seal([]File{good}, nil)
	require.ErrorContains(t, err, "mnemonic has 0 words")
}

func TestWordsByChanceAreSealedAgain(t *testing.T) {
	m := parse(t, mnemonic24)
	files := keyshares(t, 4, 0)
	// sealWithHits has the first so many envelopes hold a word, as chance may have it.
	sealWithHits := func(hits int) (sealed []byte, calls int, err error) {
		sealed, err = seal(files, m, func(stream []byte) ([]byte, error) {
			calls++
			envelope, err := encrypt(stream, m, testWorkFactor)
			if calls <= hits {
				copy(envelope[len(envelope)-20:], "lens")
			}
			return envelope, err
		})
		return sealed, calls, err
	}
	for hits := range sealAttempts {
		sealed, calls, err := sealWithHits(hits)
		require.NoError(t, err)
		require.NoError(t, sanity.CheckNoWord(sealed, m))
		require.Equal(t, hits+1, calls)
		opened, err := Open(sealed, m)
		require.NoError(t, err)
		require.Equal(t, files, opened)
	}
	sealed, calls, err := sealWithHits(sealAttempts)
	require.ErrorIs(t, err, sanity.ErrHoldsWord)
	require.Nil(t, sealed)
	require.Equal(t, sealAttempts, calls)
}

func TestFaultyEncryptionIsNoticed(t *testing.T) {
	m := parse(t, mnemonic24)
	files := keyshares(t, 4, 0)
	fault := errors.New("encryption is out of order")
	good := func(stream []byte) []byte {
		envelope, err := encrypt(stream, m, testWorkFactor)
		require.NoError(t, err)
		return envelope
	}
	other := parse(t, mnemonicOther)
	rows := map[string]struct {
		encrypt func(stream []byte) ([]byte, error)
		want    error
	}{
		"an error":            {func([]byte) ([]byte, error) { return nil, fault }, fault},
		"nothing at all":      {func([]byte) ([]byte, error) { return nil, nil }, sanity.ErrIsInput},
		"the stream as it is": {func(stream []byte) ([]byte, error) { return stream, nil }, sanity.ErrIsInput},
		"the stream behind age's header": {func(stream []byte) ([]byte, error) {
			return append(good(stream)[:200], stream...), nil
		}, sanity.ErrHoldsInput},
		"a file behind the envelope":       {func(stream []byte) ([]byte, error) { return append(good(stream), files[1].Data...), nil }, sanity.ErrHoldsInput},
		"the mnemonic behind the envelope": {func(stream []byte) ([]byte, error) { return append(good(stream), mnemonic24...), nil }, sanity.ErrHoldsPassphrase},
		"one byte changed": {func(stream []byte) ([]byte, error) {
			envelope := good(stream)
			envelope[len(envelope)-1] ^= 1
			return envelope, nil
		}, ErrDamaged},
		"another mnemonic": {func(stream []byte) ([]byte, error) { return encrypt(stream, other, testWorkFactor) }, ErrWrongMnemonic},
		"another vault": {func([]byte) ([]byte, error) {
			return Seal(keyshares(t, 4, 1), m, WithWorkFactor(testWorkFactor))
		}, sanity.ErrDoesNotOpen},
		"an envelope too large to open": {func(stream []byte) ([]byte, error) { return make([]byte, MaxBytes+1), nil }, ErrTooLarge},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			calls := 0
			sealed, err := seal(files, m, func(stream []byte) ([]byte, error) {
				calls++
				return row.encrypt(stream)
			})
			require.ErrorIs(t, err, row.want)
			require.Nil(t, sealed)
			require.Equal(t, 1, calls, "only words by chance are tried again")
		})
	}
}

func TestErrorsHoldNoWordOfTheMnemonic(t *testing.T) {
	m := parse(t, mnemonic24)
	sealed, err := Seal(keyshares(t, 4, 0), m, WithWorkFactor(testWorkFactor))
	require.NoError(t, err)
	_, err = Open(sealed, parse(t, mnemonicOther))
	require.ErrorIs(t, err, ErrWrongMnemonic)
	for _, word := range strings.Fields(mnemonicOther) {
		require.NotContains(t, err.Error(), word)
	}
	_, err = Open(sealed, nil)
	require.ErrorContains(t, err, "no mnemonic")
	m.Wipe()
	_, err = Open(sealed, m)
	require.ErrorContains(t, err, "no mnemonic")
}

// Every single bit of a small envelope is flipped, and every length cut: nothing opens, and the
// error is the one that the place calls for.
func TestNoBitCanBeChangedAndNoByteCutOff(t *testing.T) {
	m := parse(t, mnemonic24)
	sealed, err := Seal([]File{{Name: nameA, Data: []byte(dataA)}}, m, WithWorkFactor(1))
	require.NoError(t, err)
	saltStart := len(sanity.EnvelopePrefix)
	saltEnd := saltStart + 22
	bodyStart := saltEnd + len(" 1\n")
	bodyEnd := bodyStart + 43
	for i := range sealed {
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1 << bit
			if i == saltEnd+1 && changed[i] >= '1' && changed[i] <= '9' {
				continue // more work, for nothing: the mnemonic is wrong then
			}
			files, err := Open(changed, m)
			require.Nil(t, files)
			switch {
			case i < saltStart:
				require.ErrorIs(t, err, ErrNotEnvelope)
			case i < saltEnd, i >= bodyStart && i < bodyEnd:
				if !errors.Is(err, ErrDamaged) { // no canonical base64 any more
					require.ErrorIs(t, err, ErrWrongMnemonic)
				}
			default:
				require.ErrorIs(t, err, ErrDamaged)
			}
		}
	}
	for n := range sealed {
		files, err := Open(sealed[:n], m)
		require.Nil(t, files)
		if n < saltStart {
			require.ErrorIs(t, err, ErrNotEnvelope)
		} else {
			require.ErrorIs(t, err, ErrDamaged)
		}
	}
}

// The files in testdata/stock were sealed by age, xz and tar of Debian 12 alone.
func TestAnEnvelopeMadeByStockToolsOpens(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", "stock", name))
		require.NoError(t, err)
		return data
	}
	m, err := sanity.ParseMnemonic(read("mnemonic"))
	require.NoError(t, err)
	opened, err := Open(read("envelope.age"), m)
	require.NoError(t, err)
	require.Len(t, opened, 2)
	for _, file := range opened {
		require.Equal(t, string(read(file.Name)), string(file.Data))
	}
}

// FuzzOpen lets anything be opened. Whatever opens must be what Seal makes of the files it gave,
// but for the randomness.
func FuzzOpen(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add(v.Envelope)
	}
	m := parse(f, mnemonic24)
	f.Fuzz(func(t *testing.T, envelope []byte) {
		form := sanity.CheckEnvelopeForm(envelope, sanity.EnvelopeRules{MaxBytes: MaxBytes, MinWorkFactor: 1, MaxWorkFactor: 10})
		if errors.Is(form, sanity.ErrTooMuchWork) {
			return // allowed, but it makes fuzzing slow
		}
		files, err := Open(envelope, m)
		if err == nil {
			if form != nil || len(files) == 0 {
				t.Fatal("opened what is no envelope")
			}
			return
		}
		if files != nil {
			t.Fatal("files and an error")
		}
		requireTyped(t, err)
		if form == nil {
			// What the form parser accepts, age can read.
			identity, err := age.NewScryptIdentity(mnemonic24)
			require.NoError(t, err)
			_, err = age.Decrypt(bytes.NewReader(envelope), identity)
			var noMatch *age.NoIdentityMatchError
			if err != nil && !errors.As(err, &noMatch) && !strings.Contains(err.Error(), "bad header MAC") {
				t.Fatalf("age does not read the header: %v", err)
			}
		}
	})
}

// FuzzContent begins where encryption ends, because no change to an envelope gets past age.
func FuzzContent(f *testing.F) {
	archive, err := pack([]File{{Name: nameA, Data: []byte(dataA)}, {Name: nameB, Data: []byte(dataB)}})
	require.NoError(f, err)
	stream, err := compress(archive)
	require.NoError(f, err)
	f.Add(stream)
	f.Add(archive)
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) >= 5 && binary.LittleEndian.Uint32(content[1:]) > 1<<20 {
			return // allowed up to 64 MiB, but it makes fuzzing slow
		}
		archive, err := Decompress(content, 1<<20)
		if err != nil {
			requireTyped(t, err)
			archive = content
		}
		files, err := unpack(archive)
		if err != nil {
			requireTyped(t, err)
			return
		}
		for _, file := range files {
			if len(file.Data) < minFile {
				return
			}
		}
		again, err := pack(files)
		if err != nil {
			t.Fatalf("what was unpacked cannot be packed: %v", err)
		}
		if more, err := unpack(again); err != nil || len(more) != len(files) {
			t.Fatal("what was packed cannot be unpacked")
		}
	})
}

// requireTyped fails the test unless the error is one that a caller can branch on.
func requireTyped(t *testing.T, err error) {
	t.Helper()
	for _, typed := range []error{ErrWrongMnemonic, ErrNotEnvelope, ErrDamaged, ErrTooLarge} {
		if errors.Is(err, typed) {
			return
		}
	}
	t.Fatalf("not a typed error: %v", err)
}
