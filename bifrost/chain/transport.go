package chain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// maxAnswer bounds an answer. The largest one that is needed is a block: its bytes in base64.
// CometBFT's default block of 21 MiB fits; no block that a vote has any business in comes near it.
const maxAnswer = 48 << 20

// maxRedirects keeps a node from sending the client around for the whole deadline.
const maxRedirects = 3

var (
	errTooLarge = errors.New("the answer is larger than the limit")
	errSilent   = errors.New("no answer in time")
)

// transport carries a question to a node and brings back a whole answer, or says why there is none.
// What passes is tried again within the budget, a redirect is followed where that keeps the
// question what it was, and what is secret in the address goes to the node's host and nowhere else.
// It is the one place for all that, beneath a client of CometBFT's that knows nothing of it.
type transport struct {
	address
	// budget is for one question, however often it is asked; who says nothing for half of it is not
	// waited for.
	budget time.Duration
	limit  int64
	next   http.RoundTripper
	pause  func(context.Context, Retry) error
	// down tells that the budget was used up in vain. Until the next answer each question is asked
	// once, so that one node that is down costs a run one budget and not one for each question.
	down atomic.Bool
	// answered tells that it was a CometBFT RPC that answered before.
	answered atomic.Bool
}

func newTransport(a address, budget time.Duration, limit int64) *transport {
	dialer := &net.Dialer{Timeout: budget / 2}
	return &transport{
		address: a, budget: budget, limit: limit, pause: Pause,
		next: &http.Transport{
			Proxy: http.ProxyFromEnvironment,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				return &askFirst{Conn: conn, asked: make(chan struct{})}, nil
			},
			TLSHandshakeTimeout:    budget / 2,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        30 * time.Second,
		},
	}
}

// askFirst reads nothing before something was written. A server that speaks first is no HTTP
// server; what it says is the answer to a question then, where net/http would write a line of its
// own to standard error.
type askFirst struct {
	net.Conn
	asked chan struct{}
	once  sync.Once
}

func (c *askFirst) open() { c.once.Do(func() { close(c.asked) }) }

func (c *askFirst) Read(p []byte) (int, error) {
	<-c.asked
	return c.Conn.Read(p)
}

func (c *askFirst) Write(p []byte) (int, error) {
	c.open()
	return c.Conn.Write(p)
}

func (c *askFirst) Close() error {
	c.open()
	return c.Conn.Close()
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return nil, err
	}
	ctx := req.Context()
	left := t.budget
	for tried := 0; ; tried++ {
		start := time.Now()
		res, err := t.ask(req, body, left)
		if err == nil {
			t.answered.Store(true)
			t.down.Store(false)
			return res, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		left -= time.Since(start)
		var fault *passing
		if !errors.As(err, &fault) {
			return nil, err
		}
		wait, again := fault.wait(tried, isOnce(ctx))
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			again = false
		}
		if !again || wait >= left || t.down.Load() {
			t.down.Store(true)
			return nil, t.givenUp(err, tried)
		}
		left -= wait
		if err := t.pause(
			ctx,
			Retry{Node: t.name, Err: err, Wait: wait, Left: fault.left(tried, left)},
		); err != nil {
			return nil, err
		}
	}
}

// ask asks once, within what is left of the budget.
func (t *transport) ask(
	req *http.Request,
	body []byte,
	left time.Duration,
) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	defer cancel(nil)
	defer time.AfterFunc(left, func() { cancel(errSilent) }).Stop()
	silence := time.AfterFunc(t.budget/2, func() { cancel(errSilent) })
	defer silence.Stop()

	target := *req.URL
	target.RawQuery = t.query
	for range maxRedirects + 1 {
		out := req.Clone(ctx)
		out.URL, out.Host = &target, ""
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		if t.user != nil {
			password, _ := t.user.Password()
			out.SetBasicAuth(t.user.Username(), password)
		}
		res, err := t.next.RoundTrip(out)
		if err != nil {
			return nil, t.fault(ctx, err)
		}
		if location := res.Header.Get("Location"); location != "" && res.StatusCode/100 == 3 {
			_ = res.Body.Close()
			next, err := t.follow(&target, res, location)
			if err != nil {
				return nil, err
			}
			target = *next
			continue
		}
		answer, err := t.read(res, func() { silence.Reset(t.budget / 2) })
		if err != nil {
			return nil, t.fault(ctx, fmt.Errorf("reading the response body: %w", err))
		}
		if answer, err = t.recognise(res, answer); err != nil {
			return nil, err
		}
		res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(answer)), int64(len(answer))
		return res, nil
	}
	return nil, errors.New("too many redirects")
}

// follow returns where to ask instead. Only 307 and 308 keep the question what it is, and what is
// secret goes to no other host and over no weaker connection.
func (t *transport) follow(from *url.URL, res *http.Response, location string) (*url.URL, error) {
	to, err := from.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("the server answers %s with a target that is not a URL", res.Status)
	}
	advice := fmt.Errorf("it redirects (%s) to %s: give that address",
		res.Status, t.scrub(redacted(*to)))
	if to.Scheme != "http" && to.Scheme != "https" || to.Host == "" ||
		res.StatusCode != http.StatusTemporaryRedirect &&
			res.StatusCode != http.StatusPermanentRedirect {
		return nil, advice
	}
	elsewhere := to.Hostname() != from.Hostname() || from.Scheme == "https" && to.Scheme == "http"
	if t.private() && elsewhere {
		return nil, fmt.Errorf("%w, if what is secret in the present one may go there", advice)
	}
	if to.RawQuery == "" {
		to.RawQuery = t.query
	}
	to.User = nil
	return to, nil
}

// read returns a whole answer. One that is too long is an error and is not cut off.
func (t *transport) read(res *http.Response, progress func()) ([]byte, error) {
	defer res.Body.Close()
	if res.ContentLength > t.limit {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", errTooLarge, res.ContentLength, t.limit)
	}
	var all bytes.Buffer
	for {
		n, err := io.CopyN(&all, res.Body, 64<<10)
		if int64(all.Len()) > t.limit {
			return nil, errTooLarge
		}
		if errors.Is(err, io.EOF) {
			return all.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		if n > 0 {
			progress()
		}
	}
}
