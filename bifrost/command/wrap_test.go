package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLinesFitAColumn(t *testing.T) {
	long := strings.Repeat("x", 40)
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"a short text":              {"one two", []string{"one two"}},
		"a text of one line, just":  {"one two three four x", []string{"one two three four x"}},
		"a text of two lines":       {"one two three four xy", []string{"one two three four", "xy"}},
		"a word that is too long":   {"see " + long + " there", []string{"see", long, "there"}},
		"what is counted are runes": {"ääää ääää ääää ääää ä", []string{"ääää ääää ääää ääää", "ä"}},
		"nothing":                   {"", []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, wrap(tc.text, 20))
			in := &Invocation{Stdout: &bytes.Buffer{}}
			require.Equal(t, []string{tc.text}, in.Lines(tc.text, 60), "another program gets one line")
		})
	}
}
