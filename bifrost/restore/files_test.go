package restore_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestOnlyMembersAreAskedForWhatMembersHold(t *testing.T) {
	nodes := restore.Files(func(context.Context, string) ([]byte, error) { return []byte("a node's"), nil })
	members := restore.Files(func(context.Context, string) ([]byte, error) { return []byte("a member's"), nil })
	voted, held := types.Commitment{Sha256: make([]byte, 32)}, types.Held([]byte("a member's"))
	source := restore.ByPlacement(nodes, members)
	got, err := source(t.Context(), vault.Vault{}, nil, voted)
	require.NoError(t, err)
	require.Equal(t, "a node's", string(got))
	got, err = source(t.Context(), vault.Vault{}, nil, held)
	require.NoError(t, err)
	require.Equal(t, "a member's", string(got))
	_, err = restore.ByPlacement(nodes, nil)(t.Context(), vault.Vault{}, nil, held)
	require.ErrorContains(t, err, "members of the vault hold it")
}

func TestAnEnvelopeComesFromEitherOfTwoSources(t *testing.T) {
	sum := sha256.Sum256([]byte("sealed"))
	c := types.Commitment{Sha256: sum[:], Size_: 6}
	gone := errors.New("gone")
	source := func(data string, err error) restore.Source {
		return restore.Files(func(_ context.Context, name string) ([]byte, error) {
			require.Equal(t, restore.EnvelopeFile(sum[:]), name)
			return []byte(data), err
		})
	}
	for _, row := range []struct {
		name          string
		first, second restore.Source
		want          string
		told          error
		err           error
	}{
		{"the first has it", source("sealed", nil), source("", gone), "sealed", nil, nil},
		{"the first lacks it", source("", gone), source("sealed", nil), "sealed", gone, nil},
		{"the first has other bytes", source("Sealed", nil), source("sealed", nil), "sealed", restore.ErrCommitment, nil},
		{"nobody has it", source("Sealed", nil), source("", gone), "", restore.ErrCommitment, gone},
	} {
		t.Run(row.name, func(t *testing.T) {
			var told error
			got, err := restore.Either(row.first, row.second, func(err error) { told = err })(t.Context(), vault.Vault{}, nil, c)
			require.ErrorIs(t, told, row.told)
			require.ErrorIs(t, err, row.err)
			if row.err == nil {
				require.Equal(t, row.want, string(got))
			} else {
				require.ErrorIs(t, err, row.told, "both are told")
			}
		})
	}
}
