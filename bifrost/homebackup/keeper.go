package homebackup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/internal/recurring"
)

// Metrics is told of what a [Keeper] does.
type Metrics interface {
	// BackedUp is told of each backup that was made, or found to be of the same files.
	BackedUp(*Created)
	// BackupFailed is told of each that could not be made.
	BackupFailed()
}

// A KeeperConfig is what a [Keeper] works with.
type KeeperConfig struct {
	// Owner is whose home is backed up. Its key is the keeper's, which wipes it.
	Owner Owner
	// Dir is the folder of the backups.
	Dir string
	// Period is the time between two looks at the home.
	Period time.Duration
	// Wanted reports whether the home is to be backed up now; nil is always.
	Wanted  func() bool
	Log     zerolog.Logger
	Metrics Metrics
}

const (
	// firstRetry is the time after which a backup that failed is tried again, the first time.
	firstRetry = 2 * time.Second
	// stopPatience is how long the end of a process waits for a last backup.
	stopPatience = 20 * time.Second
)

// A Keeper backs the home of a running bifrost up: when it starts, whenever it is asked to, in
// every period, and at its end. A folder that hangs, as that of a server that is gone, holds up
// nobody but who waits for a backup.
type Keeper struct {
	cfg    KeeperConfig
	job    *recurring.Job
	create func(context.Context) (*Created, error)
	// patience is stopPatience, but in tests.
	patience time.Duration

	mu     sync.Mutex
	status KeeperStatus
}

// KeeperStatus is what an operator may know of a [Keeper]. It holds no secret.
type KeeperStatus struct {
	Dir string `json:"dir"`
	// Manifest is the id of the newest backup, empty while this process knows of none, and
	// Keyshares is how many are in it.
	Manifest  string `json:"manifest"`
	Keyshares int    `json:"keyshares"`
	// LastSuccess is when the home was last found or made to be backed up.
	LastSuccess time.Time `json:"last_success"`
	// Error is why the last try failed, empty when it did not.
	Error string `json:"error"`
	// Fork is the id of a store that a copy of the home writes to as well.
	Fork string `json:"fork"`
	// Damaged are files of the home that do not open, and why.
	Damaged []string `json:"damaged"`
}

// Problems are what keeps a home from being backed up as it should be.
func (s KeeperStatus) Problems() (problems []string) {
	if s.Error != "" {
		problems = append(problems, fmt.Sprintf("the home is not backed up in %s: %s", s.Dir, s.Error))
	}
	if s.Fork != "" {
		problems = append(problems, "another process writes to the backups "+s.Fork+" of this home: it "+
			"was copied, and two bifrosts with one mnemonic must not run")
	}
	for _, d := range s.Damaged {
		problems = append(problems, "the backup lacks or keeps an older "+d)
	}
	return problems
}

// NewKeeper looks at nothing yet.
func NewKeeper(cfg KeeperConfig) *Keeper {
	k := &Keeper{
		cfg: cfg, patience: stopPatience,
		status: KeeperStatus{Dir: cfg.Dir, Damaged: []string{}},
	}
	k.job = recurring.New(cfg.Period, firstRetry, cfg.Period, k.once)
	k.create = func(ctx context.Context) (*Created, error) {
		return Create(ctx, cfg.Owner, cfg.Dir, time.Now())
	}
	return k
}

// Status is how the backups go.
func (k *Keeper) Status() KeeperStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.status
	s.Damaged = slices.Clone(s.Damaged)
	return s
}

// BackUp returns once a backup is made that was begun after the call, or the context has ended with
// its error. What fails is tried again.
func (k *Keeper) BackUp(ctx context.Context) error { return k.job.Wait(ctx) }

// Run makes backups until the context ends.
func (k *Keeper) Run(ctx context.Context) { k.job.Run(ctx) }

// Close makes a last backup, for which it waits a while, and wipes the key. Nothing may run any
// more.
func (k *Keeper) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), k.patience)
	defer cancel()
	_ = k.job.Once(ctx)
	if k.job.End() { // else it hangs, and the process ends
		k.cfg.Owner.Key.Wipe()
	}
}

// once makes a backup.
func (k *Keeper) once(ctx context.Context) error {
	if k.cfg.Wanted != nil && !k.cfg.Wanted() {
		return nil
	}
	c, err := k.create(ctx)
	k.note(c, err)
	return err
}

// note remembers how a backup went.
func (k *Keeper) note(c *Created, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return // it ends
		}
		k.cfg.Metrics.BackupFailed()
		if k.status.Error != err.Error() {
			k.cfg.Log.Error().Err(err).Str("dir", k.cfg.Dir).Msg("THE HOME IS NOT BACKED UP; trying again")
		}
		k.status.Error = err.Error()
		return
	}
	k.cfg.Metrics.BackedUp(c)
	s := KeeperStatus{
		Dir: k.cfg.Dir, Manifest: c.Manifest.ID(), Keyshares: c.Manifest.Keyshares(),
		LastSuccess: time.Now().UTC(), Fork: c.Fork, Damaged: []string{},
	}
	// A fork that was found stays one until this process ends.
	if s.Fork == "" {
		s.Fork = k.status.Fork
	}
	for _, d := range c.Damaged {
		s.Damaged = append(s.Damaged, d.Error())
	}
	k.tell(c, s)
	k.status = s
}

// tell logs what is new.
func (k *Keeper) tell(c *Created, s KeeperStatus) {
	log := k.cfg.Log.With().Str("dir", s.Dir).Str("backup", s.Manifest).Logger()
	if s.Fork != k.status.Fork {
		log.Error().Str("store", s.Fork).Msg("ANOTHER PROCESS WRITES TO THE BACKUPS OF THIS HOME: it was " +
			"copied, and two bifrosts with one mnemonic must not run")
	}
	if !slices.Equal(s.Damaged, k.status.Damaged) {
		log.Error().Strs("files", s.Damaged).Msg("files of the home are not in order: the backup lacks " +
			"them, or keeps them as they were")
	}
	if !c.Unchanged || k.status.Error != "" {
		log.Info().Int("keyshares", s.Keyshares).Int("objects", c.Objects).Int64("bytes", c.Bytes).
			Msg("the home is backed up")
	}
}
