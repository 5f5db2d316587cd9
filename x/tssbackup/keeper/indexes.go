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

// indexMembers writes down that the members of a vault are in its epoch.
func (k Keeper) indexMembers(ctx context.Context, vault types.Vault) error {
	for _, m := range vault.Members {
		key := collections.Join([]byte(m.Address()), vault.Epoch)
		if err := k.Memberships.Set(ctx, key, true); err != nil {
			return err
		}
	}
	return nil
}

// vaultOf is the key and the record of the vault that an epoch is of.
func (k Keeper) vaultOf(ctx context.Context, epoch uint64) ([]byte, types.Vault, error) {
	keygen, err := k.Keygens.Get(ctx, epoch)
	if err != nil {
		return nil, types.Vault{}, err
	}
	vault, err := k.vault(ctx, keygen.Vault)
	return keygen.Vault, vault, err
}

// indexRetirement writes down when a vault was retired.
func (k Keeper) indexRetirement(ctx context.Context, pubKey []byte, vault types.Vault) error {
	key := collections.Join(uint64(vault.RetiredHeight), vault.Epoch)
	return k.Retirements.Set(ctx, key, pubKey)
}
