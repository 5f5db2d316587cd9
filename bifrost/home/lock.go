package home

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// ErrInUse means that another bifrost has this home.
var ErrInUse = errors.New("another bifrost uses this home")

// Lock takes the home for this process. The lock ends with the process.
func Lock(home string) (unlock func(), err error) {
	unlock, err = durable.TryLock(filepath.Join(home, "lock"))
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("%w: %s", ErrInUse, home)
	}
	return unlock, err
}
