package archive

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/core/address"
	"cosmossdk.io/log/v2"
	"github.com/cosmos/cosmos-sdk/store/v2/snapshots"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
)

// ErrNone is returned where the archive is asked for and the app was built without a home.
var ErrNone = errors.New("the app has no home, and so no archive")

// App is what a Node asks of the application; a BaseApp has it.
type App interface {
	CommitMultiStore() storetypes.CommitMultiStore
	LastBlockHeight() int64
	SnapshotManager() *snapshots.Manager
	Logger() log.Logger
}

// Node is a node's archive beside the state that says what it is to hold.
type Node struct {
	app     App
	keeper  *keeper.Keeper
	archive *Archive
}

// NewNode returns the archive of an app. The archive is nil where the app was built without a home:
// there is nothing to register then, and whatever asks for the archive gets ErrNone.
func NewNode(app App, k *keeper.Keeper, a *Archive) *Node {
	return &Node{app: app, keeper: k, archive: a}
}

// RegisterSnapshotter has the node's snapshots carry the envelopes. An app calls it once, before it
// loads its state.
func (n *Node) RegisterSnapshotter() error {
	manager := n.app.SnapshotManager()
	if manager == nil || n.archive == nil {
		return nil
	}
	err := manager.RegisterExtensions(
		NewSnapshotter(n.app.CommitMultiStore(), n.keeper, n.archive, n.app.Logger()),
	)
	if err != nil {
		return fmt.Errorf("register the snapshotter of envelopes: %w", err)
	}
	return nil
}

// Archive is the store of envelopes itself.
func (n *Node) Archive() (*Archive, error) {
	if n.archive == nil {
		return nil, ErrNone
	}
	return n.archive, nil
}

// Height is that of the last committed state.
func (n *Node) Height() int64 { return n.app.LastBlockHeight() }

// AddressCodec writes the addresses of members.
func (n *Node) AddressCodec() address.Codec { return n.keeper.AddressCodec() }

// Kept are the envelopes that the archive is to hold by the last committed state.
func (n *Node) Kept() ([]keeper.Kept, error) {
	return KeptAt(n.app.CommitMultiStore(), n.keeper, n.app.LastBlockHeight())
}

// Repair looks for envelopes that the archive cannot serve, asks the sources for them, and returns
// those that it still cannot serve.
func (n *Node) Repair(ctx context.Context, sources ...Source) ([]Fault, error) {
	if n.archive == nil {
		return nil, ErrNone
	}
	kept, err := n.Kept()
	if err != nil {
		return nil, err
	}
	return n.archive.Repair(ctx, n.archive.Verify(kept), sources...)
}

// KeepWhole repairs the archive from the blocks of the node's own store and logs what cannot be
// repaired. A node runs it beside its work when it has started. A node without an archive has said
// so in its log.
func (n *Node) KeepWhole(ctx context.Context, blocks BlockClient) {
	if n.archive == nil || n.app.LastBlockHeight() == 0 {
		return // a node without a state misses nothing
	}
	faults, err := n.Repair(ctx, FromBlock(blocks))
	if err != nil {
		if ctx.Err() == nil {
			n.app.Logger().Error("archive of envelopes is not checked", "err", err)
		}
		return
	}
	for _, f := range faults {
		n.app.Logger().Error("archive cannot serve an envelope: run `archive repair`",
			"vault", fmt.Sprintf("%x", f.Vault), "member", fmt.Sprintf("%x", f.Member), "err", f.Err)
	}
}
