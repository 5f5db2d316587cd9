// Package hostile is a node that lies: a proxy in front of an honest one, which passes everything
// on except for what a test has it change. So a lie is as close to the truth as the one who tells
// it wants.
package hostile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	rpctypes "github.com/cometbft/cometbft/rpc/jsonrpc/types"
)

// Call is a request of a client.
type Call struct {
	Method string
	Params map[string]json.RawMessage
}

// Path is what an abci_query asks for.
func (c Call) Path() string {
	var path string
	_ = json.Unmarshal(c.Params["path"], &path)
	return path
}

// Lie is what differs from an honest node; parts that are nil do not.
type Lie struct {
	// Ask changes a request before the honest node gets it.
	Ask func(c *Call)
	// Answer returns another result than the honest one.
	Answer func(c Call, result json.RawMessage) (json.RawMessage, error)
	// Serve takes over altogether when it returns true.
	Serve func(w http.ResponseWriter, r *http.Request) bool
}

// Proxy is the node.
type Proxy struct {
	// URL is its RPC address.
	URL string

	upstream string
	mu       sync.Mutex
	lie      Lie
}

// New returns a node in front of the honest one at this address, which tells the truth until Tell
// is called, and runs until the test ends.
func New(t testing.TB, upstream string) *Proxy {
	p := &Proxy{upstream: upstream}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Tell has the node tell this lie from now on, and no other.
func (p *Proxy) Tell(lie Lie) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lie = lie
}

// ServeHTTP answers a JSON-RPC request or a batch of them.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	lie := p.lie
	p.mu.Unlock()
	if lie.Serve != nil && lie.Serve(w, r) {
		return
	}
	if err := p.serve(lie, w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

func (p *Proxy) serve(lie Lie, w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	var requests []rpctypes.RPCRequest
	if json.Unmarshal(body, &requests) != nil {
		requests = make([]rpctypes.RPCRequest, 1)
		if err := json.Unmarshal(body, &requests[0]); err != nil {
			return err
		}
	}
	calls := make([]Call, len(requests))
	for i := range requests {
		calls[i].Method = requests[i].Method
		if err := json.Unmarshal(requests[i].Params, &calls[i].Params); err != nil {
			return err
		}
		if lie.Ask != nil {
			asked := calls[i]
			lie.Ask(&asked)
			if requests[i].Params, err = json.Marshal(asked.Params); err != nil {
				return err
			}
		}
	}
	answers, err := p.forward(r, requests)
	if err != nil {
		return err
	}
	for i := range answers {
		if lie.Answer != nil && answers[i].Error == nil {
			if answers[i].Result, err = lie.Answer(calls[i], answers[i].Result); err != nil {
				return err
			}
		}
	}
	if len(answers) == 1 {
		return json.NewEncoder(w).Encode(answers[0])
	}
	return json.NewEncoder(w).Encode(answers)
}

// forward asks the honest node.
func (p *Proxy) forward(
	r *http.Request,
	requests []rpctypes.RPCRequest,
) ([]rpctypes.RPCResponse, error) {
	var body any = requests
	if len(requests) == 1 {
		body = requests[0]
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(
		r.Context(),
		http.MethodPost,
		p.upstream,
		bytes.NewReader(data),
	)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if data, err = io.ReadAll(res.Body); err != nil {
		return nil, err
	}
	answers := make([]rpctypes.RPCResponse, 1)
	if len(requests) > 1 {
		err = json.Unmarshal(data, &answers)
	} else {
		err = json.Unmarshal(data, &answers[0])
	}
	if err == nil && len(answers) != len(requests) {
		err = fmt.Errorf("%d answers to %d requests", len(answers), len(requests))
	}
	return answers, err
}

// Change returns a Lie.Answer that changes the results of one method.
func Change[T any](
	method string,
	change func(c Call, result *T),
) func(Call, json.RawMessage) (json.RawMessage, error) {
	return func(c Call, result json.RawMessage) (json.RawMessage, error) {
		if c.Method != method {
			return result, nil
		}
		var value T
		if err := cmtjson.Unmarshal(result, &value); err != nil {
			return nil, err
		}
		change(c, &value)
		return cmtjson.Marshal(value)
	}
}

// ChangeQuery returns a Lie.Answer that changes the answers to the queries of one path.
func ChangeQuery(
	path string,
	change func(c Call, response *abci.ResponseQuery),
) func(Call, json.RawMessage) (json.RawMessage, error) {
	return Change("abci_query", func(c Call, result *ctypes.ResultABCIQuery) {
		if c.Path() == path {
			change(c, &result.Response)
		}
	})
}

// Both changes an answer by one and then by the other.
func Both(
	first, second func(Call, json.RawMessage) (json.RawMessage, error),
) func(Call, json.RawMessage) (json.RawMessage, error) {
	return func(c Call, result json.RawMessage) (json.RawMessage, error) {
		result, err := first(c, result)
		if err != nil {
			return nil, err
		}
		return second(c, result)
	}
}
