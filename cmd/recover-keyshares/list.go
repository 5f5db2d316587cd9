package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/vault"
)

// listing is the result of list in JSON.
type listing struct {
	Nodes   []string `json:"nodes"`
	ChainID string   `json:"chain_id"`
	Height  int64    `json:"height"`
	Address string   `json:"address"`
	// Verified tells that the records were verified by the validators' signatures.
	Verified bool          `json:"verified"`
	Vaults   []listedVault `json:"vaults"`
}

type listedVault struct {
	Vault         string `json:"vault"`
	PubKeyEd25519 string `json:"pub_key_ed25519"`
	Status        string `json:"status"`
	// Members are the addresses of all of its members.
	Members   []string `json:"members"`
	Threshold uint32   `json:"threshold"`
	// Asked tells that the member must publish.
	Asked bool `json:"asked"`
	// Backups are the latest and the first.
	Backups []backup `json:"backups"`
}

func (a *app) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list --node URL --node URL --address ADDRESS",
		Short: "Show what the chain holds for a member; needs no mnemonic",
		Long: `list shows the active and retiring vaults of a member and its published backups.
It exits with 3 when there is none.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.list(cmd.Context()) },
	}
	a.nodeFlags(cmd)
	cmd.Flags().StringVar(&a.address, "address", "", "the member's address")
	return cmd
}

func (a *app) list(ctx context.Context) error {
	if a.address == "" {
		return command.Usage(errors.New("--address is missing"))
	}
	light, err := a.light(ctx)
	if err != nil {
		return err
	}
	state, err := a.head(ctx, light)
	if err != nil {
		return err
	}
	_, member, err := bech32.DecodeAndConvert(a.address)
	if err != nil {
		return err
	}
	vaults, err := state.Vaults(ctx, member)
	if err != nil {
		return err
	}
	l := &listing{
		Nodes:   a.trust.NodeNames(),
		ChainID: command.OneLine(light.ChainID()),
		Height:  state.Height(),
		Address: a.address, Verified: true,
		Vaults: []listedVault{},
	}
	published := 0
	for _, v := range vaults {
		members, err := a.addresses(v)
		if err != nil {
			return err
		}
		commitments, err := state.Backup(ctx, v, member)
		if err != nil {
			return err
		}
		published += len(commitments)
		of, _ := v.Member(member)
		listed := listedVault{
			Vault:         v.Name(),
			PubKeyEd25519: hex.EncodeToString(v.PubKeyEd25519),
			Status:        statusName(v.Status),
			Members:       members,
			Threshold:     v.Threshold,
			Asked:         of.Asked,
			Backups:       []backup{},
		}
		for _, c := range commitments {
			listed.Backups = append(listed.Backups, describeBackup(c.Info()))
		}
		l.Vaults = append(l.Vaults, listed)
	}
	if err := a.Print(l, l.text); err != nil {
		return err
	}
	if published > 0 {
		a.Done(fmt.Sprintf("the chain holds backups of %s in %d of its vaults",
			a.address, l.published()),
			"recover-keyshares restores them with this signer's 24 words; --dry-run rehearses it")
	}
	switch {
	case len(vaults) == 0:
		return fmt.Errorf("%w: %s is in no active or retiring vault", restore.ErrNoVault, a.address)
	case published == 0:
		return fmt.Errorf("%w for %s", restore.ErrNoBackup, a.address)
	}
	return nil
}

// addresses are those of a vault's members.
func (a *app) addresses(v vault.Vault) ([]string, error) {
	addresses := make([]string, len(v.Members))
	for i, m := range v.Members {
		var err error
		if addresses[i], err = bech32.ConvertAndEncode(a.prefix, m.Address()); err != nil {
			return nil, fmt.Errorf("--prefix %q: %w", a.prefix, err)
		}
	}
	return addresses, nil
}

// published is of how many vaults there is a backup.
func (l *listing) published() (n int) {
	for _, v := range l.Vaults {
		if len(v.Backups) > 0 {
			n++
		}
	}
	return n
}

func (l *listing) text(w io.Writer) {
	for _, v := range l.Vaults {
		fmt.Fprintf(
			w,
			"vault %s (%s): %d of %d members sign\n",
			v.Vault,
			v.Status,
			v.Threshold,
			len(v.Members),
		)
		switch {
		case len(v.Backups) > 0:
			for i, b := range v.Backups {
				which := "latest"
				if i > 0 {
					which = "first "
				}
				fmt.Fprintf(w, "  %s  block %d  %d bytes%s  %s\n",
					which, b.Height, b.Size, b.held(), b.SHA256)
				fmt.Fprintf(w, "    on IPFS %s\n", b.CID)
			}
		case v.Asked:
			fmt.Fprintln(w, "  no backup, though the member is asked for one")
		default:
			fmt.Fprintln(w, "  no backup; the member is not asked for one")
		}
	}
}
