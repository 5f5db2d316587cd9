package sanity_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tyler-smith/go-bip39"

	"github.com/tssbackup/tssbackup/sanity"
)

// prefix is how every envelope begins.
var prefix = []byte(sanity.EnvelopePrefix)

// sealed stands for what encryption gives: the prefix, and bytes that have no letter in them.
func sealed() []byte {
	return append(bytes.Clone(prefix), bytes.Repeat([]byte{0x00, 0x91, 0xfe, 0x37}, 64)...)
}

// entropyOf returns the bytes that the words of a mnemonic stand for.
func entropyOf(t testing.TB, text string) []byte {
	t.Helper()
	entropy, err := bip39.EntropyFromMnemonic(text)
	require.NoError(t, err)
	return entropy
}

// runAll returns the errors of all checks, by name.
func runAll(envelope []byte, open func([]byte) ([][]byte, error), m *sanity.Mnemonic, input [][]byte, forms [][]byte) map[string]error {
	failed := make(map[string]error)
	for name, err := range map[string]error{
		"1 not the input":   sanity.CheckNotInput(envelope, forms...),
		"2 opens":           sanity.CheckOpens(envelope, open, input...),
		"3 no input inside": sanity.CheckNoInput(envelope, forms...),
		"4 no passphrase":   sanity.CheckNoPassphrase(envelope, m),
		"5 no word":         sanity.CheckNoWord(envelope, m),
	} {
		if err != nil {
			failed[name] = err
		}
	}
	return failed
}

func TestEachOutputCheckCatchesWhatNoOtherDoes(t *testing.T) {
	m := parse(t, mnemonic24)
	file := []byte(`{"pub_key":"one file of the input"}`)
	archive := append(append([]byte("archive header"), file...), make([]byte, 64)...)
	stream := []byte("\x5d\x00\x00\x10\x00the compressed stream of the archive")
	input := [][]byte{file}
	forms := [][]byte{file, archive, stream}
	opens := func([]byte) ([][]byte, error) { return [][]byte{file}, nil }

	rows := map[string]struct {
		envelope []byte
		open     func([]byte) ([][]byte, error)
		failed   string
		err      error
	}{
		"encrypted":                        {sealed(), opens, "", nil},
		"the stream without its header":    {stream[5:], opens, "1 not the input", sanity.ErrIsInput},
		"half of the archive":              {archive[:30], opens, "1 not the input", sanity.ErrIsInput},
		"an envelope of something else":    {sealed(), func([]byte) ([][]byte, error) { return [][]byte{[]byte("else")}, nil }, "2 opens", sanity.ErrDoesNotOpen},
		"an envelope of nothing":           {sealed(), func([]byte) ([][]byte, error) { return nil, nil }, "2 opens", sanity.ErrDoesNotOpen},
		"an envelope of more":              {sealed(), func([]byte) ([][]byte, error) { return [][]byte{file, file}, nil }, "2 opens", sanity.ErrDoesNotOpen},
		"an envelope that does not open":   {sealed(), func([]byte) ([][]byte, error) { return nil, errors.New("wrong mnemonic") }, "2 opens", sanity.ErrDoesNotOpen},
		"a file behind the encrypted form": {append(sealed(), file...), opens, "3 no input inside", sanity.ErrHoldsInput},
		"the archive inside":               {append(append(sealed(), archive...), 1), opens, "3 no input inside", sanity.ErrHoldsInput},
		"the stream inside":                {append(append(sealed(), stream...), 1), opens, "3 no input inside", sanity.ErrHoldsInput},
		"the words in capital letters":     {append(sealed(), strings.ToUpper(mnemonic24)...), opens, "4 no passphrase", sanity.ErrHoldsPassphrase},
		"the bytes the words stand for":    {append(sealed(), entropyOf(t, mnemonic24)...), opens, "4 no passphrase", sanity.ErrHoldsPassphrase},
		"one word at the end":              {append(sealed(), "switch"...), opens, "5 no word", sanity.ErrHoldsWord},
		"one word right after the prefix":  {append(bytes.Clone(prefix), "alter"...), opens, "5 no word", sanity.ErrHoldsWord},
		"one word inside letters":          {append(sealed(), "xxhorsexx"...), opens, "5 no word", sanity.ErrHoldsWord},
		"the words one below another":      {append(sealed(), strings.ReplaceAll(mnemonic24, " ", "\n")...), opens, "5 no word", sanity.ErrHoldsWord},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			failed := runAll(row.envelope, row.open, m, input, forms)
			if row.failed == "" {
				require.Empty(t, failed)
				return
			}
			require.Len(t, failed, 1)
			require.ErrorIs(t, failed[row.failed], row.err)
		})
	}
}

func TestOpenGetsTheBytesOfTheEnvelopeAndItsErrorIsKept(t *testing.T) {
	cause := errors.New("the cause")
	err := sanity.CheckOpens([]byte("envelope"), func(envelope []byte) ([][]byte, error) {
		require.Equal(t, "envelope", string(envelope))
		return nil, cause
	})
	require.ErrorIs(t, err, sanity.ErrDoesNotOpen)
	require.ErrorIs(t, err, cause)
}

func TestTheInputAndThePassphraseThemselves(t *testing.T) {
	m := parse(t, mnemonic24)
	input := []byte("the input")
	require.ErrorIs(t, sanity.CheckNotInput(input, input), sanity.ErrIsInput)
	require.ErrorIs(t, sanity.CheckNotInput(nil, input), sanity.ErrIsInput, "nothing is a piece of everything")
	require.ErrorIs(t, sanity.CheckNoInput(input, []byte("other"), input), sanity.ErrHoldsInput)
	require.ErrorIs(t, sanity.CheckNoPassphrase([]byte(mnemonic24), m), sanity.ErrHoldsPassphrase)
	require.Error(t, sanity.CheckNoPassphrase(sealed(), nil), "no mnemonic")
	require.Error(t, sanity.CheckNoWord(sealed(), new(sanity.Mnemonic)), "a mnemonic without words")
}

// The prefix holds the words "age" and "cry" and no other. It alone is left out of the word check:
// its words are found anywhere else, and so is a prefix that is not where it belongs.
func TestOnlyTheConstantPrefixMayHoldWords(t *testing.T) {
	var inPrefix []string
	for _, word := range bip39.GetWordList() {
		if strings.Contains(sanity.EnvelopePrefix, word) {
			inPrefix = append(inPrefix, word)
		}
	}
	require.Equal(t, []string{"age", "cry"}, inPrefix)

	for word, text := range map[string]string{"age": mnemonicAge, "cry": mnemonicCry, "age and cry": mnemonicTwo} {
		t.Run(word, func(t *testing.T) {
			m := parse(t, text)
			first := strings.Fields(word)[0]
			require.NoError(t, sanity.CheckNoWord(sealed(), m))
			require.ErrorIs(t, sanity.CheckNoWord(append(sealed(), first...), m), sanity.ErrHoldsWord)
			require.ErrorIs(t, sanity.CheckNoWord(append(bytes.Clone(prefix), first...), m), sanity.ErrHoldsWord)
			require.ErrorIs(t, sanity.CheckNoWord(append([]byte{0}, prefix...), m), sanity.ErrHoldsWord)
			require.ErrorIs(t, sanity.CheckNoWord(append(bytes.Clone(prefix), prefix...), m), sanity.ErrHoldsWord)
			require.ErrorIs(t, sanity.CheckNoWord(prefix[:len(prefix)-1], m), sanity.ErrHoldsWord)
		})
	}
}

// FuzzLeakChecks puts something at a place in arbitrary bytes and demands that the check for it
// says so.
func FuzzLeakChecks(f *testing.F) {
	f.Add(sealed(), uint16(40), uint8(3), []byte("input"))
	f.Add([]byte{}, uint16(0), uint8(0), []byte{0})
	f.Add(prefix, uint16(31), uint8(23), []byte("-> scrypt"))
	m := parse(f, mnemonicTwo)
	words := strings.Fields(mnemonicTwo)
	entropy := entropyOf(f, mnemonicTwo)
	f.Fuzz(func(t *testing.T, envelope []byte, at uint16, which uint8, input []byte) {
		pos := min(int(at), len(envelope))
		insert := func(b []byte) []byte {
			return append(append(bytes.Clone(envelope[:pos]), b...), envelope[pos:]...)
		}
		word := words[int(which)%len(words)]
		withWord := insert([]byte(word))
		if (!bytes.HasPrefix(withWord, prefix) || pos >= len(prefix)) && sanity.CheckNoWord(withWord, m) == nil {
			t.Fatal("a word was not found")
		}
		for _, leak := range [][]byte{[]byte(mnemonicTwo), bytes.ToUpper([]byte(mnemonicTwo)), entropy} {
			if sanity.CheckNoPassphrase(insert(leak), m) == nil {
				t.Fatal("the passphrase was not found")
			}
		}
		if sanity.CheckNoInput(insert(input), []byte("another form"), input) == nil {
			t.Fatal("the input was not found")
		}
		if sanity.CheckNotInput(envelope, insert(nil)) == nil {
			t.Fatal("an envelope that is the input was let through")
		}

		// And nothing is found that is not there.
		found := false
		rest := bytes.TrimPrefix(envelope, prefix)
		for _, w := range words {
			found = found || bytes.Contains(rest, []byte(w))
		}
		if found != (sanity.CheckNoWord(envelope, m) != nil) {
			t.Fatal("the word check is not exact")
		}
	})
}
