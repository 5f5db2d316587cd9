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
		"done, in JSON":             {args: []string{"do", "--output", "json"}, stdout: "{\n  \"command\": \"prog do\",\n  \"error\": null,\n  \"warnings\": [],\n  \"n\": 1\n}\n"},
		"failed, in JSON":           {args: []string{"do", "--output", "json"}, err: errChecked, code: 5, stdout: "{\n  \"command\": \"prog do\",\n  \"error\": {\n    \"code\": 5,\n    \"message\": \"checked\"\n  },\n  \"warnings\": []\n}\n", stderr: "prog: checked\n"},
		"misunderstood, in JSON":    {args: []string{"do", "--no", "--output=json"}, code: 2, stdout: "{\n  \"command\": \"prog\",\n  \"error\": {\n    \"code\": 2,\n    \"message\": \"unknown flag: --no\"\n  },\n  \"warnings\": []\n}\n", stderr: "prog: unknown flag: --no\nRun 'prog --help' for usage.\n"},
		"the version":               {args: []string{"version"}, stdout: "prog v1\n"},
		"the version, as a flag":    {args: []string{"--version"}, stdout: "prog version v1\n"},
		"a command misspelt":        {args: []string{"od"}, code: 2, stderr: "prog: unknown command \"od\" for \"prog\": did you mean do?\nRun 'prog --help' for usage.\n"},
		"a command without a match": {args: []string{"nonsense"}, code: 2, stderr: "prog: unknown command \"nonsense\" for \"prog\"\nRun 'prog --help' for usage.\n"},
		"a flag misspelt":           {args: []string{"do", "--outptu", "json"}, code: 2, stderr: "prog: unknown flag: --outptu: did you mean --output?\nRun 'prog --help' for usage.\n"},
		"help of what there is not": {args: []string{"help", "nonsense"}, code: 2, stderr: "prog: unknown command \"nonsense\" for \"prog\"\nRun 'prog --help' for usage.\n"},
		"a form that there is not":  {args: []string{"do", "--output", "xml"}, code: 2, stderr: "prog: --output must be text or json\nRun 'prog --help' for usage.\n"},
		"a flag that there is not":  {args: []string{"do", "--no"}, code: 2, stderr: "prog: unknown flag: --no\nRun 'prog --help' for usage.\n"},
		"an error of the user's":    {args: []string{"do"}, err: fmt.Errorf("do: %w", Usage(errChecked)), code: 2, stderr: "prog: do: checked\nRun 'prog --help' for usage.\n"},
		"an error with its code":    {args: []string{"do"}, err: errChecked, code: 5, stderr: "prog: checked\n"},
		"an error of several lines": {args: []string{"do"}, err: errors.New("one\ntwo\x1b[31m"), code: 1, stderr: "prog: one;two[31m\n"},
		"an interruption":           {args: []string{"do"}, ctx: ended, err: fmt.Errorf("fetch: %w", context.Canceled), code: 130, stderr: "prog: interrupted, nothing was written\n"},
		"an error at the end":       {args: []string{"do"}, ctx: ended, err: errChecked, code: 5, stderr: "prog: checked\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := Program{
				Name: "prog", Version: "v1",
				Root: func(in *Invocation) *cobra.Command {
					root := &cobra.Command{Use: "prog", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
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
