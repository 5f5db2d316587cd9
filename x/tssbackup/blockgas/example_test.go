package blockgas_test

import (
	"github.com/cosmos/cosmos-sdk/baseapp"

	"github.com/tssbackup/tssbackup/x/tssbackup/blockgas"
)

// An app without a ProcessProposal of its own, where it sets its handlers.
func Example() {
	wire := func(app *baseapp.BaseApp) {
		process := baseapp.NewDefaultProposalHandler(app.Mempool(), app).ProcessProposalHandler()
		app.SetProcessProposal(blockgas.NewProcessProposal(app.TxDecode, process))
	}
	_ = wire
}
