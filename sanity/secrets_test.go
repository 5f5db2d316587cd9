package sanity_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/sanity"
)

// someSecrets are of nobody: their bytes count on.
func someSecrets(t testing.TB) *sanity.Secrets {
	count := func(from byte, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = from + byte(i)
		}
		return b
	}
	secret, err := sanity.NewSecret(count(200, sanity.SecretBytes))
	require.NoError(t, err)
	s := &sanity.Secrets{
		Prefix: "cosmos", PubKey: count(2, 33), PubKeyEd25519: count(40, 32), Epoch: 12, Member: count(3, 33), Secret: secret,
	}
	copy(s.Files[:], count(80, 32))
	return s
}

func encoded(t testing.TB, s *sanity.Secrets) string {
	file, err := s.Encode()
	require.NoError(t, err)
	return string(file)
}

func TestASecretsFile(t *testing.T) {
	s := someSecrets(t)
	file := encoded(t, s)
	require.Equal(t, fmt.Sprintf(`{"version":1,"prefix":"cosmos","vault":"%x","vault_ed25519":"%x","epoch":12,"member":"%x","secret":"%s","sha256":"%x"}`+"\n",
		s.PubKey, s.PubKeyEd25519, s.Member, base64.StdEncoding.EncodeToString(s.Secret.Bytes()), s.Files), file)
	require.Equal(t, "secrets-"+hex.EncodeToString(s.PubKey)+".json", s.FileName())
	require.True(t, json.Valid([]byte(file)))

	read, err := sanity.ParseSecrets([]byte(file))
	require.NoError(t, err)
	require.Equal(t, s.Secret.Bytes(), read.Secret.Bytes())
	require.Equal(t, file, encoded(t, read))

	require.Equal(t, s.Secret.Bytes(), bytes.Join([][]byte{
		s.Secret.XiSecp256k1(), s.Secret.XiEd25519(), s.Secret.PaillierP(), s.Secret.RingP(), s.Secret.Alpha(),
	}, nil), "the parts are the whole, in order")
	for i, part := range [][]byte{s.Secret.XiSecp256k1(), s.Secret.XiEd25519(), s.Secret.PaillierP(), s.Secret.RingP(), s.Secret.Alpha()} {
		require.Len(t, part, []int{32, 32, 128, 128, 256}[i])
	}
}

func TestSecretsThatHaveNoFile(t *testing.T) {
	for name, change := range map[string]func(s *sanity.Secrets){
		"no prefix":                     func(s *sanity.Secrets) { s.Prefix = "" },
		"a prefix with a quote":         func(s *sanity.Secrets) { s.Prefix = `a"` },
		"a prefix in capital letters":   func(s *sanity.Secrets) { s.Prefix = "Cosmos" },
		"a prefix that is too long":     func(s *sanity.Secrets) { s.Prefix = strings.Repeat("a", 33) },
		"no vault":                      func(s *sanity.Secrets) { s.PubKey = nil },
		"a long key of the vault":       func(s *sanity.Secrets) { s.PubKeyEd25519 = make([]byte, 33) },
		"no epoch":                      func(s *sanity.Secrets) { s.Epoch = 0 },
		"no member":                     func(s *sanity.Secrets) { s.Member = nil },
		"no secret part":                func(s *sanity.Secrets) { s.Secret = sanity.Secret{} },
		"a prefix that closes the text": func(s *sanity.Secrets) { s.Prefix = `a","vault":"` },
	} {
		t.Run(name, func(t *testing.T) {
			s := someSecrets(t)
			change(s)
			_, err := s.Encode()
			require.Error(t, err)
		})
	}
	s := someSecrets(t)
	s.Prefix, s.Epoch = strings.Repeat("a", 32), 1<<64-1
	_, err := sanity.ParseSecrets([]byte(encoded(t, s)))
	require.NoError(t, err, "the longest one")
	for _, n := range []int{0, 575, 577} {
		_, err := sanity.NewSecret(make([]byte, n))
		require.Error(t, err)
	}
}

func TestWhatIsNoSecretsFile(t *testing.T) {
	good := encoded(t, someSecrets(t))
	secret := base64.StdEncoding.EncodeToString(someSecrets(t).Secret.Bytes())
	replace := func(old, new string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, new, 1)
	}
	for name, c := range map[string]struct{ file, says string }{
		"nothing":                        {"", "from byte 1 on"},
		"an empty object":                {"{}", "from byte 1 on"},
		"another version":                {replace(`"version":1`, `"version":2`), "another version"},
		"a version of more digits":       {replace(`"version":1`, `"version":10`), "another version"},
		"a space":                        {replace(`,"vault"`, `, "vault"`), "not as it is written"},
		"a field that is not known":      {replace(`,"epoch"`, `,"x":1,"epoch"`), "not as it is written"},
		"a field twice":                  {replace(`,"epoch":12`, `,"epoch":12,"epoch":12`), "not as it is written"},
		"a field that is missing":        {replace(`,"epoch":12`, ``), "not as it is written"},
		"a field in capital letters":     {replace(`"vault"`, `"Vault"`), "not as it is written"},
		"no line end":                    {strings.TrimSuffix(good, "\n"), "not as it is written"},
		"something after it":             {good + "\n", "1 bytes follow"},
		"another one after it":           {good + good, "more than"},
		"one that is cut off":            {good[:300], "it ends in the field secret"},
		"an escape":                      {replace(`"cosmos"`, `"\u0063osmos"`), "prefix"},
		"an epoch with a zero before it": {replace(`:12`, `:012`), "epoch"},
		"an epoch of zero":               {replace(`:12`, `:0`), "epoch"},
		"an epoch as text":               {replace(`:12`, `:"12"`), "not as it is written"},
		"an epoch that is too large":     {replace(`:12`, `:18446744073709551616`), "epoch"},
		"an epoch with a sign":           {replace(`:12`, `:+12`), "epoch"},
		"hex in capital letters":         {replace(`020304`, `020A04`), "vault"},
		"hex that is none":               {replace(`020304`, `0203g4`), "vault"},
		"a key that is too short":        {replace(`020304`, `0203`), "vault"},
		"a secret part that is short":    {replace(secret, secret[:764]), "secret: not the base64 of 576 bytes"},
		"a secret part that is long":     {replace(secret, secret+"AAAA"), "secret: not the base64 of 576 bytes"},
		"a secret part with padding":     {replace(secret, secret[:767]+"="), "secret: not the base64 of 576 bytes"},
		"a secret part of another kind":  {replace(secret, strings.Repeat("_", 768)), "secret: not the base64 of 576 bytes"},
		"a secret part in lines":         {replace(secret, secret[:764]+"\r\n\r\n"), "secret: not the base64 of 576 bytes"},
		"a hash that is too long":        {replace(`"}`, `00"}`), "sha256: not the hex of 32 bytes"},
		"a byte order mark":              {"\ufeff" + good, "from byte 1 on"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := sanity.ParseSecrets([]byte(c.file))
			require.ErrorContains(t, err, c.says)
			require.Nil(t, s)
			require.NotContains(t, err.Error(), secret[:8])
		})
	}
}

func TestSecretsShowNothing(t *testing.T) {
	s := someSecrets(t)
	own := s.Secret.Bytes()[:6]
	type holder struct{ s *sanity.Secrets }
	shown := ""
	for _, value := range []any{s, *s, s.Secret, holder{s}, &holder{s}} {
		for _, verb := range strings.Split("v +v #v s q x X d", " ") {
			shown += fmt.Sprintf("%"+verb, value)
		}
		data, err := json.Marshal(value)
		require.NoError(t, err)
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("text", "secrets", value)
		shown += string(data) + log.String()
	}
	for _, form := range []string{"%s", "%x", "%X", "%d", "% x", "%q"} {
		require.NotContains(t, shown, strings.Trim(fmt.Sprintf(form, own), `[]"`))
	}
	require.NotContains(t, shown, base64.StdEncoding.EncodeToString(own))

	held := s.Secret.Bytes()
	again := s.Secret
	again.Wipe()
	require.Equal(t, make([]byte, sanity.SecretBytes), held)
	sanity.Secret{}.Wipe()
	require.Nil(t, sanity.Secret{}.Bytes())
	require.Nil(t, sanity.Secret{}.Alpha())
}

// What is read is what was written: no file has two writings.
func FuzzParseSecrets(f *testing.F) {
	f.Add([]byte(encoded(f, someSecrets(f))))
	f.Add([]byte(`{"version":1,"prefix":"`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := sanity.ParseSecrets(data)
		if err != nil {
			require.Nil(t, s)
			return
		}
		require.Equal(t, string(data), encoded(t, s))
	})
}
