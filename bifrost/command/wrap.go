package command

import (
	"os"
	"strings"

	"golang.org/x/term"
)

// width is that of a terminal which does not say.
const width = 80

// Lines breaks a text for a column that begins after so many others on a terminal. What goes into a
// file or to another program stays one line.
func (in *Invocation) Lines(text string, before int) []string {
	out, ok := in.Stdout.(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) {
		return []string{text}
	}
	columns, _, err := term.GetSize(int(out.Fd()))
	if err != nil || columns <= 0 {
		columns = width
	}
	return wrap(text, columns-before)
}

// wrap breaks a text between its words so that no line has more characters than that, but for
// words that are longer, which are to be copied whole.
func wrap(text string, columns int) []string {
	const least = 20
	columns = max(columns, least)
	var lines []string
	line, length := "", 0
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case line == "":
			line, length = word, n
		case length+1+n > columns:
			lines = append(lines, line)
			line, length = word, n
		default:
			line, length = line+" "+word, length+1+n
		}
	}
	return append(lines, line)
}
