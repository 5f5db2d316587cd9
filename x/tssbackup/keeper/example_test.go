package keeper_test

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
)

// A chain whose churn is the change of its validator set opens the churn with the operators of the
// next set, where it decides on them.
func ExampleKeeper_StartChurn() {
	next := func(ctx context.Context, k *keeper.Keeper, operators []sdk.ValAddress) ([]uint64, error) {
		churn, err := k.StartChurn(ctx, operators...)
		return churn.KeygenIds, err
	}
	_ = next
}
