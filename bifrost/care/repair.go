package care

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/vault"
)

const (
	// repairRetry is the time between two tries to restore the same vault.
	repairRetry = time.Minute
	// repairInterval is the time between two looks at the chain for what should be here, lookRetry
	// after one that did not work.
	repairInterval = 30 * time.Second
	lookRetry      = 10 * time.Second
)

// Repairer restores the keyshares that this signer should hold and does not.
type Repairer struct {
	cfg Config
	// look verifies what should be here.
	look func(context.Context) (Records, error)
	now  func() time.Time

	// checked are the vaults whose files were found to be right; retryAt is when the others are
	// tried again. Both belong to the one goroutine that calls Once.
	checked map[string]bool
	retryAt map[string]time.Time

	mu       sync.Mutex
	problems map[string]string // by vault
}

// NewRepairer looks at nothing yet.
func NewRepairer(c Config) *Repairer {
	return &Repairer{
		cfg: c, look: c.Verifier.Look, now: time.Now,
		checked: map[string]bool{}, retryAt: map[string]time.Time{}, problems: map[string]string{},
	}
}

// Run restores what is missing after a churn, or was lost since, until the context ends. The first
// look is after a time that Once returned.
func (r *Repairer) Run(ctx context.Context, wait time.Duration) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = r.Once(ctx)
	}
}

// Once looks at every live vault of the signer, and returns after how long to look again. What
// could not be restored stays among the problems until a later look restores it or the vault is
// retired. While the records are not verified nothing is touched; the verifier remembers why.
func (r *Repairer) Once(ctx context.Context) time.Duration {
	verified, err := r.look(ctx)
	if err != nil {
		return lookRetry
	}
	vaults, err := verified.Vaults(ctx, r.cfg.Member.Raw())
	if err != nil {
		return lookRetry
	}
	var live []string
	for _, v := range vaults {
		if !v.IsLive() {
			continue
		}
		name := v.Name()
		live = append(live, name)
		if r.now().Before(r.retryAt[name]) {
			continue
		}
		err := r.vault(ctx, verified, v)
		if ctx.Err() != nil {
			return lookRetry
		}
		delete(r.retryAt, name)
		if err != nil {
			r.cfg.Metrics.RestoreFailed()
			r.retryAt[name] = r.now().Add(repairRetry)
		}
		r.note(name, err)
	}
	r.forget(live)
	return repairInterval
}

// vault makes sure that the keyshares of one vault are here.
func (r *Repairer) vault(ctx context.Context, verified Records, v vault.Vault) error {
	complete, err := r.complete(v)
	if complete || err != nil {
		return err
	}
	r.cfg.Log.Warn().Str("vault", v.Name()).
		Msg("the keyshares of a live vault are not here; restoring them from the backup")
	gate := gate{mutex: r.cfg.Scrypt}
	defer gate.open()
	results, err := restore.Run(ctx, restore.Config{
		Records: liveOnly{verified}, Source: verified.Envelope, Store: r.cfg.Store,
		Mnemonic: r.cfg.Member.Mnemonic, Member: r.cfg.Member.Address, Vault: v.PubKey,
		Progress: gate.step,
	})
	if err != nil {
		return err
	}
	for _, result := range results {
		for _, rejected := range result.Rejected {
			r.cfg.Log.Warn().Err(rejected).Str("vault", v.Name()).
				Msg("a later backup was passed over")
		}
		if result.Err != nil {
			return result.Err
		}
		r.cfg.Log.Warn().Str("vault", v.Name()).Int64("height", result.Commitment.Height).
			Strs("files", result.Files).Msg("keyshares are restored")
	}
	r.checked[v.Name()] = true
	r.cfg.Metrics.Restored()
	return nil
}

// complete reports whether both files of a vault are here. The first time it reads them: a file
// that does not hold what it should is an error, and stays as it is.
func (r *Repairer) complete(v vault.Vault) (bool, error) {
	if r.checked[v.Name()] {
		names, err := v.FileNames(r.cfg.Member.Prefix)
		if err != nil {
			return false, err
		}
		there, err := r.cfg.Store.List()
		if err != nil {
			return false, err
		}
		return slices.Contains(there, names[0]) && slices.Contains(there, names[1]), nil
	}
	err := r.cfg.Member.CheckFiles(r.cfg.Store, v)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	r.checked[v.Name()] = err == nil
	return err == nil, err
}

// note remembers what is wrong with a vault, and says it when it is new.
func (r *Repairer) note(vault string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		delete(r.problems, vault)
		return
	}
	text := fmt.Sprintf("vault %s: its keyshares are not restored: %v", vault, err)
	if r.problems[vault] != text {
		r.cfg.Log.Error().Err(err).Str("vault", vault).
			Msg("KEYSHARES ARE MISSING and could not be restored; trying again")
	}
	r.problems[vault] = text
}

// forget drops what was remembered of vaults that do not live any more.
func (r *Repairer) forget(live []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := func(vault string) bool { return !slices.Contains(live, vault) }
	maps.DeleteFunc(r.problems, func(vault, _ string) bool { return gone(vault) })
	maps.DeleteFunc(r.checked, func(vault string, _ bool) bool { return gone(vault) })
	maps.DeleteFunc(r.retryAt, func(vault string, _ time.Time) bool { return gone(vault) })
}

// Problems are what is not restored, in the order of the vaults.
func (r *Repairer) Problems() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, vault := range slices.Sorted(maps.Keys(r.problems)) {
		list = append(list, r.problems[vault])
	}
	return list
}

// liveOnly hides vaults that do not live: package restore would restore a retired vault that is
// named to it.
type liveOnly struct{ restore.Records }

// Vault implements restore.Records.
func (l liveOnly) Vault(ctx context.Context, pubKey []byte) (vault.Vault, error) {
	v, err := l.Records.Vault(ctx, pubKey)
	if err == nil && !v.IsLive() {
		err = fmt.Errorf("%w: it does not live any more", restore.ErrNoVault)
	}
	return v, err
}

// gate holds a mutex while a restore is in the step that runs scrypt.
type gate struct {
	mutex *sync.Mutex
	held  bool
}

func (g *gate) step(e restore.Event) {
	g.open()
	if e.Step == restore.StepOpen {
		g.mutex.Lock()
		g.held = true
	}
}

func (g *gate) open() {
	if g.held {
		g.mutex.Unlock()
	}
	g.held = false
}
