package sanity_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tyler-smith/go-bip39"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/sanity"
)

// Mnemonics made for these tests; the names say which of the words in EnvelopePrefix they hold.
const (
	mnemonic24  = "rookie utility later divert jealous wire response lens horse lottery switch decline bullet chest bicycle marine hour outdoor seek magnet plastic virus repeat alter"
	mnemonicAge = "travel version weekend age horse alone ensure ribbon ostrich teach there trust conduct arrange shed budget area planet imitate excess provide dinner ivory alert"
	mnemonicCry = "program ghost vintage cry lake insane crime myself riot cycle clerk express ribbon steak arena antique stove embody buyer nerve wheat vivid earth assault"
	mnemonicTwo = "final equal oblige age cry rough first rebel avocado earn vessel culture opera test swim smart flip daughter seminar rule educate loan keep boring"
	mnemonic12  = "bone rival cancel isolate usual snow napkin cliff south engine swap assume"
	mnemonic15  = "rally lyrics oxygen body general mule tortoise blame brave ring divorce net rule damp brisk"
	mnemonic18  = "blouse spare material top napkin build dry engage expect tuna voice also wife figure appear witness leg grape"
	mnemonic21  = "super dolphin coffee hamster grit pottery mention myth tiny argue tail victory insect expand message tree draft umbrella emerge hundred valley"
)

func parse(t testing.TB, text string) *sanity.Mnemonic {
	t.Helper()
	m, err := sanity.ParseMnemonic([]byte(text))
	require.NoError(t, err)
	return m
}

func TestEveryWritingOfTheWordsHasOneNormalForm(t *testing.T) {
	rows := map[string]string{
		"normal form itself":                      mnemonic24,
		"a newline at the end":                    mnemonic24 + "\n",
		"a carriage return and newline":           mnemonic24 + "\r\n",
		"white space all around":                  "\t  " + mnemonic24 + " \n\n",
		"one word per line":                       strings.ReplaceAll(mnemonic24, " ", "\n"),
		"several spaces between words":            strings.ReplaceAll(mnemonic24, " ", "   "),
		"no-break spaces":                         strings.ReplaceAll(mnemonic24, " ", "\u00a0"),
		"ideographic spaces":                      strings.ReplaceAll(mnemonic24, " ", "\u3000"),
		"capital letters":                         strings.ToUpper(mnemonic24),
		"full-width letters":                      fullWidth(mnemonic24),
		"full-width capital letters":              fullWidth(strings.ToUpper(mnemonic24)),
		"the Kelvin sign in the place of a K":     strings.ReplaceAll(mnemonic24, "k", "\u212a"),
		"a ligature that decomposes into letters": strings.ReplaceAll(mnemonic24, "st", "\ufb06"),
	}
	for name, raw := range rows {
		t.Run(name, func(t *testing.T) {
			m := parse(t, raw)
			require.Equal(t, mnemonic24, string(m.Bytes()))
			require.Equal(t, 24, m.Words())
			require.Equal(t, bip39.NewSeed(mnemonic24, ""), m.Seed())
		})
	}
}

func fullWidth(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' {
			return r - '!' + '\uff01'
		}
		return r
	}, s)
}

func TestMnemonicsThatAreRefused(t *testing.T) {
	words := strings.Fields(mnemonic24)
	with := func(at int, word string) string {
		changed := append([]string(nil), words...)
		changed[at-1] = word
		return strings.Join(changed, " ")
	}
	rows := map[string]struct{ raw, want string }{
		"nothing":                         {"", "mnemonic has 0 words"},
		"white space":                     {" \n\t", "mnemonic has 0 words"},
		"one word too few":                {strings.Join(words[:23], " "), "mnemonic has 23 words"},
		"one word too many":               {mnemonic24 + " alter", "mnemonic has 25 words"},
		"twice 24 words":                  {mnemonic24 + " " + mnemonic24, "mnemonic has 48 words"},
		"nine words":                      {strings.Join(words[:9], " "), "mnemonic has 9 words"},
		"the first word unknown":          {with(1, "xylograph"), "word 1 of the mnemonic is not in"},
		"the last word unknown":           {with(24, "xylograph"), "word 24 of the mnemonic is not in"},
		"a word cut to four letters":      {with(5, "jeal"), "word 5 of the mnemonic is not in"},
		"a word with a comma":             {with(2, "utility,"), "word 2 of the mnemonic is not in"},
		"a letter with an accent":         {with(7, "résponse"), "word 7 of the mnemonic is not in"},
		"a byte that is no UTF-8":         {with(3, "later\xff"), "word 3 of the mnemonic is not in"},
		"a zero byte at the end":          {mnemonic24 + "\x00", "word 24 of the mnemonic is not in"},
		"a byte order mark at the start":  {"\ufeff" + mnemonic24, "word 1 of the mnemonic is not in"},
		"a zero-width space in a word":    {with(4, "di\u200bvert"), "word 4 of the mnemonic is not in"},
		"another word of the list":        {with(9, "zoo"), "fails its BIP39 checksum"},
		"two words exchanged":             {strings.Join(append([]string{words[1], words[0]}, words[2:]...), " "), "fails its BIP39 checksum"},
		"far more than a mnemonic can be": {strings.Repeat(" ", 5000) + mnemonic24, "longer than 4096 bytes"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			m, err := sanity.ParseMnemonic([]byte(row.raw))
			require.Nil(t, m)
			require.ErrorContains(t, err, row.want)
			for _, word := range strings.Fields(row.raw) {
				// "word" and "mnemonic" would be in the errors whatever the words; none of these
				// is.
				require.NotContains(t, err.Error(), word)
			}
		})
	}
}

func TestMnemonicAgreesWithTheBIP39Library(t *testing.T) {
	for _, bits := range []int{128, 160, 192, 224, 256} {
		t.Run(fmt.Sprint(bits), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				entropy := rapid.SliceOfN(rapid.Byte(), bits/8, bits/8).Draw(t, "entropy")
				text, err := bip39.NewMnemonic(entropy)
				require.NoError(t, err)
				m, err := sanity.ParseMnemonic([]byte(text))
				require.NoError(t, err)
				require.Equal(t, text, string(m.Bytes()))

				words := strings.Fields(text)
				at := rapid.IntRange(0, len(words)-1).Draw(t, "at")
				words[at] = rapid.SampledFrom(bip39.GetWordList()).Draw(t, "word")
				changed := strings.Join(words, " ")
				_, err = sanity.ParseMnemonic([]byte(changed))
				require.Equal(t, bip39.IsMnemonicValid(changed), err == nil)
			})
		})
	}
}

func TestSeedOfThePublishedVector(t *testing.T) {
	m := parse(t, strings.Repeat("abandon ", 11)+"about")
	require.Equal(t, "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc1"+
		"9a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4", hex.EncodeToString(m.Seed()))
}

func TestWhatMayBeSealedWith(t *testing.T) {
	rows := map[string]struct{ text, want string }{
		"24 words drawn at random":           {mnemonic24, ""},
		"24 words with age":                  {mnemonicAge, ""},
		"24 words with cry":                  {mnemonicCry, ""},
		"24 words with both":                 {mnemonicTwo, ""},
		"12 words, enough to open":           {mnemonic12, "mnemonic has 12 words"},
		"15 words, enough to open":           {mnemonic15, "mnemonic has 15 words"},
		"18 words, enough to open":           {mnemonic18, "mnemonic has 18 words"},
		"21 words, enough to open":           {mnemonic21, "mnemonic has 21 words"},
		"one word 23 times and its checksum": {strings.Repeat("abandon ", 23) + "art", "bits of entropy per byte"},
		"all bits set":                       {strings.Repeat("zoo ", 23) + "vote", "bits of entropy per byte"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			err := parse(t, row.text).CheckSeal()
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.want)
		})
	}
	require.Error(t, new(sanity.Mnemonic).CheckSeal(), "the zero mnemonic")
	require.Error(t, (*sanity.Mnemonic)(nil).CheckSeal(), "no mnemonic at all")
}

func TestEntropyPerByte(t *testing.T) {
	// log2(93) - (23·log2(23) + 22·log2(22) + 2·12·log2(12) + 2·11·log2(11)) / 93, worked out by
	// hand.
	counts := map[rune]int{}
	text := strings.Repeat("abandon ", 11) + "about"
	for _, r := range text {
		counts[r]++
	}
	require.Equal(t, map[rune]int{'a': 23, 'b': 12, 'n': 22, 'd': 11, 'o': 12, ' ': 11, 'u': 1, 't': 1}, counts)
	require.InDelta(t, 2.6220, parse(t, text).Entropy(), 0.0001)
	require.Zero(t, new(sanity.Mnemonic).Entropy())
}

func TestMnemonicShowsItselfNowhere(t *testing.T) {
	m := parse(t, mnemonic24)
	type exported struct {
		M *sanity.Mnemonic
		V sanity.Mnemonic
	}
	type unexported struct {
		m *sanity.Mnemonic
		v sanity.Mnemonic
	}
	values := map[string]any{
		"pointer":                   m,
		"value":                     *m,
		"in exported fields":        exported{m, *m},
		"in unexported fields":      unexported{m, *m},
		"pointer to such a struct":  &unexported{m, *m},
		"in a slice":                []*sanity.Mnemonic{m},
		"in a map":                  map[string]sanity.Mnemonic{"m": *m},
		"in an error":               fmt.Errorf("mnemonic %v and %+v", m, *m),
		"in an interface in a list": []any{m, *m},
	}
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			for _, verb := range strings.Split("v +v #v s q x X d b o O c U e f g t p T w +q #x # x", " ") {
				requireSilent(t, fmt.Sprintf("%"+verb, value))
			}
			requireSilent(t, fmt.Sprint(value))
			requireSilent(t, fmt.Sprintln(value))

			encoded, err := json.Marshal(value)
			require.NoError(t, err)
			requireSilent(t, string(encoded))

			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("text", "mnemonic", value)
			slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "mnemonic", value)
			requireSilent(t, log.String())
		})
	}
	require.Equal(t, "[redacted mnemonic]", m.String())
	require.Equal(t, "[redacted mnemonic]", m.GoString())
	text, err := m.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "[redacted mnemonic]", string(text))
}

// requireSilent looks for the first word of mnemonic24 in every form that fmt could write its bytes
// in.
func requireSilent(t *testing.T, shown string) {
	t.Helper()
	word := []byte("rookie")
	for _, form := range []string{
		"%s", "%x", "% x", "%X", "% X", "%d", "%b", "%o", "%O", "%c", "%U", "%v",
	} {
		require.NotContains(t, shown, strings.Trim(fmt.Sprintf(form, word), "[]"))
	}
	require.NotContains(t, shown, strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", word), "[]byte"), "{}"))
}

func TestWipeLeavesNothing(t *testing.T) {
	m := parse(t, mnemonic24)
	text := m.Bytes()
	m.Wipe()
	require.Equal(t, make([]byte, len(mnemonic24)), text)
	require.Empty(t, m.Bytes())
	require.Zero(t, m.Words())
	require.Error(t, m.CheckSeal())
	m.Wipe()
	(*sanity.Mnemonic)(nil).Wipe()

	b := []byte("secret")
	sanity.Wipe(b)
	require.Equal(t, make([]byte, 6), b)
}

func TestParseDoesNotKeepOrChangeWhatItReads(t *testing.T) {
	raw := []byte("  " + strings.ToUpper(mnemonic24) + "\n")
	before := bytes.Clone(raw)
	m, err := sanity.ParseMnemonic(raw)
	require.NoError(t, err)
	require.Equal(t, before, raw)
	sanity.Wipe(raw)
	require.Equal(t, mnemonic24, string(m.Bytes()))
}

func FuzzParseMnemonic(f *testing.F) {
	for _, text := range []string{mnemonic24, mnemonicTwo, mnemonic12, mnemonic15, mnemonic18, mnemonic21, "", "abandon", strings.ToUpper(mnemonic12) + "\r\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := sanity.ParseMnemonic(raw)
		if err != nil {
			if m != nil {
				t.Fatal("a mnemonic and an error")
			}
			return
		}
		text := string(m.Bytes())
		if !bip39.IsMnemonicValid(text) {
			t.Fatal("the BIP39 library refuses what was accepted")
		}
		again, err := sanity.ParseMnemonic([]byte(text))
		if err != nil || string(again.Bytes()) != text {
			t.Fatal("the normal form of the normal form is another")
		}
		if len(strings.Fields(text)) != m.Words() {
			t.Fatal("wrong number of words")
		}
	})
}
