package manual_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"cosmossdk.io/core/appmodule"
	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/types/module"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/embedding/manual"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup"
	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func TestAForgottenNameStopsTheApp(t *testing.T) {
	for name, order := range map[string]func(*module.Manager){
		"genesis":            func(m *module.Manager) { m.SetOrderInitGenesis() },
		"migrations":         func(m *module.Manager) { m.SetOrderMigrations() },
		"the end of a block": func(m *module.Manager) { m.SetOrderEndBlockers() },
	} {
		t.Run(name, func(t *testing.T) {
			m := module.NewManagerFromMap(map[string]appmodule.AppModule{
				types.ModuleName: tssbackup.NewAppModule(nil, nil),
			})
			defer func() { require.Contains(t, recover(), "missing: [tssbackup]") }()
			order(m)
		})
	}
}

// maxGas bounds the blocks of an app without a node.
const maxGas = 1_000_000

// open builds an app without a node, of a version that embeds the module, and begins its chain.
func open(t *testing.T, forgets manual.Line) *manual.App {
	t.Helper()
	a, err := manual.New(log.NewNopLogger(), dbm.NewMemDB(), t.TempDir(), admin.Address(),
		manual.Version{Embeds: true, Forgets: forgets}, baseapp.SetChainID(chainID))
	require.NoError(t, err)
	state := genesis(a, nil)
	one := manual.Node{Operator: sdk.ValAddress(admin.Address()), PubKey: make([]byte, 32), Power: 1}
	state[manual.NodesName], err = json.Marshal([]manual.Node{one})
	require.NoError(t, err)
	raw, err := json.Marshal(state)
	require.NoError(t, err)
	consensus := cmttypes.DefaultConsensusParams()
	consensus.Block.MaxGas = maxGas
	params := consensus.ToProto()
	_, err = a.InitChain(&abci.RequestInitChain{
		ChainId: chainID, ConsensusParams: &params, InitialHeight: 1, AppStateBytes: raw,
	})
	require.NoError(t, err)
	return a
}

func TestAForgottenStoreKeyStopsAChainAtItsBeginning(t *testing.T) {
	require.NotPanics(t, func() { open(t, "") })
	require.Panics(t, func() { open(t, manual.StoreKey) })
}

// three are transactions of which each uses more than half of the gas of a block.
func three(t *testing.T, a *manual.App) (txs [][]byte) {
	t.Helper()
	for sequence := range uint64(3) {
		gas := uint64(maxGas * 4 / 5)
		send := &banktypes.MsgSend{FromAddress: admin.Bech32(), ToAddress: admin.Bech32(), Amount: funds}
		send.Amount = sdk.NewCoins(sdk.NewInt64Coin(manual.Denom, 1))
		tx := network.SignTx(t, a.TxConfig(), chainID,
			[]network.Signer{{Account: admin, Sequence: sequence}},
			network.TxOptions{
				Gas:  gas,
				Fee:  sdk.NewCoins(sdk.NewInt64Coin(manual.Denom, int64(gas/manual.GasPerUnit))),
				Memo: strings.Repeat("m", maxGas*6/10/10),
			}, send)
		raw, err := a.TxConfig().TxEncoder()(tx)
		require.NoError(t, err)
		txs = append(txs, raw)
	}
	return txs
}

func TestAForgottenHandlerVotesForABlockAboveItsGas(t *testing.T) {
	for forgets, want := range map[manual.Line]bool{"": false, manual.Proposals: true} {
		a := open(t, forgets)
		res, err := a.ProcessProposal(&abci.RequestProcessProposal{Height: 1, Txs: three(t, a)})
		require.NoError(t, err)
		require.Equal(t, want, res.IsAccepted(), "without %q", forgets)
	}
}

func TestAForgottenBlockGasMeterExecutesABlockAboveItsGas(t *testing.T) {
	for forgets, want := range map[manual.Line]uint32{
		"":                   sdkerrors.ErrOutOfGas.ABCICode(),
		manual.BlockGasMeter: abci.CodeTypeOK,
	} {
		a := open(t, forgets)
		res, err := a.FinalizeBlock(&abci.RequestFinalizeBlock{Height: 1, Txs: three(t, a)})
		require.NoError(t, err)
		require.Equal(t, abci.CodeTypeOK, res.TxResults[0].Code, res.TxResults[0].Log)
		require.Equal(t, want, res.TxResults[2].Code, "without %q: %s", forgets, res.TxResults[2].Log)
	}
}

// embedded starts a network of a version that embeds the module and forgets a line of it, up to the
// open churn that the chain begins itself.
func embedded(t *testing.T, forgets manual.Line, cfg network.Config) (*running, types.Churn) {
	t.Helper()
	if cfg.Validators == 0 {
		cfg.Validators = 3
	}
	r := newChain(t, manual.Version{Embeds: true, Forgets: forgets}, cfg)
	r.RegisterSigners()
	return r, r.WaitChurn(types.ChurnStatus_CHURN_STATUS_OPEN)
}

func TestAForgottenFeeDecoratorAsksMembersForMoney(t *testing.T) {
	r, churn := embedded(t, manual.FeeDecorator, network.Config{})
	ballot := network.Ballot{ChainID: chainID, KeygenID: churn.KeygenIds[0]}
	member := r.Validators[0].Signer
	res := r.Broadcast(r.Sign(member, network.TxOptions{Gas: 500_000}, ballot.Join(member)))
	require.Equal(t, sdkerrors.ErrInsufficientFee.ABCICode(), res.Code, res.Log)
}

func TestAForgottenVoteDecoratorTakesSpam(t *testing.T) {
	for _, forgets := range []manual.Line{"", manual.VoteDecorator} {
		r, churn := embedded(t, forgets, network.Config{})
		ballot := r.Ballot(churn.KeygenIds[0])
		member := r.Validators[0].Signer
		spam := ballot.Vote(network.NewVault("spam"), member, []byte("no envelope"))
		for range 10 {
			res := r.Broadcast(r.Sign(member, network.TxOptions{Gas: 1_000_000}, spam))
			if forgets == "" {
				require.Equal(t, types.ErrEnvelopeForm.ABCICode(), res.Code, res.Log)
				continue
			}
			require.Zero(t, res.Code, res.Log)
			r.WaitBlocks(2) // it failed in a block, for nothing
		}
	}
}

func TestForgottenHooksTellNobody(t *testing.T) {
	r, churn := embedded(t, manual.Hooks, network.Config{})
	r.Publish(churn)
	require.Nil(t, r.app().Active())
}

// TestAForgottenSnapshotterBringsNoEnvelopes has a node join by state sync.
func TestAForgottenSnapshotterBringsNoEnvelopes(t *testing.T) {
	made := network.Snapshots{}
	r, churn := embedded(t, manual.Snapshotter, made.Config(t.TempDir))
	backups := r.Publish(churn)
	joined := r.JoinByStateSync(made, r.app().LastBlockHeight())
	joined.RequirePruned(backups.Heights...)
	kept, err := joined.App().ArchiveNode().Kept()
	require.NoError(t, err)
	require.Len(t, kept, len(backups.Envelopes))
	store, err := joined.App().ArchiveNode().Archive()
	require.NoError(t, err)
	require.Len(t, store.Verify(kept), len(kept), "it serves none")

	faults, err := joined.App().ArchiveNode().Repair(context.Background(), archive.FromBlock(r.FirstRunning().Client()))
	require.NoError(t, err)
	require.Empty(t, faults, "a repair brings all")
}

// buffer is what nodes log.
type buffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

// says reports whether each of the nodes has logged it.
func (b *buffer) says(nodes int, what string) func() bool {
	return func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return bytes.Count(b.all.Bytes(), []byte(what)) >= nodes
	}
}

func TestAForgottenPrecommitStopsTheNodesAfterAnEnvelope(t *testing.T) {
	var logged buffer
	r, churn := embedded(t, manual.Precommit, network.Config{Logger: log.NewLogger(&logged, log.ColorOption(false))})
	ballot := r.Ballot(churn.KeygenIds[0])
	require.True(t, logged.says(3, "will lose envelopes")())
	member := r.Validators[0].Signer
	vote := ballot.Vote(network.NewVault("lost"), member, network.Seal(t, member, 100))
	gas, err := types.SignerGas(vote, len(ballot.Members))
	require.NoError(t, err)
	res := r.Broadcast(r.Sign(member, network.TxOptions{Gas: gas}, vote))
	require.Zero(t, res.Code, res.Log)
	r.Wait(logged.says(3, "its envelopes (1) are not in the archive"), "the nodes to stop")
}

func TestAForgottenUpgradeHandlerStopsTheNewVersion(t *testing.T) {
	r := newChain(t, manual.Version{}, network.Config{Validators: 1})
	r.plan()
	r.version = manual.Version{Embeds: true, Forgets: manual.UpgradeHandler}
	require.ErrorContains(t, r.TryStart(0), `UPGRADE "vaults" NEEDED`)
}
