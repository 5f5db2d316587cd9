package ante_test

import (
	"bytes"
	"testing"

	"cosmossdk.io/collections"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/appchain"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	chainID = "tssbackup-ante"
	// A keygen among 4 members, of whom 3 are asked to publish.
	memberCount = 4
	askedCount  = 3
	keygenID    = 1
	// deadline is the number of blocks in which votes count.
	deadline = appchain.Deadline
)

// chain is the whole app without a node, on which one keygen is open.
type chain struct {
	*appchain.Chain
	t *testing.T
	// asked are the members whose result carries an envelope, other is the one whose does not.
	asked  []network.Account
	other  network.Account
	vault  network.Vault
	ballot network.Ballot
}

func newChain(t *testing.T, minGasPrices string, change ...func(*types.Params)) *chain {
	t.Helper()
	c := &chain{t: t, vault: network.NewVault("ante")}
	c.Chain = appchain.New(t, appchain.Config{
		ChainID:      chainID,
		Members:      memberCount,
		MinGasPrices: minGasPrices,
		Params: func(p *types.Params) {
			p.Sample = types.Fraction{Numerator: 1, Denominator: 2}
			for _, f := range change {
				f(p)
			}
		},
	})
	var others []network.Account
	c.asked, others = c.Asked(keygenID)
	require.Len(t, c.asked, askedCount)
	c.other = others[0]
	c.ballot = c.Ballot(keygenID)
	return c
}

// vote is a good vote of an asked member; each has another envelope.
func (c *chain) vote(member network.Account) *types.MsgTssPool {
	return c.ballot.Vote(c.vault, member, network.Seal(c.t, member, 1_000))
}

// badVote is a vote that its handler refuses: its certificate is wrong.
func (c *chain) badVote(member network.Account) *types.MsgTssPool {
	vote := c.vote(member)
	vote.Certificate[0] ^= 1
	return vote
}

// blame is a member's vote that the keygen failed.
func (c *chain) blame(member network.Account) *types.MsgTssPool {
	return &types.MsgTssPool{
		Signer:   member.Bech32(),
		KeygenId: keygenID,
		Blame:    &types.Blame{Members: []string{c.other.Bech32()}, Reason: "silent"},
	}
}

// claim is a member's claim of the term after the expected one.
func (c *chain) claim(member network.Account, expected uint64) *types.MsgClaimSigner {
	return &types.MsgClaimSigner{
		Signer: member.Bech32(), ExpectedTerm: expected,
		Nonce: bytes.Repeat([]byte{byte(c.Sequence(member))}, types.ClaimNonceSize),
	}
}

// attempts is what the state of the last block counts for the member.
func (c *chain) attempts(member network.Account) uint64 {
	c.t.Helper()
	count, err := c.App.TssbackupKeeper.Attempts.Get(c.Ctx(), collections.Join(uint64(keygenID), []byte(member.Address())))
	if err != nil {
		require.ErrorIs(c.t, err, collections.ErrNotFound)
	}
	return count
}

// fund gives the account money.
func (c *chain) fund(to network.Account) {
	c.t.Helper()
	send := banktypes.NewMsgSend(c.Rich.Address(), to.Address(), sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 10_000)))
	res := c.Block(c.Tx(c.Rich, network.TxOptions{Fee: appchain.Fee}, send))
	require.Zero(c.t, res[0].Code, res[0].Log)
}

func (c *chain) requireOK(code uint32) {
	c.t.Helper()
	require.Zero(c.t, code)
}

// certify has the member that is not asked vote, and with it the certificate come to stand.
func (c *chain) certify() {
	c.t.Helper()
	c.requireOK(c.Block(c.Tx(c.other, network.TxOptions{}, c.ballot.Vote(c.vault, c.other, nil)))[0].Code)
}

// untilBlame makes blocks until members may vote that the keygen failed, and the mempool knows it.
func (c *chain) untilBlame() {
	c.t.Helper()
	for last := c.Keygen(keygenID).CertificateDeadline(); c.Height <= last; {
		c.Block()
	}
}

// activate has all members vote and the vault sign, so that it is active in the next block.
func (c *chain) activate() {
	c.t.Helper()
	votes := [][]byte{c.Tx(c.other, network.TxOptions{}, c.ballot.Vote(c.vault, c.other, nil))}
	for _, member := range c.asked {
		votes = append(votes, c.Tx(member, network.TxOptions{}, c.vote(member)))
	}
	votes = append(votes, c.Tx(c.other, network.TxOptions{}, c.ballot.Check(c.vault, c.other)))
	for _, result := range c.Block(votes...) {
		require.Zero(c.t, result.Code, result.Log)
	}
	name, err := types.ParseVault(c.vault.Name())
	require.NoError(c.t, err)
	vault, err := c.App.TssbackupKeeper.Vaults.Get(c.Ctx(), name)
	require.NoError(c.t, err)
	require.True(c.t, vault.IsLive())
}

// publication is a good publication of the member's backup.
func (c *chain) publication(member network.Account) *types.MsgPublishBackup {
	return &types.MsgPublishBackup{
		Signer:          member.Bech32(),
		Vault:           c.vault.Name(),
		KeysharesBackup: network.Seal(c.t, member, 1_000),
	}
}

// anteGas is the gas that the ante chain uses for the message, and a little more.
func (c *chain) anteGas(from network.Account, msg sdk.Msg) uint64 {
	c.t.Helper()
	res := c.Check(c.TxAt(from, c.Sequence(from), network.TxOptions{}, msg))
	require.Zero(c.t, res.Code, res.Log)
	return uint64(res.GasUsed) + 100
}
