package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cosmossdk.io/core/address"
	coretypes "github.com/cometbft/cometbft/rpc/core/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cosmos/cosmos-sdk/codec"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/disk"
	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func open(t *testing.T) (a *archive.Archive, dir string) {
	dir = filepath.Join(t.TempDir(), "archive")
	a, err := archive.Open(dir)
	require.NoError(t, err)
	return a, dir
}

func commit(envelope []byte) types.Commitment {
	sum := sha256.Sum256(envelope)
	return types.Commitment{Sha256: sum[:], Size_: uint64(len(envelope))}
}

func file(dir string, envelope []byte) string {
	return filepath.Join(dir, hex.EncodeToString(commit(envelope).Sha256))
}

func hashes(envelopes ...[]byte) map[string]bool {
	keep := map[string]bool{}
	for _, e := range envelopes {
		keep[string(commit(e).Sha256)] = true
	}
	return keep
}

func TestArchiveGivesBackWhatItWasGiven(t *testing.T) {
	a, dir := open(t)
	one, two := []byte("one"), bytes.Repeat([]byte("two"), 100_000)
	require.NoError(t, a.Put())
	require.NoError(t, a.Put(one, two, one))

	a, err := archive.Open(dir)
	require.NoError(t, err)
	for _, e := range [][]byte{one, two} {
		got, err := a.Envelope(commit(e))
		require.NoError(t, err)
		require.Equal(t, e, got)
		info, err := os.Stat(file(dir, e))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())
	}
	_, err = a.Envelope(commit([]byte("three")))
	require.ErrorIs(t, err, types.ErrNotArchived)
}

func TestArchiveServesNothingDamaged(t *testing.T) {
	envelope := []byte("an envelope as it was published")
	for name, damage := range map[string]func(path string) error{
		"a flipped bit": func(path string) error {
			changed := bytes.Clone(envelope)
			changed[3] ^= 1
			return os.WriteFile(path, changed, 0o600)
		},
		"the end is gone":   func(path string) error { return os.Truncate(path, 5) },
		"it is empty":       func(path string) error { return os.Truncate(path, 0) },
		"something follows": func(path string) error { return os.WriteFile(path, append(envelope, 0), 0o600) },
		"it is a folder": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, dir := open(t)
			require.NoError(t, a.Put(envelope))
			require.NoError(t, damage(file(dir, envelope)))
			_, err := a.Envelope(commit(envelope))
			require.ErrorIs(t, err, types.ErrArchiveDamaged)
		})
	}
}

// blocks are the envelopes of a block with one, and of one with several.
var blocks = [][][]byte{{[]byte("new")}, {[]byte("new"), []byte("newer"), []byte("newest")}}

func TestFullDiskLosesNothing(t *testing.T) {
	old := []byte("old")
	for _, block := range blocks {
		a, dir := open(t)
		steps := disk.Count(t, dir)
		require.NoError(t, a.Put(block...))
		const each = 4 // create, write, sync, rename
		require.Equal(t, each*len(block)+1, steps.Steps(), "and sync the folder")
		for n := 1; n <= steps.Steps(); n++ {
			a, dir := open(t)
			require.NoError(t, a.Put(old))
			faults := disk.FailAt(t, dir, n)
			require.ErrorIs(t, a.Put(block...), disk.ErrDisk)
			faults.Mend()
			named := max(0, n-1-(each-1)*len(block)) // before the step that failed
			for i, envelope := range block {
				_, err := a.Envelope(commit(envelope))
				if i < named {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, types.ErrNotArchived)
				}
			}
			require.Equal(t, 1+named, entries(t, dir), "step %d leaves nothing unfinished", n)
			_, err := a.Envelope(commit(old))
			require.NoError(t, err)
			require.NoError(t, a.Put(block...), "the disk has room again")
			require.Equal(t, 1+len(block), entries(t, dir))
		}
	}
}

// A process that dies while it writes leaves envelopes, and what the next sweep removes. The block
// is replayed, so all are written again.
func TestADeadNodeLeavesNothingBroken(t *testing.T) {
	for _, block := range blocks {
		for n := 1; n <= 4*len(block)+1; n++ {
			a, dir := open(t)
			faults := disk.DieAt(t, dir, n)
			require.ErrorIs(t, a.Put(block...), disk.ErrDisk)
			faults.Mend()
			a, err := archive.Open(dir)
			require.NoError(t, err)
			for i, envelope := range block {
				_, err = a.Envelope(commit(envelope))
				if i < n-1-3*len(block) {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, types.ErrNotArchived)
				}
			}
			require.NoError(t, a.Put(block...))
			require.NoError(t, a.Sweep(hashes(block...)))
			require.Equal(t, len(block), entries(t, dir))
		}
	}
}

func TestAnArchiveThatIsGoneIsNotMadeAnew(t *testing.T) {
	a, dir := open(t)
	require.NoError(t, os.Remove(dir))
	require.ErrorIs(t, a.Put([]byte("new")), os.ErrNotExist)
	require.NoDirExists(t, dir)
}

func TestSweepLeavesWhatIsNeeded(t *testing.T) {
	a, dir := open(t)
	kept, orphan, late := []byte("kept"), []byte("orphan"), []byte("late")
	stranger, unfinished := filepath.Join(dir, "README"), filepath.Join(dir, ".tmp-"+hex.EncodeToString(commit(kept).Sha256)+"-0011223344556677")
	require.NoError(t, a.Put(kept, orphan))
	require.NoError(t, os.WriteFile(stranger, nil, 0o600))
	require.NoError(t, os.WriteFile(unfinished, nil, 0o600))

	release := a.Hold()
	require.NoError(t, a.Sweep(hashes(kept)))
	require.FileExists(t, file(dir, orphan), "nothing goes while there is a hold")
	release()
	release()

	require.NoError(t, a.Sweep(hashes(kept)))
	require.NoFileExists(t, file(dir, orphan), "an orphan goes at the start")
	require.NoFileExists(t, unfinished)
	require.FileExists(t, stranger)
	require.FileExists(t, file(dir, kept))

	require.NoError(t, a.Put(late))
	require.NoError(t, a.Sweep(hashes(kept)))
	require.FileExists(t, file(dir, late), "later, what nobody needs has one sweep of grace")
	require.NoError(t, a.Sweep(hashes(kept, late)))
	require.NoError(t, a.Sweep(hashes(kept)))
	require.FileExists(t, file(dir, late), "needed in between, it has it again")
	require.NoError(t, a.Sweep(hashes(kept)))
	require.NoFileExists(t, file(dir, late))
	require.FileExists(t, file(dir, kept))
}

func entries(t *testing.T, dir string) int {
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	return len(list)
}

func TestExportAndImport(t *testing.T) {
	a, _ := open(t)
	one, two := []byte("one"), bytes.Repeat([]byte("two"), 1000)
	require.NoError(t, a.Put(one, two))
	kept := []keeper.Kept{{Commitment: commit(two)}, {Commitment: commit(one)}, {Commitment: commit(two)}}
	var exported bytes.Buffer
	count, err := a.Export(&exported, kept)
	require.NoError(t, err)
	require.Equal(t, 2, count)
	_, err = a.Export(io.Discard, []keeper.Kept{{Commitment: commit([]byte("three"))}})
	require.ErrorIs(t, err, types.ErrNotArchived)

	flipped := bytes.Clone(exported.Bytes())
	flipped[bytes.Index(flipped, two)+5] ^= 1
	for name, tt := range map[string]struct {
		file []byte
		want int
		err  string
	}{
		"what was exported":      {exported.Bytes(), 2, ""},
		"one with a flipped bit": {flipped, 1, "is not the envelope that its name says"},
		"the end is gone":        {exported.Bytes()[:1000], 0, "unexpected EOF"},
		"it is no tar archive":   {bytes.Repeat([]byte("x"), 2000), 0, "invalid tar header"},
		"it is empty":            {nil, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			to, dir := open(t)
			count, err := to.Import(bytes.NewReader(tt.file))
			require.Equal(t, tt.want, count)
			require.Equal(t, tt.want, entries(t, dir))
			if tt.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tt.err)
			}
		})
	}
}

func TestRepairBelievesNobody(t *testing.T) {
	envelope := []byte(sanity.EnvelopePrefix + "and the rest")
	c := commit(envelope)
	c.Height = 7
	block := func(txs ...cmttypes.Tx) archive.Source {
		return archive.FromBlock(blockOf(txs))
	}
	says := func(what []byte, err error) archive.Source {
		return func(context.Context, keeper.Kept) ([]byte, error) { return what, err }
	}
	prefix := []byte(sanity.EnvelopePrefix)
	for name, tt := range map[string]struct {
		sources  []archive.Source
		repaired bool
	}{
		"nobody is asked":               {nil, false},
		"a lie, then the truth":         {[]archive.Source{says([]byte("lie"), nil), says(envelope, nil)}, true},
		"an error, then the truth":      {[]archive.Source{says(nil, io.EOF), says(envelope, nil)}, true},
		"a lie":                         {[]archive.Source{says([]byte("lie"), nil)}, false},
		"nothing":                       {[]archive.Source{says(nil, nil)}, false},
		"a block with it":               {[]archive.Source{block([]byte("tx"), slices.Concat(prefix, []byte("x"), envelope, []byte("y")))}, true},
		"a block without it":            {[]archive.Source{block([]byte("tx"), prefix, envelope[:len(envelope)-1])}, false},
		"an empty block":                {[]archive.Source{block()}, false},
		"a block in which it is cut up": {[]archive.Source{block(envelope[:20], envelope[20:])}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, dir := open(t)
			kept := []keeper.Kept{{Commitment: c}}
			still, err := a.Repair(context.Background(), a.Verify(kept), tt.sources...)
			require.NoError(t, err)
			if tt.repaired {
				require.Empty(t, still)
				require.Empty(t, a.Verify(kept))
				return
			}
			require.Len(t, still, 1)
			require.ErrorIs(t, still[0].Err, types.ErrNotArchived)
			require.Zero(t, entries(t, dir))
		})
	}
}

// blockOf is a node with one block.
type blockOf []cmttypes.Tx

func (txs blockOf) Block(_ context.Context, height *int64) (*coretypes.ResultBlock, error) {
	if *height != 7 {
		return nil, errors.New("another height")
	}
	return &coretypes.ResultBlock{Block: &cmttypes.Block{Data: cmttypes.Data{Txs: cmttypes.Txs(txs)}}}, nil
}

// testKeeper is a keeper of an empty state.
func testKeeper(t *testing.T) (*keeper.Keeper, sdk.Context) {
	key := storetypes.NewKVStoreKey(types.StoreKey)
	ctx := testutil.DefaultContextWithKeys(map[string]*storetypes.KVStoreKey{types.StoreKey: key}, nil, nil)
	k, err := keeper.NewKeeper(codec.NewProtoCodec(codectypes.NewInterfaceRegistry()),
		runtime.NewKVStoreService(key), accounts{}, nil, sdk.AccAddress("authority").String())
	require.NoError(t, err)
	return k, ctx.WithBlockHeight(1)
}

type accounts struct{ types.AccountKeeper }

func (accounts) AddressCodec() address.Codec { return addresscodec.NewBech32Codec("cosmos") }

func TestPrecommitWritesWhatTheBlockPublished(t *testing.T) {
	k, ctx := testKeeper(t)
	a, dir := open(t)
	defer a.Hold()()
	replaced, one, two, late := []byte("replaced"), []byte("one"), []byte("two"), []byte("late")
	require.NoError(t, a.EndBlock(ctx, [][]byte{replaced}))
	require.NoError(t, a.EndBlock(ctx, [][]byte{one, two}), "the block was executed again")
	require.NoError(t, k.Staged.Set(ctx, commit(late).Sha256, late))

	faults := disk.FailAt(t, dir, 2)
	require.ErrorIs(t, a.Precommit(ctx, k), disk.ErrDisk)
	faults.Mend()
	require.NoError(t, a.Precommit(ctx, k), "what is not written stays staged")
	require.Equal(t, 3, entries(t, dir))
	for _, e := range [][]byte{one, two, late} {
		_, err := a.Envelope(commit(e))
		require.NoError(t, err)
	}
	require.NoError(t, os.Remove(file(dir, one)))
	require.NoError(t, a.Precommit(ctx.WithBlockHeight(2), k))
	require.NoFileExists(t, file(dir, one), "what is written is not staged any more")
}
