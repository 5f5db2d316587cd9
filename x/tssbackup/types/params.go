package types

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
)

const (
	// MinMembers is how many members a keygen has at least.
	MinMembers = 3
	// MaxExemptAttempts is how many transactions a member may send for one keygen without a fee,
	// failing ones included.
	MaxExemptAttempts = 3
	// MaxExemptJoins is the same for joins and checks: a member that restarts joins again. All of
	// them together have as many bytes as one vote.
	MaxExemptJoins = 128
	// MaxExemptClaims is how many claims a signer may send without a fee in ClaimWindowBlocks,
	// failing ones included: a bifrost claims when it starts.
	MaxExemptClaims = 3
	// ClaimWindowBlocks is in how many blocks from the first of them on. It is about five minutes
	// of blocks of six seconds.
	ClaimWindowBlocks = 50
	// ClaimNonceSize is the size of a claim's nonce in bytes.
	ClaimNonceSize = 32
	// MaxAddresses is the length of a claim's addresses in bytes.
	MaxAddresses = 256
	// BeaconInterval is the number of blocks from one beacon to the next. A heartbeat may sign the
	// latest or the one before, and so one that is at most twice as old.
	BeaconInterval = 100
	// MaxExemptHeartbeats is how many heartbeats a member may send for one epoch without a fee, in
	// each window of BeaconInterval blocks, failing ones included.
	MaxExemptHeartbeats = 3
	// MaxBlameReason is the length of a blame's reason in bytes.
	MaxBlameReason = 256

	// Bounds of the parameters.

	// minKeygenDeadline leaves two blocks for a certificate to find one, and four for the vault to
	// sign in or for votes that it failed. See Keygen.CertificateDeadline.
	minKeygenDeadline = 2 * deadlineParts
	minVaultMembers   = 5
	// A beacon is good for so long: whoever has one has the time to sign it.
	minHeartbeatInterval = 2 * BeaconInterval
	maxVaultMembers      = 512
	maxBlocks            = 1 << 32
	maxDenominator       = 1_000_000
	minEnvelopeBytes     = 1 << 10
	maxEnvelopeBytes     = 4 << 20
	defaultMaxMembers    = 40
	// Each try costs somebody who was at fault, so that a few are enough.
	defaultTries = 3
	maxTries     = 16
	// defaultProofRetention is about a month of blocks of six seconds: someone may still send money
	// to a vault that was retired.
	defaultProofRetention = 432_000
	// defaultKeygenRetention is about a month too: long enough to see who was at fault.
	defaultKeygenRetention = 432_000
	// defaultPenaltyWindow is about a month too: several churns, whatever their interval.
	defaultPenaltyWindow = 432_000
	// defaultMaxPause is about two days: longer than it takes to make and run a new version.
	defaultMaxPause = 28_800
	// defaultEpochGrace is about ten minutes: longer than any signature takes.
	defaultEpochGrace = 100
)

// DefaultParams returns the parameters of a new chain. Churns open by MsgStartChurn alone until a
// churn interval is set.
func DefaultParams() Params {
	return Params{
		ChurnInterval:    0,
		KeygenDeadline:   1800,
		RetryInterval:    720,
		PenaltyBlocks:    4320,
		MaxVaultMembers:  defaultMaxMembers,
		MinCoverage:      Fraction{Numerator: 5, Denominator: 6},
		Sample:           Fraction{Numerator: 1, Denominator: 1},
		MaxEnvelopeBytes: 512 << 10,
		MinWorkFactor:    18,
		RetirementDelay:  0,
		ProofRetention:   defaultProofRetention,
		KeygenRetention:  defaultKeygenRetention,
		PenaltyWindow:    defaultPenaltyWindow,
		MaxTries:         defaultTries,
		SplitBackups:     true,
		MaxPause:         defaultMaxPause,
		EpochGrace:       defaultEpochGrace,
	}
}

// Validate checks the parameters together. It returns all that is wrong.
func (p Params) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	for _, b := range []struct {
		name  string
		value uint64
	}{
		{"churn_interval", p.ChurnInterval},
		{"keygen_deadline", p.KeygenDeadline},
		{"retry_interval", p.RetryInterval},
		{"penalty_blocks", p.PenaltyBlocks},
		{"retirement_delay", p.RetirementDelay},
		{"proof_retention", p.ProofRetention},
		{"keygen_retention", p.KeygenRetention},
		{"penalty_window", p.PenaltyWindow},
		{"heartbeat_interval", p.HeartbeatInterval},
		{"heartbeat_grace", p.HeartbeatGrace},
		{"max_pause", p.MaxPause},
		{"epoch_grace", p.EpochGrace},
	} {
		if b.value > maxBlocks {
			fail("%s is above %d blocks", b.name, uint64(maxBlocks))
		}
	}
	if p.KeygenDeadline < minKeygenDeadline {
		fail("keygen_deadline is below %d blocks", minKeygenDeadline)
	}
	if p.ChurnInterval != 0 && p.ChurnInterval <= p.KeygenDeadline {
		fail("churn_interval is not longer than keygen_deadline")
	}
	// Else the members at fault would be back in the very next churn.
	switch {
	case p.PenaltyBlocks == 0:
	case p.PenaltyBlocks <= p.RetryInterval:
		fail("penalty_blocks is not longer than retry_interval")
	case p.RetryInterval == 0 && p.PenaltyBlocks <= p.ChurnInterval:
		fail("penalty_blocks is not longer than churn_interval, and there is no retry_interval")
	}
	validSize := p.MaxVaultMembers >= minVaultMembers && p.MaxVaultMembers <= maxVaultMembers
	if !validSize {
		fail("max_vault_members is not in %d to %d", minVaultMembers, maxVaultMembers)
	}
	if p.PenaltyBlocks != 0 && validSize {
		// Each churn that fails costs one of those whom a vault bears; the first must not be back
		// as if nothing had been when the last has been.
		n := int(p.MaxVaultMembers)
		churns := uint64(n - verenc.Threshold(n) + 1)
		least := churns * (p.KeygenDeadline + cmp.Or(p.RetryInterval, p.ChurnInterval))
		if p.PenaltyWindow < least {
			fail("penalty_window is shorter than %d blocks, %d churns that fail in a row",
				least, churns)
		}
	}
	coverageErr, sampleErr := p.MinCoverage.validate(), p.Sample.validate()
	if coverageErr != nil {
		fail("min_coverage: %w", coverageErr)
	}
	if sampleErr != nil {
		fail("sample: %w", sampleErr)
	}
	if n := int(p.MaxVaultMembers); coverageErr == nil && sampleErr == nil && validSize &&
		p.Sample.Numerator < p.Sample.Denominator && p.Asked(n) == p.Needed(n) {
		fail("sample is below 1, and min_coverage of %d members bears none that is absent", n)
	}
	if p.HeartbeatInterval != 0 && p.HeartbeatInterval < minHeartbeatInterval {
		fail("heartbeat_interval is below %d blocks, and not 0", minHeartbeatInterval)
	}
	if p.HeartbeatInterval == 0 && p.HeartbeatGrace != 0 {
		fail("heartbeat_grace is set, and there is no heartbeat_interval")
	}
	if p.MaxTries < 1 || p.MaxTries > maxTries {
		fail("max_tries is not in 1 to %d", maxTries)
	}
	if p.MaxEnvelopeBytes < minEnvelopeBytes || p.MaxEnvelopeBytes > maxEnvelopeBytes {
		fail("max_envelope_bytes is not in %d to %d", minEnvelopeBytes, maxEnvelopeBytes)
	}
	if p.MinWorkFactor < 1 || p.MinWorkFactor > sanity.MaxWorkFactor {
		fail("min_work_factor is not in 1 to %d", sanity.MaxWorkFactor)
	}
	if err := checkPlacement(p.Placement); err != nil {
		fail("placement: %w", err)
	}
	if err := errors.Join(errs...); err != nil {
		return ErrInvalidParams.Wrap(err.Error())
	}
	return nil
}

func (f Fraction) validate() error {
	if f.Denominator == 0 || f.Denominator > maxDenominator {
		return fmt.Errorf("denominator is not in 1 to %d", maxDenominator)
	}
	if f.Numerator == 0 || f.Numerator > f.Denominator {
		return errors.New("not above 0 and at most 1")
	}
	return nil
}

// ceilOf is the least whole number that is at least this share of n. The fraction is valid and n is
// the size of a vault, so nothing overflows.
func (f Fraction) ceilOf(n int) int {
	num, den := int(f.Numerator), int(f.Denominator)
	return (num*n + den - 1) / den
}

// Asked is how many of a keygen's n members are asked to publish: the sample of them, at least the
// threshold, and as many more as it takes for one of them to be absent without the keygen failing
// for it. Where even all n do not bear that, the sample stays as it is.
func (p Params) Asked(n int) int {
	least := max(verenc.Threshold(n), p.Sample.ceilOf(n))
	for asked := least; asked <= n; asked++ {
		if p.neededOf(asked, n) < asked {
			return asked
		}
	}
	return least
}

// Needed is how many asked members must vote one result by the deadline, for a keygen of n members.
// It is more than half of n, so that no two results reach it.
func (p Params) Needed(n int) int { return p.neededOf(p.Asked(n), n) }

func (p Params) neededOf(asked, n int) int {
	return max(verenc.Threshold(n), p.MinCoverage.ceilOf(asked))
}
