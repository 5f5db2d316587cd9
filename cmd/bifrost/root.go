package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/home"
)

// app is one invocation.
type app struct {
	*command.Invocation

	home, mnemonicFile string
}

func newRoot(in *command.Invocation) *cobra.Command {
	a := &app{Invocation: in}
	cmd := &cobra.Command{
		Use:   "bifrost",
		Short: "The signer beside a validator",
		Long: `bifrost holds a validator's signer: its mnemonic and its keyshares. It makes vaults
and signatures together with the other signers, and publishes the encrypted backup
of every keyshare through the chain. The 24 words bring all of them back.

  bifrost init --chain-id ID --operator cosmosvaloper1...   once
  bifrost register                                          to replace the recipient key
  bifrost start                                             as a service
  bifrost standby --from URL                                on a second host
  bifrost status                                            how it goes
  bifrost doctor                                            whether it could be recovered

Results go to standard output, everything else to standard error.

` + exitCodes,
		Args: cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) (err error) {
			if a.home == "" {
				if a.home, err = home.Default(); err != nil {
					return command.Usage(
						fmt.Errorf("--home is missing, and there is no home folder: %w", err),
					)
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().
		StringVar(&a.home, "home", "", "folder of bifrost's files (default: bifrost under $XDG_DATA_HOME or ~/.local/share)")
	cmd.AddCommand(
		a.initCommand(),
		a.registerCommand(),
		a.startCommand(),
		a.standbyCommand(),
		a.statusCommand(),
		a.doctorCommand(),
		a.configCommand(),
		a.signCommand(),
		a.promoteCommand(),
		a.sealCommand(),
		a.groupCommand(),
		a.keystoreCommand(),
		a.approveExportCommand(),
		a.exportCommand(),
		a.importCommand(),
		a.backupCommand(),
		a.sinkCommand(),
	)
	return cmd
}
