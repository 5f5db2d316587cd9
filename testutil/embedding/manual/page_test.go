package manual_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// page is where the lines of both chains are told.
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
	_, rest, ok := strings.Cut(string(raw), heading+"\n")
	require.True(t, ok)
	part, _, _ := strings.Cut(rest, "\n### ")
	part, _, _ = strings.Cut(part, "\n## ")
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

// TestThePageHasTheLinesOfBothChains holds docs/embedding.md and the chains to each other: what the
// page shows is there, and what the embedding added there is on the page.
func TestThePageHasTheLinesOfBothChains(t *testing.T) {
	const root = "../../../"
	for heading, files := range map[string][]string{
		"### By hand":               {"app.go", "ante.go"},
		"### With depinject":        {root + "app/app.go", root + "app/config.go"},
		"### The daemon":            {root + "cmd/tssbackupd/root.go"},
		"## 8. Tests of your chain": {"manual_test.go"},
	} {
		t.Run(heading, func(t *testing.T) {
			var source, shown []string
			var parts []string
			for _, file := range files {
				raw, err := os.ReadFile(file)
				require.NoError(t, err)
				source = append(source, lines(string(raw))...)
				parts = append(parts, marked(string(raw))...)
			}
			for _, block := range blocks(t, heading) {
				for _, part := range strings.Split(block, "\n\n") {
					require.True(t, holds(source, lines(part)), "not in the chain:\n%s", part)
				}
				shown = append(shown, lines(block)...)
			}
			for _, part := range parts {
				part = strings.TrimSuffix(strings.TrimRight(part, "\t\n"), "\treturn nil")
				require.True(t, holds(shown, lines(part)), "not on the page:\n%s", part)
			}
		})
	}
}

// TestEachRowIsATest looks for the tests that the page names.
func TestEachRowIsATest(t *testing.T) {
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	var all strings.Builder
	require.NoError(t, filepath.WalkDir("../../..", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			var source []byte
			source, err = os.ReadFile(path)
			all.Write(source)
		}
		return err
	}))
	names := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(raw), -1)
	require.Greater(t, len(names), 10)
	for _, name := range names {
		require.Contains(t, all.String(), "\nfunc "+name[1]+"(", name[1])
	}
}
