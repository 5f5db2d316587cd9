package chain

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cometbft/cometbft/light/store"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cosmos/gogoproto/proto"

	"github.com/tssbackup/tssbackup/internal/durable"
)

// TrustStore keeps the latest verified header for the next time.
type TrustStore interface {
	// Load returns what was saved for a chain, or nil when nothing was.
	Load(chainID string) ([]byte, error)
	Save(chainID string, block []byte) error
}

// TrustDir is a folder with one file for each chain. Whoever can write there decides what is
// trusted. It is made with mode 0700 and its files with 0600.
type TrustDir string

// Path is the file of a chain.
func (d TrustDir) Path(chainID string) string {
	// A node says what its chain is called; in hex it is a name and no path.
	return filepath.Join(string(d), fmt.Sprintf("%x.header", chainID))
}

// Load implements [TrustStore].
func (d TrustDir) Load(chainID string) ([]byte, error) {
	data, err := os.ReadFile(d.Path(chainID))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Save implements [TrustStore].
func (d TrustDir) Save(chainID string, block []byte) error {
	return durable.Replace(d.Path(chainID), block)
}

func encodeBlock(block *cmttypes.LightBlock) ([]byte, error) {
	pb, err := block.ToProto()
	if err != nil {
		return nil, err
	}
	return proto.Marshal(pb)
}

func decodeBlock(data []byte, chainID string) (*cmttypes.LightBlock, error) {
	var pb cmtproto.LightBlock
	if err := proto.Unmarshal(data, &pb); err != nil {
		return nil, err
	}
	block, err := cmttypes.LightBlockFromProto(&pb)
	if err != nil {
		return nil, err
	}
	return block, block.ValidateBasic(chainID)
}

// trustedBlocks is the light client's store of one run, in ascending order of heights. Nothing is
// ever removed from it: what was verified stays so.
type trustedBlocks []*cmttypes.LightBlock

func (b *trustedBlocks) find(height int64) (int, bool) {
	return slices.BinarySearchFunc(*b, height, func(block *cmttypes.LightBlock, h int64) int {
		return int(block.Height - h)
	})
}

// SaveLightBlock implements store.Store.
func (b *trustedBlocks) SaveLightBlock(block *cmttypes.LightBlock) error {
	at, found := b.find(block.Height)
	if found {
		(*b)[at] = block
		return nil
	}
	*b = slices.Insert(*b, at, block)
	return nil
}

// DeleteLightBlock implements store.Store.
func (b *trustedBlocks) DeleteLightBlock(int64) error {
	return errors.New("a verified header is never removed")
}

// LightBlock implements store.Store.
func (b *trustedBlocks) LightBlock(height int64) (*cmttypes.LightBlock, error) {
	at, found := b.find(height)
	if !found {
		return nil, store.ErrLightBlockNotFound
	}
	return (*b)[at], nil
}

// LastLightBlockHeight implements store.Store.
func (b *trustedBlocks) LastLightBlockHeight() (int64, error) {
	if len(*b) == 0 {
		return -1, nil
	}
	return (*b)[len(*b)-1].Height, nil
}

// FirstLightBlockHeight implements store.Store.
func (b *trustedBlocks) FirstLightBlockHeight() (int64, error) {
	if len(*b) == 0 {
		return -1, nil
	}
	return (*b)[0].Height, nil
}

// LightBlockBefore implements store.Store.
func (b *trustedBlocks) LightBlockBefore(height int64) (*cmttypes.LightBlock, error) {
	at, _ := b.find(height)
	if at == 0 {
		return nil, store.ErrLightBlockNotFound
	}
	return (*b)[at-1], nil
}

// Prune implements store.Store.
func (b *trustedBlocks) Prune(uint16) error {
	return errors.New("a verified header is never removed")
}

// Size implements store.Store.
func (b *trustedBlocks) Size() uint16 { return uint16(len(*b)) }
