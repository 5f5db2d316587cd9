package registration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/sanity"
)

const (
	// poll is the time between two looks while the registration is awaited, recheck afterwards.
	poll    = 2 * time.Second
	recheck = time.Minute
	// reminder is how often a state that waits for the operator is said again.
	reminder = time.Minute
)

// Watch looks from time to time what the chain says of the signer.
type Watch struct {
	cfg      home.Config
	request  *Request
	node     *chain.Client
	mnemonic *sanity.Mnemonic
	log      zerolog.Logger

	mu     sync.Mutex
	status Status
}

// Status is how the signer stands with the chain.
type Status struct {
	State State
	// Error is why the state is not known, what is wrong with it, or why it is not another yet.
	Error string
	// Command is set while the signer is not registered: the transaction to run.
	Command string
	// Former are the live vaults under a signer that this one replaced.
	Former []FormerVault

	// expected is that the operator has another signer.
	expected bool
}

// NewWatch watches the signer of a request. Former lets it be another than the operator's by now.
func NewWatch(
	c home.Config, r *Request, former bool, node *chain.Client, mnemonic *sanity.Mnemonic,
	log zerolog.Logger,
) *Watch {
	return &Watch{
		cfg: c, request: r, node: node, mnemonic: mnemonic, log: log,
		status: Status{State: Waiting, expected: former},
	}
}

// Await returns when the chain knows the signer: [Ready], or [Replaced] where that is expected.
// What Status says changes to that once Run begins.
func (w *Watch) Await(ctx context.Context) (State, error) {
	var said time.Time
	for {
		state, err := Check(ctx, w.node, w.cfg, w.request.Address, w.mnemonic)
		remind := time.Since(said) >= reminder
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case errors.Is(err, ErrRefused), errors.Is(err, home.ErrConfig):
			return "", err
		case err != nil:
			w.set(Waiting, err)
			if remind {
				w.log.Warn().Err(err).Msg("waiting for the node")
			}
		case state == Ready:
			w.log.Info().Str("operator", w.cfg.Operator).Msg("the signer is registered")
			return state, nil
		case state == Replaced && w.status.expected:
			return state, nil
		case state == Replaced:
			return "", fmt.Errorf("%w: %s has another signer by now; vaults that still live under "+
				"this one need it running with --former", ErrRefused, w.cfg.Operator)
		default:
			w.request.price(ctx, w.node)
			why := Pending(ctx, w.node, w.cfg, time.Now())
			w.set(state, nil)
			w.because(why)
			if remind {
				w.log.Warn().Str("command", w.request.Command).Str("why", why).
					Msg("THE SIGNER IS NOT REGISTERED: run this command with the operator's key")
			}
		}
		if remind {
			said = time.Now()
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(poll):
		}
	}
}

// Run begins with the state that Await returned, and looks until the context ends whether the
// signer or its recipient key was replaced, and which vaults live under a former signer.
func (w *Watch) Run(ctx context.Context, state State) error {
	w.set(state, nil)
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(recheck):
		}
	}
}

func (w *Watch) look(ctx context.Context) {
	state, err := Check(ctx, w.node, w.cfg, w.request.Address, w.mnemonic)
	switch {
	case errors.Is(err, ErrRecipient):
		// The vaults that there are need this signer all the same.
		w.set(Ready, err)
		w.log.Error().Err(err).Msg("THE RECIPIENT KEY IS NOT THIS MNEMONIC'S: " +
			"this signer cannot prove its backups of later keygens")
	case err == nil && state != Unregistered: // what was registered stays so
		w.set(state, nil)
		if state == Replaced {
			w.log.Warn().
				Msg("THE SIGNER WAS REPLACED: this bifrost goes on for its older vaults alone")
		}
	}
	former, err := findFormer(ctx, w.node, w.cfg.Operator, w.request.Address)
	if err != nil {
		return
	}
	w.mu.Lock()
	known := len(w.status.Former)
	w.status.Former = former
	w.mu.Unlock()
	if len(former) == known {
		return
	}
	for _, f := range former {
		w.log.Warn().Str("vault", f.Vault).Str("former_signer", f.Address).
			Msg("this vault lives under a former mnemonic: keep it until the vault is retired")
	}
}

func (w *Watch) set(state State, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.State, w.status.Error, w.status.Command = state, "", ""
	if err != nil {
		w.status.Error = err.Error()
	}
	if state == Unregistered {
		w.status.Command = w.request.Command
	}
}

// because notes why the signer is not registered.
func (w *Watch) because(why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.Error = why
}

// Status returns a copy.
func (w *Watch) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.status
	s.Former = append([]FormerVault{}, s.Former...)
	return s
}

// Problems are what keeps the signer from taking part as the operator's.
func (s Status) Problems() []string {
	switch s.State {
	case Ready:
		if s.Error != "" {
			return []string{s.Error}
		}
	case Unregistered:
		if s.Error != "" {
			return []string{"the signer is not registered: " + s.Error}
		}
		return []string{"the signer is not registered"}
	case Replaced:
		if !s.expected {
			return []string{"the operator has another signer by now"}
		}
	default:
		return []string{fmt.Sprintf("%s: %s", s.State, s.Error)}
	}
	return nil
}
