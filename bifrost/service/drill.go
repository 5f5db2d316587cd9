package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// drillPatience is how long a drill waits for a node that has yet to reach the
// block of the backup, and for the proof of what stands in that block.
const drillPatience = time.Minute

// envelopeNode is a node that envelopes are fetched from; chain.Client is one.
type envelopeNode interface {
	Name() string
	Status(ctx context.Context) (chain.Status, error)
	ArchivedEnvelope(ctx context.Context, vault, member string, commitment types.CommitmentInfo) ([]byte, error)
	Envelope(ctx context.Context, commitment types.CommitmentInfo) ([]byte, error)
}

// fetchEnvelope asks a node's archive, then for the block.
func fetchEnvelope(ctx context.Context, n envelopeNode, vault, member string, c types.CommitmentInfo) ([]byte, error) {
	sealed, archiveErr := n.ArchivedEnvelope(ctx, vault, member, c)
	if archiveErr == nil {
		return sealed, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	sealed, err := n.Envelope(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("%s: archive: %w; block: %w", n.Name(), archiveErr, err)
	}
	return sealed, nil
}

// DrillResult is what a fire drill found: whether the signer's latest backups come
// back from a node, open, and are what is on the disk.
type DrillResult struct {
	Time time.Time `json:"time"`
	// Node served the envelopes; it is empty when no node served all of them.
	Node string `json:"node,omitempty"`
	// OwnNodeOnly tells that no other node is configured, so that the drill says
	// nothing about a day on which the own one is gone.
	OwnNodeOnly bool         `json:"own_node_only"`
	Vaults      []DrillVault `json:"vaults"`
	Error       string       `json:"error,omitempty"`
}

// DrillVault is one vault of a drill.
type DrillVault struct {
	Vault string `json:"vault"`
	// Height is that of the backup, 0 when none is published.
	Height int64  `json:"height"`
	Error  string `json:"error,omitempty"`
}

// drill is the recovery of everything, up to the writing.
type drill struct {
	identity
	// look proves which backups there are.
	look func(context.Context) (records, error)
	// own is the own node, nodes are the others; without any the own is asked.
	own    *chain.Client
	nodes  []envelopeNode
	store  *keystore.Store
	scrypt *sync.Mutex
	// wait is the time between two looks at a node that is behind.
	wait, patience time.Duration
}

// newWitnesses are the clients of the nodes beside the own one.
func newWitnesses(ownAddress string, addresses []string) ([]*chain.Client, error) {
	var clients []*chain.Client
	own, err := chain.New(ownAddress, 0)
	if err != nil {
		return nil, err
	}
	for _, address := range addresses {
		w, err := chain.New(address, 0)
		if err != nil {
			return nil, err
		}
		// The own node, named once more, witnesses nothing.
		if w.Name() != own.Name() {
			clients = append(clients, w)
		}
	}
	return clients, nil
}

func newDrill(id identity, look func(context.Context) (records, error), own *chain.Client, witnesses []*chain.Client, store *keystore.Store) *drill {
	d := &drill{identity: id, look: look, own: own, store: store, wait: time.Second, patience: drillPatience}
	for _, w := range witnesses {
		d.nodes = append(d.nodes, w)
	}
	return d
}

// run tries the nodes in turn until one serves every backup. The result's error is
// that of all of them.
func (d *drill) run(ctx context.Context) DrillResult {
	result := DrillResult{Time: time.Now().UTC(), OwnNodeOnly: len(d.nodes) == 0, Vaults: []DrillVault{}}
	nodes := d.nodes
	if len(nodes) == 0 {
		nodes = []envelopeNode{d.own}
	}
	proven, err := d.proven(ctx)
	if err != nil {
		result.Error = err.Error()
		return result
	}
	var failed []error
	for _, n := range nodes {
		vaults, err := d.from(ctx, n, proven)
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

// proven returns the records once they are those of a block that holds the latest
// backups: a block is proven by the ones that follow. A backup that the own node
// shows and the chain does not have is an error.
func (d *drill) proven(ctx context.Context) (records, error) {
	claimed, err := d.claimed(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.own.Name(), err)
	}
	var height int64
	for _, h := range claimed {
		height = max(height, h)
	}
	proven, err := d.await(ctx, height)
	if err != nil {
		return nil, err
	}
	vaults, err := proven.Vaults(ctx, d.address)
	if err != nil {
		return nil, err
	}
	for _, v := range vaults {
		commitments, err := proven.Backup(ctx, v.Vault, d.address)
		if err != nil {
			return nil, err
		}
		if at, ok := claimed[v.Vault]; ok && len(commitments) == 0 {
			return nil, fmt.Errorf("vault %s: %s shows a backup of block %d, and it is proven that the chain has none", v.Vault, d.own.Name(), at)
		}
	}
	return proven, nil
}

// await looks until what is proven is of this height or later.
func (d *drill) await(ctx context.Context, height int64) (records, error) {
	patience := time.After(d.patience)
	for {
		proven, err := d.look(ctx)
		if err != nil {
			return nil, fmt.Errorf("which backups there are is not proven: %w", err)
		}
		if proven.Height() >= height {
			return proven, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-patience:
			return nil, fmt.Errorf("what is proven is of block %d and has yet to reach block %d, in which %s has a backup", proven.Height(), height, d.own.Name())
		case <-time.After(d.wait):
		}
	}
}

// claimed are the heights of the signer's latest backups by vault, as the own node
// tells without a proof.
func (d *drill) claimed(ctx context.Context) (map[string]int64, error) {
	vaults, err := d.own.Vaults(ctx, d.address)
	if err != nil {
		return nil, err
	}
	heights := map[string]int64{}
	for _, v := range vaults {
		commitments, err := d.own.Backup(ctx, v.Vault, d.address)
		if err != nil {
			return nil, err
		}
		if len(commitments) > 0 {
			heights[v.Vault] = commitments[0].Height
		}
	}
	return heights, nil
}

func (d *drill) from(ctx context.Context, n envelopeNode, proven records) ([]DrillVault, error) {
	gate := gate{mutex: d.scrypt}
	defer gate.open()
	results, err := restore.Run(ctx, restore.Config{
		Chain: drillChain{proven, d, n}, Store: onDisk{d.store}, Mnemonic: d.mnemonic, Member: d.address, Progress: gate.step,
	})
	vaults := []DrillVault{}
	if errors.Is(err, restore.ErrNoVault) {
		return vaults, nil
	}
	failed := []error{err}
	for _, r := range results {
		v := DrillVault{Vault: r.Vault.Vault, Height: r.Commitment.Height}
		// That an envelope is missing which was asked for is another check's matter.
		if r.Err != nil && !errors.Is(r.Err, restore.ErrNoBackup) {
			v.Error = r.Err.Error()
			failed = append(failed, fmt.Errorf("vault %s: %w", v.Vault, r.Err))
		}
		vaults = append(vaults, v)
	}
	return vaults, errors.Join(failed...)
}

// drillChain takes the envelopes from one node. Of each vault it shows the latest
// backup alone: a drill must not be content with the one before.
type drillChain struct {
	records
	*drill
	node envelopeNode
}

func (c drillChain) Backup(ctx context.Context, vault, member string) ([]types.CommitmentInfo, error) {
	commitments, err := c.records.Backup(ctx, vault, member)
	return commitments[:min(1, len(commitments))], err
}

func (c drillChain) Envelope(ctx context.Context, vault, member string, commitment types.CommitmentInfo) ([]byte, error) {
	if err := c.reach(ctx, commitment.Height); err != nil {
		return nil, err
	}
	return fetchEnvelope(ctx, c.node, vault, member, commitment)
}

// reach waits for the node to have a block.
func (c drillChain) reach(ctx context.Context, height int64) error {
	patience := time.After(c.patience)
	for {
		status, err := c.node.Status(ctx)
		if err != nil {
			return err
		}
		if status.Height >= height {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-patience:
			return fmt.Errorf("it is at block %d and has yet to reach block %d", status.Height, height)
		case <-time.After(c.wait):
		}
	}
}

// onDisk is a store that saves nothing: it compares.
type onDisk struct{ disk *keystore.Store }

// Load implements restore.Store.
func (s onDisk) Load(name string) ([]byte, error) { return s.disk.Load(name) }

// Save implements restore.Store.
func (s onDisk) Save(files map[string][]byte) error {
	for name, want := range files {
		got, err := s.disk.Load(name)
		same := string(got) == string(want)
		sanity.Wipe(got)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("the backup is good, and %s is not on the disk", name)
		case err != nil:
			return err
		case !same:
			return fmt.Errorf("%s on the disk is not what the backup holds: %w", name, keystore.ErrDifferent)
		}
	}
	return nil
}
