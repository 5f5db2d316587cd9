package process

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// Credentials gives what is in a file of credentials to use, and wipes it. A name that is no
// absolute path is that of a credential of systemd. A file that others may read is refused.
func Credentials(name string, use func(data []byte) error) error {
	if !filepath.IsAbs(name) {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return fmt.Errorf("systemd hands no credential %s over: give the absolute path of a file, or "+
				"LoadCredential in the unit", name)
		}
		name = filepath.Join(dir, name)
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if Exposed(name, info) {
		return fmt.Errorf("others may read %s (mode %04o): give it mode 0600, and think about who has "+
			"read it", name, info.Mode().Perm())
	}
	// A secret of Kubernetes is a link.
	if name, err = filepath.EvalSymlinks(name); err != nil {
		return err
	}
	data, err := durable.Read(name, maxSecret)
	if err != nil {
		return err
	}
	defer sanity.Wipe(data)
	if err := use(data); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
