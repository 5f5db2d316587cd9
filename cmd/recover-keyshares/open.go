package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/legacy/saved"
	"github.com/tssbackup/tssbackup/bifrost/legacy/thornode"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
)

// opened is the result of open in JSON.
type opened struct {
	Out      string   `json:"out"`
	Warnings []string `json:"warnings"`
	Files    []string `json:"files"`
}

// The values of --format.
const (
	formatAuto     = "auto"
	formatEnvelope = "envelope"
	formatThornode = "thornode"
)

// opening is one invocation of open.
type opening struct {
	*app
	format    string
	tx, block string
}

func (a *app) openCommand() *cobra.Command {
	o := &opening{app: a}
	cmd := &cobra.Command{
		Use:   "open ENVELOPE | --tx FILE | --block FILE",
		Short: "Open an envelope that is at hand; asks no node",
		Long: `open writes the keyshares from an envelope in a file, or from all envelopes of
this mnemonic in a saved transaction or block: a node's answer in JSON or YAML, or
the bytes in base64, in hex, or as they are. The backups that THORNode and its
forks published are opened as well.

Without the chain's record it cannot tell whose the keyshares are and of which
vault. It checks that each is sound in itself, and writes nothing otherwise.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	a.openFlags(cmd)
	cmd.Flags().
		StringVar(&o.format, "format", formatAuto, "what was published: envelope, thornode, or auto to find out")
	cmd.Flags().StringVar(&o.tx, "tx", "", "file that holds a saved transaction")
	cmd.Flags().StringVar(&o.block, "block", "", "file that holds a saved block")
	return cmd
}

func (o *opening) run(ctx context.Context, args []string) error {
	dir, release, err := o.takeOut()
	if err != nil {
		return err
	}
	defer release()
	sealed, err := o.read(args)
	if err != nil {
		return err
	}
	mnemonic, err := o.mnemonic(ctx)
	if err != nil {
		return err
	}
	defer mnemonic.Wipe()
	files, err := o.openAll(ctx, sealed, mnemonic)
	for _, f := range files {
		defer sanity.Wipe(f.Data)
	}
	if err != nil {
		return err
	}
	result := &opened{Out: dir, Warnings: o.warned(), Files: []string{}}
	for _, f := range files {
		if err := vault.CheckFile(f); err != nil {
			return err
		}
		result.Files = append(result.Files, filepath.Join(dir, f.Name))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	store, err := keystore.Open(dir)
	if err != nil {
		return err
	}
	if err := store.Save(files); err != nil {
		return err
	}
	return o.Print(result, func(w io.Writer) {
		for _, file := range result.Files {
			fmt.Fprintln(w, file)
		}
	})
}

// read returns the envelope, or what may be one in a saved response.
func (o *opening) read(args []string) ([][]byte, error) {
	switch o.format {
	case formatAuto, formatEnvelope, formatThornode:
	default:
		return nil, command.Usage(errors.New("--format must be auto, envelope or thornode"))
	}
	paths := args
	for _, path := range []string{o.tx, o.block} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	if len(paths) != 1 {
		return nil, command.Usage(
			errors.New("give one of a file that holds an envelope, --tx and --block"),
		)
	}
	if len(args) == 1 {
		sealed, err := readFile(paths[0], envelope.MaxBytes)
		return [][]byte{sealed}, err
	}
	data, err := readFile(paths[0], saved.MaxBytes)
	if err != nil {
		return nil, err
	}
	candidates, err := saved.Candidates(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", paths[0], err)
	}
	return candidates, nil
}

// openAll returns the files of all that opens. When nothing does, it tells why of the first that
// the mnemonic fits, if there is one.
func (o *opening) openAll(
	ctx context.Context,
	sealed [][]byte,
	mnemonic *sanity.Mnemonic,
) (files []envelope.File, err error) {
	var damaged []error
	wrong := 0
	names := make(map[string][]byte)
	for i, s := range sealed {
		if ctx.Err() != nil {
			return files, ctx.Err()
		}
		found, err := o.openOne(s, mnemonic)
		if len(sealed) == 1 && err != nil {
			return nil, err
		}
		switch {
		case errors.Is(err, envelope.ErrNotEnvelope):
			continue
		case errors.Is(err, envelope.ErrWrongMnemonic):
			wrong++
		case err != nil:
			damaged = append(damaged, fmt.Errorf("byte string %d of %d: %w", i+1, len(sealed), err))
		}
		for _, f := range found {
			other, twice := names[f.Name]
			switch {
			case !twice:
				names[f.Name] = f.Data
				files = append(files, f)
			case bytes.Equal(other, f.Data):
				sanity.Wipe(f.Data)
			default:
				sanity.Wipe(f.Data)
				return files, fmt.Errorf(
					"%w: there are two different ones named %s",
					restore.ErrKeyshares,
					f.Name,
				)
			}
		}
	}
	switch {
	case len(files) == 0 && len(damaged) > 0:
		return nil, damaged[0]
	case len(files) == 0 && wrong == 0:
		return nil, fmt.Errorf("%w: nothing begins as an envelope does", saved.ErrNone)
	case len(files) == 0:
		return nil, fmt.Errorf(
			"%w: of the byte strings that may be a backup, %d in all, none is one of this mnemonic",
			envelope.ErrWrongMnemonic,
			wrong,
		)
	}
	for _, err := range damaged {
		o.warn(command.OneLine(err.Error()))
	}
	return files, nil
}

func (o *opening) openOne(sealed []byte, mnemonic *sanity.Mnemonic) ([]envelope.File, error) {
	isEnvelope := bytes.HasPrefix(sealed, []byte(sanity.EnvelopePrefix))
	if isEnvelope && o.format != formatThornode {
		o.Progress("opening an envelope, which takes a few seconds")
	}
	if o.format == formatEnvelope || o.format == formatAuto && isEnvelope {
		return envelope.Open(sealed, mnemonic)
	}
	return thornode.Open(sealed, mnemonic)
}

// readFile reads a file, and little more of it than the limit.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}
