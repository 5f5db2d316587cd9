package app_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"
	cmttypes "github.com/cometbft/cometbft/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/app"
	"github.com/tssbackup/tssbackup/testutil/appchain"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func proofKey(member network.Account) collections.Pair[uint64, []byte] {
	return collections.Join(uint64(keygenID), []byte(member.Address()))
}

const (
	// slowCheck is what a proof, or the lists of a vault of 40 members, takes on a slow core. It is
	// no measurement: the bound on a block's time follows from it by arithmetic.
	slowCheck = 10 * time.Millisecond
	blockTime = 5 * time.Second
)

// attack is a message whose check is dear and fails, from a member that pays its fees.
type attack struct {
	name    string
	members int
	// whole has votes bring public shares instead of a group part.
	whole bool
	make  func(c *churn) (from network.Account, msg sdk.Msg)
	want  *errorsmod.Error
	// reason is what the error says when the dear check is what failed.
	reason string
	// least is what the check itself costs.
	least uint64
}

var attacks = []attack{
	{
		name:    "publications whose proofs do not hold",
		members: 4,
		make: func(c *churn) (network.Account, sdk.Msg) {
			asked, others := c.Asked(keygenID)
			votes := [][]byte{c.Tx(others[0], network.TxOptions{}, c.ballot.Vote(c.vault, others[0], nil))}
			for _, m := range asked {
				votes = append(votes, c.Tx(m, network.TxOptions{}, c.vote(m)))
			}
			votes = append(votes, c.Tx(others[0], network.TxOptions{}, c.ballot.Check(c.vault, others[0])))
			for _, result := range c.Block(votes...) {
				require.Zero(c.t, result.Code, result.Log)
			}
			return others[0], &types.MsgPublishBackup{
				Signer:          others[0].Bech32(),
				Vault:           c.vault.Name(),
				KeysharesBackup: c.smallest(others[0]),
				Proof:           flipped(c.vault.Prove(chainID, keygenID, c.Members, others[0])),
			}
		},
		want:   types.ErrInvalidProof,
		reason: "does not hold",
		least:  250_000,
	},
	{
		name:    "votes whose proofs do not hold",
		members: 4,
		make: func(c *churn) (network.Account, sdk.Msg) {
			asked, _ := c.Asked(keygenID)
			// Another member's vote has the public shares checked, so that nobody pays for them
			// again.
			result := c.Block(c.Tx(asked[1], network.TxOptions{}, c.vote(asked[1])))[0]
			require.Zero(c.t, result.Code, result.Log)
			vote := c.ballot.Vote(c.vault, asked[0], c.smallest(asked[0]))
			vote.Proof = flipped(vote.Proof)
			return asked[0], vote
		},
		want:   types.ErrInvalidProof,
		reason: "does not hold",
		least:  250_000,
	},
	{
		name:    "votes whose public shares of a vault of 40 are not those of its keys",
		members: 40,
		whole:   true,
		make: func(c *churn) (network.Account, sdk.Msg) {
			_, others := c.Asked(keygenID)
			vote := c.ballot.Vote(c.vault, others[0], nil)
			list := vote.PublicShares.Ed25519 // which is checked last
			list[0].Point, list[1].Point = list[1].Point, list[0].Point
			c.ballot.Certify(vote) // though all others had signed for it
			return others[0], vote
		},
		want:   types.ErrInvalidShares,
		reason: "not those of one key",
		least:  2 * 40 * (2_500 + 8*40),
	},
	{
		name:    "votes whose group part of a vault of 40 has parameters out of form",
		members: 40,
		make: func(c *churn) (network.Account, sdk.Msg) {
			_, others := c.Asked(keygenID)
			vote := c.ballot.Vote(c.vault, others[0], nil)
			last := vote.Group[len(vote.Group)-512:] // H1 and H2 of the last member
			copy(last[256:], last[:256])
			c.ballot.Certify(vote) // though all others had signed for it
			return others[0], vote
		},
		want:   types.ErrInvalidGroup,
		reason: "member 40",
		least:  40 * 25_000,
	},
	{
		name:    "votes whose certificates lack one signature of 40",
		members: 40,
		make: func(c *churn) (network.Account, sdk.Msg) {
			_, others := c.Asked(keygenID)
			vote := c.ballot.Vote(c.vault, others[0], nil)
			vote.Certificate[len(vote.Certificate)-1] ^= 1 // which is verified last
			return others[0], vote
		},
		want:   types.ErrInvalidCertificate,
		reason: "member 40 has not signed",
		least:  40 * 5_000,
	},
}

// newAttack makes a chain, a maker of the attack's transactions with the least gas that reaches the
// dear check, and that gas.
func newAttack(t *testing.T, a attack, consensus func(*cmttypes.ConsensusParams)) (c *churn, tx func() []byte, gas uint64) {
	t.Helper()
	c = newChurn(t, appchain.Config{
		Members: a.members,
		Funds:   1_000_000,
		Params: func(p *types.Params) {
			p.Sample, p.SplitBackups = types.Fraction{Numerator: 1, Denominator: 2}, !a.whole
		},
		Consensus: consensus,
	})
	from, msg := a.make(c)
	send := func(gas uint64) []byte {
		return c.Tx(from, network.TxOptions{Gas: gas, Fee: sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 1))}, msg)
	}
	enough := max(2_000_000, 3*a.least)
	// The account's first transaction sets its key, which costs more.
	c.Block(send(enough))
	result := c.Block(send(enough))[0]
	requireError(t, a.want, result)
	require.Contains(t, result.Log, a.reason)
	gas = uint64(result.GasUsed)
	require.Greater(t, gas, a.least)
	// The gas is taken before the work is done: with less the check does not begin.
	result = c.Block(send(gas - 1_000))[0]
	requireError(t, sdkerrors.ErrOutOfGas, result)
	// The sequence needs one byte more when it grows, in the transaction and in the account.
	gas += 200
	return c, func() []byte { return send(gas) }, gas
}

// TestABlockOfFailingChecksEndsInABlockTime fills a block of the default parameters with the
// dearest messages that can fail.
func TestABlockOfFailingChecksEndsInABlockTime(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			c, tx, gas := newAttack(t, a, nil)
			maxGas := uint64(app.DefaultConsensusParams().Block.MaxGas)
			var txs [][]byte
			for range maxGas/gas + 20 {
				txs = append(txs, tx())
			}
			require.False(t, c.Process(txs...), "a block above max_gas is voted for")
			block := c.Propose(txs...)
			require.True(t, c.Process(block...))

			checked := uint64(0)
			for _, result := range c.Block(block...) {
				requireError(t, a.want, result)
				if strings.Contains(result.Log, a.reason) {
					checked++
				}
			}
			t.Logf("%d checks in a block, at %d gas", checked, gas)
			require.Equal(t, maxGas/gas, checked)
			require.Less(t, time.Duration(checked)*slowCheck, blockTime)
			// Nor could any other message do worse: the check alone costs so much.
			require.Less(t, time.Duration(maxGas/a.least)*slowCheck, blockTime+1)
		})
	}
}

// TestABlockAboveItsGasEnds has a block that no validator should have voted for.
func TestABlockAboveItsGasEnds(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			const fit = 8
			maxGas := fit*a.least + fit*100_000
			c, tx, gas := newAttack(t, a, func(p *cmttypes.ConsensusParams) { p.Block.MaxGas = int64(maxGas) })
			var txs [][]byte
			for range 4 * fit {
				txs = append(txs, tx())
			}
			require.False(t, c.Process(txs...))
			checked := uint64(0)
			for i, result := range c.Block(txs...) {
				// The one that uses up the gas has run, and fails for it.
				if uint64(i) <= maxGas/gas {
					if result.Code == a.want.ABCICode() && result.Codespace == types.ModuleName {
						checked++
					}
					continue
				}
				requireError(t, sdkerrors.ErrOutOfGas, result)
				require.Contains(t, result.Log, "no block gas left")
				require.Zero(t, result.GasUsed)
			}
			require.NotZero(t, checked)
			require.LessOrEqual(t, checked, maxGas/gas+1)
		})
	}
}

// TestProposalsOfBytesThatAreNoTransaction shows that what nobody can decode counts for nothing.
func TestProposalsOfBytesThatAreNoTransaction(t *testing.T) {
	c := newChurn(t, appchain.Config{})
	require.True(t, c.Process())
	require.True(t, c.Process([]byte("no transaction"), bytes.Repeat([]byte{0xff}, 100)))
}
