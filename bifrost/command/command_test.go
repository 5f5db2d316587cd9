package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// errChecked is one that the program below ends with another code for.
var errChecked = errors.New("checked")

func TestHowAProgramEnds(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx            context.Context
		err            error
		args           []string
		code           int
		stdout, stderr string
	}{
		"done":                      {args: []string{"do"}, stdout: "1\n"},
		"done, in JSON":             {args: []string{"do", "--output", "json"}, stdout: "{\n  \"n\": 1\n}\n"},
		"the version":               {args: []string{"version"}, stdout: "prog v1\n"},
		"a form that there is not":  {args: []string{"do", "--output", "xml"}, code: 2, stderr: "prog: --output must be text or json\nRun 'prog --help' for usage.\n"},
		"a flag that there is not":  {args: []string{"do", "--no"}, code: 2, stderr: "prog: unknown flag: --no\nRun 'prog --help' for usage.\n"},
		"an error of the user's":    {args: []string{"do"}, err: fmt.Errorf("do: %w", Usage(errChecked)), code: 2, stderr: "prog: do: checked\nRun 'prog --help' for usage.\n"},
		"an error with its code":    {args: []string{"do"}, err: errChecked, code: 5, stderr: "prog: checked\n"},
		"an error of several lines": {args: []string{"do"}, err: errors.New("one\ntwo\x1b[31m"), code: 1, stderr: "prog: one;two[31m\n"},
		"an interruption":           {args: []string{"do"}, ctx: ended, err: fmt.Errorf("fetch: %w", context.Canceled), code: 1, stderr: "prog: interrupted\n"},
		"an error at the end":       {args: []string{"do"}, ctx: ended, err: errChecked, code: 5, stderr: "prog: checked\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := Program{
				Name: "prog", Version: "v1",
				Root: func(in *Invocation) *cobra.Command {
					root := &cobra.Command{Use: "prog"}
					root.AddCommand(&cobra.Command{Use: "do", RunE: func(*cobra.Command, []string) error {
						if tc.err != nil {
							return tc.err
						}
						return in.Print(map[string]int{"n": 1}, func(w io.Writer) { fmt.Fprintln(w, 1) })
					}})
					return root
				},
				Code: func(err error) int {
					if errors.Is(err, errChecked) {
						return 5
					}
					return CodeOther
				},
			}
			if tc.ctx == nil {
				tc.ctx = t.Context()
			}
			var stdout, stderr bytes.Buffer
			require.Equal(t, tc.code, p.run(tc.ctx, tc.args, &Invocation{Stdout: &stdout, Stderr: &stderr}))
			require.Equal(t, tc.stdout, stdout.String())
			require.Equal(t, tc.stderr, stderr.String())
		})
	}
}
