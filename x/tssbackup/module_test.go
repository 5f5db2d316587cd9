package tssbackup

import (
	"testing"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	"cosmossdk.io/core/address"
	"github.com/cosmos/cosmos-sdk/codec"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

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
