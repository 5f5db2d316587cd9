package homebackup

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/internal/durable"
)

// ErrBusy means that another process backs up this home, or prunes its backups.
var ErrBusy = errors.New("another backup of this home is at work")

const (
	stateSuffix = ".json"
	maxState    = 1 << 12
)

// A state is what a home remembers of its store in a folder: by it the home tells what it wrote
// itself from what a copy of it wrote.
type state struct {
	// Sequence and SHA256 are those of the manifest that was written last.
	Sequence uint64 `json:"sequence"`
	SHA256   string `json:"sha256"`
	// Next is the SHA-256 of the one after, which was about to be written.
	Next string `json:"next"`

	id string
}

// lockState makes the folder of what a home remembers of its backups, and takes it for this
// process. The error of one that another has wraps [ErrBusy].
func lockState(homeDir string) (unlock func(), err error) {
	dir := home.BackupsDir(homeDir)
	if err := durable.MakeFolder(dir); err != nil {
		return nil, err
	}
	unlock, err = durable.TryLock(filepath.Join(dir, "lock"))
	if errors.Is(err, durable.ErrLocked) {
		err = fmt.Errorf("%w: %s", ErrBusy, homeDir)
	}
	return unlock, err
}

// states are all that a home remembers.
func states(homeDir string) (all []state, err error) {
	dir := home.BackupsDir(homeDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), stateSuffix)
		if !ok || !isID(id) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		data, err := durable.Read(path, maxState)
		if err != nil {
			return nil, err
		}
		s := state{id: id}
		if json.Unmarshal(data, &s) != nil || !s.valid() {
			return nil, fmt.Errorf("%s is damaged: move it away, and the next backup begins a new store",
				path)
		}
		all = append(all, s)
	}
	return all, nil
}

func (s state) valid() bool {
	return (s.Sequence == 0) == (s.SHA256 == "") && (s.SHA256 == "" || isSum(s.SHA256)) &&
		(s.Next == "" || isSum(s.Next))
}

// last is the id of the manifest that was written last, empty for none.
func (s state) last() string {
	if s.Sequence == 0 {
		return ""
	}
	return manifestID(s.Sequence, s.SHA256)
}

func (s state) path(homeDir string) string {
	return filepath.Join(home.BackupsDir(homeDir), s.id+stateSuffix)
}

func (s state) save(homeDir string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return durable.Replace(s.path(homeDir), append(data, '\n'))
}

// newID draws the id of a store or of a writer.
func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
