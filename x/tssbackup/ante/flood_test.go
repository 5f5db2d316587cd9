package ante_test

import (
	"testing"

	"cosmossdk.io/collections"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestFloods shows what a member can get into the mempool and into blocks without paying:
// MaxExemptAttempts transactions of each keygen.
func TestFloods(t *testing.T) {
	rows := []struct {
		name string
		run  func(t *testing.T, c *chain)
	}{
		{
			name: "the mempool takes three votes of a member and no more",
			run: func(t *testing.T, c *chain) {
				member := c.asked[0]
				for range types.MaxExemptAttempts {
					res := c.Check(c.Tx(member, network.TxOptions{}, c.vote(member)))
					require.Zero(t, res.Code, res.Log)
				}
				for range 5 {
					res := c.Check(c.TxAt(member, c.Sequence(member), network.TxOptions{}, c.vote(member)))
					requireError(t, types.ErrTooManyAttempts, res.Codespace, res.Code, res.Log)
				}
				// Others are not held up by it.
				res := c.Check(c.Tx(c.asked[1], network.TxOptions{}, c.vote(c.asked[1])))
				require.Zero(t, res.Code, res.Log)
			},
		},
		{
			name: "a full mempool takes no more after a block without its votes",
			run: func(t *testing.T, c *chain) {
				member := c.asked[0]
				var held [][]byte
				for range types.MaxExemptAttempts {
					held = append(held, c.Tx(member, network.TxOptions{}, c.vote(member)))
				}
				for _, tx := range held {
					c.requireOK(c.Check(tx).Code)
				}
				c.Block()
				for _, tx := range held {
					c.requireOK(c.Recheck(tx).Code)
				}
				res := c.Check(c.Tx(member, network.TxOptions{}, c.vote(member)))
				requireError(t, types.ErrTooManyAttempts, res.Codespace, res.Code, res.Log)
			},
		},
		{
			name: "votes that fail count in blocks, and so do those in the mempool with them",
			run: func(t *testing.T, c *chain) {
				member := c.asked[0]
				result := c.Block(c.Tx(member, network.TxOptions{}, c.badVote(member)))[0]
				requireError(t, types.ErrInvalidCertificate, result.Codespace, result.Code, result.Log)
				require.EqualValues(t, 1, c.attempts(member))

				for range types.MaxExemptAttempts - 1 {
					c.requireOK(c.Check(c.Tx(member, network.TxOptions{}, c.vote(member))).Code)
				}
				res := c.Check(c.Tx(member, network.TxOptions{}, c.vote(member)))
				requireError(t, types.ErrTooManyAttempts, res.Codespace, res.Code, res.Log)
			},
		},
		{
			name: "a block of a member's failing votes runs three of them",
			run: func(t *testing.T, c *chain) {
				member := c.asked[0]
				var txs [][]byte
				for range 8 {
					txs = append(txs, c.Tx(member, network.TxOptions{}, c.badVote(member)))
				}
				for i, result := range c.Block(txs...) {
					if i < types.MaxExemptAttempts {
						requireError(t, types.ErrInvalidCertificate, result.Codespace, result.Code, result.Log)
					} else {
						requireError(t, types.ErrTooManyAttempts, result.Codespace, result.Code, result.Log)
					}
				}
				require.EqualValues(t, types.MaxExemptAttempts, c.attempts(member))
				// It stays so in later blocks.
				result := c.Block(c.TxAt(member, c.Sequence(member)-5, network.TxOptions{}, c.vote(member)))[0]
				requireError(t, types.ErrTooManyAttempts, result.Codespace, result.Code, result.Log)
			},
		},
		{
			name: "one vote of a block's three is cast, and the others are stale",
			run: func(t *testing.T, c *chain) {
				member := c.asked[0]
				next := c.Sequence(member)
				results := c.Block(
					c.TxAt(member, next, network.TxOptions{}, c.vote(member)),
					c.TxAt(member, next+1, network.TxOptions{}, c.vote(member)),
					c.TxAt(member, next+1, network.TxOptions{}, c.vote(member)),
				)
				c.requireOK(results[0].Code)
				for _, result := range results[1:] {
					requireError(t, types.ErrAlreadyVoted, result.Codespace, result.Code, result.Log)
				}
			},
		},
		{
			name: "votes with a wrong signature cost the member no attempt",
			run: func(t *testing.T, c *chain) {
				member := c.asked[0]
				forged := c.TxAt(member, c.Sequence(member), network.TxOptions{}, c.vote(member))
				forged[len(forged)-1] ^= 1
				for range 10 {
					res := c.Check(forged)
					requireError(t, sdkerrors.ErrUnauthorized, res.Codespace, res.Code, res.Log)
					result := c.Block(forged)[0]
					requireError(t, sdkerrors.ErrUnauthorized, result.Codespace, result.Code, result.Log)
				}
				require.Zero(t, c.attempts(member))
				c.requireOK(c.Block(c.TxAt(member, c.Sequence(member), network.TxOptions{}, c.vote(member)))[0].Code)
			},
		},
		{
			name: "a vote in the mempool is stale when another of the member is in a block",
			run: func(t *testing.T, c *chain) {
				member := c.asked[0]
				first := c.Tx(member, network.TxOptions{}, c.vote(member))
				second := c.Tx(member, network.TxOptions{}, c.vote(member))
				c.requireOK(c.Check(first).Code)
				c.requireOK(c.Check(second).Code)
				c.requireOK(c.Block(first)[0].Code)
				res := c.Recheck(second)
				requireError(t, types.ErrAlreadyVoted, res.Codespace, res.Code, res.Log)
			},
		},
		{
			name: "a vote in the mempool is stale when its keygen is over",
			run: func(t *testing.T, c *chain) {
				member := c.asked[0]
				vote := c.Tx(member, network.TxOptions{}, c.vote(member))
				c.requireOK(c.Check(vote).Code)
				for range deadline + 1 {
					c.Block()
				}
				res := c.Recheck(vote)
				requireError(t, types.ErrKeygenClosed, res.Codespace, res.Code, res.Log)
			},
		},
		{
			name: "a vote in the block of a claim counts, before it and after it",
			run: func(t *testing.T, c *chain) {
				first, second := c.asked[0], c.asked[1]
				for _, result := range c.Block(
					c.Tx(first, network.TxOptions{}, c.claim(first, 0)),
					c.Tx(first, network.TxOptions{}, c.vote(first)),
					c.Tx(second, network.TxOptions{}, c.vote(second)),
					c.Tx(second, network.TxOptions{}, c.claim(second, 0)),
				) {
					require.Zero(t, result.Code, result.Log)
				}
			},
		},
		{
			name: "a vote in the mempool is stale after the block of a claim, and one of the new term is not",
			run: func(t *testing.T, c *chain) {
				member := c.asked[0]
				next := c.Sequence(member) + 1
				vote := c.TxAt(member, next, network.TxOptions{}, c.vote(member))
				claim := c.Tx(member, network.TxOptions{}, c.claim(member, 0))
				c.requireOK(c.Check(claim).Code)
				c.requireOK(c.Check(vote).Code)
				early := c.vote(member)
				early.Term = 1
				res := c.Check(c.TxAt(member, next+1, network.TxOptions{}, early))
				requireError(t, types.ErrOtherTerm, res.Codespace, res.Code, res.Log)
				c.requireOK(c.Block(claim)[0].Code)
				res = c.Recheck(vote)
				requireError(t, types.ErrOtherTerm, res.Codespace, res.Code, res.Log)
				require.Zero(t, c.attempts(member), "it takes no attempt")
				of := c.TxAt(member, next, network.TxOptions{}, early)
				c.requireOK(c.Check(of).Code)
				c.requireOK(c.Block(of)[0].Code)
			},
		},
		{
			name: "of two claims of one term the first in the block stands",
			run: func(t *testing.T, c *chain) {
				member := c.other
				next := c.Sequence(member)
				one, two := c.claim(member, 0), c.claim(member, 0)
				two.Nonce[0] ^= 1
				first := c.TxAt(member, next, network.TxOptions{}, one)
				second := c.TxAt(member, next+1, network.TxOptions{}, two)
				c.requireOK(c.Check(first).Code)
				c.requireOK(c.Check(second).Code)
				results := c.Block(first, second)
				c.requireOK(results[0].Code)
				requireError(t, types.ErrOtherTerm, results[1].Codespace, results[1].Code, results[1].Log)
				term, err := c.App.TssbackupKeeper.Terms.Get(c.Ctx(), member.Address())
				require.NoError(t, err)
				require.EqualValues(t, 1, term.Term)
				require.Equal(t, one.Nonce, term.Nonce)
			},
		},
		{
			name: "claims are bounded in the mempool and in blocks, also those that fail, until their window is over",
			run: func(t *testing.T, c *chain) {
				member := c.other
				next := c.Sequence(member)
				for i := range types.MaxExemptClaims {
					claim := c.TxAt(member, next+uint64(i), network.TxOptions{}, c.claim(member, 0))
					c.requireOK(c.Check(claim).Code)
				}
				res := c.Check(c.TxAt(member, next+types.MaxExemptClaims, network.TxOptions{}, c.claim(member, 0)))
				requireError(t, types.ErrTooManyAttempts, res.Codespace, res.Code, res.Log)
				c.Block()
				begin := c.Height + 1
				// The gas suffices for the ante chain and not for the handler.
				opts := network.TxOptions{Gas: c.anteGas(member, c.claim(member, 0)) + 1_000}
				for i := range types.MaxExemptClaims + 1 {
					claim := c.TxAt(member, next+uint64(i), opts, c.claim(member, 0))
					result := c.Block(claim)[0]
					if i < types.MaxExemptClaims {
						requireError(t, sdkerrors.ErrOutOfGas, result.Codespace, result.Code, result.Log)
					} else {
						requireError(t, types.ErrTooManyAttempts, result.Codespace, result.Code, result.Log)
					}
				}
				for c.Height+1 < begin+types.ClaimWindowBlocks {
					c.Block()
				}
				claim := c.TxAt(member, next+types.MaxExemptClaims, network.TxOptions{}, c.claim(member, 0))
				result := c.Block(claim)[0]
				require.Zero(t, result.Code, result.Log)
			},
		},
		{
			name: "checks that fail count with joins, and take no vote from a member",
			run: func(t *testing.T, c *chain) {
				c.certify()
				member := c.asked[0]
				wrong := c.ballot.Check(network.NewVault("another"), member)
				joins := func() uint64 {
					count, err := c.App.TssbackupKeeper.JoinAttempts.Get(c.Ctx(), collections.Join(uint64(keygenID), []byte(member.Address())))
					require.NoError(t, err)
					return count
				}
				before := joins()
				for range 2 {
					result := c.Block(c.Tx(member, network.TxOptions{}, wrong))[0]
					requireError(t, types.ErrInvalidSignature, result.Codespace, result.Code, result.Log)
				}
				require.Equal(t, before+2, joins())
				require.Zero(t, c.attempts(member))
				for range types.MaxExemptJoins - joins() {
					c.requireOK(c.Check(c.Tx(member, network.TxOptions{}, wrong)).Code)
				}
				res := c.Check(c.TxAt(member, c.Sequence(member), network.TxOptions{}, c.ballot.Check(c.vault, member)))
				requireError(t, types.ErrTooManyAttempts, res.Codespace, res.Code, res.Log)
				res = c.Check(c.TxAt(member, c.Sequence(member), network.TxOptions{}, c.vote(member)))
				c.requireOK(res.Code)
			},
		},
		{
			name: "publications that fail count as votes do",
			run: func(t *testing.T, c *chain) {
				c.activate()
				// The gas suffices for the ante chain and not for the handler.
				opts := network.TxOptions{Gas: c.anteGas(c.other, c.publication(c.other))}
				for i := range types.MaxExemptAttempts + 1 {
					result := c.Block(c.Tx(c.other, opts, c.publication(c.other)))[0]
					if i < types.MaxExemptAttempts {
						requireError(t, sdkerrors.ErrOutOfGas, result.Codespace, result.Code, result.Log)
						require.EqualValues(t, i+1, c.attempts(c.other))
					} else {
						requireError(t, types.ErrTooManyAttempts, result.Codespace, result.Code, result.Log)
					}
				}
			},
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { row.run(t, newChain(t, minGasPrices)) })
	}
}
