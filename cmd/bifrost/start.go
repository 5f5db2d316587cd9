package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/service"
)

func (a *app) startCommand() *cobra.Command {
	var former bool
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Run the signer until it is told to stop",
		Long: `start runs the signer. It waits for the node, and for the operator to register the
signer; it does not start when the mnemonic fails a check, or when the chain knows
another signer for the operator. A signer that was replaced runs with --former as
long as vaults live under it: no other can sign for them.

The mnemonic comes from --mnemonic-file, from the systemd credential "mnemonic", or
from the file in the home; never from the environment or an argument. A file that
others may read is refused.

The log goes to standard error. SIGTERM or an interrupt ends bifrost in order: what
it was doing goes on at the next start.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.start(cmd.Context(), former, func(home.Config) (*service.Follow, error) {
				return nil, nil
			})
		},
	}
	a.startFlags(cmd, &former)
	return cmd
}

func (a *app) startFlags(cmd *cobra.Command, former *bool) {
	cmd.Flags().
		StringVar(&a.mnemonicFile, "mnemonic-file", "", "file that holds the mnemonic, - for standard input")
	cmd.Flags().
		BoolVar(former, "former", false, "run although the operator has another signer by now")
}

func (a *app) start(
	ctx context.Context, former bool, follow func(home.Config) (*service.Follow, error),
) error {
	cfg, err := home.Load(a.home)
	if err != nil {
		return command.Usage(err)
	}
	if err := home.Check(a.home); err != nil {
		return command.Usage(err)
	}
	log, err := service.NewLogger(cfg.Log, a.Stderr)
	if err != nil {
		return command.Usage(err)
	}
	of, err := follow(cfg)
	if err != nil {
		return err
	}
	path := a.findMnemonic()
	mnemonic, err := a.readMnemonic(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w: make or import one with bifrost init", errMnemonic, err)
	}
	if err != nil {
		return err
	}
	a.EndInOrder()
	return service.Run(ctx, service.Options{
		Home: a.home, Config: cfg, Mnemonic: mnemonic, Former: former, Follow: of, Log: log,
		Version: a.Version,
	})
}
