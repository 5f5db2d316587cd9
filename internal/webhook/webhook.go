// Package webhook asks URLs that are secrets of whoever listens there: no error shows more of one
// than its host.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"
)

// timeout is how long an answer may take.
const timeout = 30 * time.Second

// client follows nobody who would have it send something else than it was asked to: a POST that is
// sent elsewhere as a GET says nothing there, and the answer to it would look like a success.
var client = &http.Client{
	Timeout: timeout,
	CheckRedirect: func(to *http.Request, via []*http.Request) error {
		if len(via) >= 10 || to.Method != via[0].Method {
			return http.ErrUseLastResponse
		}
		return nil
	},
}

// Check errs when an address is not a URL of https or http.
func Check(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return errors.New("not a URL of https or http")
	}
	return nil
}

// Get asks a URL, and errs when the answer is none of success.
func Get(ctx context.Context, address string) error {
	return do(ctx, http.MethodGet, address, nil, nil)
}

// Post sends JSON to a URL, with headers that may be nil, and errs when the answer is none of
// success.
func Post(ctx context.Context, address string, headers http.Header, json []byte) error {
	return do(ctx, http.MethodPost, address, headers, json)
}

func do(ctx context.Context, method, address string, headers http.Header, json []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(json))
	if err != nil {
		return errors.New("the URL cannot be used")
	}
	maps.Copy(req.Header, headers)
	if json != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := client.Do(req)
	if err != nil {
		if of := (*url.Error)(nil); errors.As(err, &of) {
			err = of.Err
		}
		return fmt.Errorf("%s: %w", req.URL.Host, err)
	}
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s answers with status %d", req.URL.Host, res.StatusCode)
	}
	return nil
}
