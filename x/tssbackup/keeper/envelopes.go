package keeper

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"cosmossdk.io/collections"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Envelopes is where a node finds the envelopes that state knows by their commitments: its archive.
type Envelopes interface {
	// Envelope returns the bytes with this commitment, or an error that wraps ErrNotArchived or
	// ErrArchiveDamaged.
	Envelope(c types.Commitment) ([]byte, error)
}

// Kept names an envelope that every node keeps in its archive. No node keeps one that the members
// of its epoch hold.
type Kept struct {
	// Vault is the vault's compressed secp256k1 key; that of a vote's result while the vault is
	// still to become active.
	Vault []byte
	// Member is the raw account address of who published the envelope.
	Member     []byte
	Commitment types.Commitment
}

// stage puts an accepted envelope where the end of the block finds it. A transaction that fails
// stages nothing. The store charges nothing for it: the gas for the form of an envelope is all that
// an envelope costs, and does not depend on what the store takes for a byte that it never keeps.
func (k Keeper) stage(ctx context.Context, sha256, envelope []byte) error {
	free := sdk.UnwrapSDKContext(ctx).WithGasMeter(storetypes.NewInfiniteGasMeter())
	return k.Staged.Set(free, sha256, envelope)
}

// StagedEnvelopes are the envelopes that were published in this block and that EndBlocker has not
// taken, in the order of their hashes.
func (k Keeper) StagedEnvelopes(ctx context.Context) ([][]byte, error) {
	iter, err := k.Staged.Iterate(ctx, nil)
	if err != nil {
		return nil, err
	}
	return iter.Values()
}

// takeStaged takes the staged envelopes out of the state. A key that was set and removed in one
// block never reaches the tree, so the state is the same as if nothing had been staged.
func (k Keeper) takeStaged(ctx context.Context) ([][]byte, error) {
	iter, err := k.Staged.Iterate(ctx, nil)
	if err != nil {
		return nil, err
	}
	staged, err := iter.KeyValues()
	if err != nil {
		return nil, err
	}
	envelopes := make([][]byte, len(staged))
	for i, kv := range staged {
		if err := k.Staged.Remove(ctx, kv.Key); err != nil {
			return nil, err
		}
		envelopes[i] = kv.Value
	}
	return envelopes, nil
}

// Kept are the envelopes that a restore may ask for, in the order of the store's keys: the votes of
// the open churn, then the backups of all vaults that are not retired, those of an epoch in grace
// before those of the present one, and the latest before the first.
func (k Keeper) Kept(ctx context.Context) ([]Kept, error) {
	kept, err := k.keptVotes(ctx)
	if err != nil {
		return nil, err
	}
	live, err := k.live(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range live.Vaults {
		if v.GraceEpoch != 0 {
			former := types.LiveVault{PubKey: v.PubKey, Epoch: v.GraceEpoch}
			if kept, err = k.appendBackups(ctx, kept, former); err != nil {
				return nil, err
			}
		}
		if kept, err = k.appendBackups(ctx, kept, v); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// KeptRetired are the envelopes of the vaults that were retired after this height, and of the
// former epochs whose grace was over then, in the order of these heights. It reads no other vault.
func (k Keeper) KeptRetired(ctx context.Context, height int64) ([]Kept, error) {
	type retirement = collections.Pair[uint64, uint64]
	first := collections.Join(uint64(max(height+1, 0)), uint64(0))
	later := new(collections.Range[retirement]).StartInclusive(first)
	var retired []types.LiveVault
	err := k.Retirements.Walk(ctx, later, func(key retirement, pubKey []byte) (bool, error) {
		retired = append(retired, types.LiveVault{PubKey: pubKey, Epoch: key.K2()})
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	var kept []Kept
	for _, v := range retired {
		if kept, err = k.appendBackups(ctx, kept, v); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

func (k Keeper) keptVotes(ctx context.Context) ([]Kept, error) {
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
	var kept []Kept
	for _, id := range slices.Sorted(slices.Values(churn.KeygenIds)) {
		votes, err := k.votesOf(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, v := range votes {
			if v.Commitment != nil && !v.Commitment.IsHeld() {
				kept = append(
					kept,
					Kept{Vault: v.Result.PubKey, Member: v.member, Commitment: *v.Commitment},
				)
			}
		}
	}
	return kept, nil
}

func (k Keeper) appendBackups(ctx context.Context, kept []Kept, v types.LiveVault) ([]Kept, error) {
	of := collections.NewPrefixedPairRange[uint64, []byte](v.Epoch)
	err := k.Backups.Walk(
		ctx,
		of,
		func(key collections.Pair[uint64, []byte], backup types.Backup) (bool, error) {
			for _, c := range backup.Commitments() {
				if !c.IsHeld() {
					kept = append(kept, Kept{Vault: v.PubKey, Member: key.K2(), Commitment: c})
				}
			}
			return false, nil
		},
	)
	return kept, err
}

// backup is what state knows of the envelopes of a member of a vault. The error wraps
// ErrVaultNotFound or collections.ErrNotFound.
func (k Keeper) backup(
	ctx context.Context, pubKey []byte, epoch uint64, member []byte,
) (vault types.Vault, backup types.Backup, err error) {
	if vault, err = k.vaultIn(ctx, pubKey, epoch); err != nil {
		return vault, backup, err
	}
	backup, err = k.Backups.Get(ctx, collections.Join(vault.Epoch, member))
	return vault, backup, err
}

// commitmentOf finds the commitment with this hash, in hex, among those to the envelopes of a
// member of a vault; the latest when the hash is empty.
func (k Keeper) commitmentOf(
	ctx context.Context,
	pubKey []byte,
	epoch uint64,
	member []byte,
	hash string,
) (types.Commitment, error) {
	_, backup, err := k.backup(ctx, pubKey, epoch, member)
	if err != nil {
		return types.Commitment{}, err
	}
	commitments := backup.Commitments()
	if hash == "" {
		return commitments[0], nil
	}
	want, err := hex.DecodeString(hash)
	if err != nil {
		return types.Commitment{}, invalid(errors.New("sha256 is not hex"))
	}
	for _, c := range commitments {
		if bytes.Equal(want, c.Sha256) {
			return c, nil
		}
	}
	return types.Commitment{}, types.ErrNotArchived.Wrap(
		"state has no such commitment of this member",
	)
}
