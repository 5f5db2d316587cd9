package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Retry is a question that is about to be asked again.
type Retry struct {
	// Node is the name of the node.
	Node string
	// Err is why the last answer will not do.
	Err error
	// Wait is how long to wait, and Left for how long it may go on after that.
	Wait, Left time.Duration
}

// Pause waits before a question is asked again. It is what a client does by itself.
func Pause(ctx context.Context, r Retry) error {
	timer := time.NewTimer(r.Wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// firstWait is the first wait; each one after it is twice as long.
const firstWait = 250 * time.Millisecond

// maxWaits is how often a question is asked again, and maxWaitsDown where nobody listens.
const (
	maxWaits     = 6
	maxWaitsDown = 2
)

// passing is a fault that may be over when the question is asked again.
type passing struct {
	err error
	// after is how long the server asks to wait, 0 if it does not say.
	after time.Duration
	// untaken tells that nobody has taken the question, and down that nobody listens.
	untaken, down bool
}

func (p *passing) Error() string { return p.err.Error() }
func (p *passing) Unwrap() error { return p.err }

// wait is how long to wait before asking again, after as many waits. Once says that a question that
// may have arrived is not asked again.
func (p *passing) wait(tried int, once bool) (time.Duration, bool) {
	most := maxWaits
	if p.down {
		most = maxWaitsDown
	}
	return max(firstWait<<tried, p.after), tried < most && (p.untaken || !once)
}

// left is for how long it may go on after this wait, with so much left of the budget.
func (p *passing) left(tried int, budget time.Duration) time.Duration {
	if p.down {
		return min(budget, firstWait<<maxWaitsDown-firstWait<<(tried+1))
	}
	return budget
}

// givenUp is the error of a node that was asked for long enough.
func (t *transport) givenUp(err error, again int) error {
	if again > 0 {
		err = fmt.Errorf("%w (asked %d times)", err, again+1)
	}
	if !t.answered.Load() && isCut(err) {
		tls := ""
		if t.url.Scheme == "http" {
			tls = ", and one that wants TLS is at https://"
		}
		err = fmt.Errorf("%w; a CometBFT RPC's port is usually 26657%s%s", err, t.otherPort(), tls)
	}
	return err
}

// isCut reports whether the connection ended before the answer did.
func isCut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// fault says which faults of a connection pass.
func (t *transport) fault(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, errSilent) {
			return &passing{err: err} // which net/http makes of the cause
		}
		return cause
	}
	var dns *net.DNSError
	var dial *net.OpError
	switch text := err.Error(); {
	case errors.Is(err, errTooLarge), strings.Contains(text, "x509: "),
		strings.Contains(text, "remote error: tls: "):
		return err
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%w: it answers without TLS, at http://%s", err, t.url.Host)
	case strings.Contains(text, "malformed HTTP"), strings.Contains(text, "tls: first record"):
		return t.noHTTP(text)
	case errors.As(err, &dns) && dns.IsNotFound:
		return err
	case errors.As(err, &dial) && dial.Op == "dial":
		return &passing{err: err, untaken: true, down: !dial.Timeout()}
	}
	return &passing{err: err}
}

// refusedFor tells a status by which a server, or what stands before a node, says that it cannot
// answer now.
func refusedFor(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		520, 521, 522, 523, 524, 530: // of a content network that does not reach the server
		return true
	}
	return false
}

// busy is the fault of a server that says so by its status, or by its words.
func busy(res *http.Response, err error) *passing {
	return &passing{
		err:   err,
		after: retryAfter(res.Header.Get("Retry-After"), time.Now()),
		untaken: res.StatusCode == http.StatusTooManyRequests ||
			res.StatusCode == http.StatusServiceUnavailable,
	}
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// onceKey marks a question that is not asked again when it may have arrived.
type onceKey struct{}

func once(ctx context.Context) context.Context { return context.WithValue(ctx, onceKey{}, true) }

func isOnce(ctx context.Context) bool { return ctx.Value(onceKey{}) != nil }
