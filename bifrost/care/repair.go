package care

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
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
	// examineInterval is the time between two examinations of files whose bytes did not change.
	examineInterval = time.Hour
)

// Repairer restores the keyshares that this signer should hold and does not, or that are not what
// they were.
type Repairer struct {
	cfg Config
	// look verifies what should be here, examine what is.
	look    func(context.Context) (Records, error)
	examine func(v vault.Vault) (damaged []string, err error)
	now     func() time.Time

	// once is held by Once. Under it are checked, the vaults whose files were found to be right,
	// and retryAt, when the others are tried again.
	once    sync.Mutex
	checked map[string]checked
	retryAt map[string]time.Time

	mu       sync.Mutex
	problems map[string]string   // by vault
	damaged  map[string][]string // the names of a vault's files that are wrong
}

// checked is when the files of a vault were found to be right, and their hashes by name.
type checked struct {
	at     time.Time
	hashes map[string]string
}

// NewRepairer looks at nothing yet.
func NewRepairer(c Config) *Repairer {
	return &Repairer{
		cfg: c, look: c.Verifier.Look, now: time.Now,
		examine: func(v vault.Vault) ([]string, error) { return c.Member.examine(c.Store, v) },
		checked: map[string]checked{}, retryAt: map[string]time.Time{},
		problems: map[string]string{}, damaged: map[string][]string{},
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
	r.once.Lock()
	defer r.once.Unlock()
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

// vault makes sure that the right keyshares of one vault are here. A wrong file stays where it is
// until the backup was opened and found to be right: then it is set aside for that.
func (r *Repairer) vault(ctx context.Context, verified Records, v vault.Vault) error {
	if r.unchanged(v) {
		return nil
	}
	damaged, err := r.examine(v)
	switch {
	case err == nil:
		r.place(v)
		r.right(v)
		return nil
	case len(damaged) > 0:
		r.noteDamaged(v.Name(), damaged, err)
	case errors.Is(err, fs.ErrNotExist):
		r.cfg.Log.Warn().Str("vault", v.Name()).
			Msg("the keyshares of a live vault are not here; restoring them from the backup")
	default:
		return err
	}
	gate := gate{mutex: r.cfg.Scrypt}
	defer gate.open()
	results, err := restore.Run(ctx, restore.Config{
		Records: liveOnly{verified}, Source: r.source(verified), Group: verified.Group,
		Store: &replacing{
			Store: r.cfg.Store, epoch: v.Epoch, names: damaged, log: r.cfg.Log,
		},
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
	r.right(v)
	r.cfg.Metrics.Restored()
	return nil
}

// source takes what the members hold from this home, or else from the others.
func (r *Repairer) source(verified Records) restore.Source {
	members := r.cfg.Members
	if members != nil && r.cfg.Kept != nil {
		members = restore.Either(r.cfg.Kept, members, func(error) {})
	}
	return restore.ByPlacement(verified.Envelope, members)
}

// replacing sets the files aside that are wrong, once the right ones are there to be saved.
type replacing struct {
	Store
	epoch uint64
	names []string
	log   zerolog.Logger
}

// Save implements restore.Store.
func (s *replacing) Save(epoch uint64, files []envelope.File) error {
	for _, name := range s.names {
		path, err := s.SetAside(s.epoch, name)
		if err != nil {
			return fmt.Errorf("moving the damaged %s aside: %w", name, err)
		}
		s.log.Warn().Str("file", name).Str("path", path).
			Msg("the damaged keyshare file is kept aside: find out what the disk did to it")
	}
	s.names = nil
	return s.Store.Save(epoch, files)
}

// unchanged reports whether the files of a vault are, byte for byte, what was found to be right
// less than examineInterval ago.
func (r *Repairer) unchanged(v vault.Vault) bool {
	known, ok := r.checked[v.Name()]
	if !ok || r.now().Sub(known.at) >= examineInterval {
		return false
	}
	hashes, err := r.cfg.Member.hashes(r.cfg.Store, v)
	return err == nil && maps.Equal(hashes, known.hashes)
}

// place gives the files of a vault, which were found to be right, the place of their epoch, should
// they have been put here before it was known. Where they are they are found as well.
func (r *Repairer) place(v vault.Vault) {
	names, err := keyfiles.Names(v, r.cfg.Member.Prefix)
	if err == nil {
		err = r.cfg.Store.Place(v.Epoch, names[:]...)
	}
	if err != nil {
		r.cfg.Log.Warn().Err(err).Str("vault", v.Name()).
			Msg("keyshares were not moved to the folder of their epoch")
	}
}

// right notes that the files of a vault are what they should be.
func (r *Repairer) right(v vault.Vault) {
	hashes, err := r.cfg.Member.hashes(r.cfg.Store, v)
	if err != nil {
		return // it is examined again
	}
	r.checked[v.Name()] = checked{r.now(), hashes}
}

// noteDamaged remembers which files of a vault are wrong, and says it when it is new.
func (r *Repairer) noteDamaged(vault string, files []string, err error) {
	delete(r.checked, vault)
	r.mu.Lock()
	known := slices.Equal(r.damaged[vault], files)
	r.damaged[vault] = files
	if !known {
		r.problems[vault] = fmt.Sprintf("vault %s: a keyshare is DAMAGED: %v", vault, err)
	}
	r.mu.Unlock()
	if known {
		return
	}
	r.cfg.Metrics.Damaged()
	r.cfg.Log.Error().Err(err).Str("vault", vault).Strs("files", files).
		Msg("A KEYSHARE IS DAMAGED; restoring it from the backup")
}

// note remembers what is wrong with a vault, and says it when it is new.
func (r *Repairer) note(vault string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		delete(r.problems, vault)
		delete(r.damaged, vault)
		return
	}
	what, text := "are not restored", "KEYSHARES ARE MISSING and could not be restored; trying again"
	if files := r.damaged[vault]; len(files) > 0 {
		what = "are DAMAGED (" + strings.Join(files, ", ") + ") and not restored"
		text = "KEYSHARES ARE DAMAGED and could not be restored; trying again"
	}
	problem := fmt.Sprintf("vault %s: its keyshares %s: %v", vault, what, err)
	if r.problems[vault] != problem {
		r.cfg.Log.Error().Err(err).Str("vault", vault).Msg(text)
	}
	r.problems[vault] = problem
}

// forget drops what was remembered of vaults that do not live any more.
func (r *Repairer) forget(live []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := func(vault string) bool { return !slices.Contains(live, vault) }
	maps.DeleteFunc(r.problems, func(vault, _ string) bool { return gone(vault) })
	maps.DeleteFunc(r.damaged, func(vault string, _ []string) bool { return gone(vault) })
	maps.DeleteFunc(r.checked, func(vault string, _ checked) bool { return gone(vault) })
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

// Damaged are the vaults of which a keyshare file is wrong and not yet restored, in order.
func (r *Repairer) Damaged() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.damaged))
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
