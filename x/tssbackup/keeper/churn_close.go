package keeper

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// EndBlocker closes what is decided, retires what has waited long enough, deletes the proofs of
// what has been retired for long enough and a churn that failed long ago, and opens a churn when
// one is due. Its work is bounded by the members of two churns, the vaults that are not retired,
// and those that were retired in one block.
func (k Keeper) EndBlocker(ctx context.Context) error {
	params, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	if err := k.closeChurn(ctx, params); err != nil {
		return err
	}
	if err := k.retireDue(ctx, params); err != nil {
		return err
	}
	if err := k.deleteExpired(ctx); err != nil {
		return err
	}
	if err := k.deleteFailed(ctx); err != nil {
		return err
	}
	return k.openDue(ctx, params)
}

// closing is a keygen of the open churn in the block that may close it.
type closing struct {
	types.Keygen
	votes []memberVote
}

// closeChurn decides the keygens of the open churn that all members voted on, or all of them at the
// deadline. The churn fails with its first keygen that does, and is complete when all are ready.
func (k Keeper) closeChurn(ctx context.Context, params types.Params) error {
	id, err := k.OpenChurn.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	churn, err := k.Churns.Get(ctx, id)
	if err != nil {
		return err
	}
	keygens := make([]closing, len(churn.KeygenIds))
	var made [][]byte // the vaults of the keygens that are ready
	for i, id := range churn.KeygenIds {
		if keygens[i].Keygen, err = k.Keygens.Get(ctx, id); err != nil {
			return err
		}
		if keygens[i].votes, err = k.votesOf(ctx, id); err != nil {
			return err
		}
		if keygens[i].Status == types.KeygenStatus_KEYGEN_STATUS_READY {
			made = append(made, keygens[i].Vault)
		}
	}

	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	due := height >= churn.Deadline
	failed := false
	for i := range keygens {
		c := &keygens[i]
		if c.Status != types.KeygenStatus_KEYGEN_STATUS_OPEN ||
			!due && len(c.votes) < len(c.Members) {
			continue
		}
		result, ok := c.verdict()
		// Two keygens of a churn cannot make one vault.
		if !ok ||
			slices.ContainsFunc(
				made,
				func(v []byte) bool { return bytes.Equal(v, result.PubKey) },
			) {
			failed = true
			continue
		}
		made = append(made, result.PubKey)
		c.Status = types.KeygenStatus_KEYGEN_STATUS_READY
		c.Vault = result.PubKey
		c.ClosedHeight = height
		c.Blamed, c.Silent = c.atFault(due)
		if err := k.setKeygen(ctx, c.Keygen, types.KeygenStatus_KEYGEN_STATUS_OPEN); err != nil {
			return err
		}
		event := &types.EventKeygenReady{KeygenId: c.Id, Vault: types.VaultName(c.Vault)}
		if event.Blamed, err = k.bech32s(c.Blamed); err != nil {
			return err
		}
		if event.Silent, err = k.bech32s(c.Silent); err != nil {
			return err
		}
		if err := sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(event); err != nil {
			return err
		}
	}
	switch {
	case failed:
		return k.failChurn(ctx, params, churn, keygens, due)
	case len(made) == len(keygens):
		return k.completeChurn(ctx, params, churn, keygens)
	}
	return nil
}

// verdict is the result that enough members voted for with their envelope, which
// comes with a proof in a keygen that requires proofs. When
// all members voted one result, they are enough, because every member that was
// asked has published; and needed is more than half of the members, so that at
// most one result has enough.
func (c closing) verdict() (types.Result, bool) {
	count := make(map[string]uint32)
	for _, v := range c.votes {
		if v.Result == nil || v.Commitment == nil {
			continue
		}
		key := v.Result.Key()
		count[key]++
		if count[key] == c.Needed {
			return *v.Result, true
		}
	}
	return types.Result{}, false
}

// atFault are the members that at least the threshold of members blamed, and those that were silent
// when the votes ended. Both are in the order of the members.
//
// At most n - threshold members are taken to be malicious. So where more who voted would be at
// fault for blame, some of them are honest, and none of them is; and where no more have voted, it
// is the votes that failed to come, and nobody's silence is a fault.
func (c closing) atFault(due bool) (blamed, silent [][]byte) {
	count := make(map[string]uint32)
	voted := make(map[string]bool)
	for _, v := range c.votes {
		voted[string(v.member)] = true
		for _, addr := range v.Blamed {
			count[string(addr)]++
		}
	}
	bears := len(c.Members) - int(c.Threshold)
	voters := 0 // among the blamed
	for _, m := range c.Members {
		addr := m.Address()
		if count[string(addr)] >= c.Threshold {
			blamed = append(blamed, addr)
			if voted[string(addr)] {
				voters++
			}
		}
		if due && !voted[string(addr)] && len(c.votes) > bears {
			silent = append(silent, addr)
		}
	}
	if voters > bears {
		blamed = slices.DeleteFunc(blamed, func(addr []byte) bool { return voted[string(addr)] })
	}
	return blamed, silent
}

// failChurn closes a churn in which a keygen failed: no vault of it is ever active, and no older
// vault retires.
func (k Keeper) failChurn(
	ctx context.Context,
	params types.Params,
	churn types.Churn,
	keygens []closing,
	due bool,
) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	for i := range keygens {
		c := &keygens[i]
		before := c.Status
		c.Blamed, c.Silent = c.atFault(due)
		c.Status = types.KeygenStatus_KEYGEN_STATUS_FAILED
		c.Vault = nil
		c.ClosedHeight = sdkCtx.BlockHeight()
		if err := k.setKeygen(ctx, c.Keygen, before); err != nil {
			return err
		}
		if err := k.removeAttempts(ctx, c.Id, c.Members); err != nil {
			return err
		}
		if err := k.deleteProofs(ctx, c.Id); err != nil {
			return err
		}
		if err := k.sitOut(ctx, params, c.Keygen); err != nil {
			return err
		}
		event := &types.EventKeygenFailed{KeygenId: c.Id}
		var err error
		if event.Blamed, err = k.bech32s(c.Blamed); err != nil {
			return err
		}
		if event.Silent, err = k.bech32s(c.Silent); err != nil {
			return err
		}
		if err := sdkCtx.EventManager().EmitTypedEvent(event); err != nil {
			return err
		}
	}
	if params.RetryInterval != 0 {
		if err := k.scheduleChurn(ctx, params.RetryInterval); err != nil {
			return err
		}
	}
	if params.KeygenRetention != 0 {
		height := uint64(sdkCtx.BlockHeight()) + params.KeygenRetention
		if err := k.ChurnExpiries.Set(ctx, collections.Join(height, churn.Id), true); err != nil {
			return err
		}
	}
	if err := k.endChurn(ctx, churn, types.ChurnStatus_CHURN_STATUS_FAILED); err != nil {
		return err
	}
	for _, c := range keygens {
		blamed, err := k.hookMembers(ctx, c.Blamed)
		if err != nil {
			return err
		}
		silent, err := k.hookMembers(ctx, c.Silent)
		if err != nil {
			return err
		}
		err = k.runHooks(
			ctx,
			"AfterKeygenFailed",
			func(ctx context.Context, h types.TssbackupHooks) error {
				return h.AfterKeygenFailed(ctx, c.Id, blamed, silent)
			},
		)
		if err != nil {
			return err
		}
	}
	return nil
}

// completeChurn makes the vaults of a churn active, all in this block, and those that were active
// retiring.
func (k Keeper) completeChurn(
	ctx context.Context,
	params types.Params,
	churn types.Churn,
	keygens []closing,
) error {
	if err := k.retireActive(ctx); err != nil {
		return err
	}
	vaults := make([]types.Vault, len(keygens))
	made := make([]types.LiveVault, len(keygens))
	for i, c := range keygens {
		if err := k.sitOut(ctx, params, c.Keygen); err != nil {
			return err
		}
		var err error
		if vaults[i], err = k.activate(ctx, c); err != nil {
			return err
		}
		made[i] = types.LiveVault{PubKey: c.Vault, Epoch: c.Id}
	}
	if err := k.addLive(ctx, churn.Id, made); err != nil {
		return err
	}
	if err := k.endChurn(ctx, churn, types.ChurnStatus_CHURN_STATUS_COMPLETE); err != nil {
		return err
	}
	for i, c := range keygens {
		err := k.runHooks(
			ctx,
			"AfterVaultActive",
			func(ctx context.Context, h types.TssbackupHooks) error {
				return h.AfterVaultActive(ctx, c.Vault, vaults[i])
			},
		)
		if err != nil {
			return err
		}
	}
	return nil
}

// activate writes down a keygen's vault and its members' backups. The members move from the keygen
// to the vault, and the votes become the backups.
func (k Keeper) activate(ctx context.Context, c closing) (types.Vault, error) {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	result, ok := c.verdict()
	if !ok || !bytes.Equal(result.PubKey, c.Vault) {
		return types.Vault{}, types.ErrInvalidResult.Wrapf(
			"keygen %d is ready without a result",
			c.Id,
		)
	}
	vault := types.Vault{
		PubKeyEd25519: result.PubKeyEd25519,
		Status:        types.VaultStatus_VAULT_STATUS_ACTIVE,
		Epoch:         c.Id,
		ChurnId:       c.ChurnId,
		Threshold:     c.Threshold,
		Needed:        c.Needed,
		ActiveHeight:  sdkCtx.BlockHeight(),
		Members:       c.Members,
		SharesHash:    result.SharesHash,
	}
	if err := k.Vaults.Set(ctx, c.Vault, vault); err != nil {
		return types.Vault{}, err
	}
	if err := k.indexMembers(ctx, vault); err != nil {
		return types.Vault{}, err
	}
	proven, err := k.keepProofsOf(ctx, c.Id, result, c.votes)
	if err != nil {
		return types.Vault{}, err
	}
	published := uint32(0)
	for _, v := range c.votes {
		if v.Result != nil && v.Result.Key() == result.Key() && v.Commitment != nil {
			backup := types.Backup{First: *v.Commitment}
			if err := k.Backups.Set(ctx, collections.Join(c.Id, v.member), backup); err != nil {
				return types.Vault{}, err
			}
			published++
		}
		if err := k.Votes.Remove(ctx, collections.Join(c.Id, v.member)); err != nil {
			return types.Vault{}, err
		}
	}
	if err := k.removeAttempts(ctx, c.Id, c.Members); err != nil {
		return types.Vault{}, err
	}
	c.Members = nil
	if err := k.setKeygen(ctx, c.Keygen, c.Status); err != nil {
		return types.Vault{}, err
	}
	return vault, sdkCtx.EventManager().EmitTypedEvent(&types.EventVaultActive{
		Vault:         types.VaultName(c.Vault),
		PubKeyEd25519: hex.EncodeToString(result.PubKeyEd25519),
		KeygenId:      c.Id,
		Published:     published,
		Threshold:     c.Threshold,
		Proven:        proven,
	})
}

// deleteFailed deletes a churn that failed long enough ago, with its keygens and their votes: one a
// block, so that more of them wait for the next blocks.
func (k Keeper) deleteFailed(ctx context.Context) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	due := collections.NewPrefixUntilPairRange[uint64, uint64](uint64(sdkCtx.BlockHeight()))
	iter, err := k.ChurnExpiries.Iterate(ctx, due)
	if err != nil {
		return err
	}
	if !iter.Valid() {
		return iter.Close()
	}
	expiry, err := iter.Key()
	if err = errors.Join(err, iter.Close()); err != nil {
		return err
	}
	churn, err := k.Churns.Get(ctx, expiry.K2())
	if err != nil {
		return err
	}
	for _, id := range churn.KeygenIds {
		of := collections.NewPrefixedPairRange[uint64, []byte](id)
		if err := k.Votes.Clear(ctx, of); err != nil {
			return err
		}
		key := collections.Join(uint32(types.KeygenStatus_KEYGEN_STATUS_FAILED), id)
		if err := k.KeygensOf.Remove(ctx, key); err != nil {
			return err
		}
		if err := k.Keygens.Remove(ctx, id); err != nil {
			return err
		}
	}
	if err := k.Churns.Remove(ctx, churn.Id); err != nil {
		return err
	}
	if err := k.ChurnExpiries.Remove(ctx, expiry); err != nil {
		return err
	}
	return sdkCtx.EventManager().EmitTypedEvent(&types.EventChurnDeleted{
		ChurnId:   churn.Id,
		KeygenIds: churn.KeygenIds,
	})
}

// endChurn closes a churn, after its keygens.
func (k Keeper) endChurn(ctx context.Context, churn types.Churn, status types.ChurnStatus) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	churn.Status = status
	churn.ClosedHeight = sdkCtx.BlockHeight()
	if err := k.Churns.Set(ctx, churn.Id, churn); err != nil {
		return err
	}
	if err := k.OpenChurn.Remove(ctx); err != nil {
		return err
	}
	return sdkCtx.EventManager().EmitTypedEvent(&types.EventChurnClosed{
		ChurnId:  churn.Id,
		Complete: status == types.ChurnStatus_CHURN_STATUS_COMPLETE,
	})
}

// sitOut makes the operators of members at fault sit out, so that one dead signer cannot block every
// churn, and the longer the sooner it is at fault again. A member that was silent about a keygen
// that is ready all the same sits out too: the next ceremony would wait for it.
func (k Keeper) sitOut(ctx context.Context, params types.Params, keygen types.Keygen) error {
	if params.PenaltyBlocks == 0 {
		return nil
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	for _, m := range keygen.Members {
		if !keygen.AtFault(m.Address()) {
			continue
		}
		operator, err := k.operatorOf(ctx, m.Address())
		if err != nil {
			return err
		}
		before, err := k.sitOutOf(ctx, operator)
		if err != nil {
			return err
		}
		after := params.Penalty(before, sdkCtx.BlockHeight())
		if err := k.SitOuts.Set(ctx, operator, after); err != nil {
			return err
		}
		event := &types.EventSitOut{Until: after.Until, Count: after.Count}
		if event.Operator, err = k.staking.ValidatorAddressCodec().
			BytesToString(operator); err != nil {
			return err
		}
		if err := sdkCtx.EventManager().EmitTypedEvent(event); err != nil {
			return err
		}
	}
	return nil
}

// sitOutOf is what is known of the faults of an operator, the zero SitOut when nothing is.
func (k Keeper) sitOutOf(ctx context.Context, operator []byte) (types.SitOut, error) {
	sitOut, err := k.SitOuts.Get(ctx, operator)
	if errors.Is(err, collections.ErrNotFound) {
		return types.SitOut{}, nil
	}
	return sitOut, err
}

func (k Keeper) removeAttempts(ctx context.Context, keygenID uint64, members []types.Member) error {
	for _, m := range members {
		if err := k.Attempts.Remove(
			ctx,
			collections.Join(keygenID, []byte(m.Address())),
		); err != nil {
			return err
		}
	}
	return nil
}
