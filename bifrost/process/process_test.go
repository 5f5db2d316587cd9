package process

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecretFromAFile(t *testing.T) {
	for name, tc := range map[string]struct {
		text    string
		mode    os.FileMode
		warning bool
		err     string
	}{
		"private":                {text: "words\n", mode: 0o600},
		"for reading alone":      {text: "words", mode: 0o400},
		"empty":                  {text: "", mode: 0o600},
		"readable by our group":  {text: "words\n", mode: 0o440},
		"writable by the group":  {text: "words\n", mode: 0o660, warning: true},
		"readable by all":        {text: "words\n", mode: 0o644, warning: true},
		"as large as is allowed": {text: strings.Repeat("x", maxSecret), mode: 0o600},
		"larger":                 {text: strings.Repeat("x", maxSecret+1), mode: 0o600, err: "more than 4096 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "words")
			require.NoError(t, os.WriteFile(path, []byte(tc.text), tc.mode))
			require.NoError(t, os.Chmod(path, tc.mode))
			secret, warning, err := Secret{Path: path}.Read(t.Context())
			require.Equal(t, tc.warning, warning != "")
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				require.Nil(t, secret)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.text, string(secret))
		})
	}
	_, _, err := Secret{Path: filepath.Join(t.TempDir(), "nothing")}.Read(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
	_, _, err = Secret{Path: t.TempDir()}.Read(t.Context())
	require.Error(t, err)
}

func TestCredentialsMayBelongToAGroup(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "words")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	for _, row := range []struct {
		name        string
		credentials string
		mode        os.FileMode
		exposed     bool
	}{
		{"a credential of the service", dir + "/", 0o440, false},
		{"a credential of everybody", dir, 0o444, true},
		{"a file of a group that may write", "", 0o460, true},
		{"the same elsewhere", t.TempDir(), 0o460, true},
		{"the same among the credentials", dir, 0o460, false},
		{"a file of our group", "", 0o440, false},
		{"a private file", "", 0o600, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Setenv("CREDENTIALS_DIRECTORY", row.credentials)
			require.NoError(t, os.Chmod(path, row.mode))
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, row.exposed, Exposed(path, info))
		})
	}
}

func TestSecretFromStandardInput(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	_, err = io.WriteString(w, "more\nwords\n")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	secret, warning, err := Secret{Path: "-", Terminal: NewTerminal(r, io.Discard)}.Read(t.Context())
	require.NoError(t, err)
	require.Empty(t, warning)
	require.Equal(t, "more\nwords\n", string(secret))
}

func TestNobodyToAsk(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	_, _, err = Secret{Terminal: NewTerminal(r, io.Discard)}.Read(t.Context())
	require.ErrorIs(t, err, ErrNoTerminal)
}
