// Package archivecmd has the commands by which the operator of a node looks after its archive of
// envelopes, for the daemon of any chain that embeds the module:
//
//	root.AddCommand(archivecmd.New(newApp))
//
// and beside the work of a node that has started, as in the SDK's PostSetup, KeepWhole.
package archivecmd

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
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	"github.com/spf13/cobra"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/command"
	"github.com/tssbackup/tssbackup/x/tssbackup"
	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// App is an application that embeds the module.
type App interface {
	servertypes.Application
	// ArchiveNode is the node's archive beside the app's state.
	ArchiveNode() *archive.Node
}

// Open builds the app over a database, with its latest state, as a daemon does to start. What it
// panics with, the command says.
type Open[A App] func(logger log.Logger, db dbm.DB, opts servertypes.AppOptions) A

// New is the command archive: verify, repair, export and import.
func New[A App](open Open[A]) *cobra.Command {
	with := withNode(open)
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
	cmd.AddCommand(verifyCmd(with), repairCmd(with), exportCmd(with), importCmd())
	return cmd
}

func verifyCmd(with with) *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Say whether this node can serve every live backup, and which it cannot",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(n *archive.Node) error {
				faults, err := n.Repair(cmd.Context())
				if err != nil {
					return err
				}
				return report(cmd, n, faults)
			})
		},
	}
}

func repairCmd(with with) *cobra.Command {
	var nodes []string
	cmd := &cobra.Command{
		Use:     "repair --node URL...",
		Short:   "Fetch what the archive lacks from other nodes",
		Long:    "Fetch what the archive lacks from other nodes: from their archives, or from their blocks.\nNothing is believed: whatever they send is compared with this node's own state.",
		Example: "archive repair --node https://rpc.example.org:443",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clients, err := Nodes(cmd, nodes)
			if err != nil {
				return err
			}
			return with(cmd, func(n *archive.Node) error {
				var sources []archive.Source
				for _, node := range clients {
					sources = append(sources,
						archive.FromArchive(node, n.AddressCodec()),
						fromBlock(node))
				}
				faults, err := n.Repair(cmd.Context(), sources...)
				if err != nil {
					return err
				}
				return report(cmd, n, faults)
			})
		},
	}
	cmd.Flags().
		StringSliceVar(&nodes, "node", nil, "RPC address of a node to ask; may be given several times")
	_ = cmd.MarkFlagRequired("node") // fails only for a flag that is not there
	return cmd
}

// Nodes are the clients of other nodes, which wait for what passes on a network and say so.
func Nodes(cmd *cobra.Command, addresses []string) ([]*chain.Client, error) {
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

func exportCmd(with with) *cobra.Command {
	return &cobra.Command{
		Use:   "export FILE",
		Short: "Write the archive to a file, for a restart from genesis",
		Long: `Write the envelopes of all live backups to a tar archive, each in a file named by
its SHA-256. With it and the exported genesis a new chain goes on serving them:
import it on each node before that node starts.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(n *archive.Node) error {
				a, err := n.Archive()
				if err != nil {
					return err
				}
				kept, err := n.Kept()
				if err != nil {
					return err
				}
				if faults := a.Verify(kept); len(faults) > 0 {
					return report(cmd, n, faults)
				}
				file, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					return err
				}
				count, err := a.Export(file, kept)
				if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
					return errors.Join(err, os.Remove(args[0]))
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d envelopes written\n", count)
				return err
			})
		},
	}
}

func importCmd() *cobra.Command {
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
			"one with %s init", path, cmd.Root().Name())
	}
	if err != nil {
		return fmt.Errorf("%s: %s", path, command.OneLine(err.Error()))
	}
	return nil
}

// with runs f with the archive of the stopped node at its last state.
type with func(cmd *cobra.Command, f func(*archive.Node) error) error

func withNode[A App](open Open[A]) with {
	return func(cmd *cobra.Command, f func(*archive.Node) error) (err error) {
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
		app, err := build(open, db, ctx.Viper)
		if err != nil {
			return errors.Join(err, db.Close())
		}
		defer func() { err = errors.Join(err, app.Close()) }()
		return f(app.ArchiveNode())
	}
}

// build opens the app, which has no other way than to panic when it cannot be.
func build[A App](open Open[A], db dbm.DB, opts servertypes.AppOptions) (app A, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case error:
			err = r
		default:
			err = fmt.Errorf("%v", r)
		}
	}()
	return open(log.NewNopLogger(), db, opts), nil
}

// report prints what the archive cannot serve, which is an error, or that it is complete.
func report(cmd *cobra.Command, n *archive.Node, faults []archive.Fault) error {
	for _, f := range faults {
		member, err := n.AddressCodec().BytesToString(f.Member)
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
		n.Height(),
	)
	return err
}

// KeepWhole has a node that has started check its archive and repair it from its own blocks, which
// it asks at the address of its RPC. A daemon runs it beside its work.
func KeepWhole(ctx context.Context, n *archive.Node, rpcAddress string) error {
	blocks, err := rpchttp.New(rpcAddress, "/websocket")
	if err != nil {
		return err
	}
	n.KeepWhole(ctx, blocks)
	return nil
}
