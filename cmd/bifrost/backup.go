package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/homebackup"
	"github.com/tssbackup/tssbackup/bifrost/keyfiles"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/sink"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// backupManifest is one backup in JSON.
type backupManifest struct {
	ID        string `json:"id"`
	Sequence  uint64 `json:"sequence"`
	Time      string `json:"time"`
	ChainID   string `json:"chain_id"`
	Signer    string `json:"signer"`
	Files     int    `json:"files"`
	Keyshares int    `json:"keyshares"`
}

func manifestOf(m *homebackup.Manifest) backupManifest {
	return backupManifest{
		ID: m.ID(), Sequence: m.Sequence, Time: m.Time.Format(time.RFC3339), ChainID: m.ChainID,
		Signer: m.Signer, Files: len(m.Files), Keyshares: m.Keyshares(),
	}
}

// backupDamage is what is not in order, in JSON.
type backupDamage struct {
	Name  string `json:"name"`
	Epoch uint64 `json:"epoch"`
	// Object is empty for what is no object.
	Object string `json:"object"`
	Error  string `json:"error"`
}

func damageOf(list []homebackup.Damage) []backupDamage {
	damage := []backupDamage{}
	for _, d := range list {
		damage = append(damage, backupDamage{
			d.Name, d.Epoch, d.Object, command.OneLine(d.Err.Error()),
		})
	}
	return damage
}

func writeDamage(w io.Writer, list []backupDamage) {
	for _, d := range list {
		fmt.Fprintf(w, "%s: %s\n", command.OneLine(d.Name), d.Error)
	}
}

// createdBackup is the result of create in JSON.
type createdBackup struct {
	Store    string         `json:"store"`
	Manifest backupManifest `json:"manifest"`
	// Unchanged says that the manifest was there before.
	Unchanged bool `json:"unchanged"`
	// Objects and Bytes are what was written.
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// Fork is the id of a store that a copy of the home writes to as well.
	Fork    string         `json:"fork"`
	Damaged []backupDamage `json:"damaged"`
}

// backupStore is one store in JSON.
type backupStore struct {
	Store     string           `json:"store"`
	Manifests []backupManifest `json:"manifests"`
	Forks     []string         `json:"forks"`
	Objects   int              `json:"objects"`
	Bytes     int64            `json:"bytes"`
	// Others says that it is another signer's, so that nothing in it was opened.
	Others bool `json:"others"`
	// Unopened are files of the newest backup that only its recipients open.
	Unopened []string       `json:"unopened"`
	Damaged  []backupDamage `json:"damaged"`
}

// backupStores is the result of list and verify in JSON.
type backupStores struct {
	Stores []backupStore `json:"stores"`
}

// prunedStore is one store in the result of prune in JSON.
type prunedStore struct {
	Store   string   `json:"store"`
	Kept    []string `json:"kept"`
	Removed []string `json:"removed"`
	// Objects and Bytes are of objects that were removed.
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// prunedBackups is the result of prune in JSON.
type prunedBackups struct {
	DryRun bool          `json:"dry_run"`
	Stores []prunedStore `json:"stores"`
}

// restoredBackup is the result of restore and export in JSON.
type restoredBackup struct {
	// Out is the home that was built, or the file; empty after a dry run.
	Out      string         `json:"out"`
	Store    string         `json:"store"`
	Manifest backupManifest `json:"manifest"`
	// Complete says that all of the backup is there.
	Complete bool     `json:"complete"`
	Files    []string `json:"files"`
	// Left are records of what was on its way to the chain, which do not come back.
	Left []string `json:"left"`
	// Unopened are files that only the recipients of the backup open, and do not come back.
	Unopened []string       `json:"unopened"`
	Damaged  []backupDamage `json:"damaged"`
	// Chain is what comparing with the chain has shown; nil when it was not asked.
	Chain *backupOnChain `json:"chain"`
}

// backupOnChain is a comparison of a restored home with the chain, in JSON.
type backupOnChain struct {
	Height int64 `json:"height"`
	// Complete says that the keyshares of all live vaults are in the home.
	Complete bool                 `json:"complete"`
	Vaults   []backupVaultOnChain `json:"vaults"`
}

// backupVaultOnChain is one live vault of the signer in JSON.
type backupVaultOnChain struct {
	Vault string `json:"vault"`
	Epoch uint64 `json:"epoch"`
	// Keyshares come from the backup or the chain, or are missing; then Error says why.
	Keyshares string `json:"keyshares"`
	Error     string `json:"error"`
}

// backups are the flags of the commands.
type backups struct {
	dir, hdPath, out string
	// credentials is the file of those for the URL of a sink.
	credentials  string
	keyless, dry bool
	salvage      bool
	nodes        []string
	choice       homebackup.Choice
	keep         homebackup.Keep
}

func (a *app) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Keep sealed copies of a home in a folder, and build a home from them",
		Long: `The chain brings the keyshares of living vaults back. A backup has all that a home
holds: the keyshares of every epoch, the records of what was published, and the
configuration. It is sealed for the mnemonic and for the recipients that config.toml
names. It holds no pre-parameters, and the mnemonic only with include_mnemonic in
config.toml, for the recipients of the backups alone. A second backup costs what
changed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	b := &backups{}
	create := &cobra.Command{
		Use:   "create [--to DIR]",
		Short: "Back the home up, unless nothing changed since",
		Long: `create writes what the folder does not have yet, and a manifest last, which is the
backup. It may run beside a bifrost. Files that do not open are named, and the backup
has them as they were in the one before; then the exit code is 5.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.backupCreate(cmd.Context(), b)
		},
	}
	create.Flags().StringVar(&b.dir, "to", "", "folder of the backups (default: dir in config.toml)")
	list := &cobra.Command{
		Use:   "list [--from DIR|URL]",
		Short: "List the backups of the signer in a folder",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.fromSink(cmd.Context(), b, a.backupList)
		},
	}
	verify := &cobra.Command{
		Use:   "verify [--from DIR|FILE|URL]",
		Short: "Say whether everything in a folder could be restored; changes nothing",
		Long: `verify opens everything in the folder that is this signer's, and checks signatures,
contents, and keyshares as mathematics. With --keyless it asks for no mnemonic and
compares each file with its name, which finds every file that was damaged, and none
that is missing. --from can name a file of export as well, or the URL of a sink.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.fromSink(cmd.Context(), b, a.backupVerify)
		},
	}
	verify.Flags().BoolVar(&b.keyless, "keyless", false, "compare files with their names only")
	prune := &cobra.Command{
		Use:   "prune [--from DIR] --keep-last N --keep-daily N",
		Short: "Remove older backups of this home from a folder",
		Long: `prune verifies the newest backup of this home, and then removes the older ones that
no --keep flag names, and what only they held. The newest always stays, and so does
one that holds a keyshare which the newest does not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.backupPrune(cmd.Context(), b) },
	}
	prune.Flags().IntVar(&b.keep.Last, "keep-last", 0, "how many of the newest to keep")
	prune.Flags().IntVar(&b.keep.Daily, "keep-daily", 0, "of how many days to keep the newest")
	prune.Flags().IntVar(&b.keep.Weekly, "keep-weekly", 0, "of how many weeks to keep the newest")
	prune.Flags().IntVar(&b.keep.Monthly, "keep-monthly", 0, "of how many months to keep the newest")
	prune.Flags().IntVar(&b.keep.Yearly, "keep-yearly", 0, "of how many years to keep the newest")
	prune.Flags().BoolVar(&b.dry, "dry-run", false, "say what would be removed")
	restore := &cobra.Command{
		Use:   "restore --from DIR|FILE|URL [--home DIR]",
		Short: "Build a home from a backup",
		Long: `restore verifies all of a backup, in a folder, in a file of export, or in a sink
such as s3://bucket/prefix?endpoint=https://s3.example.org&region=eu-1, and builds a
home in the folder of --home, which must be missing or without any file. It deletes
nothing, and can be run again after it was cut off; until it has ended bifrost does
not start there. Keyshares and the records of what was published come back. What was
on its way when the backup was made does not: bifrost has it from the chain, and makes
nothing twice. The mnemonic is not written.

With --node it compares the new home with the chain's records of live vaults, which
it verifies, and restores from their envelopes what a newer backup would have held.
Without, bifrost does the same when it starts.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.fromSink(cmd.Context(), b, a.backupRestore)
		},
	}
	restore.Flags().BoolVar(&b.dry, "dry-run", false, "verify, and write nothing")
	restore.Flags().BoolVar(&b.salvage, "salvage", false, "write what there is of a backup that is not whole")
	restore.Flags().StringSliceVar(&b.nodes, "node", nil,
		"CometBFT RPC of a node to compare with; others are its witnesses")
	restore.MarkFlagsMutuallyExclusive("node", "dry-run")
	export := &cobra.Command{
		Use:   "export [--from DIR|URL] --out FILE",
		Short: "Write a backup as one file, age around a tar archive",
		Long: `export writes what restore would build as one file: "age -d -i identity FILE | tar x"
gives the home, with its keyshares still sealed, and the signed manifests that it is
verified by. restore --from FILE builds the home from it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.fromSink(cmd.Context(), b, a.backupExport)
		},
	}
	export.Flags().StringVar(&b.out, "out", "", "file for the backup, such as home.tar.age, - for standard output")
	prune.Flags().StringVar(&b.dir, "from", "", "folder of the backups (default: dir in config.toml)")
	for _, sub := range []*cobra.Command{list, export} {
		sub.Flags().StringVar(&b.dir, "from", "",
			"folder of the backups, or URL of a sink (default: dir in config.toml)")
	}
	for _, sub := range []*cobra.Command{verify, restore} {
		sub.Flags().StringVar(&b.dir, "from", "",
			"folder of the backups, file of export, - for standard input, or URL of a sink (default: dir in config.toml)")
	}
	for _, sub := range []*cobra.Command{list, verify, restore, export} {
		sub.Flags().StringVar(&b.credentials, "credentials-file", "",
			"file with the user and the secret for the URL, in two lines (default: that of the sink in config.toml)")
	}
	for _, sub := range []*cobra.Command{restore, export} {
		sub.Flags().StringVar(&b.choice.Store, "store", "", "id of the store, where there are several")
		sub.Flags().StringVar(&b.choice.At, "at", "", "sequence or id of the backup (default: the newest)")
		sub.Flags().BoolVar(&b.choice.Unite, "unite", false,
			"add the keyshares of all backups of the signer in the folder")
	}
	for _, sub := range []*cobra.Command{list, verify, restore, export} {
		sub.Flags().StringVar(&b.hdPath, "hd-path", signer.DefaultHDPath,
			"path of the signer's key, where no home says it")
	}
	for _, sub := range []*cobra.Command{create, list, verify, prune, restore, export} {
		sub.Flags().StringVar(&a.mnemonicFile, "mnemonic-file", "",
			"file that holds the mnemonic, - for standard input")
		cmd.AddCommand(sub)
	}
	return cmd
}

// stdio stands for standard input and output.
const stdio = "-"

// isURL reports whether a flag names a sink and no path.
func isURL(from string) bool { return strings.Contains(from, "://") }

// openSink opens the sink that the flags name, with their credentials or with those that the
// configuration has for it.
func (b *backups) openSink(cfg home.Config) (from sink.Sink, err error) {
	credentials := b.credentials
	if credentials != "" {
		if credentials, err = filepath.Abs(credentials); err != nil {
			return nil, err
		}
	}
	for _, s := range cfg.Sinks {
		if s.URL == b.dir && credentials == "" {
			credentials = s.CredentialsFile
		}
	}
	c, err := sink.ReadCredentials(credentials)
	if err == nil {
		from, err = sink.Open(b.dir, c)
	}
	if err != nil {
		return nil, command.Usage(err)
	}
	return from, nil
}

// fromSink gives what is to be read of a sink that the flags name to use as a folder of backups: a
// bucket is copied into one, which is taken away again. What is in it is sealed.
func (a *app) fromSink(
	ctx context.Context, b *backups, use func(context.Context, *backups) error,
) error {
	if !isURL(b.dir) {
		return use(ctx, b)
	}
	cfg, _ := home.Load(a.home) // where there is none, the flags say all
	from, err := b.openSink(cfg)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bifrost-sink-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := sink.Fetch(ctx, from, dir, homebackup.IsFile); err != nil {
		return err
	}
	at := b.dir
	b.dir = dir
	if err := use(ctx, b); err != nil {
		return ofCopy{err, dir, at}
	}
	return nil
}

// ofCopy is an error about the copy of a sink in a folder, which says where the sink is.
type ofCopy struct {
	error
	dir, at string
}

func (e ofCopy) Error() string { return strings.ReplaceAll(e.error.Error(), e.dir, e.at) }
func (e ofCopy) Unwrap() error { return e.error }

// backupConfig is the configuration of the home, when there is one, and the folder of the backups.
// Without a home only the flags say where they are.
func (a *app) backupConfig(b *backups) (cfg home.Config, isHome bool, err error) {
	cfg, err = home.Load(a.home)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		cfg = home.DefaultConfig()
		cfg.HDPath = b.hdPath
	case err != nil:
		return cfg, false, command.Usage(err)
	default:
		isHome = true
	}
	switch {
	case b.dir == "":
		b.dir = cfg.Backup.Dir
	case b.dir == stdio:
		b.dir = "/dev/stdin"
	case isURL(b.dir):
		return cfg, isHome, command.Usage(errors.New("backups are made and pruned in a folder: a sink " +
			"gets copies of it, see bifrost sink"))
	}
	if b.dir == "" {
		return cfg, isHome, command.Usage(errors.New("the folder of the backups is missing: give it, " +
			"or set dir under [backup] in config.toml"))
	}
	return cfg, isHome, nil
}

// backupOwner is whose backups they are.
type backupOwner struct {
	homebackup.Owner
	mnemonic *sanity.Mnemonic
}

func (o backupOwner) keys() homebackup.Keys {
	return homebackup.Keys{Home: o.Keys, PubKey: o.Key.PubKey()}
}

// openBackups derives from the mnemonic what the backups of its signer are made and opened with.
func (a *app) openBackups(
	ctx context.Context,
	cfg home.Config,
	path string,
	use func(o backupOwner) error,
) error {
	mnemonic, err := a.readMnemonic(ctx, path)
	if err != nil {
		return err
	}
	defer mnemonic.Wipe()
	o, err := service.BackupOwner(a.home, cfg, mnemonic)
	if err != nil {
		return err
	}
	defer o.Key.Wipe()
	return use(backupOwner{o, mnemonic})
}

// backupMnemonic says where the mnemonic is: where the home has it, if there is a home, else where
// the user says, or with the user.
func (a *app) backupMnemonic(isHome bool) string {
	if isHome {
		return a.findMnemonic()
	}
	return a.mnemonicFile
}

// checkKeyshare checks a keyshare of a backup as mathematics.
func checkKeyshare(name string, data []byte) error {
	return keyfiles.Sound([]envelope.File{{Name: name, Data: data}})
}

func (a *app) backupCreate(ctx context.Context, b *backups) error {
	cfg, isHome, err := a.backupConfig(b)
	if err == nil && !isHome {
		_, err = home.Load(a.home)
	}
	if err == nil {
		err = home.Check(a.home)
	}
	if err != nil {
		return command.Usage(err)
	}
	if err := a.TryFolder(b.dir); err != nil {
		return err
	}
	create := func(o backupOwner) error {
		var c *homebackup.Created
		err := a.Write(ctx, func() (err error) {
			c, err = homebackup.Create(ctx, o.Owner, b.dir, time.Now())
			return err
		})
		if err != nil {
			return err
		}
		return a.printCreated(c)
	}
	return a.openBackups(ctx, cfg, a.findMnemonic(), create)
}

func (a *app) printCreated(c *homebackup.Created) error {
	result := &createdBackup{
		Store: c.Manifest.Store, Manifest: manifestOf(c.Manifest), Unchanged: c.Unchanged,
		Objects: c.Objects, Bytes: c.Bytes, Fork: c.Fork, Damaged: damageOf(c.Damaged),
	}
	if c.First {
		a.Warn("the folder had no backup of this home: everything is written to " + c.Manifest.Store)
	}
	if c.Fork != "" {
		a.Warn("another process writes to the store " + c.Fork + " too: this home was copied, and two " +
			"bifrosts with one mnemonic must not run; restore with --unite has the keyshares of both")
	}
	err := a.Print(result, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d keyshares, %d files in all; %d objects and %d bytes written\n",
			result.Manifest.ID, result.Manifest.Keyshares, result.Manifest.Files,
			c.Objects, c.Bytes)
		writeDamage(w, result.Damaged)
	})
	if err == nil && len(c.Damaged) > 0 {
		return fmt.Errorf("%w: %d files of the home are not in order: %w", homebackup.ErrDamaged,
			len(c.Damaged), c.Damaged[0])
	}
	if c.Unchanged {
		a.Done("nothing changed since the backup "+result.Manifest.ID,
			"bifrost backup verify says whether it can be restored")
		return err
	}
	a.Done("the home is backed up", "bifrost backup verify says whether it can be restored")
	return err
}

func (a *app) backupList(ctx context.Context, b *backups) error {
	cfg, isHome, err := a.backupConfig(b)
	if err != nil {
		return err
	}
	return a.openBackups(ctx, cfg, a.backupMnemonic(isHome),
		func(o backupOwner) error {
			all, err := homebackup.List(ctx, b.dir, o.keys())
			if err != nil {
				return err
			}
			return a.printStores(all)
		})
}

func (a *app) backupVerify(ctx context.Context, b *backups) error {
	cfg, isHome, err := a.backupConfig(b)
	if err != nil {
		return err
	}
	file := isFile(b.dir)
	if b.keyless && file {
		return command.Usage(errors.New("--keyless compares the files in a folder with their names: " +
			"a single file is opened"))
	}
	if b.keyless {
		all, err := homebackup.Verify(ctx, b.dir, nil, nil)
		if err != nil {
			return err
		}
		return a.printStores(all)
	}
	return a.openBackups(ctx, cfg, a.backupMnemonic(isHome),
		func(o backupOwner) error {
			keys := o.keys()
			if file {
				s, err := homebackup.VerifyFile(ctx, b.dir, keys, checkKeyshare)
				if err != nil {
					return err
				}
				return a.printStores([]homebackup.Store{s})
			}
			all, err := homebackup.Verify(ctx, b.dir, &keys, checkKeyshare)
			if err != nil {
				return err
			}
			return a.printStores(all)
		})
}

func (a *app) printStores(all []homebackup.Store) error {
	result := &backupStores{Stores: []backupStore{}}
	var first error
	damaged := 0
	for _, s := range all {
		one := backupStore{
			Store: s.ID, Manifests: []backupManifest{}, Forks: append([]string{}, s.Forks...),
			Objects: s.Objects, Bytes: s.Bytes, Others: s.Others,
			Unopened: append([]string{}, s.Unopened...), Damaged: damageOf(s.Damaged),
		}
		for _, m := range s.Manifests {
			one.Manifests = append(one.Manifests, manifestOf(m))
		}
		if len(s.Damaged) > 0 && first == nil {
			first = s.Damaged[0]
		}
		damaged += len(s.Damaged)
		result.Stores = append(result.Stores, one)
	}
	err := a.Print(result, func(w io.Writer) {
		for _, s := range result.Stores {
			fmt.Fprintf(w, "store %s: %d objects, %d bytes", s.Store, s.Objects, s.Bytes)
			if s.Others {
				fmt.Fprint(w, ", of another signer")
			}
			fmt.Fprintln(w)
			for _, m := range s.Manifests {
				fmt.Fprintf(w, "  %s of %s: %d keyshares, %d files in all\n", m.ID, m.Time, m.Keyshares,
					m.Files)
			}
			for _, id := range s.Forks {
				fmt.Fprintf(w, "  %s is of a copy of the home\n", id)
			}
			for _, name := range s.Unopened {
				fmt.Fprintf(w, "  %s is there: it opens with the keys of backup.recipients alone\n", name)
			}
			writeDamage(w, s.Damaged)
		}
	})
	if err == nil && damaged > 0 {
		err = fmt.Errorf("%w: %d things are not in order: %w", homebackup.ErrDamaged, damaged, first)
	}
	return err
}

func (a *app) backupPrune(ctx context.Context, b *backups) error {
	if !b.keep.Valid() {
		return command.Usage(errors.New("nothing says which backups to keep: give --keep-last or another " +
			"--keep flag, none of them below 0"))
	}
	cfg, isHome, err := a.backupConfig(b)
	if err == nil && !isHome {
		_, err = home.Load(a.home)
	}
	if err != nil {
		return command.Usage(err)
	}
	prune := func(o backupOwner) error {
		var all []homebackup.Pruned
		err := a.Write(ctx, func() (err error) {
			all, err = homebackup.Prune(ctx, a.home, b.dir, o.keys(), b.keep, checkKeyshare, b.dry)
			return err
		})
		if err != nil {
			return err
		}
		result := &prunedBackups{DryRun: b.dry, Stores: []prunedStore{}}
		for _, p := range all {
			result.Stores = append(result.Stores, prunedStore{
				p.Store, p.Kept, append([]string{}, p.Removed...), p.Objects, p.Bytes,
			})
		}
		return a.Print(result, func(w io.Writer) {
			verb := "removed"
			if b.dry {
				verb = "to remove"
			}
			for _, p := range result.Stores {
				fmt.Fprintf(w, "store %s: %d backups kept, %d %s, with %d objects of %d bytes\n", p.Store,
					len(p.Kept), len(p.Removed), verb, p.Objects, p.Bytes)
			}
		})
	}
	return a.openBackups(ctx, cfg, a.findMnemonic(), prune)
}

// isFile reports whether a path is that of a file, as export writes them, or of a pipe with one.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// preparePlan verifies the backup that the flags choose, in a folder or in a file.
func preparePlan(
	ctx context.Context,
	b *backups,
	keys homebackup.Keys,
) (*homebackup.Plan, error) {
	if !isFile(b.dir) {
		return homebackup.Prepare(ctx, b.dir, keys, b.choice, checkKeyshare)
	}
	return homebackup.PrepareFile(ctx, b.dir, keys, checkKeyshare)
}

// plan verifies the backup that the flags choose, and gives it to use.
func (a *app) plan(
	ctx context.Context,
	b *backups,
	mnemonic func(isHome bool) string,
	use func(p *homebackup.Plan, o backupOwner) error,
) error {
	cfg, isHome, err := a.backupConfig(b)
	if err != nil {
		return err
	}
	if b.choice != (homebackup.Choice{}) && isFile(b.dir) {
		return command.Usage(errors.New("--store, --at and --unite choose among the backups in a " +
			"folder: a file holds one"))
	}
	return a.openBackups(ctx, cfg, mnemonic(isHome),
		func(o backupOwner) error {
			p, err := preparePlan(ctx, b, o.keys())
			if err != nil {
				return err
			}
			defer p.Wipe()
			return use(p, o)
		})
}

func (a *app) printPlan(p *homebackup.Plan, out string, chain *backupOnChain) error {
	if p.Whole() && len(p.Damaged) > 0 {
		a.Warn(fmt.Sprintf("%d other backups in the store are not in order", len(p.Damaged)))
	}
	result := &restoredBackup{
		Out: out, Store: p.Manifest.Store, Manifest: manifestOf(p.Manifest), Complete: p.Whole(),
		Files: []string{}, Left: append([]string{}, p.Left...),
		Unopened: append([]string{}, p.Unopened...), Damaged: damageOf(p.Damaged),
		Chain: chain,
	}
	for _, f := range p.Files() {
		result.Files = append(result.Files, f.Name)
	}
	return a.Print(result, func(w io.Writer) {
		fmt.Fprintf(w, "%s of %s, store %s\n", result.Manifest.ID, result.Manifest.Time, result.Store)
		for _, name := range result.Files {
			fmt.Fprintln(w, name)
		}
		for _, name := range result.Left {
			fmt.Fprintf(w, "%s: left out, the chain has it\n", name)
		}
		for _, name := range result.Unopened {
			fmt.Fprintf(w, "%s: left out, it opens with the keys of backup.recipients alone\n", name)
		}
		writeDamage(w, result.Damaged)
		if chain == nil {
			return
		}
		for _, v := range chain.Vaults {
			text := "from the " + v.Keyshares
			if v.Error != "" {
				text = "MISSING: " + v.Error
			}
			fmt.Fprintf(w, "vault %s of epoch %d: %s\n", vault.Short(v.Vault), v.Epoch, text)
		}
	})
}

func (a *app) backupRestore(ctx context.Context, b *backups) error {
	// A home that is being built has no mnemonic.
	asked := func(bool) string { return a.mnemonicFile }
	return a.plan(ctx, b, asked, func(p *homebackup.Plan, o backupOwner) error {
		if err := p.CheckTarget(a.home); err != nil {
			return err
		}
		out := ""
		if !b.dry && (p.Whole() || b.salvage) {
			out = a.home
			err := a.Write(ctx, func() error { return p.Write(ctx, a.home, b.salvage) })
			if err != nil {
				return err
			}
		}
		var chain *backupOnChain
		var unknown error
		if out != "" && len(b.nodes) > 0 {
			chain, unknown = a.compareWithChain(ctx, o, b.nodes)
		}
		if err := a.printPlan(p, out, chain); err != nil {
			return err
		}
		switch {
		case unknown != nil:
			return fmt.Errorf("the home is built, and not compared with the chain, which bifrost does when it "+
				"starts: %w", unknown)
		case !p.Whole():
			return fmt.Errorf("%w: %d things are not in order: %w", homebackup.ErrDamaged,
				len(p.Damaged), p.Err())
		case b.dry:
			a.Done("all of the backup is in order, and nothing was written",
				"the same without --dry-run builds the home")
			return nil
		case chain != nil && !chain.Complete:
			return fmt.Errorf("%w: the home is built, and keyshares of live vaults are missing",
				homebackup.ErrDamaged)
		case chain != nil:
			a.Done("the home is built, and has the keyshares of every live vault of the signer as of block "+
				strconv.FormatInt(chain.Height, 10)+"; the mnemonic is not in it, and was not written",
				"bifrost init with this home takes the mnemonic. Never start it while the bifrost that the "+
					"backup is of runs")
			return nil
		}
		a.Done("the home is built from the newest backup that the folder shows, or the one that was "+
			"chosen; the mnemonic is not in it, and was not written",
			"bifrost init with this home takes the mnemonic; bifrost doctor compares with the chain. "+
				"Never start it while the bifrost that the backup is of runs")
		return nil
	})
}

// compareWithChain compares the home that was built with the chain.
func (a *app) compareWithChain(
	ctx context.Context, o backupOwner, nodes []string,
) (*backupOnChain, error) {
	cfg, err := home.Load(a.home)
	if err != nil {
		return nil, err
	}
	done, err := service.Complete(ctx, a.home, cfg, o.mnemonic, nodes)
	if err != nil {
		return nil, err
	}
	for _, w := range done.Warnings {
		a.Warn(w)
	}
	result := &backupOnChain{
		Height: done.Height, Complete: true, Vaults: []backupVaultOnChain{},
	}
	for _, v := range done.Vaults {
		one := backupVaultOnChain{Vault: v.Vault, Epoch: v.Epoch, Keyshares: "backup"}
		switch {
		case v.Err != nil:
			one.Keyshares, one.Error = "missing", command.OneLine(v.Err.Error())
			result.Complete = false
		case v.Fetched:
			one.Keyshares = "chain"
		}
		result.Vaults = append(result.Vaults, one)
	}
	return result, nil
}

func (a *app) backupExport(ctx context.Context, b *backups) error {
	if b.out == "" {
		return command.Usage(errors.New("--out is missing"))
	}
	return a.plan(ctx, b, a.backupMnemonic, func(p *homebackup.Plan, o backupOwner) error {
		data, err := p.Export(ctx, o.Keys)
		defer sanity.Wipe(data)
		if err != nil {
			return err
		}
		if b.out == stdio {
			return a.PrintRaw(data)
		}
		if err := a.Write(ctx, func() error { return durable.Write(b.out, data) }); err != nil {
			return err
		}
		err = a.printPlan(p, b.out, nil)
		a.Done("the backup is in "+command.OneLine(b.out),
			"bifrost backup restore --from FILE builds the home, and so does age -d -i IDENTITY FILE | tar x")
		return err
	})
}
