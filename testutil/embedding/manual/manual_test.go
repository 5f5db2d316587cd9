package manual_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/client/flags"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/embedding/manual"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const chainID = "manual-1"

var (
	// admin may upgrade the chain, and is the module's authority.
	admin = network.Addresses{Prefix: manual.Prefix, HDPath: manual.HDPath}.NewAccount("admin")
	funds = sdk.NewCoins(sdk.NewInt64Coin(manual.Denom, 1_000_000))
)

// chain is this chain for the kit. A node runs the version that is said when it starts.
func chain(version *manual.Version) network.Chain {
	return network.Chain{
		New: func(
			logger log.Logger, db dbm.DB, options servertypes.AppOptions, base ...func(*baseapp.BaseApp),
		) (network.App, error) {
			home := options.Get(flags.FlagHome).(string)
			return manual.New(logger, db, home, admin.Address(), *version, base...)
		},
		Addresses: network.Addresses{
			Prefix: manual.Prefix, OperatorPrefix: manual.OperatorPrefix, HDPath: manual.HDPath,
		},
		Denom: manual.Denom,
		Fee: func(gas uint64) sdk.Coins {
			return sdk.NewCoins(sdk.NewInt64Coin(manual.Denom, int64(gas/manual.GasPerUnit)))
		},
		Genesis:   genesis,
		Authority: admin,
	}
}

// genesis has the validators in the chain's own set.
func genesis(a network.App, validators []*network.Validator) map[string]json.RawMessage {
	var (
		nodes    []manual.Node
		accounts []authtypes.GenesisAccount
		bank     = banktypes.DefaultGenesisState()
		state    = a.DefaultGenesis()
	)
	add := func(account network.Account) {
		accounts = append(accounts, authtypes.NewBaseAccount(account.Address(), nil, 0, 0))
		bank.Balances = append(bank.Balances, banktypes.Balance{Address: account.Bech32(), Coins: funds})
	}
	add(admin)
	for _, v := range validators {
		add(v.Operator)
		operator := sdk.ValAddress(v.Operator.Address())
		nodes = append(nodes, manual.Node{Operator: operator, PubKey: v.ConsensusKey().Bytes(), Power: 1})
	}
	auth := authtypes.NewGenesisState(authtypes.DefaultParams(), accounts)
	state[authtypes.ModuleName] = a.AppCodec().MustMarshalJSON(auth)
	state[banktypes.ModuleName] = a.AppCodec().MustMarshalJSON(bank)
	var err error
	if state[manual.NodesName], err = json.Marshal(nodes); err != nil {
		panic(err)
	}
	return state
}

// running is a network of this chain, and the app of its first validator.
type running struct {
	*network.Network
	t       *testing.T
	version manual.Version
}

// newChain starts a network whose blocks nothing bounds.
func newChain(t *testing.T, version manual.Version, cfg network.Config) *running {
	r := &running{t: t, version: version}
	cfg.ChainID, cfg.Chain, cfg.TimeoutCommit = chainID, chain(&r.version), 50*time.Millisecond
	cfg.Consensus = func(params *cmttypes.ConsensusParams) { params.Block.MaxGas = -1 }
	r.Network = network.New(t, cfg)
	return r
}

func (r *running) app() *manual.App { return r.Validators[0].App().(*manual.App) }

// ctx reads the last state.
func (r *running) ctx() sdk.Context {
	r.t.Helper()
	ctx, err := r.app().At(r.app().LastBlockHeight())
	require.NoError(r.t, err)
	return ctx
}

// plan has the admin plan the upgrade, for which the version before stops.
func (r *running) plan() upgradetypes.Plan {
	r.t.Helper()
	require.EqualValues(r.t, -1, r.maxGas())
	plan := upgradetypes.Plan{Name: manual.UpgradeName, Height: r.app().LastBlockHeight() + 20}
	r.Govern(&upgradetypes.MsgSoftwareUpgrade{Authority: r.Authority(), Plan: plan})
	for _, v := range r.Validators {
		r.Wait(func() bool {
			_, err := os.Stat(info(v))
			return err == nil
		}, "%s to stop for the upgrade", v)
		require.Equal(r.t, plan.Height-1, v.App().LastBlockHeight())
	}
	r.StopAll()
	return plan
}

// info is where a node that stopped says for which upgrade.
func info(v *network.Validator) string {
	return filepath.Join(v.Home, "data", upgradetypes.UpgradeInfoFilename)
}

// upgrade has the version with the module go on where the one before stops.
func (r *running) upgrade() {
	r.t.Helper()
	plan := r.plan()
	r.version.Embeds = true
	for i := range r.Validators {
		r.Start(i)
	}
	r.WaitHeight(plan.Height + 1)
}

func (r *running) maxGas() int64 {
	r.t.Helper()
	params, err := r.app().ConsensusKeeper.ParamsStore.Get(r.ctx())
	require.NoError(r.t, err)
	return params.Block.MaxGas
}

func TestARunningChainEmbedsTheModuleAndChurns(t *testing.T) {
	r := newChain(t, manual.Version{}, network.Config{})
	r.upgrade()
	require.EqualValues(t, manual.MaxBlockGas, r.maxGas())
	params, err := r.app().TssbackupKeeper.Params.Get(r.ctx())
	require.NoError(t, err)
	require.Equal(t, types.DefaultParams(), params)
	versions, err := r.app().UpgradeKeeper.GetModuleVersionMap(r.ctx())
	require.NoError(t, err)
	require.EqualValues(t, 4, versions[types.ModuleName])

	// The chain's own market takes a fee for what is not exempt.
	operator := r.Validators[1].Operator
	cheap := &banktypes.MsgSend{FromAddress: operator.Bech32(), ToAddress: admin.Bech32(), Amount: funds[:1]}
	res := r.Broadcast(r.Sign(operator, network.TxOptions{Gas: 200_000}, cheap))
	require.Equal(t, sdkerrors.ErrInsufficientFee.ABCICode(), res.Code, res.Log)

	// Envelopes of the lowest work factor are quick to make.
	params.MinWorkFactor = network.MinWorkFactor
	r.Govern(&types.MsgUpdateParams{Authority: r.Authority(), Params: params})
	r.RegisterSigners()
	require.Contains(t, r.Validators[0].OperatorAddress(), "thorv1")
	// The chain begins the churn itself.
	backups := r.Publish(r.WaitChurn(types.ChurnStatus_CHURN_STATUS_OPEN))
	require.Equal(t, backups.Vault.PubKey(), r.app().Active(), "the hook was told")
	live, err := r.app().TssbackupKeeper.Vaults.Get(r.ctx(), backups.Vault.PubKey())
	require.NoError(t, err)
	require.Equal(t, types.VaultStatus_VAULT_STATUS_ACTIVE, live.Status)
	for _, v := range r.Validators {
		balances := r.app().BankKeeper.GetAllBalances(r.ctx(), v.Signer.Address())
		require.Empty(t, balances, "who has nothing voted")
		kept, err := v.App().ArchiveNode().Kept()
		require.NoError(t, err)
		require.Len(t, kept, len(r.Validators))
		store, err := v.App().ArchiveNode().Archive()
		require.NoError(t, err)
		require.Empty(t, store.Verify(kept), "%s serves every backup", v)
	}

	// It goes on after a restart.
	r.Stop(0)
	r.Start(0)
	r.WaitBlocks(2)
	faults, err := r.app().ArchiveNode().Repair(context.Background())
	require.NoError(t, err)
	require.Empty(t, faults)
}

func TestAForgottenStoreStopsTheNewVersion(t *testing.T) {
	r := newChain(t, manual.Version{}, network.Config{Validators: 1})
	r.plan()
	require.NoError(t, os.Remove(info(r.Validators[0])))
	r.version.Embeds = true
	require.ErrorContains(t, r.TryStart(0), types.StoreKey)
}

func TestAChainThatBeginsWithTheModuleChurns(t *testing.T) {
	version := manual.Version{Embeds: true}
	n := network.New(t, network.Config{ChainID: chainID, Chain: chain(&version)})
	n.RegisterSigners()
	backups := n.Publish(n.WaitChurn(types.ChurnStatus_CHURN_STATUS_OPEN))

	kept, err := n.FirstRunning().App().ArchiveNode().Kept()
	require.NoError(t, err)
	require.Len(t, kept, len(backups.Envelopes))
}
