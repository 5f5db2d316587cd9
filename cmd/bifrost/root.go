package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/home"
)

// version is set by the linker in releases.
var version = ""

// app is one invocation.
type app struct {
	stdin          *os.File
	stdout, stderr io.Writer
	// started tells that the arguments were understood and the work began.
	started bool

	home, output, mnemonicFile string
}

func (a *app) rootCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bifrost",
		Short: "The signer beside a validator",
		Long: `bifrost holds a validator's signer: its mnemonic and its keyshares. It makes vaults
and signatures together with the other signers, and publishes the encrypted backup
of every keyshare through the chain. The 24 words bring all of them back.

  bifrost init --chain-id ID --operator cosmosvaloper1...   once
  bifrost register                                          to replace the recipient key
  bifrost start                                             as a service
  bifrost status                                            how it goes
  bifrost doctor                                            whether it could be recovered

Results go to standard output, everything else to standard error.

` + exitCodes,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) (err error) {
			a.started = true
			if a.output != "text" && a.output != "json" {
				return usageError{errors.New("--output must be text or json")}
			}
			if a.home == "" {
				if a.home, err = home.Default(); err != nil {
					return usageError{fmt.Errorf("--home is missing, and there is no home folder: %w", err)}
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.PersistentFlags().StringVar(&a.home, "home", "", "folder of bifrost's files (default: bifrost under $XDG_DATA_HOME or ~/.local/share)")
	cmd.PersistentFlags().StringVar(&a.output, "output", "text", "form of the results: text or json")
	cmd.AddCommand(a.initCommand(), a.registerCommand(), a.startCommand(), a.statusCommand(), a.doctorCommand(), a.signCommand(), a.sealCommand(), a.versionCommand())
	return cmd
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.stdout, "bifrost", versionText())
			return err
		},
	}
}

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// print writes the results: the value as JSON, or what text writes.
func (a *app) print(value any, text func(w io.Writer)) error {
	var b strings.Builder
	if a.output == "json" {
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		if err := enc.Encode(value); err != nil {
			return err
		}
	} else {
		text(&b)
	}
	_, err := io.WriteString(a.stdout, b.String())
	return err
}

func (a *app) progress(format string, args ...any) {
	fmt.Fprintf(a.stderr, format+"\n", args...)
}
