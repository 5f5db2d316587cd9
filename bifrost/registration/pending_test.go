package registration

import (
	"errors"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/testutil/fakemember"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// registering is a transaction that registers a signer for an operator.
func registering(t *testing.T, operator string) []byte {
	packed, err := codectypes.NewAnyWithValue(&types.MsgRegisterSigner{Operator: operator})
	require.NoError(t, err)
	body, err := proto.Marshal(&tx.TxBody{Messages: []*codectypes.Any{packed}})
	require.NoError(t, err)
	raw, err := proto.Marshal(&tx.TxRaw{BodyBytes: body})
	require.NoError(t, err)
	return raw
}

func TestWhyARegistrationIsInNoBlock(t *testing.T) {
	const (
		validator = "/cosmos.staking.v1beta1.Query/Validator"
		balances  = "/cosmos.bank.v1beta1.Query/SpendableBalances"
	)
	none := func([]byte) abci.ResponseQuery {
		return abci.ResponseQuery{Codespace: sdkerrors.RootCodespace, Code: sdkerrors.ErrKeyNotFound.ABCICode()}
	}
	outcome := func(t *testing.T, operator string, code uint32, log string) func() (*ctypes.ResultTxSearch, error) {
		return func() (*ctypes.ResultTxSearch, error) {
			return &ctypes.ResultTxSearch{Txs: []*ctypes.ResultTx{{
				Height: 7, Tx: registering(t, operator), TxResult: abci.ExecTxResult{Code: code, Log: log},
			}}}, nil
		}
	}
	for _, row := range []struct {
		name   string
		change func(t *testing.T, n *fakenode.Node)
		late   time.Duration
		why    string
	}{
		{"nobody sent it", func(*testing.T, *fakenode.Node) {}, 0, "has seen no registration"},
		{"it waits for a block", func(t *testing.T, n *fakenode.Node) {
			n.Mempool = [][]byte{{1}, registering(t, fakemember.Operator)}
		}, 0, "waits for a block"},
		{"it waits for a block that does not come", func(t *testing.T, n *fakenode.Node) {
			n.Mempool = [][]byte{registering(t, fakemember.Operator)}
		}, time.Hour, "stands still"},
		{"another operator's waits", func(t *testing.T, n *fakenode.Node) {
			n.Mempool = [][]byte{registering(t, "cosmosvaloper1other")}
		}, 0, "has seen no registration"},
		{"it failed", func(t *testing.T, n *fakenode.Node) {
			n.Search = outcome(t, fakemember.Operator, 11, "out of gas in location: x")
		}, 0, "in block 7 failed with code 11: out of gas"},
		{"the same account's of another operator failed", func(t *testing.T, n *fakenode.Node) {
			n.Search = outcome(t, "cosmosvaloper1other", 11, "out of gas")
		}, 0, "has seen no registration"},
		{"the node has no index", func(_ *testing.T, n *fakenode.Node) {
			n.Search = func() (*ctypes.ResultTxSearch, error) { return nil, errors.New("transaction indexing is disabled") }
		}, 0, "has seen no registration"},
		{"there is no such validator", func(_ *testing.T, n *fakenode.Node) {
			n.Answers[validator] = none
		}, 0, "create it first"},
		{"the operator has nothing", func(_ *testing.T, n *fakenode.Node) {
			n.Answers[balances] = func([]byte) abci.ResponseQuery { return abci.ResponseQuery{} }
		}, 0, "nothing to pay"},
	} {
		t.Run(row.name, func(t *testing.T) {
			node, url := fakenode.New(t)
			node.Answers[validator] = func([]byte) abci.ResponseQuery { return abci.ResponseQuery{Value: []byte{}} }
			node.Answers[balances] = func([]byte) abci.ResponseQuery {
				return abci.ResponseQuery{Value: []byte{0x0a, 0}}
			}
			row.change(t, node)
			client, err := chain.New(url, 0)
			require.NoError(t, err)
			c := fakemember.Config()
			status, err := client.Status(t.Context())
			require.NoError(t, err)
			why := Pending(t.Context(), client, c, status.Time.Add(row.late))
			require.Contains(t, why, row.why)
		})
	}
}

func TestCommandIsForAShell(t *testing.T) {
	for text, want := range map[string]string{
		"http://10.0.0.1:26657":       "http://10.0.0.1:26657",
		"http://a/?apikey=xxxxx&b=xx": "'http://a/?apikey=xxxxx&b=xx'",
		"it's; rm -rf":                `'it'\''s; rm -rf'`,
	} {
		require.Equal(t, want, quoted(text))
	}
}

func TestPriceIsTheNodes(t *testing.T) {
	for _, row := range []struct{ name, answer, want string }{
		{"one price", "0.025uatom", " --gas-prices 0.025uatom"},
		{"one of several", "0.1a/b-c,2x", " --gas-prices 0.1a/b-c"},
		{"none", "", ""},
		{"what a shell would run", "1u;reboot", " --gas-prices 0.001stake"},
	} {
		t.Run(row.name, func(t *testing.T) {
			node, url := fakenode.New(t)
			node.Answers["/cosmos.base.node.v1beta1.Service/Config"] = func([]byte) abci.ResponseQuery {
				return abci.ResponseQuery{Value: append([]byte{0x0a, byte(len(row.answer))}, row.answer...)}
			}
			r := &Request{command: "x"}
			r.Command = r.priced(defaultGasPrice)
			c := fakemember.Config()
			c.Node = url
			Price(t.Context(), c, r)
			require.Equal(t, "x"+row.want, r.Command)
		})
	}
}
