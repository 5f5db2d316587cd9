package chain

import (
	"context"
	"fmt"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Group returns the group part of a split vault, verified, in one round trip. The error wraps
// [ErrNotFound] when state keeps none, or none any more.
func (s *State) Group(ctx context.Context, v vault.Vault) ([]byte, error) {
	if !v.Split || len(v.SharesHash) == 0 {
		return nil, fmt.Errorf("group part of vault %s: %w: state keeps none", v.Name(), ErrNotFound)
	}
	values, err := s.read(ctx, groupKeys(v)...)
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

// groupKeys are where state has the group part of a split vault.
func groupKeys(v vault.Vault) [][]byte {
	return [][]byte{
		types.GroupKey(v.Epoch, v.SharesHash), types.GroupParametersKey(v.Epoch, v.SharesHash),
	}
}

// CarriedGroup takes the group part of a split vault out of the block that carries it, which the
// vault's record names, in one round trip. It is for when state keeps none any more, and nodes are
// not believed: what they show has the hash in the record. The error wraps [ErrNotFound] when a
// node shows the block without it.
func (s *State) CarriedGroup(ctx context.Context, v vault.Vault) (group []byte, err error) {
	if v.Group == nil {
		return nil, fmt.Errorf("group part of vault %s: %w: its record names none", v.Name(), ErrNotFound)
	}
	err = s.Block(ctx, v.Group.Height, func(txs [][]byte) error {
		var ok bool
		if group, ok = v.FindGroup(txs); !ok {
			return fmt.Errorf("%w: the group part of vault %s", ErrNotFound, v.Name())
		}
		return nil
	})
	return group, err
}
