package keeper_test

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// What version 2 of the module exported at height 3: the vault that newVault makes of "first", and
// an open keygen in which one member has voted for "second".
//
//go:embed testdata/genesis-v2.json
var genesisV2 []byte

// storeV2 is the SHA-256 of the store of version 2 when it exported that: of "key=value\n" in hex,
// in the order of the keys.
const storeV2 = "2ecd66ecc9079a2814c9de946ba39a7eba1780536971350cf88795338af4a469"

// TestAChainOfVersion2GoesOn begins with what version 2 exported, which gives the store that it
// had: so an upgrade in place finds what a genesis brings. The chain goes on unsplit until the
// authority says otherwise, and then makes a split vault.
func TestAChainOfVersion2GoesOn(t *testing.T) {
	var gs types.GenesisState
	require.NoError(t, testCodec.UnmarshalJSON(genesisV2, &gs))
	require.NoError(t, gs.Validate())
	staking := &fakeStaking{}
	for i := range 3 {
		staking.validators = append(staking.validators, newValidator(i))
	}
	c := newChain(t, staking)
	c.ctx = c.ctx.WithBlockHeight(3)
	require.NoError(t, c.k.InitGenesis(c.ctx, gs))
	store, sum := c.dump(), sha256.New()
	for _, key := range slices.Sorted(maps.Keys(store)) {
		sum.Write([]byte(key + "=" + store[key] + "\n"))
	}
	require.Equal(t, storeV2, hex.EncodeToString(sum.Sum(nil)))

	params, err := c.k.Params.Get(c.ctx)
	require.NoError(t, err)
	require.False(t, params.SplitBackups)
	keygen := c.keygen(2)
	require.False(t, keygen.Split)
	second := newVault("second")
	for _, m := range keygen.Members[1:] {
		c.mustRun(second.vote(keygen, m))
	}
	c.endBlock()
	require.Equal(t, ready, c.keygen(keygen.Id).Status)
	require.False(t, c.keygen(c.startChurn()[0]).Split)
	c.giveUp(c.keygen(3))
	c.endBlock()

	params.SplitBackups = true
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
	third := newVault("third")
	c.complete(c.startChurn()[0], third)
	_, err = c.groupOf(third)
	require.NoError(t, err)
	require.EqualValues(t, 3, c.coverage(second.name())[0].Proven)
	require.Equal(t, c.dump(), exportInto(t, c).dump())
}
