package app

import (
	"context"
	"encoding/json"
	"errors"

	"cosmossdk.io/math"
	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/slashing"
	slashingkeeper "github.com/cosmos/cosmos-sdk/x/slashing/keeper"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingkeeper "github.com/cosmos/cosmos-sdk/x/staking/keeper"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// signedBlocksWindow is in how many blocks a validator has to sign half, as on the Cosmos Hub:
// x/slashing's default of 100 would jail who is away for some minutes.
const signedBlocksWindow = 10_000

// slashingBasic is the slashing module with the chain's own default genesis.
type slashingBasic struct{ slashing.AppModuleBasic }

// DefaultGenesis implements module.HasGenesisBasics.
func (slashingBasic) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	genesis := slashingtypes.DefaultGenesisState()
	genesis.Params.SignedBlocksWindow = signedBlocksWindow
	return cdc.MustMarshalJSON(genesis)
}

// jailer makes a heartbeat that does not come cost something: who lets an interval pass is jailed
// by x/slashing, for as long as who is down. It is in no vault that is made then, and unjails
// itself. If it still sends no heartbeat, the next interval jails it again.
type jailer struct {
	staking  *stakingkeeper.Keeper
	slashing slashingkeeper.Keeper
}

var _ types.TssbackupHooks = jailer{}

// AfterHeartbeatMissed jails the member's validator, if it is bonded. It never does if a third of
// the power or more would be jailed then, for whatever reason: what keeps many from sending at the
// same time must not halt the chain.
func (j jailer) AfterHeartbeatMissed(
	ctx context.Context, member types.HookMember, epoch, missed uint64,
) error {
	validator, err := j.staking.GetValidator(ctx, member.Operator)
	if errors.Is(err, stakingtypes.ErrNoValidatorFound) {
		return nil // it has left since
	}
	if err != nil || validator.Jailed || !validator.IsBonded() {
		return err
	}
	jailed, all, err := j.power(ctx)
	if err != nil {
		return err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	logger := sdkCtx.Logger().With("operator", member.Operator.String(), "epoch", epoch, "missed", missed)
	if jailed.Add(validator.Tokens).MulRaw(3).GTE(all) {
		logger.Error("not jailed for a missed heartbeat: with it a third of the power would be")
		return nil
	}
	address, err := validator.GetConsAddr()
	if err != nil {
		return err
	}
	params, err := j.slashing.GetParams(ctx)
	if err != nil {
		return err
	}
	until := sdkCtx.BlockTime().Add(params.DowntimeJailDuration)
	if err := j.slashing.JailUntil(ctx, address, until); err != nil {
		return err
	}
	logger.Info("jailed for a missed heartbeat", "until", until)
	return j.slashing.Jail(ctx, address)
}

// power is how many tokens the jailed validators have, and how many they and the bonded ones have
// together. It reads those that were ever bonded: others have no power to lose.
func (j jailer) power(ctx context.Context) (jailed, all math.Int, err error) {
	jailed = math.ZeroInt()
	if all, err = j.staking.TotalValidatorPower(ctx); err != nil {
		return jailed, all, err
	}
	var failed error
	err = j.slashing.IterateValidatorSigningInfos(ctx,
		func(address sdk.ConsAddress, _ slashingtypes.ValidatorSigningInfo) bool {
			validator, err := j.staking.GetValidatorByConsAddr(ctx, address)
			switch {
			case errors.Is(err, stakingtypes.ErrNoValidatorFound):
				return false
			case err != nil:
				failed = err
				return true
			case validator.Jailed:
				jailed = jailed.Add(validator.Tokens)
				if !validator.IsBonded() { // jailed in an earlier block
					all = all.Add(validator.Tokens)
				}
			}
			return false
		})
	return jailed, all, errors.Join(err, failed)
}

// AfterVaultActive implements types.TssbackupHooks.
func (jailer) AfterVaultActive(context.Context, []byte, types.Vault) error { return nil }

// AfterEpochActive implements types.TssbackupHooks.
func (jailer) AfterEpochActive(context.Context, []byte, types.Vault) error { return nil }

// AfterVaultRetired implements types.TssbackupHooks.
func (jailer) AfterVaultRetired(context.Context, []byte, types.Vault) error { return nil }

// AfterKeygenFailed implements types.TssbackupHooks: who is at fault sits out, and that is enough.
func (jailer) AfterKeygenFailed(
	context.Context, uint64, []types.HookMember, []types.HookMember,
) error {
	return nil
}
