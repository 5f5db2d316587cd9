package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics are what Prometheus sees, made of the latest view at each scrape.
type metrics struct {
	*server
	families map[string]*prometheus.Desc
}

func newMetrics(s *server) *prometheus.Registry {
	m := &metrics{server: s, families: map[string]*prometheus.Desc{}}
	for _, d := range []struct {
		name, help string
		labels     []string
	}{
		{"verified_height", "Height of the latest verified header; 0 before.", nil},
		{"verified_timestamp_seconds", "When the latest header was verified; 0 before.", nil},
		{"block_timestamp_seconds", "Time of the latest verified header; 0 before.", nil},
		{"state", "1 for the state that is: starting, verified, still, stale.", []string{"state"}},
		{"recoverable", "1 when there is a vault and every one is proven to be recoverable.", nil},
		{"vault_level", "1 for the level that a vault has: recoverable, doubtful, lost.", []string{"vault", "status", "level"}},
		{"vault_members", "Members of a vault.", []string{"vault", "status"}},
		{"vault_threshold", "How many members of a vault sign.", []string{"vault", "status"}},
		{"vault_asked", "Members that are asked to publish.", []string{"vault", "status"}},
		{"vault_published", "Members that have published.", []string{"vault", "status"}},
		{"vault_proven", "Members that have published and proven.", []string{"vault", "status"}},
		{"vault_missing", "Members that are asked and have not published.", []string{"vault", "status"}},
		{"vault_failed_proofs", "Proofs that fail a check here. Any is an emergency.", []string{"vault", "status"}},
		{"vault_epochs", "Epochs that a vault has had, with the present one.", []string{"vault", "status"}},
		{"vault_margin", "How many more members of one former epoch of a vault would have to leave for a threshold of it to be outside; of vaults that were reshared.", []string{"vault", "status"}},
		{"vault_overdue", "Members whose heartbeat is overdue.", []string{"vault", "status"}},
		{"signer_term", "The latest term of the signer of a vault's member; it rises at each claim.", []string{"signer"}},
		{"churn_open", "1 while a churn is open.", nil},
		{"churn_failed", "1 when the latest churn has failed.", nil},
		{"failed_keygens", "Keygens of the latest churn that have failed.", nil},
		{"sit_out", "Validators that sit out.", nil},
		{"streams", "Clients that listen.", nil},
		{"looks_total", "Looks at the chain.", nil},
		{"look_failures_total", "Looks at the chain that verified nothing newer.", nil},
		{"look_duration_seconds", "How long the latest look took.", nil},
	} {
		name := "tssbackup_watch_" + d.name
		m.families[d.name] = prometheus.NewDesc(name, d.help, d.labels, nil)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range m.families {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	gauge := func(name string, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(
			m.families[name], prometheus.GaugeValue, value, labels...)
	}
	v := m.follower.latest()
	var height, at, block float64
	if v.Verified != nil {
		height = float64(v.Verified.Height)
		at, block = float64(v.Verified.At.Unix()), float64(v.Verified.BlockTime.Unix())
	}
	gauge("verified_height", height)
	gauge("verified_timestamp_seconds", at)
	gauge("block_timestamp_seconds", block)
	for _, state := range []string{stateStarting, stateVerified, stateStill, stateStale} {
		gauge("state", truth(v.State == state), state)
	}
	gauge("recoverable", truth(v.Verdict.Level == levelRecoverable))
	for i := range v.Vaults {
		c := &v.Vaults[i]
		for _, level := range []string{levelRecoverable, levelDoubtful, levelLost} {
			gauge("vault_level", truth(c.Level == level), c.Vault, c.Status, level)
		}
		for name, value := range map[string]int{
			"vault_members": len(c.Members), "vault_threshold": c.Threshold,
			"vault_asked": c.Asked, "vault_published": c.Published, "vault_proven": c.Proven,
			"vault_missing": c.missing(), "vault_failed_proofs": c.failed(),
			"vault_overdue": c.overdue(), "vault_epochs": len(c.Former) + 1,
		} {
			gauge(name, float64(value), c.Vault, c.Status)
		}
		if len(c.Former) > 0 {
			gauge("vault_margin", float64(c.Margin), c.Vault, c.Status)
		}
	}
	terms := map[string]uint64{}
	for _, c := range v.Vaults {
		for _, member := range c.Members {
			terms[member.Address] = member.Term.Term
		}
	}
	for address, term := range terms {
		gauge("signer_term", float64(term), address)
	}
	gauge("churn_open", truth(len(v.Churns) > 0 && v.Churns[0].Status == "open"))
	gauge("churn_failed", truth(len(v.Churns) > 0 && v.Churns[0].Status == "failed"))
	failed := 0
	if len(v.Churns) > 0 {
		for _, k := range v.Churns[0].Keygens {
			failed += int(truth(k.Status == "failed"))
		}
	}
	gauge("failed_keygens", float64(failed))
	gauge("sit_out", float64(len(v.SitOut)))
	gauge("streams", float64(m.streams.Load()))
	m.follower.mu.Lock()
	looks, failures, took := m.follower.looks, m.follower.failures, m.follower.took
	m.follower.mu.Unlock()
	for name, value := range map[string]uint64{"looks_total": looks, "look_failures_total": failures} {
		to <- prometheus.MustNewConstMetric(
			m.families[name], prometheus.CounterValue, float64(value))
	}
	gauge("look_duration_seconds", took.Seconds())
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
