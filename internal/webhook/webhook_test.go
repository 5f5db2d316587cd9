package webhook

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsAURL(t *testing.T) {
	for address, good := range map[string]bool{
		"https://example.org/hook?key=1": true, "http://127.0.0.1:8080": true,
		"example.org": false, "ftp://example.org": false, "https://": false, "https://a b": false, "": false,
	} {
		require.Equal(t, good, Check(address) == nil, address)
	}
}

// TestRequests has a server that sends others on, and one that is gone.
func TestRequests(t *testing.T) {
	var heard []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		heard = append(heard, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")+" "+r.Header.Get("X")+" "+string(body))
		switch r.URL.Path {
		case "/found":
			http.Redirect(w, r, "/hunter2", http.StatusFound)
		case "/same":
			http.Redirect(w, r, "/hunter2", http.StatusPermanentRedirect)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusPermanentRedirect)
		case "/refused":
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer server.Close()
	post := func(path string) error {
		return Post(t.Context(), server.URL+path, http.Header{"X": {"1"}}, []byte("{}"))
	}
	require.NoError(t, post("/hunter2"))
	require.NoError(t, Get(t.Context(), server.URL+"/hunter2"))
	require.NoError(t, Get(t.Context(), server.URL+"/found"))
	require.NoError(t, post("/same"), "it is posted again")
	require.Equal(t, []string{
		"POST /hunter2 application/json 1 {}", "GET /hunter2   ", "GET /found   ", "GET /hunter2   ",
		"POST /same application/json 1 {}", "POST /hunter2 application/json 1 {}",
	}, heard)
	require.ErrorContains(t, post("/found"), "answers with status 302", "what was posted would be lost")
	require.ErrorContains(t, post("/round"), "answers with status 308")
	require.ErrorContains(t, post("/refused"), "answers with status 403")

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	server.Close()
	for _, err := range []error{post("/hunter2"), Get(gone, server.URL+"/hunter2"), Get(t.Context(), "http://a b/hunter2")} {
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
