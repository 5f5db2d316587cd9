package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/sanity"
)

// keystoreFile is one file of the keystore in JSON.
type keystoreFile struct {
	// Epoch is 0 for a file that is unplaced.
	Epoch uint64 `json:"epoch"`
	Name  string `json:"name"`
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	// Error is why it is not in order; list, which opens nothing, leaves it empty.
	Error string `json:"error"`
}

// keystoreFiles is the result of list, verify and reseal in JSON.
type keystoreFiles struct {
	Files []keystoreFile `json:"files"`
	// Aside are files that were set aside because they were damaged.
	Aside []string `json:"aside"`
}

// exported is the result of export in JSON.
type exported struct {
	Out   string   `json:"out"`
	Files []string `json:"files"`
}

func (a *app) keystoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keystore",
		Short: "Look at the sealed keyshares of a home, seal them anew, or take them out",
		Long: `The keyshares of a home lie sealed, each in a file of its own, for the mnemonic and
the recipients that config.toml names. With the mnemonic in the same home that protects
nothing but copies; with the mnemonic in a credential of systemd or a secret of
Kubernetes it protects the disk and its snapshots.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "List the sealed keyshares; needs no mnemonic",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.keystoreList() },
	}
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Open every sealed keyshare and check it as mathematics",
		Long: `verify opens every file of the keystore and checks that it is a keyshare whose
numbers fit together and that has its name. It changes nothing, and may run beside a
bifrost. Whose vaults they are only the chain can tell: see bifrost doctor.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.keystoreVerify(cmd.Context()) },
	}
	reseal := &cobra.Command{
		Use:   "reseal",
		Short: "Seal every keyshare anew, for the recipients that config.toml names now",
		Long: `reseal brings every file of the keystore to the recipients of now. It can be ended at
any time and run again: each file is always the old or the new one. Copies that were
made before stay readable with the former keys, and so may what a disk has not
overwritten. No bifrost may run in the home.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.keystoreReseal(cmd.Context()) },
	}
	var out, epoch string
	export := &cobra.Command{
		Use:   "export --out DIR",
		Short: "Write the keyshares as plain files of go-tss, for another signer",
		Long: `export opens the keyshares and writes them as the files that go-tss reads, in
PLAINTEXT, into a folder outside of the home. Each is checked first; all are written
or none, and none is replaced. --epoch takes those of one epoch.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.keystoreExport(cmd.Context(), out, epoch)
		},
	}
	export.Flags().StringVar(&out, "out", "", "folder for the files")
	export.Flags().StringVar(&epoch, "epoch", "", "epoch to take, 0 for what is unplaced (default: all)")
	for _, sub := range []*cobra.Command{verify, reseal, export} {
		sub.Flags().StringVar(&a.mnemonicFile, "mnemonic-file", "",
			"file that holds the mnemonic, - for standard input")
	}
	cmd.AddCommand(list, verify, reseal, export)
	return cmd
}

// openKeystore opens the keystore with the mnemonic of the home. It is given to use, with the key
// of the signer.
func (a *app) openKeystore(
	ctx context.Context,
	use func(store *keystore.Store, key *signer.Key) error,
) error {
	cfg, err := home.Load(a.home)
	if err != nil {
		return command.Usage(err)
	}
	path := a.findMnemonic()
	return a.withSigner(ctx, cfg, path, func(mnemonic *sanity.Mnemonic, key *signer.Key) error {
		keys, err := service.HomeKeys(cfg, mnemonic)
		if err != nil {
			return err
		}
		store, err := keystore.Open(home.KeysharesDir(a.home), keys)
		if err != nil {
			return err
		}
		return use(store, key)
	})
}

func (a *app) keystoreList() error {
	store, err := keystore.Open(home.KeysharesDir(a.home), nil)
	if err != nil {
		return err
	}
	return a.eachKeyshare(store, func(keystore.Entry) error { return nil })
}

// eachKeyshare does something with every file, and prints what became of each.
func (a *app) eachKeyshare(store *keystore.Store, do func(keystore.Entry) error) error {
	entries, err := store.Entries()
	if err != nil {
		return err
	}
	result := &keystoreFiles{Files: []keystoreFile{}, Aside: []string{}}
	var failed []error
	for _, e := range entries {
		f := keystoreFile{Epoch: e.Epoch, Name: e.Name, Path: e.Path, Bytes: e.Bytes}
		if err := do(e); err != nil {
			failed = append(failed, err)
			f.Error = command.OneLine(err.Error())
		}
		result.Files = append(result.Files, f)
	}
	aside, err := store.Aside()
	if err != nil {
		return err
	}
	result.Aside = append(result.Aside, aside...)
	plain, err := store.Plain()
	if err != nil {
		return err
	}
	for _, path := range plain {
		a.Warn(command.OneLine(path) + " lies in plaintext; bifrost start seals it")
	}
	err = a.Print(result, func(w io.Writer) {
		for _, f := range result.Files {
			fmt.Fprintf(w, "%s: %d bytes", f.Path, f.Bytes)
			if f.Error != "" {
				fmt.Fprintf(w, ": %s", f.Error)
			}
			fmt.Fprintln(w)
		}
		for _, path := range result.Aside {
			fmt.Fprintf(w, "%s: set aside\n", command.OneLine(path))
		}
	})
	if err == nil && len(failed) > 0 {
		err = fmt.Errorf("%w: %d of %d files: %w", errKeystore, len(failed), len(entries), failed[0])
	}
	return err
}

func (a *app) keystoreVerify(ctx context.Context) error {
	return a.openKeystore(ctx, func(store *keystore.Store, _ *signer.Key) error {
		return a.eachKeyshare(store, func(e keystore.Entry) error {
			file, err := openEntry(ctx, store, e)
			sanity.Wipe(file.Data)
			return err
		})
	})
}

// openEntry opens a file of the keystore and checks it.
func openEntry(
	ctx context.Context,
	store *keystore.Store,
	e keystore.Entry,
) (file envelope.File, err error) {
	if ctx.Err() != nil {
		return file, ctx.Err()
	}
	file.Name = e.Name
	if file.Data, err = store.Read(e); err != nil {
		return file, err
	}
	return file, keyfiles.Sound([]envelope.File{file})
}

// openEntries opens the chosen files of the keystore and checks them. One that is there twice, and
// equal, is taken once. The caller wipes what it returns, also beside an error.
func openEntries(
	ctx context.Context,
	store *keystore.Store,
	chosen func(keystore.Entry) bool,
) (files []envelope.File, err error) {
	entries, err := store.Entries()
	if err != nil {
		return nil, err
	}
	known := map[string][]byte{}
	for _, e := range entries {
		if !chosen(e) {
			continue
		}
		file, err := openEntry(ctx, store, e)
		other, twice := known[e.Name]
		if err == nil && !twice {
			known[e.Name] = file.Data
			files = append(files, file)
			continue
		}
		same := bytes.Equal(other, file.Data)
		sanity.Wipe(file.Data)
		switch {
		case err != nil:
			return files, fmt.Errorf("%w: %s: %w", errKeystore, e.Path, err)
		case !same:
			return files, fmt.Errorf("%s is there in several epochs: take one with --epoch", e.Name)
		}
	}
	if len(files) == 0 {
		return nil, errors.New("the keystore holds no such keyshare")
	}
	return files, nil
}

func (a *app) keystoreReseal(ctx context.Context) error {
	if err := home.Check(a.home); err != nil {
		return command.Usage(err)
	}
	unlock, err := home.Lock(a.home)
	if err != nil {
		return err
	}
	defer unlock()
	err = a.openKeystore(ctx, func(store *keystore.Store, key *signer.Key) error {
		err := a.Write(ctx, func() error {
			_, err := service.SealKeyshares(store, key)
			return err
		})
		if err != nil {
			return err
		}
		return a.eachKeyshare(store, func(e keystore.Entry) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return a.Write(ctx, func() error { return store.Reseal(e) })
		})
	})
	if err == nil {
		a.Done("every keyshare is sealed for the recipients of now",
			"see to the copies that were made before: they stay readable with the former keys")
	}
	return err
}

func (a *app) keystoreExport(ctx context.Context, out, epoch string) error {
	var only uint64
	if epoch != "" {
		var err error
		if only, err = strconv.ParseUint(epoch, 10, 64); err != nil {
			return command.Usage(errors.New("--epoch is no number"))
		}
	}
	switch {
	case out == "":
		return command.Usage(errors.New("--out is missing"))
	case home.Of(out) != "":
		return command.Usage(errors.New("--out is the keystore of a home, where nothing lies in " +
			"plaintext: give another folder"))
	}
	if err := a.TryFolder(out); err != nil {
		return err
	}
	var files []envelope.File
	defer func() {
		for _, f := range files {
			sanity.Wipe(f.Data)
		}
	}()
	err := a.openKeystore(ctx, func(store *keystore.Store, _ *signer.Key) (err error) {
		files, err = openEntries(ctx, store, func(e keystore.Entry) bool {
			return epoch == "" || e.Epoch == only
		})
		return err
	})
	if err != nil {
		return err
	}
	folder, err := keystore.OpenFolder(out)
	if err != nil {
		return err
	}
	if err := a.Write(ctx, func() error { return folder.Save(files) }); err != nil {
		return err
	}
	result := &exported{Out: out, Files: []string{}}
	for _, f := range files {
		result.Files = append(result.Files, f.Name)
	}
	err = a.Print(result, func(w io.Writer) {
		for _, name := range result.Files {
			fmt.Fprintln(w, name)
		}
	})
	a.Done(fmt.Sprintf("%d keyshares are in %s, in plaintext", len(files), command.OneLine(out)),
		"remove them from there when they are where they belong; removing is no erasure")
	return err
}
