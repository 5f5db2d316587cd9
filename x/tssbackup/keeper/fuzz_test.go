package keeper_test

import (
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// FuzzMessages has the message server handle any message of any bytes: it never panics, and a
// message that errs changes nothing.
func FuzzMessages(f *testing.F) {
	c, vals := startChain(f, provenParams(), 4)
	vault := newVault("v")
	c.complete(c.startChurn()[0], vault)
	keygen := c.keygen(c.startChurn()[0])
	member := bech(keygen.Members[0].Address())
	seeds := []sdk.Msg{
		vals[0].register(),
		newVault("w").vote(keygen, keygen.Members[0]),
		blame(keygen.Id, member, bech(keygen.Members[1].Address())),
		&types.MsgPublishBackup{Signer: member, Vault: vault.name(), KeysharesBackup: envelope("f", 40)},
		&types.MsgStartChurn{Authority: authority},
		&types.MsgRetireVault{Authority: authority, Vault: vault.name()},
		&types.MsgUpdateParams{Authority: authority, Params: testParams()},
		newJoin(keygen.Id, keygen.Members[0], "seed").msg,
	}
	for i, msg := range seeds {
		bz, err := testCodec.Marshal(msg)
		require.NoError(f, err)
		f.Add(uint8(i), bz)
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
	}
	start := c.ctx
	f.Fuzz(func(t *testing.T, kind uint8, bz []byte) {
		msg := kinds[int(kind)%len(kinds)]()
		if err := testCodec.Unmarshal(bz, msg); err != nil {
			return
		}
		c.t = t
		c.ctx, _ = start.CacheContext()
		before := c.dump()
		_, _, _ = c.k.ExemptVote(c.ctx, msg)
		if err := c.run(msg); err != nil {
			require.Equal(t, before, c.dump())
		}
		c.endBlock()
	})
}
