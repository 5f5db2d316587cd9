package held

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func sum(b []byte) []byte {
	s := sha256.Sum256(b)
	return s[:]
}

func nameOf(b []byte) string { return hex.EncodeToString(sum(b)) + ".age" }

func none([]byte) bool { return false }

func TestWhatWasPutIsThereUntilItsEpochIsOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "envelopes")
	s := Open(dir)
	one, two, three := []byte("one"), []byte("two"), []byte("three")
	_, err := s.Get(sum(one))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, s.Prune(func(uint64) bool { return false }), "there is nothing")
	require.NoDirExists(t, dir)

	require.NoError(t, s.Put(7, [][]byte{one, two}))
	require.NoError(t, s.Put(7, [][]byte{two, one, three}), "equal ones are fine")
	require.NoError(t, s.Put(8, [][]byte{one}))
	require.Equal(t, map[string]string{
		"7/" + nameOf(one): "one", "7/" + nameOf(two): "two", "7/" + nameOf(three): "three",
		"8/" + nameOf(one): "one",
	}, disk.Tree(t, dir))
	info, err := os.Stat(filepath.Join(dir, "7"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())

	// Another process finds it.
	s = Open(dir)
	got, err := s.Get(sum(two))
	require.NoError(t, err)
	require.Equal(t, two, got)
	epochs, err := s.Epochs()
	require.NoError(t, err)
	require.Equal(t, []uint64{7, 8}, epochs)

	require.NoError(t, s.Prune(func(epoch uint64) bool { return epoch == 8 }))
	require.False(t, s.Has(sum(two)))
	require.True(t, s.Has(sum(one)), "it is of another epoch too")
}

func TestWhatADiskMadeOfAnEnvelopeIsNotServedAndIsReplaced(t *testing.T) {
	dir := t.TempDir()
	s := Open(dir)
	one := []byte("one")
	require.NoError(t, s.Put(7, [][]byte{one}))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "7", nameOf(one)), []byte("onf"), 0o600))
	_, err := s.Get(sum(one))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "is damaged")
	require.NoError(t, s.Put(7, [][]byte{one}))
	got, err := s.Get(sum(one))
	require.NoError(t, err)
	require.Equal(t, one, got)
}

func TestNoEnvelopeIsEmptyOrTooLarge(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "envelopes")
	s := Open(dir)
	require.ErrorContains(t, s.Put(1, [][]byte{[]byte("one"), nil}), "0 bytes")
	require.ErrorContains(t, s.Put(1, [][]byte{make([]byte, types.MaxHeldEnvelope+1)}), "is not kept")
	require.NoDirExists(t, dir)
	require.NoError(t, s.Put(1, [][]byte{make([]byte, types.MaxHeldEnvelope)}))
}

// Who dies while envelopes are put has said that it holds none of them.
func TestAPutThatFailsIsRepeated(t *testing.T) {
	envelopes := [][]byte{[]byte("one"), []byte("two"), []byte("three")}
	steps := disk.Count(t, t.TempDir())
	count := func() int {
		dir := t.TempDir()
		steps = disk.Count(t, dir)
		require.NoError(t, Open(filepath.Join(dir, "e")).Put(3, envelopes))
		return steps.Steps()
	}()
	for n := 1; n <= count; n++ {
		for name, fault := range map[string]func(testing.TB, string, int) *disk.Faults{
			"fails": disk.FailAt, "dies": disk.DieAt,
		} {
			t.Run(fmt.Sprintf("the disk %s at step %d", name, n), func(t *testing.T) {
				dir := t.TempDir()
				s := Open(filepath.Join(dir, "e"))
				faults := fault(t, dir, n)
				err := s.Put(3, envelopes)
				faults.Mend()
				require.ErrorIs(t, err, disk.ErrDisk)
				require.NoError(t, s.Put(3, envelopes))
				want := map[string]string{}
				for _, e := range envelopes {
					want["e/3/"+nameOf(e)] = string(e)
				}
				require.Equal(t, want, disk.Tree(t, dir), "nothing is left of the first")
			})
		}
	}
}

func TestDepositsOfAMemberAreBounded(t *testing.T) {
	dir := t.TempDir()
	s := Open(dir)
	now := time.Now()
	s.now = func() time.Time { return now }
	member, other := []byte{1, 2}, []byte{3, 4}
	envelope := func(i int) []byte { return fmt.Appendf(nil, "envelope %d", i) }
	require.NoError(t, s.Put(7, [][]byte{envelope(0)}), "those of the ceremony do not count")
	for i := range maxUnnamed {
		require.NoError(t, s.Deposit(7, member, envelope(i+1), none))
		// Files made within a tick of the file system's clock have one time.
		at := now.Add(time.Duration(i-maxUnnamed) * time.Second)
		require.NoError(t, os.Chtimes(filepath.Join(dir, "7", "0102", nameOf(envelope(i+1))), at, at))
	}
	require.ErrorIs(t, s.Deposit(7, member, envelope(10), none), ErrFull)
	require.NoError(t, s.Deposit(7, member, envelope(1), none), "it is there")
	require.NoError(t, s.Deposit(7, other, envelope(10), none), "others have room of their own")
	require.NoError(t, s.Deposit(8, member, envelope(10), none), "and so have other epochs")

	// What the chain names takes no room, comes in when there is none, and stays.
	named := func(h []byte) bool {
		return string(h) == string(sum(envelope(1))) || string(h) == string(sum(envelope(11)))
	}
	require.NoError(t, s.Deposit(7, member, envelope(11), named))
	require.NoError(t, s.Deposit(7, member, envelope(12), named))
	require.ErrorIs(t, s.Deposit(7, member, envelope(13), named), ErrFull)
	now = now.Add(unnamedFor)
	require.NoError(t, s.Deposit(7, member, envelope(13), named))
	for i, there := range map[int]bool{0: true, 1: true, 2: false, 3: true, 4: true, 11: true, 12: true, 13: true} {
		require.Equal(t, there, s.Has(sum(envelope(i))), "%d", i)
	}
}

// A model of the store: sets of envelopes by epoch.
func TestTheStoreIsItsModel(t *testing.T) {
	root := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		dir := filepath.Join(root, fmt.Sprint(runs))
		model := map[uint64]map[string]bool{}
		epochs := rapid.Uint64Range(1, 3)
		envelopes := rapid.SliceOfN(rapid.SliceOfN(rapid.ByteRange('a', 'b'), 1, 2), 0, 3)
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			epoch := epochs.Draw(t, "epoch")
			if rapid.Bool().Draw(t, "prune") {
				require.NoError(t, Open(dir).Prune(func(e uint64) bool { return e == epoch }))
				model = map[uint64]map[string]bool{epoch: model[epoch]}
				continue
			}
			put := envelopes.Draw(t, "envelopes")
			require.NoError(t, Open(dir).Put(epoch, put))
			if model[epoch] == nil {
				model[epoch] = map[string]bool{}
			}
			for _, e := range put {
				model[epoch][string(e)] = true
			}
		}
		for _, e := range []string{"a", "b", "aa", "ab", "ba", "bb"} {
			got, err := Open(dir).Get(sum([]byte(e)))
			if !model[1][e] && !model[2][e] && !model[3][e] {
				require.ErrorIs(t, err, fs.ErrNotExist)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, e, string(got))
		}
	})
}
