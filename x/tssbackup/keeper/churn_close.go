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
// what has been retired for long enough and what failed in a churn long ago, and opens a churn when
// one is due. Its work is bounded by the members of two churns (of the one whose failures are
// deleted, each of max_tries tries), the vaults that are not retired, those that were retired in
// one block, and 64 heartbeats that did not come.
//
// It returns the envelopes that the block published, in the order of their hashes, which it takes
// out of the state: the caller has the node's archive write them before the block is committed.
func (k Keeper) EndBlocker(ctx context.Context) (envelopes [][]byte, err error) {
	if err := k.endChurns(ctx); err != nil {
		return nil, err
	}
	return k.takeStaged(ctx)
}

// endChurns is what a block's end does to churns and vaults. Each step reads what holds when its
// turn comes: a hook of an earlier one may have changed the parameters, or paused the module.
func (k Keeper) endChurns(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		k.endPause, k.closeChurn, k.retireDue, k.endGraces, k.deleteExpired, k.deleteFailed,
		k.endHeartbeats, k.openDue,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// closing is a keygen of the open churn in the block that may close it.
type closing struct {
	types.Keygen
	votes []memberVote
	// certificate is nil while none stands.
	certificate *types.Certificate
	// dealing is who hands a vault to the members, nobody unless it is a reshare.
	dealing dealing
	// failed reports whether it failed in this block.
	failed bool
}

// closeChurn decides the keygens of the open churn that nothing more is to come for or that have
// their deadline. Each is decided by itself; what failed is opened again where that is allowed. The
// churn is complete when all are ready, and fails when one has failed for good and none is open any
// more: whoever is silent in another keygen pays for it, however soon the churn was lost.
func (k Keeper) closeChurn(ctx context.Context) error {
	churn, keygens, err := k.openKeygens(ctx)
	if err != nil || keygens == nil {
		return err
	}
	params, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	if err := k.decide(ctx, params, keygens); err != nil {
		return err
	}
	count := make(map[types.KeygenStatus]int)
	lost := false
	for _, c := range keygens {
		count[c.Status]++
		lost = lost || c.failedForGood(params, len(keygens))
	}
	switch {
	case count[types.KeygenStatus_KEYGEN_STATUS_READY] == len(keygens):
		err = k.completeChurn(ctx, params, churn, keygens)
	case !lost:
		err = k.reopen(ctx, params, churn, keygens)
	case count[types.KeygenStatus_KEYGEN_STATUS_OPEN] == 0:
		err = k.failChurn(ctx, params, churn, keygens)
	}
	if err != nil {
		return err
	}
	for _, c := range keygens {
		if c.failed {
			if err := k.forget(ctx, c); err != nil {
				return err
			}
		}
	}
	return k.afterFailures(ctx, keygens)
}

// openKeygens returns the churn that is open and the latest try of each of its vaults, with their
// votes; no keygen when none is open.
func (k Keeper) openKeygens(ctx context.Context) (types.Churn, []closing, error) {
	id, err := k.OpenChurn.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Churn{}, nil, nil
	}
	if err != nil {
		return types.Churn{}, nil, err
	}
	churn, err := k.Churns.Get(ctx, id)
	if err != nil {
		return types.Churn{}, nil, err
	}
	keygens := make([]closing, len(churn.KeygenIds))
	for i, id := range churn.KeygenIds {
		if keygens[i].Keygen, err = k.Keygens.Get(ctx, id); err != nil {
			return types.Churn{}, nil, err
		}
		if keygens[i].votes, err = k.votesOf(ctx, id); err != nil {
			return types.Churn{}, nil, err
		}
		if keygens[i].certificate, err = k.certificate(ctx, id); err != nil {
			return types.Churn{}, nil, err
		}
		if keygens[i].dealing, err = k.dealingIn(ctx, keygens[i].Keygen); err != nil {
			return types.Churn{}, nil, err
		}
	}
	return churn, keygens, nil
}

// decide closes the keygens whose time has come: each is ready or has failed, and who was at fault
// sits out from now on.
func (k Keeper) decide(ctx context.Context, params types.Params, keygens []closing) error {
	var made [][]byte // the vaults of the keygens that are ready
	for _, c := range keygens {
		if c.Status == types.KeygenStatus_KEYGEN_STATUS_READY {
			made = append(made, c.Vault)
		}
	}
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	for i := range keygens {
		c := &keygens[i]
		due := height >= c.Deadline
		if c.Status != types.KeygenStatus_KEYGEN_STATUS_OPEN || !due && !c.decided() {
			continue
		}
		c.ClosedHeight = height
		c.Blamed, c.Silent = c.atFault(due)
		result, ok := c.verdict()
		// Two keygens of a churn cannot make one vault.
		same := func(v []byte) bool { return bytes.Equal(v, result.PubKey) }
		if c.failed = !ok || slices.ContainsFunc(made, same); c.failed {
			c.Status = types.KeygenStatus_KEYGEN_STATUS_FAILED
		} else {
			c.Status, c.Vault = types.KeygenStatus_KEYGEN_STATUS_READY, result.PubKey
			made = append(made, result.PubKey)
		}
		if err := k.setKeygen(ctx, c.Keygen, types.KeygenStatus_KEYGEN_STATUS_OPEN); err != nil {
			return err
		}
		if err := k.sitOut(ctx, params, *c); err != nil {
			return err
		}
		if err := k.tellDecided(ctx, *c); err != nil {
			return err
		}
	}
	return nil
}

// tellDecided emits what became of a keygen.
func (k Keeper) tellDecided(ctx context.Context, c closing) error {
	events := sdk.UnwrapSDKContext(ctx).EventManager()
	blamed, err := k.bech32s(c.Blamed)
	if err != nil {
		return err
	}
	silent, err := k.bech32s(c.Silent)
	if err != nil {
		return err
	}
	if c.failed {
		return events.EmitTypedEvent(
			&types.EventKeygenFailed{KeygenId: c.Id, Blamed: blamed, Silent: silent},
		)
	}
	return events.EmitTypedEvent(&types.EventKeygenReady{
		KeygenId: c.Id, Vault: types.VaultName(c.Vault), Blamed: blamed, Silent: silent,
	})
}

// forget deletes what is of no use once a keygen has failed. Its votes stay, to be looked at.
func (k Keeper) forget(ctx context.Context, c closing) error {
	if err := k.removeCeremony(ctx, c.Id, c.dealing.with(c.Members)); err != nil {
		return err
	}
	return k.deleteProofs(ctx, c.Id)
}

// afterFailures tells the embedding chain of the keygens that failed in this block.
func (k Keeper) afterFailures(ctx context.Context, keygens []closing) error {
	for _, c := range keygens {
		if !c.failed {
			continue
		}
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

// decided reports whether nothing more is to come: all members have voted, and their vault, if they
// have one, has signed.
func (c closing) decided() bool {
	return len(c.votes) == len(c.Members) && (c.certificate == nil || c.certificate.IsChecked())
}

// verdict is the result of the certificate, when its vault has signed and enough members voted for
// it with a commitment, which comes with a proof in a keygen that requires proofs. When all
// members voted for it, they are enough, because every member that was asked has published.
func (c closing) verdict() (types.Result, bool) {
	if c.certificate == nil || !c.certificate.IsChecked() {
		return types.Result{}, false
	}
	count := uint32(0)
	for _, v := range c.votes {
		if v.Commitment != nil {
			count++
		}
	}
	return c.certificate.Result, count >= c.Needed
}

// failChurn closes a churn in which a keygen failed for good: no vault of it is ever active, and no
// older vault retires. Its other keygens fail with it, which is nobody's fault.
func (k Keeper) failChurn(
	ctx context.Context,
	params types.Params,
	churn types.Churn,
	keygens []closing,
) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	for i := range keygens {
		c := &keygens[i]
		if c.Status != types.KeygenStatus_KEYGEN_STATUS_READY {
			continue
		}
		if err := k.forget(ctx, *c); err != nil {
			return err
		}
		c.Status, c.Vault = types.KeygenStatus_KEYGEN_STATUS_FAILED, nil
		c.ClosedHeight = sdkCtx.BlockHeight()
		if err := k.setKeygen(ctx, c.Keygen, types.KeygenStatus_KEYGEN_STATUS_READY); err != nil {
			return err
		}
		event := &types.EventKeygenFailed{KeygenId: c.Id}
		if err := sdkCtx.EventManager().EmitTypedEvent(event); err != nil {
			return err
		}
	}
	if params.RetryInterval != 0 && !churn.Named {
		if err := k.scheduleChurn(ctx, params.RetryInterval); err != nil {
			return err
		}
	}
	return k.endChurn(ctx, params, churn, types.ChurnStatus_CHURN_STATUS_FAILED)
}

// completeChurn makes the vaults of a churn active, all in this block, and those that were active
// retiring. A reshare begins the next epoch of its vault.
func (k Keeper) completeChurn(
	ctx context.Context,
	params types.Params,
	churn types.Churn,
	keygens []closing,
) error {
	if keygens[0].Reshare != nil {
		return k.completeReshare(ctx, params, churn, keygens[0])
	}
	if err := k.retireActive(ctx); err != nil {
		return err
	}
	vaults := make([]types.Vault, len(keygens))
	made := make([]types.LiveVault, len(keygens))
	for i, c := range keygens {
		vaults[i] = types.Vault{
			Status:       types.VaultStatus_VAULT_STATUS_ACTIVE,
			ChurnId:      c.ChurnId,
			ActiveHeight: sdk.UnwrapSDKContext(ctx).BlockHeight(),
		}
		counts, err := k.activate(ctx, params, c, &vaults[i])
		if err != nil {
			return err
		}
		err = sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(&types.EventVaultActive{
			Vault:         types.VaultName(c.Vault),
			PubKeyEd25519: hex.EncodeToString(vaults[i].PubKeyEd25519),
			KeygenId:      c.Id,
			Published:     counts.published,
			Threshold:     c.Threshold,
			Proven:        counts.proven,
		})
		if err != nil {
			return err
		}
		made[i] = types.LiveVault{PubKey: c.Vault, Epoch: c.Id}
	}
	if err := k.addLive(ctx, churn.Id, made); err != nil {
		return err
	}
	if err := k.endChurn(ctx, params, churn, types.ChurnStatus_CHURN_STATUS_COMPLETE); err != nil {
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

// counted is how many members of an epoch have published and proven when it begins.
type counted struct{ published, proven uint32 }

// activate writes down a vault in the epoch that a keygen has made, and its members' backups. The
// members move from the keygen to the vault, and the votes become the backups. vault has what does
// not depend on the epoch.
func (k Keeper) activate(
	ctx context.Context, params types.Params, c closing, vault *types.Vault,
) (n counted, err error) {
	result, ok := c.verdict()
	if !ok || !bytes.Equal(result.PubKey, c.Vault) {
		return n, types.ErrInvalidResult.Wrapf("keygen %d is ready without a result", c.Id)
	}
	vault.PubKeyEd25519 = result.PubKeyEd25519
	vault.Epoch, vault.Members = c.Id, c.Members
	vault.Threshold, vault.Needed = c.Threshold, c.Needed
	vault.SharesHash, vault.Split, vault.Group = result.SharesHash, c.Split, nil
	vault.Placement = c.Placement
	if c.Split {
		group, err := k.Groups.Get(ctx, collections.Join(c.Id, result.SharesHash))
		if err != nil {
			return n, err
		}
		vault.Group = group.Name(result.SharesHash)
	}
	if err := k.Vaults.Set(ctx, c.Vault, *vault); err != nil {
		return n, err
	}
	if err := k.indexMembers(ctx, vault.Epoch, vault.Members); err != nil {
		return n, err
	}
	if err := k.awaitHeartbeats(ctx, params, *vault); err != nil {
		return n, err
	}
	if n.proven, err = k.countProven(ctx, c.Id, c.Members); err != nil {
		return n, err
	}
	for _, v := range c.votes {
		if v.Commitment != nil {
			backup := types.Backup{First: *v.Commitment}
			if err := k.Backups.Set(ctx, collections.Join(c.Id, v.member), backup); err != nil {
				return n, err
			}
			n.published++
		}
		if err := k.Votes.Remove(ctx, collections.Join(c.Id, v.member)); err != nil {
			return n, err
		}
	}
	if err := k.removeCeremony(ctx, c.Id, c.dealing.with(c.Members)); err != nil {
		return n, err
	}
	c.Members = nil
	return n, k.setKeygen(ctx, c.Keygen, c.Status)
}

// endChurn closes a churn, after its keygens, and says when those that failed are deleted.
func (k Keeper) endChurn(
	ctx context.Context,
	params types.Params,
	churn types.Churn,
	status types.ChurnStatus,
) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	churn.Status = status
	churn.ClosedHeight = sdkCtx.BlockHeight()
	if err := k.Churns.Set(ctx, churn.Id, churn); err != nil {
		return err
	}
	if err := k.OpenChurn.Remove(ctx); err != nil {
		return err
	}
	complete := status == types.ChurnStatus_CHURN_STATUS_COMPLETE
	if params.KeygenRetention != 0 && (!complete || len(churn.FailedIds) != 0) {
		height := uint64(churn.ClosedHeight) + params.KeygenRetention
		if err := k.ChurnExpiries.Set(ctx, collections.Join(height, churn.Id), true); err != nil {
			return err
		}
	}
	return sdkCtx.EventManager().EmitTypedEvent(
		&types.EventChurnClosed{ChurnId: churn.Id, Complete: complete},
	)
}
