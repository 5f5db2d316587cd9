package types_test

import (
	"context"
	"errors"
	"testing"

	"cosmossdk.io/core/address"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	sdk "github.com/cosmos/cosmos-sdk/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// xstaking has validators by the address that is theirs, and an error that is not about them.
type xstaking struct {
	operators []string
	err       error
}

func (xstaking) ValidatorAddressCodec() address.Codec {
	return addresscodec.NewBech32Codec("cosmosvaloper")
}

func (s xstaking) Validator(_ context.Context, operator sdk.ValAddress) (stakingtypes.ValidatorI, error) {
	for _, text := range s.operators {
		if text == operator.String() {
			return stakingtypes.Validator{OperatorAddress: text}, nil
		}
	}
	return nil, errors.Join(s.err, stakingtypes.ErrNoValidatorFound)
}

func (s xstaking) IterateBondedValidatorsByPower(_ context.Context, fn func(int64, stakingtypes.ValidatorI) bool) error {
	for i, text := range s.operators {
		if fn(int64(i), stakingtypes.Validator{OperatorAddress: text}) {
			break
		}
	}
	return s.err
}

func TestTheValidatorsOfXStaking(t *testing.T) {
	ctx := context.Background()
	one, other := sdk.ValAddress("one.................."[:20]), sdk.ValAddress("other................"[:20])
	staking := types.NewStakingKeeper(xstaking{operators: []string{one.String(), other.String()}})
	operators, err := staking.BondedOperators(ctx)
	require.NoError(t, err)
	require.Equal(t, []sdk.ValAddress{one, other}, operators)
	has, err := staking.HasValidator(ctx, other)
	require.NoError(t, err)
	require.True(t, has)
	has, err = staking.HasValidator(ctx, sdk.ValAddress("nobody..............."[:20]))
	require.NoError(t, err, "that there is none is no error")
	require.False(t, has)

	_, err = types.NewStakingKeeper(xstaking{operators: []string{"no address", one.String()}}).BondedOperators(ctx)
	require.ErrorContains(t, err, "decoding bech32 failed")
	_, err = types.NewStakingKeeper(xstaking{err: errors.New("no store")}).BondedOperators(ctx)
	require.ErrorContains(t, err, "no store")
}
