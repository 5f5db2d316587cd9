package chain

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/types/query"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func newNode(t *testing.T) (*fakenode.Node, *Client) {
	node, url := fakenode.New(t)
	client, err := New(url, 0)
	require.NoError(t, err)
	return node, new(waits).of(client)
}

func TestNew(t *testing.T) {
	const local = "http://127.0.0.1:26657"
	for name, tc := range map[string]struct{ address, err, is string }{
		"http":                          {local, "", local},
		"tcp, as CometBFT writes it":    {"tcp://127.0.0.1:26657", "", local},
		"a slash at the end":            {local + "/", "", local},
		"a path behind a proxy":         {"https://example.com/rpc", "", "https://example.com/rpc"},
		"a space at either end":         {" " + local + "\n", "", local},
		"a key in the query":            {local + "/?apikey=hunter2&x", "", local + "?apikey=xxxxx&xxxxx"},
		"a user and a password":         {"http://me:hunter2@example.com", "", "http://me:xxxxx@example.com"},
		"a token in place of a user":    {"https://hunter2@example.com", "", "https://xxxxx@example.com"},
		"host and port alone":           {"127.0.0.1:26657", `"127.0.0.1:26657" must start with http://`, ""},
		"an IPv6 address and a port":    {"[::1]:26657", "must start with http://", ""},
		"a password without a scheme":   {"me:hunter2@example.com:26657", `"me:xxxxx@example.com:26657" must start`, ""},
		"a query without a scheme":      {"example.com:26657/?apikey=hunter2", "must start with", ""},
		"a part that no server gets":    {local + "/#rpc", "after #", ""},
		"a host name and port alone":    {"localhost:26657", "must start with", ""},
		"another scheme":                {"ftp://127.0.0.1", "must start with", ""},
		"no host":                       {"http://", "names no host", ""},
		"nothing":                       {"", "must start with", ""},
		"a password is never repeated":  {"ftp://me:hunter2@example.com", "me:xxxxx@", ""},
		"nor is it from what is no URL": {"http://me:hunter2@exa mple.com", "not a URL", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := New(tc.address, 0)
			if tc.err == "" {
				require.NoError(t, err)
				require.Equal(t, tc.is, c.Name())
				return
			}
			require.ErrorContains(t, err, tc.err)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestStatus(t *testing.T) {
	node, c := newNode(t)
	node.CatchingUp, node.Earliest = true, 7
	status, err := c.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "fake-1", status.ChainID)
	require.EqualValues(t, 100, status.Height)
	require.EqualValues(t, 7, status.Earliest)
	require.True(t, status.CatchingUp)
	require.Equal(t, node.Start.Add(100*time.Millisecond), status.Time)
}

func TestQueries(t *testing.T) {
	p := newScene(t, 3)
	node, c := p.Node, clients(t, p.url)[0]
	ctx := t.Context()
	other := p.members[1].Address

	vaults, err := c.Vaults(ctx, p.member)
	require.NoError(t, err)
	require.Equal(t, []vault.Vault{p.vault(t, 0), p.vault(t, 1)}, vaults, "the same as is verified")
	stranger, err := bech32.ConvertAndEncode("cosmos", make([]byte, 20))
	require.NoError(t, err)
	vaults, err = c.Vaults(ctx, stranger)
	require.NoError(t, err)
	require.Empty(t, vaults)

	v, err := c.Vault(ctx, vaultName(3))
	require.NoError(t, err)
	require.Equal(t, p.vault(t, 2), v)
	_, err = c.Vault(ctx, vaultName(4))
	require.ErrorIs(t, err, ErrNotFound)

	commitments, err := c.Backup(ctx, vaultName(1), p.member)
	require.NoError(t, err)
	require.Len(t, commitments, 2)
	require.EqualValues(t, 6, commitments[0].Height)
	require.EqualValues(t, 5, commitments[1].Height)
	commitments, err = c.Backup(ctx, vaultName(1), other)
	require.NoError(t, err)
	require.Empty(t, commitments)

	coverage, err := c.Coverage(ctx, "")
	require.NoError(t, err)
	require.Len(t, coverage, 2)
	require.EqualValues(t, 1, coverage[0].Published)

	node.Vaults[0].PubKeyEd25519 = "ab"
	_, err = c.Vault(ctx, vaultName(1))
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, `malformed answer: the ed25519 key "ab" is not 32 bytes in hex`)
}

func TestQueriesOfTheSigner(t *testing.T) {
	node, c := newNode(t)
	ctx := t.Context()
	node.Answers["/tssbackup.v1.Query/Params"] = func(data []byte) abci.ResponseQuery {
		return fakenode.Answer(data, &types.QueryParamsRequest{}, func(*types.QueryParamsRequest) (*types.QueryParamsResponse, bool) {
			return &types.QueryParamsResponse{Params: types.Params{MinWorkFactor: 18}}, true
		})
	}
	node.Answers["/tssbackup.v1.Query/Signer"] = func(data []byte) abci.ResponseQuery {
		return fakenode.Answer(data, &types.QuerySignerRequest{}, func(r *types.QuerySignerRequest) (*types.QuerySignerResponse, bool) {
			return &types.QuerySignerResponse{Signer: types.SignerInfo{Address: r.Address}}, r.Address == "cosmos1a"
		})
	}
	node.Answers["/tssbackup.v1.Query/Keygen"] = func(data []byte) abci.ResponseQuery {
		res := fakenode.Answer(data, &types.QueryKeygenRequest{}, func(r *types.QueryKeygenRequest) (*types.QueryKeygenResponse, bool) {
			return &types.QueryKeygenResponse{Keygen: types.KeygenInfo{Id: r.Id}}, r.Id == 7
		})
		res.Height = 41
		return res
	}
	node.Answers["/tssbackup.v1.Query/Churns"] = func(data []byte) abci.ResponseQuery {
		return fakenode.Answer(data, &types.QueryChurnsRequest{}, func(r *types.QueryChurnsRequest) (*types.QueryChurnsResponse, bool) {
			return &types.QueryChurnsResponse{Churns: []types.Churn{{Id: 9}}}, r.Pagination.Reverse && r.Pagination.Limit == 1
		})
	}

	params, err := c.Params(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 18, params.MinWorkFactor)
	signer, err := c.Signer(ctx, "cosmos1a")
	require.NoError(t, err)
	require.Equal(t, "cosmos1a", signer.Address)
	_, err = c.Signer(ctx, "cosmos1b")
	require.ErrorIs(t, err, ErrNotFound)
	keygen, err := c.Keygen(ctx, 7)
	require.NoError(t, err)
	require.EqualValues(t, 7, keygen.Id)
	require.EqualValues(t, 41, keygen.AsOf)
	churns, err := c.Churns(ctx, 1)
	require.NoError(t, err)
	require.EqualValues(t, 9, churns[0].Id)
}

func TestAListIsReadToItsEnd(t *testing.T) {
	node, c := newNode(t)
	endless := false
	node.Answers["/tssbackup.v1.Query/Keygens"] = func(data []byte) abci.ResponseQuery {
		return fakenode.Answer(data, &types.QueryKeygensRequest{}, func(r *types.QueryKeygensRequest) (*types.QueryKeygensResponse, bool) {
			require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_OPEN, r.Status)
			res := &types.QueryKeygensResponse{Keygens: []types.KeygenInfo{{Id: uint64(len(r.Pagination.Key))}}}
			if len(r.Pagination.Key) < 2 || endless {
				res.Pagination = &query.PageResponse{NextKey: append(r.Pagination.Key, 1)}
			}
			return res, true
		})
	}
	keygens, err := c.OpenKeygens(t.Context())
	require.NoError(t, err)
	require.Len(t, keygens, 3)
	for i, k := range keygens {
		require.EqualValues(t, i, k.Id)
	}

	endless = true
	_, err = c.OpenKeygens(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, "does not end")

	node.Answers["/tssbackup.v1.Query/Keygens"] = func([]byte) abci.ResponseQuery {
		value, err := proto.Marshal(&types.QueryKeygensResponse{Keygens: make([]types.KeygenInfo, pageSize+1)})
		require.NoError(t, err)
		return abci.ResponseQuery{Value: value}
	}
	_, err = c.OpenKeygens(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, "101 items")
}

func TestAccount(t *testing.T) {
	account := func(number, sequence uint64) []byte {
		info := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "cosmos1a")
		info = protowire.AppendBytes(protowire.AppendTag(info, 2, protowire.BytesType), []byte("any public key"))
		info = protowire.AppendVarint(protowire.AppendTag(info, 3, protowire.VarintType), number)
		info = protowire.AppendVarint(protowire.AppendTag(info, 4, protowire.VarintType), sequence)
		return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), info)
	}
	whole := account(12, 300)
	for name, tc := range map[string]struct {
		answer           abci.ResponseQuery
		number, sequence uint64
		err              error
	}{
		"an account":                     {answer: abci.ResponseQuery{Value: whole}, number: 12, sequence: 300},
		"one that has never sent":        {answer: abci.ResponseQuery{Value: account(3, 0)}, number: 3},
		"no such account":                {answer: abci.ResponseQuery{Codespace: "sdk", Code: 22, Log: "key not found"}, err: ErrNotFound},
		"an empty answer":                {err: ErrUnreachable},
		"an answer that is cut short":    {answer: abci.ResponseQuery{Value: whole[:len(whole)-1]}, err: ErrUnreachable},
		"an answer of another structure": {answer: abci.ResponseQuery{Value: []byte("nonsense")}, err: ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			node, c := newNode(t)
			node.Answers["/cosmos.auth.v1beta1.Query/AccountInfo"] = func(data []byte) abci.ResponseQuery {
				require.Equal(t, "\n\bcosmos1a", string(data))
				return tc.answer
			}
			number, sequence, err := c.Account(t.Context(), "cosmos1a")
			require.ErrorIs(t, err, tc.err)
			require.Equal(t, tc.number, number)
			require.Equal(t, tc.sequence, sequence)
		})
	}
}

func TestParseAccountInfoOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, _, _ = parseAccountInfo(rapid.SliceOf(rapid.Byte()).Draw(t, "answer"))
	})
}

func TestBroadcast(t *testing.T) {
	checked := func(codespace string, code uint32) func([]byte) (*ctypes.ResultBroadcastTx, error) {
		return func([]byte) (*ctypes.ResultBroadcastTx, error) {
			return &ctypes.ResultBroadcastTx{Codespace: codespace, Code: code, Log: "why\n\x1b[31mnot"}, nil
		}
	}
	failing := func(text string) func([]byte) (*ctypes.ResultBroadcastTx, error) {
		return func([]byte) (*ctypes.ResultBroadcastTx, error) { return nil, errors.New(text) }
	}
	kinds := []error{sdkerrors.ErrWrongSequence, sdkerrors.ErrTxInMempoolCache, ErrUnreachable, ErrNotFound, ErrNoBlock}
	for name, tc := range map[string]struct {
		answer  func([]byte) (*ctypes.ResultBroadcastTx, error)
		kind    error
		refused *RefusedError
	}{
		"accepted":                     {},
		"another sequence":             {answer: checked("sdk", 32), kind: sdkerrors.ErrWrongSequence, refused: &RefusedError{"sdk", 32, "why [31mnot"}},
		"in the application's mempool": {answer: checked("sdk", 19), kind: sdkerrors.ErrTxInMempoolCache, refused: &RefusedError{"sdk", 19, "why [31mnot"}},
		"refused by the module":        {answer: checked("tssbackup", 32), refused: &RefusedError{"tssbackup", 32, "why [31mnot"}},
		"in the node's mempool":        {answer: failing("tx already exists in cache"), kind: sdkerrors.ErrTxInMempoolCache},
		"the mempool is full":          {answer: failing("mempool is full: number of txs 5000 (max: 5000)"), kind: ErrUnreachable},
		"the node catches up":          {answer: failing("endpoint is closed while node is catching up"), kind: ErrUnreachable},
		"too large for the network":    {answer: failing("Tx too large. Max size is 1, but got 2"), refused: &RefusedError{"", 0, "Internal error: Tx too large. Max size is 1, but got 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			node, c := newNode(t)
			node.Broadcast = tc.answer
			err := c.Broadcast(t.Context(), []byte("tx"))
			for _, kind := range kinds {
				require.Equal(t, kind == tc.kind, errors.Is(err, kind), "%v: %v", kind, err)
			}
			var refused *RefusedError
			if errors.As(err, &refused) {
				require.Equal(t, tc.refused, refused)
			} else {
				require.Nil(t, tc.refused)
			}
			require.Equal(t, tc.kind == nil && tc.refused == nil, err == nil)
		})
	}
}

func TestTx(t *testing.T) {
	node, c := newNode(t)
	node.Txs["0102"] = ctypes.ResultTx{Height: 9}
	node.Txs["0103"] = ctypes.ResultTx{Height: 10, TxResult: abci.ExecTxResult{Code: 5, Codespace: "tssbackup", Log: "late"}}

	res, err := c.Tx(t.Context(), []byte{1, 2})
	require.NoError(t, err)
	require.Equal(t, TxResult{Height: 9}, res)

	res, err = c.Tx(t.Context(), []byte{1, 3})
	require.NoError(t, err)
	require.EqualValues(t, 10, res.Height)
	require.Equal(t, &RefusedError{"tssbackup", 5, "late"}, res.Err)

	_, err = c.Tx(t.Context(), []byte{1, 4})
	require.ErrorIs(t, err, ErrNotFound)
}

func TestBlocks(t *testing.T) {
	node, c := newNode(t)
	node.Earliest = 50
	node.Blocks[60] = [][]byte{[]byte("one"), []byte("two")}

	txs, err := c.BlockTxs(t.Context(), 60)
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("one"), []byte("two")}, txs)
	_, err = c.BlockTxs(t.Context(), 49)
	require.ErrorIs(t, err, ErrNoBlock)
	require.ErrorContains(t, err, "lowest height is 50")
	_, err = c.BlockTxs(t.Context(), 101)
	require.ErrorIs(t, err, ErrNoBlock)
}

// What an endpoint may do instead of answering.
func TestAnEndpointThatIsNoNode(t *testing.T) {
	const limit = 1 << 20
	// A server notices that the client has gone once it has read the request.
	hang := func(r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	for name, tc := range map[string]struct {
		serve http.HandlerFunc
		err   string
	}{
		"sends 100 MB and says so": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000000")
			_, _ = io.CopyN(w, zeros{}, 100_000_000)
		}, "larger than the limit: 100000000 bytes, at most 1048576"},
		"sends 100 MB in chunks": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.CopyN(w, zeros{}, 100_000_000)
		}, "larger than the limit"},
		"never answers": {func(_ http.ResponseWriter, r *http.Request) {
			hang(r)
		}, "no answer in time"},
		"begins an answer and never ends it": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("{"))
			w.(http.Flusher).Flush()
			hang(r)
		}, "reading the response body: no answer in time"},
		"is a proxy without a node behind it": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
		}, "502 Bad Gateway"},
		"is a web site": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<html>\x1b[31m"))
		}, "it does not answer as a CometBFT RPC (the server answers 200 OK with text/html)"},
		"sends around in a circle": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
		}, "too many redirects"},
		"answers another request": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":77,"result":{}}`))
		}, "does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.serve)
			defer server.Close()
			c, err := newClient(server.URL, time.Second, limit)
			require.NoError(t, err)
			new(waits).of(c)
			_, err = c.Status(t.Context())
			require.ErrorIs(t, err, ErrUnreachable)
			require.ErrorContains(t, err, tc.err)
			require.NotContains(t, err.Error(), "\x1b")
		})
	}
	t.Run("is not there", func(t *testing.T) {
		server := httptest.NewServer(nil)
		server.Close()
		c, err := New(server.URL, 0)
		require.NoError(t, err)
		_, err = c.Status(t.Context())
		require.ErrorIs(t, err, ErrUnreachable)
	})
	t.Run("the default limit holds too", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.CopyN(w, zeros{}, 100_000_000)
		}))
		defer server.Close()
		c, err := New(server.URL, 0)
		require.NoError(t, err)
		_, err = c.BlockTxs(t.Context(), 1)
		require.ErrorIs(t, err, ErrUnreachable)
		require.ErrorContains(t, err, "larger than the limit")
	})
}

func TestCancelledIsNotUnreachable(t *testing.T) {
	_, c := newNode(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Status(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrUnreachable)
}

func TestALongRefusalIsShortened(t *testing.T) {
	node, c := newNode(t)
	node.Answers["/tssbackup.v1.Query/Params"] = func([]byte) abci.ResponseQuery {
		return abci.ResponseQuery{Codespace: "sdk", Code: 6, Log: string(bytes.Repeat([]byte("é"), 100_000))}
	}
	_, err := c.Params(t.Context())
	require.NotErrorIs(t, err, ErrNotFound)
	require.Less(t, len(err.Error()), 1000)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
