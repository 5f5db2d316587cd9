// Package fakeipfs is a node of IPFS that speaks as much of kubo's HTTP API as a sink needs, and a
// gateway, in the memory of a test.
package fakeipfs

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// maxBlock is the size of the largest block of a node.
const maxBlock = 2 << 20

// A Node holds blocks, all of which are pinned. Its lock is held while it answers.
type Node struct {
	sync.Mutex
	// Blocks are the contents by CID.
	Blocks map[string][]byte
	// Fault, when it is set, is asked first, with the path of the request: HangUp ends the
	// connection, and NoAnswer does once the request is served.
	Fault func(path string) string
	cid   func(data []byte) string
}

// What a [Node.Fault] may say.
const (
	HangUp   = "hang up"
	NoAnswer = "no answer"
)

// New starts a node, whose blocks get their names from cid. URL is that of a sink, and gateway that
// of its gateway.
func New(t testing.TB, cid func(data []byte) string) (n *Node, url, gateway string) {
	n = &Node{Blocks: map[string][]byte{}, cid: cid}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v0/pin/ls", n.locked(n.pins))
	mux.HandleFunc("POST /api/v0/block/put", n.locked(n.put))
	mux.HandleFunc("POST /api/v0/block/get", n.locked(n.get))
	mux.HandleFunc("GET /ipfs/{cid}", n.locked(n.serve))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return n, "ipfs://" + strings.TrimPrefix(server.URL, "http://"), server.URL
}

func (n *Node) locked(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n.Lock()
		defer n.Unlock()
		fault := ""
		if n.Fault != nil {
			fault = n.Fault(r.URL.Path)
		}
		switch fault {
		case HangUp:
			panic(http.ErrAbortHandler)
		case NoAnswer:
			h(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		h(w, r)
	}
}

func fail(w http.ResponseWriter, format string, args ...any) {
	w.WriteHeader(http.StatusInternalServerError)
	_ = json.NewEncoder(w).Encode(map[string]string{"Message": fmt.Sprintf(format, args...)})
}

func (n *Node) pins(w http.ResponseWriter, r *http.Request) {
	keys := map[string]any{}
	for cid := range n.Blocks {
		if arg := r.FormValue("arg"); arg == "" || arg == cid {
			keys[cid] = map[string]string{"Type": "recursive"}
		}
	}
	if arg := r.FormValue("arg"); arg != "" && len(keys) == 0 {
		fail(w, "path '%s' is not pinned", arg)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"Keys": keys})
}

func (n *Node) put(w http.ResponseWriter, r *http.Request) {
	f, _, err := r.FormFile("data")
	if err != nil {
		fail(w, "%v", err)
		return
	}
	data, err := io.ReadAll(f)
	q := r.URL.Query()
	switch {
	case err != nil:
		fail(w, "%v", err)
	case len(data) > maxBlock:
		fail(w, "produced block is over 2MiB: big blocks can't be exchanged with other peers")
	case q.Get("cid-codec") != "raw" || q.Get("mhtype") != "sha2-256" || q.Get("pin") != "true":
		fail(w, "not as a sink asks")
	default:
		cid := n.cid(data)
		n.Blocks[cid] = data
		_ = json.NewEncoder(w).Encode(map[string]any{"Key": cid, "Size": len(data)})
	}
}

func (n *Node) get(w http.ResponseWriter, r *http.Request) {
	data, ok := n.Blocks[r.FormValue("arg")]
	if !ok {
		fail(w, "block was not found locally (offline): ipld: could not find %s", r.FormValue("arg"))
		return
	}
	_, _ = w.Write(data)
}

func (n *Node) serve(w http.ResponseWriter, r *http.Request) {
	data, ok := n.Blocks[r.PathValue("cid")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(data)
}
