package tssbackup

import (
	"bytes"
	"crypto/sha256"
	"path/filepath"
	"strings"
	"testing"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	"cosmossdk.io/core/address"
	"cosmossdk.io/log/v2"
	"github.com/cosmos/cosmos-sdk/codec"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

type accounts struct{ types.AccountKeeper }

func (accounts) AddressCodec() address.Codec { return addresscodec.NewBech32Codec("cosmos") }

func TestAuthority(t *testing.T) {
	bech := func(addr sdk.AccAddress) string {
		s, err := accounts{}.AddressCodec().BytesToString(addr)
		require.NoError(t, err)
		return s
	}
	someone := bech([]byte("twenty bytes of name"))
	for config, want := range map[string]string{
		"":      bech(authtypes.NewModuleAddress("gov")),
		"group": bech(authtypes.NewModuleAddress("group")),
		someone: someone,
	} {
		got, err := authorityOf(config, accounts{})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// node is the module as a node runs it, over an empty state.
type node struct {
	AppModule
	ctx sdk.Context
	log bytes.Buffer
}

func newNode(t *testing.T, a *archive.Archive) *node {
	key := storetypes.NewKVStoreKey(types.StoreKey)
	ctx := testutil.DefaultContextWithKeys(map[string]*storetypes.KVStoreKey{types.StoreKey: key}, nil, nil)
	k, err := keeper.NewKeeper(codec.NewProtoCodec(codectypes.NewInterfaceRegistry()),
		runtime.NewKVStoreService(key), accounts{}, nil, sdk.AccAddress("authority").String())
	require.NoError(t, err)
	n := &node{AppModule: NewAppModule(k, a)}
	n.ctx = ctx.WithLogger(log.NewLogger(&n.log))
	require.NoError(t, k.InitGenesis(n.ctx, types.GenesisState{Params: types.DefaultParams()}))
	return n
}

// block executes a block whose transactions published these envelopes.
func (n *node) block(height int64, envelopes ...string) error {
	n.ctx = n.ctx.WithBlockHeight(height)
	for _, e := range envelopes {
		sum := sha256.Sum256([]byte(e))
		if err := n.keeper.Staged.Set(n.ctx, sum[:], []byte(e)); err != nil {
			return err
		}
	}
	return n.EndBlock(n.ctx)
}

func TestANodeThatLosesEnvelopesStops(t *testing.T) {
	a, err := archive.Open(filepath.Join(t.TempDir(), "archive"))
	require.NoError(t, err)
	defer a.Hold()()
	n := newNode(t, a)
	precommit := func() { require.NoError(t, n.Precommit(n.ctx)) }

	require.NoError(t, n.block(1, "one"))
	precommit()
	require.NoError(t, n.block(2, "proposed first"))
	require.NoError(t, n.block(2, "decided"), "a block may be executed more than once")
	precommit()
	require.NoError(t, n.block(3))
	precommit()
	require.Empty(t, n.log.String())

	// Precommit runs no more.
	require.NoError(t, n.block(4))
	require.NoError(t, n.block(5))
	require.NoError(t, n.block(6))
	require.Equal(t, 1, strings.Count(n.log.String(), "will lose envelopes"), "it is said once, before there is anything to lose")
	require.NoError(t, n.block(7, "lost"))
	for range 2 {
		err = n.block(8)
		require.ErrorContains(t, err, "block 7 was committed and its envelopes (1) are not in the archive")
		require.ErrorContains(t, err, "Precommiters: []string{tssbackuptypes.ModuleName}")
	}
}

func TestANodeWithoutAHomeSaysSoOnce(t *testing.T) {
	n := newNode(t, nil)
	for height := range int64(3) {
		require.NoError(t, n.block(height+1, "lost"))
		require.NoError(t, n.Precommit(n.ctx))
		staged, err := n.keeper.StagedEnvelopes(n.ctx)
		require.NoError(t, err)
		require.Empty(t, staged)
	}
	require.Equal(t, 1, strings.Count(n.log.String(), "no archive"))
	require.Contains(t, n.log.String(), "name no home")
}

func TestCommandsNameWhatExists(t *testing.T) {
	options := AppModule{}.AutoCLIOptions()
	for _, service := range []*autocliv1.ServiceCommandDescriptor{options.Query, options.Tx} {
		d, err := proto.HybridResolver.FindDescriptorByName(protoreflect.FullName(service.Service))
		require.NoError(t, err)
		methods := d.(protoreflect.ServiceDescriptor).Methods()
		require.Len(t, service.RpcCommandOptions, methods.Len(), "every method has its command")
		for _, o := range service.RpcCommandOptions {
			m := methods.ByName(protoreflect.Name(o.RpcMethod))
			require.NotNil(t, m, o.RpcMethod)
			for _, arg := range o.PositionalArgs {
				require.NotNil(t, m.Input().Fields().ByName(protoreflect.Name(arg.ProtoField)), arg.ProtoField)
			}
		}
	}
}

func TestDefaultGenesisIsValid(t *testing.T) {
	cdc := codec.NewProtoCodec(codectypes.NewInterfaceRegistry())
	m := AppModule{}
	require.NoError(t, m.ValidateGenesis(cdc, nil, m.DefaultGenesis(cdc)))
	require.Error(t, m.ValidateGenesis(cdc, nil, []byte(`{"params":{}}`)))
	require.Error(t, m.ValidateGenesis(cdc, nil, []byte(`[]`)))
}
