package held

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	// maxUnnamed is how many envelopes of one member and epoch are kept that the chain does not
	// name.
	maxUnnamed = 4
	// unnamedFor is how long one of them is safe from being replaced by another: a publication
	// reaches the chain within minutes, or is not on its way any more.
	unnamedFor = time.Hour
)

// ErrFull means that a member has deposited as many envelopes as are kept for it.
var ErrFull = errors.New("this member has deposited other envelopes a short time ago")

// A Store is a folder with envelopes, in a folder for each epoch. The file of an envelope is named
// by its SHA-256 in hex and ".age". Those that members deposited later lie in a folder of the epoch
// named by the member's key in hex, so that it is known how much is kept for whom.
//
// Its methods may be called at the same time. One process at a time works in the folder.
type Store struct {
	dir string
	now func() time.Time

	mu sync.Mutex // held while something is written or removed
}

// Open returns the store in this folder, which need not exist yet.
func Open(dir string) *Store { return &Store{dir: dir, now: time.Now} }

// Put keeps the envelopes of an epoch. They are on the disk when it returns. Equal ones that are
// there already stay, and what a disk has made of one is replaced by it.
func (s *Store) Put(epoch uint64, envelopes [][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return put(s.epochDir(epoch), envelopes)
}

// Deposit keeps an envelope that the member with a compressed public key brought for an epoch after
// the ceremony. It is on the disk when it returns. Of those that the chain does not name, a few of
// each member and epoch are kept, and a new one replaces the oldest only once that is an hour old:
// the error wraps [ErrFull] until then. Named says which the chain names; those count for nothing
// and stay.
func (s *Store) Deposit(
	epoch uint64, pubKey, envelope []byte, named func(sha256 []byte) bool,
) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := sha256.Sum256(envelope)
	dir := filepath.Join(s.epochDir(epoch), hex.EncodeToString(pubKey))
	if !named(sum[:]) {
		if err := s.makeRoom(dir, fileName(sum[:]), named); err != nil {
			return err
		}
	}
	return put(dir, [][]byte{envelope})
}

// makeRoom sees to it that one more envelope, which the chain does not name, may be kept in a
// member's folder, should it not be there already.
func (s *Store) makeRoom(dir, name string, named func(sha256 []byte) bool) error {
	names, err := envelopesIn(dir)
	if err != nil {
		return err
	}
	var unnamed []fs.FileInfo
	for _, other := range names {
		if other == name {
			return nil
		}
		if named(hashOf(other)) {
			continue
		}
		info, err := os.Lstat(filepath.Join(dir, other))
		if err != nil {
			return err
		}
		unnamed = append(unnamed, info)
	}
	slices.SortFunc(unnamed, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for len(unnamed) >= maxUnnamed {
		if s.now().Sub(unnamed[0].ModTime()) < unnamedFor {
			return ErrFull
		}
		if err := durable.Remove(filepath.Join(dir, unnamed[0].Name())); err != nil {
			return err
		}
		unnamed = unnamed[1:]
	}
	return nil
}

// put writes envelopes into a folder.
func put(dir string, envelopes [][]byte) error {
	for _, e := range envelopes {
		if len(e) == 0 || len(e) > types.MaxHeldEnvelope {
			return fmt.Errorf("an envelope of %d bytes is not kept: 1 to %d are", len(e), types.MaxHeldEnvelope)
		}
	}
	folder, err := durable.Make(dir)
	if err != nil {
		return err
	}
	if err := putIn(folder, dir, envelopes); err != nil {
		folder.Abandon()
		return err
	}
	folder.Unlock()
	return nil
}

func putIn(folder *durable.Folder, dir string, envelopes [][]byte) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if of, ok := durable.Leftover(e.Name()); ok && hashOf(of) != nil {
			if err := folder.Remove(e.Name()); err != nil {
				return err
			}
		}
	}
	var missing []durable.File
	for _, e := range envelopes {
		sum := sha256.Sum256(e)
		file := durable.File{Name: fileName(sum[:]), Data: e}
		same, err := folder.Has(file.Name, e)
		if err != nil && !errors.Is(err, durable.ErrDifferent) {
			return err
		}
		if !same {
			missing = append(missing, file)
		}
	}
	if err := folder.PlaceAll(missing...); err != nil {
		return err
	}
	return folder.Sync()
}

// Get returns the envelope with this SHA-256, of whatever epoch. The error of one that is not there
// wraps [fs.ErrNotExist], also when what is there is not what its name says any more.
func (s *Store) Get(sum []byte) ([]byte, error) {
	paths, err := s.find(sum)
	if err != nil {
		return nil, err
	}
	damaged := ""
	for _, path := range paths {
		data, err := durable.Read(path, types.MaxHeldEnvelope)
		if got := sha256.Sum256(data); err == nil && bytes.Equal(got[:], sum) {
			return data, nil
		}
		damaged = " (" + path + " is damaged)"
	}
	return nil, fmt.Errorf("envelope %x is not held%s: %w", sum, damaged, fs.ErrNotExist)
}

// Has reports whether there is a file of the envelope with this SHA-256. It does not read it.
func (s *Store) Has(sum []byte) bool {
	paths, err := s.find(sum)
	return err == nil && len(paths) > 0
}

// find returns where the files of an envelope are.
func (s *Store) find(sum []byte) (paths []string, err error) {
	epochs, err := s.Epochs()
	if err != nil {
		return nil, err
	}
	for _, epoch := range epochs {
		dir := s.epochDir(epoch)
		members, err := membersIn(dir)
		if err != nil {
			return nil, err
		}
		for _, member := range append([]string{""}, members...) {
			path := filepath.Join(dir, member, fileName(sum))
			if _, err := os.Lstat(path); err == nil {
				paths = append(paths, path)
			}
		}
	}
	return paths, nil
}

// Epochs are those of which there is a folder, in ascending order.
func (s *Store) Epochs() (epochs []uint64, err error) {
	entries, err := readDir(s.dir)
	for _, e := range entries {
		n, err := strconv.ParseUint(e.Name(), 10, 64)
		if err == nil && e.IsDir() && strconv.FormatUint(n, 10) == e.Name() {
			epochs = append(epochs, n)
		}
	}
	slices.Sort(epochs)
	return epochs, err
}

// Prune removes the envelopes of all epochs but those that live.
func (s *Store) Prune(living func(epoch uint64) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	epochs, err := s.Epochs()
	if err != nil {
		return err
	}
	epochs = slices.DeleteFunc(epochs, living)
	if len(epochs) == 0 {
		return nil
	}
	folder, err := durable.Lock(s.dir)
	if err != nil {
		return err
	}
	defer folder.Unlock()
	for _, epoch := range epochs {
		if err := folder.RemoveAll(strconv.FormatUint(epoch, 10)); err != nil {
			return err
		}
	}
	return folder.Sync()
}

func (s *Store) epochDir(epoch uint64) string {
	return filepath.Join(s.dir, strconv.FormatUint(epoch, 10))
}

// membersIn are the folders of members in that of an epoch.
func membersIn(dir string) (members []string, err error) {
	entries, err := readDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			members = append(members, e.Name())
		}
	}
	return members, err
}

// envelopesIn are the names of the envelopes in a folder.
func envelopesIn(dir string) (names []string, err error) {
	entries, err := readDir(dir)
	for _, e := range entries {
		if e.Type().IsRegular() && hashOf(e.Name()) != nil {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// readDir is [os.ReadDir] for a folder that need not be there.
func readDir(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

const suffix = ".age"

func fileName(sum []byte) string { return hex.EncodeToString(sum) + suffix }

// hashOf is the SHA-256 in a file's name, nil when that names no envelope.
func hashOf(name string) []byte {
	if len(name) != 2*sha256.Size+len(suffix) {
		return nil
	}
	sum, err := hex.DecodeString(name[:2*sha256.Size])
	if err != nil || fileName(sum) != name {
		return nil
	}
	return sum
}
