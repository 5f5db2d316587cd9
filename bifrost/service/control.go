package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/vault"
)

// maxVault bounds the record of a vault. One of 512 members has less than 256 KiB.
const maxVault = 4 << 20

// serve starts the control socket and, when it is configured, the metrics. Both end with the
// context.
func (s *service) serve(ctx context.Context, group *errgroup.Group) error {
	control, err := home.ListenSocket(s.home)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.status())
	})
	mux.HandleFunc("POST /v1/sign", s.handleSign)
	mux.HandleFunc("POST /v1/keyshares", s.handleKeyshares)
	mux.HandleFunc("POST /v1/promote", s.handlePromote)
	s.serveOn(ctx, group, control, mux)

	if s.cfg.Metrics.Listen == "" {
		return nil
	}
	metrics, err := net.Listen("tcp", s.cfg.Metrics.Listen)
	if err != nil {
		control.Close()
		return fmt.Errorf("metrics.listen: %w", err)
	}
	mux = http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", handleLive)
	mux.HandleFunc("GET /readyz", s.handleReady)
	mux.HandleFunc("GET /health", s.handleReady)
	s.serveOn(ctx, group, metrics, mux)
	return nil
}

func (s *service) serveOn(
	ctx context.Context,
	group *errgroup.Group,
	l net.Listener,
	h http.Handler,
) {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		// A signing that waits ends when bifrost does.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	group.Go(func() error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if server.Shutdown(end) != nil {
			server.Close()
		}
		return nil
	})
}

// handleLive says that the process runs: a supervisor restarts one that does not answer. What else
// is wrong with it a restart does not mend.
func handleLive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"state": "alive"})
}

// handleReady says whether bifrost acts and has no problem. It has had its older name, /health, for
// longer.
func (s *service) handleReady(w http.ResponseWriter, _ *http.Request) {
	st := s.status()
	code := http.StatusOK
	if len(st.Problems) > 0 || st.State == StateStandby {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, map[string]any{"state": st.State, "problems": st.Problems})
}

func (s *service) handleSign(w http.ResponseWriter, r *http.Request) {
	var req SignRequest
	dec := json.NewDecoder(io.LimitReader(r.Body, 2*maxMessage))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	res, err := s.sign(r.Context(), req)
	if err != nil {
		code := http.StatusBadGateway
		switch {
		case errors.Is(err, errBadRequest):
			code = http.StatusBadRequest
		case errors.Is(err, errNotReady):
			code = http.StatusServiceUnavailable
		case errors.Is(err, chain.ErrNotFound):
			code = http.StatusNotFound
		}
		s.log.Warn().Err(err).Msg("a message was not signed")
		writeError(w, code, err)
		return
	}
	writeJSON(w, http.StatusOK, res)
}

// PromoteRequest asks a bifrost that is fenced or stands by to claim the term after the expected
// one.
type PromoteRequest struct {
	Expect uint64 `json:"expect"`
}

func (s *service) handlePromote(w http.ResponseWriter, r *http.Request) {
	var req PromoteRequest
	dec := json.NewDecoder(io.LimitReader(r.Body, 1<<10))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	if err := s.terms.Promote(r.Context(), req.Expect); err != nil {
		s.log.Warn().Err(err).Uint64("expected", req.Expect).Msg("this instance was not promoted")
		writeError(w, http.StatusConflict, err)
		return
	}
	writeJSON(w, http.StatusOK, s.terms.Status())
}

// handleKeyshares tells what is on the disk of the vault whose record is the request.
func (s *service) handleKeyshares(w http.ResponseWriter, r *http.Request) {
	var v vault.Vault
	if err := json.NewDecoder(io.LimitReader(r.Body, maxVault)).Decode(&v); err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	held, err := s.held(r.Context(), v)
	if err != nil {
		writeError(w, http.StatusInternalServerError, err)
		return
	}
	writeJSON(w, http.StatusOK, held)
}

func writeError(w http.ResponseWriter, code int, err error) {
	writeJSON(w, code, map[string]string{"error": err.Error()})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // the client is gone
}
