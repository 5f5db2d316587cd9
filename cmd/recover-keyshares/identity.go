package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/internal/durable"
	"github.com/tssbackup/tssbackup/sanity"
)

// identity is the result of identity in JSON.
type identity struct {
	Out string `json:"out"`
}

func (a *app) identityCommand() *cobra.Command {
	hybrid := false
	cmd := &cobra.Command{
		Use:   "identity --out FILE [--hybrid]",
		Short: "Write the identity that opens a home's sealed files with stock age",
		Long: `identity derives, from the signer's mnemonic, what opens the files that lie sealed in
the home of this signer, and writes it into a file for its owner alone (0600). Then
age opens each of them, without this project:

  age -d -i FILE keyshares/7/localstate-….json.age

The file has the X25519 identity alone, which every age reads, and which opens what a
home seals unless its config.toml names recipients age1pq1…. What was sealed under
such a configuration opens with the hybrid identity, which --hybrid writes instead; it
needs age 1.3 or newer, and an older one refuses a file that has it. A home that
changed its recipients may have files of both kinds: "no identity matched any of the
recipients" says that the other one is needed.

Whoever has the file has the keyshares: remove it when it is done with. It asks no
node, and never replaces a file.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.identity(cmd.Context(), hybrid)
		},
	}
	cmd.Flags().StringVar(&a.out, "out", "", "file for the identity")
	cmd.Flags().BoolVar(&hybrid, "hybrid", false,
		"write the hybrid identity (age 1.3 and newer), for recipients age1pq1…")
	cmd.Flags().StringVar(&a.mnemonicFile, "mnemonic-file", "",
		"file that holds the mnemonic, - for standard input (default: ask)")
	return cmd
}

func (a *app) identity(ctx context.Context, hybrid bool) error {
	if a.out == "" {
		return command.Usage(errors.New("--out is missing"))
	}
	err := a.withMnemonic(ctx, func(mnemonic *sanity.Mnemonic) error {
		file, err := signer.HomeIdentityOf(mnemonic, hybrid)
		if err != nil {
			return err
		}
		defer sanity.Wipe(file)
		return a.Write(ctx, func() error { return durable.Write(a.out, file) })
	})
	if err != nil {
		return err
	}
	err = a.Print(&identity{a.out}, func(w io.Writer) { _, _ = io.WriteString(w, a.out+"\n") })
	a.Done("the identity is in "+command.OneLine(a.out),
		"age -d -i "+command.OneLine(a.out)+" opens the sealed files of this signer's home; then "+
			"remove it: whoever has it has the keyshares")
	return err
}
