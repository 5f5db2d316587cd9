package service

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/sanity"
)

const (
	// careInterval is the time between two looks at whether there is something to drill.
	careInterval = 5 * time.Second
	// drillInterval is the time between two drills, drillRetry after one that failed.
	drillInterval = 24 * time.Hour
	drillRetry    = 10 * time.Minute
)

// newCare makes what keeps the keyshares here and their backups proven.
func (s *service) newCare(mnemonic *sanity.Mnemonic) error {
	witnesses, err := newWitnesses(s.cfg.Node, s.cfg.Witnesses)
	if err != nil {
		return fmt.Errorf("%w: witnesses: %w", home.ErrConfig, err)
	}
	restored := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "bifrost_restored_vaults_total", Help: "Vaults whose keyshares were missing and came back from the backup.",
	})
	failed := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "bifrost_restore_failures_total", Help: "Tries to restore a vault's keyshares that failed. Any is an emergency.",
	})
	s.drillSuccess = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "bifrost_drill_last_success_timestamp_seconds",
		Help: "When the latest backups last came back from another node, opened, and were what is on the disk; 0 before.",
	})
	s.drillFailures = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "bifrost_drill_failures_total", Help: "Fire drills that failed.",
	})
	untrusted := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "bifrost_trust_failures_total",
		Help: "Looks at the chain whose records could not be proven. Any that goes on is an emergency.",
	})
	verified := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "bifrost_trusted_header_timestamp_seconds", Help: "Time of the latest verified header; 0 before.",
	})
	s.metrics.MustRegister(restored, failed, s.drillSuccess, s.drillFailures, untrusted, verified)

	id := identity{address: s.request.Address, pubKey: s.key.PubKey(), prefix: s.cfg.Prefix, mnemonic: mnemonic}
	store := keystore.NewStore(home.KeysharesDir(s.home))
	s.prover, err = newProver(s.home, s.cfg, id.address, s.chain, witnesses, chain.TrustDir(home.TrustDir(s.home)), s.log)
	if err != nil {
		return fmt.Errorf("%w: %w", home.ErrConfig, err)
	}
	s.prover.failed = untrusted.Inc
	s.prover.verified = func(at time.Time) { verified.Set(float64(at.Unix())) }
	s.repair = &repairer{
		identity: id, look: s.prover.look, store: store, scrypt: &s.scrypt, log: s.log, now: time.Now,
		restored: restored.Inc, failed: failed.Inc,
		checked: map[string]bool{}, retryAt: map[string]time.Time{}, problems: map[string]string{},
	}
	s.drill = newDrill(id, s.prover.look, s.chain, witnesses, store)
	s.drill.scrypt = &s.scrypt
	return nil
}

// watchKeyshares restores what is missing after a churn, or was lost since.
func (s *service) watchKeyshares(ctx context.Context, wait time.Duration) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = s.repair.run(ctx)
	}
}

// watchBackups drills after each publication and daily.
func (s *service) watchBackups(ctx context.Context, status func() publish.Status) error {
	drilled := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(careInterval):
		}
		if !drillDue(status().Vaults, drilled, s.lastDrill, time.Now()) {
			continue
		}
		result := s.drill.run(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.noteDrill(result)
	}
}

// drillDue tells whether to drill now, and notes for which vaults.
func drillDue(vaults []publish.VaultStatus, drilled map[string]bool, last *DrillResult, now time.Time) bool {
	due, published := false, false
	for _, v := range vaults {
		if v.Published && v.Keyshares {
			published = true
			due = due || !drilled[v.Vault]
			drilled[v.Vault] = true
		}
	}
	if last != nil {
		age := now.Sub(last.Time)
		due = due || published && (age >= drillInterval || last.Error != "" && age >= drillRetry)
	}
	return due
}

func (s *service) noteDrill(result DrillResult) {
	s.mu.Lock()
	s.lastDrill = &result
	s.mu.Unlock()
	switch {
	case result.Error != "":
		s.drillFailures.Inc()
		s.log.Error().Str("error", result.Error).Msg("THE FIRE DRILL FAILED: the backups could not be recovered now")
	case result.OwnNodeOnly:
		s.log.Warn().Str("node", result.Node).Msg("the fire drill worked with the own node alone, which proves little: set witnesses in config.toml")
	default:
		s.drillSuccess.SetToCurrentTime()
		s.log.Info().Str("node", result.Node).Int("vaults", len(result.Vaults)).Msg("the fire drill worked")
	}
}
