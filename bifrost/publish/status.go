package publish

import (
	"context"
	"sort"
	"strings"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Status is what an operator may know of the loop. It holds no secret.
type Status struct {
	// Height is the latest block seen, LastPoll when the chain last answered, and Error why it did
	// not since.
	Height   int64     `json:"height"`
	LastPoll time.Time `json:"last_poll"`
	Error    string    `json:"error"`
	// SealError is set while an envelope cannot be made. No vote goes out then.
	SealError string `json:"seal_error"`
	// ProofError is set from a proof that could not be made until one is. No vote for a vault goes
	// out then.
	ProofError string         `json:"proof_error"`
	Outbox     []RecordStatus `json:"outbox"`
	Vaults     []VaultStatus  `json:"vaults"`
}

// RecordStatus is a vote or a later publication on its way.
type RecordStatus struct {
	KeygenID uint64 `json:"keygen_id"`
	Deadline int64  `json:"deadline"`
	Vault    string `json:"vault"`
	Kind     string `json:"kind"`
	// Reshare says that it is of a reshare, of which Kind is deal for who only deals.
	Reshare bool        `json:"reshare"`
	Step    outbox.Step `json:"step"`
	Error   string      `json:"error"`
}

// VaultStatus is a live vault of which this signer is a member.
type VaultStatus struct {
	Vault    string `json:"vault"`
	Status   string `json:"status"`
	KeygenID uint64 `json:"keygen_id"`
	// Keyshares says that the files are here, Published that state holds a commitment, Proven that
	// it holds the proof, Asked that it should.
	Keyshares bool `json:"keyshares"`
	Published bool `json:"published"`
	Proven    bool `json:"proven"`
	Asked     bool `json:"asked"`
	// Heartbeat is nil where none is due.
	Heartbeat *HeartbeatStatus `json:"heartbeat"`
	Error     string           `json:"error"`
}

// HeartbeatStatus tells of this member's heartbeats for a vault.
type HeartbeatStatus struct {
	// Height is the block of the latest, 0 when there was none, Due the height at whose end another
	// interval is missed, and Missed how many were in this epoch.
	Height int64  `json:"height"`
	Due    int64  `json:"due"`
	Missed uint64 `json:"missed"`
	// Wanted says that the next one is to be sent, after a drill.
	Wanted bool `json:"wanted"`
}

// Status returns a copy.
func (p *Publisher) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.copyStatus()
}

// copyStatus is called with the lock held.
func (p *Publisher) copyStatus() Status {
	s := p.status
	s.Vaults = append([]VaultStatus{}, s.Vaults...)
	s.Outbox = []RecordStatus{}
	for _, e := range p.entries {
		isOfKeygen := e.rec.Kind == outbox.Vote || e.rec.Kind == outbox.Deal
		if !e.rec.Kind.IsKept() && !isOfKeygen {
			continue
		}
		r := RecordStatus{
			Deadline: e.rec.Deadline,
			Vault:    e.rec.Vault,
			Kind:     kindOf(e.rec),
			Step:     e.rec.Step,
			Reshare:  e.rec.Reshare,
		}
		if isOfKeygen {
			r.KeygenID = e.rec.Epoch
		}
		if e.err != nil {
			r.Error = e.err.Error()
		}
		s.Outbox = append(s.Outbox, r)
	}
	sort.Slice(s.Outbox, func(i, j int) bool {
		a, b := s.Outbox[i], s.Outbox[j]
		return a.KeygenID < b.KeygenID || a.KeygenID == b.KeygenID && a.Vault < b.Vault
	})
	return s
}

// polled notes how a poll ended.
func (p *Publisher) polled(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	if err != nil {
		if text := err.Error(); text != p.status.Error {
			p.log.Warn().Err(err).Msg("looking at the chain")
			p.status.Error = text
		}
	} else {
		if p.status.Error != "" {
			p.log.Info().Msg("looking at the chain works again")
		}
		p.status.Error = ""
		p.status.LastPoll = time.Now().UTC()
	}
	s := p.copyStatus()
	p.mu.Unlock()
	p.cfg.Metrics.Polled(s, err)
}

func vaultStatus(s types.VaultStatus) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "VAULT_STATUS_"))
}
