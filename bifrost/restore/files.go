package restore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// EnvelopeFile is the name of the file that has the envelope of a commitment with this SHA-256,
// wherever envelopes are kept as files.
func EnvelopeFile(sha256 []byte) string {
	return "envelopes/" + hex.EncodeToString(sha256) + ".age"
}

// GroupFile is the name of the file that has the group part with this group hash, wherever
// envelopes are kept as files.
func GroupFile(hash []byte) string {
	return "envelopes/" + hex.EncodeToString(hash) + ".group"
}

// Files is a [Source] over a place that keeps envelopes under these names, from where get takes a
// file.
func Files(get func(ctx context.Context, name string) ([]byte, error)) Source {
	return func(
		ctx context.Context, _ vault.Vault, _ []byte, c types.Commitment,
	) ([]byte, error) {
		return get(ctx, EnvelopeFile(c.Sha256))
	}
}

// GroupFiles is a [GroupSource] over a place that keeps group parts under these names, in the form
// of [vault.Vault.EncodeGroup], from where get takes a file.
func GroupFiles(get func(ctx context.Context, name string) ([]byte, error)) GroupSource {
	return func(ctx context.Context, v vault.Vault) ([]byte, error) {
		hash := v.NamedGroup()
		if hash == nil {
			return nil, fmt.Errorf("%w: the vault's record names none", ErrGroup)
		}
		data, err := get(ctx, GroupFile(hash))
		if err != nil {
			return nil, err
		}
		_, group, err := vault.ParseGroup(data)
		return group, err
	}
}

// GroupsBySum is a [GroupSource] over a place that knows files by their SHA-256 alone, and keeps a
// group part as its bytes, under the name that an envelope with that hash would have.
func GroupsBySum(get func(ctx context.Context, name string) ([]byte, error)) GroupSource {
	return func(ctx context.Context, v vault.Vault) ([]byte, error) {
		if v.Group == nil {
			return nil, fmt.Errorf("%w: the vault's record names none", ErrGroup)
		}
		return get(ctx, EnvelopeFile(v.Group.Sha256))
	}
}

// EitherGroup is a [GroupSource] that asks one after the other for what those before do not have,
// or have otherwise than the vault's record says. Those that are nil it leaves out.
func EitherGroup(sources ...GroupSource) GroupSource {
	return func(ctx context.Context, v vault.Vault) ([]byte, error) {
		var failed []error
		for _, source := range sources {
			if source == nil {
				continue
			}
			group, err := source(ctx, v)
			if err == nil {
				err = v.CheckGroup(group)
			}
			if err == nil {
				return group, nil
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			failed = append(failed, err)
		}
		return nil, errors.Join(failed...)
	}
}

// ByPlacement is a [Source] that asks the members of a vault for the envelopes that they hold,
// which no node has, and the nodes for all others. Members may be nil.
func ByPlacement(nodes, members Source) Source {
	return func(
		ctx context.Context, v vault.Vault, member []byte, c types.Commitment,
	) ([]byte, error) {
		switch {
		case !c.IsHeld():
			return nodes(ctx, v, member, c)
		case members == nil:
			return nil, errors.New("the members of the vault hold it, and are not asked here")
		}
		return members(ctx, v, member, c)
	}
}

// Either is a [Source] that asks the second one for what the first does not have as it is committed
// to. Told is called with the first one's error.
func Either(first, second Source, told func(error)) Source {
	return func(
		ctx context.Context, v vault.Vault, member []byte, c types.Commitment,
	) ([]byte, error) {
		sealed, firstErr := first(ctx, v, member, c)
		if firstErr == nil && !c.Matches(sealed) {
			firstErr = fmt.Errorf("%w: got %d other bytes", ErrCommitment, len(sealed))
		}
		if firstErr == nil || ctx.Err() != nil {
			return sealed, firstErr
		}
		told(firstErr)
		sealed, err := second(ctx, v, member, c)
		if err != nil {
			err = errors.Join(firstErr, err)
		}
		return sealed, err
	}
}
