package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// policy lets a page load nothing from anywhere else, and run nothing that is not a file of
	// ours.
	policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
		"object-src 'none'"
	// maxStreams is how many clients may listen at a time.
	maxStreams = 5000
	// writeTimeout is how long a client may take to read what is sent.
	writeTimeout = 30 * time.Second
	// keepAlive is how often a stream says something, so that what stands between keeps it open.
	keepAlive = 25 * time.Second
)

// server shows the latest view.
type server struct {
	follower *follower
	version  string
	streams  atomic.Int64

	mu    sync.Mutex
	pages map[string]*rendered
}

// rendered is a page as it was made for a view at a second.
type rendered struct {
	view   *view
	second int64
	plain  []byte
	zipped []byte
}

func newServer(f *follower, version string) *http.Server {
	s := &server{follower: f, version: version, pages: map[string]*rendered{}}
	return &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /coverage.json", s.coverage)
	mux.HandleFunc("GET /history.json", s.history)
	mux.HandleFunc("GET /events", s.events)
	mux.Handle("GET /metrics", promhttp.HandlerFor(newMetrics(s), promhttp.HandlerOpts{}))
	for name, kind := range map[string]string{
		"watch.css": "text/css; charset=utf-8", "watch.js": "text/javascript; charset=utf-8",
		"icon.svg": "image/svg+xml",
	} {
		data, err := web.ReadFile("web/" + name)
		if err != nil {
			panic(err) // it is in the binary
		}
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Cache-Control", "max-age=300")
			_, _ = w.Write(data)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
		mux.ServeHTTP(w, r)
	})
}

// page serves the page. However many ask in a second, it is made once.
func (s *server) page(w http.ResponseWriter, r *http.Request) {
	span := r.URL.Query().Get("span")
	if !isSpan(span) {
		span = ""
	}
	made, err := s.render(span)
	if err != nil {
		s.follower.log.problem("the page", err.Error())
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		_, _ = w.Write(made.zipped)
		return
	}
	_, _ = w.Write(made.plain)
}

func isSpan(name string) bool {
	for _, s := range spans {
		if s.Name == name {
			return true
		}
	}
	return false
}

func (s *server) render(span string) (*rendered, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, now := s.follower.latest(), s.follower.now()
	if made := s.pages[span]; made != nil && made.view == v && made.second == now.Unix() {
		return made, nil
	}
	var plain, zipped bytes.Buffer
	if err := newPage(v, span, s.version, now).write(&plain); err != nil {
		return nil, err
	}
	zip, _ := gzip.NewWriterLevel(&zipped, gzip.BestSpeed)
	_, _ = zip.Write(plain.Bytes()) // it is written into memory
	_ = zip.Close()
	s.pages[span] = &rendered{v, now.Unix(), plain.Bytes(), zipped.Bytes()}
	return s.pages[span], nil
}

func (s *server) coverage(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, s.follower.latest().report)
}

// history serves the stretches of coverage, the oldest first.
func (s *server) history(w http.ResponseWriter, _ *http.Request) {
	v := s.follower.latest()
	segments := v.segments
	if segments == nil {
		segments = []segment{}
	}
	writeJSON(w, struct {
		ChainID  string    `json:"chain_id"`
		Segments []segment `json:"segments"`
	}{v.ChainID, segments})
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	_ = json.NewEncoder(w).Encode(value)
}

// event is what a stream says: enough for the page to know how old it is.
type event struct {
	Content   uint64 `json:"content"`
	State     string `json:"state"`
	Height    string `json:"height"`
	BlockTime string `json:"block_time"`
	BlockText string `json:"block_text"`
	At        string `json:"at"`
}

// events streams what is new.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		w.Header().Set("Retry-After", "60")
		http.Error(w, "too many listen", http.StatusServiceUnavailable)
		return
	}
	defer s.streams.Add(-1)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Accel-Buffering", "no")
	control := http.NewResponseController(w)
	send := func(text string) bool {
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err := fmt.Fprint(w, text)
		return err == nil && control.Flush() == nil
	}
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for v := s.follower.latest(); send(v.event()); v = s.follower.latest() {
		for waiting := true; waiting; {
			select {
			case <-r.Context().Done():
				return
			case <-v.next:
				waiting = false
			case <-alive.C:
				if !send(": \n\n") {
					return
				}
			}
		}
	}
}

// event is the view in a stream.
func (v *view) event() string {
	e := event{Content: v.content, State: v.State}
	if v.Verified != nil {
		e.Height, e.At = number(v.Verified.Height), machine(v.Verified.At)
		e.BlockTime, e.BlockText = machine(v.Verified.BlockTime), stamp(v.Verified.BlockTime)
	}
	data, _ := json.Marshal(e)
	return "data: " + string(data) + "\n\n"
}
