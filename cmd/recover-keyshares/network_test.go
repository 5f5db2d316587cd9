package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	pruningtypes "github.com/cosmos/cosmos-sdk/store/v2/pruning/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/restore"
	"github.com/tssbackup/tssbackup/bifrost/signer"
	"github.com/tssbackup/tssbackup/bifrost/sink"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/internal/cid"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/testutil/fakeipfs"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestRecoveryFromAChain takes the way of the data on a real chain: four signers vote with their
// envelopes, as bifrost sends them, and the command gets each member's keyshares back over RPC.
// They are whole: the keygen is not split.
func TestRecoveryFromAChain(t *testing.T) {
	n := network.New(t, network.Config{
		Node:      func(_ int, cfg *network.NodeConfig) { cfg.Comet.TxIndex.Indexer = "kv" },
		Tssbackup: func(gs *types.GenesisState) { gs.Params.SplitBackups = false },
	})
	n.RegisterSigners()
	ctx := t.Context()

	var (
		keys      []*signer.Key
		pubKeys   [][]byte
		mnemonics []*sanity.Mnemonic
	)
	for _, v := range n.Validators {
		m, err := sanity.ParseMnemonic([]byte(v.Signer.Mnemonic))
		require.NoError(t, err)
		key, err := signer.Derive(m, signer.DefaultHDPath)
		require.NoError(t, err)
		require.Equal(t, v.Signer.Bech32(), key.Bech32("cosmos"))
		mnemonics, keys, pubKeys = append(mnemonics, m), append(keys, key), append(pubKeys, key.PubKey())
	}
	vault := dealer.NewVault("recovered", "cosmos", pubKeys)
	churn := n.StartChurn()
	keygen := churn.KeygenIds[0]
	strangers(ctx, t, n, keygen)
	ballot := n.Ballot(keygen)
	made := network.Vault{PrivateKeys: vault.PrivateKeys}

	for i, v := range n.Validators {
		node, err := chain.New(v.RPC(), 0)
		require.NoError(t, err)
		sealed, err := seal(mnemonics[i], vault.Files[i])
		require.NoError(t, err)
		vote := ballot.Vote(made, v.Signer, sealed)
		send(ctx, t, n, node, keys[i], vote)
	}
	n.SendVote(ballot.Members[0], ballot.Check(made, ballot.Members[0]))
	n.WaitChurn(types.ChurnStatus_CHURN_STATUS_COMPLETE)
	// The header of the next block verifies it, and the one after is where that one is surely
	// found.
	n.WaitBlocks(2)

	nodes := []string{"--node", n.Validators[0].RPC(), "--node", n.Validators[1].RPC()}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	outsider := exec.Command("recover-keyshares", append([]string{"coverage", "--trust-first"}, nodes...)...)
	outsider.Stderr = t.Output()
	require.NoError(t, outsider.Run())
	recoverAll(t, n, vault, nodes...)
}

// recoverAll has each member recover with the command, with nothing but its mnemonic and these
// arguments, and requires that it gets its keyshares back byte for byte.
func recoverAll(t *testing.T, n *network.Network, vault *dealer.Vault, args ...string) {
	work := t.TempDir()
	for i, v := range n.Validators {
		words, out := filepath.Join(work, v.Moniker), filepath.Join(work, v.Moniker+"-keyshares")
		require.NoError(t, os.WriteFile(words, []byte(v.Signer.Mnemonic), 0o600))
		cmd := exec.Command("recover-keyshares", append([]string{"--mnemonic-file", words, "--out", out, "--output", "json"}, args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = io.MultiWriter(t.Output(), &stderr)
		stdout, err := cmd.Output()
		require.NoError(t, err)

		var result recovery
		require.NoError(t, json.Unmarshal(stdout, &result))
		require.Equal(t, n.ChainID, result.ChainID)
		require.Equal(t, v.Signer.Bech32(), result.Address)
		require.Contains(t, stderr.String(), fmt.Sprintf("header %d of", result.Height+1))
		require.Contains(t, stderr.String(), "is verified")
		require.Len(t, result.Vaults, 1)
		require.Equal(t, vault.Name(), result.Vaults[0].Vault)
		require.Empty(t, result.Vaults[0].Rejected)
		entries, err := os.ReadDir(out)
		require.NoError(t, err)
		require.Len(t, entries, len(vault.Files[i]))
		for j, f := range vault.Files[i] {
			require.Equal(t, filepath.Join(out, f.Name), result.Vaults[0].Files[j])
			data, err := os.ReadFile(result.Vaults[0].Files[j])
			require.NoError(t, err)
			require.Equal(t, f.Data, data)
		}
	}
}

// TestRecoveryOfASplitVault recovers from secrets and the group part in state, and once state has
// none any more, from the block that carried it.
func TestRecoveryOfASplitVault(t *testing.T) {
	n := network.New(t, network.Config{Tssbackup: expiring})
	n.RegisterSigners()
	first := n.BackUp()
	n.WaitBlocks(2)
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	nodes := []string{"--node", n.Validators[0].RPC(), "--node", n.Validators[1].RPC(), "--trust-first"}
	group := func() error {
		_, err := n.Query().Group(t.Context(), &types.QueryGroupRequest{Vault: first.Vault.Name()})
		return err
	}
	require.NoError(t, group())
	recoverAll(t, n, first.Vault, nodes...)

	second := n.BackUp()
	n.Wait(func() bool { return group() != nil }, "the group part of the retired vault is deleted")
	n.WaitBlocks(2)
	recoverAll(t, n, second.Vault, nodes...)
	recoverAll(t, n, first.Vault, append([]string{"--vault", first.Vault.Name()}, nodes...)...)
}

// expiring has vaults retire, and their proofs and group parts be deleted, as soon as that may be.
func expiring(gs *types.GenesisState) { gs.Params.RetirementDelay, gs.Params.ProofRetention = 1, 1 }

// pruned is a network of which no node holds the block of any vote. With expired the vault is
// retired, and state has its group part no more.
func pruned(t *testing.T, expired bool) (*network.Network, *network.Backups) {
	const blocks = 40 // enough for a command that is slow between two questions
	n := network.New(t, network.Config{
		Consensus:     network.ShortEvidence,
		TimeoutCommit: 50 * time.Millisecond,
		Node:          network.Prune(blocks, pruningtypes.NewCustomPruningOptions(blocks, 10)),
		Tssbackup:     expiring,
	})
	n.RegisterSigners()
	b := n.BackUp()
	if expired {
		n.BackUp()
		n.Wait(func() bool {
			_, err := n.Query().Group(t.Context(), &types.QueryGroupRequest{Vault: b.Vault.Name()})
			return err != nil
		}, "the group part of the retired vault is deleted")
	}
	n.WaitHeight(slices.Max(b.Heights) + blocks + 10)
	for _, v := range n.Validators {
		v.RequirePruned(b.Heights...)
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	return n, b
}

func TestRecoveryFromPrunedNodes(t *testing.T) {
	n, b := pruned(t, false)
	recoverAll(t, n, b.Vault, "--trust-first", "--node", n.Validators[2].RPC(), "--node", n.Validators[3].RPC())
}

// recoverFromIPFS recovers what a node of IPFS has alone, and then what a folder has: the chain's
// nodes have pruned the blocks of the votes, lost their archives and deleted the group part, and
// hold nothing but the records.
func recoverFromIPFS(t *testing.T, node, gateway string) {
	n, b := pruned(t, true)
	to, err := sink.Open(node, sink.Credentials{})
	require.NoError(t, err)
	dir := t.TempDir()
	folder, err := sink.Open("file://"+dir, sink.Credentials{})
	require.NoError(t, err)
	for _, sealed := range b.Envelopes {
		sum := sha256.Sum256(sealed)
		require.NoError(t, to.Put(t.Context(), restore.EnvelopeFile(sum[:]), sealed))
		require.NoError(t, folder.Put(t.Context(), restore.EnvelopeFile(sum[:]), sealed))
		for _, v := range n.Validators {
			var lost int
			require.NoError(t, filepath.WalkDir(tssbackup.ArchiveDir(v.Home), func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.Name() == hex.EncodeToString(sum[:]) {
					lost++
					err = os.Remove(path)
				}
				return err
			}))
			require.Equal(t, 1, lost, "the archive of %s", v)
		}
	}
	args := []string{
		"--trust-first", "--vault", b.Vault.Name(), "--node", n.Validators[0].RPC(), "--node", n.Validators[1].RPC(),
	}
	words := filepath.Join(t.TempDir(), "words")
	require.NoError(t, os.WriteFile(words, []byte(n.Validators[0].Signer.Mnemonic), 0o600))
	fails := func(more ...string) string {
		cmd := append([]string{"--mnemonic-file", words, "--out", t.TempDir()}, append(args, more...)...)
		out, err := exec.Command("recover-keyshares", cmd...).CombinedOutput()
		require.Error(t, err, "%s", out)
		return string(out)
	}
	fails() // no node of the chain has an envelope
	require.Contains(t, fails("--from", gateway), "the group part is missing")

	// The group part has a name in the vault's record for ever: by its SHA-256, and by its own hash.
	res, err := n.Query().Vault(t.Context(), &types.QueryVaultRequest{Vault: b.Vault.Name()})
	require.NoError(t, err)
	require.Empty(t, res.Vault.SharesHash)
	record, err := vault.FromInfo(res.Vault)
	require.NoError(t, err)
	group := b.Vault.Deal(record.MemberKeys()).Group(record.MemberKeys())
	require.NoError(t, to.Put(t.Context(), restore.EnvelopeFile(record.Group.Sha256), group))
	file, err := record.EncodeGroup(group)
	require.NoError(t, err)
	require.NoError(t, folder.Put(t.Context(), restore.GroupFile(record.Group.Hash), file))
	for _, from := range []string{node, gateway, dir} {
		recoverAll(t, n, b.Vault, append(args, "--from", from)...)
	}
}

func TestRecoveryFromIPFSAlone(t *testing.T) {
	_, node, gateway := fakeipfs.New(t, func(data []byte) string {
		sum := sha256.Sum256(data)
		return cid.Of(sum[:])
	})
	recoverFromIPFS(t, node, gateway)
}

// TestRecoveryFromAStateSyncedNode recovers from a node that joined by state sync and never held
// the block of any vote, when it is the only one that is left. The trusted header was noted while
// there were others.
func TestRecoveryFromAStateSyncedNode(t *testing.T) {
	made := network.Snapshots{}
	n := network.New(t, made.Config(t.TempDir))
	n.RegisterSigners()
	b := n.BackUp()
	joined := n.JoinByStateSync(made, slices.Max(b.Heights))
	joined.RequirePruned(b.Heights...)
	height := joined.Height()
	n.WaitHeight(height)
	commit, err := n.Validators[0].Client().Commit(t.Context(), &height)
	require.NoError(t, err)
	n.Wait(func() bool { return joined.Height() > height+1 }, "two headers after the trusted one")
	n.StopAll()

	t.Setenv("XDG_STATE_HOME", t.TempDir())
	recoverAll(t, n, b.Vault, "--node", joined.RPC(), "--trust-height", fmt.Sprint(height), "--trust-hash", commit.Hash().String())
}

// TestRecoveryAfterARestartFromGenesis recovers on a chain of another id that goes on from an
// exported state: its blocks hold no vote, and the recorded heights are of the old chain. The node
// that is asked first forgot to import the archive.
func TestRecoveryAfterARestartFromGenesis(t *testing.T) {
	n := network.New(t, network.Config{})
	n.RegisterSigners()
	b := n.BackUp()
	again := n.Restart("tssbackup-again", 3)
	again.WaitBlocks(3)
	for _, v := range again.Validators {
		v.RequirePruned(b.Heights...)
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	recoverAll(t, again, b.Vault, "--trust-first", "--node", again.Validators[3].RPC(), "--node", again.Validators[0].RPC())

	// Offline the exported genesis has the group part for an envelope that somebody kept.
	again.StopAll()
	work := t.TempDir()
	words, genesis, kept := filepath.Join(work, "words"), filepath.Join(work, "genesis.json"), filepath.Join(work, "envelope")
	require.NoError(t, again.ExportGenesis("tssbackup-third").SaveAs(genesis))
	require.NoError(t, os.WriteFile(words, []byte(again.Validators[0].Signer.Mnemonic), 0o600))
	require.NoError(t, os.WriteFile(kept, b.Envelopes[0], 0o600))
	out := filepath.Join(work, "keyshares")
	said, err := exec.Command("recover-keyshares", "open", "--mnemonic-file", words, "--out", out, "--group", genesis, kept).CombinedOutput()
	require.NoError(t, err, "%s", said)
	for _, f := range b.Vault.Files[0] {
		data, err := os.ReadFile(filepath.Join(out, f.Name))
		require.NoError(t, err)
		require.Equal(t, f.Data, data)
	}
}

// send sends a vote as bifrost does, and holds what a node answers on the way against what package
// chain makes of it.
func send(ctx context.Context, t *testing.T, n *network.Network, node *chain.Client, key *signer.Key, vote *types.MsgTssPool) {
	number, sequence, err := node.Account(ctx, vote.Signer)
	require.NoError(t, err)
	status, err := node.Status(ctx)
	require.NoError(t, err)
	params := chain.TxParams{
		ChainID: status.ChainID, AccountNumber: number, Sequence: sequence + 1,
		Gas: 1_000_000, TimeoutHeight: uint64(status.Height) + 100,
	}
	tx, err := chain.SignTx(vote, params, key)
	require.NoError(t, err)
	require.ErrorIs(t, node.Broadcast(ctx, tx), sdkerrors.ErrWrongSequence)

	params.Sequence = sequence
	tx, err = chain.SignTx(vote, params, key)
	require.NoError(t, err)
	hash := sha256.Sum256(tx)
	_, err = node.Tx(ctx, hash[:])
	require.ErrorIs(t, err, chain.ErrNotFound)
	require.NoError(t, node.Broadcast(ctx, tx))
	require.ErrorIs(t, node.Broadcast(ctx, tx), sdkerrors.ErrTxInMempoolCache)

	var result chain.TxResult
	n.Wait(func() bool {
		result, err = node.Tx(ctx, hash[:])
		return err == nil
	}, "vote in a block")
	require.NoError(t, result.Err)
	txs, err := node.BlockTxs(ctx, result.Height)
	require.NoError(t, err)
	require.Contains(t, txs, tx)
	_, err = node.BlockTxs(ctx, result.Height+1000)
	require.ErrorIs(t, err, chain.ErrNoBlock)

	n.WaitHeight(result.Height)
}

// strangers asks for what is there in an open churn and what is not.
func strangers(ctx context.Context, t *testing.T, n *network.Network, keygen uint64) {
	const (
		stranger = "cosmos1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnrk363e"
		noVault  = "020000000000000000000000000000000000000000000000000000000000000001"
	)
	node, err := chain.New(n.Validators[0].RPC(), 0)
	require.NoError(t, err)

	params, err := node.Params(ctx)
	require.NoError(t, err)
	require.NoError(t, params.Validate())
	open, err := node.OpenKeygens(ctx)
	require.NoError(t, err)
	require.Len(t, open, 1)
	require.Equal(t, keygen, open[0].Id)
	churns, err := node.Churns(ctx, 5)
	require.NoError(t, err)
	require.Len(t, churns, 1)
	registered, err := node.Signer(ctx, n.Validators[1].OperatorAddress())
	require.NoError(t, err)
	require.Equal(t, n.Validators[1].Signer.Bech32(), registered.Address)

	unknown, err := node.Keygen(ctx, 1000)
	require.NoError(t, err)
	require.Zero(t, unknown)
	_, err = node.Signer(ctx, stranger)
	require.ErrorIs(t, err, chain.ErrNotFound)
	_, err = node.Vault(ctx, noVault)
	require.ErrorIs(t, err, chain.ErrNotFound)
	_, err = node.Coverage(ctx, noVault)
	require.ErrorIs(t, err, chain.ErrNotFound)
	_, _, err = node.Account(ctx, stranger)
	require.ErrorIs(t, err, chain.ErrNotFound)
	vaults, err := node.Vaults(ctx, stranger)
	require.NoError(t, err)
	require.Empty(t, vaults)
	commitments, err := node.Backup(ctx, noVault, stranger)
	require.NoError(t, err)
	require.Empty(t, commitments)
}
