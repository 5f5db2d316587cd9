package archive

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"cosmossdk.io/log/v2"
	snapshottypes "github.com/cosmos/cosmos-sdk/store/v2/snapshots/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"

	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// snapshotFormat is the form of the payloads: an envelope each, in the order of keeper.Kept.
const snapshotFormat = 1

// Snapshotter has a node's snapshots carry the archive, so that a node that joins by state sync has
// all envelopes. An app registers it with its snapshot manager.
//
// The state of the snapshot's height alone decides what is in it and in which order: all complete
// nodes make the same bytes. A node whose archive is not complete makes no snapshot.
type Snapshotter struct {
	cms     storetypes.MultiStore
	keeper  *keeper.Keeper
	archive *Archive
	logger  log.Logger
}

var _ snapshottypes.ExtensionSnapshotter = (*Snapshotter)(nil)

// NewSnapshotter returns the snapshotter of an archive whose commitments are in the module's state
// in cms.
func NewSnapshotter(
	cms storetypes.MultiStore,
	k *keeper.Keeper,
	a *Archive,
	logger log.Logger,
) *Snapshotter {
	return &Snapshotter{
		cms:     cms,
		keeper:  k,
		archive: a,
		logger:  logger.With("module", "x/"+types.ModuleName),
	}
}

// SnapshotName implements ExtensionSnapshotter.
func (s *Snapshotter) SnapshotName() string { return types.ModuleName }

// SnapshotFormat implements ExtensionSnapshotter.
func (s *Snapshotter) SnapshotFormat() uint32 { return snapshotFormat }

// SupportedFormats implements ExtensionSnapshotter.
func (s *Snapshotter) SupportedFormats() []uint32 { return []uint32{snapshotFormat} }

// SnapshotExtension writes the envelopes that the state at height names. Nothing is deleted from
// the archive meanwhile.
func (s *Snapshotter) SnapshotExtension(
	height uint64,
	write snapshottypes.ExtensionPayloadWriter,
) error {
	release := s.archive.Hold()
	defer release()
	kept, err := KeptAt(s.cms, s.keeper, int64(height))
	if err != nil {
		return err
	}
	for _, e := range kept {
		envelope, err := s.archive.Envelope(e.Commitment)
		if err != nil {
			return fmt.Errorf(
				"no snapshot without the envelope of %x in vault %x: %w",
				e.Member,
				e.Vault,
				err,
			)
		}
		if err := write(envelope); err != nil {
			return err
		}
	}
	return nil
}

// RestoreExtension puts the envelopes of a snapshot into the archive: those that the restored state
// names. What else is sent, or is not, is only reported: a peer that sends a bad envelope cannot
// keep the node from joining, and what is missing is repaired later.
func (s *Snapshotter) RestoreExtension(
	height uint64,
	format uint32,
	read snapshottypes.ExtensionPayloadReader,
) error {
	if format != snapshotFormat {
		return snapshottypes.ErrUnknownFormat
	}
	kept, err := KeptAt(s.cms, s.keeper, int64(height))
	if err != nil {
		return err
	}
	named := make(map[string]bool)
	for _, e := range kept {
		named[string(e.Commitment.Sha256)] = true
	}
	for {
		envelope, err := read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		sum := sha256.Sum256(envelope)
		if !named[string(sum[:])] {
			s.logger.Error(
				"the snapshot brings what is no envelope of the state",
				"height",
				height,
				"sha256",
				fmt.Sprintf("%x", sum),
			)
			continue
		}
		if err := s.archive.Put(envelope); err != nil {
			return err
		}
	}
	for _, f := range s.archive.Verify(kept) {
		s.logger.Error(
			"the snapshot does not bring an envelope",
			"height",
			height,
			"vault",
			fmt.Sprintf("%x", f.Vault),
			"err",
			f.Err,
		)
	}
	return nil
}
