package process

import (
	"os"
	"path/filepath"
)

// DefaultHome is the folder in which bifrost keeps its files unless it is told
// otherwise: bifrost under $XDG_DATA_HOME, which is ~/.local/share when it is unset
// or, as its specification demands, not an absolute path.
func DefaultHome() (string, error) {
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "bifrost"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "share", "bifrost"), nil
}

// KeysharesDir is the folder of the keyshare files in a home of bifrost.
func KeysharesDir(home string) string { return filepath.Join(home, "keyshares") }
