package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/doctor"
	"github.com/tssbackup/tssbackup/bifrost/home"
)

// examined is the result of doctor in JSON.
type examined struct {
	Checks []doctor.Finding `json:"checks"`
}

func (a *app) doctorCommand() *cobra.Command {
	var nodes []string
	var strict bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that a recovery and a ceremony will need",
		Long: `doctor examines the signer of this home, whether it runs or not: the mnemonic and
the address and recipient keys that it derives against the chain, the modes of
files, the node, the clock, the header by which the chain's records are verified,
and the keyshares of every live vault as mathematics. Of itself and of the signers
that it has vaults with, as claims on chain and config.toml say where they are, it
looks whether they answer there, and prove to be them.

Its fire drill is a recovery up to the writing: it fetches the signer's latest
backups from a node other than the own one, opens them, checks the keyshares, and
compares them with the disk. The nodes are tried in turn: those of --node, or else
the witnesses in config.toml. Without any it asks the own node and warns of it.

A row says skipped where nothing could be found out, and a witness that does not
answer is not counted as one. doctor changes nothing. It exits with 0 when no row
says fail, else with 3; with --strict a skipped row counts as well.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.doctor(cmd.Context(), nodes, strict)
		},
	}
	cmd.Flags().
		StringSliceVar(&nodes, "node", nil, "CometBFT RPC of a node as a witness and for the fire drill; give several (default: witnesses in config.toml)")
	cmd.Flags().
		StringVar(&a.mnemonicFile, "mnemonic-file", "", "file that holds the mnemonic, - for standard input")
	cmd.Flags().
		BoolVar(&strict, "strict", false, "exit with 3 for what could not be checked, too")
	return cmd
}

func (a *app) doctor(ctx context.Context, nodes []string, strict bool) error {
	cfg, err := home.Load(a.home)
	if err != nil {
		return command.Usage(err)
	}
	if len(nodes) == 0 {
		nodes = cfg.Witnesses
	}
	o := doctor.Options{Home: a.home, Config: cfg, Nodes: nodes, MnemonicPath: a.findMnemonic()}
	o.Mnemonic, o.MnemonicErr = a.readMnemonic(ctx, o.MnemonicPath)
	if o.MnemonicErr == nil {
		defer o.Mnemonic.Wipe()
	}
	findings := doctor.Examine(ctx, o)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	text := func(w io.Writer) { a.writeFindings(w, findings) }
	if err := a.Print(examined{findings}, text); err != nil {
		return err
	}
	count := map[doctor.Level]int{}
	for _, f := range findings {
		count[f.Level]++
	}
	failed, skipped := count[doctor.Fail], count[doctor.Skipped]
	next := "nothing is to be done"
	if failed > 0 || skipped > 0 {
		next = "look at the rows that say fail or skipped, then bifrost doctor again"
	}
	a.Done(fmt.Sprintf("%d checks: %d ok, %d warnings, %d failed, %d skipped",
		len(findings), count[doctor.OK], count[doctor.Warn], failed, skipped), next)
	switch {
	case failed > 0 && skipped > 0:
		return fmt.Errorf("%w: %d checks failed, %d were skipped", errUnhealthy, failed, skipped)
	case failed > 0:
		return fmt.Errorf("%w: %d checks failed", errUnhealthy, failed)
	case skipped > 0 && strict:
		return fmt.Errorf("%w: %d checks were skipped", errUnhealthy, skipped)
	}
	return nil
}

func (a *app) writeFindings(w io.Writer, findings []doctor.Finding) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	level, check := 0, 0
	for _, f := range findings {
		level, check = max(level, len(f.Level)), max(check, len(f.Check))
	}
	for _, f := range findings {
		lines := a.Lines(command.OneLine(f.Detail), level+2+check+2)
		fmt.Fprintf(table, "%s\t%s\t%s\n",
			f.Level, f.Check, strings.Join(lines, "\n\t\t"))
	}
	_ = table.Flush()
}
