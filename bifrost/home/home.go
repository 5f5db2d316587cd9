// Package home is the folder of a bifrost: where what lies in it, who may use it, and the
// configuration that its owner writes.
//
//	config.toml   the [Config]
//	mnemonic      the 24 words, unless they come from elsewhere
//	keyshares/    the keyshare files, sealed, which nothing ever deletes
//	outbox/       what is on its way to the chain
//	trust/        the latest verified header
//	envelopes/    those that the members of its vaults hold; no backup has them
//	preparams/    for the keygens to come
//	backups/      which manifests of backups this home wrote last
//	sent/         which backup each mailbox got last
//	standby/      copies of the backups that it follows while it stands by
//	term.json     its latest claim of the signer's term, which no backup holds
//	exports.log   what was approved, exported and imported by agreement, which only grows
//	restored.json says that it was built from a backup
//	restoring     says that a restore into this home has not ended
//	bifrost.sock  the control socket, for the owner of the home alone
//	lock          held by the process that has the home
package home

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// Default is the folder in which bifrost keeps its files unless it is told otherwise: bifrost under
// $XDG_DATA_HOME, which is ~/.local/share when it is unset or, as its specification demands, not an
// absolute path.
func Default() (string, error) {
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "bifrost"), nil
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(user, ".local", "share", "bifrost"), nil
}

// ConfigPath is where the configuration is in a home.
func ConfigPath(home string) string { return filepath.Join(home, "config.toml") }

// MnemonicPath is where the mnemonic is in a home, unless it comes from elsewhere.
func MnemonicPath(home string) string { return filepath.Join(home, "mnemonic") }

// KeysharesDir is the folder of the keyshare files.
func KeysharesDir(home string) string { return filepath.Join(home, "keyshares") }

// OutboxDir is the folder of what is on its way to the chain.
func OutboxDir(home string) string { return filepath.Join(home, "outbox") }

// EnvelopesDir is the folder of the envelopes of all members of the signer's vaults, where it is
// the members who hold them. No backup has it: what is missing is fetched from the other members.
func EnvelopesDir(home string) string { return filepath.Join(home, "envelopes") }

// PreParamsDir is the folder of the pre-parameters.
func PreParamsDir(home string) string { return filepath.Join(home, "preparams") }

// TrustDir is the folder of the latest verified header.
func TrustDir(home string) string { return filepath.Join(home, "trust") }

// BackupsDir is the folder of what a home remembers of its backups.
func BackupsDir(home string) string { return filepath.Join(home, "backups") }

// SentPath is what a home remembers of the backups that it sent to a mailbox, by the sink's name.
func SentPath(home, sink string) string { return filepath.Join(home, "sent", sink+".json") }

// StandbyDir is the folder into which a home that stands by copies the backups that it follows.
func StandbyDir(home string) string { return filepath.Join(home, "standby") }

// TermPath is what a home remembers of its claims. No backup holds it: a home that was built from
// one waits to be promoted when another instance has acted.
func TermPath(home string) string { return filepath.Join(home, "term.json") }

// ExportLogPath is the audit log of agreed exports: a line of JSON for each.
func ExportLogPath(home string) string { return filepath.Join(home, "exports.log") }

// RestoringPath is the marker of a home into which a restore has not ended. [Lock] refuses it.
func RestoringPath(home string) string { return filepath.Join(home, "restoring") }

// Check makes sure that a home is there and for its owner alone.
func Check(home string) error {
	info, err := os.Stat(home)
	if err != nil {
		return err
	}
	if !info.IsDir() || !durable.Private(info) {
		return fmt.Errorf("%s must be a folder with mode 0700, not %04o", home, info.Mode().Perm())
	}
	return nil
}
