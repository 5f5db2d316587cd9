package chain

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// maxAnswer bounds an answer. The largest one that is needed is a block: its bytes in base64.
// CometBFT's default block of 21 MiB fits; no block that a vote has any business in comes near it.
const maxAnswer = 48 << 20

// maxRedirects keeps a node from sending the client around for the whole deadline.
const maxRedirects = 3

var errTooLarge = errors.New("the answer is larger than the limit")

// newHTTPClient bounds size and time of every answer.
func newHTTPClient(timeout time.Duration, limit int64) *http.Client {
	dialer := &net.Dialer{Timeout: timeout}
	return &http.Client{
		Timeout: timeout,
		Transport: &boundedTransport{
			limit: limit,
			next: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				DialContext:            dialer.DialContext,
				TLSHandshakeTimeout:    timeout,
				ResponseHeaderTimeout:  timeout,
				MaxResponseHeaderBytes: 64 << 10,
				MaxIdleConnsPerHost:    2,
				IdleConnTimeout:        30 * time.Second,
			},
		},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errors.New("too many redirects")
			}
			return nil
		},
	}
}

// boundedTransport ends an answer that is too long with an error, where a plain limited reader
// would hand on a truncated one. It sits above decompression.
type boundedTransport struct {
	limit int64
	next  http.RoundTripper
}

func (t *boundedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	// CometBFT reports its own errors with status 500 and a body that says which; these come from
	// what stands in front of a node and never have one.
	switch res.StatusCode {
	case http.StatusTooManyRequests,
		http.StatusBadGateway,
		http.StatusServiceUnavailable,
		http.StatusGatewayTimeout:
		_ = res.Body.Close()
		return nil, fmt.Errorf("the server answers %s", res.Status)
	}
	if res.ContentLength > t.limit {
		_ = res.Body.Close()
		return nil, fmt.Errorf("%w: %d bytes, at most %d", errTooLarge, res.ContentLength, t.limit)
	}
	res.Body = &boundedBody{body: res.Body, left: t.limit}
	return res, nil
}

type boundedBody struct {
	body io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

func (b *boundedBody) Close() error { return b.body.Close() }
