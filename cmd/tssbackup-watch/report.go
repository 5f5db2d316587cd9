package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// report is all that is shown, in JSON: docs/watch.schema.json describes it.
type report struct {
	ChainID string `json:"chain_id"`
	// Verified is the block of which everything below is true, nil before the first.
	Verified *verified `json:"verified"`
	// State is starting, verified, still (the chain has no newer block) or stale (nothing newer
	// could be verified).
	State string `json:"state"`
	// Since is when the state began to be so, as far as that was seen.
	Since time.Time `json:"since"`
	// Failure is why nothing newer could be verified, empty unless the state is stale or starting.
	Failure string  `json:"failure"`
	Verdict verdict `json:"verdict"`
	Vaults  []vault `json:"vaults"`
	// Churns are the latest, the newest first.
	Churns []churn  `json:"churns"`
	SitOut []sitOut `json:"sit_out"`
}

// The states of a report.
const (
	stateStarting = "starting"
	stateVerified = "verified"
	stateStill    = "still"
	stateStale    = "stale"
)

// verified is the header by which the records were verified. They are those of the block before it.
type verified struct {
	Height int64  `json:"height"`
	Hash   string `json:"hash"`
	// BlockTime is the header's, At when it was verified here.
	BlockTime time.Time `json:"block_time"`
	At        time.Time `json:"at"`
}

// verdict is what a person wants to know first.
type verdict struct {
	// Level is recoverable, doubtful (recoverable if the envelopes hold what the members say),
	// lost, none (there is no vault) or unknown (nothing was verified yet).
	Level string `json:"level"`
	Title string `json:"title"`
	// Reasons are what needs somebody's attention, the worst first.
	Reasons     []string `json:"reasons"`
	Vaults      int      `json:"vaults"`
	Recoverable int      `json:"recoverable"`
	// Keyshares are those of all members of all vaults, Proven those that are proven.
	Keyshares int `json:"keyshares"`
	Proven    int `json:"proven"`
}

// The levels of a verdict and of a vault, the best first.
const (
	levelRecoverable = "recoverable"
	levelDoubtful    = "doubtful"
	levelLost        = "lost"
	levelNone        = "none"
	levelUnknown     = "unknown"
)

// vault is an active or retiring vault.
type vault struct {
	Vault         string `json:"vault"`
	PubKeyEd25519 string `json:"pub_key_ed25519"`
	Status        string `json:"status"`
	Epoch         uint64 `json:"epoch"`
	// EpochHeight is the block in which the present epoch began, 0 for the first one, and Former
	// are those before it.
	EpochHeight int64         `json:"epoch_height"`
	Former      []formerEpoch `json:"former"`
	// Margin is the least of the former epochs, 0 when there are none.
	Margin int `json:"margin"`
	// Placement is where the envelopes of the present epoch are: vote, or members.
	Placement    string `json:"placement"`
	ChurnID      uint64 `json:"churn_id"`
	ActiveHeight int64  `json:"active_height"`
	// Threshold is how many members sign, Needed how many backups the vault had to have at the
	// deadline of its keygen.
	Threshold int    `json:"threshold"`
	Needed    int    `json:"needed"`
	Asked     int    `json:"asked"`
	Published int    `json:"published"`
	Proven    int    `json:"proven"`
	Level     string `json:"level"`
	Verdict   string `json:"verdict"`
	// Error tells what is wrong with the vault's public shares, empty if nothing is.
	Error   string   `json:"error"`
	Members []member `json:"members"`
}

// Held reports whether the members hold the envelopes of the present epoch.
func (v vault) Held() bool { return v.Placement == types.Placement_PLACEMENT_MEMBERS.Word() }

// formerEpoch is an epoch that a reshare ended. It revoked nothing: as many of the epoch's members
// as Threshold sign all the same, if they kept their keyshares. Outside are none of the present
// epoch, and Margin more make a threshold of them.
type formerEpoch struct {
	Epoch     uint64 `json:"epoch"`
	Threshold int    `json:"threshold"`
	Outside   int    `json:"outside"`
	Margin    int    `json:"margin"`
}

type member struct {
	Address  string `json:"address"`
	Operator string `json:"operator"`
	// Moniker is how the validator calls itself: any text at all.
	Moniker string   `json:"moniker"`
	Asked   bool     `json:"asked"`
	Backups []backup `json:"backups"`
	// Proven tells that an envelope is published, and a proof was accepted that does not fail here.
	Proven bool `json:"proven"`
	// Proof is what repeating its check here gave.
	Proof proof `json:"proof"`
	// Missing is set when the member is asked and has published nothing.
	Missing *missing `json:"missing"`
	// Term is the latest claim of the member's signer.
	Term claimed `json:"term"`
	// Heartbeat is nil where none is due.
	Heartbeat *heartbeat `json:"heartbeat"`
}

// heartbeat is when a member last showed that what opens its backup is in hand: by a machine, and
// from paper, 0 if never. Whether it was the one or the other is its word. Due is the block at
// whose end another interval is missed, Missed how many were in this epoch, and Overdue that the
// latest was.
type heartbeat struct {
	MachineHeight int64  `json:"machine_height"`
	PaperHeight   int64  `json:"paper_height"`
	Due           int64  `json:"due"`
	Missed        uint64 `json:"missed"`
	Overdue       bool   `json:"overdue"`
}

// claimed is which instance of a signer acts, by its latest claim: the Term-th, since the block at
// Height; both are 0 before the first. Addresses are any text.
type claimed struct {
	Term      uint64 `json:"term"`
	Height    int64  `json:"height"`
	Addresses string `json:"addresses"`
}

// backup is a commitment, the latest of a member before the first.
type backup struct {
	SHA256 string `json:"sha256"`
	CID    string `json:"cid"`
	Size   uint64 `json:"size"`
	Height int64  `json:"height"`
	// Placement is vote, or members when the members hold the envelope and no node does.
	Placement string `json:"placement"`
}

// Held reports whether the members hold the envelope.
func (b backup) Held() bool { return b.Placement == types.Placement_PLACEMENT_MEMBERS.Word() }

type proof struct {
	// Result is none, repeated, accepted, imported or failed, and pending before it was looked at.
	Result string `json:"result"`
	Height int64  `json:"height"`
	Text   string `json:"text"`
}

// missing tells since when a backup is: the vault has been there since a height, and it was seen
// here first at a time.
type missing struct {
	Height int64     `json:"height"`
	Seen   time.Time `json:"seen"`
}

type churn struct {
	ID           uint64 `json:"id"`
	Status       string `json:"status"`
	OpenedHeight int64  `json:"opened_height"`
	Deadline     int64  `json:"deadline"`
	ClosedHeight int64  `json:"closed_height"`
	// Keygens are the latest of each vault, and the tries before them that state keeps.
	Keygens []keygen `json:"keygens"`
}

// reshare is the vault, and the epoch of it, that is handed on.
type reshare struct {
	Vault string `json:"vault"`
	Epoch uint64 `json:"epoch"`
}

type keygen struct {
	ID uint64 `json:"id"`
	// Reshare is nil when the keygen makes a vault.
	Reshare      *reshare `json:"reshare"`
	Try          uint32   `json:"try"`
	Status       string   `json:"status"`
	Vault        string   `json:"vault"`
	Threshold    int      `json:"threshold"`
	Needed       int      `json:"needed"`
	OpenedHeight int64    `json:"opened_height"`
	Deadline     int64    `json:"deadline"`
	ClosedHeight int64    `json:"closed_height"`
	// Attempt is the number of the latest attempt, 0 before the first and once the keygen is
	// closed.
	Attempt   uint64 `json:"attempt"`
	Certified bool   `json:"certified"`
	// Members are empty once the keygen has made its vault: that has them. Whoever else is at fault
	// for a reshare is behind them.
	Members []keygenMember `json:"members"`
}

type keygenMember struct {
	Address  string `json:"address"`
	Operator string `json:"operator"`
	Moniker  string `json:"moniker"`
	// Joined tells that the member has joined the latest attempt, or waits for the next one.
	Joined bool `json:"joined"`
	// Vote is result, blame or empty.
	Vote   string `json:"vote"`
	Proven bool   `json:"proven"`
	// Blames are the addresses of the members that its vote blames.
	Blames []string `json:"blames"`
	// Fault is blamed, silent or empty, once the keygen is closed.
	Fault string `json:"fault"`
}

type sitOut struct {
	Operator string `json:"operator"`
	Moniker  string `json:"moniker"`
	// Until is the first height at which it takes part again.
	Until  int64  `json:"until"`
	Faults uint32 `json:"faults"`
}

// judge gives the vault the level and the verdict that follow from its counts. The words are those
// of recover-keyshares coverage.
func (v *vault) judge() {
	n := len(v.Members)
	switch {
	case types.Suffices(uint32(v.Proven), uint32(v.Threshold)):
		v.Level = levelRecoverable
		v.Verdict = fmt.Sprintf("recoverable: proven %d of %d, need %d", v.Proven, n, v.Threshold)
	case types.Suffices(uint32(v.Published), uint32(v.Threshold)):
		v.Level = levelDoubtful
		v.Verdict = fmt.Sprintf("recoverable if the envelopes hold what the members say: "+
			"published %d of %d, proven %d, need %d", v.Published, n, v.Proven, v.Threshold)
	default:
		v.Level = levelLost
		v.Verdict = fmt.Sprintf("not recoverable: published %d of %d, proven %d, need %d",
			v.Published, n, v.Proven, v.Threshold)
	}
	if v.Error != "" {
		v.Verdict = "a check of its proofs fails; " + v.Verdict
	}
}

// missing counts the members whose backup is.
func (v *vault) missing() (n int) {
	for _, m := range v.Members {
		if m.Missing != nil {
			n++
		}
	}
	return n
}

// whoMisses names the members whose backup is missing.
func (v *vault) whoMisses() string {
	return v.who(func(m *member) bool { return m.Missing != nil })
}

// who names the members that are so.
func (v *vault) who(is func(*member) bool) string {
	var names []string
	for i := range v.Members {
		if m := &v.Members[i]; is(m) {
			names = append(names, called(m.Moniker, m.Operator, m.Address))
		}
	}
	return list(names)
}

// isOverdue reports whether the latest interval of a member passed without a heartbeat.
func isOverdue(m *member) bool { return m.Heartbeat != nil && m.Heartbeat.Overdue }

// overdue counts the members that are.
func (v *vault) overdue() (n int) {
	for i := range v.Members {
		if isOverdue(&v.Members[i]) {
			n++
		}
	}
	return n
}

// called is the first name that there is.
func called(names ...string) string { return cmp.Or(append(names, "one without a name")...) }

// list names a few.
func list(names []string) string {
	const few = 3
	if len(names) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}

// failed counts the members whose proof fails a check.
func (v *vault) failed() (n int) {
	for _, m := range v.Members {
		if m.Proof.Result == "failed" {
			n++
		}
	}
	return n
}

// judge gives the report its verdict, from its vaults.
func (r *report) judge() {
	r.Verdict = verdict{Reasons: []string{}, Vaults: len(r.Vaults)}
	d := &r.Verdict
	if r.Verified == nil {
		d.Level, d.Title = levelUnknown, "Nothing is verified yet"
		return
	}
	active := false
	count := map[string]int{}
	var lost, doubtful, rest []string
	for i := range r.Vaults {
		v := &r.Vaults[i]
		count[v.Level]++
		active = active || v.Status == "active"
		d.Keyshares += len(v.Members)
		d.Proven += v.Proven
		name := "Vault " + short(v.Vault)
		switch v.Level {
		case levelLost:
			lost = append(lost, name+": "+v.Verdict)
		case levelDoubtful:
			doubtful = append(doubtful, name+": "+v.Verdict)
		}
		if n := v.missing(); n > 0 {
			rest = append(rest, fmt.Sprintf("%s: %s missing, of %s", name,
				plural(n, "backup is", "backups are"), v.whoMisses()))
		}
		if n := v.overdue(); n > 0 {
			rest = append(rest, fmt.Sprintf("%s: %s overdue, of %s", name,
				plural(n, "heartbeat is", "heartbeats are"), v.who(isOverdue)))
		}
		if n := v.failed(); n > 0 {
			rest = append(rest, fmt.Sprintf("%s: %s a check", name, plural(n, "proof fails", "proofs fail")))
		}
		if v.Margin == 1 {
			rest = append(rest, name+": with one more member of an earlier epoch that leaves, or whose "+
				"keyshares leak, those outside could sign")
		}
	}
	d.Recoverable = count[levelRecoverable]
	switch n := len(r.Vaults); {
	case n == 0:
		d.Level, d.Title = levelNone, "There is no vault yet"
	case count[levelLost] > 0:
		d.Level = levelLost
		d.Title = fmt.Sprintf("%s not recoverable", plural(count[levelLost], "vault is", "vaults are"))
	case count[levelDoubtful] > 0:
		d.Level = levelDoubtful
		d.Title = fmt.Sprintf("%s not proven to be recoverable",
			plural(count[levelDoubtful], "vault is", "vaults are"))
	case n == 1:
		d.Level, d.Title = levelRecoverable, "The vault is recoverable"
	default:
		d.Level, d.Title = levelRecoverable, "Every vault is recoverable"
	}
	if len(r.Vaults) > 0 && !active {
		rest = append(rest, "No vault is active")
	}
	if len(r.Churns) > 0 && r.Churns[0].Status == "failed" {
		rest = append(rest, fmt.Sprintf("Churn %d, the latest, has failed", r.Churns[0].ID))
	}
	if n := len(r.SitOut); n > 0 {
		var names []string
		for _, s := range r.SitOut {
			names = append(names, called(s.Moniker, s.Operator))
		}
		rest = append(rest, fmt.Sprintf("%s out: %s", plural(n, "validator sits", "validators sit"),
			list(names)))
	}
	d.Reasons = append(append(append(d.Reasons, lost...), doubtful...), rest...)
}

// plural is a number with the word for it.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// short is a vault's name for people.
func short(name string) string {
	const digits = 12
	if len(name) <= digits {
		return name
	}
	return name[:digits] + "…"
}

// status is the end of an enumeration's name, in small letters.
func status(name, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(name, prefix))
}
