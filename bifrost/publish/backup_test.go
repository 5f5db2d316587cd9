package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// withBackups gives members a folder for their backups in which nothing arrives until it is
// released, and tells which of them have asked for one.
func (w *world) withBackups(members []*member) (asked chan *member, release func()) {
	asked, released := make(chan *member, 10*len(members)), make(chan struct{})
	for _, m := range members {
		m.backup = func(ctx context.Context) error {
			asked <- m
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-released:
				return nil
			}
		}
	}
	return asked, func() { close(released) }
}

// A member signs for a result once its keyshares are backed up, and sends its vote once that is.
func TestAVoteWaitsForItsBackup(t *testing.T) {
	w := newWorld(t, 4)
	slow := w.members[2]
	asked, release := w.withBackups(w.members[2:3])
	w.chain.open(1, 1000, w.infos())
	w.start()
	<-asked
	files, err := slow.store().List(1)
	require.NoError(t, err)
	require.Len(t, files, 2, "what is backed up is in the store")
	require.True(t, slow.reached("result"))
	w.eventually("the others vote", func() bool { return len(w.keygen(1).Votes) == 3 })
	<-asked
	require.True(t, slow.reached("message"), "what is backed up is what is sent")
	require.Nil(t, w.keygen(1).VoteOf(slow.raw()))
	release()
	w.awaitReady(1)
	w.awaitClosed(1)
	w.checkInvariants()
	require.Equal(t, 1, w.chainVotes(slow))
	require.Zero(t, slow.counted("not backed up"))
}

func TestABackupThatNeverEndsSilencesNobody(t *testing.T) {
	w := newWorld(t, 4)
	asked, _ := w.withBackups(w.members)
	w.chain.open(1, 1000, w.infos())
	w.start()
	for range 2 * len(w.members) { // for the keyshares, and for the vote
		<-asked
	}
	k := w.keygen(1)
	w.chain.advance((k.CertificateDeadline-k.AsOf)/2 - 20)
	require.Empty(t, w.keygen(1).Votes)
	w.chain.advance(20)
	w.awaitReady(1)
	w.awaitClosed(1)
	w.checkInvariants()
	for _, m := range w.members {
		require.Equal(t, 1, w.chainVotes(m))
		require.Equal(t, 1, m.counted("not backed up"))
	}
}

func TestAStrictBackupIsWaitedForWhateverItCosts(t *testing.T) {
	t.Run("one member signs for no result", func(t *testing.T) {
		w := newWorld(t, 4)
		slow := w.members[0]
		slow.strict = true
		asked, _ := w.withBackups(w.members[:1])
		w.chain.open(1, 1000, w.infos())
		w.start()
		<-asked
		w.chain.advance(900)
		w.eventually("four votes", func() bool { return len(w.keygen(1).Votes) == 4 })
		for _, v := range w.keygen(1).Votes {
			require.Nil(t, v.Result)
		}
		require.Nil(t, w.keygen(1).Certificate)
	})
	t.Run("one member is silent, whose folder went away after it had signed", func(t *testing.T) {
		w := newWorld(t, 4)
		slow := w.members[0]
		slow.strict = true
		slow.backup = hangsAfter(1)
		w.chain.open(1, 1000, w.infos())
		w.start()
		w.eventually("the others vote", func() bool { return len(w.keygen(1).Votes) == 3 })
		w.awaitChecked(1)
		w.chain.advance(1000)
		w.eventually("it missed the keygen", func() bool { return slow.counted("missed") == 1 })
		require.Zero(t, w.chainVotes(slow))
	})
}

// hangsAfter is a folder in which so many backups arrive, and none after them.
func hangsAfter(n int32) func(context.Context) error {
	var asked atomic.Int32
	return func(ctx context.Context) error {
		if asked.Add(1) <= n {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
}

// A host is lost after its member has signed for a result, and before it has voted. Another one has
// what was backed up until then, and votes for the result: by the same proof, once that is there.
func TestAHostThatIsLostAfterItSignedIsReplacedWithoutLoss(t *testing.T) {
	for _, row := range []struct {
		name    string
		folders []string
	}{
		{"the backup of its keyshares has arrived", []string{"keyshares"}},
		{"that of its vote has arrived as well", []string{"keyshares", "outbox"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, 4)
			lost := w.members[2]
			lost.backup = hangsAfter(1)
			w.chain.open(1, 1000, w.infos())
			w.start()
			w.eventually("the others vote", func() bool { return len(w.keygen(1).Votes) == 3 })
			w.eventually("its vote is made", func() bool { return lost.reached("message") })
			lost.halt()
			before, proofs := lost.home, lost.proofs()
			lost.home, lost.backup = t.TempDir(), nil
			for _, dir := range row.folders {
				require.NoError(t, os.CopyFS(filepath.Join(lost.home, dir), os.DirFS(filepath.Join(before, dir))))
			}
			lost.run()
			w.awaitReady(1)
			w.awaitClosed(1)
			w.checkInvariants()
			require.Equal(t, 1, w.chainVotes(lost))
			require.Equal(t, len(row.folders) == 1, lost.proofs() > proofs)
		})
	}
}

// A host that is cut off from the chain signs for a result after another one has its term. What it
// has backed up before comes to that one while it acts, which votes for the result.
func TestKeysharesThatAreBackedUpAfterTheNextInstanceActs(t *testing.T) {
	w := newWorld(t, 4)
	lost := w.members[2]
	lost.backup = hangsAfter(1)
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.eventually("the others vote", func() bool { return len(w.keygen(1).Votes) == 3 })
	w.eventually("its vote is made", func() bool { return lost.reached("message") })
	lost.halt()
	before := lost.home
	lost.home, lost.backup = t.TempDir(), nil
	var looks atomic.Int32
	lost.catchUp = func(context.Context) error {
		switch looks.Add(1) {
		case 1:
			return errors.New("the bucket does not answer")
		case 2:
			return nil // there is nothing yet
		}
		return os.CopyFS(filepath.Join(lost.home, "keyshares"), os.DirFS(filepath.Join(before, "keyshares")))
	}
	lost.run()
	w.awaitReady(1)
	w.awaitClosed(1)
	w.checkInvariants()
	require.Equal(t, 1, w.chainVotes(lost))
	require.Empty(t, w.keygen(1).Silent)
	require.EqualValues(t, 3, looks.Load())
}

// TestReplacedAtEveryChangeToTheDisk loses a host at each change that a vote makes to its disk, and
// has the next one go on with what was backed up until then. Whenever that is, the keygen has a
// vault of all members, and the chain one vote, one envelope and one proof of each.
func TestReplacedAtEveryChangeToTheDisk(t *testing.T) {
	spareOf := func(m *member) (dir string) {
		dir = t.TempDir()
		m.backup = func(context.Context) error { return backUpTo(m.home, dir) }
		return dir
	}
	changes := changesOfAVote(t, func(m *member) { spareOf(m) })
	for n := 1; n <= changes; n++ {
		t.Run(fmt.Sprint("before change ", n), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 4)
			w.chain.split = n%2 == 0
			w.tss.patience = 200 * time.Millisecond
			m := w.members[1]
			spare := spareOf(m)
			m.dieBefore, m.lost = n, true
			w.chain.open(1, 1000, w.infos())
			w.start()
			w.eventually("its host is lost", func() bool {
				m.mu.Lock()
				defer m.mu.Unlock()
				return m.deaths == 1
			})
			m.halt()
			w.chain.mu.Lock()
			w.chain.terms[m.address] = 1
			w.chain.mu.Unlock()
			m.home, m.term, m.lost = spare, 1, false
			m.backup = func(context.Context) error { return nil }
			m.run()
			w.awaitReady(1)
			w.awaitClosed(1)
			w.checkInvariants()
			require.Equal(t, 1, w.chainVotes(m))
			require.Empty(t, w.keygen(1).Silent)
		})
	}
}

// backUpTo copies what a backup of a home has: records whose message is fixed, and keyshares.
func backUpTo(home, dir string) error {
	for _, pattern := range []string{"outbox/*.json", "outbox/closed/*.json", "keyshares/*/localstate-*"} {
		paths, err := filepath.Glob(filepath.Join(home, pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			var r outbox.Record
			if filepath.Base(filepath.Dir(path)) == "outbox" && (json.Unmarshal(data, &r) != nil || !r.Final()) {
				continue
			}
			to := filepath.Join(dir, strings.TrimPrefix(path, home))
			if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(to, data, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// Without a backup of them the keyshares are lost with the host, and its member is silent.
func TestAHostThatIsLostWithItsKeysharesIsSilent(t *testing.T) {
	w := newWorld(t, 4)
	lost := w.members[2]
	lost.backup = hangsAfter(1)
	w.chain.open(1, 1000, w.infos())
	w.start()
	w.eventually("the others vote", func() bool { return len(w.keygen(1).Votes) == 3 })
	lost.halt()
	lost.home, lost.backup = t.TempDir(), nil
	lost.run()
	w.eventually("it says so", func() bool { return lost.says("keyshares are not here") })
	w.awaitChecked(1)
	w.chain.advance(1000)
	w.eventually("it is over", func() bool {
		return w.keygen(1).Status != types.KeygenStatus_KEYGEN_STATUS_OPEN
	})
	require.Zero(t, w.chainVotes(lost))
}

func TestAMemberKilledWhileItWaitsForItsBackupAsksForItAgain(t *testing.T) {
	w := newWorld(t, 4)
	slow := w.members[1]
	asked, release := w.withBackups(w.members[1:2])
	w.chain.open(1, 1000, w.infos())
	w.start()
	<-asked
	slow.halt()
	slow.run()
	<-asked
	release()
	w.awaitReady(1)
	w.awaitClosed(1)
	w.checkInvariants()
}

// A home that was restored leaves alone what its former life may have begun.
func TestAKeygenThatOpenedTooEarlyIsLeftAlone(t *testing.T) {
	w := newWorld(t, 4)
	restored := w.members[3]
	w.chain.open(1, 1000, w.infos())
	restored.notBefore = w.keygen(1).OpenedHeight
	w.start()
	w.eventually("the others wait for it", func() bool {
		return len(w.keygen(1).Joins) == 3
	})
	w.chain.advance(1000)
	w.eventually("it has failed", func() bool {
		return w.keygen(1).Status == types.KeygenStatus_KEYGEN_STATUS_FAILED
	})
	require.Zero(t, w.chainVotes(restored))
	require.Nil(t, w.keygen(1).VoteOf(restored.raw()))

	w.tss.mu.Lock()
	require.Zero(t, w.tss.keygens)
	w.tss.mu.Unlock()
	w.chain.open(2, 1000, w.infos())
	w.awaitReady(2)
	require.Equal(t, 1, w.chainVotes(restored))
}
