package keyshare_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/testutil/fixture"
)

var (
	curves  = regexp.MustCompile(`"Curve":"[a-z0-9]+",`)
	numbers = regexp.MustCompile(`([:\[,])([0-9]{5,})`)
)

// eachField changes the JSON of all that is in local_data.
func eachField(t *testing.T, data []byte, change func(string) string) []byte {
	return edit(t, data, func(_, local map[string]json.RawMessage) {
		for name, raw := range local {
			local[name] = json.RawMessage(change(string(raw)))
		}
	})
}

// What other versions and forks wrote is the same keyshare, and passes the same checks.
func TestOtherLayouts(t *testing.T) {
	inHex := func(data []byte, prefix string, upper bool) []byte {
		return edit(t, data, func(outer, _ map[string]json.RawMessage) {
			of := func(key string) string {
				_, raw, err := keyshare.DecodePubKey(key)
				require.NoError(t, err)
				text := hex.EncodeToString(raw)
				if upper {
					text = strings.ToUpper(text)
				}
				return prefix + text
			}
			for _, name := range []string{"pub_key", "local_party_key"} {
				var key string
				require.NoError(t, json.Unmarshal(outer[name], &key))
				outer[name], _ = json.Marshal(of(key))
			}
			var keys []string
			require.NoError(t, json.Unmarshal(outer["participant_keys"], &keys))
			for i := range keys {
				keys[i] = of(keys[i])
			}
			outer["participant_keys"], _ = json.Marshal(keys)
		})
	}
	withoutCurves := func(data []byte) []byte {
		return eachField(t, data, func(s string) string { return curves.ReplaceAllString(s, "") })
	}
	asText := func(data []byte) []byte {
		return eachField(t, data, func(s string) string {
			if regexp.MustCompile(`^[0-9]{5,}$`).MatchString(s) {
				return `"` + s + `"`
			}
			return numbers.ReplaceAllString(s, `$1"$2"`)
		})
	}
	for name, change := range map[string]func(data []byte) []byte{
		"points without a curve": withoutCurves,
		"points of no curve": func(data []byte) []byte {
			return eachField(t, data, func(s string) string { return curves.ReplaceAllString(s, `"Curve":"",`) })
		},
		"numbers as text":        asText,
		"keys in hex":            func(data []byte) []byte { return inHex(data, "", false) },
		"keys in upper-case hex": func(data []byte) []byte { return inHex(data, "", true) },
		"keys in hex after 0x":   func(data []byte) []byte { return inHex(data, "0x", false) },
		"all of it":              func(data []byte) []byte { return inHex(asText(withoutCurves(data)), "", false) },
		"local_data as text": func(data []byte) []byte {
			var outer map[string]json.RawMessage
			var local []byte
			require.NoError(t, json.Unmarshal(data, &outer))
			require.NoError(t, json.Unmarshal(outer["local_data"], &local))
			outer["local_data"], _ = json.Marshal(string(local))
			data, _ = json.Marshal(outer)
			return data
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i, f := range fixture.Keyshares(t, 4, 0) {
				want, err := keyshare.Parse(f.Data)
				require.NoError(t, err)
				changed := change(f.Data)
				require.False(t, bytes.Equal(f.Data, changed))
				got, err := keyshare.Parse(changed)
				require.NoError(t, err)
				require.NoError(t, got.Verify())
				require.True(t, got.IsNamed(f.Name))
				require.True(t, got.IsNamed(got.FileName()))
				require.True(t, want.IsNamed(got.FileName()))
				require.Equal(t, want.VaultKey(), got.VaultKey())
				require.Equal(t, want.Participants(), got.Participants())
				a, err := want.Share()
				require.NoError(t, err)
				b, err := got.Share()
				require.NoError(t, err)
				require.Equal(t, a.Public(), b.Public(), "share %d", i)
			}
		})
	}
}
