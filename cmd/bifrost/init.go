package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/registration"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/tss"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

func (a *app) initCommand() *cobra.Command {
	flags := home.DefaultConfig()
	var preParams []string
	cmd := &cobra.Command{
		Use:   "init --chain-id ID --operator VALOPER",
		Short: "Make a home, with a new mnemonic or one that there is",
		Long: `init makes the home of a signer: a mnemonic, a commented config.toml, and a place
for pre-parameters. It prints the transaction by which the validator's operator
registers the signer.

The mnemonic is read from --mnemonic-file, or drawn at random. It is not shown: a
new one is in the file that init names, and is to be written down from there.

init can be run again, to import pre-parameters or to see the transaction once
more. It never replaces a mnemonic or a configuration. The transaction is that of a
first registration; bifrost register prints later ones.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.init(cmd.Context(), cmd.Flags(), flags, preParams)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.ChainID, "chain-id", "", "id of the chain")
	f.StringVar(&flags.Operator, "operator", "", "operator address of the validator (…valoper1…)")
	f.StringVar(&flags.Node, "node", flags.Node, "CometBFT RPC address of the validator's node")
	f.StringSliceVar(
		&flags.Witnesses,
		"witness",
		flags.Witnesses,
		"CometBFT RPC address of another validator's node, repeatable",
	)
	a.ChainFlag(cmd)
	f.StringVar(&flags.Prefix, "prefix", flags.Prefix, "prefix of the chain's addresses")
	f.StringVar(&flags.OperatorPrefix, "operator-prefix", flags.OperatorPrefix,
		"prefix of the addresses of validators' operators (default: the prefix and valoper)")
	f.StringVar(
		&flags.HDPath,
		"hd-path",
		flags.HDPath,
		"path by which the mnemonic derives the signer's key",
	)
	f.StringSliceVar(
		&flags.P2P.Listen,
		"p2p-listen",
		flags.P2P.Listen,
		"multiaddr to listen on for the other signers, repeatable",
	)
	f.StringSliceVar(
		&flags.P2P.Public,
		"p2p-public",
		flags.P2P.Public,
		"multiaddr at which the other signers dial this one, for its claims on chain, repeatable",
	)
	f.StringSliceVar(
		&flags.P2P.Peers,
		"peer",
		flags.P2P.Peers,
		"multiaddr of another signer, repeatable",
	)
	f.StringVar(
		&flags.Metrics.Listen,
		"metrics-listen",
		flags.Metrics.Listen,
		"address for metrics and health, empty for none",
	)
	f.StringVar(
		&a.mnemonicFile,
		"mnemonic-file",
		"",
		"file that holds the mnemonic to import, - for standard input (default: a new one)",
	)
	f.StringSliceVar(
		&preParams,
		"preparams",
		nil,
		"file of pre-parameters to import (tss-lib's LocalPreParams in JSON), repeatable",
	)
	return cmd
}

func (a *app) init(
	ctx context.Context,
	set *pflag.FlagSet,
	flags home.Config,
	preParams []string,
) error {
	cfg, isNew, err := a.initConfig(set, flags)
	if err != nil {
		return err
	}
	if err := durable.MakeFolder(a.home); err != nil {
		return err
	}
	if err := home.Check(a.home); err != nil {
		return err
	}
	if err := a.TryFolder(a.home); err != nil {
		return err
	}
	if err := home.TrySocket(a.home); err != nil {
		return err
	}
	unlock, err := home.Lock(a.home)
	switch {
	case err == nil:
		unlock()
	case !errors.Is(err, home.ErrInUse):
		return err
	}
	mnemonic, err := a.initMnemonic(ctx)
	if err != nil {
		return err
	}
	defer mnemonic.Wipe()
	key, err := signer.Derive(mnemonic, cfg.HDPath)
	if err != nil {
		return command.Usage(fmt.Errorf("--hd-path: %w", err))
	}
	defer key.Wipe()
	request, err := registration.NewRequest(cfg, key, mnemonic, 0)
	if err != nil {
		return err
	}
	if isNew {
		if err := a.Write(ctx, func() error { return cfg.Write(a.home) }); err != nil {
			return err
		}
		a.Progress("The configuration is in %s.", home.ConfigPath(a.home))
	}
	keys, err := service.HomeKeys(cfg, mnemonic)
	if err != nil {
		return err
	}
	store := tss.NewPreParams(home.PreParamsDir(a.home), keys, zerolog.Nop())
	for _, path := range preParams {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		err = a.Write(ctx, func() error { return store.Import(data) })
		sanity.Wipe(data)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		a.Progress("Imported the pre-parameters in %s.", path)
	}
	// The node may not be there yet, and then the command is that of a first registration.
	registration.Complete(ctx, cfg, request, mnemonic)
	return a.printRegistration(request)
}

// initConfig returns the configuration that is there, which the flags must not contradict, or that
// of the flags.
func (a *app) initConfig(
	set *pflag.FlagSet,
	flags home.Config,
) (cfg home.Config, isNew bool, err error) {
	cfg, err = home.Load(a.home)
	if errors.Is(err, fs.ErrNotExist) {
		if flags.ChainID == "" || flags.Operator == "" {
			return cfg, false, command.Usage(errors.New("--chain-id and --operator are needed"))
		}
		if err := flags.Validate(); err != nil {
			return cfg, false, command.Usage(err)
		}
		return flags, true, nil
	}
	if err != nil {
		return cfg, false, command.Usage(err)
	}
	for _, f := range []struct {
		name string
		same bool
	}{
		{"chain-id", cfg.ChainID == flags.ChainID},
		{"operator", cfg.Operator == flags.Operator},
		{"node", cfg.Node == flags.Node},
		{"witness", slices.Equal(cfg.Witnesses, flags.Witnesses)},
		{"prefix", cfg.Prefix == flags.Prefix},
		{"operator-prefix", cfg.OperatorPrefix == flags.OperatorPrefix},
		{"hd-path", cfg.HDPath == flags.HDPath},
		{"p2p-listen", slices.Equal(cfg.P2P.Listen, flags.P2P.Listen)},
		{"p2p-public", slices.Equal(cfg.P2P.Public, flags.P2P.Public)},
		{"peer", slices.Equal(cfg.P2P.Peers, flags.P2P.Peers)},
		{"metrics-listen", cfg.Metrics.Listen == flags.Metrics.Listen},
	} {
		if set.Changed(f.name) && !f.same {
			return cfg, false, command.Usage(
				fmt.Errorf(
					"%s is there already and says something else than --%s: edit it",
					home.ConfigPath(a.home),
					f.name,
				),
			)
		}
	}
	return cfg, false, nil
}

// initMnemonic returns the mnemonic of the home, after it has put it there.
func (a *app) initMnemonic(ctx context.Context) (*sanity.Mnemonic, error) {
	path := home.MnemonicPath(a.home)
	if a.mnemonicFile != "" {
		m, err := a.readMnemonic(ctx, a.mnemonicFile)
		if err != nil {
			return nil, err
		}
		if err := a.Write(ctx, func() error { return storeMnemonic(path, m) }); err != nil {
			m.Wipe()
			return nil, err
		}
		return m, nil
	}
	if found := a.findMnemonic(); found != path {
		return a.readMnemonic(ctx, found)
	}
	if _, err := os.Lstat(path); err == nil {
		return a.readMnemonic(ctx, path)
	}
	m, err := newMnemonic()
	if err != nil {
		return nil, err
	}
	if err := a.Write(ctx, func() error { return storeMnemonic(path, m) }); err != nil {
		m.Wipe()
		return nil, err
	}
	a.Progress("A new mnemonic of 24 words is in %s.", path)
	a.Progress("Write the words down now, and keep them away from this host: they alone bring")
	a.Progress("the keyshares back, and whoever has them has the keyshares.")
	return m, nil
}
