package app_test

import (
	"fmt"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/appchain"
	"github.com/tssbackup/tssbackup/testutil/network"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestAKeygenIsTriedAgainByFreeVotes has a member of one of two vaults be silent: the others vote
// once more on another keygen, with proofs for that one and without a fee, as on any.
func TestAKeygenIsTriedAgainByFreeVotes(t *testing.T) {
	c := appchain.New(t, appchain.Config{
		ChainID: chainID, Members: 8, MinGasPrices: network.MinGasPrices,
		Params: func(p *types.Params) { p.MaxVaultMembers = 5 },
	})
	vote := func(id uint64, silent int) {
		ballot := c.Ballot(id)
		vault := network.NewVault(fmt.Sprint("keygen ", id))
		send := func(signer network.Account, msg sdk.Msg) {
			tx := c.Tx(signer, network.TxOptions{}, msg)
			require.Zero(t, c.Check(tx).Code)
			result := c.Block(tx)[0]
			require.Zero(t, result.Code, result.Log)
		}
		for i, signer := range ballot.Members[silent:] {
			send(signer, ballot.Vote(vault, signer, network.Seal(t, signer, 1_000)))
			if i == 0 {
				send(signer, ballot.Check(vault, signer))
			}
		}
	}
	vote(1, 0)
	vote(2, 1)
	for c.Keygen(2).Status == types.KeygenStatus_KEYGEN_STATUS_OPEN {
		c.Block()
	}
	require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_FAILED, c.Keygen(2).Status)
	require.Equal(t, types.KeygenStatus_KEYGEN_STATUS_READY, c.Keygen(1).Status)
	require.Len(t, c.Keygen(3).Members, 3)
	vote(3, 0)
	live, err := c.App.TssbackupKeeper.LiveVaults.Get(c.Ctx())
	require.NoError(t, err)
	require.Len(t, live.Vaults, 2, "both vaults are active")
	for _, v := range live.Vaults {
		vault, err := c.App.TssbackupKeeper.Vaults.Get(c.Ctx(), v.PubKey)
		require.NoError(t, err)
		require.Equal(t, c.Height, vault.ActiveHeight, "since this block")
	}
}
