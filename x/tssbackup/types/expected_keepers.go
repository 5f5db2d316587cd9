package types

import (
	"context"
	"errors"

	"cosmossdk.io/core/address"
	sdk "github.com/cosmos/cosmos-sdk/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
)

// StakingKeeper is what the module asks of the chain: who the validators are. NewStakingKeeper
// makes one of the keeper of x/staking; a chain with a validator set of its own implements it.
type StakingKeeper interface {
	// ValidatorAddressCodec writes and reads the addresses of operators.
	ValidatorAddressCodec() address.Codec
	// HasValidator reports whether the operator has a validator, bonded or not: such an operator
	// may register a signer.
	HasValidator(ctx context.Context, operator sdk.ValAddress) (bool, error)
	// BondedOperators are the operators of the validators that take part in consensus, each once:
	// those of them that have a signer are the members of a churn. The module orders them itself.
	BondedOperators(ctx context.Context) ([]sdk.ValAddress, error)
}

// XStaking is what the keeper of x/staking has for a StakingKeeper.
type XStaking interface {
	ValidatorAddressCodec() address.Codec
	Validator(ctx context.Context, operator sdk.ValAddress) (stakingtypes.ValidatorI, error)
	IterateBondedValidatorsByPower(
		ctx context.Context,
		fn func(index int64, validator stakingtypes.ValidatorI) (stop bool),
	) error
}

// NewStakingKeeper returns the StakingKeeper of a chain whose validators are those of x/staking.
func NewStakingKeeper(keeper XStaking) StakingKeeper { return xStaking{keeper} }

type xStaking struct{ XStaking }

func (s xStaking) HasValidator(ctx context.Context, operator sdk.ValAddress) (bool, error) {
	_, err := s.Validator(ctx, operator)
	if errors.Is(err, stakingtypes.ErrNoValidatorFound) {
		return false, nil
	}
	return err == nil, err
}

func (s xStaking) BondedOperators(ctx context.Context) ([]sdk.ValAddress, error) {
	var (
		operators []sdk.ValAddress
		failed    error
	)
	err := s.IterateBondedValidatorsByPower(ctx,
		func(_ int64, v stakingtypes.ValidatorI) (stop bool) {
			var operator sdk.ValAddress
			operator, failed = s.ValidatorAddressCodec().StringToBytes(v.GetOperator())
			operators = append(operators, operator)
			return failed != nil
		})
	return operators, errors.Join(err, failed)
}

// AccountKeeper is what the module asks of x/auth: to make the accounts of signers.
type AccountKeeper interface {
	AddressCodec() address.Codec
	GetAccount(ctx context.Context, addr sdk.AccAddress) sdk.AccountI
	NewAccountWithAddress(ctx context.Context, addr sdk.AccAddress) sdk.AccountI
	SetAccount(ctx context.Context, acc sdk.AccountI)
}
