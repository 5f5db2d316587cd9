package app_test

import (
	"strings"
	"testing"

	cmttypes "github.com/cometbft/cometbft/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/appchain"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestASignersMessagesTakeNoMoreGasThanSaid has every message of a signer go through the whole app
// with the gas that types.SignerGas says, without a fee and with one.
func TestASignersMessagesTakeNoMoreGasThanSaid(t *testing.T) {
	fees := map[string]sdk.Coins{
		"without a fee": nil,
		"with a fee":    sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 50_000)),
	}
	for name, fee := range fees {
		t.Run(name, func(t *testing.T) {
			c := &churn{t: t, vault: network.NewVault("gas"), Chain: appchain.New(t, appchain.Config{
				ChainID: chainID, Members: 12, Funds: 1_000_000, MinGasPrices: network.MinGasPrices,
				Params:    func(p *types.Params) { p.Sample = types.Fraction{Numerator: 2, Denominator: 3} },
				Consensus: func(p *cmttypes.ConsensusParams) { p.Block.MaxGas = -1 },
			})}
			send := func(from network.Account, msg sdk.Msg) {
				t.Helper()
				gas, err := types.SignerGas(msg, len(c.Members))
				require.NoError(t, err)
				tx := c.Tx(from, network.TxOptions{Gas: gas, Fee: fee}, msg)
				check := c.Check(tx)
				require.Zero(t, check.Code, check.Log)
				result := c.Block(tx)[0]
				require.Zero(t, result.Code, result.Log)
				t.Logf("%s: %d of %d gas", sdk.MsgTypeURL(msg), result.GasUsed, gas)
			}
			// The last join makes a session of all.
			ballot := network.Ballot{ChainID: chainID, KeygenID: keygenID, Split: true}
			for _, m := range c.Signers {
				send(m, ballot.Join(m))
			}
			session, err := c.App.TssbackupKeeper.Sessions.Get(c.Ctx(), keygenID)
			require.NoError(t, err)
			ballot.Session = session.Id
			for _, member := range c.Keygen(keygenID).Members {
				for _, m := range c.Signers {
					if m.Address().Equals(member.Address()) {
						ballot.Members = append(ballot.Members, m)
					}
				}
			}
			c.ballot = ballot

			asked, others := c.Asked(keygenID)
			send(asked[0], c.vote(asked[0]))
			send(asked[1], ballot.Check(c.vault, asked[1]))
			for _, m := range asked[1:] {
				send(m, c.vote(m))
			}
			for _, m := range others {
				send(m, ballot.Vote(c.vault, m, nil))
			}
			require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_READY, c.Keygen(keygenID).Status)
			send(others[0], &types.MsgPublishBackup{
				Signer:          others[0].Bech32(),
				Vault:           c.vault.Name(),
				KeysharesBackup: network.Seal(t, others[0], 64<<10),
				Proof:           c.vault.Prove(chainID, keygenID, c.Members, others[0]),
			})
			send(others[0], &types.MsgClaimSigner{
				Signer: others[0].Bech32(), Nonce: make([]byte, types.ClaimNonceSize),
				Addresses: strings.Repeat("x", types.MaxAddresses),
			})
		})
	}
}

func TestARegistrationTakesNoMoreGasThanSaid(t *testing.T) {
	c := appchain.New(t, appchain.Config{ChainID: chainID, MinGasPrices: network.MinGasPrices})
	// Operators of the chain have no account yet.
	operator := network.NewAccount(c.Signers[0].Mnemonic)
	fund := banktypes.NewMsgSend(c.Rich.Address(), operator.Address(), sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 1_000_000)))
	result := c.Block(c.Tx(c.Rich, network.TxOptions{Fee: appchain.Fee}, fund))[0]
	require.Zero(t, result.Code, result.Log)

	msg, err := network.NewAccount("another signer").Registration(chainID, operator, 0)
	require.NoError(t, err)
	gas, err := types.SignerGas(msg, 0)
	require.NoError(t, err)
	signer := network.Signer{Account: operator, Number: c.App.AccountKeeper.GetAccount(c.Ctx(), operator.Address()).GetAccountNumber()}
	opts := network.TxOptions{Gas: gas, Fee: sdk.NewCoins(sdk.NewInt64Coin(network.Denom, 1_000))}
	tx, err := c.App.TxConfig().TxEncoder()(network.SignTx(t, c.App.TxConfig(), chainID, []network.Signer{signer}, opts, msg))
	require.NoError(t, err)
	result = c.Block(tx)[0]
	require.Zero(t, result.Code, result.Log)
	t.Logf("%d of %d gas", result.GasUsed, gas)

	_, err = types.SignerGas(fund, 0)
	require.ErrorContains(t, err, "/cosmos.bank.v1beta1.MsgSend is no message of a signer")
}
