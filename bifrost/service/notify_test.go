package service

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/home"
)

// TestSomebodyElsewhereIsToldOfProblems has problems come and go before a server that listens.
func TestSomebodyElsewhereIsToldOfProblems(t *testing.T) {
	var told []notification
	pings, status := 0, http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		if r.URL.Path == "/ping/hunter2" {
			pings++
			return
		}
		body, _ := io.ReadAll(r.Body)
		var n notification
		if status == http.StatusOK && json.Unmarshal(body, &n) == nil {
			told = append(told, n)
		}
	}))
	defer server.Close()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	var problems []string
	var log strings.Builder
	n, err := newNotifier(home.Notify{
		WebhookFile: file("hook", server.URL+"/hook/hunter2\n"), PingFile: file("ping", server.URL+"/ping/hunter2\n"),
	}, "cosmos1x", func() []string { return problems }, zerolog.New(&log))
	require.NoError(t, err)
	now := time.Now()
	look := func() {
		now = now.Add(time.Minute)
		n.look(t.Context(), now)
	}
	look()
	look()
	require.Empty(t, told, "all is well")
	require.Equal(t, 1, pings)
	for range 5 {
		look()
	}
	require.Equal(t, 2, pings)

	problems = []string{"for a moment"}
	look()
	problems = nil
	look()
	look()
	require.Empty(t, told)
	problems = []string{"the disk is full"}
	for range 10 {
		look()
	}
	require.Len(t, told, 1)
	require.Equal(t, problems, told[0].Problems)
	require.Contains(t, told[0].Text, "cosmos1x has 1 problems, the first of which is: the disk is full")
	require.Equal(t, 2, pings, "silence tells, too")
	problems = []string{"the last look that worked was 1m5s ago: dial 127.0.0.1:52110: refused"}
	look()
	look()
	require.Len(t, told, 2, "it is another one")
	problems = []string{"the last look that worked was 2m5s ago: dial 127.0.0.1:52111: refused"}
	look()
	look()
	require.Len(t, told, 2, "it is the same one")
	for i := range 4 {
		problems = []string{"the disk is full", fmt.Sprintf("the error number %d", i)}
		look()
	}
	require.Len(t, told, 3, "there is one more, whatever it says")
	require.Len(t, told[2].Problems, 2)

	status = http.StatusInternalServerError
	problems = nil
	look()
	look()
	require.Len(t, told, 3)
	require.Contains(t, log.String(), "answers with status 500")
	require.NotContains(t, log.String(), "hunter2")
	status = http.StatusOK
	look()
	require.Len(t, told, 4, "it is told once somebody listens")
	require.Empty(t, told[3].Problems)
	server.Close()
	problems = []string{"again"}
	look()
	look()
	require.NotContains(t, log.String(), "hunter2")
}

func TestURLsToNotifyAreInFiles(t *testing.T) {
	require.NoError(t, CheckNotify(home.Notify{}))
	path := filepath.Join(t.TempDir(), "hook")
	require.NoError(t, os.WriteFile(path, []byte("hunter2"), 0o600))
	err := CheckNotify(home.Notify{WebhookFile: path})
	require.ErrorIs(t, err, home.ErrConfig)
	require.ErrorContains(t, err, "not a URL of https or http")
	require.NotContains(t, err.Error(), "hunter2")
	require.NoError(t, os.Chmod(path, 0o644))
	require.ErrorContains(t, CheckNotify(home.Notify{PingFile: path}), "others may read")
}
