package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// The values of --output.
const (
	outputText = "text"
	outputJSON = "json"
)

// header begins the JSON of every command, and is all of it when a command fails before it has
// results. docs/output.schema.json has the rest.
type header struct {
	// Command is what ran, such as "bifrost status".
	Command string `json:"command"`
	// Error is null when the exit code is 0.
	Error *failure `json:"error"`
	// Warnings are what standard error shows as such.
	Warnings []string `json:"warnings"`
}

// failure is an error in JSON.
type failure struct {
	// Code is the exit code.
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Print writes the results: what text writes, or, when the user asked for that, the value as JSON
// once the command has ended, together with its warnings and its error. The value becomes an object
// whose keys are none of the header's.
func (in *Invocation) Print(value any, text func(w io.Writer)) error {
	in.writing.Lock()
	defer in.writing.Unlock()
	if in.stopped {
		return context.Canceled
	}
	if in.output == outputJSON {
		in.result = value
		return nil
	}
	var b strings.Builder
	text(&b)
	_, err := io.WriteString(in.Stdout, b.String())
	return err
}

// PrintRaw writes bytes that are no text as the only result. It refuses to where people or a reader
// of JSON would get them.
func (in *Invocation) PrintRaw(data []byte) error {
	in.writing.Lock()
	defer in.writing.Unlock()
	if in.stopped {
		return context.Canceled
	}
	out, ok := in.Stdout.(*os.File)
	switch {
	case in.output == outputJSON:
		return Usage(errors.New("standard output takes the result or JSON, not both: leave " +
			"--output json away"))
	case ok && term.IsTerminal(int(out.Fd())):
		return Usage(errors.New("the result is no text, and standard output is a terminal: write " +
			"to a file"))
	}
	_, err := in.Stdout.Write(data)
	return err
}

// finish writes the one JSON object of an invocation, if the user asked for JSON.
func (in *Invocation) finish(code int, text string) error {
	if in.output != outputJSON || (in.result == nil && code == CodeDone) {
		return nil
	}
	top := header{Command: in.command, Warnings: append([]string{}, in.warnings...)}
	if code != CodeDone {
		top.Error = &failure{code, text}
	}
	object, err := encode(top)
	if err != nil {
		return err
	}
	if in.result != nil {
		result, err := encode(in.result)
		if err != nil {
			return err
		}
		object = append(append(object[:len(object)-1], ','), result[1:]...)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, object, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = in.Stdout.Write(b.Bytes())
	return err
}

// encode is JSON that leaves <, > and & as they are.
func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	return bytes.TrimSpace(b.Bytes()), err
}

// Progress says on standard error, in a line, what goes on.
func (in *Invocation) Progress(format string, args ...any) {
	fmt.Fprintf(in.Stderr, format+"\n", args...)
}

// Done says on standard error, as the last of a command that did its work, what was done and what
// is next.
func (in *Invocation) Done(what, next string) {
	in.Progress("%s\nnext: %s", what, next)
}

// Warn says something at once, and keeps it for the results in JSON.
func (in *Invocation) Warn(text string) {
	in.writing.Lock()
	defer in.writing.Unlock()
	if in.stopped {
		return
	}
	fmt.Fprintln(in.Stderr, "warning:", text)
	in.warnings = append(in.warnings, text)
}

// OneLine makes text of a node or a library fit for a terminal: one line without control
// characters.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return ';'
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}
