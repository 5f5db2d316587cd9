package keeper

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// maxMissedPerBlock bounds the intervals that the end of a block counts as missed. The rest are
// counted in the blocks that follow, each of them once.
const maxMissedPerBlock = 64

// beater is a member of a vault that is not retired.
type beater struct {
	signer sdk.AccAddress
	vault  types.Vault
	pubKey []byte
	params types.Params
}

func (b beater) exemption(epoch uint64) types.Exemption {
	return types.Exemption{
		KeygenID: epoch, Member: b.signer, Heartbeat: true, Members: len(b.vault.Members),
	}
}

// checkBeater checks whether a heartbeat may come: they are on, and the signer is a member in an
// epoch that lives. It is cheap, and says nothing about what the heartbeat signs. That is left to
// the message, where what is wrong has been counted: a beacon may have become too old on the way.
func (k Keeper) checkBeater(ctx context.Context, msg *types.MsgHeartbeat) (beater, error) {
	params, err := k.Params.Get(ctx)
	if err != nil {
		return beater{}, err
	}
	if params.HeartbeatInterval == 0 {
		return beater{}, types.ErrInvalidHeartbeat.Wrap("none is due on this chain")
	}
	signer, err := k.accounts.AddressCodec().StringToBytes(msg.Signer)
	if err != nil {
		return beater{}, types.ErrNotMember.Wrap(err.Error())
	}
	pubKey, vault, err := k.vaultOf(ctx, msg.Epoch)
	switch {
	case errors.Is(err, collections.ErrNotFound), errors.Is(err, types.ErrVaultNotFound):
		return beater{}, types.ErrVaultNotFound.Wrapf("epoch %d", msg.Epoch)
	case err != nil:
		return beater{}, err
	case !vault.IsLive():
		return beater{}, types.ErrVaultNotLive.Wrapf("epoch %d", msg.Epoch)
	case vault.Epoch != msg.Epoch:
		return beater{}, types.ErrOtherEpoch.Wrapf(
			"the heartbeat is of epoch %d, and vault %s in epoch %d",
			msg.Epoch, types.VaultName(pubKey), vault.Epoch)
	}
	if _, ok := types.FindMember(vault.Members, signer); !ok {
		return beater{}, types.ErrNotMember.Wrapf("%s in epoch %d", msg.Signer, msg.Epoch)
	}
	return beater{signer: signer, vault: vault, pubKey: pubKey, params: params}, nil
}

// Heartbeat takes a heartbeat, which fixes when the next one is due.
func (s msgServer) Heartbeat(
	ctx context.Context, msg *types.MsgHeartbeat,
) (*types.MsgHeartbeatResponse, error) {
	b, err := s.k.checkBeater(ctx, msg)
	if err != nil {
		return nil, err
	}
	before, err := s.k.heartbeat(ctx, msg.Epoch, b.signer)
	if err != nil {
		return nil, err
	}
	if err := s.k.checkBeat(ctx, msg, b, before); err != nil {
		return nil, err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	beat := before
	beat.BeaconHeight = msg.BeaconHeight
	if msg.Kind == types.HeartbeatKind_HEARTBEAT_KIND_PAPER {
		beat.PaperHeight = sdkCtx.BlockHeight()
	} else {
		beat.MachineHeight = sdkCtx.BlockHeight()
	}
	if beat, err = s.k.awaitHeartbeat(ctx, b.params, msg.Epoch, b.signer, beat); err != nil {
		return nil, err
	}
	event := &types.EventHeartbeat{
		Vault: types.VaultName(b.pubKey), Epoch: msg.Epoch, Kind: msg.Kind, Due: beat.Due,
	}
	if event.Member, err = s.k.bech32(b.signer); err != nil {
		return nil, err
	}
	if err := sdkCtx.EventManager().EmitTypedEvent(event); err != nil {
		return nil, err
	}
	return &types.MsgHeartbeatResponse{Due: beat.Due}, nil
}

// checkBeat checks what a heartbeat signs, and by which key.
func (k Keeper) checkBeat(
	ctx context.Context, msg *types.MsgHeartbeat, b beater, before types.Heartbeat,
) error {
	switch msg.Kind {
	case types.HeartbeatKind_HEARTBEAT_KIND_MACHINE, types.HeartbeatKind_HEARTBEAT_KIND_PAPER:
	default:
		return types.ErrInvalidHeartbeat.Wrapf("kind %d", msg.Kind)
	}
	if msg.BeaconHeight <= before.BeaconHeight {
		return types.ErrInvalidHeartbeat.Wrapf(
			"the member's latest signs the beacon of block %d", before.BeaconHeight)
	}
	beacons, err := k.beacons(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(beacons.List, func(b types.Beacon) bool {
		return b.Height == msg.BeaconHeight
	})
	if i < 0 {
		return types.ErrInvalidHeartbeat.Wrapf(
			"block %d has none of the two latest beacons", msg.BeaconHeight)
	}
	proof, err := k.proofOf(ctx, msg.Epoch, b.signer)
	if err != nil {
		return err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	sdkCtx.GasMeter().ConsumeGas(gasPerSignature, "heartbeat")
	err = verenc.VerifyBeat(proof.Recipient.Key, verenc.Beat{
		ChainID: sdkCtx.ChainID(),
		Epoch:   msg.Epoch,
		Member:  b.signer,
		Height:  msg.BeaconHeight,
		AppHash: beacons.List[i].AppHash,
		Kind:    uint32(msg.Kind),
	}, msg.Signature)
	if err != nil {
		return types.ErrInvalidHeartbeat.Wrap(err.Error())
	}
	return nil
}

// heartbeat is what is known of a member's heartbeats in an epoch, empty when nothing is.
func (k Keeper) heartbeat(
	ctx context.Context, epoch uint64, member []byte,
) (types.Heartbeat, error) {
	beat, err := k.Heartbeats.Get(ctx, collections.Join(epoch, member))
	if errors.Is(err, collections.ErrNotFound) {
		return types.Heartbeat{}, nil
	}
	return beat, err
}

// awaitHeartbeat says when the next heartbeat of a member is due, counted from this block, and
// writes down what is known.
func (k Keeper) awaitHeartbeat(
	ctx context.Context, params types.Params, epoch uint64, member []byte, beat types.Heartbeat,
) (types.Heartbeat, error) {
	pause, err := k.pause(ctx)
	if err != nil {
		return beat, err
	}
	if err := k.removeDue(ctx, epoch, member, beat); err != nil {
		return beat, err
	}
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	beat.Due = height + int64(params.HeartbeatInterval+params.HeartbeatGrace)
	beat.Paused, beat.Overdue = pause.Blocks(height), false
	return beat, k.setHeartbeat(ctx, epoch, member, beat)
}

// setHeartbeat writes down what is known of a member's heartbeats, and when the next one is due.
func (k Keeper) setHeartbeat(
	ctx context.Context, epoch uint64, member []byte, beat types.Heartbeat,
) error {
	if beat.Due != 0 {
		key := collections.Join3(uint64(beat.Due), epoch, member)
		if err := k.HeartbeatsDue.Set(ctx, key, true); err != nil {
			return err
		}
	}
	return k.Heartbeats.Set(ctx, collections.Join(epoch, member), beat)
}

func (k Keeper) removeDue(
	ctx context.Context, epoch uint64, member []byte, beat types.Heartbeat,
) error {
	if beat.Due == 0 {
		return nil
	}
	return k.HeartbeatsDue.Remove(ctx, collections.Join3(uint64(beat.Due), epoch, member))
}

// awaitHeartbeats has the first heartbeat of each member of a vault be due.
func (k Keeper) awaitHeartbeats(
	ctx context.Context, params types.Params, vault types.Vault,
) error {
	if params.HeartbeatInterval == 0 {
		return nil
	}
	for _, m := range vault.Members {
		beat, err := k.heartbeat(ctx, vault.Epoch, m.Address())
		if err != nil {
			return err
		}
		if _, err := k.awaitHeartbeat(ctx, params, vault.Epoch, m.Address(), beat); err != nil {
			return err
		}
	}
	return nil
}

// forgetHeartbeats deletes what is known of the heartbeats in an epoch.
func (k Keeper) forgetHeartbeats(ctx context.Context, vault types.Vault) error {
	for _, m := range vault.Members {
		beat, err := k.heartbeat(ctx, vault.Epoch, m.Address())
		if err != nil {
			return err
		}
		if err := k.removeDue(ctx, vault.Epoch, m.Address(), beat); err != nil {
			return err
		}
	}
	of := collections.NewPrefixedPairRange[uint64, []byte](vault.Epoch)
	return errors.Join(k.Heartbeats.Clear(ctx, of), k.HeartbeatAttempts.Clear(ctx, of))
}

// turnHeartbeats has heartbeats be due from now on in all vaults that are not retired, or none any
// more. What was known of them before they were turned off is forgotten then.
func (k Keeper) turnHeartbeats(ctx context.Context, before, after types.Params) error {
	if (before.HeartbeatInterval == 0) == (after.HeartbeatInterval == 0) {
		return nil
	}
	live, err := k.live(ctx)
	if err != nil {
		return err
	}
	for _, v := range live.Vaults {
		vault, err := k.Vaults.Get(ctx, v.PubKey)
		if err != nil {
			return err
		}
		if after.HeartbeatInterval != 0 {
			err = k.awaitHeartbeats(ctx, after, vault)
		} else {
			err = k.forgetHeartbeats(ctx, vault)
		}
		if err != nil {
			return err
		}
	}
	if after.HeartbeatInterval == 0 {
		return k.Beacons.Remove(ctx)
	}
	return nil
}

// endHeartbeats writes the beacon of this block, when it has one, and counts the intervals that
// have passed without a heartbeat.
func (k Keeper) endHeartbeats(ctx context.Context) error {
	params, err := k.Params.Get(ctx)
	if err != nil || params.HeartbeatInterval == 0 {
		return err
	}
	if err := k.writeBeacon(ctx); err != nil {
		return err
	}
	height := uint64(sdk.UnwrapSDKContext(ctx).BlockHeight())
	due := collections.NewPrefixUntilTripleRange[uint64, uint64, []byte](height)
	iter, err := k.HeartbeatsDue.Iterate(ctx, due)
	if err != nil {
		return err
	}
	var keys []dueKey
	for ; iter.Valid() && len(keys) < maxMissedPerBlock; iter.Next() {
		key, err := iter.Key()
		if err != nil {
			return errors.Join(err, iter.Close())
		}
		keys = append(keys, key)
	}
	if err := iter.Close(); err != nil {
		return err
	}
	for _, key := range keys {
		if err := k.miss(ctx, params, key); err != nil {
			return err
		}
	}
	return nil
}

// dueKey is the height at whose end an interval is missed, the epoch and the member.
type dueKey = collections.Triple[uint64, uint64, []byte]

// miss counts an interval as missed, unless a pause puts its end back. A hook of an interval before
// it in the block may have paused the module, or retired the vault: then nothing is missed.
func (k Keeper) miss(ctx context.Context, params types.Params, key dueKey) error {
	pause, err := k.pause(ctx)
	if err != nil || pause.Since != 0 {
		return err
	}
	epoch, member := key.K2(), key.K3()
	beat, err := k.heartbeat(ctx, epoch, member)
	if err != nil || uint64(beat.Due) != key.K1() {
		return err
	}
	if err := k.removeDue(ctx, epoch, member, beat); err != nil {
		return err
	}
	overlap := int64(pause.Total - beat.Paused)
	beat.Paused = pause.Total
	if overlap != 0 {
		beat.Due += overlap
		return k.setHeartbeat(ctx, epoch, member, beat)
	}
	beat.Due += int64(params.HeartbeatInterval)
	beat.Missed, beat.Overdue = beat.Missed+1, true
	if err := k.setHeartbeat(ctx, epoch, member, beat); err != nil {
		return err
	}
	operator, err := k.operatorOf(ctx, member)
	if err != nil {
		return err
	}
	event := &types.EventHeartbeatMissed{Epoch: epoch, Missed: beat.Missed}
	if event.Member, err = k.bech32(member); err != nil {
		return err
	}
	event.Operator, err = k.staking.ValidatorAddressCodec().BytesToString(operator)
	if err != nil {
		return err
	}
	if err := sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(event); err != nil {
		return err
	}
	who := types.HookMember{Address: member, Operator: operator}
	return k.runHooks(
		ctx,
		"AfterHeartbeatMissed",
		func(ctx context.Context, h types.TssbackupHooks) error {
			return h.AfterHeartbeatMissed(ctx, who, epoch, beat.Missed)
		},
	)
}

// writeBeacon makes this block's app hash the latest beacon, every BeaconInterval blocks. The hash
// is that of the state before the block, which nobody knew much earlier.
func (k Keeper) writeBeacon(ctx context.Context) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	hash := sdkCtx.HeaderInfo().AppHash
	if sdkCtx.BlockHeight()%types.BeaconInterval != 0 || len(hash) == 0 {
		return nil
	}
	beacons, err := k.beacons(ctx)
	if err != nil {
		return err
	}
	latest := types.Beacon{Height: sdkCtx.BlockHeight(), AppHash: bytes.Clone(hash)}
	list := append([]types.Beacon{latest}, beacons.List...)
	return k.Beacons.Set(ctx, types.Beacons{List: list[:min(len(list), 2)]})
}

// beacons are the two latest, as far as there are.
func (k Keeper) beacons(ctx context.Context) (types.Beacons, error) {
	beacons, err := k.Beacons.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Beacons{}, nil
	}
	return beacons, err
}
