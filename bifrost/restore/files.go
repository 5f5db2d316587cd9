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

// Files is a [Source] over a place that keeps envelopes under these names, from where get takes a
// file.
func Files(get func(ctx context.Context, name string) ([]byte, error)) Source {
	return func(
		ctx context.Context, _ vault.Vault, _ []byte, c types.Commitment,
	) ([]byte, error) {
		return get(ctx, EnvelopeFile(c.Sha256))
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
