package chain

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Group returns the group part of a split vault, verified, in one round trip. The error wraps
// [ErrNotFound] when state keeps none, or none any more.
func (s *State) Group(ctx context.Context, v vault.Vault) ([]byte, error) {
	if !v.Split || len(v.SharesHash) == 0 {
		return nil, fmt.Errorf("group part of vault %s: %w: its record names none", v.Name(), ErrNotFound)
	}
	values, err := s.read(ctx,
		types.GroupKey(v.Epoch, v.SharesHash), types.GroupParametersKey(v.Epoch, v.SharesHash))
	if err != nil {
		return nil, err
	}
	if len(values[0]) == 0 {
		return nil, fmt.Errorf("%w: vault %s names a group part that is not there", ErrState, v.Name())
	}
	record, err := decodeGroup(values[0])
	if err != nil {
		return nil, err
	}
	group, err := record.Part(values[1])
	if err == nil {
		err = v.CheckGroup(group)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: vault %s: %w", ErrState, v.Name(), err)
	}
	return group, nil
}

// CarriedGroup looks for the group part of a split vault in the blocks that carry its members'
// backups, the oldest first: one of them has it, unless a member carried it that was asked for no
// backup. It is for when state keeps none any more, and nodes are not believed: what they show has
// the hash in the record, if that has one.
func (s *State) CarriedGroup(ctx context.Context, v vault.Vault) ([]byte, error) {
	var keys [][]byte
	for _, m := range v.Members {
		keys = append(keys, types.BackupKey(v.Epoch, m.Address()))
	}
	values, err := s.read(ctx, keys...)
	if err != nil {
		return nil, err
	}
	var heights []int64
	for _, value := range values {
		backup, err := decodeBackup(value)
		if err != nil {
			return nil, err
		}
		if backup == nil {
			continue
		}
		for _, c := range backup.Commitments() {
			heights = append(heights, c.Height)
		}
	}
	slices.Sort(heights)
	failed := []error{fmt.Errorf("group part of vault %s: %w: no block of its %d backups carries it",
		v.Name(), ErrNotFound, len(heights))}
	for _, height := range slices.Compact(heights) {
		var group []byte
		err := s.Block(ctx, height, func(txs [][]byte) (err error) {
			var ok bool
			if group, ok = v.FindGroup(txs); !ok {
				err = fmt.Errorf("%w: the group part of vault %s", ErrNotFound, v.Name())
			}
			return err
		})
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
