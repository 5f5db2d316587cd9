package care

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// envelopeNode is a node that envelopes are fetched from; chain.Client is one.
type envelopeNode interface {
	Name() string
	Status(ctx context.Context) (chain.Status, error)
	ArchivedEnvelope(
		ctx context.Context, vault, member string, commitment types.Commitment,
	) ([]byte, error)
	Envelope(ctx context.Context, commitment types.Commitment) ([]byte, error)
}

// fetchEnvelope asks a node's archive, then for the block.
func fetchEnvelope(
	ctx context.Context, n envelopeNode, vault, member string, c types.Commitment,
) ([]byte, error) {
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

// latestOnly shows the latest backup of each vault alone: a drill must not be content with the
// first.
type latestOnly struct{ restore.Records }

func (o latestOnly) Backup(
	ctx context.Context, v vault.Vault, member []byte,
) ([]types.Commitment, error) {
	commitments, err := o.Records.Backup(ctx, v, member)
	return commitments[:min(1, len(commitments))], err
}

// source takes the envelopes from one node, once it has the block of the backup, and those that
// the members hold from the other members.
func (d *Drill) source(n envelopeNode) restore.Source {
	return restore.ByPlacement(func(
		ctx context.Context, v vault.Vault, _ []byte, commitment types.Commitment,
	) ([]byte, error) {
		if err := d.reach(ctx, n, commitment.Height); err != nil {
			return nil, err
		}
		return fetchEnvelope(ctx, n, v.Name(), d.cfg.Member.Address, commitment)
	}, d.cfg.Members)
}

// reach waits for the node to have a block.
func (d *Drill) reach(ctx context.Context, n envelopeNode, height int64) error {
	patience := time.After(d.patience)
	for {
		status, err := n.Status(ctx)
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
			return fmt.Errorf(
				"it is at block %d and has yet to reach block %d",
				status.Height,
				height,
			)
		case <-time.After(d.wait):
		}
	}
}

// onDisk is a store that saves nothing: it compares with the hashes, by name, of the files that are
// here.
type onDisk map[string]string

// onDisk asks what is here of the vaults that are to be recovered.
func (d *Drill) onDisk(ctx context.Context, verified Records) (onDisk, error) {
	vaults, err := verified.Vaults(ctx, d.cfg.Member.Raw())
	if err != nil {
		return nil, err
	}
	disk := onDisk{}
	for _, v := range vaults {
		held, err := d.cfg.Held(ctx, v)
		if err != nil {
			return nil, fmt.Errorf("what is on the disk cannot be told: %w", err)
		}
		maps.Copy(disk, held.SHA256)
	}
	return disk, nil
}

// Load implements restore.Store. It has no contents to show.
func (s onDisk) Load(_ uint64, name string) ([]byte, error) {
	return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// Save implements restore.Store.
func (s onDisk) Save(_ uint64, files []envelope.File) error {
	for _, f := range files {
		switch got, there := s[f.Name]; {
		case !there:
			return fmt.Errorf("the backup is good, and %s is not on the disk", f.Name)
		case got != hashOf(f.Data):
			return fmt.Errorf("%s on the disk is not what the backup holds: %w",
				f.Name, durable.ErrDifferent)
		}
	}
	return nil
}
