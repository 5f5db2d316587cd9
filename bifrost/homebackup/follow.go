package homebackup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/internal/recurring"
)

// A FollowerConfig is what a [Follower] works with.
type FollowerConfig struct {
	// Home is the home that is kept up to date. Nothing sends what is in its outbox meanwhile.
	Home string
	Keys Keys
	// From says where the backups come from, for people, and Fetch brings them into a folder.
	From  string
	Fetch func(context.Context) (dir string, err error)
	// Check is of each keyshare before it is let in.
	Check Check
	// Wanted reports whether the home is to follow now.
	Wanted func() bool
	Log    zerolog.Logger
}

const (
	// followPeriod is the time between two looks at the backups, and maxFollowRetry the longest
	// after one that failed.
	followPeriod   = time.Minute
	maxFollowRetry = time.Minute
)

// A Follower brings what another instance of the signer backs up into a home that stands by: each
// keyshare, and the records of what was published or is about to be. It adds what the home does not
// have, and replaces and removes nothing.
type Follower struct {
	cfg FollowerConfig
	job *recurring.Job
	// followed names the manifests that were there at the last look that worked, and shares those
	// at the last one for keyshares alone. They belong to the job.
	followed, shares string
	// last says that a look is wanted whatever the configuration says, and acts, when it is not 0,
	// that it is for keyshares alone.
	last atomic.Bool
	acts atomic.Int32

	mu     sync.Mutex
	status FollowerStatus
}

// FollowerStatus is what an operator may know of a [Follower]. It holds no secret.
type FollowerStatus struct {
	From string `json:"from"`
	// Manifest is the id of the newest backup that the home has followed, empty before the first,
	// Time when that was made, and Keyshares how many are in it.
	Manifest  string    `json:"manifest"`
	Time      time.Time `json:"time"`
	Keyshares int       `json:"keyshares"`
	// LastSuccess is when the home was last seen to have all that the backups hold.
	LastSuccess time.Time `json:"last_success"`
	// Error is why the last look failed, empty when it did not.
	Error string `json:"error"`
}

// Problems are what keeps a home from following.
func (s FollowerStatus) Problems() (problems []string) {
	if s.Error != "" {
		problems = append(problems,
			fmt.Sprintf("this home does not follow the backups in %s: %s", s.From, s.Error))
	}
	return problems
}

// errNotWanted is of a look at a time when the home follows nothing.
var errNotWanted = errors.New("the home does not stand by")

// NewFollower looks at nothing yet.
func NewFollower(cfg FollowerConfig) *Follower {
	f := &Follower{cfg: cfg, status: FollowerStatus{From: cfg.From}}
	f.job = recurring.New(followPeriod, firstRetry, maxFollowRetry, f.once)
	return f
}

// once looks when it is wanted.
func (f *Follower) once(ctx context.Context) error {
	if !f.last.Load() && !f.cfg.Wanted() {
		return errNotWanted
	}
	return f.look(ctx)
}

// Status is how it goes.
func (f *Follower) Status() FollowerStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// Run follows the backups until the context ends.
func (f *Follower) Run(ctx context.Context) { f.job.Run(ctx) }

// Last looks once more, wanted or not, when nothing runs the follower any more. It returns when the
// context ends, whether the folder answers or not; what comes later is not let in.
func (f *Follower) Last(ctx context.Context) error {
	f.last.Store(true)
	defer f.last.Store(false)
	return f.job.Once(ctx)
}

// Keyshares is [Follower.Last] of a home that acts: it lets in keyshares alone, since the records
// in its outbox are those of who has it open.
func (f *Follower) Keyshares(ctx context.Context) error {
	f.acts.Add(1)
	defer f.acts.Add(-1)
	return f.Last(ctx)
}

// look lets in what is new.
func (f *Follower) look(ctx context.Context) error {
	newest, added, err := f.follow(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		if f.status.Error != err.Error() {
			f.cfg.Log.Error().Err(err).Str("from", f.cfg.From).
				Msg("THIS HOME DOES NOT FOLLOW the backups; trying again")
		}
		f.status.Error = err.Error()
		return err
	}
	f.status.Error, f.status.LastSuccess = "", time.Now().UTC()
	if newest != nil {
		f.status.Manifest, f.status.Time = newest.ID(), newest.Time
		f.status.Keyshares = newest.Keyshares()
	}
	if len(added) > 0 {
		f.cfg.Log.Info().Str("backup", f.status.Manifest).Strs("files", added).
			Msg("this home has what the backup holds")
	}
	return nil
}

// follow returns the newest backup, nil when all are as they were, and the files that were let in.
func (f *Follower) follow(ctx context.Context) (newest *Manifest, added []string, err error) {
	dir, err := f.cfg.Fetch(ctx)
	if err != nil {
		return nil, nil, err
	}
	followed, acts := &f.followed, f.acts.Load() > 0
	if acts {
		followed = &f.shares
	}
	there, err := manifestsIn(dir)
	if err != nil || there == *followed && there != "" {
		return nil, nil, err
	}
	p, err := Prepare(ctx, dir, f.cfg.Keys, Choice{Unite: true}, f.cfg.Check)
	if err != nil {
		return nil, nil, err
	}
	if added, err = p.Add(ctx, f.cfg.Home, !acts); err != nil {
		return nil, added, err
	}
	if p.cause != nil {
		return nil, added, p.cause
	}
	*followed = there
	return p.Manifest, added, nil
}

// manifestsIn are the names of all manifests in a folder.
func manifestsIn(dir string) (string, error) {
	all, err := stores(dir)
	if err != nil {
		return "", err
	}
	var names strings.Builder
	for _, s := range all {
		places, err := s.manifests()
		if err != nil {
			return "", err
		}
		for _, p := range places {
			fmt.Fprintf(&names, "%s/%s\n", s.id, p.id())
		}
	}
	return names.String(), nil
}

// Add writes into a home the keyshares that it does not have, and the records if they are wanted,
// and returns their names. A record of what was on its way to the chain is among them, if its
// message was fixed: who goes on with it sends no other. The configuration and the trusted header
// are the home's own.
func (p *Plan) Add(
	ctx context.Context, homeDir string, records bool,
) (added []string, err error) {
	at := func(name string) string { return filepath.Join(homeDir, filepath.FromSlash(name)) }
	for _, f := range slices.Concat(p.files, p.open) {
		name, has := f.Name, []string{f.Name}
		switch {
		case f.IsKeyshare():
			name += sealedSuffix
			has[0] = name
		case !records:
			continue
		case f.isOpen():
			has = append(has, path.Join(closedDir, path.Base(f.Name)))
		case path.Dir(f.Name) != closedDir:
			continue
		}
		if anyThere(at, has) {
			continue
		}
		err := p.each(f, func(name string, data []byte) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return write(at(name), data)
		})
		if err != nil {
			return added, err
		}
		added = append(added, f.Name)
	}
	return added, nil
}

func anyThere(at func(string) string, names []string) bool {
	for _, name := range names {
		if _, err := os.Lstat(at(name)); err == nil {
			return true
		}
	}
	return false
}
