// Package readme takes the commands out of a page, so that a test runs what readers paste.
package readme

import (
	"fmt"
	"strings"
)

// Recipe returns the lines of the shell under a heading of a page in Markdown, one text for each
// fenced block of sh up to the next heading. It errs when there is no such heading, or no block.
func Recipe(page, heading string) ([]string, error) {
	var blocks []string
	var block strings.Builder
	found, fenced, shell := false, false, false
	for line := range strings.Lines(page) {
		switch text := strings.TrimRight(line, "\n"); {
		case strings.HasPrefix(text, "```"):
			if fenced && shell && found {
				blocks = append(blocks, block.String())
			}
			block.Reset()
			fenced = !fenced
			shell = text == "```sh"
		case fenced:
			block.WriteString(line)
		case strings.HasPrefix(text, "#"):
			found = strings.TrimLeft(text, "# ") == heading
		}
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("no commands under %q", heading)
	}
	return blocks, nil
}
