package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"cosmossdk.io/log/v2"
	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/server"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/x/tssbackup"
	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// archiveCmd looks after the node's archive of envelopes.
func archiveCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "archive",
		Short: "Look after the node's archive of envelopes",
		Long: `Look after the node's archive of envelopes, from which it serves the backups of
all vaults that are not retired, whatever blocks it has pruned.

The commands read the node's databases, so they run while the node is stopped. A
node that runs checks its archive when it starts, and repairs it from the blocks
that it has.`,
		RunE: client.ValidateCmd,
	}
	cmd.AddCommand(archiveVerifyCmd(), archiveRepairCmd(), archiveExportCmd(), archiveImportCmd())
	return cmd
}

func archiveVerifyCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Say whether this node can serve every live backup, and which it cannot",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(a *app.App) error {
				faults, err := a.RepairArchive(cmd.Context())
				if err != nil {
					return err
				}
				return reportArchive(cmd, a, faults)
			})
		},
	}
}

func archiveRepairCmd() *cobra.Command {
	var nodes []string
	cmd := &cobra.Command{
		Use:     "repair --node URL...",
		Short:   "Fetch what the archive lacks from other nodes",
		Long:    "Fetch what the archive lacks from other nodes: from their archives, or from their blocks.\nNothing is believed: whatever they send is compared with this node's own state.",
		Example: "tssbackupd archive repair --node https://rpc.example.org:443",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clients, err := askedNodes(cmd, nodes)
			if err != nil {
				return err
			}
			return withApp(cmd, func(a *app.App) error {
				var sources []archive.Source
				for _, node := range clients {
					sources = append(sources,
						archive.FromArchive(node, a.AccountKeeper.AddressCodec()),
						fromBlock(node))
				}
				faults, err := a.RepairArchive(cmd.Context(), sources...)
				if err != nil {
					return err
				}
				return reportArchive(cmd, a, faults)
			})
		},
	}
	cmd.Flags().
		StringSliceVar(&nodes, "node", nil, "RPC address of a node to ask; may be given several times")
	_ = cmd.MarkFlagRequired("node") // fails only for a flag that is not there
	return cmd
}

// askedNodes are the clients of other nodes, which wait for what passes on a network and say so.
func askedNodes(cmd *cobra.Command, addresses []string) ([]*chain.Client, error) {
	var clients []*chain.Client
	for _, address := range addresses {
		node, err := chain.New(address, 0)
		if err != nil {
			return nil, fmt.Errorf("--node: %w", err)
		}
		node.OnRetry(func(ctx context.Context, r chain.Retry) error {
			cmd.PrintErrf("%s: %s; asking again in %s\n",
				r.Node, command.OneLine(r.Err.Error()), r.Wait.Round(100*time.Millisecond))
			return chain.Pause(ctx, r)
		})
		clients = append(clients, node)
	}
	return clients, nil
}

// fromBlock takes an envelope out of a node's block, and says which node it was that could not.
func fromBlock(node *chain.Client) archive.Source {
	return func(ctx context.Context, e keeper.Kept) ([]byte, error) {
		envelope, err := node.Envelope(ctx, e.Commitment)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", node.Name(), err)
		}
		return envelope, nil
	}
}

func archiveExportCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "export FILE",
		Short: "Write the archive to a file, for a restart from genesis",
		Long: `Write the envelopes of all live backups to a tar archive, each in a file named by
its SHA-256. With it and the exported genesis a new chain goes on serving them:
import it on each node before that node starts.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withApp(cmd, func(a *app.App) error {
				if a.Archive == nil {
					return errors.New("the node has no archive")
				}
				kept, err := a.KeptEnvelopes()
				if err != nil {
					return err
				}
				if faults := a.Archive.Verify(kept); len(faults) > 0 {
					return reportArchive(cmd, a, faults)
				}
				file, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					return err
				}
				count, err := a.Archive.Export(file, kept)
				if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
					return errors.Join(err, os.Remove(args[0]))
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d envelopes written\n", count)
				return err
			})
		},
	}
}

func archiveImportCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Put the envelopes of an exported file into the archive, before the node starts",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkNode(cmd); err != nil {
				return err
			}
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer func() { _ = file.Close() }() // it is only read
			a, err := archive.Open(
				tssbackup.ArchiveDir(server.GetServerContextFromCmd(cmd).Config.RootDir),
			)
			if err != nil {
				return err
			}
			count, err := a.Import(file)
			if err != nil {
				return fmt.Errorf("%d envelopes are imported, but: %w", count, err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d envelopes imported\n", count)
			return err
		},
	}
}

// checkNode errs unless there is a node in the home, with a genesis.
func checkNode(cmd *cobra.Command) error {
	path := server.GetServerContextFromCmd(cmd).Config.GenesisFile()
	_, err := genutiltypes.AppGenesisFromFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no node here, as %s is missing: give the node's --home, or make "+
			"one with tssbackupd init", path)
	}
	if err != nil {
		return fmt.Errorf("%s: %s", path, command.OneLine(err.Error()))
	}
	return nil
}

// withApp runs f with the app of the stopped node at its last state.
func withApp(cmd *cobra.Command, f func(*app.App) error) (err error) {
	if err := checkNode(cmd); err != nil {
		return err
	}
	ctx := server.GetServerContextFromCmd(cmd)
	db, err := dbm.NewDB(
		"application",
		server.GetAppDBBackend(ctx.Viper),
		filepath.Join(ctx.Config.RootDir, "data"),
	)
	if err != nil {
		return fmt.Errorf(
			"open the node's database, which works while the node is stopped: %w",
			err,
		)
	}
	a, err := app.New(
		log.NewNopLogger(),
		db,
		true,
		ctx.Viper,
		server.DefaultBaseappOptions(ctx.Viper)...)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	return f(a)
}

// reportArchive prints what the archive cannot serve, which is an error, or that it is complete.
func reportArchive(cmd *cobra.Command, a *app.App, faults []archive.Fault) error {
	for _, f := range faults {
		member, err := a.AccountKeeper.AddressCodec().BytesToString(f.Member)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "vault %s member %s sha256 %s: %s\n",
			types.VaultName(f.Vault), member, hex.EncodeToString(f.Commitment.Sha256), f.Err)
		if err != nil {
			return err
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("this node cannot serve %d live backups", len(faults))
	}
	_, err := fmt.Fprintf(
		cmd.OutOrStdout(),
		"this node can serve every live backup at height %d\n",
		a.LastBlockHeight(),
	)
	return err
}

// keepArchiveWhole has a node that has started check and repair its archive beside its work, from
// its own blocks.
func keepArchiveWhole(ctx context.Context, a *app.App, rpcAddress string) error {
	blocks, err := rpchttp.New(rpcAddress, "/websocket")
	if err != nil {
		return err
	}
	a.KeepArchiveWhole(ctx, blocks)
	return nil
}
