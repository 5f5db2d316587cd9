package keyfiles

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
)

func TestSound(t *testing.T) {
	_, files, _ := deal(t)
	own := files[0][0]
	changed := func(data []byte) []envelope.File {
		return []envelope.File{{Name: own[0].Name, Data: data}, own[1]}
	}
	for name, tc := range map[string]struct {
		files []envelope.File
		says  []string
	}{
		"both keyshares of a member":        {own, nil},
		"both, the other way":               {[]envelope.File{own[1], own[0]}, nil},
		"the secp256k1 one alone":           {own[:1], nil},
		"the ed25519 one alone":             {own[1:], nil},
		"none":                              {nil, []string{"there is none"}},
		"one file twice":                    {[]envelope.File{own[0], own[0]}, []string{"the same key"}},
		"two members' of one vault":         {[]envelope.File{own[0], files[0][1][1]}, []string{"two members", own[0].Name}},
		"two members' of one key":           {[]envelope.File{own[0], files[0][1][0]}, []string{"two members", own[0].Name}},
		"two vaults'":                       {[]envelope.File{own[0], files[1][0][0]}, []string{"two vaults", files[1][0][0].Name}},
		"both of a vault and another's":     {append(own[:2:2], files[1][0][1]), []string{"two vaults", files[1][0][1].Name}},
		"zeros":                             {changed(make([]byte, 1537)), []string{own[0].Name, "not a keyshare file"}},
		"nothing":                           {changed(nil), []string{own[0].Name}},
		"one that is cut off":               {changed(own[0].Data[:600]), []string{own[0].Name, "malformed JSON"}},
		"one with zeros behind it":          {changed(append(bytes.Clone(own[0].Data), 0, 0)), []string{own[0].Name}},
		"one with a byte order mark":        {changed(append([]byte("\ufeff"), own[0].Data...)), []string{own[0].Name}},
		"another program's JSON":            {changed([]byte(`{"hello":"world, this is not a keyshare at all"}`)), []string{own[0].Name, "pub_key"}},
		"one under the name of the other":   {[]envelope.File{{Name: own[1].Name, Data: own[0].Data}}, []string{own[1].Name, "it holds the keyshare of"}},
		"one under a name that is no key's": {[]envelope.File{{Name: "share.json", Data: own[0].Data}}, []string{"share.json", own[0].Name[11:40]}},
	} {
		t.Run(name, func(t *testing.T) {
			err := Sound(tc.files)
			if tc.says == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrKeyshares)
			for _, text := range tc.says {
				require.ErrorContains(t, err, text)
			}
		})
	}
}
