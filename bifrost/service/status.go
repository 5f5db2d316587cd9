package service

import (
	"fmt"
	"slices"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/held"
	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/bifrost/tss"
)

// Status is what a running bifrost says about itself. It holds no secret.
type Status struct {
	Version  string `json:"version"`
	ChainID  string `json:"chain_id"`
	Node     string `json:"node"`
	Operator string `json:"operator"`
	Address  string `json:"address"`
	PubKey   string `json:"pub_key"`
	PeerID   string `json:"peer_id"`
	// Addrs are where other signers reach this one.
	Addrs []string           `json:"addrs"`
	State registration.State `json:"state"`
	// Error is why the signer is in this state; empty when there is nothing to say.
	Error string `json:"state_error"`
	// RegisterCommand is set while the signer is not registered.
	RegisterCommand string `json:"register_command"`
	// Term says whether this instance of the signer acts.
	Term term.Status `json:"term"`
	// Standby is how this instance follows the backups while it stands by; nil when it does not.
	Standby      *homebackup.FollowerStatus `json:"standby"`
	PreParams    int                        `json:"preparams"`
	FormerVaults []registration.FormerVault `json:"former_vaults"`
	Publish      *publish.Status            `json:"publish"`
	// Trust is the latest header that was verified.
	Trust *care.TrustedHeader `json:"trust"`
	// Drill is the latest fire drill.
	Drill *care.DrillResult `json:"drill"`
	// Backup is how the backups of the home go; nil when there are none.
	Backup *homebackup.KeeperStatus `json:"backup"`
	// Held is what is here of the envelopes that the members hold; nil while this instance does
	// not act.
	Held *held.Status `json:"held"`
	// Sinks are the places that keep copies.
	Sinks []SinkStatus `json:"sinks"`
	// Damaged are the vaults of which a keyshare file is wrong and not restored: the state is
	// StateDamaged then. SetAside are the damaged files that were kept when theirs came back.
	Damaged  []string `json:"damaged"`
	SetAside []string `json:"set_aside"`
	// Problems are what keeps bifrost from being healthy; there are none when it is.
	Problems []string `json:"problems"`
}

// StateDamaged stands for whatever the chain says of a signer, while a keyshare of it is damaged.
const StateDamaged registration.State = "DAMAGED"

// maxPollAge is the age of the last look at the chain from which bifrost is not healthy.
const maxPollAge = time.Minute

func (s *service) status() Status {
	s.mu.Lock()
	node, publisher := s.tss, s.publisher
	s.mu.Unlock()
	known := s.registration.Status()
	st := Status{
		Version: s.version, ChainID: s.cfg.ChainID, Node: s.chain.Name(), Operator: s.cfg.Operator,
		Address: s.request.Address, PubKey: s.request.PubKey, PeerID: s.request.PeerID,
		Addrs: []string{}, State: known.State, Error: known.Error,
		RegisterCommand: known.Command, FormerVaults: known.Former,
	}
	var acting []string
	st.Term = s.terms.Status()
	if st.Term.State == term.Acting && node == nil {
		st.Term.State, st.Term.Reason = term.Waiting, "the term is this instance's, which begins to act"
	}
	if known.State == registration.Ready ||
		known.State == registration.Replaced {
		acting = st.Term.Problems()
		if st.Term.State == term.Standby {
			st.State = StateStandby
		}
	}
	if node != nil {
		st.Addrs = append(st.Addrs, node.Addrs()...)
	}
	var preParams, trust, drill, publishing []string
	st.PreParams, preParams = countPreParams(s.params)
	st.Trust, trust = s.verifier.Status()
	st.Drill, drill = s.drill.Status()
	if publisher != nil {
		p := publisher.Status()
		st.Publish, publishing = &p, publishProblems(p, time.Now())
	}
	var aside, backup []string
	if s.backups != nil {
		b := s.backups.Status()
		st.Backup, backup = &b, b.Problems()
	}
	var sinks, standby, envelopes []string
	st.Held, envelopes = s.heldStatus()
	st.Sinks, sinks = s.sinkStatus()
	st.Standby, standby = s.standby(st.Term)
	st.Damaged = append([]string{}, s.repairer.Damaged()...)
	if len(st.Damaged) > 0 {
		st.State = StateDamaged
	}
	st.SetAside, aside = setAside(s.keyshares)
	st.Problems = append([]string{}, slices.Concat(
		known.Problems(), acting, standby, preParams, trust, s.repairer.Problems(), aside, backup,
		envelopes, sinks, drill, publishing)...)
	return st
}

// setAside are the files that a repair kept. They are no problem, and stay until somebody has
// looked at them.
func setAside(store *keystore.Store) (paths, problems []string) {
	paths, err := store.Aside()
	if err != nil {
		problems = append(problems, fmt.Sprintf("damaged files that were set aside: %v", err))
	}
	return append([]string{}, paths...), problems
}

func countPreParams(store *tss.PreParams) (n int, problems []string) {
	n, err := store.Count()
	if err != nil {
		problems = append(problems, fmt.Sprintf("pre-parameters: %v", err))
	}
	return n, problems
}

// publishProblems are those of the loop, of what is on its way, and of the vaults.
func publishProblems(p publish.Status, now time.Time) []string {
	return slices.Concat(loopProblems(p, now), outboxProblems(p.Outbox), vaultProblems(p.Vaults))
}

func loopProblems(p publish.Status, now time.Time) (problems []string) {
	if p.LastPoll.IsZero() {
		problems = append(problems, "no look at the chain has worked yet: "+p.Error)
	} else if age := now.Sub(p.LastPoll); age > maxPollAge {
		problems = append(
			problems,
			fmt.Sprintf("the last look at the chain that worked was %s ago: %s",
				age.Round(time.Second), p.Error),
		)
	}
	if p.SealError != "" {
		problems = append(problems, "no backup can be sealed: "+p.SealError)
	}
	if p.ProofError != "" {
		problems = append(problems, "no backup can be proven: "+p.ProofError)
	}
	return problems
}

func outboxProblems(records []publish.RecordStatus) (problems []string) {
	for _, r := range records {
		if r.Error == "" {
			continue
		}
		name := "backup of vault " + r.Vault
		if r.KeygenID != 0 {
			name = fmt.Sprintf("keygen %d", r.KeygenID)
			if r.Reshare {
				name = fmt.Sprintf("reshare %d", r.KeygenID)
			}
		}
		problems = append(problems, name+": "+r.Error)
	}
	return problems
}

func vaultProblems(vaults []publish.VaultStatus) (problems []string) {
	for _, v := range vaults {
		switch {
		case !v.Keyshares:
			problems = append(problems,
				fmt.Sprintf("vault %s: its keyshares are not here; recover them", v.Vault))
		case v.Asked && !v.Published:
			problems = append(
				problems,
				fmt.Sprintf("vault %s: its backup is not published", v.Vault),
			)
		}
	}
	return problems
}
