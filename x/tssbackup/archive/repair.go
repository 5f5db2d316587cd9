package archive

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/core/address"
	coretypes "github.com/cometbft/cometbft/rpc/core/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Fault is an envelope that the archive cannot serve.
type Fault struct {
	keeper.Kept
	// Err tells why: it wraps types.ErrNotArchived or types.ErrArchiveDamaged, and after a repair
	// the errors of those who were asked.
	Err error
}

// Verify reads all these envelopes and returns those that cannot be served.
func (a *Archive) Verify(kept []keeper.Kept) []Fault {
	var faults []Fault
	for _, e := range kept {
		if _, err := a.Envelope(e.Commitment); err != nil {
			faults = append(faults, Fault{Kept: e, Err: err})
		}
	}
	return faults
}

// Source gets an envelope from somewhere. Whatever it returns is compared with the commitment.
type Source func(ctx context.Context, e keeper.Kept) ([]byte, error)

// Repair asks the sources in turn for what cannot be served, and puts it into the archive. It
// returns what still cannot be served. The error is of the archive itself or of the context.
func (a *Archive) Repair(
	ctx context.Context,
	faults []Fault,
	sources ...Source,
) (still []Fault, err error) {
	for _, f := range faults {
		envelope, err := find(ctx, f, sources)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			still = append(still, Fault{Kept: f.Kept, Err: err})
		default:
			if err := a.Put(envelope); err != nil {
				return nil, err
			}
		}
	}
	return still, nil
}

// find returns the envelope from the first source that has it. The error joins the fault's to those
// of all sources.
func find(ctx context.Context, f Fault, sources []Source) ([]byte, error) {
	errs := []error{f.Err}
	for _, source := range sources {
		envelope, err := source(ctx, f.Kept)
		if err == nil && !f.Commitment.Matches(envelope) {
			err = errors.New("what was sent is not the envelope")
		}
		if err == nil {
			return envelope, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// BlockClient gives blocks, as CometBFT's RPC clients do.
type BlockClient interface {
	Block(ctx context.Context, height *int64) (*coretypes.ResultBlock, error)
}

// FromBlock finds an envelope in the block whose transaction published it, which the node may have
// pruned.
func FromBlock(client BlockClient) Source {
	return func(ctx context.Context, e keeper.Kept) ([]byte, error) {
		height := e.Commitment.Height
		res, err := client.Block(ctx, &height)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", height, err)
		}
		if res == nil || res.Block == nil {
			return nil, fmt.Errorf("block %d is not there", height)
		}
		if envelope, ok := types.FindEnvelope(res.Block.Txs.ToSliceOfBytes(), e.Commitment); ok {
			return envelope, nil
		}
		return nil, fmt.Errorf("block %d does not hold the envelope", height)
	}
}

// ArchiveClient asks a node for an envelope in its archive, by the name of the vault and the
// address of the member. A client of package bifrost/chain is one.
type ArchiveClient interface {
	ArchivedEnvelope(
		ctx context.Context, vault, member string, commitment types.Commitment,
	) ([]byte, error)
}

// FromArchive asks another node for the envelope in its archive.
func FromArchive(client ArchiveClient, addresses address.Codec) Source {
	return func(ctx context.Context, e keeper.Kept) ([]byte, error) {
		member, err := addresses.BytesToString(e.Member)
		if err != nil {
			return nil, err
		}
		return client.ArchivedEnvelope(ctx, types.VaultName(e.Vault), member, e.Commitment)
	}
}
