package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const dashboard = `{"panels": [
	{"type": "row", "title": "The process"},
	{"title": "Memory", "fieldConfig": {"defaults": {"unit": "bytes"}}, "targets": [
		{"expr": "memory{job=~\"$job\",instance=~\"$instance\"}", "legendFormat": "{{instance}}"},
		{"expr": "rate(swap[$__rate_interval])", "legendFormat": "{{instance}} swap {{kind}}"}]}
]}`

// TestAPanelIsDrawn has a Prometheus answer with a series that has a gap, and one that is not a
// number at first.
func TestAPanelIsDrawn(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.FormValue("query"))
		require.Equal(t, []string{"100", "200", "1"}, []string{r.FormValue("start"), r.FormValue("end"), r.FormValue("step")})
		values := `[100,"0"],[101,"3e8"],[150,"1e8"]`
		if len(asked) == 2 {
			values = `[100,"NaN"],[200,"4e8"]`
		}
		fmt.Fprintf(w, `{"status": "success", "data": {"result": [
			{"metric": {"instance": "127.0.0.1:5041", "kind": "<big>"}, "values": [%s]}]}}`, values)
	}))
	defer server.Close()
	from := source{server.URL, "127.0.0.1:5041", 100, 200}
	memory, err := from.panel(t.Context(), []byte(dashboard), "Memory")
	require.NoError(t, err)
	require.Equal(t, []string{`memory{job=~".*",instance=~"127\\.0\\.0\\.1:5041"}`, "rate(swap[15s])"}, asked)
	require.Equal(t, []line{
		{"", []point{{100, 0}, {101, 3e8}, {150, 1e8}}}, {"swap <big>", []point{{200, 4e8}}},
	}, memory.lines)

	steps, err := readSteps(strings.NewReader("99 [1/3] before …\n150.5 [2/3] a vault & its backups …\n160       done (9.5s)\n"))
	require.NoError(t, err)
	require.Equal(t, []step{{99, "before"}, {150.5, "a vault & its backups"}}, steps)
	drawn := picture{100, 200, []panel{memory}, steps}.draw()
	for _, part := range []string{
		">Memory</text>", ">400 MB</text>", ">200 MB</text>", ">0 MB</text>", ">1 min</text>", ">swap &lt;big&gt;</text>",
		`d="M68.0 160.0L72.0 79.0M266.0 133.0"`, ">2: a vault &amp; its backups</text>", "M268.0 52v108",
	} {
		require.Contains(t, drawn, part)
	}
	for decoder := xml.NewDecoder(strings.NewReader(drawn)); err != io.EOF; _, err = decoder.Token() {
		require.NoError(t, err)
	}

	_, err = from.panel(t.Context(), []byte(dashboard), "The process")
	require.ErrorContains(t, err, `no panel "The process"`)
}

func TestWhatGivesNothingIsNoPanel(t *testing.T) {
	for answer, says := range map[string]string{
		`{"status": "success", "data": {"result": []}}`: "Memory: there is nothing to draw",
		`{"status": "error", "error": "parse error"}`:   "parse error",
		`gone`: "invalid character",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, answer)
		}))
		_, err := source{server.URL, "", 100, 200}.panel(t.Context(), []byte(dashboard), "Memory")
		require.ErrorContains(t, err, says)
		server.Close()
	}
}

func TestScales(t *testing.T) {
	for most, top := range map[float64]float64{0: 1, 0.3: 0.4, 1: 1, 3: 4, 73: 80, 271: 400, 999: 1000} {
		require.InDelta(t, top, round(most), 1e-9)
	}
	for _, row := range []struct {
		unit   string
		most   float64
		factor float64
		name   string
	}{
		{"bytes", 1e8, 1e-6, " MB"}, {"percentunit", 2, 100, " %"}, {"s", 30, 1, " s"}, {"s", 600, 1. / 60, " min"}, {"none", 5, 1, ""},
	} {
		factor, name := unitOf(row.unit, row.most)
		require.Equal(t, row.factor, factor)
		require.Equal(t, row.name, name)
	}
}
