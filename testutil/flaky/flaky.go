// Package flaky is a proxy before a node that fails as networks do, and what stands before public
// nodes: at a request of a given number, for as many requests as a test says. Otherwise it hands on
// what the node answers.
package flaky

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Fault is one way to fail.
type Fault struct {
	// Name says what goes wrong.
	Name string
	// Passes tells that asking again is the way out, and not another node or address.
	Passes bool

	serve func(x exchange)
}

// exchange is one request and what the node answers to it.
type exchange struct {
	http.ResponseWriter
	request  *http.Request
	upstream string
	body     []byte
	status   int
	answer   []byte
}

// Faults are all that the proxy knows.
var Faults = []Fault{
	{"429 with Retry-After", true, func(x exchange) {
		x.Header().Set("Retry-After", "1")
		x.say(http.StatusTooManyRequests, "text/html", "<html>Too Many Requests</html>")
	}},
	{"429 without Retry-After", true, func(x exchange) {
		x.say(http.StatusTooManyRequests, "application/json", `{"message":"API rate limit exceeded"}`)
	}},
	{"a limit that is told by JSON-RPC alone", true, func(x exchange) {
		x.say(http.StatusOK, "application/json",
			`{"jsonrpc":"2.0","id":-1,"error":{"code":-32005,"message":"rate limit exceeded"}}`)
	}},
	{"502", true, status(http.StatusBadGateway)},
	{"503 with Retry-After", true, func(x exchange) {
		x.Header().Set("Retry-After", "2")
		x.say(http.StatusServiceUnavailable, "text/plain", "starting")
	}},
	{"504", true, status(http.StatusGatewayTimeout)},
	{"500 of a proxy", true, status(http.StatusInternalServerError)},
	{"a reset before the headers", true, func(x exchange) { x.cut(true, "") }},
	{"an end before the headers", true, func(x exchange) { x.cut(false, "") }},
	{"a reset after the headers", true, func(x exchange) { x.cut(true, x.head()) }},
	{"an end in the body", true, func(x exchange) {
		x.cut(false, x.head()+string(x.answer[:len(x.answer)/2]))
	}},
	{"JSON that is cut off", true, func(x exchange) {
		x.say(http.StatusOK, "application/json", string(x.answer[:len(x.answer)/2]))
	}},
	{"an empty answer", true, func(x exchange) { x.say(http.StatusOK, "application/json", "") }},
	{"silence", true, func(x exchange) { <-x.request.Context().Done() }},
	{"silence in the body", true, func(x exchange) {
		x.Header().Set("Content-Length", strconv.Itoa(len(x.answer)))
		_, _ = x.Write(x.answer[:len(x.answer)/2])
		x.ResponseWriter.(http.Flusher).Flush()
		<-x.request.Context().Done()
	}},
	{"a node that is a block behind", true, exchange.behind},
	{"a redirect that keeps the question", true, func(x exchange) {
		http.Redirect(x, x.request, x.upstream, http.StatusTemporaryRedirect)
	}},
	{"a redirect that does not", false, func(x exchange) {
		http.Redirect(x, x.request, x.upstream, http.StatusMovedPermanently)
	}},
	{"a batch that is refused", true, func(x exchange) {
		if !x.batch() {
			x.say(x.status, "application/json", string(x.answer))
			return
		}
		x.say(http.StatusBadRequest, "application/json", `{"jsonrpc":"2.0","id":-1,"error":`+
			`{"code":-32600,"message":"batch requests are not supported"}}`)
	}},
	{"a page to log in", false, func(x exchange) {
		x.say(http.StatusOK, "text/html", "<!DOCTYPE html><title>Welcome to our WiFi</title>")
	}},
}

// Named is the fault of this name, if there is one.
func Named(name string) (Fault, bool) {
	for _, f := range Faults {
		if f.Name == name {
			return f, true
		}
	}
	return Fault{}, false
}

func status(code int) func(exchange) {
	return func(x exchange) { x.say(code, "text/plain", http.StatusText(code)) }
}

func (x exchange) say(code int, kind, text string) {
	x.Header().Set("Content-Type", kind)
	x.WriteHeader(code)
	_, _ = io.WriteString(x, text)
}

// head are the headers of the node's answer.
func (x exchange) head() string {
	return fmt.Sprintf("HTTP/1.1 %d \r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		x.status, len(x.answer))
}

// cut sends these bytes and ends the connection, in order or by a reset.
func (x exchange) cut(reset bool, text string) {
	conn, _, err := x.ResponseWriter.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(conn, text)
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func (x exchange) batch() bool { return bytes.HasPrefix(bytes.TrimSpace(x.body), []byte("[")) }

// behind answers as a node does that lacks the latest block: of its status with one height less, of
// a height that was asked for that it is yet to come.
func (x exchange) behind() {
	type call struct {
		ID     json.RawMessage
		Method string
		Params struct{ Height string }
	}
	var calls []call
	if !x.batch() {
		calls = make([]call, 1)
		_ = json.Unmarshal(x.body, &calls[0])
	} else {
		_ = json.Unmarshal(x.body, &calls)
	}
	answers := make([]string, len(calls))
	for i, c := range calls {
		height, _ := strconv.ParseInt(c.Params.Height, 10, 64)
		switch c.Method {
		case "abci_query":
			if height > 0 {
				answers[i] = fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"response":{"code":26,`+
					`"log":"cannot query with height in the future","codespace":"sdk","height":"0"}}}`, c.ID)
			}
		case "commit", "validators", "block":
			answers[i] = fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32603,`+
				`"message":"Internal error","data":"height %d must be less than or equal to `+
				`the current blockchain height %d"}}`, c.ID, height, height-1)
		}
		if answers[i] == "" {
			x.say(x.status, "application/json", string(x.answer))
			return
		}
	}
	text := answers[0]
	if x.batch() {
		text = "[" + strings.Join(answers, ",") + "]"
	}
	x.say(http.StatusOK, "application/json", text)
}

// Proxy is the node with the network before it.
type Proxy struct {
	// URL is its RPC address.
	URL string

	upstream string
	mu       sync.Mutex
	fault    Fault
	from, to int
	requests int
}

// New returns a proxy before the node at this address, without a fault until Fail is called. It
// runs until the test ends.
func New(t testing.TB, upstream string) *Proxy {
	p := &Proxy{upstream: upstream}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Always is the count of requests of a fault that never ends.
const Always = 1 << 30

// Fail has the requests of these numbers fail and no others, and counts anew: the next request is
// the first.
func (p *Proxy) Fail(f Fault, first, count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.from, p.to, p.requests = f, first, first+count, 0
}

// Requests counts the requests since the last call of Fail.
func (p *Proxy) Requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// ServeHTTP hands a request on, or fails.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests++
	fault, fails := p.fault, p.requests >= p.from && p.requests < p.to
	p.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	x := exchange{ResponseWriter: w, request: r, upstream: p.upstream, body: body}
	if x.status, x.answer, err = ask(p.upstream, body); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	if fails {
		fault.serve(x)
		return
	}
	x.say(x.status, "application/json", string(x.answer))
}

func ask(url string, body []byte) (status int, answer []byte, err error) {
	res, err := http.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}
