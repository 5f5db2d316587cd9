package service

import (
	"errors"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/bifrost/tss"
)

// metrics are what Prometheus sees of a bifrost.
type metrics struct {
	registry *prometheus.Registry

	restored        prometheus.Counter
	restoreFailures prometheus.Counter
	damaged         prometheus.Counter
	drillSuccess    prometheus.Gauge
	drillFailures   prometheus.Counter
	trustFailures   prometheus.Counter
	trustedHeader   prometheus.Gauge

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

	backupSuccess  prometheus.Gauge
	backupFailures prometheus.Counter
	backupBytes    prometheus.Counter
	backupObjects  prometheus.Counter
	notBackedUp    prometheus.Counter
	sinkSuccess    *prometheus.GaugeVec

	outbox prometheus.Gauge
	vaults *prometheus.GaugeVec

	beatsWanted prometheus.Gauge
	beatsMissed prometheus.Gauge
}

func newMetrics(params *tss.PreParams, watch *registration.Watch) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		restored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_restored_vaults_total",
			Help: "Vaults whose keyshares were missing or damaged and came back from the backup.",
		}),
		damaged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_damaged_keyshares_total",
			Help: "Times that a keyshare file of a vault was found to be damaged. " +
				"Any says that the disk is not to be relied on.",
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

		height: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bifrost_chain_height", Help: "Height of the latest block that bifrost saw.",
		}),
		lastPoll: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bifrost_last_poll_timestamp_seconds",
			Help: "When bifrost last looked at the chain without an error.",
		}),
		pollErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_poll_errors_total", Help: "Looks at the chain that failed.",
		}),
		ceremonies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bifrost_ceremonies_total",
			Help: "Ceremonies by kind and outcome (done, blame, error).",
		}, []string{"kind", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bifrost_ceremony_duration_seconds", Help: "Time of ceremonies, by kind.",
			Buckets: []float64{0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640},
		}, []string{"kind"}),
		sealErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_seal_errors_total",
			Help: "Envelopes that could not be sealed. Any is an emergency.",
		}),
		sealSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bifrost_seal_duration_seconds", Help: "Time of sealing an envelope.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32},
		}),
		proofs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_proofs_total", Help: "Proofs that were made, one for each keygen.",
		}),
		proveErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_prove_errors_total",
			Help: "Proofs that could not be made. Any is an emergency.",
		}),
		proveSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bifrost_prove_duration_seconds", Help: "Time of making a proof.",
			Buckets: []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28},
		}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bifrost_delivered_total",
			Help: "What stands in state, by kind (result, blame, backup, heartbeat).",
		}, []string{"kind"}),
		broadcasts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bifrost_broadcasts_total",
			Help: "Transactions handed to the node, by outcome (accepted, sequence, refused).",
		}, []string{"outcome"}),
		missed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_missed_keygens_total",
			Help: "Keygens that closed without this member's vote.",
		}),
		backupSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bifrost_backup_last_success_timestamp_seconds",
			Help: "When the home was last backed up, or found to be; 0 before, and without backups.",
		}),
		backupFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_backup_failures_total", Help: "Backups of the home that failed.",
		}),
		backupBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_backup_written_bytes_total",
			Help: "Bytes that were written to backups of the home.",
		}),
		backupObjects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_backup_written_objects_total",
			Help: "Objects that were written to backups of the home.",
		}),
		notBackedUp: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bifrost_votes_not_backed_up_total",
			Help: "Votes that were cast before their keyshares were backed up. " +
				"Any says that the backups are not to be relied on.",
		}),
		sinkSuccess: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "bifrost_sink_last_success_timestamp_seconds",
			Help: "When a sink was last seen to hold all that is copied there; 0 before.",
		}, []string{"sink"}),
		outbox: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bifrost_outbox_records", Help: "Records that are not closed.",
		}),
		vaults: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "bifrost_vaults",
			Help: "Live vaults of this signer, by state (published, unpublished, no_keyshares).",
		}, []string{"state"}),
		beatsWanted: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bifrost_heartbeats_wanted",
			Help: "Live vaults for which half of the time to the next heartbeat is over.",
		}),
		beatsMissed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bifrost_heartbeats_missed",
			Help: "Intervals without a heartbeat, of all live vaults in their present epochs.",
		}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.restored, m.restoreFailures, m.damaged, m.drillSuccess, m.drillFailures,
		m.trustFailures, m.trustedHeader,
		m.height, m.lastPoll, m.pollErrors, m.ceremonies, m.seconds, m.sealErrors, m.sealSeconds,
		m.proofs, m.proveErrors, m.proveSeconds,
		m.deliveries, m.broadcasts, m.missed, m.outbox, m.vaults,
		m.backupSuccess, m.backupFailures, m.backupBytes, m.backupObjects, m.notBackedUp,
		m.sinkSuccess, m.beatsWanted, m.beatsMissed,
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
	m.begin()
	return m
}

// begin makes every series that there can be, at 0: a rate over one that appears with its first
// event misses that event.
func (m *metrics) begin() {
	for _, kind := range []string{"keygen", "keysign"} {
		for _, outcome := range []string{"done", "blame", "error"} {
			m.ceremonies.WithLabelValues(kind, outcome)
		}
		m.seconds.WithLabelValues(kind)
	}
	for _, kind := range []string{"result", "blame", "backup", "heartbeat"} {
		m.deliveries.WithLabelValues(kind)
	}
	for _, outcome := range []string{"accepted", "sequence", "refused"} {
		m.broadcasts.WithLabelValues(outcome)
	}
	for _, state := range []string{"published", "unpublished", "no_keyshares"} {
		m.vaults.WithLabelValues(state)
	}
}

// of adds what a running service shows of itself when it is asked.
func (m *metrics) of(s *service) {
	// Instances of one signer are known by it.
	who := prometheus.Labels{"signer": s.request.Address}
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_build_info", Help: "1, with the version of this bifrost and of Go.",
			ConstLabels: prometheus.Labels{"version": s.version, "goversion": runtime.Version()},
		}, func() float64 { return 1 }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_problems",
			Help: "Problems that bifrost status names. It is healthy when there are none.",
		}, func() float64 { return float64(len(s.status().Problems)) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_term", Help: "The latest term of the signer that was seen on chain.",
		}, func() float64 { return float64(s.terms.Status().Term) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_fenced", ConstLabels: who,
			Help: "1 while another instance of the signer has the term, so that this one acts in nothing.",
		}, func() float64 {
			if s.terms.Status().State == term.Fenced {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_standby", ConstLabels: who,
			Help: "1 while this instance stands by, for another that acts.",
		}, func() float64 {
			if s.terms.Status().State == term.Standby {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_standby_last_success_timestamp_seconds",
			Help: "When the home was last seen to have all that the backups hold that it follows; " +
				"0 before, and where it follows none.",
		}, func() float64 {
			if s.follower == nil {
				return 0
			}
			at := s.follower.Status().LastSuccess
			if at.IsZero() {
				return 0
			}
			return float64(at.Unix())
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_damaged_vaults",
			Help: "Vaults of which a keyshare file is damaged and not yet restored.",
		}, func() float64 { return float64(len(s.repairer.Damaged())) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_named_envelopes",
			Help: "Envelopes of the signer's live vaults that their members hold, by the chain's records.",
		}, func() float64 {
			st, _ := s.heldStatus()
			if st == nil {
				return 0
			}
			return float64(st.Named)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_held_envelopes",
			Help: "Those of the named envelopes that are here. One that is missing is fetched from the " +
				"other members.",
		}, func() float64 {
			st, _ := s.heldStatus()
			if st == nil {
				return 0
			}
			return float64(st.Held)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "bifrost_connected_peers",
			Help: "Other signers that are connected. Signers connect for a ceremony.",
		}, func() float64 {
			s.mu.Lock()
			node := s.tss
			s.mu.Unlock()
			if node == nil {
				return 0
			}
			return float64(node.Connected())
		}),
	)
}

// Restored implements care.Metrics.
func (m *metrics) Restored() { m.restored.Inc() }

// RestoreFailed implements care.Metrics.
func (m *metrics) RestoreFailed() { m.restoreFailures.Inc() }

// Damaged implements care.Metrics.
func (m *metrics) Damaged() { m.damaged.Inc() }

// Verified implements care.Metrics.
func (m *metrics) Verified(header time.Time) { m.trustedHeader.Set(float64(header.Unix())) }

// Untrusted implements care.Metrics.
func (m *metrics) Untrusted() { m.trustFailures.Inc() }

// Drilled implements care.Metrics. A drill with the own node alone is no success: it says nothing
// about a day on which that is gone.
func (m *metrics) Drilled(r care.DrillResult) {
	switch {
	case r.Error != "":
		m.drillFailures.Inc()
	case !r.OwnNodeOnly:
		m.drillSuccess.SetToCurrentTime()
	}
}

// Polled implements publish.Metrics.
func (m *metrics) Polled(st publish.Status, err error) {
	if err != nil {
		m.pollErrors.Inc()
	} else {
		m.lastPoll.SetToCurrentTime()
	}
	m.height.Set(float64(st.Height))
	m.outbox.Set(float64(len(st.Outbox)))
	states := map[string]int{"published": 0, "unpublished": 0, "no_keyshares": 0}
	wanted, missed := 0, uint64(0)
	for _, v := range st.Vaults {
		if v.Heartbeat != nil {
			missed += v.Heartbeat.Missed
			if v.Heartbeat.Wanted {
				wanted++
			}
		}
		switch {
		case !v.Keyshares:
			states["no_keyshares"]++
		case v.Published || !v.Asked:
			states["published"]++
		default:
			states["unpublished"]++
		}
	}
	for state, n := range states {
		m.vaults.WithLabelValues(state).Set(float64(n))
	}
	m.beatsWanted.Set(float64(wanted))
	m.beatsMissed.Set(float64(missed))
}

// Ceremony implements publish.Metrics.
func (m *metrics) Ceremony(kind string, took time.Duration, err error) {
	outcome := "done"
	var blame *ceremony.BlameError
	switch {
	case errors.As(err, &blame):
		outcome = "blame"
	case err != nil:
		outcome = "error"
	}
	m.ceremonies.WithLabelValues(kind, outcome).Inc()
	m.seconds.WithLabelValues(kind).Observe(took.Seconds())
}

// Sealed implements publish.Metrics.
func (m *metrics) Sealed(took time.Duration) { m.sealSeconds.Observe(took.Seconds()) }

// SealFailed implements publish.Metrics.
func (m *metrics) SealFailed() { m.sealErrors.Inc() }

// Proved implements publish.Metrics.
func (m *metrics) Proved(took time.Duration) {
	m.proveSeconds.Observe(took.Seconds())
	m.proofs.Inc()
}

// ProveFailed implements publish.Metrics.
func (m *metrics) ProveFailed() { m.proveErrors.Inc() }

// Sent implements publish.Metrics.
func (m *metrics) Sent(outcome string) { m.broadcasts.WithLabelValues(outcome).Inc() }

// Delivered implements publish.Metrics.
func (m *metrics) Delivered(kind string) { m.deliveries.WithLabelValues(kind).Inc() }

// Missed implements publish.Metrics.
func (m *metrics) Missed() { m.missed.Inc() }

// NotBackedUp implements publish.Metrics.
func (m *metrics) NotBackedUp() { m.notBackedUp.Inc() }

// BackedUp implements homebackup.Metrics.
func (m *metrics) BackedUp(c *homebackup.Created) {
	m.backupSuccess.SetToCurrentTime()
	m.backupBytes.Add(float64(c.Bytes))
	m.backupObjects.Add(float64(c.Objects))
}

// BackupFailed implements homebackup.Metrics.
func (m *metrics) BackupFailed() { m.backupFailures.Inc() }
