package app_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/appchain"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// envelopeBytes is the size of the keyshares in the envelopes of the benchmark, about that of a
// vault of 40 members.
const envelopeBytes = 64 << 10

// ballots is a chain before the block in which all members of a keygen vote, and the votes.
type ballots struct {
	*churn
	votes [][]byte
}

// newBallots prepares the votes of n members, with public shares and proofs or without.
func newBallots(b *testing.B, n int, envelopes [][]byte, proofs bool) ballots {
	b.Helper()
	c := newChurn(b, appchain.Config{
		Members: n,
		Params: func(p *types.Params) {
			p.MaxVaultMembers = 512
			p.ProofsOptional = !proofs
		},
		// All votes go into one block, so that blocks of every size are measured alike.
		Consensus: func(p *cmttypes.ConsensusParams) {
			p.Block.MaxBytes = cmttypes.MaxBlockSizeBytes
			p.Block.MaxGas = math.MaxInt64
		},
	})
	votes := ballots{churn: c}
	for i, m := range c.Signers {
		vote := c.ballot.Vote(c.vault, m, envelopes[i])
		members := n // whose public shares the vote carries
		if !proofs {
			vote.PublicShares, vote.Proof = nil, nil
			c.ballot.Certify(vote)
			members = 0
		}
		gas := 10*uint64(vote.Size()) + types.VoteGas(members)
		votes.votes = append(votes.votes, c.Tx(m, network.TxOptions{Gas: gas}, vote))
	}
	return votes
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

// BenchmarkFinalizeBlock executes, in the whole app over a database in memory, a block in which all
// members of a keygen vote, with an envelope of 64 KiB, public shares and a proof each. By turns
// with it runs the same block without public shares and proofs, and the verification of the proofs
// alone. Each time the block runs on another copy of the state. The best of all rounds counts,
// because whatever else the machine does only adds to a time. With -short it is 4 votes alone.
func BenchmarkFinalizeBlock(b *testing.B) {
	sizes := []int{4, 20, 40, 100}
	if testing.Short() {
		sizes = sizes[:1]
	}
	for _, n := range sizes {
		b.Run(fmt.Sprint(n, " votes"), func(b *testing.B) {
			envelopes := make([][]byte, n)
			for i := range envelopes {
				envelopes[i] = network.Seal(b, network.NewAccount(fmt.Sprintf("%s/%d", chainID, i)), envelopeBytes)
			}
			proven, plain := newBallots(b, n, envelopes, true), newBallots(b, n, envelopes, false)
			statements, proofs := make([]verenc.Statement, n), make([][]byte, n)
			for i, m := range proven.Signers {
				statements[i] = proven.statement(m)
				proofs[i] = proven.prove(m.Recipient(0), statements[i], proven.dealt().Shares(proven.Members[i]))
			}

			block, baseline, verify := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
			var bytes, baselineBytes int
			round := func() {
				took, grown := proven.run(b)
				block, bytes = min(block, took), grown
				took, grown = plain.run(b)
				baseline, baselineBytes = min(baseline, took), grown
				runtime.GC()
				start := time.Now()
				for i := range proofs {
					_, err := verenc.Verify(statements[i], proofs[i])
					require.NoError(b, err)
				}
				verify = min(verify, time.Since(start))
			}
			for b.Loop() {
				for range 3 {
					round()
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(block.Microseconds())/1000, "ms/block")
			b.ReportMetric(float64(block.Microseconds())/float64(n), "µs/vote")
			b.ReportMetric(float64(baseline.Microseconds())/1000, "baseline-ms/block")
			b.ReportMetric(float64(block)/float64(baseline), "block/baseline")
			b.ReportMetric(100*float64(verify)/float64(block), "%verify")
			b.ReportMetric(float64(bytes-baselineBytes)/float64(n), "state-bytes/proof")
		})
	}
}

// cpuTime is what the process has computed for until now, on all cores: unlike the time that passes,
// it does not grow when the machine has other work.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkVote tells what a vote costs a node besides what is verified: FinalizeBlock of a block of
// all votes, with an envelope of 64 KiB and public shares each, less the proofs, and less what is
// verified once for a keygen: the public shares, and the members' signatures in the certificate. The
// block and the verifications alone run by turns on one core, and the least time of the processor
// counts. Times are for each vote.
func BenchmarkVote(b *testing.B) {
	sizes := []int{4, 20, 40, 100}
	if testing.Short() {
		sizes = sizes[:1]
	}
	for _, n := range sizes {
		b.Run(fmt.Sprint(n, " members"), func(b *testing.B) {
			envelopes := make([][]byte, n)
			for i := range envelopes {
				envelopes[i] = network.Seal(b, network.NewAccount(fmt.Sprintf("%s/%d", chainID, i)), envelopeBytes)
			}
			proven := newBallots(b, n, envelopes, true)
			statements, proofs := make([]verenc.Statement, n), make([][]byte, n)
			for i, m := range proven.Signers {
				statements[i] = proven.statement(m)
				proofs[i] = proven.prove(m.Recipient(0), statements[i], proven.dealt().Shares(proven.Members[i]))
			}
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			defer debug.SetGCPercent(debug.SetGCPercent(-1))
			measure := func(work func()) time.Duration {
				runtime.GC()
				start := cpuTime(b)
				work()
				return cpuTime(b) - start
			}
			shares, digest := proven.dealt().Public, sha256.Sum256(nil)
			signature, err := proven.Signers[0].Key.Sign(nil)
			require.NoError(b, err)
			block, verify := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
			once := time.Duration(math.MaxInt64)
			for b.Loop() {
				for range 3 {
					fork := proven.Fork(b)
					block = min(block, measure(func() { fork.Finalize(proven.votes...) }))
					verify = min(verify, measure(func() {
						for i := range proofs {
							_, err := verenc.Verify(statements[i], proofs[i])
							require.NoError(b, err)
						}
					}))
					once = min(once, measure(func() {
						require.NoError(b, shares.Check(proven.vault.PubKey(), proven.vault.PubKeyEd25519()))
						for range n {
							require.True(b, types.VerifySecp256k1(proven.Members[0], digest[:], signature))
						}
					}))
				}
			}
			beyond := block - verify - once
			per := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n) }
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(per(verify), "proof-µs")
			b.ReportMetric(per(once), "once-µs")
			b.ReportMetric(per(beyond), "beyond-µs")
			b.ReportMetric(float64(beyond)/float64(verify+once), "beyond/verified")
		})
	}
}
