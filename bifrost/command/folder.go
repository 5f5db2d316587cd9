package command

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// TryFolder finds out if results can be written into a folder, before anybody types 24 words. It
// warns of what the folder lacks and can be done without.
func (in *Invocation) TryFolder(dir string) error {
	lacking, err := durable.TryFolder(dir)
	if err != nil {
		return fmt.Errorf("%s cannot take files: %w", OneLine(dir), err)
	}
	if lacking != "" {
		in.Warn(OneLine(lacking))
	}
	return nil
}

// StateDir is where a program keeps what it knows from earlier times: its folder in
// $XDG_STATE_HOME, which is ~/.local/state when it is unset or no absolute path.
func StateDir(program string) (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, program), nil
}
