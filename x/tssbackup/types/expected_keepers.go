package types

import (
	"context"

	"cosmossdk.io/core/address"
	sdk "github.com/cosmos/cosmos-sdk/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
)

// StakingKeeper is what the module asks of x/staking: who the validators are.
type StakingKeeper interface {
	ValidatorAddressCodec() address.Codec
	// Validator returns an error when there is no such validator.
	Validator(ctx context.Context, operator sdk.ValAddress) (stakingtypes.ValidatorI, error)
	IterateBondedValidatorsByPower(
		ctx context.Context,
		fn func(index int64, validator stakingtypes.ValidatorI) (stop bool),
	) error
}

// AccountKeeper is what the module asks of x/auth: to make the accounts of signers.
type AccountKeeper interface {
	AddressCodec() address.Codec
	GetAccount(ctx context.Context, addr sdk.AccAddress) sdk.AccountI
	NewAccountWithAddress(ctx context.Context, addr sdk.AccAddress) sdk.AccountI
	SetAccount(ctx context.Context, acc sdk.AccountI)
}
