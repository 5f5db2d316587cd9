package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/legacy/saved"
	"github.com/tssbackup/tssbackup/bifrost/legacy/thornode"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/sanity"
)

// opened is the result of open in JSON.
type opened struct {
	Out string `json:"out"`
	// Verified is false: no chain's record says whose the keyshares are.
	Verified bool        `json:"verified"`
	Files    []string    `json:"files"`
	Mpcium   *fromMpcium `json:"mpcium,omitempty"`
}

// The values of --format.
const (
	formatAuto     = "auto"
	formatEnvelope = "envelope"
	formatThornode = "thornode"
	formatMpcium   = "mpcium"
)

// opening is one invocation of open.
type opening struct {
	*app
	format    string
	tx, block string
	// groups are the files with group parts.
	groups []string
	// keyFile, nodeName and salvage are for mpcium's backups alone.
	keyFile, nodeName string
	salvage           bool
}

func (a *app) openCommand() *cobra.Command {
	o := &opening{app: a}
	cmd := &cobra.Command{
		Use: "open {ENVELOPE | --tx FILE | --block FILE} [--group FILE]... | " +
			"--format mpcium --key-file FILE DIR",
		Short: "Open an envelope that is at hand; asks no node",
		Long: `open writes the keyshares from an envelope in a file, or from all envelopes of
this mnemonic in a saved transaction or block: a node's answer in JSON or YAML, or
the bytes as they are. The backups that THORNode and its forks published are opened
as well. What the file is in is undone first: age's armor, base64, hex, gzip,
UTF-16, byte order marks, JSON within JSON. What it cannot use it names.

Without the chain's record it cannot tell whose the keyshares are and of which
vault. It checks that each is sound in itself, and writes nothing otherwise.

The envelope of a split vault holds its member's secrets alone. They are keyshares
again with the vault's group part, which is public and the same for all members:
--group is the file that it was saved in, with

  tssbackupd query tssbackup group VAULT --output json > group.json

It may also be a genesis that the chain exported, which has the group parts of all
its vaults.

With --format mpcium it reads a folder of mpcium's encrypted incremental backups, with
the backup encryption key and no mnemonic, and writes each share as tss-lib's data,
after checking it. It does so only when no backup is missing, torn or changed up to
the newest that the folder names; --salvage writes the rest and ends with code 5.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	a.openFlags(cmd)
	cmd.Flags().
		StringVar(&o.format, "format", formatAuto, "what it is: envelope, thornode, mpcium (a folder), or auto to find out about a file")
	// It fails only for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(
		[]cobra.Completion{formatAuto, formatEnvelope, formatThornode, formatMpcium},
		cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVar(&o.tx, "tx", "", "file that holds a saved transaction")
	cmd.Flags().StringVar(&o.block, "block", "", "file that holds a saved block")
	cmd.Flags().StringArrayVar(&o.groups, "group", nil,
		"file that holds the group part of a split vault, as the query group prints it, or an "+
			"exported genesis; give several")
	cmd.Flags().StringVar(&o.keyFile, "key-file", "",
		"file that holds mpcium's backup encryption key, - for standard input")
	cmd.Flags().StringVar(&o.nodeName, "node-name", "",
		"the node of mpcium's backups (default: the one whose backups the key opens)")
	cmd.Flags().BoolVar(&o.salvage, "salvage", false,
		"write what there is of mpcium's backups also when some of it is missing")
	return cmd
}

func (o *opening) run(ctx context.Context, args []string) error {
	if o.format == formatMpcium {
		return o.openMpcium(ctx, args)
	}
	if o.keyFile != "" || o.nodeName != "" || o.salvage {
		return command.Usage(
			errors.New("--key-file, --node-name and --salvage are for --format mpcium"))
	}
	dir, release, err := o.takeOut()
	if err != nil {
		return err
	}
	defer release()
	found, err := o.read(args)
	if err != nil {
		return err
	}
	groups, err := o.readGroups()
	if err != nil {
		return err
	}
	var files []envelope.File
	var store restore.Store
	err = o.withWords(ctx, func(raw []byte) error {
		words, err := o.parse(raw)
		if err != nil {
			return err
		}
		defer words.wipe()
		if files, err = o.openAll(ctx, found, words); err != nil {
			return err
		}
		store, err = o.storeFor(dir, words)
		return err
	})
	for _, f := range files {
		defer sanity.Wipe(f.Data)
	}
	if err != nil {
		return err
	}
	files, err = o.join(files, groups)
	for _, f := range files {
		defer sanity.Wipe(f.Data)
	}
	if err != nil {
		return err
	}
	result := &opened{Out: dir, Files: []string{}}
	for _, f := range files {
		if err := keyfiles.Sound([]envelope.File{f}); err != nil {
			return err
		}
		result.Files = append(result.Files, written(store, dir, keystore.Unplaced, f.Name))
	}
	// Of which epoch they are only the chain can tell.
	err = o.Write(ctx, func() error { return store.Save(keystore.Unplaced, files) })
	if err != nil {
		return err
	}
	err = o.Print(result, func(w io.Writer) {
		for _, file := range result.Files {
			fmt.Fprintln(w, file)
		}
	})
	o.Done(fmt.Sprintf("%d keyshare files are in %s", len(files), dir),
		"recover-keyshares list shows whose vaults the chain knows; bifrost checks the files at its "+
			"start against the chain's record")
	return err
}

// openers are the words in the two forms that things are opened with.
type openers struct {
	// mnemonic opens envelopes, phrase what THORNode published.
	mnemonic *sanity.Mnemonic
	phrase   *sanity.Phrase
	// err says why there is no mnemonic: the words fail their checksum, as those of an envelope
	// never do.
	err error
}

// storeFor is where files go that these words opened. A home is sealed with its mnemonic.
func (o *opening) storeFor(dir string, words openers) (restore.Store, error) {
	if words.err != nil && o.intoHome(dir) {
		return nil, fmt.Errorf("%w: a home is sealed with its signer's mnemonic, which these words "+
			"are not: give another folder with --out", words.err)
	}
	return o.openStore(dir, words.mnemonic)
}

func (w openers) wipe() {
	w.mnemonic.Wipe()
	w.phrase.Wipe()
}

func (o *opening) parse(raw []byte) (w openers, err error) {
	if w.phrase, err = sanity.ParsePhrase(raw); err != nil {
		return w, fmt.Errorf("%w: %w", errMnemonic, err)
	}
	if w.mnemonic, err = sanity.ParseMnemonic(raw); err != nil {
		w.err = fmt.Errorf("%w: %w", errMnemonic, err)
		if o.format == formatEnvelope {
			w.wipe()
			return w, w.err
		}
		o.Warn(err.Error() + "; they open no envelope, but perhaps a backup of THORNode's")
	}
	return w, nil
}

// read returns what was found in the file that the user gave.
func (o *opening) read(args []string) (found saved.Found, err error) {
	switch o.format {
	case formatAuto, formatEnvelope, formatThornode:
	default:
		return found, command.Usage(errors.New("--format must be auto, envelope, thornode or mpcium"))
	}
	paths := args
	for _, path := range []string{o.tx, o.block} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	if len(paths) != 1 {
		return found, command.Usage(
			errors.New("give one of a file that holds an envelope, --tx and --block"),
		)
	}
	data, err := readFile(paths[0], saved.MaxBytes)
	if err != nil {
		return found, err
	}
	found = saved.Find(data)
	found.Why = fmt.Errorf("%s: %w", paths[0], found.Why)
	if !slices.ContainsFunc(found.Candidates, o.tries) {
		return found, found.Why
	}
	return found, nil
}

// tries reports whether the format that the user named lets a candidate be tried.
func (o *opening) tries(c saved.Candidate) bool {
	return o.format != formatEnvelope || c.Form == saved.Envelope
}

// openAll returns the files of all that opens. When nothing does, it tells why of the first that
// the mnemonic fits, if there is one. That the mnemonic is wrong it says only of what has the form
// of a backup.
func (o *opening) openAll(
	ctx context.Context,
	found saved.Found,
	words openers,
) (files []envelope.File, err error) {
	var damaged, foreign []error
	refused := map[saved.Form]int{}
	names := make(map[string][]byte)
	for i, c := range found.Candidates {
		if ctx.Err() != nil {
			return files, ctx.Err()
		}
		if !o.tries(c) {
			continue
		}
		opened, err := o.openOne(c, words)
		switch {
		case errors.Is(err, envelope.ErrNotEnvelope):
			foreign = append(foreign, err)
		case errors.Is(err, envelope.ErrWrongMnemonic):
			refused[c.Form]++
		case err != nil:
			if c.Note != "" {
				err = fmt.Errorf("%w (%s)", err, c.Note)
			}
			if len(found.Candidates) > 1 {
				err = fmt.Errorf("byte string %d of %d: %w", i+1, len(found.Candidates), err)
			}
			damaged = append(damaged, err)
		}
		for _, f := range opened {
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
	if len(files) == 0 {
		formed := refused[saved.Envelope] + refused[saved.Thornode]
		if words.err != nil && len(damaged) == 0 && formed > 0 {
			return nil, words.err
		}
		return nil, why(found, damaged, foreign, refused)
	}
	for _, err := range damaged {
		o.Warn(command.OneLine(err.Error()))
	}
	return files, nil
}

// why says why nothing was opened.
func why(found saved.Found, damaged, foreign []error, refused map[saved.Form]int) error {
	envelopes, thornodes := refused[saved.Envelope], refused[saved.Thornode]
	switch {
	case len(damaged) > 0:
		return damaged[0]
	case envelopes > 0 && len(found.Candidates) == 1:
		return envelope.ErrWrongMnemonic
	case envelopes > 0:
		return fmt.Errorf(
			"%w: of the envelopes in it, %d in all, none is one of this mnemonic",
			envelope.ErrWrongMnemonic,
			envelopes,
		)
	case thornodes > 0:
		return fmt.Errorf(
			"%w: nothing in it is one of this project, and %d byte strings may be a backup of "+
				"THORNode's, which has no other form than its length and randomness: none opens, so "+
				"the mnemonic is another one, or it is damaged, or no backup at all",
			envelope.ErrWrongMnemonic,
			thornodes,
		)
	case len(foreign) == 1 && len(found.Candidates) == 1:
		return foreign[0]
	}
	return found.Why
}

func (o *opening) openOne(c saved.Candidate, words openers) ([]envelope.File, error) {
	switch {
	case c.Form != saved.Envelope || o.format == formatThornode:
		return thornode.Open(c.Data, words.phrase)
	case words.err != nil:
		return nil, envelope.ErrWrongMnemonic
	}
	o.Progress("opening an envelope, which takes a few seconds")
	files, err := envelope.Open(c.Data, words.mnemonic)
	if errors.Is(err, envelope.ErrDamaged) {
		for _, shorter := range saved.WithoutEnd(c.Data) {
			o.Progress("opening it without what may not belong to its end")
			if files, other := envelope.Open(shorter, words.mnemonic); other == nil {
				return files, nil
			}
		}
	}
	return files, err
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
