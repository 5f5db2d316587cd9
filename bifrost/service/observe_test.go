package service

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

// observed is a service that does nothing by itself, over a signer in a chain of fake nodes.
func observed(t *testing.T, m *fakemember.Member) *service {
	cfg := fakemember.Config()
	cfg.Node, cfg.Witnesses = m.OwnURL, []string{m.OtherURL}
	s := &service{home: m.Home, cfg: cfg, version: "v1.2.3", log: zerolog.Nop(), keyshares: m.Store(t)}
	var err error
	s.chain, err = chain.New(cfg.Node, 0)
	require.NoError(t, err)
	s.key, err = signer.Derive(m.Mnemonic, cfg.HDPath)
	require.NoError(t, err)
	s.request, err = registration.NewRequest(cfg, s.key, m.Mnemonic, 0)
	require.NoError(t, err)
	s.registration = registration.NewWatch(cfg, s.request, false, s.chain, m.Mnemonic, s.log)
	m.Registered(t, fakemember.Recipient(t, 0, 0))
	state, err := s.registration.Await(t.Context())
	require.NoError(t, err)
	require.Equal(t, registration.Ready, state)
	s.params = tss.NewPreParams(home.PreParamsDir(m.Home), homekeys.New(t), s.log)
	s.metrics = newMetrics(s.params, s.registration)
	require.NoError(t, s.newCare(m.Mnemonic))
	require.NoError(t, s.openTerm(false))
	s.metrics.of(s)
	return s
}

// series are the names of all series that the service exports, with their values.
func (m *metrics) series(t *testing.T) map[string]float64 {
	families, err := m.registry.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			name := f.GetName()
			for _, label := range metric.GetLabel() {
				if label.GetName() != "signer" {
					name += " " + label.GetValue()
				}
			}
			got[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	return got
}

func TestDamagedKeyshareIsSeenFromOutside(t *testing.T) {
	m := fakemember.New(t)
	m.OneVault()
	m.Save(t, m.Vaults[0])
	s := observed(t, m)
	ask := func(path string) (int, string) {
		w := httptest.NewRecorder()
		handler := map[string]http.HandlerFunc{"/livez": handleLive, "/readyz": s.handleReady}[path]
		handler(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	damaged := m.File(m.Vaults[0], 0)
	require.NoError(t, os.WriteFile(damaged, []byte("{}"), 0o600))
	s.repairer.Once(t.Context()) // no backup is published

	require.Equal(t, StateDamaged, s.status().State)
	require.Equal(t, []string{m.Vaults[0].Name()}, s.status().Damaged)
	code, body := ask("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, "DAMAGED")
	code, _ = ask("/livez")
	require.Equal(t, http.StatusOK, code, "a restart mends nothing")
	got := s.metrics.series(t)
	require.EqualValues(t, 1, got["bifrost_damaged_keyshares_total"])
	require.EqualValues(t, 1, got["bifrost_damaged_vaults"])
	require.Positive(t, got["bifrost_problems"])

	m.Publish(t)
	s.repairer.Once(t.Context()) // the first look kept its header, and the vault waits a minute
	s = observed(t, m)
	s.repairer.Once(t.Context())
	st := s.status()
	require.NotEqual(t, StateDamaged, st.State)
	require.Len(t, st.SetAside, 1, "the operator is told where the damaged file is")
	raw, err := json.Marshal(st)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"damaged":[]`)
	require.Zero(t, s.metrics.series(t)["bifrost_damaged_vaults"])
	m.Holds(t, m.Vaults[0])
}

func TestEverySeriesIsThereFromTheStart(t *testing.T) {
	s := observed(t, fakemember.New(t))
	got := s.metrics.series(t)
	for _, name := range []string{
		"bifrost_restored_vaults_total", "bifrost_restore_failures_total",
		"bifrost_damaged_keyshares_total", "bifrost_drill_failures_total",
		"bifrost_drill_last_success_timestamp_seconds", "bifrost_trust_failures_total",
		"bifrost_poll_errors_total", "bifrost_seal_errors_total", "bifrost_proofs_total",
		"bifrost_prove_errors_total", "bifrost_missed_keygens_total",
		"bifrost_ceremonies_total keygen done", "bifrost_ceremonies_total keygen blame",
		"bifrost_ceremonies_total keygen error", "bifrost_ceremonies_total keysign done",
		"bifrost_ceremonies_total keysign blame", "bifrost_ceremonies_total keysign error",
		"bifrost_delivered_total result", "bifrost_delivered_total blame",
		"bifrost_delivered_total backup", "bifrost_broadcasts_total accepted",
		"bifrost_broadcasts_total sequence", "bifrost_broadcasts_total refused",
		"bifrost_vaults published", "bifrost_vaults unpublished", "bifrost_vaults no_keyshares",
		"bifrost_connected_peers", "bifrost_damaged_vaults",
		"bifrost_ceremony_duration_seconds keygen", "bifrost_ceremony_duration_seconds keysign",
		"bifrost_seal_duration_seconds", "bifrost_prove_duration_seconds",
		"bifrost_backup_last_success_timestamp_seconds", "bifrost_backup_failures_total",
		"bifrost_backup_written_bytes_total", "bifrost_backup_written_objects_total",
		"bifrost_votes_not_backed_up_total",
		"bifrost_delivered_total heartbeat", "bifrost_heartbeats_wanted", "bifrost_heartbeats_missed",
	} {
		require.Contains(t, got, name)
		require.Zero(t, got[name], name)
	}
	for name := range got {
		of, _, _ := strings.Cut(name, " ")
		require.False(t, strings.HasPrefix(of, "bifrost_") && strings.HasSuffix(of, "_seconds") &&
			!strings.HasSuffix(of, "_timestamp_seconds") && !strings.HasSuffix(of, "_duration_seconds"), name)
	}
	info := 0
	for name, value := range got {
		if strings.HasPrefix(name, "bifrost_build_info ") {
			info++
			require.Contains(t, name, "v1.2.3")
			require.EqualValues(t, 1, value)
		}
	}
	require.Equal(t, 1, info)
}

// TestAlertsAreOnWhatThereIs holds the alerts of contrib against what a new signer exports, against
// the runbook's parts that they link to, and against the tests that promtool runs.
func TestAlertsAreOnWhatThereIs(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "contrib", "prometheus", "alerts.yml"))
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations struct {
					Runbook string `json:"runbook_url"`
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(raw, &file))
	s := observed(t, fakemember.New(t))
	s.cfg.Sinks = []home.Sink{{Name: "nas", URL: "file://" + t.TempDir()}}
	require.NoError(t, s.newSinks())
	got := s.metrics.series(t)
	got["bifrost_sink_last_success_timestamp_seconds"] = got["bifrost_sink_last_success_timestamp_seconds nas"]
	runbook, err := os.ReadFile(filepath.Join("..", "..", "docs", "runbook.md"))
	require.NoError(t, err)
	parts := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllSubmatch(runbook, -1) {
		name := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(string(heading[1])), "")
		parts[strings.ReplaceAll(name, " ", "-")] = true
	}
	tests, err := os.ReadFile(filepath.Join("..", "..", "contrib", "prometheus", "alerts_test.yml"))
	require.NoError(t, err)
	selector := regexp.MustCompile(`(bifrost_[a-z_]+)(?:\{state="([a-z_]+)"\})?`)
	drill := ""
	for _, rule := range file.Groups[0].Rules {
		require.Contains(t, string(runbook), rule.Alert)
		_, part, _ := strings.Cut(rule.Annotations.Runbook, "/docs/runbook.md#")
		require.True(t, parts[part], "%s links to the part %q", rule.Alert, part)
		require.Contains(t, string(tests), "{alertname: "+rule.Alert+", ", "it is silent")
		require.Contains(t, string(tests), "- alertname: "+rule.Alert+"\n", "it fires")
		for _, used := range selector.FindAllStringSubmatch(rule.Expr, -1) {
			require.Contains(t, got, strings.TrimSpace(used[1]+" "+used[2]), rule.Alert)
		}
		if rule.Alert == "BifrostDrillOverdue" {
			drill = rule.Expr
		}
	}
	// A signer without vaults never drilled, and nothing is the matter with it.
	overdue, guard, ok := strings.Cut(drill, " and on (job, instance) ")
	require.True(t, ok, drill)
	require.Contains(t, overdue, "bifrost_drill_last_success_timestamp_seconds > ")
	require.Equal(t, `bifrost_vaults{state="published"} > 0`, guard)
	require.Zero(t, got["bifrost_vaults published"])
}
