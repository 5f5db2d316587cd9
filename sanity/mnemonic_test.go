package sanity_test

import (
	"bytes"
	"encoding/binary"
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

// numbered writes each word with its number, from this one on.
func numbered(form string, words []string, from int) string {
	var b strings.Builder
	for i, word := range words {
		fmt.Fprintf(&b, form, i+from, word)
	}
	return b.String()
}

// However words are written down, they are the words.
func TestWrittenForms(t *testing.T) {
	words := strings.Fields(mnemonic24)
	list, err := json.Marshal(words)
	require.NoError(t, err)
	column := func(rows int, form string) string { // down and then to the right
		var b strings.Builder
		for row := range rows {
			for i := row; i < len(words); i += rows {
				fmt.Fprintf(&b, form, i+1, words[i])
			}
			b.WriteString("\n")
		}
		return b.String()
	}
	rows := func(form string, first func(row int) int) string {
		var b strings.Builder
		for row := range 6 {
			fmt.Fprintf(&b, form, first(row), strings.Join(words[4*row:4*row+4], " "))
		}
		return b.String()
	}
	utf16 := func(order binary.AppendByteOrder, text string) string {
		var out []byte
		for _, r := range text {
			out = order.AppendUint16(out, uint16(r))
		}
		return string(out)
	}
	for name, raw := range map[string]string{
		"a byte order mark":                  "\ufeff" + mnemonic24,
		"byte order marks at both ends":      "\ufeff" + mnemonic24 + "\ufeff",
		"UTF-16, little end first":           utf16(binary.LittleEndian, "\ufeff"+mnemonic24+"\r\n"),
		"UTF-16, big end first":              utf16(binary.BigEndian, "\ufeff"+mnemonic24),
		"UTF-16 without a mark":              utf16(binary.LittleEndian, mnemonic24),
		"a zero-width space in a word":       strings.Replace(mnemonic24, "divert", "di\u200bvert", 1),
		"zero-width spaces between words":    strings.ReplaceAll(mnemonic24, " ", "\u200b"),
		"zero-width spaces beside spaces":    strings.ReplaceAll(mnemonic24, " ", " \u200b"),
		"marks of direction":                 "\u202a" + mnemonic24 + "\u202c",
		"a soft hyphen":                      strings.Replace(mnemonic24, "divert", "di\u00advert", 1),
		"narrow no-break spaces":             strings.ReplaceAll(mnemonic24, " ", "\u202f"),
		"line separators":                    strings.ReplaceAll(mnemonic24, " ", "\u2028"),
		"no-break spaces of Windows":         strings.ReplaceAll(mnemonic24, " ", "\xa0"),
		"quotes of Windows":                  "\x93" + mnemonic24 + "\x94",
		"commas":                             strings.ReplaceAll(mnemonic24, " ", ", "),
		"commas alone":                       strings.ReplaceAll(mnemonic24, " ", ","),
		"semicolons":                         strings.ReplaceAll(mnemonic24, " ", "; ") + ";",
		"hyphens":                            strings.ReplaceAll(mnemonic24, " ", "-"),
		"bars":                               "| " + strings.ReplaceAll(mnemonic24, " ", " | ") + " |",
		"bullets":                            "• " + strings.ReplaceAll(mnemonic24, " ", "\n• "),
		"quotes":                             `"` + mnemonic24 + `"`,
		"typographic quotes":                 "“" + mnemonic24 + "”",
		"each word in quotes":                `'` + strings.ReplaceAll(mnemonic24, " ", `' '`) + `'`,
		"a list of JSON":                     string(list),
		"an object of JSON":                  `{"mnemonic": ` + string(list) + `}`,
		"an object of JSON with a text":      `{"seed_phrase":"` + mnemonic24 + `\n"}`,
		"an object of JSON with other texts": "{\n\"address\": \"cosmos1abc\",\n\"mnemonic\": \"" + mnemonic24 + "\"\n}",
		"a list of objects of JSON":          "[" + strings.TrimSuffix(numbered(`{"index":%d,"word":"%s"},`, words, 1), ",") + "]",
		"a list of YAML":                     "mnemonic:\n- " + strings.ReplaceAll(mnemonic24, " ", "\n- "),
		"a text of YAML":                     "mnemonic: >-\n  " + strings.Join(words[:12], " ") + "\n  " + strings.Join(words[12:], " ") + "\n",
		"a variable":                         `SIGNER_SEED_PHRASE="` + mnemonic24 + `"`,
		"a variable that is exported":        `export MNEMONIC='` + mnemonic24 + `'` + "\n",
		"a variable of PowerShell":           `$env:MNEMONIC = "` + mnemonic24 + `"` + "\r\n",
		"a variable among others":            "CHAIN_ID=thorchain-1\nSIGNER_SEED_PHRASE=\"" + mnemonic24 + "\"\nNET=mainnet\n",
		"a name that is of the list":         "Seed phrase: " + mnemonic24,
		"a name on a line of its own":        "My words:\n\n" + mnemonic24,
		"numbers with dots":                  numbered("%d. %s\n", words, 1),
		"numbers with brackets":              numbered("%d) %s\n", words, 1),
		"numbers in brackets":                numbered("[%d] %s ", words, 1),
		"numbers with colons":                numbered("%d: %s\n", words, 1),
		"numbers with equals signs":          numbered("%d=%s\n", words, 1),
		"numbers alone":                      numbered("%d %s ", words, 1),
		"numbers from zero":                  numbered("%d %s\n", words, 0),
		"numbers of two digits":              numbered("%02d. %s\n", words, 1),
		"numbers on the words":               numbered("%d%s ", words, 1),
		"numbers with a hash sign":           numbered("#%d %s\n", words, 1),
		"numbers in circles":                 numbered("(%d) %s, ", words, 1),
		"numbers behind the words":           numbered("%[2]s (%[1]d)\n", words, 1),
		"a word before each number":          numbered("Word %d: %s\n", words, 1),
		"variables that are numbered":        numbered("word%d=%s\n", words, 1),
		"two columns":                        column(12, "%d. %s\t\t"),
		"three columns with bars":            column(8, "| %2d | %-10s "),
		"a table with a head":                "| # | word |\n|---|---|\n" + numbered("| %d | %s |\n", words, 1),
		"a table with a head of two words":   "No. | Word\n" + numbered("%d | %s\n", words, 1),
		"lines that are numbered":            rows("%d. %s\n", func(row int) int { return row + 1 }),
		"lines with the number of a word":    rows("%2d: %s\n", func(row int) int { return 4*row + 1 }),
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, mnemonic24, string(parse(t, raw).Bytes()))
		})
	}
}

// The error says of which neighbours the checksum would hold.
func TestSwappedNeighboursAreToldByTheirPlaces(t *testing.T) {
	for at := range 23 {
		words := strings.Fields(mnemonic24)
		words[at], words[at+1] = words[at+1], words[at]
		_, err := sanity.ParseMnemonic([]byte(strings.Join(words, " ")))
		require.ErrorContains(t, err, "two neighbours may be swapped")
		require.Regexp(t, fmt.Sprintf(`the words .*\b%d\b`, at+1), err.Error())
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
		"nothing":                           {"", "mnemonic has 0 words"},
		"white space":                       {" \n\t", "mnemonic has 0 words"},
		"one word too few":                  {strings.Join(words[:23], " "), "mnemonic has 23 words"},
		"one word too many":                 {mnemonic24 + " alter", "mnemonic has 25 words"},
		"twice 24 words":                    {mnemonic24 + " " + mnemonic24, "mnemonic has 48 words"},
		"nine words":                        {strings.Join(words[:9], " "), "mnemonic has 9 words"},
		"the first word unknown":            {with(1, "xylograph"), "word 1 of the mnemonic is not in"},
		"the last word unknown":             {with(24, "xylograph"), "word 24 of the mnemonic is not in"},
		"a word cut to four letters":        {with(5, "jeal"), "word 5 of the mnemonic is not in"},
		"a letter with an accent":           {with(7, "résponse"), "word 7 of the mnemonic is not in"},
		"a byte that is no UTF-8":           {with(3, "later\xff"), "word 3 of the mnemonic is not in"},
		"a zero byte at the end":            {mnemonic24 + "\x00", "mnemonic holds 1 NUL bytes"},
		"a block of zero bytes":             {mnemonic24 + strings.Repeat("\x00", 900), "mnemonic holds 900 NUL bytes"},
		"three words unknown":               {strings.Replace(with(1, "xylograph"), words[4]+" "+words[5], "aardvark zyzzyva", 1), "words 1, 5 and 6 of the mnemonic are not in"},
		"a letter of another alphabet":      {with(7, "respоnse"), "characters that are no English letters"},
		"numbers that count wrongly":        {numbered("%d. %s\n", words, 2), "numbers that do not count its words"},
		"a number too few":                  {strings.Replace(numbered("%d. %s\n", words, 1), "24. ", "", 1), "numbers that do not count its words"},
		"two mnemonics in one file":         {"A=\"" + mnemonic24 + "\"\nB=\"" + mnemonicAge + "\"", "mnemonic has 50 words"},
		"half of them in each of two lines": {"a: " + strings.Join(words[:12], " ") + "\nb: " + strings.Join(words[12:], " "), "mnemonic has 26 words"},
		"another word of the list":          {with(9, "zoo"), "fails its BIP39 checksum"},
		"two words exchanged":               {strings.Join(append([]string{words[1], words[0]}, words[2:]...), " "), "fails its BIP39 checksum"},
		"far more than a mnemonic can be":   {strings.Repeat(" ", 5000) + mnemonic24, "longer than 4096 bytes"},
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
	require.Equal(t, "[redacted]", m.String())
	require.Equal(t, "[redacted]", m.GoString())
	text, err := m.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "[redacted]", string(text))
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
