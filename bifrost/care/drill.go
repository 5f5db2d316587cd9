package care

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/restore"
)

const (
	// drillPoll is the time between two looks at whether there is something to drill.
	drillPoll = 5 * time.Second
	// drillInterval is the time between two drills, drillRetry after one that failed.
	drillInterval = 24 * time.Hour
	drillRetry    = 10 * time.Minute
	// drillPatience is how long a drill waits for a node that has yet to reach the block of the
	// backup, and for what stands in that block to be verified.
	drillPatience = time.Minute
)

// DrillResult is what a fire drill found: whether the signer's latest backups come back from a
// node, open, and are what is on the disk.
type DrillResult struct {
	Time time.Time `json:"time"`
	// Node served the envelopes; it is empty when no node served all of them.
	Node string `json:"node"`
	// OwnNodeOnly means that no other node is configured, so that the drill says nothing about a
	// day on which the own one is gone.
	OwnNodeOnly bool         `json:"own_node_only"`
	Vaults      []DrillVault `json:"vaults"`
	Error       string       `json:"error"`
}

// DrillVault is one vault of a drill.
type DrillVault struct {
	Vault string `json:"vault"`
	// Height is that of the backup, 0 when none is published.
	Height int64  `json:"height"`
	Error  string `json:"error"`
}

// Drill is the recovery of everything, up to the writing.
type Drill struct {
	cfg Config
	// look verifies which backups there are.
	look func(context.Context) (Records, error)
	// others are the nodes beside the own one; without any the own is asked.
	others []envelopeNode
	// wait is the time between two looks at a node that is behind.
	wait, patience time.Duration

	mu   sync.Mutex
	last *DrillResult
	// beatErr is why heartbeats were not sent after the latest drill that was to be their ground.
	beatErr error
}

// NewDrill has done nothing yet.
func NewDrill(c Config) *Drill {
	d := &Drill{cfg: c, look: c.Verifier.Look, wait: time.Second, patience: drillPatience}
	for _, w := range c.Nodes.Witnesses {
		d.others = append(d.others, w)
	}
	return d
}

// Heartbeats are what a drill is the ground for; publish.Publisher sends them.
type Heartbeats interface {
	// HeartbeatsWanted are the names of the vaults for which one is to be sent.
	HeartbeatsWanted() []string
	// Heartbeat sends one for a vault whose backup has just come back.
	Heartbeat(ctx context.Context, vault string) error
}

// Run drills until the context ends: after each publication, daily, and before each heartbeat.
// Published are the vaults whose backup stands and whose keyshares are here.
func (d *Drill) Run(
	ctx context.Context, published func() []string, heartbeats Heartbeats,
) error {
	drilled := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(drillPoll):
		}
		last, _ := d.Status()
		wanted, now := heartbeats.HeartbeatsWanted(), time.Now()
		due := drillDue(published(), drilled, last, now)
		if !due && !d.beatDue(wanted, last, now) {
			continue
		}
		result := d.Once(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.note(result)
		d.noteBeat(d.beat(ctx, result, wanted, heartbeats))
	}
}

// beatDue reports whether to drill now for heartbeats that are wanted.
func (d *Drill) beatDue(wanted []string, last *DrillResult, now time.Time) bool {
	if len(wanted) == 0 || last == nil {
		return len(wanted) > 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	failed := !last.bears() || d.beatErr != nil
	return !failed || now.Sub(last.Time) >= drillRetry
}

func (d *Drill) noteBeat(err error) {
	d.mu.Lock()
	d.beatErr = err
	d.mu.Unlock()
	if err != nil {
		d.cfg.Log.Error().Err(err).Msg("A HEARTBEAT THAT IS DUE CANNOT BE SENT")
	}
}

// bears reports whether a heartbeat may say that such a drill has worked. A drill with the own node
// alone is none: the day that a backup is for, that node is gone too.
func (r *DrillResult) bears() bool { return r.Error == "" && !r.OwnNodeOnly }

// beat sends the heartbeats that are wanted for the vaults whose backups a drill brought back.
func (d *Drill) beat(
	ctx context.Context, result DrillResult, wanted []string, heartbeats Heartbeats,
) error {
	switch {
	case len(wanted) == 0 || result.Error != "":
		return nil
	case !result.bears():
		return errors.New("a drill with the own node alone is no ground for one: " +
			"set witnesses in config.toml")
	}
	var failed []error
	for _, name := range wanted {
		drilled := slices.ContainsFunc(result.Vaults, func(v DrillVault) bool {
			return v.Vault == name && v.Error == ""
		})
		if drilled {
			failed = append(failed, heartbeats.Heartbeat(ctx, name))
		}
	}
	return errors.Join(failed...)
}

// drillDue reports whether to drill now, and notes for which vaults.
func drillDue(
	published []string, drilled map[string]bool, last *DrillResult, now time.Time,
) bool {
	due := false
	for _, vault := range published {
		due = due || !drilled[vault]
		drilled[vault] = true
	}
	if last != nil {
		age := now.Sub(last.Time)
		again := age >= drillInterval || last.Error != "" && age >= drillRetry
		due = due || len(published) > 0 && again
	}
	return due
}

func (d *Drill) note(result DrillResult) {
	d.mu.Lock()
	d.last = &result
	d.mu.Unlock()
	d.cfg.Metrics.Drilled(result)
	switch {
	case result.Error != "":
		d.cfg.Log.Error().Str("error", result.Error).
			Msg("THE FIRE DRILL FAILED: the backups could not be recovered now")
	case result.OwnNodeOnly:
		d.cfg.Log.Warn().
			Str("node", result.Node).
			Msg("the fire drill worked with the own node alone, " +
				"which says little: set witnesses in config.toml")
	default:
		d.cfg.Log.Info().Str("node", result.Node).Int("vaults", len(result.Vaults)).
			Msg("the fire drill worked")
	}
}

// Status is the result of the latest drill, nil before the first, and what is wrong.
func (d *Drill) Status() (last *DrillResult, problems []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last != nil && d.last.Error != "" {
		problems = append(problems, fmt.Sprintf("the fire drill of %s failed: %s",
			d.last.Time.Format(time.RFC3339), d.last.Error))
	}
	if d.beatErr != nil {
		problems = append(problems, fmt.Sprintf("a heartbeat that is due cannot be sent: %s", d.beatErr))
	}
	return d.last, problems
}

// Once tries the nodes in turn until one serves every backup. The result's error is that of all of
// them.
func (d *Drill) Once(ctx context.Context) DrillResult {
	nodes := d.strangers(ctx)
	result := DrillResult{
		Time: time.Now().UTC(), OwnNodeOnly: len(nodes) == 0, Vaults: []DrillVault{},
	}
	if len(nodes) == 0 {
		nodes = []envelopeNode{d.cfg.Nodes.Own}
	}
	verified, err := d.verified(ctx)
	if err != nil {
		result.Error = err.Error()
		return result
	}
	var failed []error
	for _, n := range nodes {
		vaults, err := d.from(ctx, n, verified)
		result.Vaults = vaults
		if err == nil {
			result.Node = n.Name()
			return result
		}
		failed = append(failed, fmt.Errorf("%s: %w", n.Name(), err))
		if ctx.Err() != nil {
			break
		}
	}
	result.Error = errors.Join(failed...).Error()
	return result
}

// strangers are the nodes that are not the own one under another address, by their ids.
func (d *Drill) strangers(ctx context.Context) []envelopeNode {
	if len(d.others) == 0 {
		return nil
	}
	own, err := d.cfg.Nodes.Own.Status(ctx)
	if err != nil || own.ID == "" {
		return d.others
	}
	return slices.DeleteFunc(slices.Clone(d.others), func(n envelopeNode) bool {
		other, err := n.Status(ctx)
		return err == nil && other.ID == own.ID
	})
}

// verified returns the records once they are those of a block that holds the latest backups: a
// block is verified by the ones that follow. A backup that the own node shows and the chain does
// not have is an error.
func (d *Drill) verified(ctx context.Context) (Records, error) {
	claimed, err := d.claimed(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.cfg.Nodes.Own.Name(), err)
	}
	var height int64
	for _, h := range claimed {
		height = max(height, h)
	}
	verified, err := d.await(ctx, height)
	if err != nil {
		return nil, err
	}
	vaults, err := verified.Vaults(ctx, d.cfg.Member.Raw())
	if err != nil {
		return nil, err
	}
	for _, v := range vaults {
		commitments, err := verified.Backup(ctx, v, d.cfg.Member.Raw())
		if err != nil {
			return nil, err
		}
		if at, ok := claimed[v.Name()]; ok && len(commitments) == 0 {
			return nil, fmt.Errorf("vault %s: %s shows a backup of block %d, "+
				"and the verified records have none", v.Name(), d.cfg.Nodes.Own.Name(), at)
		}
	}
	return verified, nil
}

// await looks until what is verified is of this height or later.
func (d *Drill) await(ctx context.Context, height int64) (Records, error) {
	patience := time.After(d.patience)
	for {
		verified, err := d.look(ctx)
		if err != nil {
			return nil, fmt.Errorf("which backups there are is not verified: %w", err)
		}
		if verified.Height() >= height {
			return verified, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-patience:
			return nil, fmt.Errorf(
				"what is verified is of block %d and has yet to reach block %d, "+
					"in which %s has a backup",
				verified.Height(),
				height,
				d.cfg.Nodes.Own.Name(),
			)
		case <-time.After(d.wait):
		}
	}
}

// claimed are the heights of the signer's latest backups by vault, as the own node tells,
// unverified.
func (d *Drill) claimed(ctx context.Context) (map[string]int64, error) {
	vaults, err := d.cfg.Nodes.Own.Vaults(ctx, d.cfg.Member.Address)
	if err != nil {
		return nil, err
	}
	heights := map[string]int64{}
	for _, v := range vaults {
		commitments, err := d.cfg.Nodes.Own.Backup(ctx, v.Name(), d.cfg.Member.Address)
		if err != nil {
			return nil, err
		}
		if len(commitments) > 0 {
			heights[v.Name()] = commitments[0].Height
		}
	}
	return heights, nil
}

func (d *Drill) from(ctx context.Context, n envelopeNode, verified Records) ([]DrillVault, error) {
	disk, err := d.onDisk(ctx, verified)
	if err != nil {
		return []DrillVault{}, err
	}
	gate := gate{mutex: d.cfg.Scrypt}
	defer gate.open()
	results, err := restore.Run(ctx, restore.Config{
		Records: latestOnly{verified}, Source: d.source(n), Group: verified.Group, Store: disk,
		Mnemonic: d.cfg.Member.Mnemonic, Member: d.cfg.Member.Address, Progress: gate.step,
	})
	vaults := []DrillVault{}
	if errors.Is(err, restore.ErrNoVault) {
		return vaults, nil
	}
	failed := []error{err}
	for _, r := range results {
		v := DrillVault{Vault: r.Vault.Name(), Height: r.Commitment.Height}
		// That an envelope is missing which was asked for is another check's matter.
		if r.Err != nil && !errors.Is(r.Err, restore.ErrNoBackup) {
			v.Error = r.Err.Error()
			failed = append(failed, fmt.Errorf("vault %s: %w", v.Vault, r.Err))
		}
		vaults = append(vaults, v)
	}
	return vaults, errors.Join(failed...)
}
