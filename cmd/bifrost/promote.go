package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/service"
)

// promoteTimeout is how long promote waits for the claim to find its block.
const promoteTimeout = 5 * time.Minute

func (a *app) promoteCommand() *cobra.Command {
	var expect uint64
	cmd := &cobra.Command{
		Use:   "promote --expect TERM",
		Short: "Have a bifrost act that is fenced or stands by, in place of the one that does",
		Long: `promote has the bifrost that runs in the home claim the next term of its signer, when
bifrost status says that it stands by, or is fenced: another instance, with the same
mnemonic, has the term, or had it before its host was lost. From the next block on
that one is fenced, and stops by itself. Then this one restores what it lacks, from
the backups that it follows and from the chain, and acts.

It works when the latest term is the expected one, as status names it: so the same
command works once, and changes nothing in a script that runs again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("expect") {
				return command.Usage(errors.New("--expect is needed: bifrost status names the term"))
			}
			return a.promote(cmd.Context(), expect)
		},
	}
	cmd.Flags().Uint64Var(&expect, "expect", 0, "the term that another instance has, by bifrost status")
	return cmd
}

func (a *app) promote(ctx context.Context, expect uint64) error {
	ctx, cancel := context.WithTimeout(ctx, promoteTimeout)
	defer cancel()
	a.Progress("claiming the next term")
	st, err := service.NewControl(a.home).Promote(ctx, expect)
	if err != nil {
		return err
	}
	err = a.Print(st, func(w io.Writer) { fmt.Fprintf(w, "term  %d\n", st.Term) })
	a.Done(fmt.Sprintf("this bifrost acts in term %d", st.Term), "make sure that the other one stays down")
	return err
}
