package publish

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
)

// Metrics are what Prometheus sees of the loop.
type Metrics struct {
	height      prometheus.Gauge
	lastPoll    prometheus.Gauge
	pollErrors  prometheus.Counter
	ceremonies  *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	sealErrors  prometheus.Counter
	sealSeconds prometheus.Histogram

	proofs       prometheus.Counter
	proveErrors  prometheus.Counter
	proveSeconds prometheus.Histogram

	deliveries *prometheus.CounterVec
	broadcasts *prometheus.CounterVec
	missed     prometheus.Counter
	outbox     prometheus.Gauge
	vaults     *prometheus.GaugeVec
}

// NewMetrics registers the loop's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		height: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bifrost_chain_height", Help: "Height of the latest block that bifrost saw.",
		}),
		lastPoll: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bifrost_last_poll_timestamp_seconds", Help: "When bifrost last looked at the chain without an error.",
		}),
		pollErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_poll_errors_total", Help: "Looks at the chain that failed.",
		}),
		ceremonies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bifrost_ceremonies_total", Help: "Ceremonies by kind and outcome (done, blame, error).",
		}, []string{"kind", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bifrost_ceremony_seconds", Help: "Time of ceremonies, by kind.",
			Buckets: []float64{0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640},
		}, []string{"kind"}),
		sealErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_seal_errors_total", Help: "Envelopes that could not be sealed. Any is an emergency.",
		}),
		sealSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bifrost_seal_seconds", Help: "Time of sealing an envelope.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32},
		}),
		proofs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_proofs_total", Help: "Proofs that were made, one for each keygen.",
		}),
		proveErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_prove_errors_total", Help: "Proofs that could not be made. Any is an emergency.",
		}),
		proveSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bifrost_prove_seconds", Help: "Time of making a proof.",
			Buckets: []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28},
		}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bifrost_delivered_total", Help: "What stands in state, by kind (result, blame, backup).",
		}, []string{"kind"}),
		broadcasts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bifrost_broadcasts_total", Help: "Transactions handed to the node, by outcome (accepted, sequence, refused).",
		}, []string{"outcome"}),
		missed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_missed_keygens_total", Help: "Keygens that closed without this member's vote.",
		}),
		outbox: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bifrost_outbox_records", Help: "Records that are not closed.",
		}),
		vaults: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "bifrost_vaults", Help: "Live vaults of this signer, by state (published, unpublished, no_keyshares).",
		}, []string{"state"}),
	}
	reg.MustRegister(m.height, m.lastPoll, m.pollErrors, m.ceremonies, m.seconds, m.sealErrors, m.sealSeconds,
		m.proofs, m.proveErrors, m.proveSeconds, m.deliveries, m.broadcasts, m.missed, m.outbox, m.vaults)
	return m
}

// ceremony starts a clock; the caller stops it with the outcome.
func (m *Metrics) ceremony(kind string) func(error) {
	begin := time.Now()
	return func(err error) {
		outcome := "done"
		var blame *ceremony.BlameError
		switch {
		case errors.As(err, &blame):
			outcome = "blame"
		case err != nil:
			outcome = "error"
		}
		m.ceremonies.WithLabelValues(kind, outcome).Inc()
		m.seconds.WithLabelValues(kind).Observe(time.Since(begin).Seconds())
	}
}

func (m *Metrics) delivered(kind string) prometheus.Counter {
	return m.deliveries.WithLabelValues(kind)
}

func (m *Metrics) sent(outcome string) prometheus.Counter {
	return m.broadcasts.WithLabelValues(outcome)
}
