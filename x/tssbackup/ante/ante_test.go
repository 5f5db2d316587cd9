package ante_test

import (
	"strings"
	"testing"
	"time"

	errorsmod "cosmossdk.io/errors"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/appchain"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// minGasPrices is what the node asks in tests, unless they say otherwise.
const minGasPrices = network.MinGasPrices

// TestRefusedTransactions has what may not pass without a fee. Each row makes one transaction;
// every way into a block refuses it, and it leaves no trace.
func TestRefusedTransactions(t *testing.T) {
	rows := []struct {
		name string
		make func(c *chain) []byte
		want *errorsmod.Error
		// inBlocks and inReCheck tell that blocks, or ReCheckTx, do not refuse it: what a node asks
		// for its mempool is no rule of the chain, and signatures are verified once.
		inBlocks, inReCheck bool
	}{
		{
			name: "a vote of an account that is no member",
			make: func(c *chain) []byte {
				return c.Tx(c.Rich, network.TxOptions{}, c.vote(c.Rich))
			},
			want: types.ErrNotMember,
		},
		{
			name: "a vote for a keygen that does not exist",
			make: func(c *chain) []byte {
				vote := c.vote(c.asked[0])
				vote.KeygenId++
				return c.Tx(c.asked[0], network.TxOptions{}, vote)
			},
			want: types.ErrKeygenNotFound,
		},
		{
			name: "a vote after the deadline",
			make: func(c *chain) []byte {
				for range deadline + 1 {
					c.Block()
				}
				return c.Tx(c.asked[0], network.TxOptions{}, c.vote(c.asked[0]))
			},
			want: types.ErrKeygenClosed,
		},
		{
			name: "a second vote of a member",
			make: func(c *chain) []byte {
				first := c.Tx(c.asked[0], network.TxOptions{}, c.vote(c.asked[0]))
				c.requireOK(c.Block(first)[0].Code)
				return c.Tx(c.asked[0], network.TxOptions{}, c.vote(c.asked[0]))
			},
			want: types.ErrAlreadyVoted,
		},
		{
			name: "a vote of an asked member without its envelope",
			make: func(c *chain) []byte {
				vote := c.vote(c.asked[0])
				vote.KeysharesBackup = nil
				return c.Tx(c.asked[0], network.TxOptions{}, vote)
			},
			want: types.ErrEnvelopeMissing,
		},
		{
			name: "a vote with an envelope of a member that is not asked",
			make: func(c *chain) []byte {
				return c.Tx(c.other, network.TxOptions{}, c.vote(c.other))
			},
			want: types.ErrNotAsked,
		},
		{
			name: "a vote whose envelope is none",
			make: func(c *chain) []byte {
				vote := c.vote(c.asked[0])
				vote.KeysharesBackup = []byte(strings.Repeat("x", 1000))
				return c.Tx(c.asked[0], network.TxOptions{}, vote)
			},
			want: types.ErrEnvelopeForm,
		},
		{
			name: "a vote whose envelope is larger than the parameters accept",
			make: func(c *chain) []byte {
				vote := c.vote(c.asked[0])
				vote.KeysharesBackup = network.Seal(c.t, c.asked[0], 600<<10)
				return c.Tx(c.asked[0], network.TxOptions{Gas: 7_000_000}, vote)
			},
			want: types.ErrEnvelopeForm,
		},
		{
			name: "a vote that another key signed",
			make: func(c *chain) []byte {
				tx := c.Tx(c.asked[0], network.TxOptions{}, c.vote(c.asked[0]))
				tx[len(tx)-1] ^= 1
				return tx
			},
			want:      sdkerrors.ErrUnauthorized,
			inReCheck: true,
		},
		{
			name: "a vote that asks for much more gas than it needs",
			make: func(c *chain) []byte {
				return c.Tx(c.asked[0], network.TxOptions{Gas: 50_000_000}, c.vote(c.asked[0]))
			},
			want: sdkerrors.ErrInvalidGasLimit,
		},
		{
			name: "a vote that times out before the next block",
			make: func(c *chain) []byte {
				return c.Tx(c.asked[0], network.TxOptions{TimeoutHeight: uint64(c.Height)}, c.vote(c.asked[0]))
			},
			want: sdkerrors.ErrTxTimeoutHeight,
		},
		{
			name: "a vote that times out at a time, which may be before the next block's",
			make: func(c *chain) []byte {
				return c.Tx(c.asked[0], network.TxOptions{TimeoutTimestamp: c.Time.Add(time.Hour)}, c.vote(c.asked[0]))
			},
			want: sdkerrors.ErrInvalidRequest,
		},
		{
			name: "a vote without a certificate when none stands",
			make: func(c *chain) []byte {
				vote := c.vote(c.asked[0])
				vote.Certificate = nil
				return c.Tx(c.asked[0], network.TxOptions{}, vote)
			},
			want: types.ErrNoCertificate,
		},
		{
			name: "a vote for another vault than that of the certificate",
			make: func(c *chain) []byte {
				c.certify()
				vote := c.ballot.Vote(network.NewVault("another"), c.asked[0], network.Seal(c.t, c.asked[0], 1_000))
				return c.Tx(c.asked[0], network.TxOptions{}, vote)
			},
			want: types.ErrCertified,
		},
		{
			name: "a vote that the keygen failed before its time",
			make: func(c *chain) []byte {
				return c.Tx(c.asked[0], network.TxOptions{}, c.blame(c.asked[0]))
			},
			want: types.ErrBlameEarly,
		},
		{
			name: "a vote that the keygen failed while a certificate stands",
			make: func(c *chain) []byte {
				c.certify()
				c.untilBlame()
				return c.Tx(c.asked[0], network.TxOptions{}, c.blame(c.asked[0]))
			},
			want: types.ErrCertified,
		},
		{
			name: "a join while a certificate stands",
			make: func(c *chain) []byte {
				c.certify()
				return c.Tx(c.asked[0], network.TxOptions{}, c.ballot.Join(c.asked[0]))
			},
			want: types.ErrCertified,
		},
		{
			name: "a check before there is a certificate",
			make: func(c *chain) []byte {
				return c.Tx(c.asked[0], network.TxOptions{}, c.ballot.Check(c.vault, c.asked[0]))
			},
			want: types.ErrNoCertificate,
		},
		{
			name: "a second check",
			make: func(c *chain) []byte {
				c.certify()
				c.requireOK(c.Block(c.Tx(c.asked[0], network.TxOptions{}, c.ballot.Check(c.vault, c.asked[0])))[0].Code)
				return c.Tx(c.asked[0], network.TxOptions{}, c.ballot.Check(c.vault, c.asked[0]))
			},
			want: types.ErrCheckPresent,
		},
		{
			name: "a check of an account that is no member",
			make: func(c *chain) []byte {
				c.certify()
				return c.Tx(c.Rich, network.TxOptions{}, c.ballot.Check(c.vault, c.Rich))
			},
			want: types.ErrNotMember,
		},
		{
			name: "a check that carries a load",
			make: func(c *chain) []byte {
				c.certify()
				check := c.ballot.Check(c.vault, c.asked[0])
				check.Signature = make([]byte, 1<<10)
				return c.Tx(c.asked[0], network.TxOptions{}, check)
			},
			want: sdkerrors.ErrTxTooLarge,
		},
		{
			name: "a blame that carries a load",
			make: func(c *chain) []byte {
				c.untilBlame()
				blame := c.blame(c.asked[0])
				blame.Blame.Reason = strings.Repeat("x", 40<<10)
				return c.Tx(c.asked[0], network.TxOptions{Gas: 1_000_000}, blame)
			},
			want: sdkerrors.ErrTxTooLarge,
		},
		{
			name: "a vote whose fee a member without money is to pay",
			make: func(c *chain) []byte {
				return c.Tx(c.asked[0], network.TxOptions{Fee: appchain.Fee}, c.vote(c.asked[0]))
			},
			want: sdkerrors.ErrInsufficientFunds,
		},
		{
			name: "a vote that names a fee granter",
			make: func(c *chain) []byte {
				opts := network.TxOptions{FeeGranter: c.Rich.Address()}
				return c.Tx(c.asked[0], opts, c.vote(c.asked[0]))
			},
			want: sdkerrors.ErrInsufficientFee,
		},
		{
			name: "two votes in one transaction",
			make: func(c *chain) []byte {
				vote := c.vote(c.asked[0])
				return c.Tx(c.asked[0], network.TxOptions{}, vote, vote)
			},
			want:     sdkerrors.ErrInsufficientFee,
			inBlocks: true,
		},
		{
			name: "a vote and a payment in one transaction",
			make: func(c *chain) []byte {
				send := banktypes.NewMsgSend(c.asked[0].Address(), c.Rich.Address(), sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 1)))
				return c.Tx(c.asked[0], network.TxOptions{}, c.vote(c.asked[0]), send)
			},
			want:     sdkerrors.ErrInsufficientFee,
			inBlocks: true,
		},
		{
			name: "a payment without a fee",
			make: func(c *chain) []byte {
				send := banktypes.NewMsgSend(c.Rich.Address(), c.other.Address(), sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 1)))
				return c.Tx(c.Rich, network.TxOptions{}, send)
			},
			want:     sdkerrors.ErrInsufficientFee,
			inBlocks: true,
		},
		{
			name: "a publication of a backup that is there",
			make: func(c *chain) []byte {
				c.activate()
				return c.Tx(c.asked[0], network.TxOptions{}, c.publication(c.asked[0]))
			},
			want: types.ErrBackupPresent,
		},
		{
			name: "a publication for a vault that does not exist",
			make: func(c *chain) []byte {
				return c.Tx(c.asked[0], network.TxOptions{}, c.publication(c.asked[0]))
			},
			want: types.ErrVaultNotFound,
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := newChain(t, minGasPrices)
			tx := row.make(c)
			before := make(map[string]uint64)
			for _, member := range c.asked {
				before[member.Bech32()] = c.attempts(member)
			}

			res := c.Check(tx)
			requireError(t, row.want, res.Codespace, res.Code, res.Log)
			if !row.inReCheck {
				res = c.Recheck(tx)
				requireError(t, row.want, res.Codespace, res.Code, res.Log)
			}
			result := c.Block(tx)[0]
			switch {
			case row.inBlocks:
			case row.want == sdkerrors.ErrInsufficientFee:
				// A block refuses it for another reason.
				require.NotZero(t, result.Code)
			default:
				requireError(t, row.want, result.Codespace, result.Code, result.Log)
			}
			for _, member := range c.asked {
				require.Equal(t, before[member.Bech32()], c.attempts(member))
			}
		})
	}
}

// TestEligibleTransactionsPassWithoutFee has what members without any money can do, on a node that
// asks for fees.
func TestEligibleTransactionsPassWithoutFee(t *testing.T) {
	rows := []struct {
		name string
		make func(c *chain) []byte
	}{
		{
			name: "the vote of an asked member",
			make: func(c *chain) []byte {
				return c.Tx(c.asked[0], network.TxOptions{}, c.vote(c.asked[0]))
			},
		},
		{
			name: "the vote of a member that is not asked",
			make: func(c *chain) []byte {
				return c.Tx(c.other, network.TxOptions{}, c.ballot.Vote(c.vault, c.other, nil))
			},
		},
		{
			name: "a vote that times out after the block it is in",
			make: func(c *chain) []byte {
				return c.Tx(c.asked[0], network.TxOptions{TimeoutHeight: uint64(c.Height) + 2}, c.vote(c.asked[0]))
			},
		},
		{
			name: "a vote with the largest envelope",
			make: func(c *chain) []byte {
				vote := c.vote(c.asked[0])
				vote.KeysharesBackup = network.Seal(c.t, c.asked[0], 500<<10)
				gas, err := types.SignerGas(vote, len(c.Members))
				require.NoError(c.t, err)
				return c.Tx(c.asked[0], network.TxOptions{Gas: gas}, vote)
			},
		},
		{
			name: "a blame",
			make: func(c *chain) []byte {
				c.untilBlame()
				return c.Tx(c.asked[0], network.TxOptions{Memo: "and a memo"}, c.blame(c.asked[0]))
			},
		},
		{
			name: "a vote for the result of the certificate that stands, without one",
			make: func(c *chain) []byte {
				c.certify()
				vote := c.vote(c.asked[0])
				vote.Certificate = nil
				return c.Tx(c.asked[0], network.TxOptions{}, vote)
			},
		},
		{
			name: "a check by a member that has not voted",
			make: func(c *chain) []byte {
				c.certify()
				return c.Tx(c.asked[0], network.TxOptions{Memo: "and a memo"}, c.ballot.Check(c.vault, c.asked[0]))
			},
		},
		{
			name: "a check by a member that has voted",
			make: func(c *chain) []byte {
				c.certify()
				return c.Tx(c.other, network.TxOptions{}, c.ballot.Check(c.vault, c.other))
			},
		},
		{
			name: "a claim with all addresses that fit",
			make: func(c *chain) []byte {
				claim := c.claim(c.other, 0)
				claim.Addresses = strings.Repeat("x", types.MaxAddresses)
				return c.Tx(c.other, network.TxOptions{Memo: "and a memo"}, claim)
			},
		},
		{
			name: "the publication of a backup that is missing",
			make: func(c *chain) []byte {
				c.activate()
				return c.Tx(c.other, network.TxOptions{}, c.publication(c.other))
			},
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := newChain(t, minGasPrices)
			tx := row.make(c)
			res := c.Check(tx)
			require.Zero(t, res.Code, res.Log)
			c.Block()
			res = c.Recheck(tx)
			require.Zero(t, res.Code, res.Log)
			result := c.Block(tx)[0]
			require.Zero(t, result.Code, result.Log)
			require.Positive(t, result.GasUsed)
			for _, member := range append(c.asked, c.other) {
				require.Zero(t, c.Balance(member))
			}
		})
	}
}

// TestPayingTransactions has votes and publications that pay as everything else does; they are not
// counted.
func TestPayingTransactions(t *testing.T) {
	rows := []struct {
		name string
		make func(c *chain, from network.Account) []byte
	}{
		{
			name: "a vote with a fee",
			make: func(c *chain, from network.Account) []byte {
				return c.Tx(from, network.TxOptions{Fee: appchain.Fee}, c.vote(from))
			},
		},
		{
			name: "a vote and a payment with a fee",
			make: func(c *chain, from network.Account) []byte {
				send := banktypes.NewMsgSend(from.Address(), c.Rich.Address(), sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 1)))
				return c.Tx(from, network.TxOptions{Fee: appchain.Fee}, c.vote(from), send)
			},
		},
		{
			name: "a vote with a fee after all attempts without one",
			make: func(c *chain, from network.Account) []byte {
				for range types.MaxExemptAttempts {
					require.NotZero(c.t, c.Block(c.Tx(from, network.TxOptions{}, c.badVote(from)))[0].Code)
				}
				return c.Tx(from, network.TxOptions{Fee: appchain.Fee}, c.vote(from))
			},
		},
		{
			name: "a backup that is published once more",
			make: func(c *chain, from network.Account) []byte {
				c.activate()
				return c.Tx(from, network.TxOptions{Fee: appchain.Fee}, c.publication(from))
			},
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := newChain(t, minGasPrices)
			from := c.asked[0]
			c.fund(from)
			tx := row.make(c, from)
			before := c.Balance(from)
			res := c.Check(tx)
			require.Zero(t, res.Code, res.Log)
			result := c.Block(tx)[0]
			require.Zero(t, result.Code, result.Log)
			require.LessOrEqual(t, c.Balance(from), before-appchain.Fee.AmountOf(network.Denom).Int64())
		})
	}
}

func TestSimulation(t *testing.T) {
	rows := []struct {
		name string
		make func(c *chain) []byte
		want *errorsmod.Error
	}{
		{
			name: "a vote without a fee is simulated",
			make: func(c *chain) []byte {
				return c.Tx(c.asked[0], network.TxOptions{}, c.vote(c.asked[0]))
			},
		},
		{
			name: "a publication that will pay is simulated before it has a fee",
			make: func(c *chain) []byte {
				c.activate()
				return c.Tx(c.asked[0], network.TxOptions{}, c.publication(c.asked[0]))
			},
		},
		{
			name: "the simulation of a vote that cannot be cast says why",
			make: func(c *chain) []byte {
				return c.Tx(c.Rich, network.TxOptions{}, c.vote(c.Rich))
			},
			want: types.ErrNotMember,
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := newChain(t, minGasPrices)
			tx := row.make(c)
			before := c.attempts(c.asked[0])
			gas, _, err := c.App.Simulate(tx)
			if row.want != nil {
				require.ErrorIs(t, err, row.want)
				return
			}
			require.NoError(t, err)
			require.Positive(t, gas.GasUsed)
			require.Equal(t, before, c.attempts(c.asked[0]))
		})
	}
}

func TestIneligibleVotesAreRefusedWhereTransactionsCostNothing(t *testing.T) {
	c := newChain(t, "")
	tx := c.Tx(c.Rich, network.TxOptions{}, c.vote(c.Rich))
	res := c.Check(tx)
	requireError(t, types.ErrNotMember, res.Codespace, res.Code, res.Log)
	res = c.Recheck(tx)
	requireError(t, types.ErrNotMember, res.Codespace, res.Code, res.Log)
	result := c.Block(tx)[0]
	requireError(t, types.ErrNotMember, result.Codespace, result.Code, result.Log)
}

func requireError(t *testing.T, want *errorsmod.Error, codespace string, code uint32, log string) {
	t.Helper()
	require.Equal(t, want.Codespace(), codespace, log)
	require.Equal(t, want.ABCICode(), code, log)
}
