package keeper_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// fakeArchive is a node's archive, by the hash of the envelopes.
type fakeArchive map[string][]byte

func (a fakeArchive) Envelope(c types.Commitment) ([]byte, error) {
	envelope, ok := a[hex.EncodeToString(c.Sha256)]
	if !ok {
		return nil, types.ErrNotArchived
	}
	if uint64(len(envelope)) != c.Size_ {
		return nil, types.ErrArchiveDamaged
	}
	return envelope, nil
}

// kept are the hashes of the envelopes that a node keeps, in their order.
func (c *chain) kept() []string {
	c.t.Helper()
	kept, err := c.k.Kept(c.ctx)
	require.NoError(c.t, err)
	return hexHashes(kept)
}

// staged are the envelopes that wait for the end of the block.
func (c *chain) staged() [][]byte {
	c.t.Helper()
	staged, err := c.k.StagedEnvelopes(c.ctx)
	require.NoError(c.t, err)
	return staged
}

func hexHashes(kept []keeper.Kept) []string {
	var list []string
	for _, e := range kept {
		list = append(list, hex.EncodeToString(e.Commitment.Sha256))
	}
	return list
}

func TestEnvelopesThatANodeKeeps(t *testing.T) {
	c, vals := startChain(t, testParams(), 3)
	require.Empty(t, c.kept())
	vault := newVault("v")
	keygen := c.keygen(c.startChurn()[0])

	// A vote that fails stages nothing; one that counts stages its envelope.
	bad := vault.vote(keygen, keygen.Members[0])
	bad.Certificate = bytes.Repeat([]byte{1}, 3*types.SignatureSize)
	require.ErrorIs(t, c.run(bad), types.ErrInvalidCertificate)
	require.Empty(t, c.staged())

	var published []string
	var envelopes [][]byte
	for _, m := range keygen.Members {
		vote := vault.vote(keygen, m)
		c.mustRun(vote)
		published = append(published, commitment(vote.KeysharesBackup))
		envelopes = append(envelopes, vote.KeysharesBackup)
	}
	require.ElementsMatch(t, envelopes, c.staged())
	require.ElementsMatch(t, published, c.kept(), "the votes of the open churn")

	c.endBlock()
	require.ElementsMatch(t, published, c.kept(), "the backups of the active vault")
	require.ElementsMatch(t, envelopes, c.ended)
	require.True(t, slices.IsSortedFunc(c.ended, func(a, b []byte) int {
		return strings.Compare(commitment(a), commitment(b))
	}))
	require.Empty(t, c.staged())
	c.endBlock()
	require.Empty(t, c.ended)

	again := envelope("again", 2<<10)
	c.mustRun(&types.MsgPublishBackup{Signer: vals[0].account(), Vault: vault.name(), KeysharesBackup: again})
	kept := c.kept()
	require.ElementsMatch(t, append(published, commitment(again)), kept, "the latest and the first")
	backup, err := c.query.Backup(c.ctx, &types.QueryBackupRequest{Vault: vault.name(), Member: vals[0].account()})
	require.NoError(t, err)
	require.Subset(t, kept, []string{backup.Latest.Sha256, backup.First.Sha256})

	// A churn that fails leaves nothing to keep.
	failing := newVault("failing")
	keygen = c.keygen(c.startChurn()[0])
	c.mustRun(failing.vote(keygen, keygen.Members[0]))
	require.Len(t, c.kept(), 5)
	c.endBlocks(int(testParams().KeygenDeadline) + 1)
	require.Len(t, c.kept(), 4)

	// Nor does a vault that is retired, but for the delay.
	c.ctx = c.ctx.WithBlockHeight(c.ctx.BlockHeight() + 100)
	next := newVault("next")
	c.complete(c.startChurn()[0], next)
	retired := c.ctx.BlockHeight()
	c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: vault.name()})
	require.NotContains(t, c.kept(), commitment(again))
	list, err := c.k.KeptRetired(c.ctx, retired-1)
	require.NoError(t, err)
	require.ElementsMatch(t, kept, hexHashes(list))
	list, err = c.k.KeptRetired(c.ctx, retired)
	require.NoError(t, err)
	require.Empty(t, list)
}

// TestStagedEnvelopesLeaveTheStateAsItIs runs blocks as baseapp does, with and without envelopes in
// them: what is committed is the same, to the last node of the tree.
func TestStagedEnvelopesLeaveTheStateAsItIs(t *testing.T) {
	run := func(staged ...int) (hashes [][]byte) {
		c, _ := startChain(t, testParams(), 3)
		committed := c.ctx.MultiStore().(storetypes.CommitMultiStore)
		committed.Commit()
		for block, count := range staged {
			ctx := c.ctx.WithBlockHeight(int64(10 + block))
			blockCtx, writeBlock := ctx.CacheContext()
			for i := range count {
				tx, write := blockCtx.CacheContext()
				sealed := envelope(fmt.Sprint(block, i), 64<<10)
				sum := sha256.Sum256(sealed)
				require.NoError(t, c.k.Stage(tx, sum[:], sealed))
				write()
			}
			if block%2 == 0 { // and other blocks write nothing else
				require.NoError(t, c.k.NextChurnHeight.Set(blockCtx, int64(1000+block)))
			}
			ended, err := c.k.EndBlocker(blockCtx)
			require.NoError(t, err)
			require.Len(t, ended, count)
			writeBlock()
			require.Equal(t, committed.WorkingHash(), committed.Commit().Hash)
			hashes = append(hashes, committed.LastCommitID().Hash)
			require.Empty(t, c.staged())
		}
		return hashes
	}
	require.Equal(t, run(0, 0, 0, 0, 0), run(3, 1, 0, 20, 4))
}

func TestStagingCostsNoGas(t *testing.T) {
	gas := func(size int) uint64 {
		c, vals := startChain(t, testParams(), 3)
		vault := newVault("v")
		c.complete(c.startChurn()[0], vault)
		before := c.ctx.GasMeter().GasConsumed()
		c.mustRun(&types.MsgPublishBackup{
			Signer: vals[0].account(), Vault: vault.name(), KeysharesBackup: envelope("again", size),
		})
		return c.ctx.GasMeter().GasConsumed() - before
	}
	const kib = 20
	require.LessOrEqual(t, gas((2+kib)<<10)-gas(2<<10), uint64(kib*100+100), "the form, the hash and a longer size in state")
}

func TestQueryEnvelope(t *testing.T) {
	c, vals := startChain(t, testParams(), 3)
	vault := newVault("v")
	keygen := c.keygen(c.startChurn()[0])
	c.complete(keygen.Id, vault)
	at := slices.IndexFunc(keygen.Members, func(m types.Member) bool { return bech(m.Address()) == vals[0].account() })
	first, between, second := vault.vote(keygen, keygen.Members[at]).KeysharesBackup, envelope("between", 2<<10), envelope("second", 2<<10)
	for _, e := range [][]byte{between, second} {
		c.mustRun(&types.MsgPublishBackup{Signer: vals[0].account(), Vault: vault.name(), KeysharesBackup: e})
	}
	whole := fakeArchive{commitment(first): first, commitment(between): between, commitment(second): second}
	tests := []struct {
		name    string
		archive keeper.Envelopes
		vault   string
		member  string
		sha256  string
		want    []byte
		code    codes.Code
	}{
		{"the latest", whole, vault.name(), vals[0].account(), "", second, codes.OK},
		{"the latest by its hash", whole, vault.name(), vals[0].account(), commitment(second), second, codes.OK},
		{"the first", whole, vault.name(), vals[0].account(), commitment(first), first, codes.OK},
		{"one between", whole, vault.name(), vals[0].account(), commitment(between), nil, codes.NotFound},
		{"another one", whole, vault.name(), vals[0].account(), commitment([]byte("x")), nil, codes.NotFound},
		{"one of another member", whole, vault.name(), vals[1].account(), commitment(first), nil, codes.NotFound},
		{"a hash out of form", whole, vault.name(), vals[0].account(), "xy", nil, codes.InvalidArgument},
		{"one that the archive lacks", fakeArchive{}, vault.name(), vals[0].account(), "", nil, codes.NotFound},
		{"one that is damaged", fakeArchive{commitment(second): nil}, vault.name(), vals[0].account(), "", nil, codes.DataLoss},
		{"a node without an archive", nil, vault.name(), vals[0].account(), "", nil, codes.NotFound},
		{"a stranger", whole, vault.name(), bech(newValidator(99).addr()), "", nil, codes.NotFound},
		{"a vault that does not exist", whole, newVault("x").name(), vals[0].account(), "", nil, codes.NotFound},
		{"a vault out of form", whole, "zz", vals[0].account(), "", nil, codes.InvalidArgument},
		{"a member out of form", whole, vault.name(), "zz", "", nil, codes.InvalidArgument},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, err := keeper.NewQueryServer(c.k, tt.archive).Envelope(c.ctx, &types.QueryEnvelopeRequest{
				Vault: tt.vault, Member: tt.member, Sha256: tt.sha256,
			})
			require.Equal(t, tt.code, status.Code(err), "%v", err)
			if tt.code == codes.OK {
				require.Equal(t, tt.want, res.Envelope)
				require.Equal(t, commitment(tt.want), res.Commitment.Sha256)
			}
		})
	}
}
