package keeper

import (
	"context"

	"cosmossdk.io/collections"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// What follows from other records, and is kept so that a question about some of them reads these
// alone. A genesis does not hold it: it is made again.

// setKeygen writes a keygen whose status was another before, 0 when it is new.
func (k Keeper) setKeygen(ctx context.Context, keygen types.Keygen, was types.KeygenStatus) error {
	if err := k.Keygens.Set(ctx, keygen.Id, keygen); err != nil || keygen.Status == was {
		return err
	}
	if was != types.KeygenStatus_KEYGEN_STATUS_UNSPECIFIED {
		if err := k.KeygensOf.Remove(ctx, collections.Join(uint32(was), keygen.Id)); err != nil {
			return err
		}
	}
	return k.KeygensOf.Set(ctx, collections.Join(uint32(keygen.Status), keygen.Id), true)
}

// indexMembers writes down that members are in an epoch.
func (k Keeper) indexMembers(ctx context.Context, epoch uint64, members []types.Member) error {
	for _, m := range members {
		key := collections.Join([]byte(m.Address()), epoch)
		if err := k.Memberships.Set(ctx, key, true); err != nil {
			return err
		}
	}
	return nil
}

// vaultOf is the key and the record of the vault that an epoch is of, present or former.
func (k Keeper) vaultOf(ctx context.Context, epoch uint64) ([]byte, types.Vault, error) {
	keygen, err := k.Keygens.Get(ctx, epoch)
	if err != nil {
		return nil, types.Vault{}, err
	}
	vault, err := k.vault(ctx, keygen.Vault)
	return keygen.Vault, vault, err
}

// indexRetirement writes down when a vault was retired in its epoch, or when the grace of a former
// one was over.
func (k Keeper) indexRetirement(
	ctx context.Context, height int64, epoch uint64, pubKey []byte,
) error {
	return k.Retirements.Set(ctx, collections.Join(uint64(height), epoch), pubKey)
}
