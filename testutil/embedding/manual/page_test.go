package manual_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// page is where the lines of this chain are told.
const page = "../../../docs/embedding.md"

// lines are those of a text that say something, without white space around and without the mark.
func lines(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(line), "// embed"))
		if line != "" && !strings.HasPrefix(line, "//") {
			list = append(list, strings.Join(strings.Fields(line), " "))
		}
	}
	return list
}

// holds reports whether the lines of a part follow each other in a whole.
func holds(whole, part []string) bool {
	for i := range whole {
		if len(whole)-i >= len(part) && slices.Equal(whole[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// blocks are the Go code of the page under a heading.
func blocks(t *testing.T, heading string) []string {
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(raw), "\n### "+heading+"\n")
	require.True(t, ok)
	part, _, ok := strings.Cut(rest, "\n### ")
	require.True(t, ok)
	var list []string
	for i, block := range strings.Split(part, "```go\n") {
		if i > 0 {
			code, _, ok := strings.Cut(block, "\n```")
			require.True(t, ok)
			list = append(list, code)
		}
	}
	require.NotEmpty(t, list)
	return list
}

// marked are the parts of a source that the embedding added.
func marked(source string) []string {
	var parts []string
	for i, block := range strings.Split(source, "// embed: begin\n") {
		if i > 0 {
			code, _, _ := strings.Cut(block, "// embed: end")
			parts = append(parts, strings.Split(code, "\n\n")...)
		}
	}
	for line := range strings.Lines(source) {
		if strings.HasSuffix(strings.TrimSpace(line), "// embed") {
			parts = append(parts, line)
		}
	}
	return parts
}

// TestThePageHasTheLinesOfThisChain holds docs/embedding.md and this chain to each other: what the
// page shows is here, and what the embedding added here is on the page.
func TestThePageHasTheLinesOfThisChain(t *testing.T) {
	var source, shown []string
	var parts []string
	for _, file := range []string{"app.go", "ante.go"} {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		source = append(source, lines(string(raw))...)
		parts = append(parts, marked(string(raw))...)
	}
	for _, block := range blocks(t, "By hand") {
		require.True(t, holds(source, lines(block)), "not in the chain:\n%s", block)
		shown = append(shown, lines(block)...)
	}
	require.Greater(t, len(parts), 8)
	for _, part := range parts {
		part = strings.TrimSuffix(strings.TrimRight(part, "\t\n"), "\treturn nil")
		require.True(t, holds(shown, lines(part)), "not on the page:\n%s", part)
	}
}
