package keeper

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// A reshare is a keygen of which the keys are known: the members of a vault's present epoch deal,
// and the keygen's members get other keyshares of the same keys. It is alone in a churn of its own,
// so that it holds what a churn holds, is decided as a keygen is, and leaves nothing when it fails.
// When it is ready, members, threshold and epoch of the vault change in one block.

// StartReshare opens a reshare of a vault that is not retired, for the embedding chain and for
// MsgStartReshare. The error is ErrChurnOpen while a churn or another reshare is open, and
// ErrPaused while the module is paused.
//
// The members of the next epoch are the signers of the operators that are named, who may be others
// than now, with the errors of StartChurn. Without operators they are those of the present members'
// operators that are bonded and do not sit out. A signer that was registered in place of a present
// member takes its place.
//
// The error is ErrCannotReshare for a vault whose public shares state does not have, of which an
// epoch still has its grace, or that had as many epochs as one may have, and for members that are
// too many or leave a threshold of an earlier epoch outside. It is ErrTooFewMembers for fewer than
// three, and when fewer than a threshold of the present members can deal, because the others sit
// out.
//
// When a reshare fails, the vault stays as it was, and no other reshare or churn follows for that.
func (k Keeper) StartReshare(
	ctx context.Context, pubKey []byte, operators ...sdk.ValAddress,
) (types.Keygen, error) {
	if err := k.checkMayOpen(ctx); err != nil {
		return types.Keygen{}, err
	}
	vault, err := k.vault(ctx, pubKey)
	if err != nil {
		return types.Keygen{}, err
	}
	if err := checkReshares(pubKey, vault); err != nil {
		return types.Keygen{}, err
	}
	params, err := k.Params.Get(ctx)
	if err != nil {
		return types.Keygen{}, err
	}
	var candidates []candidate
	if len(operators) == 0 {
		candidates, err = k.presentCandidates(ctx, params, vault)
	} else {
		candidates, err = k.namedCandidates(ctx, params, operators)
	}
	if err != nil {
		return types.Keygen{}, err
	}
	reshare := &types.Reshare{Vault: pubKey, Epoch: vault.Epoch}
	if reshare.Excluded, err = k.excluded(ctx, vault); err != nil {
		return types.Keygen{}, err
	}
	if err := k.checkNextMembers(ctx, params, vault, candidates, *reshare); err != nil {
		return types.Keygen{}, err
	}
	// Named, because nothing follows by itself when it fails.
	churn, err := k.newChurn(ctx, params, true)
	if err != nil {
		return types.Keygen{}, err
	}
	keygen, err := k.openKeygen(
		ctx, params, types.Keygen{ChurnId: churn.Id, Reshare: reshare}, candidates,
	)
	if err != nil {
		return types.Keygen{}, err
	}
	churn.KeygenIds = []uint64{keygen.Id}
	if err := k.setOpen(ctx, churn); err != nil {
		return types.Keygen{}, err
	}
	return keygen, sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(
		&types.EventReshareOpened{
			KeygenId: keygen.Id, Vault: types.VaultName(pubKey), Epoch: vault.Epoch,
		},
	)
}

// checkReshares errs when a vault cannot be reshared now, whoever its next members are.
func checkReshares(pubKey []byte, vault types.Vault) error {
	name := types.VaultName(pubKey)
	switch {
	case !vault.IsLive():
		return types.ErrVaultNotLive.Wrap(name)
	case len(vault.SharesHash) == 0:
		return types.ErrCannotReshare.Wrapf(
			"vault %s has no public shares in state, by which its members' dealing is checked: "+
				"only a churn replaces it", name)
	case vault.GraceUntil != 0:
		return types.ErrCannotReshare.Wrapf(
			"the epoch before has its grace in vault %s until block %d", name, vault.GraceUntil)
	case len(vault.Former)+1 >= types.MaxEpochs:
		return types.ErrCannotReshare.Wrapf(
			"vault %s has had %d epochs: only a churn replaces it", name, types.MaxEpochs)
	}
	return nil
}

// checkNextMembers errs when these cannot be the members of the next epoch of a vault.
func (k Keeper) checkNextMembers(
	ctx context.Context, params types.Params, vault types.Vault, candidates []candidate,
	reshare types.Reshare,
) error {
	switch n := len(candidates); {
	case n < types.MinMembers:
		return types.ErrTooFewMembers.Wrapf(
			"%d can be members of the next epoch, and a vault has at least %d", n, types.MinMembers)
	case n > int(params.MaxVaultMembers):
		return types.ErrCannotReshare.Wrapf(
			"%d would be members, and a vault has at most %d", n, params.MaxVaultMembers)
	}
	able := len(vault.Members) - len(reshare.Excluded)
	if able < int(vault.Threshold) {
		return types.ErrTooFewMembers.Wrapf(
			"%d of the present members do not sit out, and %d must deal", able, vault.Threshold)
	}
	next := make([]types.Member, len(candidates))
	for i, c := range candidates {
		next[i] = types.Member{PubKey: c.pubKey}
	}
	epochs := append(
		slices.Clone(vault.Former),
		types.FormerEpoch{Epoch: vault.Epoch, Threshold: vault.Threshold},
	)
	if err := k.countOutside(ctx, vault, epochs, next); err != nil {
		return err
	}
	for _, e := range epochs {
		if e.Outside >= e.Threshold {
			return types.ErrCannotReshare.Wrapf(
				"%d members of epoch %d would be none, and %d of them can sign for ever",
				e.Outside, e.Epoch, e.Threshold)
		}
	}
	return nil
}

// countOutside counts of each of these epochs of a vault the members that are not among others.
func (k Keeper) countOutside(
	ctx context.Context, vault types.Vault, epochs []types.FormerEpoch, others []types.Member,
) error {
	for i := range epochs {
		members := vault.Members
		if epochs[i].Epoch != vault.Epoch {
			keygen, err := k.Keygens.Get(ctx, epochs[i].Epoch)
			if err != nil {
				return err
			}
			members = keygen.Members
		}
		epochs[i].Outside = types.CountOutside(members, others)
	}
	return nil
}

// presentCandidates are the signers of the operators of a vault's members, as far as these are
// bonded and do not sit out.
func (k Keeper) presentCandidates(
	ctx context.Context, params types.Params, vault types.Vault,
) ([]candidate, error) {
	operators, err := k.staking.BondedOperators(ctx)
	if err != nil {
		return nil, err
	}
	bonded := make(map[string]bool, len(operators))
	for _, operator := range operators {
		bonded[string(operator)] = true
	}
	var list []candidate
	for _, m := range vault.Members {
		operator, err := k.operatorOf(ctx, m.Address())
		if err != nil {
			return nil, err
		}
		if !bonded[string(operator)] {
			continue
		}
		c, until, ok, err := k.candidate(ctx, params, operator)
		if err != nil {
			return nil, err
		}
		if ok && until == 0 {
			list = append(list, c)
		}
	}
	return list, nil
}

// excluded are the members of a vault that sit out now, and therefore do not deal.
func (k Keeper) excluded(ctx context.Context, vault types.Vault) ([][]byte, error) {
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	var list [][]byte
	for _, m := range vault.Members {
		operator, err := k.operatorOf(ctx, m.Address())
		if err != nil {
			return nil, err
		}
		sitOut, err := k.sitOutOf(ctx, operator)
		if err != nil {
			return nil, err
		}
		if height < sitOut.Until {
			list = append(list, m.Address())
		}
	}
	return list, nil
}

// dealing is who hands a vault to the members of a reshare: a threshold of those of the epoch that
// is reshared. It is empty for a keygen that is no reshare.
type dealing struct {
	members   []types.Member
	threshold uint32
	reshare   types.Reshare
}

// able are those who may deal.
func (d dealing) able() []types.Member { return d.reshare.Able(d.members) }

// with are members and, after them, those of the epoch that is reshared who are none of them.
func (d dealing) with(members []types.Member) []types.Member {
	return types.Participants(members, d.members)
}

// dealingIn is who deals in a keygen, or dealt.
func (k Keeper) dealingIn(ctx context.Context, keygen types.Keygen) (dealing, error) {
	if keygen.Reshare == nil {
		return dealing{}, nil
	}
	d := dealing{reshare: *keygen.Reshare}
	vault, err := k.vaultIn(ctx, d.reshare.Vault, d.reshare.Epoch)
	d.members, d.threshold = vault.Members, vault.Threshold
	return d, err
}

// participants are the members of a keygen and, in a reshare, those of the epoch that is reshared:
// all who may be named for its failure.
func (k Keeper) participants(ctx context.Context, keygen types.Keygen) ([]types.Member, error) {
	d, err := k.dealingIn(ctx, keygen)
	return d.with(keygen.Members), err
}

// maxFailedBy is how many members a join may name. One attempt rarely fails by more, and a join is
// small.
const maxFailedBy = 8

// parseFailedBy reads whom a join says that attempts failed by before.
func (k Keeper) parseFailedBy(msg *types.MsgTssJoin, b ballot) ([][]byte, error) {
	if len(msg.FailedBy) > maxFailedBy {
		return nil, types.ErrInvalidJoin.Wrapf("it names more than %d members", maxFailedBy)
	}
	var list [][]byte
	for i, text := range msg.FailedBy {
		addr, err := k.accounts.AddressCodec().StringToBytes(text)
		if err != nil {
			return nil, types.ErrInvalidJoin.Wrapf("member %d that it names: %s", i+1, err)
		}
		_, ok := types.FindMember(b.dealing.members, addr)
		if !ok || bytes.Equal(addr, b.signer) || types.ContainsAddress(list, addr) {
			return nil, types.ErrInvalidJoin.Wrapf(
				"member %d that it names is the signer, named twice, or not of an epoch that is reshared",
				i+1)
		}
		list = append(list, addr)
	}
	return list, nil
}

// exclude has those not deal any more whom a threshold of the members name, who have all joined an
// attempt: an attempt failed by them. It returns how many have joined who may deal. Where too few
// would be left, some of those named are honest, and the ballot stays as it is.
func (k Keeper) exclude(ctx context.Context, b *ballot, attempt uint64) (ready uint32, err error) {
	count := make(map[string]uint32)
	for _, m := range b.keygen.Members {
		join, err := k.Joins.Get(ctx, collections.Join(b.keygen.Id, []byte(m.Address())))
		if err != nil {
			return 0, err
		}
		for _, addr := range join.FailedBy {
			count[string(addr)]++
		}
	}
	var excluded [][]byte // in the order of the members
	for _, m := range b.dealing.members {
		addr := m.Address()
		if count[string(addr)] >= b.keygen.Threshold ||
			types.ContainsAddress(b.dealing.reshare.Excluded, addr) {
			excluded = append(excluded, addr)
		}
	}
	if len(excluded) > len(b.dealing.reshare.Excluded) &&
		len(b.dealing.members)-len(excluded) >= int(b.dealing.threshold) {
		b.keygen.Reshare.Excluded = excluded
		b.dealing.reshare.Excluded = excluded
		if err := k.setKeygen(ctx, b.keygen, b.keygen.Status); err != nil {
			return 0, err
		}
	}
	for _, m := range b.dealing.able() {
		join, err := k.Joins.Get(ctx, collections.Join(b.keygen.Id, []byte(m.Address())))
		switch {
		case err == nil && join.Attempt == attempt:
			ready++
		case err != nil && !errors.Is(err, collections.ErrNotFound):
			return 0, err
		}
	}
	return ready, nil
}

// chooseDealers are the joins of those who deal in an attempt, in ascending order of their keys: as
// many as the threshold of their epoch, of those who may deal and have joined it. Which ones
// follows from SHA-256(u64(keygen) || u64(attempt) || address), so that each attempt has others.
func (k Keeper) chooseDealers(
	ctx context.Context, b ballot, attempt uint64,
) ([]types.Dealer, error) {
	able := b.dealing.able()
	candidates := make([]candidate, len(able))
	for i, m := range able {
		candidates[i] = candidate{pubKey: m.PubKey}
	}
	lot := binary.BigEndian.AppendUint64(nil, b.keygen.Id)
	lot = binary.BigEndian.AppendUint64(lot, attempt)
	var dealers []types.Dealer
	for _, c := range byHash(lot, candidates) {
		if len(dealers) == int(b.dealing.threshold) {
			break
		}
		key := collections.Join(b.keygen.Id, []byte(types.SignerAddress(c.pubKey)))
		join, err := k.Joins.Get(ctx, key)
		if errors.Is(err, collections.ErrNotFound) || err == nil && join.Attempt != attempt {
			continue
		}
		if err != nil {
			return nil, err
		}
		dealers = append(dealers, types.Dealer{PubKey: c.pubKey, Join: join})
	}
	slices.SortFunc(dealers, func(a, b types.Dealer) int {
		return bytes.Compare(a.PubKey, b.PubKey)
	})
	return dealers, nil
}

// reshared is the key of the vault that is being reshared, nil when none is.
func (k Keeper) reshared(ctx context.Context) ([]byte, error) {
	id, err := k.OpenChurn.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	churn, err := k.Churns.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	keygen, err := k.Keygens.Get(ctx, churn.KeygenIds[0])
	if err != nil || keygen.Reshare == nil {
		return nil, err
	}
	return keygen.Reshare.Vault, nil
}

// completeReshare begins the next epoch of a vault. Its present one has its grace from now on.
func (k Keeper) completeReshare(
	ctx context.Context, params types.Params, churn types.Churn, c closing,
) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	vault, err := k.vault(ctx, c.Vault)
	if err != nil {
		return err
	}
	former := vault.Epoch
	if former != c.Reshare.Epoch || !vault.IsLive() {
		return types.ErrInvalidResult.Wrapf("reshare %d is not of the vault's present epoch", c.Id)
	}
	if err := k.endEpoch(ctx, vault); err != nil {
		return err
	}
	vault.Former = append(
		vault.Former, types.FormerEpoch{Epoch: former, Threshold: vault.Threshold},
	)
	if err := k.countOutside(ctx, vault, vault.Former, c.Members); err != nil {
		return err
	}
	vault.EpochHeight = sdkCtx.BlockHeight()
	vault.GraceUntil = vault.EpochHeight + int64(params.EpochGrace)
	counts, err := k.activate(ctx, params, c, &vault)
	if err != nil {
		return err
	}
	if err := k.setLiveEpoch(ctx, c.Vault, vault.Epoch, former); err != nil {
		return err
	}
	event := &types.EventEpochActive{
		Vault: types.VaultName(c.Vault), Epoch: vault.Epoch, Former: former,
		Published: counts.published, Threshold: vault.Threshold, Proven: counts.proven,
		Margin: vault.Margin(),
	}
	if params.EpochGrace != 0 {
		event.GraceUntil = vault.GraceUntil
	}
	if err := sdkCtx.EventManager().EmitTypedEvent(event); err != nil {
		return err
	}
	if params.EpochGrace == 0 {
		if vault, err = k.endGrace(ctx, c.Vault, vault); err != nil {
			return err
		}
	}
	if err := k.endChurn(ctx, params, churn, types.ChurnStatus_CHURN_STATUS_COMPLETE); err != nil {
		return err
	}
	return k.runHooks(
		ctx,
		"AfterEpochActive",
		func(ctx context.Context, h types.TssbackupHooks) error {
			return h.AfterEpochActive(ctx, c.Vault, vault)
		},
	)
}

// endEpoch has the keygen of a vault's present epoch keep what the vault's record will say of the
// next one. What is due of the epoch alone is over.
func (k Keeper) endEpoch(ctx context.Context, vault types.Vault) error {
	keygen, err := k.Keygens.Get(ctx, vault.Epoch)
	if err != nil {
		return err
	}
	keygen.Members = vault.Members
	keygen.Ended = &types.EndedEpoch{
		Height:     sdk.UnwrapSDKContext(ctx).BlockHeight(),
		SharesHash: vault.SharesHash,
		Group:      vault.Group,
	}
	if err := k.setKeygen(ctx, keygen, keygen.Status); err != nil {
		return err
	}
	if err := k.removeCeremony(ctx, vault.Epoch, vault.Members); err != nil {
		return err
	}
	return k.forgetHeartbeats(ctx, vault)
}

// endGraces ends the graces that have lasted for as long as they do.
func (k Keeper) endGraces(ctx context.Context) error {
	live, err := k.live(ctx)
	if err != nil {
		return err
	}
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	for _, v := range live.Vaults {
		if v.GraceEpoch == 0 {
			continue
		}
		vault, err := k.Vaults.Get(ctx, v.PubKey)
		if err != nil {
			return err
		}
		if height < vault.GraceUntil {
			continue
		}
		if _, err := k.endGrace(ctx, v.PubKey, vault); err != nil {
			return err
		}
	}
	return nil
}

// endGrace has nothing of the latest former epoch of a vault count any more. Its proofs are kept
// for as long as those of a retired vault.
func (k Keeper) endGrace(
	ctx context.Context, pubKey []byte, vault types.Vault,
) (types.Vault, error) {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	epoch := vault.Former[len(vault.Former)-1].Epoch
	keygen, err := k.Keygens.Get(ctx, epoch)
	if err != nil {
		return vault, err
	}
	keygen.Ended.GraceHeight = sdkCtx.BlockHeight()
	vault.GraceUntil = 0
	if err := errors.Join(
		k.setKeygen(ctx, keygen, keygen.Status),
		k.Vaults.Set(ctx, pubKey, vault),
		k.indexRetirement(ctx, keygen.Ended.GraceHeight, epoch, pubKey),
		k.expireProofs(ctx, pubKey, epoch),
		k.setLiveEpoch(ctx, pubKey, vault.Epoch, 0),
	); err != nil {
		return vault, err
	}
	return vault, sdkCtx.EventManager().EmitTypedEvent(
		&types.EventGraceOver{Vault: types.VaultName(pubKey), Epoch: epoch},
	)
}

// setLiveEpoch writes a vault's epochs into the item with all that are not retired.
func (k Keeper) setLiveEpoch(ctx context.Context, pubKey []byte, epoch, grace uint64) error {
	live, err := k.live(ctx)
	if err != nil {
		return err
	}
	for i, v := range live.Vaults {
		if bytes.Equal(v.PubKey, pubKey) {
			live.Vaults[i].Epoch, live.Vaults[i].GraceEpoch = epoch, grace
		}
	}
	return k.LiveVaults.Set(ctx, live)
}
