package sanity_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/sanity"
)

func TestPhrase(t *testing.T) {
	swapped := strings.Replace(mnemonic24, "rookie utility", "utility rookie", 1)
	for name, c := range map[string]struct{ given, normal string }{
		"words with white space":         {"\n" + mnemonic24 + "\n\n", mnemonic24},
		"words of a checksum that fails": {swapped + "\r\n", swapped},
		"words that are numbered":        {numbered("%d. %s\n", strings.Fields(swapped), 1), swapped},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := sanity.ParsePhrase([]byte(c.given))
			require.NoError(t, err)
			require.Equal(t, c.given, string(p.Given()))
			require.Equal(t, c.normal, string(p.Normal()))
			for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				require.Equal(t, "[redacted]", fmt.Sprintf(form, p))
			}
			out, err := json.Marshal(p)
			require.NoError(t, err)
			require.Equal(t, `"[redacted]"`, string(out))
			require.NotContains(t, fmt.Sprintf("%+v", struct{ p *sanity.Phrase }{p}), "rookie")

			given, normal := p.Given(), p.Normal()
			p.Wipe()
			require.Equal(t, make([]byte, len(given)), given)
			require.Equal(t, make([]byte, len(normal)), normal)
			require.Empty(t, p.Normal())
		})
	}
	for name, given := range map[string]string{
		"a word that is unknown": strings.Replace(mnemonic24, "rookie", "rooky", 1),
		"23 words":               strings.TrimPrefix(mnemonic24, "rookie "),
		"NUL bytes":              mnemonic24 + "\x00",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sanity.ParsePhrase([]byte(given))
			require.Error(t, err)
		})
	}
}
