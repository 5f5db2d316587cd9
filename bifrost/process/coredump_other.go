//go:build !linux

package process

import (
	"fmt"
	"syscall"
)

// DisableCoreDumps keeps a crash from writing the memory of this process, and what secrets it
// holds, to the disk. A command that handles a secret calls it first.
func DisableCoreDumps() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("disabling core dumps: %w", err)
	}
	return nil
}
