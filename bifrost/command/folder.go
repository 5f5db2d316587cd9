package command

import (
	"fmt"

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
