//go:build page

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/hostile"
)

var (
	axe      = flag.String("axe", "", "file of axe-core")
	pictures = flag.Bool("write-pictures", false, "write the pictures of docs")
)

// inspect has axe-core look at the page, and leaves what it finds in the document.
const inspect = `axe.run(document).then(found => {
	document.documentElement.dataset.axe = JSON.stringify(found.violations.map(v =>
		({ id: v.id, impact: v.impact, at: v.nodes.map(n => n.html).slice(0, 3) })));
});`

// chromium runs the browser on an address and returns what it prints.
func chromium(t *testing.T, args ...string) string {
	var stdout bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "chromium", append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir=" + t.TempDir(),
	}, args...)...)
	cmd.Stdout = &stdout
	cmd.WaitDelay = time.Second
	require.NoError(t, cmd.Run())
	return stdout.String()
}

// watched serves what a follower sees, with axe-core in the page, which is under the page's policy
// as the page's own script is.
func watched(t *testing.T, f *follower) string {
	own := newServer(f, "v0.1.0").Handler
	library, err := os.ReadFile(*axe)
	require.NoError(t, err, "make test-page gives -axe")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/axe.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write(append(library, inspect...))
			return
		case "/still":
			r.URL.Path = "/"
			own.ServeHTTP(quiet{w}, r)
			return
		case "/events":
			// The browser's clock runs ahead, and would wait for a stream.
			w.WriteHeader(http.StatusNoContent)
			return
		case "/inspected":
			r.URL.Path = "/"
			r.Header.Del("Accept-Encoding")
			var rec httptest.ResponseRecorder
			rec.Body = &bytes.Buffer{}
			own.ServeHTTP(&rec, r)
			for name, values := range rec.Result().Header {
				w.Header()[name] = values
			}
			page := strings.Replace(rec.Body.String(), "</body>", `<script src="/axe.js"></script></body>`, 1)
			fmt.Fprint(w, page)
			return
		}
		own.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// quiet is a page whose policy lets no script run.
type quiet struct{ http.ResponseWriter }

func (q quiet) Write(data []byte) (int, error) {
	q.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'none'")
	return q.ResponseWriter.Write(data)
}

func (q quiet) Unwrap() http.ResponseWriter { return q.ResponseWriter }

// TestThePageInABrowser looks at the page of a network in its daily life, of one of which a vault is
// lost and a node hides it, and of a chain that stands still.
func TestThePageInABrowser(t *testing.T) {
	day, f := harbor(t)
	day.pretend(f)
	lost := newScene(t, 6)
	lost.vault(1, active, lost.members, 2, 1)
	lost.vault(2, active, lost.members, 6, 6)
	proxy := hostile.New(t, lost.url)
	g := lost.follower(proxy.URL)
	require.NoError(t, g.once(t.Context()))
	hide(proxy)
	lost.later(time.Second)
	require.Error(t, g.once(t.Context()))
	still := newScene(t, 4)
	still.vault(1, active, still.members, 4, 4)
	h := still.follower()
	require.NoError(t, h.once(t.Context()))
	still.clock = still.clock.Add(20 * time.Minute)
	require.NoError(t, h.once(t.Context()))

	found := regexp.MustCompile(`data-axe="([^"]*)"`)
	for name, tc := range map[string]struct {
		f    *follower
		says string
		args []string
	}{
		"a day":                {f, "Every vault is recoverable", nil},
		"a day, dark, a phone": {f, "Every vault is recoverable", []string{"--force-dark-mode", "--blink-settings=preferredColorScheme=0", "--window-size=500,900"}},
		"a vault is lost":      {g, "1 vault is not recoverable, when it was last verified", nil},
		"it stands still":      {h, "The chain stands still", nil},
	} {
		t.Run(name, func(t *testing.T) {
			dom := chromium(t, append(tc.args, "--virtual-time-budget=5000", "--dump-dom", watched(t, tc.f)+"/inspected")...)
			require.Contains(t, dom, tc.says)
			require.NotContains(t, dom, `<script>alert`)
			match := found.FindStringSubmatch(dom)
			require.NotNil(t, match, "axe-core has run")
			var violations []struct {
				ID, Impact string
				At         []string
			}
			require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(match[1])), &violations))
			for _, v := range violations {
				require.NotContains(t, []string{"serious", "critical"}, v.Impact, "%s: %s", v.ID, v.At)
			}
		})
	}
	t.Run("it renews itself", func(t *testing.T) {
		own := newServer(f, "v0.1.0").Handler
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/":
				if asked++; asked > 1 {
					newServer(h, "v0.1.0").Handler.ServeHTTP(w, r)
					return
				}
			case "/events":
				w.Header().Set("Content-Type", "text/event-stream")
				fmt.Fprint(w, "retry: 100000\ndata: {\"content\":99}\n\n")
				return
			}
			own.ServeHTTP(w, r)
		}))
		defer server.Close()
		dom := chromium(t, "--virtual-time-budget=8000", "--dump-dom", server.URL)
		require.Contains(t, dom, "The chain stands still")
		require.Contains(t, dom, "The vault is recoverable")
		require.NotContains(t, dom, "validator-10")
	})
	t.Run("without script", func(t *testing.T) {
		dom := chromium(t, "--dump-dom", watched(t, f)+"/still")
		require.Contains(t, dom, "Every vault is recoverable")
		require.Contains(t, dom, "1 backup is missing, of validator-10")
	})
	if *pictures {
		url := watched(t, f)
		for name, args := range map[string][]string{
			"watch-wide":   {"--window-size=1280,1000"},
			"watch-tablet": {"--window-size=820,1000", "--blink-settings=preferredColorScheme=0"},
			"watch-phone":  {"--window-size=500,1000"},
		} {
			path, err := filepath.Abs("../../docs/" + name + ".png")
			require.NoError(t, err)
			chromium(t, append(args, "--screenshot="+path, url)...)
		}
	}
}
