package chain

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/testutil/flaky"
)

// waits are those that a client would have made.
type waits []time.Duration

// of has the client wait for nothing, and remember it.
func (w *waits) of(c *Client) *Client {
	c.OnRetry(func(ctx context.Context, r Retry) error {
		*w = append(*w, r.Wait)
		return ctx.Err()
	})
	return c
}

func named(t *testing.T, name string) flaky.Fault {
	fault, ok := flaky.Named(name)
	require.True(t, ok, name)
	return fault
}

func (w waits) total() time.Duration {
	var sum time.Duration
	for _, d := range w {
		sum += d
	}
	return sum
}

func TestAFaultThatPasses(t *testing.T) {
	for _, fault := range flaky.Faults {
		if !fault.Passes {
			continue
		}
		t.Run(fault.Name, func(t *testing.T) {
			node, url := fakenode.New(t)
			node.Blocks[60] = [][]byte{bytes.Repeat([]byte("tx"), 10_000)}
			p := flaky.New(t, url)
			var w waits
			timeout, count := DefaultTimeout, 2
			if strings.HasPrefix(fault.Name, "silence") {
				timeout, count = 2*time.Second, 1
			}
			c, err := New(p.URL, timeout)
			require.NoError(t, err)
			w.of(c)
			p.Fail(fault, 1, count)
			_, err = c.Status(t.Context())
			require.NoError(t, err)
			p.Fail(fault, 1, 1)
			txs, err := c.BlockTxs(t.Context(), 60)
			require.NoError(t, err)
			require.Equal(t, node.Blocks[60], txs)
			if strings.HasSuffix(fault.Name, "with Retry-After") {
				require.GreaterOrEqual(t, slices.Min(w), time.Second, "as long as the server asks for")
			}
		})
	}
}

// What does not pass ends within the budget, and the next question is not waited for as long.
func TestAFaultThatStays(t *testing.T) {
	for _, name := range []string{"429 with Retry-After", "502", "a reset before the headers", "an end in the body"} {
		t.Run(name, func(t *testing.T) {
			_, url := fakenode.New(t)
			p := flaky.New(t, url)
			c, err := New(p.URL, 0)
			require.NoError(t, err)
			var w waits
			w.of(c)
			p.Fail(named(t, name), 1, flaky.Always)
			_, err = c.Status(t.Context())
			require.ErrorIs(t, err, ErrUnreachable)
			require.ErrorContains(t, err, "asked")
			require.Greater(t, len(w), 3)
			require.Less(t, w.total(), DefaultTimeout)

			asked := p.Requests()
			_, err = c.Status(t.Context())
			require.ErrorIs(t, err, ErrUnreachable)
			require.Equal(t, asked+1, p.Requests(), "a node that is down is asked once")

			p.Fail(named(t, name), 2, 1)
			_, err = c.Status(t.Context())
			require.NoError(t, err)
			_, err = c.Status(t.Context())
			require.NoError(t, err, "a node that is back is waited for again")
		})
	}
	t.Run("a server that asks to wait for longer than that", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}))
		defer server.Close()
		c, err := New(server.URL, 0)
		require.NoError(t, err)
		var w waits
		w.of(c)
		_, err = c.Status(t.Context())
		require.ErrorIs(t, err, ErrUnreachable)
		require.ErrorContains(t, err, "429 Too Many Requests")
		require.Empty(t, w)
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second,
		"Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		require.Equal(t, want, retryAfter(text, now), text)
	}
}

// A transaction is sent again when it surely was not taken, and else the caller is told.
func TestATransactionIsNotSentTwice(t *testing.T) {
	for name, again := range map[string]bool{
		"429 with Retry-After":                   true,
		"503 with Retry-After":                   true,
		"a limit that is told by JSON-RPC alone": true,
		"502":                                    false,
		"a reset after the headers":              false,
		"an end in the body":                     false,
		"silence":                                false,
	} {
		t.Run(name, func(t *testing.T) {
			node, url := fakenode.New(t)
			var sent atomic.Int32
			node.Broadcast = func([]byte) (*ctypes.ResultBroadcastTx, error) {
				if sent.Add(1) > 1 && !again {
					return nil, errors.New("tx already exists in cache")
				}
				return &ctypes.ResultBroadcastTx{}, nil
			}
			p := flaky.New(t, url)
			timeout := DefaultTimeout
			if name == "silence" {
				timeout = time.Second
			}
			c, err := New(p.URL, timeout)
			require.NoError(t, err)
			var w waits
			w.of(c)
			p.Fail(named(t, name), 1, 1)
			err = c.Broadcast(t.Context(), []byte("tx"))
			if again {
				require.NoError(t, err)
				require.Equal(t, 2, p.Requests())
				return
			}
			require.ErrorIs(t, err, ErrUnreachable)
			require.Equal(t, 1, p.Requests())
			require.ErrorIs(t, c.Broadcast(t.Context(), []byte("tx")), sdkerrors.ErrTxInMempoolCache)
		})
	}
}

func TestARedirect(t *testing.T) {
	_, upstream := fakenode.New(t)
	other := strings.Replace(upstream, "127.0.0.1", "localhost", 1)
	for name, tc := range map[string]struct {
		status             int
		credentials, query string
		target, err        string
	}{
		"301 would change the question":               {301, "", "", upstream, "it redirects (301 Moved Permanently) to " + upstream + ": give that address"},
		"302 would too":                               {302, "", "", other, "it redirects (302 Found) to " + other + ": give that address"},
		"303 would too":                               {303, "", "", other, "give that address"},
		"a secret in the target is not shown":         {301, "", "", "http://me:hunter2hunter2@127.0.0.1/?apikey=hunter2hunter2", "http://me:xxxxx@127.0.0.1/?apikey=xxxxx"},
		"307 is followed":                             {307, "", "", upstream, ""},
		"308 is followed, to another host too":        {308, "", "", other, ""},
		"a key goes to the same host":                 {308, "", "?apikey=hunter2hunter2", upstream, ""},
		"a key goes to no other host":                 {308, "", "?apikey=hunter2hunter2", other + "/?apikey=hunter2hunter2", "to " + other + "/?apikey=xxxxx: give that address, if"},
		"nor does a password":                         {307, "me:hunter2hunter2@", "", other, "to " + other + ": give that address, if"},
		"a target that is no address of a web server": {308, "", "", "unix:///rpc", "give that address"},
		"around in a circle":                          {308, "", "", "/again", "too many redirects"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = append(got, r.Method)
				w.Header().Set("Location", tc.target)
				w.WriteHeader(tc.status)
			}))
			defer server.Close()
			c, err := New(strings.Replace(server.URL, "//", "//"+tc.credentials, 1)+tc.query, 0)
			require.NoError(t, err)
			var w waits
			_, err = w.of(c).Status(t.Context())
			require.Contains(t, got, http.MethodPost)
			require.NotContains(t, got, http.MethodGet)
			require.Empty(t, w)
			if tc.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrUnreachable)
			require.ErrorContains(t, err, tc.err)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// What an address holds beside the host is sent with each request, and shown nowhere.
func TestSecretsInAnAddress(t *testing.T) {
	_, upstream := fakenode.New(t)
	var echo atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if r.URL.RawQuery != "net=a&apikey=hunter2%2Fhunter2" || r.URL.Path != "/v1/rpc" ||
			user != "me" || password != "hunter2@hunter2" || echo.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"message":"not hunter2/hunter2, nor hunter2%2Fhunter2 or hunter2@hunter2"}`)
			return
		}
		body, _ := io.ReadAll(r.Body)
		res, err := http.Post(upstream, "application/json", bytes.NewReader(body))
		if err != nil {
			return
		}
		defer res.Body.Close()
		_, _ = io.Copy(w, res.Body)
	}))
	defer server.Close()
	c, err := New(strings.Replace(server.URL, "//", "//me:hunter2%40hunter2@", 1)+"/v1/rpc?net=a&apikey=hunter2%2Fhunter2", 0)
	require.NoError(t, err)
	_, err = c.Status(t.Context())
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(c.Name(), "/v1/rpc?net=xxxxx&apikey=xxxxx"))

	echo.Store(true)
	_, err = c.Status(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, "401 Unauthorized: not xxxxx, nor xxxxx or xxxxx: a user and a password")
	server.Close()
	var w waits
	_, err = w.of(c).Status(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
	require.NotContains(t, err.Error(), "hunter2")
	require.NotContains(t, err.Error(), "apikey")
}

// Whatever an address looks like, and whether it is one: its secrets are in no name and no error.
func TestNoAddressShowsItsSecrets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const secret = "hunter2hunter2"
		noise := rapid.StringMatching(`[a-z0-9:/@&=%.\[\] -]{0,6}`)
		text := rapid.SampledFrom([]string{"", "http://", "https://", "tcp://", "ftp://", " http://"}).Draw(t, "scheme") +
			rapid.SampledFrom([]string{"", "me:" + secret + "@", secret + "@", ":" + secret + "@"}).Draw(t, "user") +
			rapid.SampledFrom([]string{"127.0.0.1", "[::1]", "example.com", "exa mple.com", ""}).Draw(t, "host") +
			rapid.SampledFrom([]string{"", ":26657", ":x"}).Draw(t, "port") +
			rapid.SampledFrom([]string{"", "/", "/rpc/"}).Draw(t, "path") + noise.Draw(t, "noise") +
			rapid.SampledFrom([]string{"?", "?a=b&key=", "?" + secret + "&key="}).Draw(t, "query") + secret +
			rapid.SampledFrom([]string{"", "&c=d", "#fragment"}).Draw(t, "end")
		if a, err := parseAddress(text); err != nil {
			require.NotContains(t, err.Error(), secret, text)
		} else {
			require.NotContains(t, a.name, secret, text)
			require.NotContains(t, a.url.String(), secret, text)
			require.NotContains(t, a.scrub("no such key: "+secret), secret, text)
		}
	})
}

// What is at another port than the RPC's is told, and net/http says nothing of its own.
func TestAnotherServiceAtTheAddress(t *testing.T) {
	var lines bytes.Buffer
	log.SetOutput(&lines)
	defer log.SetOutput(log.Default().Writer())
	rest := func(status int, body string) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = io.ReadAtLeast(conn, make([]byte, 1024), 16)
			_, _ = io.WriteString(conn, "HTTP/1.1 "+strconv.Itoa(status)+" "+http.StatusText(status)+
				"\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"+body)
		}
	}
	for name, tc := range map[string]struct {
		serve func(net.Conn)
		err   string
	}{
		"p2p, which speaks first": {func(conn net.Conn) {
			_, _ = conn.Write([]byte("\x22\x0a\x20\xf1\xb4and what follows of a key"))
		}, "it looks like the p2p port: the RPC's port is usually 26657"},
		"gRPC": {func(conn net.Conn) {
			_, _ = conn.Write([]byte("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00"))
		}, "it looks like the gRPC port: the RPC's port is usually 26657"},
		"REST, which does not know the path": {
			rest(501, `{"code":12,"message":"Not Implemented","details":[]}`),
			"it looks like the REST port: the RPC's port is usually 26657",
		},
		"REST, which finds nothing": {
			rest(404, `{"code":5,"message":"Not Found","details":[]}`), "it looks like the REST port",
		},
		"one that wants TLS": {
			rest(400, "Client sent an HTTP request to an HTTPS server.\n"), "it wants TLS, at https://127.0.0.1",
		},
		"one that hangs up": {func(net.Conn) {}, "a CometBFT RPC's port is usually 26657"},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer listener.Close()
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					tc.serve(conn)
					_ = conn.Close()
				}
			}()
			c, err := New("http://"+listener.Addr().String(), 0)
			require.NoError(t, err)
			var w waits
			_, err = w.of(c).Status(t.Context())
			require.ErrorIs(t, err, ErrUnreachable)
			require.ErrorContains(t, err, tc.err)
		})
	}
	require.Empty(t, lines.String())
}
