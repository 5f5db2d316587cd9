package ante_test

import (
	sdk "github.com/cosmos/cosmos-sdk/types"
	authante "github.com/cosmos/cosmos-sdk/x/auth/ante"

	"github.com/tssbackup/tssbackup/x/tssbackup/ante"
)

// An app with the SDK's default chain. One with a chain of its own has the two decorators where
// docs/embedding.md says.
func ExampleNewAnteHandler() {
	wire := func(options authante.HandlerOptions, keeper ante.Keeper) (sdk.AnteHandler, error) {
		return ante.NewAnteHandler(ante.HandlerOptions{HandlerOptions: options, Keeper: keeper})
	}
	_ = wire
}
