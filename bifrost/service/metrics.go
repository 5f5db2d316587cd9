package service

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/tss"
)

// metrics are what Prometheus sees of a bifrost.
type metrics struct {
	registry *prometheus.Registry

	restored        prometheus.Counter
	restoreFailures prometheus.Counter
	drillSuccess    prometheus.Gauge
	drillFailures   prometheus.Counter
	trustFailures   prometheus.Counter
	trustedHeader   prometheus.Gauge
}

func newMetrics(params *tss.PreParams, watch *registration.Watch) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		restored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_restored_vaults_total",
			Help: "Vaults whose keyshares were missing and came back from the backup.",
		}),
		restoreFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_restore_failures_total",
			Help: "Tries to restore a vault's keyshares that failed. Any is an emergency.",
		}),
		drillSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bifrost_drill_last_success_timestamp_seconds",
			Help: "When the latest backups last came back from another node, opened, " +
				"and were what is on the disk; 0 before.",
		}),
		drillFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_drill_failures_total", Help: "Fire drills that failed.",
		}),
		trustFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_trust_failures_total",
			Help: "Looks at the chain whose records could not be verified. " +
				"Any that goes on is an emergency.",
		}),
		trustedHeader: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bifrost_trusted_header_timestamp_seconds",
			Help: "Time of the latest verified header; 0 before.",
		}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.restored, m.restoreFailures, m.drillSuccess, m.drillFailures, m.trustFailures, m.trustedHeader,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_preparams", Help: "Sets of pre-parameters that are ready.",
		}, func() float64 {
			n, _ := params.Count()
			return float64(n)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_registered", Help: "1 when the chain knows this signer, 0 otherwise.",
		}, func() float64 {
			if watch.Status().State == registration.Ready {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_former_vaults",
			Help: "Live vaults of the operator that live under a former mnemonic.",
		}, func() float64 { return float64(len(watch.Status().Former)) }),
	)
	return m
}

// Restored implements care.Metrics.
func (m *metrics) Restored() { m.restored.Inc() }

// RestoreFailed implements care.Metrics.
func (m *metrics) RestoreFailed() { m.restoreFailures.Inc() }

// Verified implements care.Metrics.
func (m *metrics) Verified(header time.Time) { m.trustedHeader.Set(float64(header.Unix())) }

// Untrusted implements care.Metrics.
func (m *metrics) Untrusted() { m.trustFailures.Inc() }

// Drilled implements care.Metrics. A drill with the own node alone is no success: it
// says nothing about a day on which that is gone.
func (m *metrics) Drilled(r care.DrillResult) {
	switch {
	case r.Error != "":
		m.drillFailures.Inc()
	case !r.OwnNodeOnly:
		m.drillSuccess.SetToCurrentTime()
	}
}
