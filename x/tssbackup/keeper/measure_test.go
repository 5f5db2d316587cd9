package keeper_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/copies"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// growth is what a churn of n members at a height of millions adds to the store for each backup: by
// the votes, the certificate and the check, from before the joins to the active vault, and from
// before the churn to the active vault.
func growth(t testing.TB, params types.Params, n int) (votes, backups, churn float64) {
	params.MaxVaultMembers = 512
	c, _ := startChain(t, params, n)
	c.ctx = c.ctx.WithBlockHeight(25_000_000)
	// The vault before, so that it is retired by this churn.
	c.complete(c.startChurn()[0], newVault("before"))

	before := c.size()
	keygen := c.keygen(c.startChurn()[0])
	opened := c.size()
	c.begin(keygen)
	joined := c.size()
	vault := newVault("v")
	for _, m := range keygen.Members {
		require.NoError(t, c.k.CountAttempt(c.ctx, types.Exemption{KeygenID: keygen.Id, Member: m.Address()}))
		c.mustRun(vault.vote(keygen, m))
	}
	voted := c.size()
	c.endBlock()
	active := c.size()
	require.EqualValues(t, n, c.coverage(vault.name())[0].Published)
	per := func(bytes int) float64 { return float64(bytes) / float64(n) }
	return per(voted - joined), per(active - opened), per(active - before)
}

// maxGrowth is how many bytes the state may grow by for each accepted backup.
const maxGrowth = 200

func TestStateGrowth(t *testing.T) {
	for _, n := range []int{3, 4, 5, 20, 100} {
		t.Run(fmt.Sprint(n, " members"), func(t *testing.T) {
			votes, backups, churn := growth(t, testParams(), n)
			t.Logf("bytes for each backup: %.0f while voting, %.0f when active, %.0f with the whole churn", votes, backups, churn)
			// Until the vault is active there is the certificate with the vault's signatures.
			require.LessOrEqual(t, votes, maxGrowth+240/float64(n))
			require.LessOrEqual(t, backups, float64(maxGrowth))
			if n > 4 {
				// The records of the churn, the keygen and the vault alone come to more than 50
				// bytes for each of four members.
				require.LessOrEqual(t, churn, float64(maxGrowth))
			}
		})
	}
}

// TestStateGrowthWhereMembersHoldTheEnvelopes measures what that adds: of each member its entry of the
// certificate and, in its vote, the hash of the list, until the vault is active; and then what says so.
func TestStateGrowthWhereMembersHoldTheEnvelopes(t *testing.T) {
	for _, n := range []int{4, 20, 100} {
		t.Run(fmt.Sprint(n, " members"), func(t *testing.T) {
			votes, backups, churn := growth(t, testParams(), n)
			heldVotes, heldBackups, heldChurn := growth(t, heldParams(testParams()), n)
			t.Logf("bytes for each backup: %.1f more while voting, %.1f when active, %.1f with the whole churn",
				heldVotes-votes, heldBackups-backups, heldChurn-churn)
			require.LessOrEqual(t, heldVotes-votes, 80+40/float64(n))
			require.LessOrEqual(t, heldBackups-backups, 2+8/float64(n))
			require.LessOrEqual(t, heldChurn-churn, 4+8/float64(n), "the vault before has the same placement")
		})
	}
}

func TestStateGrowthOfAPublication(t *testing.T) {
	params := testParams()
	params.Sample = types.Fraction{Numerator: 1, Denominator: 100}
	c, _ := startChain(t, params, 4)
	keygen := c.keygen(c.startChurn()[0])
	vault := newVault("v")
	c.complete(keygen.Id, vault)
	for _, m := range keygen.Members {
		before := c.size()
		require.NoError(t, c.k.CountAttempt(c.ctx, types.Exemption{KeygenID: keygen.Id, Member: m.Address()}))
		env := envelope("first", 64<<10)
		c.mustRun(&types.MsgPublishBackup{Signer: bech(m.Address()), Vault: vault.name(), KeysharesBackup: env})
		require.LessOrEqual(t, c.size()-before, maxGrowth)
		before = c.size()
		env = envelope("again", 64<<10)
		c.mustRun(&types.MsgPublishBackup{Signer: bech(m.Address()), Vault: vault.name(), KeysharesBackup: env})
		require.LessOrEqual(t, c.size()-before, maxGrowth)
	}
}

func TestEnvelopesNeverEnterTheState(t *testing.T) {
	c, _ := startChain(t, testParams(), 3)
	c.complete(c.startChurn()[0], newVault("v"))
	for key, value := range c.dump() {
		require.Less(t, len(value)/2, 512, key)
		require.NotContains(t, value, fmt.Sprintf("%x", "age-encryption"))
		require.NotEmpty(t, value, "an empty value cannot be proven")
	}
}

// TestStateGrowthOfAProof measures what a proof adds: its stored form, and the member's public
// shares of both keys.
func TestStateGrowthOfAProof(t *testing.T) {
	for _, n := range []int{4, 20} {
		c, _ := startChain(t, provenParams(), n)
		keygen := c.keygen(c.startChurn()[0])
		c.complete(keygen.Id, newVault("v"))
		per := float64(c.proofSize()) / float64(n)
		t.Logf("%d members: %.0f bytes for each proof", n, per)
		require.LessOrEqual(t, per, float64(verenc.StoredSize(2)+320))
		require.LessOrEqual(t, verenc.StoredSize(2), 2*verenc.StoredSize(1))
	}
}

// TestSameInputsSameStore runs one history on two chains: the stores, which make up the app hash,
// are the same.
func TestSameInputsSameStore(t *testing.T) {
	for name, params := range map[string]types.Params{
		"votes carry the envelopes": provenParams(), "members hold them": heldParams(splitParams()),
	} {
		t.Run(name, func(t *testing.T) { requireSameStore(t, params) })
	}
}

func requireSameStore(t *testing.T, params types.Params) {
	run := func() (map[string]string, []string) {
		params.MaxVaultMembers = 6
		params.MinCoverage = types.Fraction{Numerator: 1, Denominator: 2}
		c, vals := startChain(t, params, 17)
		var events []string
		end := func(blocks int) {
			for range blocks {
				c.endBlock()
				events = append(events, fmt.Sprint(c.events))
			}
		}
		for round := range 3 {
			ids := c.startChurn()
			for at, id := range ids {
				keygen := c.keygen(id)
				if keygen.Status != open {
					continue
				}
				blames := round == 1 && at == len(ids)-1
				for blames && c.ctx.BlockHeight() <= keygen.CertificateDeadline() {
					end(1)
				}
				for i, m := range keygen.Members {
					switch {
					case blames && i < len(keygen.Members)-1:
						c.mustRun(blame(id, bech(m.Address()), bech(keygen.Members[len(keygen.Members)-1].Address())))
					case i == round || blames:
					default:
						c.mustRun(newVault(fmt.Sprint(id)).vote(keygen, m))
					}
				}
				end(1)
			}
			end(40)
			vals[round].signer = signerKey(fmt.Sprint("round ", round))
			c.mustRun(vals[round].register())
			for c.isOpen() {
				end(1)
			}
		}
		return c.dump(), events
	}
	store, events := run()
	require.True(t, strings.Contains(strings.Join(events, ""), "EventVaultActive"))
	for range 3 {
		again, eventsAgain := run()
		require.Equal(t, store, again)
		require.Equal(t, events, eventsAgain)
	}
}

// BenchmarkVote does for one vote what the module does for it in a block: in the ante handler, and in
// its message. Signatures and proofs are not verified in it, nor is what is verified once for a keygen,
// but for the carrier of a group part, whose certificate and group part it is that are. So what it
// tells is the module's share of what a vote costs beyond verification; a plain one has no proof at all.
// The least time counts.
func BenchmarkVote(b *testing.B) {
	for _, n := range []int{4, 40, 100} {
		for _, kind := range []string{"plain", "whole", "carrier", "hash"} {
			b.Run(fmt.Sprintf("%d members/%s", n, kind), func(b *testing.B) {
				params, size := splitParams(), 1_150
				switch kind {
				case "plain":
					params, size = testParams(), 4_300+1_441*n
				case "whole":
					params, size = provenParams(), 4_300+1_441*n
				}
				params.MaxVaultMembers, params.MaxEnvelopeBytes = 512, 512<<10
				c, _ := startChain(b, params, n)
				keygen := c.keygen(c.startChurn()[0])
				vote := func(m types.Member) *types.MsgTssPool {
					msg := vaultOf(n).vote(keygen, m)
					msg.KeysharesBackup = envelope(bech(m.Address()), size)
					return msg
				}
				msg := c.certified(vote(keygen.Members[0]))
				if kind != "carrier" {
					c.mustRun(msg)
					msg = vote(keygen.Members[1])
				}
				if kind == "hash" {
					msg = naming(msg, keygen.Members)
				}
				stored := make([]byte, verenc.StoredSize(2))
				c.k.SetVerify(func(verenc.Statement, []byte) ([]byte, error) { return stored, nil })
				c.msg = keeper.NewMsgServer(c.k)
				least := time.Duration(math.MaxInt64)
				for b.Loop() {
					ctx, _ := c.ctx.CacheContext()
					start := time.Now()
					e, ok, err := c.k.ExemptVote(ctx, msg)
					if err != nil || !ok {
						b.Fatal(err)
					}
					if err := c.k.CheckForm(ctx, e.Envelope); err != nil {
						b.Fatal(err)
					}
					if err := c.k.CountAttempt(ctx, e); err != nil {
						b.Fatal(err)
					}
					if _, err := c.msg.TssPool(ctx, msg); err != nil {
						b.Fatal(err)
					}
					least = min(least, time.Since(start))
				}
				b.ReportMetric(float64(least.Nanoseconds())/1000, "µs")
			})
		}
	}
}

// BenchmarkEndBlock ends a block in which a churn is open and all but one have voted.
func BenchmarkEndBlock(b *testing.B) {
	for _, n := range []int{4, 20, 100} {
		b.Run(fmt.Sprint(n, " members"), func(b *testing.B) {
			params := testParams()
			params.MaxVaultMembers = 512
			c, _ := startChain(b, params, n)
			keygen := c.keygen(c.startChurn()[0])
			for _, m := range keygen.Members[1:] {
				c.mustRun(newVault("v").vote(keygen, m))
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.k.EndBlocker(c.ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLivingVaults ends a block in which nothing happens, and asks for the coverage of all
// vaults that are not retired, for 1, 10 and 100 of them. The least time counts. The state is what they have in it with
// what is kept of the proofs. With -short it is vaults of 4 members alone.
func BenchmarkLivingVaults(b *testing.B) {
	sizes := []int{4, 20, 40, 100}
	if testing.Short() {
		sizes = sizes[:1]
	}
	for _, n := range sizes {
		params := provenParams()
		params.MaxVaultMembers = 512
		c, _ := startChain(b, params, n)
		c.complete(c.startChurn()[0], newVault("first"))
		c.endBlocks(2)
		for _, vaults := range []int{1, 10, 100} {
			copies.Vaults(b, c.ctx, c.k, vaults)
			c.ctx.MultiStore().(storetypes.CommitMultiStore).Commit() // what is not committed is slow to read
			state := float64(c.size() + c.proofSize())
			b.Run(fmt.Sprintf("%d members/%d vaults", n, vaults), func(b *testing.B) {
				idle, coverage := time.Hour, time.Hour
				for b.Loop() {
					start := time.Now()
					_, err := c.k.EndBlocker(c.ctx)
					idle = min(idle, time.Since(start))
					require.NoError(b, err)
					start = time.Now()
					res, err := c.query.Coverage(c.ctx, &types.QueryCoverageRequest{})
					coverage = min(coverage, time.Since(start))
					require.NoError(b, err)
					require.Len(b, res.Vaults, vaults)
					require.EqualValues(b, n, res.Vaults[vaults-1].Proven)
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(idle.Nanoseconds())/1e3, "idle-µs")
				b.ReportMetric(float64(coverage.Nanoseconds())/1e3, "coverage-µs")
				b.ReportMetric(state/float64(vaults), "state-B/vault")
			})
		}
	}
}
