package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// maxInput bounds a file to seal: the keyshare of a vault of a hundred members is half a megabyte.
const maxInput = 64 << 20

// sealed is the result of seal in JSON.
type sealed struct {
	Envelope string `json:"envelope"`
	Bytes    int    `json:"bytes"`
	SHA256   string `json:"sha256"`
}

func (a *app) sealCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "seal --out ENVELOPE FILE...",
		Short: "Seal keyshare files into an envelope; asks no node",
		Long: `seal makes the envelope that bifrost would publish for these files, with all of its
checks: they are one member's keyshares of one vault, both or one of them, each
whole, sound and under its own name. recover-keyshares open is the way back, and so is
"age -d ENVELOPE | xz -dc --format=lzma | tar x". It never replaces a file.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.seal(cmd.Context(), out, args)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file for the envelope")
	cmd.Flags().
		StringVar(&a.mnemonicFile, "mnemonic-file", "", "file that holds the mnemonic, - for standard input (default: ask)")
	return cmd
}

func (a *app) seal(ctx context.Context, out string, paths []string) error {
	if out == "" {
		return command.Usage(errors.New("--out is missing"))
	}
	if _, err := os.Lstat(out); err == nil {
		return fmt.Errorf("%s: %w", out, durable.ErrDifferent)
	}
	var files []envelope.File
	for _, path := range paths {
		data, err := readInput(path)
		if err != nil {
			return err
		}
		defer sanity.Wipe(data)
		files = append(files, envelope.File{Name: filepath.Base(path), Data: data})
	}
	if err := keyfiles.Sound(files); err != nil {
		return fmt.Errorf("%w: %w", errCheck, err)
	}
	if err := a.TryFolder(filepath.Dir(out)); err != nil {
		return err
	}
	mnemonic, err := a.readMnemonic(ctx, a.mnemonicFile)
	if err != nil {
		return err
	}
	defer mnemonic.Wipe()
	a.Progress("sealing, which takes a few seconds")
	data, err := envelope.Seal(files, mnemonic)
	if err != nil {
		return fmt.Errorf("%w: %w", errCheck, err)
	}
	if err := a.Write(ctx, func() error { return durable.Write(out, data) }); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	res := &sealed{Envelope: out, Bytes: len(data), SHA256: hex.EncodeToString(sum[:])}
	err = a.Print(res, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d bytes, SHA-256 %s\n", res.Envelope, res.Bytes, res.SHA256)
	})
	a.Done("sealed, and opened again to be sure",
		"recover-keyshares open "+command.OneLine(out)+" is the way back")
	return err
}

func readInput(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxInput+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxInput {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxInput)
	}
	return data, nil
}
