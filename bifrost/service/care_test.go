package service

import (
	"bytes"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/publish"
)

func TestDrillIsDue(t *testing.T) {
	now := time.Now()
	published := []publish.VaultStatus{{Vault: "a", Keyshares: true, Published: true}}
	for _, row := range []struct {
		name    string
		vaults  []publish.VaultStatus
		drilled map[string]bool
		last    *DrillResult
		due     bool
	}{
		{"nothing is published", []publish.VaultStatus{{Vault: "a", Keyshares: true}}, map[string]bool{}, nil, false},
		{"a backup is new", published, map[string]bool{}, &DrillResult{Time: now}, true},
		{"it was drilled just now", published, map[string]bool{"a": true}, &DrillResult{Time: now}, false},
		{"a day has passed", published, map[string]bool{"a": true}, &DrillResult{Time: now.Add(-drillInterval)}, true},
		{"the last one failed a while ago", published, map[string]bool{"a": true}, &DrillResult{Time: now.Add(-drillRetry), Error: "x"}, true},
		{"the last one failed just now", published, map[string]bool{"a": true}, &DrillResult{Time: now, Error: "x"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			require.Equal(t, row.due, drillDue(row.vaults, row.drilled, row.last, now))
		})
	}
}

func TestOnlyADrillWithAnotherNodeCounts(t *testing.T) {
	var log bytes.Buffer
	s := &service{
		log: zerolog.New(&log), drillSuccess: prometheus.NewGauge(prometheus.GaugeOpts{Name: "success"}),
		drillFailures: prometheus.NewCounter(prometheus.CounterOpts{Name: "failures"}),
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(s.drillSuccess, s.drillFailures)
	values := func() (success, failures float64) {
		families, err := metrics.Gather()
		require.NoError(t, err)
		require.Len(t, families, 2)
		return families[1].GetMetric()[0].GetGauge().GetValue(), families[0].GetMetric()[0].GetCounter().GetValue()
	}
	s.noteDrill(DrillResult{Node: "own", OwnNodeOnly: true})
	success, _ := values()
	require.Zero(t, success)
	require.Contains(t, log.String(), "set witnesses")
	s.noteDrill(DrillResult{Error: "x"})
	_, failures := values()
	require.EqualValues(t, 1, failures)
	s.noteDrill(DrillResult{Node: "other"})
	success, _ = values()
	require.InDelta(t, float64(time.Now().Unix()), success, 5)
}
