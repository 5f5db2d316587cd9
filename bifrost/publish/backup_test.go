package publish

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

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
	w.eventually("the others vote", func() bool { return len(w.keygen(1).Votes) == 3 })
	require.Nil(t, w.keygen(1).VoteOf(slow.raw()))
	require.Zero(t, slow.proofs())
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
	for range w.members {
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
	t.Run("one member is silent", func(t *testing.T) {
		w := newWorld(t, 4)
		slow := w.members[0]
		slow.strict = true
		asked, _ := w.withBackups(w.members[:1])
		w.chain.open(1, 1000, w.infos())
		w.start()
		<-asked
		w.eventually("the others vote", func() bool { return len(w.keygen(1).Votes) == 3 })
		w.awaitChecked(1)
		w.chain.advance(1000)
		w.eventually("it missed the keygen", func() bool { return slow.counted("missed") == 1 })
		require.Zero(t, w.chainVotes(slow))
	})
	t.Run("without a certificate all vote that the keygen failed, by nobody", func(t *testing.T) {
		w := newWorld(t, 4)
		for _, m := range w.members {
			m.strict = true
		}
		asked, _ := w.withBackups(w.members)
		w.chain.open(1, 1000, w.infos())
		w.start()
		for range w.members {
			<-asked
		}
		w.chain.advance(900)
		w.eventually("four votes", func() bool { return len(w.keygen(1).Votes) == 4 })
		for _, v := range w.keygen(1).Votes {
			require.Nil(t, v.Result)
			require.Empty(t, v.Blamed)
		}
	})
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
