package keeper

import (
	"context"

	"cosmossdk.io/collections"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// What follows from other records, and is kept so that a question about some of them
// reads these alone. A genesis does not hold it: it is made again.

// setKeygen writes a keygen whose status was another before, 0 when it is new.
func (k Keeper) setKeygen(ctx context.Context, keygen types.Keygen, before types.KeygenStatus) error {
	if err := k.Keygens.Set(ctx, keygen.Id, keygen); err != nil || keygen.Status == before {
		return err
	}
	if before != types.KeygenStatus_KEYGEN_STATUS_UNSPECIFIED {
		if err := k.KeygensOf.Remove(ctx, collections.Join(uint32(before), keygen.Id)); err != nil {
			return err
		}
	}
	return k.KeygensOf.Set(ctx, collections.Join(uint32(keygen.Status), keygen.Id), true)
}

// indexMembers writes down that the members of a vault are in its epoch.
func (k Keeper) indexMembers(ctx context.Context, vault types.Vault) error {
	for _, m := range vault.Members {
		if err := k.Memberships.Set(ctx, collections.Join([]byte(m.Address()), vault.Epoch), true); err != nil {
			return err
		}
	}
	return nil
}

// vaultOf is the vault that an epoch is of, and its key.
func (k Keeper) vaultOf(ctx context.Context, epoch uint64) (pubKey []byte, vault types.Vault, err error) {
	keygen, err := k.Keygens.Get(ctx, epoch)
	if err != nil {
		return nil, vault, err
	}
	vault, err = k.vault(ctx, keygen.Vault)
	return keygen.Vault, vault, err
}

// indexRetirement writes down when a vault was retired.
func (k Keeper) indexRetirement(ctx context.Context, pubKey []byte, vault types.Vault) error {
	return k.Retirements.Set(ctx, collections.Join(uint64(vault.RetiredHeight), vault.Epoch), pubKey)
}
