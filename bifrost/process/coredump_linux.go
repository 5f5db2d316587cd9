package process

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// DisableCoreDumps keeps a crash from writing the memory of this process, and what secrets it
// holds, to the disk, and other processes of the same user from reading it. A command that handles
// a secret calls it first.
func DisableCoreDumps() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("disabling core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("disabling core dumps: %w", err)
	}
	return nil
}
