package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/bifrost/vault"
)

// ErrNotRunning means that no bifrost answers in a home.
var ErrNotRunning = errors.New("no bifrost runs in this home")

// statusTimeout is how long a bifrost may take to say how it goes.
const statusTimeout = 10 * time.Second

// Control speaks to the bifrost that runs in a home.
type Control struct {
	socket string
	http   http.Client
}

// NewControl returns a client; it does not connect yet.
func NewControl(dir string) *Control {
	socket := home.SocketPath(dir)
	return &Control{socket: socket, http: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return home.DialSocket(ctx, dir)
		},
	}}}
}

// Status asks how it goes.
func (c *Control) Status(ctx context.Context) (*Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var st Status
	return &st, c.do(ctx, http.MethodGet, "/v1/status", nil, &st)
}

// Sign joins the signing of a text. It returns when all signers have signed.
func (c *Control) Sign(ctx context.Context, req SignRequest) (*SignResult, error) {
	var res SignResult
	return &res, c.do(ctx, http.MethodPost, "/v1/sign", req, &res)
}

// Promote has a fenced bifrost claim the term after the expected one. It returns when it acts.
func (c *Control) Promote(ctx context.Context, expect uint64) (*term.Status, error) {
	var st term.Status
	err := c.do(ctx, http.MethodPost, "/v1/promote", PromoteRequest{expect}, &st)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("the claim is not in a block yet, and may still come into one: bifrost status "+
			"says who has the term, and whether the chain goes on: %w", err)
	}
	return &st, err
}

// Keyshares asks what is on the disk of the vault with this record.
func (c *Control) Keyshares(ctx context.Context, v vault.Vault) (care.Held, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var held care.Held
	err := c.do(ctx, http.MethodPost, "/v1/keyshares", v, &held)
	return held, err
}

func (c *Control) do(ctx context.Context, method, path string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://bifrost"+path, &body)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return fmt.Errorf("%w: %s: %w", ErrNotRunning, c.socket, op.Err)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("a bifrost runs in this home, and has not answered at %s in time: %w",
				c.socket, context.DeadlineExceeded)
		}
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		var said struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(data, &said) != nil || said.Error == "" {
			return fmt.Errorf("bifrost answers %s", res.Status)
		}
		return errors.New(said.Error)
	}
	return json.Unmarshal(data, out)
}
