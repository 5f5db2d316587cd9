package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/audit"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// verdict is the result of coverage in JSON.
type verdict struct {
	Nodes   []string `json:"nodes"`
	ChainID string   `json:"chain_id"`
	// Verified tells that the records were verified by the validators' signatures.
	Verified bool `json:"verified"`
	// ProofsChecked tells that the checks of the proofs were repeated here, with --verify.
	ProofsChecked bool `json:"proofs_checked"`
	// Height is that of the block after which the records were so.
	Height int64 `json:"height"`
	// Covered tells that the exit code is 0.
	Covered bool           `json:"covered"`
	Vaults  []coveredVault `json:"vaults"`
}

type coveredVault struct {
	Vault     string `json:"vault"`
	Status    string `json:"status"`
	Threshold uint32 `json:"threshold"`
	Asked     int    `json:"asked"`
	Published int    `json:"published"`
	// Proven is how many members have published and proven.
	Proven int `json:"proven"`
	// Covered tells that as many members have published as can sign together, and with --verify
	// that as many have proven, and every check holds.
	Covered bool `json:"covered"`
	// ProvenCovered tells that as many members have proven as can sign together.
	ProvenCovered bool            `json:"proven_covered"`
	Verdict       string          `json:"verdict"`
	Members       []coveredMember `json:"members"`
	// Missing are the members that are asked and have not published.
	Missing []string `json:"missing"`
	// Error tells, with --verify, what is wrong with the vault's public shares.
	Error string `json:"error"`
	// Epoch is the present one, and Former are those before it.
	Epoch  uint64        `json:"epoch"`
	Former []formerEpoch `json:"former"`
	// Margin is the least of the former epochs, 0 when there are none.
	Margin uint32 `json:"margin"`
	// Placement is where the envelopes of the present epoch are: vote, or members.
	Placement string `json:"placement"`
}

// formerEpoch is an epoch that a reshare ended. It revoked nothing: as many of the epoch's members
// as Threshold sign all the same, if they kept their keyshares.
type formerEpoch struct {
	Epoch     uint64 `json:"epoch"`
	Threshold uint32 `json:"threshold"`
	// Outside is how many of its members are none of the present epoch, and Margin how many more
	// make a threshold of them.
	Outside uint32 `json:"outside"`
	Margin  uint32 `json:"margin"`
}

type coveredMember struct {
	Address  string   `json:"address"`
	Operator string   `json:"operator"`
	Asked    bool     `json:"asked"`
	Backups  []backup `json:"backups"`
	// Proven tells that an envelope is published and a proof was accepted.
	Proven bool `json:"proven"`
	// Proof tells what is known of the proof, null without --verify.
	Proof *checkedProof `json:"proof"`
	// Heartbeat is what is known of the member's heartbeats, null where none is due.
	Heartbeat *seenHeartbeat `json:"heartbeat"`
}

// seenHeartbeat is what is known of a member's heartbeats in the vault's epoch.
type seenHeartbeat struct {
	// Height is the block of the latest, 0 when there was none, and Kind says where the drill was
	// that it follows, as its sender says: machine or paper.
	Height int64  `json:"height"`
	Kind   string `json:"kind"`
	// PaperHeight is the block of the latest by the words that are kept apart.
	PaperHeight int64 `json:"paper_height"`
	// Due is the block at whose end another interval is missed, Missed how many were.
	Due    int64  `json:"due"`
	Missed uint64 `json:"missed"`
	// Overdue tells that the latest interval passed without one.
	Overdue bool `json:"overdue"`
}

func describeHeartbeat(h *types.Heartbeat) *seenHeartbeat {
	if h == nil || h.Due == 0 {
		return nil
	}
	height, kind := h.Latest()
	seen := &seenHeartbeat{
		Height: height, PaperHeight: h.PaperHeight, Due: h.Due, Missed: h.Missed,
		Overdue: h.Overdue,
	}
	switch kind {
	case types.HeartbeatKind_HEARTBEAT_KIND_MACHINE:
		seen.Kind = "machine"
	case types.HeartbeatKind_HEARTBEAT_KIND_PAPER:
		seen.Kind = "paper"
	}
	return seen
}

// text says when the latest heartbeat was, seen from a height.
func (h *seenHeartbeat) text(now int64) string {
	text := "no heartbeat yet"
	if h.Height > 0 {
		text = fmt.Sprintf("heartbeat (%s) %d blocks ago", h.Kind, now-h.Height)
	}
	if h.Missed > 0 {
		text += fmt.Sprintf(", %d missed", h.Missed)
	}
	if h.Overdue {
		text += ", OVERDUE"
	}
	return text
}

func (a *app) coverageCommand() *cobra.Command {
	v := &verification{app: a}
	cmd := &cobra.Command{
		Use:   "coverage --node URL --node URL",
		Short: "Show whether the vaults could be recovered from what is published",
		Long: `coverage counts the members of each active and retiring vault that have published
a backup, and those that have proven to consensus that their mnemonic opens their
keyshares. Every record is verified and all are of one height, so that the verdict
rests on the validators' signatures alone. It exits with 0 only when there is an
active vault, and in every active vault as many members have published as can sign
together; otherwise with 3. With --vault the verdict is on that vault alone.

A reshare does not revoke what leaked: a threshold of the members of each earlier
epoch signs for ever. Of a vault that was reshared it shows of how many of them each
epoch's members are outside by now, and the margin: how many more would have to leave,
or to lose their keyshares to those, for such a threshold. It changes no exit code.

With --verify the checks that consensus made are made again here: that the public
shares are those of the vault's keys, that what state keeps of each proof can be
read, and, where a node still holds the block, that the proof itself holds. It
exits with 0 only when every check holds, and in every active vault as many members
have proven as can sign together; with 5 when a check fails, otherwise with 3.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.coverage(cmd.Context(), v) },
	}
	cmd.Flags().BoolVar(&v.on, "verify", false, "repeat the checks of the proofs here")
	cmd.Flags().
		StringArrayVar(&v.former, "former-chain-id", nil, "with --verify: a name of the chain from before it was exported; give all of them, or none")
	a.nodeFlags(cmd)
	a.prefixFlag(cmd)
	a.operatorFlag(cmd)
	cmd.Flags().
		StringVar(&a.vault, "vault", "", "one vault, by its key in hex or its first 8 digits (default: all active and retiring)")
	return cmd
}

func (a *app) coverage(ctx context.Context, verify *verification) error {
	if len(verify.former) > 0 && !verify.on {
		return command.Usage(errors.New("--former-chain-id belongs to --verify"))
	}
	light, err := a.light(ctx)
	if err != nil {
		return err
	}
	state, err := a.head(ctx, light)
	if err != nil {
		return err
	}
	state.ShowOperators(a.operators)
	found, err := state.Coverage(ctx, a.vaultKey)
	if err != nil {
		return err
	}
	v := &verdict{
		Nodes:         a.trust.NodeNames(),
		ChainID:       command.OneLine(light.ChainID()),
		Height:        state.Height(),
		Verified:      true,
		ProofsChecked: verify.on,
		Vaults:        []coveredVault{},
	}
	judged, covered, failed := 0, 0, 0
	for _, of := range found {
		c, holds := judge(of), true
		if verify.on {
			if holds, err = verify.vault(ctx, state, light.ChainID(), &c); err != nil {
				return err
			}
		}
		v.Vaults = append(v.Vaults, c)
		if !holds {
			failed++ // whatever the status
		} else if a.vault == "" && of.Status != types.VaultStatus_VAULT_STATUS_ACTIVE {
			continue
		}
		judged++
		if c.Covered {
			covered++
		}
	}
	v.Covered = judged > 0 && covered == judged
	if err := a.Print(v, v.text); err != nil {
		return err
	}
	if v.Covered {
		a.Done(fmt.Sprintf("covered: %s could be recovered", countVaults(judged)), "nothing is to be done")
	} else {
		a.Done("not covered", "ask the operators of the members that are missing for bifrost status; "+
			"docs/runbook.md, \"A backup is missing\"")
	}
	switch {
	case failed > 0:
		return fmt.Errorf("%w: in %d of %d vaults", audit.ErrCheck, failed, len(found))
	case judged == 0:
		return fmt.Errorf("%w: there is no active vault", errNotCovered)
	case !v.Covered:
		return fmt.Errorf(
			"%w: %d of %d vaults do not reach their threshold",
			errNotCovered,
			judged-covered,
			judged,
		)
	}
	return nil
}

// judge shows what was counted from verified records.
func judge(counted types.VaultCoverage) coveredVault {
	c := coveredVault{
		Vault: command.OneLine(counted.Vault), Status: statusName(counted.Status),
		Threshold: counted.Threshold,
		Asked:     int(counted.Asked),
		Published: int(counted.Published), Proven: int(counted.Proven),
		Covered: counted.Recoverable, ProvenCovered: counted.ProvenRecoverable,
		Members: []coveredMember{}, Missing: []string{},
		Epoch: counted.Epoch, Former: []formerEpoch{}, Margin: counted.Margin,
		Placement: command.OneLine(counted.Placement.Word()),
	}
	for _, f := range counted.Former {
		c.Former = append(c.Former, formerEpoch{f.Epoch, f.Threshold, f.Outside, f.Margin()})
	}
	for _, m := range counted.List {
		c.Members = append(c.Members, coveredMember{
			Address:  command.OneLine(m.Address),
			Operator: command.OneLine(m.Operator),
			Asked:    m.Asked,
			Backups:  describeBackups(m.Commitments),
			Proven:   m.Proven,

			Heartbeat: describeHeartbeat(m.Heartbeat),
		})
	}
	for _, address := range counted.Missing {
		c.Missing = append(c.Missing, command.OneLine(address))
	}
	c.Verdict = c.verdict()
	return c
}

func (c *coveredVault) reaches(members int) bool {
	return types.Suffices(uint32(members), c.Threshold)
}

// verdict says in a line what the counts mean.
func (c *coveredVault) verdict() string {
	switch {
	case c.ProvenCovered:
		return fmt.Sprintf("recoverable: proven %d/%d, need %d", c.Proven, len(c.Members), c.Threshold)
	case c.reaches(c.Published):
		return fmt.Sprintf(
			"recoverable if the envelopes hold what the members say: published %d/%d, proven %d/%d, need %d",
			c.Published,
			len(c.Members),
			c.Proven,
			len(c.Members),
			c.Threshold,
		)
	}
	return fmt.Sprintf(
		"NOT recoverable: published %d/%d, proven %d/%d, need %d",
		c.Published,
		len(c.Members),
		c.Proven,
		len(c.Members),
		c.Threshold,
	)
}

func (v *verdict) text(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VAULT\tSTATUS\tMEMBERS\tASKED\tPUBLISHED\tPROVEN\tTHRESHOLD\tCOVERED")
	for _, c := range v.Vaults {
		answer := "no"
		if c.Covered {
			answer = "yes"
		}
		fmt.Fprintf(
			table,
			"%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n",
			vault.Short(c.Vault),
			c.Status,
			len(c.Members),
			c.Asked,
			c.Published,
			c.Proven,
			c.Threshold,
			answer,
		)
	}
	_ = table.Flush()
	for _, c := range v.Vaults {
		fmt.Fprintf(w, "vault %s: %s\n", c.Vault, c.Verdict)
		if c.Error != "" {
			fmt.Fprintf(w, "  %s\n", c.Error)
		}
		if c.Placement == types.Placement_PLACEMENT_MEMBERS.Word() {
			fmt.Fprintln(w, "  envelopes held by the members: all of them have signed for it, and no node has one")
		}
		if len(c.Former) > 0 {
			fmt.Fprintf(w, "  epoch %d, margin %d: earlier epochs' members still sign\n", c.Epoch, c.Margin)
		}
		for _, f := range c.Former {
			fmt.Fprintf(w, "  epoch %d: %d of its members are outside, %d sign\n",
				f.Epoch, f.Outside, f.Threshold)
		}
		for _, m := range c.Members {
			if m.Proof != nil {
				fmt.Fprintf(w, "  %s: %s\n", m.Address, m.Proof.Text)
			}
			if m.Heartbeat != nil {
				fmt.Fprintf(w, "  %s: %s\n", m.Address, m.Heartbeat.text(v.Height))
			}
		}
	}
	for _, c := range v.Vaults {
		for _, address := range c.Missing {
			fmt.Fprintf(w, "missing from vault %s: %s\n", c.Vault, address)
		}
	}
}
