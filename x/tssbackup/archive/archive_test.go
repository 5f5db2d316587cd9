package archive_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func open(t *testing.T) (a *archive.Archive, dir string) {
	dir = filepath.Join(t.TempDir(), "archive")
	a, err := archive.Open(dir)
	require.NoError(t, err)
	return a, dir
}

func commit(envelope []byte) types.Commitment {
	sum := sha256.Sum256(envelope)
	return types.Commitment{Sha256: sum[:], Size_: uint64(len(envelope))}
}

func file(dir string, envelope []byte) string {
	return filepath.Join(dir, hex.EncodeToString(commit(envelope).Sha256))
}

func hashes(envelopes ...[]byte) map[string]bool {
	keep := map[string]bool{}
	for _, e := range envelopes {
		keep[string(commit(e).Sha256)] = true
	}
	return keep
}

func TestArchiveGivesBackWhatItWasGiven(t *testing.T) {
	a, dir := open(t)
	one, two := []byte("one"), bytes.Repeat([]byte("two"), 100_000)
	require.NoError(t, a.Put())
	require.NoError(t, a.Put(one, two, one))

	a, err := archive.Open(dir)
	require.NoError(t, err)
	for _, e := range [][]byte{one, two} {
		got, err := a.Envelope(commit(e))
		require.NoError(t, err)
		require.Equal(t, e, got)
		info, err := os.Stat(file(dir, e))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())
	}
	_, err = a.Envelope(commit([]byte("three")))
	require.ErrorIs(t, err, types.ErrNotArchived)
}

func TestArchiveServesNothingDamaged(t *testing.T) {
	envelope := []byte("an envelope as it was published")
	for name, damage := range map[string]func(path string) error{
		"a flipped bit": func(path string) error {
			changed := bytes.Clone(envelope)
			changed[3] ^= 1
			return os.WriteFile(path, changed, 0o600)
		},
		"the end is gone":   func(path string) error { return os.Truncate(path, 5) },
		"it is empty":       func(path string) error { return os.Truncate(path, 0) },
		"something follows": func(path string) error { return os.WriteFile(path, append(envelope, 0), 0o600) },
		"it is a folder": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, dir := open(t)
			require.NoError(t, a.Put(envelope))
			require.NoError(t, damage(file(dir, envelope)))
			_, err := a.Envelope(commit(envelope))
			require.ErrorIs(t, err, types.ErrArchiveDamaged)
		})
	}
}

func TestFullDiskLosesNothing(t *testing.T) {
	a, dir := open(t)
	old, envelope := []byte("old"), []byte("new")
	require.NoError(t, a.Put(old))
	require.NoError(t, os.Symlink("/dev/full", file(dir, envelope)+".tmp"))
	require.ErrorIs(t, a.Put(envelope), syscall.ENOSPC)
	_, err := a.Envelope(commit(envelope))
	require.ErrorIs(t, err, types.ErrNotArchived)
	_, err = a.Envelope(commit(old))
	require.NoError(t, err)
	require.NoError(t, a.Put(envelope), "the disk has room again")
}

func TestSweepLeavesWhatIsNeeded(t *testing.T) {
	a, dir := open(t)
	kept, orphan, late := []byte("kept"), []byte("orphan"), []byte("late")
	stranger, unfinished := filepath.Join(dir, "README"), file(dir, kept)+".tmp"
	require.NoError(t, a.Put(kept, orphan))
	require.NoError(t, os.WriteFile(stranger, nil, 0o600))
	require.NoError(t, os.WriteFile(unfinished, nil, 0o600))

	release := a.Hold()
	require.NoError(t, a.Sweep(hashes(kept)))
	require.FileExists(t, file(dir, orphan), "nothing goes while there is a hold")
	release()
	release()

	require.NoError(t, a.Sweep(hashes(kept)))
	require.NoFileExists(t, file(dir, orphan), "an orphan goes at the start")
	require.NoFileExists(t, unfinished)
	require.FileExists(t, stranger)
	require.FileExists(t, file(dir, kept))

	require.NoError(t, a.Put(late))
	require.NoError(t, a.Sweep(hashes(kept)))
	require.FileExists(t, file(dir, late), "later, what nobody needs has one sweep of grace")
	require.NoError(t, a.Sweep(hashes(kept, late)))
	require.NoError(t, a.Sweep(hashes(kept)))
	require.FileExists(t, file(dir, late), "needed in between, it has it again")
	require.NoError(t, a.Sweep(hashes(kept)))
	require.NoFileExists(t, file(dir, late))
	require.FileExists(t, file(dir, kept))
}
