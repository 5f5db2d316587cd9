// Package grafana holds the dashboards beside it against what Grafana reads, and each of their
// expressions against the parser of Prometheus; with -prometheus, also against one that runs.
package grafana

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/prometheus/prometheus/promql/parser"
)

var prometheus = flag.String("prometheus", "",
	"URL of a Prometheus that scrapes a network with which something happened")

// TestDashboards asks a running Prometheus only when one is named.
func TestDashboards(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	paths, err := filepath.Glob("*.json")
	if err != nil || len(paths) == 0 {
		t.Fatal("no dashboards", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var strict dashboard.Dashboard
			// It returns its list of errors also when that is empty.
			if err := strict.UnmarshalJSONStrict(raw); err != nil && err.Error() != "" {
				t.Fatalf("Grafana does not know all of it: %v", err)
			}
			var file struct {
				Panels []struct {
					Type, Title, Description string
					Targets                  []struct{ Expr string }
				}
			}
			if err := json.Unmarshal(raw, &file); err != nil {
				t.Fatal(err)
			}
			for _, p := range file.Panels {
				if p.Type == "row" {
					continue
				}
				if p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
					t.Errorf("the panel %q lacks a title, a description or an expression", p.Title)
				}
				for _, target := range p.Targets {
					expr := strings.NewReplacer(
						"$__rate_interval", "5m", "$job", ".*", "$instance", ".*",
					).Replace(target.Expr)
					if _, err := parser.ParseExpr(expr); err != nil {
						t.Errorf("%s: %s: %v", p.Title, target.Expr, err)
					}
					// The demo's signers have no sinks, and its vaults stay in their first epochs.
					elsewhere := strings.Contains(expr, "bifrost_sink_") ||
						strings.Contains(expr, "_vault_margin")
					if *prometheus != "" && !elsewhere {
						ask(t, p.Title, expr)
					}
				}
			}
		})
	}
}

// ask wants at least one series of an expression, once Prometheus has scraped what it needs.
func ask(t *testing.T, title, expr string) {
	t.Helper()
	var got struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	for until := time.Now().Add(time.Minute); time.Now().Before(until); <-time.After(100 * time.Millisecond) {
		answer, err := http.Get(*prometheus + "/api/v1/query?query=" + url.QueryEscape(expr))
		if err != nil {
			continue // it is not up yet
		}
		err = json.NewDecoder(answer.Body).Decode(&got)
		answer.Body.Close()
		if err == nil && got.Status == "success" && len(got.Data.Result) > 0 {
			return
		}
	}
	t.Errorf("%s: %s gives nothing: %s %s", title, expr, got.Status, got.Error)
}
