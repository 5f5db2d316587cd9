package keeper_test

import (
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// FuzzMessages has the message server handle any message of any bytes: it never panics, and a
// message that errs changes nothing. Those of the kinds above 127 come when members may blame.
func FuzzMessages(f *testing.F) {
	params := provenParams()
	params.MaxVaultMembers = 5
	c, vals := startChain(f, params, 6)
	vault := newVault("v")
	for i, id := range c.startChurn() {
		c.allVote(c.keygen(id), []vaultKeys{vault, newVault("x")}[i])
	}
	c.endBlock()
	// Of the keygens that are open, one has a certificate, which waits for the vault's signatures.
	ids := c.startChurn()
	keygen, other := c.keygen(ids[0]), c.keygen(ids[1])
	certified := newVault("certified")
	c.unchecked = true
	c.mustRun(certified.vote(other, other.Members[0]))
	member := bech(keygen.Members[0].Address())
	second := bech(other.Members[1].Address())
	seeds := []sdk.Msg{
		vals[0].register(),
		c.certified(newVault("w").vote(keygen, keygen.Members[0])),
		blame(keygen.Id, member, bech(keygen.Members[1].Address())),
		&types.MsgPublishBackup{Signer: member, Vault: vault.name(), KeysharesBackup: envelope("f", 40)},
		&types.MsgStartChurn{Authority: authority},
		&types.MsgRetireVault{Authority: authority, Vault: vault.name()},
		&types.MsgUpdateParams{Authority: authority, Params: testParams()},
		newJoin(keygen.Id, keygen.Members[0], "seed").msg,
		certified.signed(other.Id, second),
		certified.vote(other, other.Members[1]),
	}
	const late = 128
	for i, msg := range seeds {
		bz, err := testCodec.Marshal(msg)
		require.NoError(f, err)
		f.Add(uint8(i), bz)
		f.Add(uint8(i)|late, bz)
		// The same kind without anything in it.
		f.Add(uint8(i), []byte{})
	}
	kinds := []func() sdk.Msg{
		func() sdk.Msg { return &types.MsgRegisterSigner{} },
		func() sdk.Msg { return &types.MsgTssPool{} },
		func() sdk.Msg { return &types.MsgTssPool{} },
		func() sdk.Msg { return &types.MsgPublishBackup{} },
		func() sdk.Msg { return &types.MsgStartChurn{} },
		func() sdk.Msg { return &types.MsgRetireVault{} },
		func() sdk.Msg { return &types.MsgUpdateParams{} },
		func() sdk.Msg { return &types.MsgTssJoin{} },
		func() sdk.Msg { return &types.MsgTssCheck{} },
		func() sdk.Msg { return &types.MsgTssPool{} },
	}
	start := c.ctx
	f.Fuzz(func(t *testing.T, kind uint8, bz []byte) {
		msg := kinds[int(kind&^late)%len(kinds)]()
		if err := testCodec.Unmarshal(bz, msg); err != nil {
			return
		}
		c.t = t
		c.ctx, _ = start.CacheContext()
		if kind&late != 0 {
			c.ctx = c.ctx.WithBlockHeight(keygen.CertificateDeadline() + 1)
		}
		before := c.dump()
		_, _, _ = c.k.ExemptVote(c.ctx, msg)
		if err := c.handle(msg); err != nil {
			require.Equal(t, before, c.dump())
		}
		c.endBlock()
	})
}
