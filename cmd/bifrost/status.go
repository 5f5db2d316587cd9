package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/publish"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/term"
	"github.com/tssbackup/tssbackup/bifrost/vault"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Ask the running bifrost how it goes",
		Long: `status asks the bifrost that runs in the home. It exits with 0 when bifrost is ready
and has no problem, with 3 when it has one, and with 6 when none runs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context()) },
	}
}

func (a *app) status(ctx context.Context) error {
	st, err := service.NewControl(a.home).Status(ctx)
	if err != nil {
		return err
	}
	if err := a.Print(st, func(w io.Writer) { a.writeStatus(w, st) }); err != nil {
		return err
	}
	if n := len(st.Problems); n > 0 {
		return fmt.Errorf("%w: %s", errUnhealthy, st.Problems[0])
	}
	return nil
}

func (a *app) writeStatus(w io.Writer, st *service.Status) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(table, "%s\t%v\n", name, value) }
	row("state", st.State)
	if st.Error != "" {
		row("", st.Error)
	}
	row("signer", st.Address)
	row("operator", st.Operator)
	row("chain", st.ChainID)
	row("node", st.Node)
	row("peer id", st.PeerID)
	for _, addr := range st.Addrs {
		row("address", addr)
	}
	row("term", termState(st.Term))
	if f := st.Standby; f != nil {
		row("follows", f.From)
		newest := "nothing yet"
		if f.Manifest != "" {
			newest = fmt.Sprintf("%s of %s with %d keyshares, looked at %s", f.Manifest,
				f.Time.Format(time.RFC3339), f.Keyshares, f.LastSuccess.Format(time.RFC3339))
		}
		row("has", newest)
	}
	row("pre-parameters", st.PreParams)
	if st.Trust != nil {
		row(
			"verified by",
			fmt.Sprintf(
				"header %d of %s",
				st.Trust.Height,
				st.Trust.Time.Format(time.RFC3339),
			),
		)
		row("its hash", st.Trust.Hash)
	}
	if b := st.Backup; b != nil {
		row("backups", b.Dir)
		newest := "none yet"
		if b.Manifest != "" {
			newest = fmt.Sprintf("%s with %d keyshares, looked at %s", b.Manifest, b.Keyshares,
				b.LastSuccess.Format(time.RFC3339))
		}
		row("newest", newest)
	}
	if h := st.Held; h != nil && h.Named > 0 {
		row("envelopes", fmt.Sprintf("%d of %d that the members hold are here", h.Held, h.Named))
	}
	for _, s := range st.Sinks {
		row("sink "+s.Name, sinkState(s))
	}
	row("version", st.Version)
	if p := st.Publish; p != nil {
		row("height", p.Height)
		_ = table.Flush()
		if len(p.Outbox) > 0 {
			fmt.Fprintln(table, "\nON ITS WAY\tKEYGEN\tDEADLINE\tSTEP\tVAULT")
			for _, r := range p.Outbox {
				step := string(r.Step)
				switch {
				case step == "" && r.Reshare:
					step = "reshare"
				case step == "":
					step = "keygen"
				}
				fmt.Fprintf(
					table,
					"%s\t%d\t%d\t%s\t%s\n",
					r.Kind,
					r.KeygenID,
					r.Deadline,
					step,
					vault.Short(r.Vault),
				)
			}
			_ = table.Flush()
		}
		if len(p.Vaults) > 0 {
			fmt.Fprintln(table, "\nVAULT\tSTATUS\tKEYSHARES\tPUBLISHED\tPROVEN\tHEARTBEAT")
			for _, v := range p.Vaults {
				published, proven := yes(v.Published), yes(v.Proven)
				if !v.Asked {
					published, proven = "not asked", "not asked"
				}
				fmt.Fprintf(
					table,
					"%s\t%s\t%s\t%s\t%s\t%s\n",
					vault.Short(v.Vault),
					v.Status,
					keyshares(st, v),
					published,
					proven,
					heartbeat(v.Heartbeat, p.Height),
				)
			}
		}
	}
	_ = table.Flush()
	for _, f := range st.FormerVaults {
		fmt.Fprintf(
			w,
			"\nVault %s lives under the former signer %s: keep its mnemonic.\n",
			f.Vault,
			f.Address,
		)
	}
	if len(st.SetAside) > 0 {
		fmt.Fprint(w, "\nKeyshare files were damaged, and kept when they were restored. Look at the disk, then\n"+
			"remove them:\n")
		for _, path := range st.SetAside {
			fmt.Fprintln(w, "  "+command.OneLine(path))
		}
	}
	if st.RegisterCommand != "" {
		fmt.Fprintf(
			w,
			"\nRegister the signer with the operator's key:\n\n  %s\n",
			st.RegisterCommand,
		)
	}
	if len(st.Problems) > 0 {
		fmt.Fprintln(w, "\nProblems:")
		for _, p := range st.Problems {
			lines := a.Lines(command.OneLine(p), len(" - "))
			fmt.Fprintln(w, " - "+strings.Join(lines, "\n   "))
		}
	}
}

// termState says which instance of the signer acts.
func termState(t term.Status) string {
	switch t.State {
	case term.Acting:
		return fmt.Sprintf("%d, this instance's since block %d", t.Term, t.Height)
	case term.Standby:
		if t.Term == 0 {
			return "0, nobody's yet"
		}
		return fmt.Sprintf("%d, another instance's since block %d", t.Term, t.Height)
	case term.Fenced:
		return fmt.Sprintf("%d, ANOTHER INSTANCE'S since block %d", t.Term, t.Height)
	}
	return fmt.Sprintf("%d, claiming the next", t.Term)
}

// keyshares says how a vault's keyshares are.
func keyshares(st *service.Status, v publish.VaultStatus) string {
	if slices.Contains(st.Damaged, v.Vault) {
		return string(service.StateDamaged)
	}
	return yes(v.Keyshares)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "NO"
}

// heartbeat says how much time the next one has, seen from a height.
func heartbeat(h *publish.HeartbeatStatus, height int64) string {
	switch {
	case h == nil:
		return "none due"
	case h.Missed > 0:
		return fmt.Sprintf("due in %d blocks, %d missed", h.Due-height, h.Missed)
	}
	return fmt.Sprintf("due in %d blocks", h.Due-height)
}
