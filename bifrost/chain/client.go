package chain

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	"github.com/cosmos/gogoproto/proto"
)

// DefaultTimeout is the deadline of one request, all attempts and their answers included.
const DefaultTimeout = 30 * time.Second

// Client asks one node. It is safe for concurrent use, and keeps no connection that must be closed.
// A fault that may pass is waited for within the deadline of the request, and so is a node that is
// a few blocks behind.
type Client struct {
	rpc       *rpchttp.HTTP
	transport *transport
	// noBatch tells that the node answers single questions and no batches.
	noBatch atomic.Bool
	// behind tells that blocks were waited for in vain.
	behind atomic.Bool
}

// New returns a client for a CometBFT RPC address such as http://HOST:26657 (the schemes are http,
// https and tcp). A user, a password and a query in it are sent with each request, and shown
// nowhere. It does not connect yet. The timeout is that of a request, however often it is tried; 0
// means [DefaultTimeout].
func New(address string, timeout time.Duration) (*Client, error) {
	return newClient(address, timeout, maxAnswer)
}

func newClient(text string, timeout time.Duration, limit int64) (*Client, error) {
	at, err := parseAddress(text)
	if err != nil {
		return nil, err
	}
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	t := newTransport(at, timeout, limit)
	rpc, err := rpchttp.NewWithClient(at.url.String(), "/websocket", &http.Client{Transport: t})
	if err != nil {
		return nil, fmt.Errorf("node address %q: %w", at.name, err)
	}
	return &Client{rpc: rpc, transport: t}, nil
}

// OnRetry has the client call pause, in place of [Pause], before it asks again: to tell of it and
// to wait. It is not to be called while the client asks.
func (c *Client) OnRetry(pause func(context.Context, Retry) error) { c.transport.pause = pause }

// Name is the node's address for messages, without what is secret in it: tcp:// is http://, and a
// slash at the end is left out.
func (c *Client) Name() string { return c.transport.name }

// Same reports whether two clients ask at one address. A node that has two is known by its
// [Status].
func (c *Client) Same(other *Client) bool {
	return c.transport.same(other.transport.address)
}

// Status is what a node says about itself.
type Status struct {
	ChainID string
	// ID is the node's, under whatever address it is asked; empty when it does not say.
	ID string
	// Height, Hash and Time are those of the latest block.
	Height int64
	Hash   []byte
	Time   time.Time
	// Earliest is the lowest block that the node still holds.
	Earliest int64
	// CatchingUp tells that the node is behind and its answers are old.
	CatchingUp bool
}

// Status returns the node's chain and how far it is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	res, err := c.rpc.Status(ctx)
	if err != nil {
		return Status{}, c.classify(ctx, err)
	}
	return Status{
		ChainID:    printable(res.NodeInfo.Network),
		ID:         printable(string(res.NodeInfo.DefaultNodeID)),
		Height:     res.SyncInfo.LatestBlockHeight,
		Hash:       res.SyncInfo.LatestBlockHash,
		Time:       res.SyncInfo.LatestBlockTime,
		Earliest:   res.SyncInfo.EarliestBlockHeight,
		CatchingUp: res.SyncInfo.CatchingUp,
	}, nil
}

// query asks the application for a gRPC method through ABCI.
func (c *Client) query(ctx context.Context, method string, req, res proto.Message) error {
	_, err := c.queryAsOf(ctx, method, req, res)
	return err
}

// queryAsOf is query, and tells after which block the answer was so.
func (c *Client) queryAsOf(
	ctx context.Context, method string, req, res proto.Message,
) (height int64, err error) {
	data, err := proto.Marshal(req)
	if err != nil {
		return 0, err
	}
	got, err := c.answer(ctx, method, data)
	if err != nil {
		return 0, err
	}
	if err := proto.Unmarshal(got.Value, res); err != nil {
		return 0, fmt.Errorf("%w: malformed answer to %s: %w", ErrUnreachable, method, err)
	}
	return got.Height, nil
}

func (c *Client) abciQuery(ctx context.Context, method string, data []byte) ([]byte, error) {
	got, err := c.answer(ctx, method, data)
	return got.Value, err
}

func (c *Client) answer(
	ctx context.Context, method string, data []byte,
) (abci.ResponseQuery, error) {
	res, err := c.rpc.ABCIQuery(ctx, method, data)
	if err != nil {
		return abci.ResponseQuery{}, c.classify(ctx, err)
	}
	if !res.Response.IsOK() {
		return abci.ResponseQuery{}, refused(
			res.Response.Codespace, res.Response.Code, res.Response.Log)
	}
	return res.Response, nil
}
