package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// TestTheAlertsAreOnWhatThereIs holds the alerts of contrib against what the page of a network
// exports, against the parts of the documents that they link to, and against the tests that promtool
// runs.
func TestTheAlertsAreOnWhatThereIs(t *testing.T) {
	root := filepath.Join("..", "..")
	read := func(names ...string) string {
		raw, err := os.ReadFile(filepath.Join(append([]string{root}, names...)...))
		require.NoError(t, err)
		return string(raw)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr string
				Annotations struct {
					Runbook string `json:"runbook_url"`
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(read("contrib", "prometheus", "alerts.yml")), &file))
	require.Len(t, file.Groups, 2)
	group := file.Groups[1]
	require.Equal(t, programName, group.Name)
	tests := read("contrib", "prometheus", "alerts_test.yml")

	s := newScene(t, 4)
	s.vault(1, active, s.members, 4, 4)
	f := s.follower()
	require.NoError(t, f.once(t.Context()))
	exported, _ := get(t, s.server(f)+"/metrics")
	selector := regexp.MustCompile(`(tssbackup_watch_[a-z_]+)(?:\{([a-z]+="[a-z]+")\})?`)
	for _, rule := range group.Rules {
		require.Contains(t, read("docs", "watch.md"), "| "+rule.Alert+" |")
		_, link, _ := strings.Cut(rule.Annotations.Runbook, "/docs/")
		document, part, _ := strings.Cut(link, "#")
		require.Regexp(t, `(?mi)^## `+strings.ReplaceAll(part, "-", "[ -]"), read("docs", document), rule.Alert)
		require.Contains(t, tests, "{alertname: "+rule.Alert+", ", "it is silent")
		require.Contains(t, tests, "- alertname: "+rule.Alert+"\n", "it fires")
		used := selector.FindAllStringSubmatch(rule.Expr, -1)
		require.True(t, len(used) > 0 || rule.Alert == "WatchDown", rule.Expr)
		for _, u := range used {
			require.Regexp(t, `(?m)^`+u[1]+`(\{.*)?`+u[2]+`.* [0-9]`, exported, rule.Alert)
		}
	}
}
