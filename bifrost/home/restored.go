package home

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// A Restored says that a home was built from a backup. What its former life had begun and the
// backup does not hold, nobody knows.
type Restored struct {
	// Height is the latest block when a bifrost first ran in the home, 0 before. The signer takes
	// part in no keygen that opened up to it.
	Height int64 `json:"height"`
}

// RestoredPath is where a home says that it was built from a backup.
func RestoredPath(home string) string { return filepath.Join(home, "restored.json") }

// LoadRestored returns nil for a home that was not built from a backup.
func LoadRestored(home string) (*Restored, error) {
	data, err := durable.Read(RestoredPath(home), 1<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &Restored{}
	if err := json.Unmarshal(data, r); err != nil || r.Height < 0 {
		return nil, fmt.Errorf("%s is damaged: write {\"height\": 0} there", RestoredPath(home))
	}
	return r, nil
}

// Save writes it into a home.
func (r Restored) Save(home string) error {
	data, err := r.Bytes()
	if err != nil {
		return err
	}
	return durable.Replace(RestoredPath(home), data)
}

// Bytes are those of the file.
func (r Restored) Bytes() ([]byte, error) {
	data, err := json.Marshal(r)
	return append(data, '\n'), err
}
