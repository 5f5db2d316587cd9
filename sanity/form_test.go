package sanity_test

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tyler-smith/go-bip39/wordlists"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/sanity"
)

const (
	salt    = "c2FsdHNhbHRzYWx0c2FsdA"                      // 16 bytes
	body    = "Ym9keWJvZHlib2R5Ym9keWJvZHlib2R5Ym9keWJvZHk" // 32 bytes
	mac     = "bWFjbWFjbWFjbWFjbWFjbWFjbWFjbWFjbWFjbWFjbWE" // 32 bytes
	version = "age-encryption.org/v1\n"
	header  = version + "-> scrypt " + salt + " 18\n" + body + "\n--- " + mac + "\n"
)

var rules = sanity.EnvelopeRules{MaxBytes: 512 << 10, MinWorkFactor: 18, MaxWorkFactor: sanity.MaxWorkFactor}

// payload returns so many bytes without a letter in them.
func payload(n int) string { return strings.Repeat("\x80", n) }

func TestFormsThatAreAccepted(t *testing.T) {
	rows := map[string]string{
		"the shortest payload":                     header + payload(16+16+1),
		"a payload that ends right before a chunk": header + payload(16+65551),
		"one full chunk":                           header + payload(16+65552),
		"a full chunk and one byte":                header + payload(16+65552+17),
		"seven full chunks":                        header + payload(16+7*65552),
		"the lowest work factor":                   header + payload(100),
		"the highest work factor":                  strings.Replace(header, " 18\n", " 20\n", 1) + payload(100),
		"exactly the largest size":                 header + payload(512<<10-len(header)),
		"eleven mnemonic words in a row":           header + payload(40) + words(11),
		"twelve words with another between":        header + payload(40) + words(11) + " xyz " + words(1),
		"twelve words grown together":              header + payload(40) + strings.ReplaceAll(words(12), " ", ""),
		"a payload of letters":                     header + strings.Repeat("x", 1000),
	}
	for name, envelope := range rows {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, sanity.CheckEnvelopeForm([]byte(envelope), rules))
		})
	}
}

// words returns the first n words of a mnemonic.
func words(n int) string { return strings.Join(strings.Fields(mnemonic24)[:n], " ") }

func TestFormsThatAreRefused(t *testing.T) {
	good := header + payload(100)
	replace := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	upper := strings.ToUpper(words(12))
	rows := map[string]struct{ envelope, want string }{
		"nothing":                      {"", "does not begin with"},
		"a part of the prefix":         {"age-encryption.org/v1\n-> scr", "does not begin with"},
		"another version":              {replace("v1", "v2"), "does not begin with"},
		"capital letters":              {replace("age-e", "Age-e"), "does not begin with"},
		"a carriage return":            {replace("v1\n", "v1\r\n"), "does not begin with"},
		"a space before":               {" " + good, "does not begin with"},
		"armour":                       {"-----BEGIN AGE ENCRYPTED FILE-----\n", "does not begin with"},
		"another recipient":            {replace("-> scrypt", "-> X25519"), "does not begin with"},
		"a stanza before":              {replace("-> scrypt", "-> grease\n\n-> scrypt"), "does not begin with"},
		"only the prefix":              {sanity.EnvelopePrefix, "ends in the stanza's first line"},
		"no work factor":               {replace(" 18\n", "\n"), "no work factor"},
		"a second space":               {replace(" 18\n", "  18\n"), "not a decimal number"},
		"a third argument":             {replace(" 18\n", " 18 1\n"), "not a decimal number"},
		"no salt":                      {replace(salt, ""), "stanza's salt"},
		"a salt that is short":         {replace(salt, salt[:21]), "stanza's salt"},
		"a salt that is long":          {replace(salt, salt+"A"), "stanza's salt"},
		"a salt with padding":          {replace(salt, salt+"=="), "stanza's salt"},
		"a salt with bits left over":   {replace(salt, salt[:21]+"B"), "stanza's salt"},
		"a salt in URL's base64":       {replace(salt, "_-FsdHNhbHRzYWx0c2FsdA"), "stanza's salt"},
		"an empty work factor":         {replace(" 18\n", " \n"), "not a decimal number"},
		"a leading zero":               {replace(" 18\n", " 018\n"), "not a decimal number"},
		"a work factor of zero":        {replace(" 18\n", " 0\n"), "not a decimal number"},
		"a sign":                       {replace(" 18\n", " +18\n"), "not a decimal number"},
		"a negative work factor":       {replace(" 18\n", " -18\n"), "not a decimal number"},
		"a hexadecimal work factor":    {replace(" 18\n", " 0x12\n"), "not a decimal number"},
		"a carriage return in it":      {replace(" 18\n", " 18\r\n"), "not a decimal number"},
		"a work factor too low":        {replace(" 18\n", " 17\n"), "work factor is 17: at least 18"},
		"a work factor too high":       {replace(" 18\n", " 21\n"), "too high: at most 20"},
		"a work factor of 19 digits":   {replace(" 18\n", " 1800000000000000000\n"), "too high"},
		"one that wraps to 18":         {replace(" 18\n", " 18446744073709551634\n"), "too high"},
		"the end after it":             {version + "-> scrypt " + salt + " 18\n", "ends in the stanza's body"},
		"no body":                      {replace(body, ""), "stanza's body"},
		"a body that is short":         {replace(body, body[:42]), "stanza's body"},
		"a body that is long":          {replace(body, body+"AA"), "stanza's body"},
		"a body with padding":          {replace(body, body+"="), "stanza's body"},
		"a body with bits left over":   {replace(body, body[:42]+"l"), "stanza's body"},
		"a body in two lines":          {replace(body, body[:20]+"\n"+body[20:]), "stanza's body"},
		"a space in the body":          {replace(body, body[:42]+" "), "stanza's body"},
		"an empty line after the body": {replace(body+"\n", body+"\n\n"), "not followed by the header's last line"},
		"a second scrypt stanza":       {replace("--- ", "-> scrypt "+salt+" 18\n"+body+"\n--- "), "not followed by the header's last line"},
		"a stanza after":               {replace("--- ", "-> grease\n\n--- "), "not followed by the header's last line"},
		"the end before the MAC":       {version + "-> scrypt " + salt + " 18\n" + body + "\n---", "ends in the line after the stanza"},
		"no space before the MAC":      {replace("--- ", "---"), "not followed by the header's last line"},
		"two spaces before the MAC":    {replace("--- ", "---  "), "header's MAC"},
		"no MAC":                       {replace(mac, ""), "header's MAC"},
		"a MAC that is short":          {replace(mac, mac[:42]), "header's MAC"},
		"a MAC with padding":           {replace(mac, mac+"="), "header's MAC"},
		"a MAC with bits left over":    {replace(mac, mac[:42]+"B"), "header's MAC"},
		"a MAC and more":               {replace(mac, mac+" x"), "header's MAC"},
		"no payload":                   {header, "0 bytes, which hold nothing"},
		"a nonce alone":                {header + payload(16), "16 bytes, which hold nothing"},
		"an empty plaintext":           {header + payload(32), "32 bytes, which hold nothing"},
		"one byte after a full chunk":  {header + payload(16+65552+1), "no whole number of chunks"},
		"an empty last chunk":          {header + payload(16+65552+16), "no whole number of chunks"},
		"one byte too large":           {header + payload(512<<10-len(header)+1), "has 524289 bytes: at most 524288"},
		"a mnemonic":                   {good + mnemonic24, "12 mnemonic words in a row"},
		"twelve words of a mnemonic":   {good + words(12), "12 mnemonic words in a row"},
		"in capital letters":           {good + upper, "12 mnemonic words in a row"},
		"in mixed letters":             {good + strings.ReplaceAll(words(12), "e", "E"), "12 mnemonic words in a row"},
		"one per line":                 {good + strings.ReplaceAll(words(12), " ", "\r\n"), "12 mnemonic words in a row"},
		"with commas":                  {good + strings.ReplaceAll(words(12), " ", ", "), "12 mnemonic words in a row"},
		"with numbers":                 {good + strings.ReplaceAll(words(12), " ", " 7. "), "12 mnemonic words in a row"},
		"with zero bytes":              {good + strings.ReplaceAll(words(12), " ", "\x00"), "12 mnemonic words in a row"},
		"as JSON":                      {good + `["` + strings.ReplaceAll(words(12), " ", `","`) + `"]`, "12 mnemonic words in a row"},
		"in the middle":                {header + payload(20) + words(12) + payload(20), "12 mnemonic words in a row"},
		"one word twelve times":        {good + strings.Repeat("zoo ", 12), "12 mnemonic words in a row"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, sanity.CheckEnvelopeForm([]byte(row.envelope), rules), row.want)
		})
	}
}

func TestTooMuchWorkCanBeToldApart(t *testing.T) {
	envelope := []byte(header + payload(100))
	require.ErrorIs(t, sanity.CheckEnvelopeForm(envelope, sanity.EnvelopeRules{MaxBytes: 1 << 20, MaxWorkFactor: 17}), sanity.ErrTooMuchWork)
	require.NotErrorIs(t, sanity.CheckEnvelopeForm(envelope, sanity.EnvelopeRules{MaxBytes: 1 << 20, MinWorkFactor: 19, MaxWorkFactor: 20}), sanity.ErrTooMuchWork)
	require.Error(t, sanity.CheckEnvelopeForm(envelope, sanity.EnvelopeRules{}), "no rules accept nothing")
}

// Every cut of an envelope shorter than one chunk is refused, or is the form of a shorter envelope:
// never a panic.
func TestEveryCutIsJudged(t *testing.T) {
	envelope := []byte(header + payload(100))
	for n := range envelope {
		err := sanity.CheckEnvelopeForm(envelope[:n], rules)
		require.Equal(t, n > len(header)+32, err == nil, "cut to %d bytes", n)
	}
}

// Encrypted bytes are random, and no random bytes hold twelve words in a row.
func TestRandomBytesHoldNoRunOfWords(t *testing.T) {
	source := rand.NewChaCha8([32]byte{1})
	random := make([]byte, 500<<10)
	for range 20 {
		_, _ = source.Read(random)
		envelope := append([]byte(header), random...)
		if last := (len(random) - 16) % 65552; last > 0 && last <= 16 {
			t.Fatal("the test draws a length that no payload has")
		}
		require.NoError(t, sanity.CheckEnvelopeForm(envelope, rules))
		letters := []byte(base64.StdEncoding.EncodeToString(random[:300<<10]))
		require.NoError(t, sanity.CheckEnvelopeForm(append([]byte(header), letters...), rules))
	}
}

// TestRunsOfWordsAreFoundAsLetterByLetter compares the search, which looks at eight bytes in one go,
// with one that splits the text where no letter is.
func TestRunsOfWordsAreFoundAsLetterByLetter(t *testing.T) {
	piece := rapid.SampledFrom([]string{
		"zoo", "ABANDON", "Young", "cat", "test", " ", "-", "\n", "\x80", "\xc1", "\xfa", "@", "[", "`", "{",
		"a", "Z", "zz", "zzz", "abandonx", "abandonabandon", "zo", "o", "        ",
	})
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(t, "pieces")
		text := payload(rapid.IntRange(33, 41).Draw(t, "offset"))
		often := rapid.Bool().Draw(t, "words alone")
		for range n {
			p := piece.Draw(t, "piece")
			if often && rapid.IntRange(0, 19).Draw(t, "which") > 0 {
				p = rapid.SampledFrom([]string{"zoo ", "young\x00", "Cat  ", "zoo.", "abandon\xff"}).Draw(t, "word")
			}
			text += p
		}
		requireRunAsSeen(t, []byte(header+text))
	})
}

// requireRunAsSeen requires that an envelope is refused for a run of words when there is one, and
// only then.
func requireRunAsSeen(t interface{ Fatalf(string, ...any) }, envelope []byte) {
	notLetter := func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }
	run, longest := 0, 0
	for _, letters := range strings.FieldsFunc(latin1(envelope), notLetter) {
		run++
		if !slices.Contains(wordlists.English, strings.ToLower(letters)) {
			run = 0
		}
		longest = max(longest, run)
	}
	err := sanity.CheckEnvelopeForm(envelope, rules)
	refused := err != nil && strings.Contains(err.Error(), "words in a row")
	if (err == nil || refused) && refused != (longest >= 12) {
		t.Fatalf("%q has %d words in a row: %v", envelope, longest, err)
	}
}

// latin1 has a letter that is none of ASCII's for each byte above it.
func latin1(b []byte) string {
	text := make([]rune, len(b))
	for i, c := range b {
		text[i] = rune(c)
	}
	return string(text)
}

func FuzzCheckEnvelopeForm(f *testing.F) {
	f.Add([]byte(header + payload(100)))
	f.Add([]byte(header + payload(65552+16)))
	f.Add([]byte(header + payload(40) + mnemonic24))
	f.Add([]byte(header))
	f.Add([]byte{})
	// Whatever is accepted is written again from its parts, in the one way there is.
	f.Fuzz(func(t *testing.T, envelope []byte) {
		requireRunAsSeen(t, envelope)
		if sanity.CheckEnvelopeForm(envelope, rules) != nil {
			return
		}
		lines := bytes.SplitN(envelope, []byte("\n"), 5)
		if len(lines) != 5 {
			t.Fatal("not four lines and a payload")
		}
		arguments := strings.Split(string(lines[1]), " ")
		if len(arguments) != 4 {
			t.Fatal("not two arguments")
		}
		var again bytes.Buffer
		again.WriteString(version + "-> scrypt " + recode(t, arguments[2], 16) + " " + arguments[3] + "\n")
		again.WriteString(recode(t, string(lines[2]), 32) + "\n")
		again.WriteString("--- " + recode(t, strings.TrimPrefix(string(lines[3]), "--- "), 32) + "\n")
		again.Write(lines[4])
		if !bytes.Equal(again.Bytes(), envelope) {
			t.Fatal("accepted a second way to write an envelope")
		}
		if arguments[3] != "18" && arguments[3] != "19" && arguments[3] != "20" {
			t.Fatal("accepted a work factor out of bounds")
		}
	})
}

func recode(t *testing.T, text string, size int) string {
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(b) != size {
		t.Fatal("accepted what is not base64 of the right size")
	}
	return base64.RawStdEncoding.EncodeToString(b)
}
