package command

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

func TestWhereFlagsComeFrom(t *testing.T) {
	const profile = `chain_id = "chain-of-profile"
node = "http://own"
witnesses = ["http://one", "http://two"]
prefix = "thor"
operator_prefix = "thorv"
hd_path = "m/1"
`
	for name, tc := range map[string]struct {
		env     map[string]string
		args    []string
		profile string
		code    int
		stdout  string
		stderr  string
	}{
		"from nowhere":                            {stdout: "[]    "},
		"from the environment":                    {env: map[string]string{"MY_PROG_NODE": "http://a,http://b", "MY_PROG_CHAIN_ID": "x"}, stdout: "[http://a http://b] x implied   "},
		"from the command line before all else":   {env: map[string]string{"MY_PROG_NODE": "http://a"}, args: []string{"--node", "http://c"}, stdout: "[http://c]    "},
		"an empty variable says nothing":          {env: map[string]string{"MY_PROG_NODE": ""}, stdout: "[]    "},
		"a variable of no flag says nothing":      {env: map[string]string{"MY_PROG_PORT": "tcp://10.0.0.1", "MY_PROG_VERSION": "1"}, stdout: "[]    "},
		"a variable that is no value":             {env: map[string]string{"MY_PROG_COUNT": "many"}, code: 2, stderr: "MY_PROG_COUNT in the environment: "},
		"from a profile":                          {args: []string{"--chain", "mine"}, profile: profile, stdout: "[http://own http://one http://two] chain-of-profile implied thor thorv m/1"},
		"from a profile that the variables name":  {env: map[string]string{"MY_PROG_CHAIN": "mine"}, profile: profile, stdout: "[http://own http://one http://two] chain-of-profile implied thor thorv m/1"},
		"from the environment before a profile":   {env: map[string]string{"MY_PROG_CHAIN_ID": "x"}, args: []string{"--chain", "mine"}, profile: profile, stdout: "[http://own http://one http://two] x implied thor thorv m/1"},
		"from the command line before a profile":  {args: []string{"--chain", "mine", "--node", "http://c"}, profile: profile, stdout: "[http://c] chain-of-profile thor thorv m/1"},
		"from a profile that there is not":        {args: []string{"--chain", "other"}, code: 2, stderr: "there is no profile "},
		"from a profile with an unknown key":      {args: []string{"--chain", "mine"}, profile: "nodes = []\n", code: 2, stderr: "unknown: nodes"},
		"from a file that is elsewhere":           {args: []string{"--chain", "../mine"}, profile: profile, code: 2, stderr: "is not the name of a profile"},
		"JSON from the environment":               {env: map[string]string{"MY_PROG_OUTPUT": "json"}, args: []string{"--nonsense"}, code: 2, stdout: "{\n", stderr: "unknown flag"},
		"completion needs nothing of the program": {args: []string{"completion", "bash"}, stdout: "# bash completion"},
	} {
		t.Run(name, func(t *testing.T) {
			config := t.TempDir()
			t.Setenv("XDG_CONFIG_HOME", config)
			dir := filepath.Join(config, "tssbackup", "chains")
			require.NoError(t, os.MkdirAll(dir, 0o700))
			if tc.profile != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "mine.toml"), []byte(tc.profile), 0o600))
			}
			for key, value := range tc.env {
				t.Setenv(key, value)
			}
			var stdout, stderr bytes.Buffer
			code := Program{Name: "my-prog", Version: "v1", Root: rootWithFlags}.
				run(t.Context(), tc.args, &Invocation{Stdout: &stdout, Stderr: &stderr})
			require.Equal(t, tc.code, code, stderr.String())
			if tc.stdout == "" {
				require.Empty(t, stdout.String())
			}
			require.Contains(t, stdout.String(), tc.stdout)
			require.Contains(t, stderr.String(), tc.stderr)
		})
	}
}

func rootWithFlags(in *Invocation) *cobra.Command {
	var nodes []string
	var chain, prefix, operators, path string
	root := &cobra.Command{Use: "my-prog", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		if in.Implied("node") {
			chain += " implied"
		}
		return in.Print(nil, func(w io.Writer) { fmt.Fprintf(w, "%v %s %s %s %s\n", nodes, chain, prefix, operators, path) })
	}}
	root.Flags().StringSliceVar(&nodes, "node", nil, "")
	root.Flags().StringVar(&chain, "chain-id", "", "")
	root.Flags().StringVar(&prefix, "prefix", "", "")
	root.Flags().StringVar(&operators, "operator-prefix", "", "")
	root.Flags().StringVar(&path, "hd-path", "", "")
	root.Flags().Int("count", 0, "")
	in.ChainFlag(root)
	return root
}
