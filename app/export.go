package app

import (
	"encoding/json"
	"errors"
	"fmt"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/cosmos/cosmos-sdk/x/staking"
)

// ErrForZeroHeight is returned for an export that is to start again at height zero. Vaults, votes
// and commitments are bound to heights, and an envelope is found in the block of its recorded
// height, so an export that forgets them would be of no use.
var ErrForZeroHeight = errors.New(
	"export for height zero is not supported: backups are found by the height they were published at",
)

// ExportAppStateAndValidators writes the state that the app has loaded as the genesis of a chain
// that goes on at the next height. With modules, only theirs is written.
func (app *App) ExportAppStateAndValidators(
	forZeroHeight bool,
	modules []string,
) (servertypes.ExportedApp, error) {
	if forZeroHeight {
		return servertypes.ExportedApp{}, ErrForZeroHeight
	}
	height := app.LastBlockHeight()
	ctx := app.NewContextLegacy(true, cmtproto.Header{Height: height})
	state, err := app.ModuleManager.ExportGenesisForModules(ctx, app.cdc, modules)
	if err != nil {
		return servertypes.ExportedApp{}, fmt.Errorf("export the modules: %w", err)
	}
	appState, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return servertypes.ExportedApp{}, fmt.Errorf("encode the state: %w", err)
	}
	validators, err := staking.WriteValidators(ctx, app.StakingKeeper)
	if err != nil {
		return servertypes.ExportedApp{}, fmt.Errorf("export the validators: %w", err)
	}
	return servertypes.ExportedApp{
		AppState:        appState,
		Validators:      validators,
		Height:          height + 1,
		ConsensusParams: app.GetConsensusParams(ctx),
	}, nil
}
