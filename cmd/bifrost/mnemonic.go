package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tyler-smith/go-bip39"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/process"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// credential is the name of the mnemonic among the credentials that systemd hands to the service,
// in the folder that $CREDENTIALS_DIRECTORY names.
const credential = "mnemonic"

// readMnemonic reads a mnemonic that anything may be sealed with. Path is a file, "-" for standard
// input, or empty for a question on the terminal.
func (a *app) readMnemonic(ctx context.Context, path string) (*sanity.Mnemonic, error) {
	if path != "" && path != "-" {
		if err := checkSecretFile(path); err != nil {
			return nil, err
		}
	}
	var m *sanity.Mnemonic
	wrong := func(err error) bool { return errors.Is(err, errMnemonic) }
	use := func(raw []byte, _ string) (err error) {
		if m, err = sanity.ParseMnemonic(raw); err == nil {
			err = m.CheckSeal()
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errMnemonic, err)
		}
		return nil
	}
	err := a.Mnemonic(ctx, process.Secret{Path: path}, wrong, use)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// withSigner reads a mnemonic, as readMnemonic does, and derives the signer's key. They are given
// to use, and wiped when it returns.
func (a *app) withSigner(
	ctx context.Context,
	cfg home.Config,
	path string,
	use func(mnemonic *sanity.Mnemonic, key *signer.Key) error,
) error {
	mnemonic, err := a.readMnemonic(ctx, path)
	if err != nil {
		return err
	}
	defer mnemonic.Wipe()
	key, err := signer.Derive(mnemonic, cfg.HDPath)
	if err != nil {
		return command.Usage(fmt.Errorf("hd_path: %w", err))
	}
	defer key.Wipe()
	return use(mnemonic, key)
}

// checkSecretFile refuses a file that others may read.
func checkSecretFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if process.Exposed(path, info) {
		return fmt.Errorf(
			"%w: others may read %s (mode %04o): %s; and think about who has read it",
			errMnemonic,
			path,
			info.Mode().Perm(),
			process.PrivateAdvice,
		)
	}
	return nil
}

// findMnemonic says where the mnemonic of this home is: where the user says, among the credentials
// of the service, or in the home.
func (a *app) findMnemonic() string {
	if a.mnemonicFile != "" {
		return a.mnemonicFile
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		path := filepath.Join(dir, credential)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return home.MnemonicPath(a.home)
}

// newMnemonic draws 24 words.
func newMnemonic() (*sanity.Mnemonic, error) {
	entropy := make([]byte, 32)
	defer sanity.Wipe(entropy)
	for {
		rand.Read(entropy) // never fails
		words, err := bip39.NewMnemonic(entropy)
		if err != nil {
			return nil, err
		}
		raw := []byte(words)
		m, err := sanity.ParseMnemonic(raw)
		sanity.Wipe(raw)
		if err != nil {
			return nil, err
		}
		// In far less than one of a hundred million draws chance looks like a bad source.
		if m.CheckSeal() == nil {
			return m, nil
		}
	}
}

// storeMnemonic writes the mnemonic into the home and never replaces another one.
func storeMnemonic(path string, m *sanity.Mnemonic) error {
	line := append(append([]byte(nil), m.Bytes()...), '\n')
	defer sanity.Wipe(line)
	err := durable.Write(path, line)
	if !errors.Is(err, durable.ErrDifferent) {
		return err
	}
	// It may hold the same words in another writing.
	raw, readErr := os.ReadFile(path)
	if readErr != nil {
		return readErr
	}
	defer sanity.Wipe(raw)
	there, parseErr := sanity.ParseMnemonic(raw)
	if parseErr != nil {
		return err
	}
	defer there.Wipe()
	if string(there.Bytes()) != string(m.Bytes()) {
		return fmt.Errorf("%w, of another mnemonic: it is left as it is", err)
	}
	return checkSecretFile(path)
}
