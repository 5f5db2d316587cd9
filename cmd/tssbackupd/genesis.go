package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/server"
	"github.com/cosmos/cosmos-sdk/types/module"
	genutilcli "github.com/cosmos/cosmos-sdk/x/genutil/client/cli"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/archivecmd"
	"github.com/tssbackup/tssbackup/internal/durable"
)

// genesisCmd is the SDK's command, and fetching.
func genesisCmd(txConfig client.TxConfig, basics module.BasicManager, home string) *cobra.Command {
	cmd := genutilcli.Commands(txConfig, basics, home)
	cmd.AddCommand(genesisFetchCmd())
	return cmd
}

// genesisFetchCmd brings a chain's genesis to a node that is to join it.
func genesisFetchCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "fetch URL",
		Short: "Take the genesis of a chain from a node of it, to join",
		Long: `Take the genesis of a chain from the RPC of a node of it, in place of the one that
init made. It prints the chain id and the SHA-256 of the file: compare that with
another node or with whoever runs the chain, for who gives you a genesis says which
chain you join. A node that has blocks already keeps the genesis that it has.`,
		Example: "tssbackupd genesis fetch http://10.0.0.2:26657",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			config := server.GetServerContextFromCmd(cmd).Config
			blocks := filepath.Join(config.DBDir(), "blockstore.db")
			if _, err := os.Stat(blocks); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("this node has begun with its genesis: there is %s", blocks)
			}
			nodes, err := archivecmd.Nodes(cmd, args)
			if err != nil {
				return err
			}
			raw, err := nodes[0].Genesis(cmd.Context())
			if err != nil {
				return fmt.Errorf("%s: %w", nodes[0].Name(), err)
			}
			genesis, err := genutiltypes.AppGenesisFromReader(bytes.NewReader(raw))
			if err == nil {
				err = genesis.ValidateAndComplete()
			}
			if err != nil {
				return fmt.Errorf("the genesis of %s: %w", nodes[0].Name(), err)
			}
			if want := client.GetClientContextFromCmd(cmd).ChainID; want != "" &&
				want != genesis.ChainID {
				return fmt.Errorf("%s is a node of chain %q, client.toml says %q",
					nodes[0].Name(), genesis.ChainID, want)
			}
			if err := durable.Replace(config.GenesisFile(), raw); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "chain %s, SHA-256 %x\n",
				genesis.ChainID, sha256.Sum256(raw))
			return err
		},
	}
}
