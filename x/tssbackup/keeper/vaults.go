package keeper

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// RetireVault says that a retiring vault holds no money any more, for the embedding chain and for
// MsgRetireVault. Its backups stay as history. The error is ErrVaultNotRetiring for one that is not
// retiring, and ErrResharing while it is being reshared.
func (k Keeper) RetireVault(ctx context.Context, pubKey []byte) error {
	vault, err := k.vault(ctx, pubKey)
	if err != nil {
		return err
	}
	if vault.Status != types.VaultStatus_VAULT_STATUS_RETIRING {
		return types.ErrVaultNotRetiring.Wrap(types.VaultName(pubKey))
	}
	reshared, err := k.reshared(ctx)
	if err != nil {
		return err
	}
	if bytes.Equal(reshared, pubKey) {
		return types.ErrResharing.Wrap(types.VaultName(pubKey))
	}
	return k.retire(ctx, pubKey, vault)
}

// vault returns the vault, or an error that wraps ErrVaultNotFound.
func (k Keeper) vault(ctx context.Context, pubKey []byte) (types.Vault, error) {
	vault, err := k.Vaults.Get(ctx, pubKey)
	if errors.Is(err, collections.ErrNotFound) {
		return vault, types.ErrVaultNotFound.Wrap(types.VaultName(pubKey))
	}
	return vault, err
}

// vaultIn returns a vault as it was in one of its epochs, as far as that differs from the present
// one: members, threshold, public shares and group part. 0 stands for the present epoch. The error
// wraps ErrVaultNotFound also when the vault had no such epoch.
func (k Keeper) vaultIn(ctx context.Context, pubKey []byte, epoch uint64) (types.Vault, error) {
	vault, err := k.vault(ctx, pubKey)
	if err != nil || epoch == 0 || epoch == vault.Epoch {
		return vault, err
	}
	if !slices.ContainsFunc(vault.Former, func(f types.FormerEpoch) bool {
		return f.Epoch == epoch
	}) {
		return vault, types.ErrVaultNotFound.Wrapf(
			"%s had no epoch %d", types.VaultName(pubKey), epoch)
	}
	keygen, err := k.Keygens.Get(ctx, epoch)
	if err != nil {
		return vault, err
	}
	vault.Epoch, vault.Members, vault.Threshold = epoch, keygen.Members, keygen.Threshold
	vault.Split, vault.SharesHash, vault.Group = keygen.Split, keygen.Ended.SharesHash,
		keygen.Ended.Group
	return vault, nil
}

// live returns the item with all vaults that are not retired, empty before the first is active.
func (k Keeper) live(ctx context.Context) (types.LiveVaults, error) {
	live, err := k.LiveVaults.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return types.LiveVaults{}, nil
	}
	return live, err
}

// addLive puts the vaults of a churn into the item with all that are not retired.
func (k Keeper) addLive(ctx context.Context, churnID uint64, vaults []types.LiveVault) error {
	live, err := k.live(ctx)
	if err != nil {
		return err
	}
	live.ChurnId = churnID
	live.Vaults = append(live.Vaults, vaults...)
	slices.SortFunc(live.Vaults, func(a, b types.LiveVault) int {
		return bytes.Compare(a.PubKey, b.PubKey)
	})
	return k.LiveVaults.Set(ctx, live)
}

// retireActive makes the vaults that are active retiring.
func (k Keeper) retireActive(ctx context.Context) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	live, err := k.live(ctx)
	if err != nil {
		return err
	}
	pause, err := k.pause(ctx)
	if err != nil {
		return err
	}
	for _, v := range live.Vaults {
		vault, err := k.Vaults.Get(ctx, v.PubKey)
		if err != nil {
			return err
		}
		if vault.Status != types.VaultStatus_VAULT_STATUS_ACTIVE {
			continue
		}
		vault.Status = types.VaultStatus_VAULT_STATUS_RETIRING
		vault.RetiringHeight = sdkCtx.BlockHeight()
		vault.RetiringPaused = pause.Blocks(vault.RetiringHeight)
		if err := k.Vaults.Set(ctx, v.PubKey, vault); err != nil {
			return err
		}
		event := &types.EventVaultRetiring{Vault: types.VaultName(v.PubKey)}
		if err := sdkCtx.EventManager().EmitTypedEvent(event); err != nil {
			return err
		}
	}
	return nil
}

// retireDue retires the vaults that have been retiring for the retirement delay, without the time
// for which the module was paused meanwhile. One that is being reshared waits for the end of that.
func (k Keeper) retireDue(ctx context.Context) error {
	params, err := k.Params.Get(ctx)
	if err != nil || params.RetirementDelay == 0 {
		return err
	}
	pause, err := k.pause(ctx)
	if err != nil || pause.Since != 0 {
		return err
	}
	live, err := k.live(ctx)
	if err != nil {
		return err
	}
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	for _, v := range live.Vaults {
		vault, err := k.Vaults.Get(ctx, v.PubKey)
		if err != nil {
			return err
		}
		delay := params.RetirementDelay + pause.Total - vault.RetiringPaused
		if vault.Status != types.VaultStatus_VAULT_STATUS_RETIRING ||
			height < vault.RetiringHeight+int64(delay) {
			continue
		}
		// Asked of each: a hook of the retirement before may have begun a reshare.
		reshared, err := k.reshared(ctx)
		if err != nil {
			return err
		}
		if bytes.Equal(v.PubKey, reshared) {
			continue
		}
		if err := k.retire(ctx, v.PubKey, vault); err != nil {
			return err
		}
	}
	return nil
}

// retire ends a retiring vault.
func (k Keeper) retire(ctx context.Context, pubKey []byte, vault types.Vault) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	if vault.GraceUntil != 0 {
		var err error
		if vault, err = k.endGrace(ctx, pubKey, vault); err != nil {
			return err
		}
	}
	vault.Status = types.VaultStatus_VAULT_STATUS_RETIRED
	vault.RetiredHeight = sdkCtx.BlockHeight()
	if err := k.Vaults.Set(ctx, pubKey, vault); err != nil {
		return err
	}
	if err := k.indexRetirement(ctx, vault.RetiredHeight, vault.Epoch, pubKey); err != nil {
		return err
	}
	live, err := k.live(ctx)
	if err != nil {
		return err
	}
	live.Vaults = slices.DeleteFunc(live.Vaults, func(v types.LiveVault) bool {
		return bytes.Equal(v.PubKey, pubKey)
	})
	if err := k.LiveVaults.Set(ctx, live); err != nil {
		return err
	}
	if err := k.removeCeremony(ctx, vault.Epoch, vault.Members); err != nil {
		return err
	}
	if err := k.forgetHeartbeats(ctx, vault); err != nil {
		return err
	}
	if err := k.expireProofs(ctx, pubKey, vault.Epoch); err != nil {
		return err
	}
	event := &types.EventVaultRetired{Vault: types.VaultName(pubKey)}
	if err := sdkCtx.EventManager().EmitTypedEvent(event); err != nil {
		return err
	}
	return k.runHooks(
		ctx,
		"AfterVaultRetired",
		func(ctx context.Context, h types.TssbackupHooks) error {
			return h.AfterVaultRetired(ctx, pubKey, vault)
		},
	)
}
