package service

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/sink"
	"github.com/tssbackup/tssbackup/bifrost/term"
)

// Follow says whose backups a bifrost follows that stands by.
type Follow struct {
	// From is a folder of backups, or the URL of Sink.
	From string
	// Sink is nil for a folder.
	Sink sink.Sink
	// Check is of each keyshare before it is let in.
	Check homebackup.Check
}

// StateStandby stands for whatever the chain says of a signer while this instance stands by in good
// order.
const StateStandby registration.State = "standby"

// lastLook is how long a promoted instance waits for what the instance before has backed up.
const lastLook = time.Minute

// newFollower makes what keeps the home up to date while it stands by.
func (s *service) newFollower(f *Follow) {
	if f == nil {
		return
	}
	s.follower = homebackup.NewFollower(homebackup.FollowerConfig{
		Home: s.home, Keys: s.backupKeys, From: f.From, Check: f.Check, Log: s.log,
		Wanted: func() bool { return s.terms.Status().Idle() },
		Fetch: func(ctx context.Context) (string, error) {
			if f.Sink == nil {
				return f.From, nil
			}
			dir := home.StandbyDir(s.home)
			return dir, sink.Fetch(ctx, sound{f.Sink}, dir, homebackup.IsFile)
		},
	})
}

// sound has the files of a sink that are what their names say: others are asked for again.
type sound struct{ sink.Sink }

// Get implements [sink.Reader].
func (s sound) Get(ctx context.Context, name string) ([]byte, error) {
	data, err := s.Sink.Get(ctx, name)
	if err == nil && homebackup.CheckFile(name, data) != nil {
		err = fmt.Errorf("%s: %w: %w", name, sink.ErrAltered, fs.ErrNotExist)
	}
	return data, err
}

// acquire takes the next term, when this instance may, and follows the backups until then.
func (s *service) acquire(ctx context.Context) (uint64, error) {
	if s.follower == nil {
		return s.terms.Acquire(ctx)
	}
	follow, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.follower.Run(follow)
	}()
	number, err := s.terms.Acquire(ctx)
	stop()
	<-done
	return number, err
}

// catchUp restores what the instance before this one has made. From the term's first block on that
// one sends nothing any more: what it has sent is in a backup if votes wait for it.
func (s *service) catchUp(ctx context.Context) {
	if s.follower != nil {
		last, stop := context.WithTimeout(ctx, lastLook)
		defer stop()
		if err := s.follower.Last(last); err != nil && ctx.Err() == nil {
			s.log.Error().Err(err).Msg("THE LATEST BACKUP IS NOT HERE: this instance acts with what it has, " +
				"and with what the chain has")
		}
	}
	s.repairer.Once(ctx)
}

// standby is how the home follows the backups, and what keeps it from that; nil where it does not.
func (s *service) standby(t term.Status) (st *homebackup.FollowerStatus, problems []string) {
	if s.follower == nil || !t.Idle() {
		return nil, nil
	}
	of := s.follower.Status()
	return &of, of.Problems()
}
