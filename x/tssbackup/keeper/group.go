package keeper

import (
	"context"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// A group part is what the keyshares of all members of a split keygen have in common. The vote that
// brings the certificate carries it, and it stands in state from then on, so that others name it by
// its hash. A known hash never disappears while the keygen is open: the group part goes with the
// proofs alone.

// gasPerParameters is what the check of a member's parameters costs before it is done. It takes
// about 1 ms; see gasPerProof for how much gas that is.
const gasPerParameters = 25_000

// checkGrouped checks whether a vote for a result has a group part as its keygen demands. It costs
// a few comparisons, and says nothing about what a group part holds.
func checkGrouped(msg *types.MsgTssPool, b ballot) error {
	carries, names := len(msg.Group) != 0, len(msg.GroupHash) != 0
	switch members := len(b.keygen.Members); {
	case !b.keygen.Split:
		if carries || names {
			return types.ErrInvalidGroup.Wrapf("keygen %d is not split", b.keygen.Id)
		}
		return nil
	case msg.PublicShares != nil:
		return types.ErrInvalidShares.Wrap("those of a split keygen are in its group part")
	case carries == names:
		return types.ErrInvalidGroup.Wrap("a vote for a result carries the group part, or names it")
	case carries:
		if len(msg.Group) != members*sanity.GroupMemberBytes {
			return types.ErrInvalidGroup.Wrapf("it has %d bytes, not %d for each of %d members",
				len(msg.Group), sanity.GroupMemberBytes, members)
		}
		return nil
	case len(msg.GroupHash) != types.HashSize:
		return types.ErrInvalidGroup.Wrapf("a group hash has %d bytes", types.HashSize)
	case len(msg.Certificate) != 0:
		return types.ErrInvalidGroup.Wrap("a vote that names it comes without a certificate")
	case b.certificate == nil:
		return types.ErrGroupUnknown.Wrapf("keygen %d has none yet", b.keygen.Id)
	case string(b.certificate.Result.SharesHash) != string(msg.GroupHash):
		return types.ErrGroupUnknown.Wrapf("keygen %d has another", b.keygen.Id)
	}
	return nil
}

// groupHash is the hash of the group part that a vote carries, which is charged before, or that it
// names, and the group part as state keeps it.
func (k Keeper) groupHash(
	ctx context.Context, msg *types.MsgTssPool, members []types.Member, result types.Result,
) ([]byte, []sanity.GroupMember, error) {
	if len(msg.Group) == 0 {
		return msg.GroupHash, nil, nil
	}
	kib := (uint64(len(msg.Group)) + 1023) / 1024
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(kib*gasPerEnvelopeKiB, "hash of the group part")
	entries, err := sanity.ParseGroup(msg.Group, len(members))
	if err != nil {
		return nil, nil, types.ErrInvalidGroup.Wrap(err.Error())
	}
	hash, err := types.GroupHash(
		result.PubKey, result.PubKeyEd25519, members, sanity.GroupPoints(entries),
	)
	if err != nil {
		return nil, nil, types.ErrInvalidGroup.Wrap(err.Error())
	}
	return hash, entries, nil
}

// keepGroup checks the group part of a result that has just been certified, and writes it down:
// its points, which must be those of the vault's keys, and then each member's parameters, which
// take longer. All members have signed for its hash.
func (k Keeper) keepGroup(
	ctx context.Context, group []byte, entries []sanity.GroupMember,
	keygen types.Keygen, result types.Result,
) error {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	record := types.NewGroup(group, entries, sdkCtx.BlockHeight())
	shares, err := record.PublicShares(keygen.Id, keygen.Members)
	if err != nil {
		return types.ErrInvalidGroup.Wrap(err.Error())
	}
	if err := k.checkPublicShares(ctx, keygen, result, shares); err != nil {
		return err
	}
	sdkCtx.GasMeter().ConsumeGas(gasPerParameters*uint64(len(entries)), "parameters")
	for i, e := range entries {
		if err := sanity.CheckParameters(e.ReadParameters()); err != nil {
			return types.ErrInvalidGroup.Wrapf("member %d: %s", i+1, err)
		}
	}
	key := collections.Join(keygen.Id, result.SharesHash)
	if err := k.Groups.Set(ctx, key, record); err != nil {
		return err
	}
	return k.GroupParameters.Set(ctx, key, types.GroupParameters(entries))
}

// publicShares are those of all members of a vault. The error wraps collections.ErrNotFound when
// state keeps none.
func (k Keeper) publicShares(ctx context.Context, vault types.Vault) (types.PublicShares, error) {
	key := collections.Join(vault.Epoch, vault.SharesHash)
	if !vault.Split {
		return k.PublicShares.Get(ctx, key)
	}
	group, err := k.Groups.Get(ctx, key)
	if err != nil {
		return types.PublicShares{}, err
	}
	return group.PublicShares(vault.Epoch, vault.Members)
}

// groupShares are a member's public shares in the group part of a result.
func (k Keeper) groupShares(
	ctx context.Context, epoch uint64, hash []byte, members []types.Member, member []byte,
) ([]verenc.PublicShare, error) {
	group, err := k.Groups.Get(ctx, collections.Join(epoch, hash))
	if err != nil {
		return nil, err
	}
	return group.Of(members, member)
}
