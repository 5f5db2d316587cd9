package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/bifrost/home"
	"github.com/tssbackup/tssbackup/bifrost/keystore"
	"github.com/tssbackup/tssbackup/bifrost/service"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/internal/durable"
)

// exportedGroup is the result of group export in JSON.
type exportedGroup struct {
	Vault string `json:"vault"`
	Epoch uint64 `json:"epoch"`
	File  string `json:"file"`
	// GroupHash names the group part in the vault's record, and SHA256 is that of its bytes.
	GroupHash string `json:"group_hash"`
	SHA256    string `json:"sha256"`
	Members   int    `json:"members"`
}

func (a *app) groupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "group",
		Short: "Keep what the keyshares of a vault's members have in common",
		Long: `The members of a split vault publish what their keyshares have in common once: the
group part. Each member's envelope holds its own secrets alone, which are keyshares
again with the group part. It is nothing secret, and the same for all members.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var out string
	export := &cobra.Command{
		Use:   "export VAULT --out FILE",
		Short: "Write the group part of a vault to a file",
		Long: `export writes the group part of a vault, which is given by its name or by the first 8
of its digits. What the nodes of config.toml say is verified from the trusted header
of this home on, as a running bifrost does, which may go on meanwhile. The file is
the JSON that the chain's query group shows, without the block: recover-keyshares open
takes it with --group, and it belongs beside envelopes that are kept. It never
replaces a file that differs.

When the chain's state keeps the group part no more it is taken out of the block that
carried it, and when the nodes have pruned that, it is made of the keyshares in this
home, with its mnemonic. It is the one that the vault's record names, or none.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.exportGroup(cmd.Context(), args[0], out)
		},
	}
	export.Flags().StringVar(&out, "out", "", "file for the group part")
	export.Flags().StringVar(&a.mnemonicFile, "mnemonic-file", "",
		"file that holds the mnemonic, - for standard input; needed only for the keyshares here")
	cmd.AddCommand(export)
	return cmd
}

func (a *app) exportGroup(ctx context.Context, digits, out string) error {
	if out == "" {
		return command.Usage(errors.New("--out is missing"))
	}
	cfg, err := home.Load(a.home)
	if err != nil {
		return command.Usage(err)
	}
	if err := a.TryFolder(filepath.Dir(out)); err != nil {
		return err
	}
	warn := func(text string) { a.Warn(command.OneLine(text)) }
	v, group, err := service.GroupPart(ctx, a.home, cfg, strings.ToLower(digits), warn)
	if errors.Is(err, chain.ErrNotFound) && v.NamedGroup() != nil {
		a.Warn(command.OneLine(err.Error()) + ": it is made of the keyshares in this home")
		err = a.openKeystore(ctx, func(store *keystore.Store, key *signer.Key) (err error) {
			group, err = service.OwnGroup(store, v, cfg.Prefix, key.PubKey())
			return err
		})
	}
	if err != nil {
		return err
	}
	data, err := v.EncodeGroup(group)
	if err != nil {
		return err
	}
	if err := a.Write(ctx, func() error { return durable.Write(out, data) }); err != nil {
		return err
	}
	sum := sha256.Sum256(group)
	res := &exportedGroup{
		Vault: v.Name(), Epoch: v.Epoch, File: out, GroupHash: hex.EncodeToString(v.NamedGroup()),
		SHA256: hex.EncodeToString(sum[:]), Members: len(v.Members),
	}
	err = a.Print(res, func(w io.Writer) {
		fmt.Fprintf(w, "%s: the group part of vault %s, group hash %s\n",
			res.File, res.Vault, res.GroupHash)
	})
	a.Done("the group part is verified and kept",
		"recover-keyshares open --group "+command.OneLine(out)+" takes it beside an envelope")
	return err
}
