package manual

import (
	"context"
	"encoding/json"
	"fmt"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	"cosmossdk.io/core/appmodule"
	"cosmossdk.io/core/store"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	gwruntime "github.com/grpc-ecosystem/grpc-gateway/runtime"

	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// NodesName is the name of the module that has the chain's validators.
const NodesName = "nodes"

// Node is a validator of the genesis.
type Node struct {
	Operator sdk.ValAddress `json:"operator"`
	// PubKey is the ed25519 key of consensus.
	PubKey []byte `json:"pub_key"`
	Power  int64  `json:"power"`
}

// Nodes are the chain's own set of validators, which has nothing of x/staking.
type Nodes struct {
	operators collections.KeySet[[]byte]
	codec     address.Codec
}

var _ types.StakingKeeper = Nodes{}

func newNodes(storeService store.KVStoreService, codec address.Codec) Nodes {
	sb := collections.NewSchemaBuilder(storeService)
	set := collections.NewKeySet(sb, collections.NewPrefix(1), "operators", collections.BytesKey)
	return Nodes{operators: set, codec: codec}
}

// ValidatorAddressCodec is that of addresses such as thorv1….
func (n Nodes) ValidatorAddressCodec() address.Codec { return n.codec }

// HasValidator reports whether the operator has a node.
func (n Nodes) HasValidator(ctx context.Context, operator sdk.ValAddress) (bool, error) {
	return n.operators.Has(ctx, operator)
}

// BondedOperators are the operators of all nodes, each once.
func (n Nodes) BondedOperators(ctx context.Context) (operators []sdk.ValAddress, err error) {
	err = n.operators.Walk(ctx, nil, func(operator []byte) (stop bool, err error) {
		operators = append(operators, operator)
		return false, nil
	})
	return operators, err
}

// nodesModule gives consensus the validators of the genesis, and begins a churn as soon as all of
// them have a signer: the chain knows when.
type nodesModule struct {
	Nodes
	// vaults is nil in the version of the chain that does not embed the module.
	vaults *keeper.Keeper
}

var (
	_ module.AppModuleBasic   = nodesModule{}
	_ module.HasABCIGenesis   = nodesModule{}
	_ appmodule.HasEndBlocker = nodesModule{}
)

func (nodesModule) IsAppModule()             {}
func (nodesModule) IsOnePerModuleType()      {}
func (nodesModule) Name() string             { return NodesName }
func (nodesModule) ConsensusVersion() uint64 { return 1 }

func (nodesModule) RegisterLegacyAminoCodec(*codec.LegacyAmino) {}

func (nodesModule) RegisterInterfaces(codectypes.InterfaceRegistry) {}

func (nodesModule) RegisterGRPCGatewayRoutes(client.Context, *gwruntime.ServeMux) {}

func (nodesModule) DefaultGenesis(codec.JSONCodec) json.RawMessage { return []byte("[]") }

func (nodesModule) ValidateGenesis(
	_ codec.JSONCodec,
	_ client.TxEncodingConfig,
	bz json.RawMessage,
) error {
	var nodes []Node
	return json.Unmarshal(bz, &nodes)
}

func (m nodesModule) InitGenesis(
	ctx sdk.Context,
	_ codec.JSONCodec,
	bz json.RawMessage,
) []abci.ValidatorUpdate {
	var nodes []Node
	if err := json.Unmarshal(bz, &nodes); err != nil {
		panic(err)
	}
	updates := make([]abci.ValidatorUpdate, len(nodes))
	for i, n := range nodes {
		if err := m.operators.Set(ctx, n.Operator); err != nil {
			panic(err)
		}
		updates[i] = abci.Ed25519ValidatorUpdate(n.PubKey, n.Power)
	}
	return updates
}

func (nodesModule) ExportGenesis(sdk.Context, codec.JSONCodec) json.RawMessage {
	panic("this chain exports nothing")
}

// EndBlock begins the first churn, among all operators.
func (m nodesModule) EndBlock(ctx context.Context) error {
	if m.vaults == nil {
		return nil
	}
	begun, err := m.vaults.Churns.Has(ctx, 1)
	if err != nil || begun {
		return err
	}
	operators, err := m.BondedOperators(ctx)
	if err != nil {
		return err
	}
	for _, operator := range operators {
		if has, err := m.vaults.Signers.Has(ctx, operator); err != nil || !has {
			return err
		}
	}
	if _, err := m.vaults.StartChurn(ctx, operators...); err != nil {
		return fmt.Errorf("begin the first churn: %w", err)
	}
	return nil
}
