package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/process"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/trust"
	"github.com/tssbackup/tssbackup/sanity"
)

// app is one invocation.
type app struct {
	*command.Invocation

	trust               trust.Options
	address, vault, out string
	mnemonicFile        string
	// from is where envelopes are looked for before the nodes are asked, and credentials the file
	// for the only place.
	from        []string
	credentials string
	// peers are where members are who hold envelopes.
	peers          []string
	hdPath, prefix string
	// operators is the prefix of operators' addresses, if it does not follow from prefix.
	operators string
	// vaultKey is the key that vault names, nil when it names none.
	vaultKey []byte
	// dryRun says that nothing is written, heartbeat that the chain is told what came back.
	dryRun, heartbeat bool
	// clients are the nodes, once the light client has begun.
	clients []*chain.Client
	// operator is set when address is that of a validator's operator, who is no member.
	operator []byte
}

func newRoot(in *command.Invocation) *cobra.Command {
	a := &app{Invocation: in, trust: trust.Options{
		Invocation: in, Program: "recover-keyshares", Timeout: nodeTimeout, Pause: pause,
	}}
	cmd := &cobra.Command{
		Use:   "recover-keyshares --node URL --node URL",
		Short: "Get keyshares back from the chain with the signer's mnemonic",
		Long: `recover-keyshares finds the backups that a signer has published for every active
and retiring vault it is a member of, opens them with the signer's mnemonic,
checks that the keyshares belong to these vaults and this member, and writes them
where bifrost looks for them: sealed into a home, as they are into any other folder.
It never replaces a file.

The mnemonic is asked for on the terminal, or read from --mnemonic-file. The
address follows from the mnemonic. Results go to standard output, everything else
to standard error.

The envelopes come from the nodes, or with --from from a folder, a bucket or IPFS: what
a signer publishes has a name there that follows from its record. Where a vault's
members hold the envelopes, no node has them: the other members are asked, where they
say on chain that they are reached, and first those of --peer. They serve the signer
whose mnemonic it is, on whichever host. Nobody is believed: an envelope's hash is
compared with the record that the nodes prove.

--dry-run is the rehearsal: everything is done up to the writing, nothing is written,
not even what was verified, and it says what would have been. It needs no home, and
may run on any machine, beside a bifrost too. drill does the same, and with --heartbeat
tells the chain.

` + trust.Help("recover-keyshares") + `
` + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.recover(cmd.Context()) },
	}
	a.recoverFlags(cmd)
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false,
		"find, fetch, open and check everything, and write nothing")
	cmd.AddCommand(a.drillCommand(), a.listCommand(), a.coverageCommand(), a.openCommand(),
		a.rebuildCommand(), a.identityCommand())
	return cmd
}

// recoverFlags are those of a recovery and of its rehearsal.
func (a *app) recoverFlags(cmd *cobra.Command) {
	a.nodeFlags(cmd)
	a.openFlags(cmd)
	cmd.Flags().
		StringVar(&a.address, "address", "", "the member's address (default: the one the mnemonic derives)")
	cmd.Flags().
		StringVar(&a.vault, "vault", "", "one vault, by its key in hex or its first 8 digits; a retired one by all of them (default: all active and retiring)")
	cmd.Flags().
		StringVar(&a.hdPath, "hd-path", signer.DefaultHDPath, "path by which the mnemonic derives the signer's key")
	cmd.Flags().StringArrayVar(&a.from, "from", nil,
		"folder, or URL of a sink or of a gateway of IPFS, with the envelopes; more than once for more (default: the nodes' archives and blocks)")
	cmd.Flags().StringArrayVar(&a.peers, "peer", nil,
		"address of a member that holds envelopes, /dns4/HOST/tcp/5040/p2p/ID; more than once for more (default: where the members' claims on chain say)")
	cmd.Flags().StringVar(&a.credentials, "credentials-file", "",
		"file with the user and the secret for the URL, in two lines")
	a.prefixFlag(cmd)
	a.operatorFlag(cmd)
}

func (a *app) prefixFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.prefix, "prefix", "cosmos", "prefix of the chain's addresses")
}

func (a *app) operatorFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.operators, "operator-prefix", "",
		"prefix of the addresses of validators' operators (default: the prefix and valoper)")
}

func (a *app) openFlags(cmd *cobra.Command) {
	cmd.Flags().
		StringVar(&a.mnemonicFile, "mnemonic-file", "", "file that holds the mnemonic, - for standard input (default: ask)")
	cmd.Flags().
		StringVar(&a.out, "out", "", "folder for the keyshares (default: where bifrost keeps them)")
}

// takeOut returns the folder for the keyshares, which a rehearsal may do without. When it is that
// of a bifrost's home, the home is this process's until release: nobody writes there beside a
// bifrost that runs.
func (a *app) takeOut() (dir string, release func(), err error) {
	if dir = a.out; dir == "" {
		main, err := home.Default()
		if err != nil && a.dryRun {
			return "", func() {}, nil
		}
		if err != nil {
			return "", nil, command.Usage(
				fmt.Errorf("--out is missing, and there is no home folder: %w", err),
			)
		}
		dir = home.KeysharesDir(main)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", nil, err
	}
	of := home.Of(dir)
	if a.dryRun {
		return dir, func() {}, nil
	}
	release = func() {}
	if of != "" {
		release, err = home.Lock(of)
	}
	if errors.Is(err, home.ErrInUse) {
		err = fmt.Errorf(
			"%w: stop that bifrost first (while it runs it restores what is missing by itself), "+
				"or give another folder with --out",
			err,
		)
	}
	if err != nil {
		return "", nil, err
	}
	if err := a.TryFolder(dir); err != nil {
		release()
		return "", nil, err
	}
	return dir, release, nil
}

// withMnemonic reads the mnemonic from where the user has it and gives it to use. A wrong one is
// asked for again, also when only use finds out.
func (a *app) withMnemonic(ctx context.Context, use func(*sanity.Mnemonic) error) error {
	return a.withWords(ctx, func(raw []byte) error {
		m, err := sanity.ParseMnemonic(raw)
		if err != nil {
			return fmt.Errorf("%w: %w", errMnemonic, err)
		}
		defer m.Wipe()
		return use(m)
	})
}

// withWords is withMnemonic for the words as they are.
func (a *app) withWords(ctx context.Context, use func(raw []byte) error) error {
	wrong := func(err error) bool {
		var part incomplete
		if errors.As(err, &part) && part.partly {
			return false
		}
		return codeOf(err) == codeMnemonic
	}
	return a.Mnemonic(ctx, process.Secret{Path: a.mnemonicFile}, wrong,
		func(raw []byte, warning string) error {
			if warning != "" {
				a.Warn(warning)
			}
			return use(raw)
		})
}
