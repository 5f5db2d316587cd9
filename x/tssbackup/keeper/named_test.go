package keeper_test

import (
	"errors"
	"fmt"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

func operators(vals ...*validator) []sdk.ValAddress {
	list := make([]sdk.ValAddress, len(vals))
	for i, v := range vals {
		list[i] = v.operator
	}
	return list
}

func TestTheChainNamesTheMembersOfAChurn(t *testing.T) {
	c, vals := startChain(t, testParams(), 6)
	vals[4].bonded, vals[5].bonded = false, false
	next := []*validator{vals[5], vals[1], vals[4]}
	churn, err := c.k.StartChurn(c.ctx, operators(next...)...)
	require.NoError(t, err)
	require.True(t, churn.Named)
	keygen := c.keygen(churn.KeygenIds[0])
	require.Len(t, keygen.Members, len(next), "bonded or not, and nobody else")
	for _, v := range next {
		_, ok := types.FindMember(keygen.Members, v.addr())
		require.True(t, ok)
	}
	_, err = c.k.StartChurn(c.ctx, operators(next...)...)
	require.ErrorIs(t, err, types.ErrChurnOpen)

	for i, v := range next {
		c.mustRun(newVault("of the next set").result(keygen.Id, v.account(), envelope(fmt.Sprint(i), 100)))
	}
	c.endBlock()
	vault, err := c.k.Vaults.Get(c.ctx, newVault("of the next set").pubKey())
	require.NoError(t, err)
	require.Equal(t, types.VaultStatus_VAULT_STATUS_ACTIVE, vault.Status)
}

// A chain that always names the members forgets old faults as every other does.
func TestAChurnOfNamedMembersForgetsOldFaults(t *testing.T) {
	c, vals := startChain(t, testParams(), 4)
	old, recent := vals[0].operator, vals[1].operator
	height := c.ctx.BlockHeight()
	window := int64(testParams().PenaltyWindow)
	require.NoError(t, c.k.SitOuts.Set(c.ctx, old, types.SitOut{Until: height, Count: 3}))
	c.ctx = c.ctx.WithBlockHeight(height + window + 1)
	require.NoError(t, c.k.SitOuts.Set(c.ctx, recent, types.SitOut{Until: height + window, Count: 1}))
	_, err := c.k.StartChurn(c.ctx, operators(vals...)...)
	require.NoError(t, err)
	for _, f := range []struct {
		operator []byte
		known    bool
	}{{old, false}, {recent, true}} {
		has, err := c.k.SitOuts.Has(c.ctx, f.operator)
		require.NoError(t, err)
		require.Equal(t, f.known, has)
	}
}

func TestTheAuthorityNamesTheMembersOfAChurn(t *testing.T) {
	c, vals := startChain(t, testParams(), 4)
	msg := &types.MsgStartChurn{Authority: authority}
	for _, v := range vals[1:] {
		msg.Operators = append(msg.Operators, v.valoper())
	}
	c.mustRun(msg)
	require.Len(t, c.keygen(1).Members, 3)

	c, _ = startChain(t, testParams(), 4)
	msg.Operators[2] = vals[0].account()
	require.ErrorIs(t, c.run(msg), types.ErrInvalidOperator)
	require.False(t, c.isOpen())
}

func TestNamedMembersWhoCannotTakePart(t *testing.T) {
	for name, row := range map[string]struct {
		named func(c *chain, vals []*validator) []sdk.ValAddress
		want  error
	}{
		"two operators": {
			func(_ *chain, vals []*validator) []sdk.ValAddress { return operators(vals[:2]...) },
			types.ErrTooFewMembers,
		},
		"one is named twice": {
			func(_ *chain, vals []*validator) []sdk.ValAddress {
				return operators(vals[0], vals[1], vals[2], vals[1])
			},
			types.ErrInvalidOperator,
		},
		"one is no validator any more": {
			func(_ *chain, vals []*validator) []sdk.ValAddress {
				vals[3].gone = true
				return operators(vals...)
			},
			types.ErrInvalidOperator,
		},
		"one has no address": {
			func(_ *chain, vals []*validator) []sdk.ValAddress {
				return append(operators(vals...), nil)
			},
			types.ErrInvalidOperator,
		},
		"one has no signer": {
			func(c *chain, vals []*validator) []sdk.ValAddress {
				without := newValidator(9)
				c.staking.validators = append(c.staking.validators, without)
				return append(operators(vals...), without.operator)
			},
			types.ErrInvalidSigner,
		},
		"one sits out": {
			func(c *chain, vals []*validator) []sdk.ValAddress {
				sitOut := types.SitOut{Until: c.ctx.BlockHeight() + 1, Count: 1}
				require.NoError(c.t, c.k.SitOuts.Set(c.ctx, vals[3].operator, sitOut))
				return operators(vals...)
			},
			types.ErrSitsOut,
		},
		"the chain cannot tell": {
			func(c *chain, vals []*validator) []sdk.ValAddress {
				c.staking.err = errors.New("no set")
				return operators(vals...)
			},
			errors.New("no set"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, vals := startChain(t, testParams(), 4)
			named := row.named(c, vals)
			before := c.dump()
			_, err := c.k.StartChurn(c.ctx, named...)
			require.ErrorContains(t, err, row.want.Error())
			require.Equal(t, before, c.dump(), "nothing of it is in state")
		})
	}
}

func TestAChurnWithNamedMembersIsNotTriedAgainByItself(t *testing.T) {
	for _, named := range []bool{false, true} {
		c, vals := startChain(t, testParams(), 6)
		var list []sdk.ValAddress
		if named {
			list = operators(vals[:4]...)
		}
		_, err := c.k.StartChurn(c.ctx, list...)
		require.NoError(t, err)
		for c.isOpen() { // nobody votes, so that nobody is at fault
			c.endBlock()
		}
		c.endBlocks(int(testParams().RetryInterval))
		require.Equal(t, !named, c.isOpen())
		if named {
			_, err = c.k.StartChurn(c.ctx, operators(vals[2:]...)...)
			require.NoError(t, err, "the chain names others")
		}
	}
}

func TestAnExportKeepsThatMembersWereNamed(t *testing.T) {
	c, vals := startChain(t, testParams(), 4)
	_, err := c.k.StartChurn(c.ctx, operators(vals...)...)
	require.NoError(t, err)
	exported, err := c.k.ExportGenesis(c.ctx)
	require.NoError(t, err)
	require.NoError(t, exported.Validate())
	again := newChain(t, c.staking)
	require.NoError(t, again.k.InitGenesis(again.ctx, *exported))
	churn, err := again.k.Churns.Get(again.ctx, 1)
	require.NoError(t, err)
	require.True(t, churn.Named)
}
