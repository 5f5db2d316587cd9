// Recording makes a moving picture (SVG, without script) of what a command prints, for a page that
// shows pictures only. It reads the lines from standard input as they come, and writes the picture
// to standard output when there are no more:
//
//	make demo | go run ./testutil/recording 'make demo'
//
// What is read is what is shown; long waits are cut short. Where pictures do not move, or whoever
// looks wants none that move, it shows the end.
package main

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: COMMAND | recording 'COMMAND'")
		os.Exit(2)
	}
	lines, err := record(os.Stdin, time.Now)
	if err == nil {
		_, err = os.Stdout.WriteString(draw(os.Args[1], lines))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "recording:", err)
		os.Exit(1)
	}
}

// line is a line that was printed, and how long nothing was before it.
type line struct {
	text string
	wait time.Duration
}

func record(r io.Reader, now func() time.Time) ([]line, error) {
	var lines []line
	last := now()
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		at := now()
		lines = append(lines, line{scanner.Text(), at.Sub(last)})
		last = at
	}
	return lines, scanner.Err()
}

const (
	rows = 24
	// The longest wait that is shown, the time for reading at the end, and the least for a line.
	longest, reading, least = 1500 * time.Millisecond, 6 * time.Second, 60 * time.Millisecond
	// In pixels: a row, a character's width at most, the bar above, and the margin.
	high, wide, bar, margin = 18, 8, 32, 16
)

// draw makes a terminal of rows lines in which the lines appear one after another.
func draw(command string, lines []line) string {
	lines = append([]line{{text: "$ " + command}}, lines...)
	together, columns := reading, 80
	for i := range lines {
		lines[i].wait = min(max(lines[i].wait, least), longest)
		together += lines[i].wait
		columns = max(columns, utf8.RuneCountInString(lines[i].text))
	}
	var times, text strings.Builder
	scroll := "0%{transform:none}"
	var at time.Duration
	for i, l := range lines {
		at += l.wait
		part := 100 * at.Seconds() / together.Seconds()
		if i >= rows {
			scroll += fmt.Sprintf("%.2f%%{transform:translateY(%dpx)}", part, (rows-1-i)*high)
		}
		if l.text == "" {
			continue
		}
		fmt.Fprintf(&times, "@keyframes l%d{0%%{visibility:hidden}%.2f%%{visibility:visible}}\n", i, part)
		fmt.Fprintf(&text, "<text y=\"%d\" style=\"animation-name:l%d\">%s</text>\n",
			(i+1)*high-5, i, html.EscapeString(l.text))
	}
	width, height := columns*wide+2*margin, rows*high
	return strings.NewReplacer(
		"WIDTH", fmt.Sprint(width), "HEIGHT", fmt.Sprint(bar+height+margin),
		"INNER", fmt.Sprint(width-2*margin), "ROWS", fmt.Sprint(height),
		"BAR", fmt.Sprint(bar), "MARGIN", fmt.Sprint(margin),
		"COMMAND", html.EscapeString(command), "SECONDS", fmt.Sprintf("%.1f", together.Seconds()),
		"END", fmt.Sprint(min(rows-len(lines), 0)*high), "SCROLL", scroll,
		"TIMES", times.String(), "TEXT", text.String(),
	).Replace(picture)
}

// picture is what draw fills in. Without animation it is its end.
const picture = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 WIDTH HEIGHT" width="WIDTH" height="HEIGHT" role="img">
<title>What COMMAND prints</title>
<style>
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d7dde5;white-space:pre}
text,g{animation:SECONDSs step-end infinite}
g{transform:translateY(ENDpx);animation-name:scroll}
@media (prefers-reduced-motion){text,g{animation:none}}
@keyframes scroll{SCROLL}
TIMES</style>
<rect width="WIDTH" height="HEIGHT" rx="8" fill="#10151c"/>
<circle cx="20" cy="16" r="5" fill="#3a4452"/><circle cx="38" cy="16" r="5" fill="#3a4452"/><circle cx="56" cy="16" r="5" fill="#3a4452"/>
<svg x="MARGIN" y="BAR" width="INNER" height="ROWS">
<g>
TEXT</g>
</svg>
</svg>
`
