package app_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/store/v2/snapshots"
	snapshottypes "github.com/cosmos/cosmos-sdk/store/v2/snapshots/types"
	"github.com/cosmos/cosmos-sdk/testutil/sims"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/appchain"
	"github.com/tssbackup/tssbackup/testutil/copies"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/archive"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// A kind is a way to vote for one result.
type kind string

const (
	whole kind = "whole" // every envelope holds keyshares whole, every vote all public shares
	split kind = "split" // the first vote carries the group part, envelopes hold a member's secrets
	plain kind = "plain" // whole, without public shares and proofs
	held  kind = "held"  // split, and the first vote lists the envelopes that the members hold
)

// isSplit reports whether the first vote carries the group part.
func (k kind) isSplit() bool { return k == split || k == held }

// sealed are envelopes of the size that they have in a vault of n members: the lengths of those of
// testutil/fixture/keyshares lie on this line.
func sealed(b *testing.B, n int, k kind) [][]byte {
	size := 4_300 + 1_441*n
	if k.isSplit() {
		size = 830
	}
	envelopes := make([][]byte, n)
	for i := range envelopes {
		envelopes[i] = network.Seal(b, network.NewAccount(fmt.Sprintf("%s/%d", chainID, i)), size)
	}
	return envelopes
}

// ballots is a chain before the block in which all members of a keygen vote, and the votes.
type ballots struct {
	*churn
	votes     [][]byte
	envelopes [][]byte
}

// newBallots prepares the votes of n members.
func newBallots(b *testing.B, n int, k kind, options sims.AppOptionsMap) ballots {
	b.Helper()
	c := newChurn(b, appchain.Config{
		Members: n, Options: options,
		Params: func(p *types.Params) {
			p.MaxVaultMembers = 512
			p.ProofsOptional = k == plain
			p.SplitBackups = k.isSplit()
			if k == held {
				p.Placement = types.Placement_PLACEMENT_MEMBERS
			}
		},
		Funds: 1_000, MaxMemo: 1 << 20, // for the transfers that votes are held against
		// All votes go into one block, so that blocks of every size are measured alike.
		Consensus: func(p *cmttypes.ConsensusParams) {
			p.Block.MaxBytes = cmttypes.MaxBlockSizeBytes
			p.Block.MaxGas = math.MaxInt64
		},
	})
	votes := ballots{churn: c, envelopes: sealed(b, n, k)}
	if k == held {
		for _, m := range c.ballot.Members {
			i := slices.IndexFunc(c.Signers, func(s network.Account) bool { return s.Mnemonic == m.Mnemonic })
			c.ballot.Held = append(c.ballot.Held, votes.envelopes[i])
		}
	}
	for i, m := range c.Signers {
		vote := c.ballot.Vote(c.vault, m, votes.envelopes[i])
		switch {
		case k == plain:
			vote.PublicShares, vote.Proof = nil, nil
			c.ballot.Certify(vote)
		case k.isSplit() && i > 0:
			c.ballot.Named(vote)
		}
		gas, err := types.SignerGas(vote, n)
		require.NoError(b, err)
		votes.votes = append(votes.votes, c.Tx(m, network.TxOptions{Gas: gas}, vote))
	}
	return votes
}

// bytesOf are those of all together.
func bytesOf(all [][]byte) (n int) {
	for _, b := range all {
		n += len(b)
	}
	return n
}

// proofsOf are what the members prove, and their proofs.
func (v ballots) proofsOf() ([]verenc.Statement, [][]byte) {
	statements, proofs := make([]verenc.Statement, len(v.Signers)), make([][]byte, len(v.Signers))
	for i, m := range v.Signers {
		statements[i] = v.statement(m)
		proofs[i] = v.prove(m.Recipient(0), statements[i], v.dealt().Shares(v.Members[i]))
	}
	return statements, proofs
}

// run executes the block of all votes on a fork of the chain, and gives the time that FinalizeBlock
// took and what the module's state grew by.
func (v ballots) run(b *testing.B) (time.Duration, int) {
	c := v.Fork(b)
	before := c.StateBytes()
	runtime.GC()
	start := time.Now()
	results := c.Finalize(v.votes...)
	took := time.Since(start)
	for _, result := range results {
		require.Zero(b, result.Code, result.Log)
	}
	c.Commit()
	return took, c.StateBytes() - before
}

// thornode is what the same vaults cost with THORNode's payloads, which have no proofs, in bytes.
var thornode = map[int]float64{4: 45e3, 20: 693e3, 40: 2.56e6, 100: 15e6}

// secretBytes are those of a member's keyshares that no other member has.
const secretBytes = 576

// BenchmarkFinalizeBlock executes, in the whole app over a database in memory, a block in which all
// members of a keygen vote, with an envelope and a proof each. By turns with it runs the same block
// without public shares and proofs, and the verification of the proofs alone. Each time the block
// runs on another copy of the state. The best of all rounds counts, because whatever else the
// machine does only adds to a time. It also says what the vault costs: the bytes of transactions, of
// state and of the archive; where the members hold the envelopes, the transactions against those of a
// vault whose votes carry them, and no archive. With -short it is 4 votes alone.
func BenchmarkFinalizeBlock(b *testing.B) {
	sizes := []int{4, 20, 40, 100}
	if testing.Short() {
		sizes = sizes[:1]
	}
	for _, n := range sizes {
		without := sync.OnceValue(func() ballots { return newBallots(b, n, plain, nil) })
		inVotes := sync.OnceValue(func() float64 { return float64(bytesOf(newBallots(b, n, split, nil).votes)) })
		for _, k := range []kind{whole, split, held} {
			b.Run(fmt.Sprintf("%d members/%s", n, k), func(b *testing.B) {
				proven, plain := newBallots(b, n, k, nil), without()
				statements, proofs := proven.proofsOf()
				block, baseline, verify := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
				var grown int
				round := func() {
					var took time.Duration
					took, grown = proven.run(b)
					block = min(block, took)
					took, _ = plain.run(b)
					baseline = min(baseline, took)
					runtime.GC()
					start := time.Now()
					for i := range proofs {
						_, err := verenc.Verify(statements[i], proofs[i])
						require.NoError(b, err)
					}
					verify = min(verify, time.Since(start))
				}
				for b.Loop() {
					for range 2 {
						round()
					}
				}
				txs := float64(bytesOf(proven.votes))
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(block.Microseconds())/1000, "ms/block")
				b.ReportMetric(float64(baseline.Microseconds())/1000, "ms/plain-block")
				b.ReportMetric(float64(block)/float64(baseline), "block/plain")
				b.ReportMetric(100*float64(verify)/float64(block), "%verify")
				b.ReportMetric(txs, "tx-B")
				b.ReportMetric(float64(grown), "state-B")
				b.ReportMetric(float64(grown)/float64(n), "state-B/member")
				if k == held {
					b.ReportMetric(txs/inVotes(), "tx/split")
				} else {
					b.ReportMetric(float64(bytesOf(proven.envelopes)), "archive-B")
				}
				b.ReportMetric(float64(bytesOf(plain.votes)), "plain-tx-B")
				b.ReportMetric(txs/thornode[n], "tx/thornode")
				b.ReportMetric(txs/float64(n*secretBytes), "tx/secrets")
			})
		}
	}
}

// cpuTime is what the process has computed for until now, on all cores: unlike the time that passes,
// it does not grow when the machine has other work.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkVote tells what a vote costs a node besides what is verified, on one core, in time of the
// processor. Blocks and verifications run by turns, and the least of each counts. All is for each
// vote, in µs:
//
//   - proof: the verification of its proof;
//   - beyond: the block of all votes, less the proofs, and less what is verified once for a keygen: the
//     public shares or the group part, and the members' signatures in the certificate;
//   - check: CheckTx, which decodes the transaction and runs the ante handler, and verifies no proof;
//   - transfer and transfer-check: the same of as many transfers of coins, of the same sizes, by the
//     same members: what any transaction costs.
//
// Plain votes have no proofs, so that theirs is a difference of small times: what a vote of that size
// takes in a block, and what a transfer does.
// Of a split keygen check is that of the votes which name the group part. What a vote costs in the module
// alone, without the differences of large times, is measured by the benchmark of package keeper.
func BenchmarkVote(b *testing.B) {
	sizes := []int{4, 40}
	if testing.Short() {
		sizes = sizes[:1]
	}
	for _, n := range sizes {
		for _, k := range []kind{plain, whole, split} {
			b.Run(fmt.Sprintf("%d members/%s", n, k), func(b *testing.B) { benchmarkVote(b, n, k) })
		}
	}
}

// transfers are as many as there are votes, by the same members and of the same sizes.
func (v ballots) transfers(b *testing.B) (out [][]byte) {
	c := v.Fork(b)
	for i, m := range v.Signers {
		transfer := func(memo int) []byte {
			opts := network.TxOptions{Gas: math.MaxInt64, Memo: strings.Repeat("m", memo)}
			send := banktypes.NewMsgSend(m.Address(), c.Rich.Address(), sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 1)))
			return c.TxAt(m, c.Sequence(m)-1, opts, send)
		}
		memo := max(0, len(v.votes[i])-len(transfer(0)))
		out = append(out, transfer(memo))
	}
	return out
}

// least is the shortest time that something took.
type least time.Duration

func (l *least) note(b *testing.B, work func()) {
	runtime.GC()
	start := cpuTime(b)
	work()
	if took := least(cpuTime(b) - start); *l == 0 || took < *l {
		*l = took
	}
}

func benchmarkVote(b *testing.B, n int, k kind) {
	proven := newBallots(b, n, k, nil)
	transfers := proven.transfers(b)
	statements, proofs := proven.proofsOf()
	shares, digest := proven.dealt().Public, sha256.Sum256(nil)
	signature, err := proven.Signers[0].Key.Sign(nil)
	require.NoError(b, err)
	group, err := sanity.ParseGroup(proven.dealt().Group(proven.Members), n)
	require.NoError(b, err)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	finalize := func(c *appchain.Chain, txs [][]byte) {
		for _, result := range c.Finalize(txs...) {
			require.Zero(b, result.Code, result.Log)
		}
	}
	check := func(c *appchain.Chain, txs [][]byte) {
		for _, tx := range txs {
			res := c.Check(tx)
			require.Zero(b, res.Code, res.Log)
		}
	}
	var block, transfer, checkVote, checkTransfer, verify, once least
	for b.Loop() {
		for range 3 {
			fork := proven.Fork(b)
			block.note(b, func() { finalize(fork, proven.votes) })
			if k != plain {
				verify.note(b, func() {
					for i := range proofs {
						_, err := verenc.Verify(statements[i], proofs[i])
						require.NoError(b, err)
					}
				})
			}
			fork = proven.Fork(b)
			transfer.note(b, func() { finalize(fork, transfers) })
			fork = proven.Fork(b)
			fork.Block(proven.votes[0])
			for range 5 {
				fork.Block()
				checkVote.note(b, func() { check(fork, proven.votes[1:]) })
				fork.Block()
				checkTransfer.note(b, func() { check(fork, transfers[1:]) })
			}
			once.note(b, func() {
				if k != plain {
					require.NoError(b, shares.Check(proven.vault.PubKey(), proven.vault.PubKeyEd25519()))
				}
				for range n {
					require.True(b, types.VerifySecp256k1(proven.Members[0], digest[:], signature))
				}
				for i := 0; i < n && k == split; i++ {
					require.NoError(b, sanity.CheckParameters(group[i].ReadParameters()))
				}
			})
		}
	}
	beyond := block - verify - once
	per := func(d least, votes int) float64 { return float64(d) / 1000 / float64(votes) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(per(verify, n), "proof-µs")
	b.ReportMetric(per(once, n), "once-µs")
	b.ReportMetric(per(beyond, n), "beyond-µs")
	b.ReportMetric(float64(beyond)/float64(verify+once), "beyond/verified")
	b.ReportMetric(per(transfer, n), "transfer-µs")
	b.ReportMetric(per(checkVote, n-1), "check-µs")
	b.ReportMetric(per(checkTransfer, n-1), "transfer-check-µs")
}

// BenchmarkSnapshot makes snapshots for state sync of a chain with 1, 10 and 100 vaults, as a node
// does: of the state, compressed, and of the archive. The least time counts.
func BenchmarkSnapshot(b *testing.B) {
	sizes, numbers := []int{4, 20, 40, 100}, []int{1, 10, 100}
	if testing.Short() {
		sizes, numbers = sizes[:1], numbers[:2]
	}
	for _, n := range sizes {
		for _, k := range []kind{whole, split} {
			v := newBallots(b, n, k, sims.AppOptionsMap{flags.FlagHome: b.TempDir()})
			for _, result := range v.Block(v.votes...) {
				require.Zero(b, result.Code, result.Log)
			}
			check := v.Tx(v.Signers[0], network.TxOptions{}, v.ballot.Check(v.vault, v.Signers[0]))
			require.Zero(b, v.Block(check)[0].Code)
			v.Block()
			bytes := bytesOf(v.envelopes)
			for _, vaults := range numbers {
				// The copies are committed as a block's state, without a block.
				ctx := sdk.NewContext(v.App.CommitMultiStore(), cmtproto.Header{}, false, log.NewNopLogger())
				copied := copies.Vaults(b, ctx, v.App.TssbackupKeeper, vaults)
				for _, envelope := range copied {
					require.NoError(b, v.App.Archive.Put(envelope))
				}
				bytes += bytesOf(copied)
				height := v.App.CommitMultiStore().Commit().Version
				b.Run(fmt.Sprintf("%d members/%s/%d vaults", n, k, vaults), func(b *testing.B) {
					benchmarkSnapshot(b, v.App, height, bytes)
				})
			}
		}
	}
}

func benchmarkSnapshot(b *testing.B, a *app.App, height int64, envelopes int) {
	dir := b.TempDir()
	store, err := snapshots.NewStore(dbm.NewMemDB(), dir)
	require.NoError(b, err)
	state := a.CommitMultiStore()
	manager := snapshots.NewManager(store, snapshottypes.NewSnapshotOptions(1, 0), state, nil, log.NewNopLogger())
	require.NoError(b, manager.RegisterExtensions(
		archive.NewSnapshotter(state, a.TssbackupKeeper, a.Archive, log.NewNopLogger())))
	took, size := time.Duration(math.MaxInt64), int64(0)
	for b.Loop() {
		start := time.Now()
		made, err := manager.Create(uint64(height))
		require.NoError(b, err)
		took = min(took, time.Since(start))
		size = 0
		chunks, err := filepath.Glob(filepath.Join(dir, "*", "*", "*"))
		require.NoError(b, err)
		for _, chunk := range chunks {
			info, err := os.Stat(chunk)
			require.NoError(b, err)
			size += info.Size()
		}
		require.NoError(b, store.Delete(made.Height, made.Format))
	}
	require.Greater(b, size, int64(envelopes), "envelopes do not get smaller")
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(took.Microseconds())/1000, "ms/snapshot")
	b.ReportMetric(float64(size), "B")
	b.ReportMetric(float64(size)/float64(envelopes), "B/archive")
}
