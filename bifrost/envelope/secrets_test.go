package envelope

import (
	"archive/tar"
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz/lzma"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/sanity"
)

// secretsOf are secrets that follow from a seed: any bytes, as those of a keygen look.
func secretsOf(t require.TestingT, seed byte) *sanity.Secrets {
	random := rand.NewChaCha8([32]byte{seed})
	draw := func(n int) []byte {
		b := make([]byte, n)
		_, _ = random.Read(b)
		return b
	}
	secret, err := sanity.NewSecret(draw(sanity.SecretBytes))
	require.NoError(t, err)
	s := &sanity.Secrets{
		Prefix: "cosmos", PubKey: draw(33), PubKeyEd25519: draw(32), Epoch: 1 + uint64(seed), Member: draw(33), Secret: secret,
	}
	copy(s.Files[:], draw(32))
	return s
}

func secretsFile(t require.TestingT, seed byte) File {
	s := secretsOf(t, seed)
	data, err := s.Encode()
	require.NoError(t, err)
	return File{Name: s.FileName(), Data: data}
}

// A vote must stay within its bounds whatever the members are, and a vault of 100 members is to
// cost no more than what it hides.
func TestSecretsAreSmallAndComeBackByteForByte(t *testing.T) {
	m := parse(t, mnemonic24)
	for seed := range byte(50) {
		file := secretsFile(t, seed)
		sealed, err := Seal([]File{file}, m, WithWorkFactor(testWorkFactor))
		require.NoError(t, err)
		require.Less(t, len(sealed), 1180)
		require.Greater(t, len(sealed), 1100)
		opened, err := Open(sealed, m)
		require.NoError(t, err)
		require.Equal(t, []File{secretsFile(t, seed)}, opened)
		require.Equal(t, secretsFile(t, seed), file, "the input was changed")
	}
}

func TestAnySecretsComeBack(t *testing.T) {
	m := parse(t, mnemonic24)
	rapid.Check(t, func(t *rapid.T) {
		s := secretsOf(t, rapid.Byte().Draw(t, "seed"))
		s.Prefix = rapid.StringMatching("[a-z0-9]{1,32}").Draw(t, "prefix")
		s.Epoch = rapid.Uint64Min(1).Draw(t, "epoch")
		secret, err := sanity.NewSecret(rapid.SliceOfN(rapid.Byte(), sanity.SecretBytes, sanity.SecretBytes).Draw(t, "secret"))
		require.NoError(t, err)
		s.Secret = secret
		data, err := s.Encode()
		require.NoError(t, err)
		files := []File{{Name: s.FileName(), Data: data}}
		sealed, err := Seal(files, m, WithWorkFactor(1))
		require.NoError(t, err)
		opened, err := Open(sealed, m)
		require.NoError(t, err)
		require.Equal(t, files, opened)
	})
}

func TestSecretsThatAreNotSealed(t *testing.T) {
	m := parse(t, mnemonic24)
	file, other := secretsFile(t, 1), secretsFile(t, 2)
	share := File{Name: "localstate-key.json", Data: []byte(dataA)}
	for name, c := range map[string]struct {
		files []File
		says  string
	}{
		"secrets and a keyshare":     {[]File{file, share}, "secrets alone, or keyshares"},
		"secrets of two vaults":      {[]File{file, other}, "secrets alone, or keyshares"},
		"secrets under another name": {[]File{{Name: other.Name, Data: file.Data}}, "the secrets in it are those of secrets-"},
		"a keyshare for secrets":     {[]File{{Name: file.Name, Data: share.Data}}, "secrets file: "},
		"secrets for a keyshare":     {[]File{{Name: strings.ToUpper(file.Name), Data: file.Data}}, "is not named"},
		"a name without a vault":     {[]File{{Name: "secrets-.json", Data: file.Data}}, "is not named"},
		"a name that is too short":   {[]File{{Name: "secrets-" + file.Name[9:], Data: file.Data}}, "is not named"},
		"a name in capital letters":  {[]File{{Name: "secrets-" + strings.ToUpper(file.Name[8:74]) + ".json", Data: file.Data}}, "is not named"},
		"a name that goes up":        {[]File{{Name: "../" + file.Name, Data: file.Data}}, "is not named"},
		"a byte too many":            {[]File{{Name: file.Name, Data: append(bytes.Clone(file.Data), '\n')}}, "1 bytes follow its end"},
	} {
		t.Run(name, func(t *testing.T) {
			sealed, err := Seal(c.files, m, WithWorkFactor(1))
			require.ErrorContains(t, err, c.says)
			require.Nil(t, sealed)
		})
	}
}

// What holds the secrets, in whatever form, is not sent.
func TestSecretsThatLeakAreNoticed(t *testing.T) {
	m := parse(t, mnemonic24)
	file := secretsFile(t, 3)
	s := secretsOf(t, 3).Secret
	behind := func(leak []byte) func(stream []byte) ([]byte, error) {
		return func(stream []byte) ([]byte, error) {
			sealed, err := encrypt(stream, m, testWorkFactor)
			return append(sealed, leak...), err
		}
	}
	instead := func(leak []byte) func([]byte) ([]byte, error) {
		return func([]byte) ([]byte, error) { return leak, nil }
	}
	for name, c := range map[string]struct {
		encrypt func(stream []byte) ([]byte, error)
		want    error
	}{
		"the file behind the envelope":              {behind(file.Data), sanity.ErrHoldsInput},
		"the secret part behind the envelope":       {behind(s.Bytes()), sanity.ErrHoldsInput},
		"a share behind the envelope":               {behind(s.XiSecp256k1()), sanity.ErrHoldsInput},
		"the other share behind the envelope":       {behind(s.XiEd25519()), sanity.ErrHoldsInput},
		"the Paillier prime behind the envelope":    {behind(s.PaillierP()), sanity.ErrHoldsInput},
		"the prime of the ring behind the envelope": {behind(s.RingP()), sanity.ErrHoldsInput},
		"the exponent behind the envelope":          {behind(s.Alpha()), sanity.ErrHoldsInput},
		"the file instead":                          {instead(file.Data), sanity.ErrIsInput},
		"the secret part instead":                   {instead(s.Bytes()), sanity.ErrIsInput},
		"a piece of the secret part instead":        {instead(s.Bytes()[10:60]), sanity.ErrIsInput},
	} {
		t.Run(name, func(t *testing.T) {
			sealed, err := seal([]File{file}, m, c.encrypt)
			require.ErrorIs(t, err, c.want)
			require.Nil(t, sealed)
		})
	}
}

func TestSecretsThatDoNotOpen(t *testing.T) {
	m := parse(t, mnemonic24)
	file, other := secretsFile(t, 1), secretsFile(t, 2)
	header := func(name string) *tar.Header { return &tar.Header{Name: name} }
	for name, entries := range map[string][]any{
		"secrets and a keyshare":     {header(nameA), dataA, header(file.Name), string(file.Data)},
		"a keyshare after secrets":   {header(file.Name), string(file.Data), header(nameA), dataA},
		"secrets of two vaults":      {header(file.Name), string(file.Data), header(other.Name), string(other.Data)},
		"secrets under another name": {header(other.Name), string(file.Data)},
		"a keyshare for secrets":     {header(file.Name), dataA},
		"a byte too many":            {header(file.Name), string(file.Data) + " "},
		"a name that is too long":    {header("secrets-00" + file.Name[8:]), string(file.Data)},
	} {
		t.Run(name, func(t *testing.T) {
			sealed := makeAge(t, makeLZMA(t, makeTar(t, entries...), lzma.WriterConfig{}), mnemonic24)
			files, err := Open(sealed, m)
			require.ErrorIs(t, err, ErrDamaged)
			require.Nil(t, files)
			require.NotContains(t, err.Error(), fmt.Sprintf("%x", secretsOf(t, 1).Secret.Bytes()[:4]))
		})
	}
}
