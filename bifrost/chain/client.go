package chain

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	"github.com/cosmos/gogoproto/proto"
)

// DefaultTimeout is the deadline of one request, reading the answer included.
const DefaultTimeout = 30 * time.Second

// Client asks one node. It is safe for concurrent use, keeps no connection that must be closed, and
// never retries by itself.
type Client struct {
	name string
	rpc  *rpchttp.HTTP
}

// New returns a client for a CometBFT RPC address such as http://HOST:26657 (the schemes are http,
// https and tcp). It does not connect yet. A timeout of 0 means [DefaultTimeout].
func New(address string, timeout time.Duration) (*Client, error) {
	return newClient(address, timeout, maxAnswer)
}

func newClient(address string, timeout time.Duration, limit int64) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil {
		// The parser's error repeats the address, which may hold a password.
		return nil, errors.New("node address is not a URL")
	}
	switch u.Scheme {
	case "http", "https", "tcp":
	default:
		return nil, fmt.Errorf(
			"node address %q must start with http://, https:// or tcp://",
			u.Redacted(),
		)
	}
	if u.Host == "" {
		return nil, fmt.Errorf("node address %q names no host", u.Redacted())
	}
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	rpc, err := rpchttp.NewWithClient(address, "/websocket", newHTTPClient(timeout, limit))
	if err != nil {
		return nil, fmt.Errorf("node address %q: %w", u.Redacted(), err)
	}
	// One name for one address, so that a node is seen to be given twice.
	named := *u
	if named.Scheme == "tcp" {
		named.Scheme = "http"
	}
	named.Path = strings.TrimSuffix(named.Path, "/")
	return &Client{name: named.Redacted(), rpc: rpc}, nil
}

// Name is the node's address without a password, for messages and to tell nodes apart: tcp:// is
// http://, and a slash at the end is left out.
func (c *Client) Name() string { return c.name }

// Status is what a node says about itself.
type Status struct {
	ChainID string
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
		return Status{}, classify(ctx, err)
	}
	return Status{
		ChainID:    printable(res.NodeInfo.Network),
		Height:     res.SyncInfo.LatestBlockHeight,
		Hash:       res.SyncInfo.LatestBlockHash,
		Time:       res.SyncInfo.LatestBlockTime,
		Earliest:   res.SyncInfo.EarliestBlockHeight,
		CatchingUp: res.SyncInfo.CatchingUp,
	}, nil
}

// query asks the application for a gRPC method through ABCI.
func (c *Client) query(ctx context.Context, method string, req, res proto.Message) error {
	data, err := proto.Marshal(req)
	if err != nil {
		return err
	}
	value, err := c.abciQuery(ctx, method, data)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(value, res); err != nil {
		return fmt.Errorf("%w: malformed answer to %s: %w", ErrUnreachable, method, err)
	}
	return nil
}

func (c *Client) abciQuery(ctx context.Context, method string, data []byte) ([]byte, error) {
	res, err := c.rpc.ABCIQuery(ctx, method, data)
	if err != nil {
		return nil, classify(ctx, err)
	}
	if !res.Response.IsOK() {
		return nil, refused(res.Response.Codespace, res.Response.Code, res.Response.Log)
	}
	return res.Response.Value, nil
}
