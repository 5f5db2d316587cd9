package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/outbox"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// withVault is a world of five, the first four of whom have a vault by keygen 1. It returns its name.
func withVault(t *testing.T, split bool) (*world, string) {
	w := newWorld(t, 5)
	w.chain.split = split
	w.chain.open(1, 1000, infosOf(w.members[:4]...))
	w.start()
	w.awaitReady(1)
	for _, m := range w.members[:4] {
		w.eventually("the keygen's record is closed", func() bool { return len(m.status().Outbox) == 0 })
	}
	return w, types.VaultName(w.keygen(1).Vault)
}

// reshare opens a reshare of the vault to the last four: the first leaves, and the last is new.
func (w *world) reshare(name string, blocks int64, excluded ...string) {
	w.chain.openReshare(2, blocks, name, infosOf(w.members[1:]...), excluded...)
}

func (w *world) vault(name string) vault.Vault {
	v, err := w.chain.Vault(context.Background(), name)
	require.NoError(w.t, err)
	return v
}

// requireReshared checks what a reshare leaves: the vault with its keys, in the next epoch, of which
// every member has voted once, and has kept and published its keyshares. Those of the former are
// where they were, and who left has nothing else.
func (w *world) requireReshared(name string) {
	w.t.Helper()
	w.awaitReady(2)
	v := w.vault(name)
	require.EqualValues(w.t, 2, v.Epoch)
	require.Equal(w.t, name, v.Name())
	for i, m := range w.members[1:] {
		w.eventually("its record is closed", func() bool {
			_, err := os.Stat(filepath.Join(m.home, "outbox", "closed", outbox.VoteName(2)))
			return err == nil && len(m.status().Outbox) == 0
		})
		w.eventually("its status shows the next epoch", func() bool {
			st := m.status().Vaults
			return len(st) == 1 && st[0].KeygenID == 2 && st[0].Keyshares && st[0].Published && st[0].Proven
		})
		files, err := m.open().keyshareFiles(v)
		require.NoError(w.t, err)
		checked, err := checkFake(v, files, m.key.PubKey().Bytes())
		require.NoError(w.t, err)
		_, _, hash, err := agreed(v, checked)
		require.NoError(w.t, err)
		require.Equal(w.t, v.SharesHash, hash)
		w.chain.mu.Lock()
		votes := 0
		for _, msg := range w.chain.messages[m.address] {
			if msg.KeygenId == 2 {
				votes++
				require.Nil(w.t, msg.Blame)
			}
		}
		require.Equal(w.t, 1, votes, "votes of member %d", i+1)
		w.chain.mu.Unlock()
	}
	left := w.members[0]
	w.eventually("who left has no vault any more", func() bool { return len(left.status().Vaults) == 0 && len(left.status().Outbox) == 0 })
	for _, m := range w.members[:4] {
		names, err := m.store().List(1)
		require.NoError(w.t, err)
		require.Len(w.t, names, 2, "of the former epoch")
	}
	names, err := left.store().List(2)
	require.NoError(w.t, err)
	require.Empty(w.t, names)
	for _, dir := range []string{"outbox", "outbox/closed"} {
		require.NoFileExists(w.t, filepath.Join(left.home, dir, outbox.VoteName(2)))
		require.NoFileExists(w.t, filepath.Join(left.home, dir, outbox.DealName(2)))
	}
	require.Equal(w.t, 1, w.chainVotes(left), "it votes on nothing of the reshare")
}

func TestAReshareHandsAVaultToItsNextMembers(t *testing.T) {
	for _, split := range []bool{false, true} {
		t.Run(fmt.Sprintf("split: %t", split), func(t *testing.T) {
			w, name := withVault(t, split)
			w.reshare(name, 1000)
			w.requireReshared(name)
			require.Empty(t, w.keygen(2).Blamed)
			for _, m := range w.members[1:] {
				require.Equal(t, 1, m.counted("reshare"))
			}
		})
	}
}

func TestAReshareOfWhichAProcessIsKilledAfterEveryStep(t *testing.T) {
	for _, who := range []struct {
		name string
		dies []int
	}{
		{"a member that stays", []int{2}},
		{"a member that is new", []int{4}},
		{"all of them", []int{1, 2, 3, 4}},
	} {
		for _, point := range []string{"result", "certified", "keyshares", "saved", "proven", "message", "tx", "sent", "done", "closed"} {
			t.Run(fmt.Sprintf("%s, after %s", who.name, point), func(t *testing.T) {
				t.Parallel()
				w, name := withVault(t, point < "n")
				w.tss.mu.Lock()
				w.tss.patience = 200 * time.Millisecond
				w.tss.mu.Unlock()
				for _, i := range who.dies {
					m := w.members[i]
					m.mu.Lock()
					m.epoch, m.dieAt, m.broadcasts = 2, point, 0
					m.mu.Unlock()
				}
				w.reshare(name, 1000)
				w.requireReshared(name)
				for _, i := range who.dies {
					m := w.members[i]
					m.mu.Lock()
					require.Equal(t, 1, m.deaths, "member %d", i)
					m.mu.Unlock()
					w.chain.mu.Lock()
					require.LessOrEqual(t, len(w.chain.envelopes[m.address]), 2)
					w.chain.mu.Unlock()
				}
			})
		}
	}
}

// Who leaves is started again while an attempt runs in which it deals. It knows nothing of it, joins
// the next one, and nobody is at fault.
func TestWhoLeavesIsStartedAgain(t *testing.T) {
	w, name := withVault(t, false)
	left := w.members[0]
	var failed atomic.Bool
	w.tss.mu.Lock()
	w.tss.fail = func(member []byte, _ string) error {
		if bytes.Equal(member, left.key.PubKey().Bytes()) && failed.CompareAndSwap(false, true) {
			return errors.New("its process ends here")
		}
		return nil
	}
	w.tss.mu.Unlock()
	w.reshare(name, 1000, w.members[3].address)
	w.eventually("it deals", failed.Load)
	left.halt()
	left.run()
	w.requireReshared(name)
	require.Greater(t, w.members[1].counted("reshare"), 1)
}

// A threshold of the present members deals, whoever else of them is gone.
func TestAReshareWithoutWhoIsGone(t *testing.T) {
	w, name := withVault(t, false)
	gone := w.members[0]
	gone.halt()
	w.reshare(name, 1000)
	w.awaitReady(2)
	require.EqualValues(t, 2, w.vault(name).Epoch)
	require.Empty(t, w.keygen(2).Silent)
	gone.run()
	w.requireReshared(name)
}

// An attempt waits for as many dealers as must deal. When they are too few, those who did not come
// are named, and nobody else: not who came, and not who may not deal.
func TestDealersThatDoNotComeAreNamed(t *testing.T) {
	w, name := withVault(t, false)
	gone := w.members[0]
	gone.halt()
	w.reshare(name, 400, w.members[3].address)
	w.eventually("the others wait", func() bool { return len(w.keygen(2).Joins) == 4 })
	w.eventually("their status says for whom", func() bool {
		return w.members[1].says("4 of 4 have, and 2 who may deal, of whom 3 must")
	})
	w.chain.advance(380)
	w.eventually("it has failed", func() bool { return w.keygen(2).Status == types.KeygenStatus_KEYGEN_STATUS_FAILED })
	k := w.keygen(2)
	require.Len(t, k.Votes, 4)
	for _, v := range k.Votes {
		require.Equal(t, [][]byte{gone.raw()}, v.Blamed)
	}
	require.EqualValues(t, 1, w.vault(name).Epoch)
}

// A dealer by whom an attempt failed is named by those of the next epoch, though it is none of them.
func TestWhoLeavesIsNamed(t *testing.T) {
	w, name := withVault(t, false)
	left := w.members[0]
	w.tss.mu.Lock()
	w.tss.fail = func(member []byte, id string) error {
		return &ceremony.BlameError{Members: [][]byte{left.key.PubKey().Bytes()}, Reason: "it dealt another share"}
	}
	w.tss.mu.Unlock()
	w.reshare(name, 400, w.members[3].address)
	for _, m := range w.members[1:] {
		w.eventually("it has tried", func() bool { return m.counted("reshare") > 0 })
	}
	w.chain.advance(380)
	w.eventually("it has failed", func() bool { return w.keygen(2).Status == types.KeygenStatus_KEYGEN_STATUS_FAILED })
	k := w.keygen(2)
	require.Len(t, k.Votes, 4)
	for _, v := range k.Votes {
		require.Equal(t, [][]byte{left.raw()}, v.Blamed)
	}
}

// A dealer by whom an attempt failed is named by the members when they join anew, and does not deal
// in the next one. It stays a member, nobody is at fault in the end.
func TestWhoSpoiltAnAttemptDoesNotDealInTheNext(t *testing.T) {
	w, name := withVault(t, false)
	spoilt := w.members[1]
	var first string
	w.tss.mu.Lock()
	w.tss.fail = func(member []byte, id string) error {
		if first == "" {
			first = id
		}
		if id != first || bytes.Equal(member, spoilt.key.PubKey().Bytes()) {
			return nil
		}
		return &ceremony.BlameError{Members: [][]byte{spoilt.key.PubKey().Bytes()}, Reason: "it dealt another share"}
	}
	w.tss.mu.Unlock()
	w.reshare(name, 1000)
	w.requireReshared(name)
	k := w.keygen(2)
	require.Equal(t, [][]byte{spoilt.raw()}, k.Reshare.Excluded)
	require.Empty(t, k.Blamed)
}

func TestAReshareThatEndsWithAnotherKeyLeavesNothing(t *testing.T) {
	w, name := withVault(t, false)
	w.tss.mu.Lock()
	w.tss.otherKey = true
	w.tss.fail = func(member []byte, id string) error {
		w.tss.otherKey = true
		return nil
	}
	w.tss.mu.Unlock()
	w.reshare(name, 400)
	w.eventually("its status says so", func() bool { return w.members[4].says("other keys than the vault's") })
	w.chain.advance(380)
	w.eventually("it has failed", func() bool { return w.keygen(2).Status == types.KeygenStatus_KEYGEN_STATUS_FAILED })
	require.EqualValues(t, 1, w.vault(name).Epoch)
	for _, m := range w.members {
		names, err := m.store().List(2)
		require.NoError(t, err)
		require.Empty(t, names)
	}
}

// What an attempt at a reshare made has the names of what the next one makes, and is in the store
// when homes are backed up. The next one's take its place.
func TestTheFilesOfAnotherAttemptTakeThePlaceOfTheFirst(t *testing.T) {
	w, name := withVault(t, false)
	for _, m := range w.members {
		m.halt()
		m.backup = func(context.Context) error { return nil }
	}
	var first string
	w.tss.mu.Lock()
	w.tss.failDone = func(id string) error {
		if first == "" {
			first = id
		}
		if id == first {
			return errors.New("the signatures for the result did not come")
		}
		return nil
	}
	w.tss.mu.Unlock()
	w.start()
	w.reshare(name, 1000)
	w.requireReshared(name)
	require.Greater(t, w.keygen(2).Session.Attempt, uint64(1))
}

// Who may deal and has not the keyshares to, or cannot verify what it would hand to whom, does not
// join, and says why.
func TestWhoCannotDealDoesNotJoin(t *testing.T) {
	for _, row := range []struct {
		name   string
		says   string
		breaks func(m *member) error
		mend   func(m *member) error
	}{
		{"its keyshares are lost", "recover them", func(m *member) error {
			return os.Rename(filepath.Join(m.home, "keyshares", "1"), filepath.Join(m.home, "lost"))
		}, func(m *member) error {
			return os.Rename(filepath.Join(m.home, "lost"), filepath.Join(m.home, "keyshares", "1"))
		}},
		{"the reshare is not verified", "no header is trusted", func(m *member) error {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.unverified = errors.New("no header is trusted")
			return nil
		}, func(m *member) error {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.unverified = nil
			return nil
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, name := withVault(t, false)
			m := w.members[2]
			require.NoError(t, row.breaks(m))
			w.reshare(name, 1000)
			w.eventually("the others wait for it", func() bool { return len(w.keygen(2).Joins) == 4 })
			w.eventually("it says so", func() bool { return m.says(row.says) })
			require.False(t, slices.ContainsFunc(w.keygen(2).Joins, func(j vault.Join) bool {
				return bytes.Equal(j.Member, m.raw())
			}))
			require.NoError(t, row.mend(m))
			w.requireReshared(name)
		})
	}
}

// A signer whose ceremonies have no reshare leaves it alone, and goes on with what is beside it.
func TestAReshareIsLeftAloneByWhoHasNone(t *testing.T) {
	w, name := withVault(t, false)
	for _, m := range w.members {
		m.halt()
		m.noReshares = true
	}
	w.start()
	w.reshare(name, 40)
	w.chain.open(3, 1000, infosOf(w.members[:4]...))
	w.awaitReady(3)
	w.chain.advance(40)
	k := w.keygen(2)
	require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_FAILED, k.Status)
	require.Empty(t, k.Votes)
	require.Empty(t, k.Joins)
}
