// Package peak tells how much memory a process took at most.
package peak

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// Run runs a command to its end, as its method Run does, and returns the most memory that the
// process had at once, in bytes: VmHWM. What getrusage says would be that of the process before
// exec, too.
func Run(cmd *exec.Cmd) (int64, error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	// The kernel forgets it with the process, so it is read all the time: what a process takes at
	// most it has for longer than that.
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	var most int64
	for {
		select {
		case err := <-done:
			return most, err
		case <-ticker.C:
			if now, err := Of(cmd.Process.Pid); err == nil {
				most = max(most, now)
			}
		}
	}
}

// Of is the most memory that a process had at once until now, in bytes.
func Of(pid int) (int64, error) { return field(pid, "VmHWM:") }

// Now is the memory that a process has, in bytes.
func Now(pid int) (int64, error) { return field(pid, "VmRSS:") }

// Program is how much of the memory that a process has are pages of files, which are its program's:
// the kernel drops them when it needs to, and processes of one program share them.
func Program(pid int) (int64, error) { return field(pid, "RssFile:") }

func field(pid int, name string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := bytes.Cut(status, []byte(name))
	words := bytes.Fields(rest)
	if !ok || len(words) == 0 {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	kib, err := strconv.ParseInt(string(words[0]), 10, 64)
	return kib << 10, err
}
