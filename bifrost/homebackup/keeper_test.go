package homebackup

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/internal/recurring"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/homekeys"
)

// tally counts what a keeper told.
type tally struct {
	mu           sync.Mutex
	made, failed int
}

func (t *tally) BackedUp(*Created) { t.mu.Lock(); t.made++; t.mu.Unlock() }
func (t *tally) BackupFailed()     { t.mu.Lock(); t.failed++; t.mu.Unlock() }

func (t *tally) counts() (made, failed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.made, t.failed
}

// A folder answers each backup when the test says how.
type folder struct {
	begun  chan struct{}
	answer chan error
}

func (f *folder) create(context.Context) (*Created, error) {
	f.begun <- struct{}{}
	if err := <-f.answer; err != nil {
		return nil, err
	}
	return &Created{Manifest: &Manifest{Sequence: 1, sum: sumOf(nil)}}, nil
}

func newKeeper(t *testing.T) (*Keeper, *folder, *tally) {
	counted := &tally{}
	mnemonic, err := sanity.ParseMnemonic([]byte(homekeys.Words))
	require.NoError(t, err)
	key, err := signer.Derive(mnemonic, signer.DefaultHDPath)
	require.NoError(t, err)
	k := NewKeeper(KeeperConfig{
		Owner: Owner{Key: key}, Dir: "/backups", Period: time.Hour, Log: zerolog.Nop(), Metrics: counted,
	})
	f := &folder{begun: make(chan struct{}, 10), answer: make(chan error)}
	k.create, k.patience = f.create, time.Hour
	k.job = recurring.New(time.Hour, time.Millisecond, time.Second, k.once)
	return k, f, counted
}

func TestABackupThatIsWaitedForIsBegunAfterwards(t *testing.T) {
	k, f, counted := newKeeper(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { k.Run(ctx) })
	<-f.begun // the one of the start, which may have looked at the home already

	asked := make(chan error, 2)
	for range 2 {
		go func() { asked <- k.BackUp(t.Context()) }()
	}
	require.Eventually(t, func() bool { return k.job.Waiting() == 2 }, time.Minute, time.Millisecond)
	f.answer <- nil
	<-f.begun
	require.Empty(t, asked)
	f.answer <- errors.New("no space left on device")
	<-f.begun
	require.Empty(t, asked)
	require.Contains(t, k.Status().Problems()[0], "no space left on device")
	f.answer <- nil
	require.NoError(t, <-asked)
	require.NoError(t, <-asked)
	require.Empty(t, k.Status().Problems())
	require.NotZero(t, k.Status().LastSuccess)
	made, failed := counted.counts()
	require.Equal(t, [2]int{2, 1}, [2]int{made, failed})

	cancel()
	running.Wait()
	ended := make(chan struct{})
	go func() { k.Close(); close(ended) }()
	<-f.begun
	f.answer <- nil
	<-ended
}

func TestAFolderThatHangsHoldsUpNobodyButWhoWaits(t *testing.T) {
	k, f, _ := newKeeper(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { k.Run(ctx) })
	<-f.begun
	waits, stop := context.WithCancel(t.Context())
	asked := make(chan error)
	go func() { asked <- k.BackUp(waits) }()
	stop()
	require.ErrorIs(t, <-asked, context.Canceled)
	cancel()
	running.Wait()
	k.patience = time.Millisecond
	k.Close()
	require.NotPanics(t, func() { k.cfg.Owner.Key.PubKey() }, "what hangs may still use the key")
	f.answer <- nil
}

func TestProblemsOfBackups(t *testing.T) {
	s := KeeperStatus{
		Dir: "/nas", Error: "no space left", Fork: "f00d", Damaged: []string{"keyshares/1/a.json: torn"},
	}
	problems := s.Problems()
	require.Len(t, problems, 3)
	require.Contains(t, problems[0], "/nas: no space left")
	require.Contains(t, problems[1], "f00d")
	require.Contains(t, problems[2], "keyshares/1/a.json: torn")
}
