package thornode_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz/lzma"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/legacy/thornode"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/fixture"
)

const (
	words = "profit used piece repeat real curtain endorse tennis tenant sentence include glass return learn upgrade apple crane polar attend before ripple doctor decrease depend"
	other = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
)

func mnemonic(t testing.TB, words string) *sanity.Phrase {
	t.Helper()
	m, err := sanity.ParsePhrase([]byte(words))
	require.NoError(t, err)
	return m
}

type vector struct {
	Mnemonic, File string
	Envelope       []byte
}

func vectors(t testing.TB) (all []vector) {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &all))
	require.Len(t, all, 2)
	return all
}

func TestVectors(t *testing.T) {
	for i, v := range vectors(t) {
		t.Run(v.File, func(t *testing.T) {
			want := fixture.Keyshares(t, 4, 0)[i]
			files, err := thornode.Open(v.Envelope, mnemonic(t, v.Mnemonic))
			require.NoError(t, err)
			require.Len(t, files, 1)
			require.Equal(t, want.Name, files[0].Name)
			require.True(t, bytes.Equal(want.Data, files[0].Data))
			share, err := keyshare.Parse(files[0].Data)
			require.NoError(t, err)
			require.NoError(t, share.Verify())
		})
	}
}

func key(passphrase string, layer string) []byte {
	k := sha256.Sum256([]byte(passphrase + "+" + layer))
	return k[:]
}

func sealAEAD(t testing.TB, aead cipher.AEAD, err error, plain []byte) []byte {
	t.Helper()
	require.NoError(t, err)
	nonce := make([]byte, aead.NonceSize())
	_, err = rand.Read(nonce)
	require.NoError(t, err)
	return aead.Seal(nonce, nonce, plain, nil)
}

func sealXChaCha(t testing.TB, passphrase string, plain []byte) []byte {
	aead, err := chacha20poly1305.NewX(key(passphrase, "3"))
	return sealAEAD(t, aead, err, plain)
}

func sealAES(t testing.TB, passphrase string, plain []byte) []byte {
	block, err := aes.NewCipher(key(passphrase, "2"))
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	return sealAEAD(t, aead, err, plain)
}

func sealAge(t testing.TB, passphrase string, workFactor int, plain []byte) []byte {
	recipient, err := age.NewScryptRecipient(hex.EncodeToString(key(passphrase, "1")))
	require.NoError(t, err)
	recipient.SetWorkFactor(workFactor)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipient)
	require.NoError(t, err)
	_, err = w.Write(plain)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func compress(t testing.TB, plain []byte) []byte {
	var out bytes.Buffer
	w, err := lzma.NewWriter(&out)
	require.NoError(t, err)
	_, err = w.Write(plain)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// seal makes a backup as those networks did, from this text as the mnemonic.
func seal(t testing.TB, passphrase string, plain []byte) []byte {
	return sealXChaCha(t, passphrase, sealAES(t, passphrase, sealAge(t, passphrase, 4, compress(t, plain))))
}

// Whatever white space the phrase had when it was used, and however it is given now.
func TestMnemonicsThatWereNotNormalised(t *testing.T) {
	file := fixture.Keyshares(t, 4, 3)[1]
	swapped := strings.Replace(words, "profit used", "used profit", 1)
	for _, c := range []struct {
		name, sealed, given string
		err                 error
	}{
		{"as it is", words, words, nil},
		{"as it is, given in capital letters", words, "\t" + strings.ToUpper(words) + "\n\n", nil},
		{"from a file that ends with a newline", words + "\n", words, nil},
		{"from a file written on Windows", words + "\r\n", words, nil},
		{"with an empty line behind it", words + "\n\n", words, nil},
		{"with an empty line of Windows behind it", words + "\r\n\r\n", words, nil},
		{"with two empty lines behind it", words + "\n\n\n", words, nil},
		{"with a line end before it", "\n" + words, words, nil},
		{"with a line end of Windows before it", "\r\n" + words, words + "\n", nil},
		{"with line ends at both ends", "\n" + words + "\n", words, nil},
		{"with an empty line before it and one behind", "\n\n" + words + "\n\n", words, nil},
		{"with a tab behind it", words + "\t", words, nil},
		{"with a tab before it and a line end", "\t" + words + "\n", words, nil},
		{"with a carriage return behind it", words + "\r", words, nil},
		{"with a carriage return and two newlines behind it", words + "\r\n\n", words, nil},
		{"with white space in the middle, given so", strings.Replace(words, "used ", "used\n ", 1), strings.Replace(words, "used ", "used\n ", 1), nil},
		{"with white space in the middle, given so and with a line end", strings.Replace(words, "used ", "used\t ", 1), strings.Replace(words, "used ", "used\t ", 1) + "\n", nil},
		{"with white space that is on no list, given so", words + "\n\t\n\t\n", words + "\n\t\n\t\n", nil},
		{"with a line end in the middle, given with one of Windows", strings.ReplaceAll(words, " ", "\n"), strings.ReplaceAll(words, " ", "\r\n"), nil},
		{"with a checksum that is wrong", swapped, swapped, nil},
		{"with a checksum that is wrong, and an empty line", swapped + "\n\n", swapped, nil},
		{"given in a list of JSON", words + "\n", `["` + strings.ReplaceAll(words, " ", `","`) + `"]`, nil},
		{"another one", other, words, envelope.ErrWrongMnemonic},
		{"with letters behind it", words + "x", words, envelope.ErrWrongMnemonic},
	} {
		t.Run(c.name, func(t *testing.T) {
			files, err := thornode.Open(seal(t, c.sealed, file.Data), mnemonic(t, c.given))
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []envelope.File{{Name: file.Name, Data: file.Data}}, files)
		})
	}
}

func TestWhatIsNoBackup(t *testing.T) {
	file := fixture.Keyshares(t, 4, 3)[1].Data
	stream := compress(t, file)
	ageFile := sealAge(t, words, 4, stream)
	around := func(inner []byte) []byte { return sealXChaCha(t, words, sealAES(t, words, inner)) }
	within := func(plain string) []byte { return seal(t, words, []byte(plain)) }
	bomb := append([]byte{0x5d, 0, 0, 0x80, 0}, bytes.Repeat([]byte{0xff}, 8)...)
	for _, c := range []struct {
		name    string
		payload []byte
		want    error
	}{
		{"nothing", nil, envelope.ErrNotEnvelope},
		{"empty", []byte{}, envelope.ErrNotEnvelope},
		{"one byte less than any", make([]byte, thornode.MinBytes-1), envelope.ErrNotEnvelope},
		{"the smallest size", make([]byte, thornode.MinBytes), envelope.ErrWrongMnemonic},
		{"too large", make([]byte, envelope.MaxBytes+1), envelope.ErrTooLarge},
		{"an envelope of this project", append([]byte(sanity.EnvelopePrefix), make([]byte, 400)...), envelope.ErrNotEnvelope},
		{"the outermost layer around nothing", append(sealXChaCha(t, words, nil), make([]byte, 400)...), envelope.ErrWrongMnemonic},
		{"the outermost layer around noise", sealXChaCha(t, words, make([]byte, 400)), envelope.ErrDamaged},
		{"the outermost layer around an envelope", sealXChaCha(t, words, ageFile), envelope.ErrDamaged},
		{"two layers around noise", around(make([]byte, 400)), envelope.ErrDamaged},
		{"an age file for another passphrase", around(sealAge(t, other, 4, stream)), envelope.ErrDamaged},
		{"an age file that asks for too much work", around(bytes.Replace(ageFile, []byte(" 4\n"), []byte(" 23\n"), 1)), envelope.ErrTooLarge},
		{"an age file with bytes after it", around(append(bytes.Clone(ageFile), 0)), envelope.ErrDamaged},
		{"no LZMA stream", around(sealAge(t, words, 4, file)), envelope.ErrDamaged},
		{"an LZMA stream that ends early", around(sealAge(t, words, 4, stream[:len(stream)-20])), envelope.ErrDamaged},
		{"an LZMA stream of a header alone", around(sealAge(t, words, 4, bomb)), envelope.ErrDamaged},
		{"an LZMA stream that unpacks to more than allowed", within(strings.Repeat(" ", 9<<20)), envelope.ErrTooLarge},
		{"an LZMA stream with bytes after it", around(sealAge(t, words, 4, append(bytes.Clone(stream), 0))), envelope.ErrDamaged},
		{"an empty file", within(""), envelope.ErrDamaged},
		{"no JSON", within("not a keyshare"), envelope.ErrDamaged},
		{"JSON that is no object", within("[]"), envelope.ErrDamaged},
		{"null", within("null"), envelope.ErrDamaged},
		{"no public key", within("{}"), envelope.ErrDamaged},
		{"a public key that is a path", within(`{"pub_key":"../../x"}`), envelope.ErrDamaged},
		{"a public key that is too long", within(`{"pub_key":"` + strings.Repeat("x", 100) + `"}`), envelope.ErrDamaged},
		{"two JSON values", within(`{"pub_key":"x"}{}`), envelope.ErrDamaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			files, err := thornode.Open(c.payload, mnemonic(t, words))
			require.ErrorIs(t, err, c.want)
			require.Nil(t, files)
			require.NotContains(t, err.Error(), "profit")
		})
	}
	_, err := thornode.Open(within(`{"pub_key":"x"}`), nil)
	require.Error(t, err)
}

// A header may ask for four gigabytes of dictionary, and gets what a keyshare needs.
func TestHugeDictionary(t *testing.T) {
	file := fixture.Keyshares(t, 4, 3)[1].Data
	stream := compress(t, file)
	copy(stream[1:], "\xff\xff\xff\xff")
	payload := sealXChaCha(t, words, sealAES(t, words, sealAge(t, words, 4, stream)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	files, err := thornode.Open(payload, mnemonic(t, words))
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.True(t, bytes.Equal(file, files[0].Data))
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
}

func TestEveryCutAndEveryFlippedByteIsNoticed(t *testing.T) {
	v := vectors(t)[1]
	m := mnemonic(t, v.Mnemonic)
	for i := range v.Envelope {
		_, err := thornode.Open(v.Envelope[:i], m)
		require.Error(t, err)
		flipped := bytes.Clone(v.Envelope)
		flipped[i] ^= 1
		_, err = thornode.Open(flipped, m)
		require.ErrorIs(t, err, envelope.ErrWrongMnemonic)
	}
}

var twoDigits = regexp.MustCompile(` [0-9]{2}\n`)

// The layers are fuzzed one by one: what is changed beneath is sealed again, as only who has the
// mnemonic could.
func FuzzOpen(f *testing.F) {
	file := fixture.Keyshares(f, 4, 3)[1].Data
	m := mnemonic(f, words)
	f.Add(byte(0), vectors(f)[1].Envelope)
	f.Add(byte(1), sealAES(f, words, sealAge(f, words, 1, compress(f, file))))
	f.Add(byte(2), sealAge(f, words, 1, compress(f, file)))
	f.Add(byte(3), compress(f, file))
	f.Add(byte(4), file)
	f.Fuzz(func(t *testing.T, layer byte, data []byte) {
		switch layer % 5 {
		case 4:
			data = compress(t, data)
			fallthrough
		case 3:
			data = sealAge(t, words, 1, data)
			fallthrough
		case 2:
			if twoDigits.Match(data[:min(len(data), 200)]) {
				return // a work factor above 9: seconds of scrypt are not what is tested
			}
			data = sealAES(t, words, data)
			fallthrough
		case 1:
			data = sealXChaCha(t, words, data)
		}
		files, err := thornode.Open(data, m)
		if err != nil {
			require.Nil(t, files)
			return
		}
		require.Len(t, files, 1)
		require.True(t, envelope.IsKeyshareName(files[0].Name))
	})
}
