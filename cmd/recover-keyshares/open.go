package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/sanity"
)

// opened is the result of open in JSON.
type opened struct {
	Out      string   `json:"out"`
	Warnings []string `json:"warnings"`
	Files    []string `json:"files"`
}

func (a *app) openCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "open ENVELOPE",
		Short: "Open an envelope that is at hand; asks no node",
		Long: `open writes the keyshares from an envelope in a file. Without the chain's record
it cannot tell whose they are and of which vault: it names what is in them, and
warns about what is not a sound keyshare.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.open(cmd.Context(), args[0]) },
	}
	a.openFlags(cmd)
	return cmd
}

func (a *app) open(ctx context.Context, path string) error {
	dir, err := a.outDir()
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	sealed, err := readEnvelope(path)
	if err != nil {
		return err
	}
	mnemonic, err := a.mnemonic(ctx)
	if err != nil {
		return err
	}
	defer mnemonic.Wipe()
	a.progress("opening the envelope, which takes a few seconds")
	files, err := envelope.Open(sealed, mnemonic)
	if err != nil {
		return err
	}
	o := &opened{Out: dir, Warnings: []string{}, Files: []string{}}
	byName := make(map[string][]byte, len(files))
	for _, f := range files {
		defer sanity.Wipe(f.Data)
		byName[f.Name] = f.Data
		o.Files = append(o.Files, filepath.Join(dir, f.Name))
		if warning := inspect(f); warning != "" {
			a.warn(warning)
			o.Warnings = append(o.Warnings, warning)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := keystore.NewStore(dir).Save(byName); err != nil {
		return err
	}
	return a.print(o, func(w io.Writer) {
		for _, file := range o.Files {
			fmt.Fprintln(w, file)
		}
	})
}

// inspect says what is wrong with a keyshare, as far as that shows without the
// chain. The file is written all the same: whoever sealed it had the mnemonic.
func inspect(f envelope.File) string {
	share, err := keyshare.Parse(f.Data)
	if err == nil && share.FileName() != f.Name {
		err = errors.New("it holds the keyshare of " + share.PubKey)
	}
	if err == nil {
		err = share.Verify()
	}
	if err != nil {
		return fmt.Sprintf("%s: %s", f.Name, oneLine(err.Error()))
	}
	return ""
}

// readEnvelope reads a file that is no larger than an envelope may be.
func readEnvelope(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sealed, err := io.ReadAll(io.LimitReader(f, envelope.MaxBytes+1))
	if err != nil {
		return nil, err
	}
	return sealed, nil
}
