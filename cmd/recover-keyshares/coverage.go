package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// verdict is the result of coverage in JSON.
type verdict struct {
	Nodes   []string `json:"nodes"`
	ChainID string   `json:"chain_id"`
	// Height is that of the block after which the records were so.
	Height int64 `json:"height"`
	// Covered tells that the exit code is 0.
	Covered bool `json:"covered"`
	// Warnings are what standard error shows as such.
	Warnings []string       `json:"warnings"`
	Vaults   []coveredVault `json:"vaults"`
}

type coveredVault struct {
	Vault     string `json:"vault"`
	Status    string `json:"status"`
	Members   int    `json:"members"`
	Threshold uint32 `json:"threshold"`
	Asked     int    `json:"asked"`
	Published int    `json:"published"`
	// Covered tells that as many members have published as can sign together.
	Covered bool            `json:"covered"`
	List    []coveredMember `json:"list"`
	// Missing are the members that are asked and have not published.
	Missing []string `json:"missing"`
}

type coveredMember struct {
	Address  string   `json:"address"`
	Operator string   `json:"operator"`
	Asked    bool     `json:"asked"`
	Backups  []backup `json:"backups"`
}

func (a *app) coverageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "coverage --node URL --node URL",
		Short: "Show whether the vaults could be recovered from what is published",
		Long: `coverage counts the members of each active and retiring vault that have published
a backup. Every record is proven and all are of one height, so that the verdict
rests on the validators' signatures alone. It exits with 0 only when there is an active vault, and in every active
vault as many members have published as can sign together; otherwise with 3. With
--vault the verdict is on that vault alone.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.coverage(cmd.Context()) },
	}
	a.nodeFlags(cmd)
	a.prefixFlag(cmd)
	cmd.Flags().StringVar(&a.vault, "vault", "", "one vault, by its key in hex (default: all active and retiring)")
	return cmd
}

func (a *app) coverage(ctx context.Context) error {
	light, err := a.light(ctx)
	if err != nil {
		return err
	}
	state, err := a.head(ctx, light)
	if err != nil {
		return err
	}
	vaults, err := state.Coverage(ctx, a.vault)
	if err != nil {
		return err
	}
	v := &verdict{Nodes: nodeNames(a.nodes), ChainID: oneLine(light.ChainID()), Height: state.Height(), Vaults: []coveredVault{}}
	judged, covered := 0, 0
	for _, vault := range vaults {
		c := judge(vault)
		v.Vaults = append(v.Vaults, c)
		if a.vault == "" && vault.Status != types.VaultStatus_VAULT_STATUS_ACTIVE {
			continue
		}
		judged++
		if c.Covered {
			covered++
		}
	}
	v.Covered = judged > 0 && covered == judged
	v.Warnings = a.warned()
	if err := a.print(v, v.text); err != nil {
		return err
	}
	switch {
	case judged == 0:
		return fmt.Errorf("%w: there is no active vault", errNotCovered)
	case !v.Covered:
		return fmt.Errorf("%w: %d of %d vaults do not reach their threshold", errNotCovered, judged-covered, judged)
	}
	return nil
}

// judge counts for itself, and takes no verdict from the node.
func judge(vault types.VaultCoverage) coveredVault {
	c := coveredVault{
		Vault: oneLine(vault.Vault), Status: statusName(vault.Status),
		Members: len(vault.List), Threshold: vault.Threshold,
		List: []coveredMember{}, Missing: []string{},
	}
	for _, m := range vault.List {
		member := coveredMember{
			Address: oneLine(m.Address), Operator: oneLine(m.Operator), Asked: m.Asked, Backups: describeBackups(m.Commitments),
		}
		c.List = append(c.List, member)
		if m.Asked {
			c.Asked++
		}
		switch {
		case len(m.Commitments) > 0:
			c.Published++
		case m.Asked:
			c.Missing = append(c.Missing, member.Address)
		}
	}
	c.Covered = c.Threshold > 0 && uint64(c.Published) >= uint64(c.Threshold)
	return c
}

func (v *verdict) text(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VAULT\tSTATUS\tMEMBERS\tASKED\tPUBLISHED\tTHRESHOLD\tCOVERED")
	for _, c := range v.Vaults {
		answer := "no"
		if c.Covered {
			answer = "yes"
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t%s\n", c.Vault, c.Status, c.Members, c.Asked, c.Published, c.Threshold, answer)
	}
	_ = table.Flush()
	for _, c := range v.Vaults {
		for _, address := range c.Missing {
			fmt.Fprintf(w, "missing from vault %s: %s\n", c.Vault, address)
		}
	}
}
