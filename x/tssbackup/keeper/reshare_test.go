package keeper_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"cosmossdk.io/collections"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// startReshare opens a reshare of a vault to these validators, or to its present members when there
// are none.
func (c *chain) startReshare(vault vaultKeys, to ...*validator) types.Keygen {
	c.t.Helper()
	keygen, err := c.k.StartReshare(c.ctx, vault.pubKey(), operators(to...)...)
	require.NoError(c.t, err)
	return c.keygen(keygen.Id)
}

// reshare hands a vault over, and returns the number of its epoch.
func (c *chain) reshare(vault vaultKeys, to ...*validator) uint64 {
	c.t.Helper()
	keygen := c.startReshare(vault, to...)
	c.complete(keygen.Id, vault)
	require.Equal(c.t, keygen.Id, c.vault(vault).Epoch)
	return keygen.Id
}

func (c *chain) vault(vault vaultKeys) types.Vault {
	c.t.Helper()
	v, err := c.k.Vaults.Get(c.ctx, vault.pubKey())
	require.NoError(c.t, err)
	return v
}

func (c *chain) item(vault vaultKeys) types.LiveVault {
	c.t.Helper()
	live, err := c.k.LiveVaults.Get(c.ctx)
	require.NoError(c.t, err)
	i := slices.IndexFunc(live.Vaults, func(v types.LiveVault) bool {
		return string(v.PubKey) == string(vault.pubKey())
	})
	require.NotEqual(c.t, -1, i)
	return live.Vaults[i]
}

// graceParams have a grace of five blocks, and proofs of what is over for three more.
func graceParams() types.Params {
	p := splitParams()
	p.EpochGrace, p.ProofRetention = 5, 3
	p.RetryInterval, p.PenaltyBlocks = 5, 20
	return p
}

func TestAReshareLeavesAVaultItsKeys(t *testing.T) {
	c, vals := startChain(t, graceParams(), 6)
	hooks := &fakeHooks{}
	c.k.SetHooks(hooks)
	vault := newVault("kept")
	churn, err := c.k.StartChurn(c.ctx, operators(vals[:4]...)...)
	require.NoError(t, err)
	first := churn.KeygenIds[0]
	c.complete(first, vault)
	before := c.vault(vault)

	keygen := c.startReshare(vault, vals[1:6]...)
	require.Equal(t, &types.Reshare{Vault: vault.pubKey(), Epoch: first}, keygen.Reshare)
	require.Len(t, keygen.Members, 5)
	require.EqualValues(t, 4, keygen.Threshold)
	for _, m := range keygen.Members[:4] {
		c.mustRun(vault.vote(keygen, m))
		c.endBlock()
		require.Equal(t, before, c.vault(vault), "nothing of it changes before all have voted")
	}
	c.mustRun(vault.vote(keygen, keygen.Members[4]))
	c.endBlock()
	require.True(t, c.emitted("EventEpochActive"))
	require.Equal(t, "2", c.told("EventEpochActive", "margin"))
	require.False(t, c.emitted("EventVaultActive"))

	after := c.vault(vault)
	began := c.ctx.BlockHeight() - 1
	require.Equal(t, before.PubKeyEd25519, after.PubKeyEd25519)
	require.Equal(t, types.VaultStatus_VAULT_STATUS_ACTIVE, after.Status)
	require.Equal(t, []int64{before.ActiveHeight, began, began + 5}, []int64{after.ActiveHeight, after.EpochHeight, after.GraceUntil})
	require.Equal(t, keygen.Id, after.Epoch)
	require.Equal(t, keygen.Members, after.Members)
	require.EqualValues(t, 4, after.Threshold)
	require.NotEqual(t, before.SharesHash, after.SharesHash)
	require.NotEqual(t, before.Group, after.Group)
	require.Equal(t, []types.FormerEpoch{{Epoch: first, Threshold: 3, Outside: 1}}, after.Former)
	require.Equal(t, types.LiveVault{PubKey: vault.pubKey(), Epoch: keygen.Id, GraceEpoch: first}, c.item(vault))
	require.Contains(t, hooks.calls, fmt.Sprintf("epoch %d of %s", keygen.Id, vault.name()[:8]))
	coverage := c.coverage(vault.name())[0]
	require.EqualValues(t, 5, coverage.Proven)
	require.Equal(t, []uint32{2, 2}, []uint32{coverage.Epochs, coverage.Margin})
	require.Equal(t, after.Former, coverage.Former)

	former := c.keygen(first)
	require.Equal(t, before.Members, former.Members, "it has its members again")
	require.Equal(t, before.SharesHash, former.Ended.SharesHash)
	require.Equal(t, before.Group, former.Ended.Group)
	kept, err := c.k.Kept(c.ctx)
	require.NoError(t, err)
	require.Len(t, kept, 9, "the envelopes of both epochs")
	_, err = c.k.StartReshare(c.ctx, vault.pubKey())
	require.ErrorIs(t, err, types.ErrCannotReshare, "the former epoch has its grace")

	for c.ctx.BlockHeight() <= began+5 {
		c.endBlock()
	}
	require.True(t, c.emitted("EventGraceOver"))
	require.Zero(t, c.item(vault).GraceEpoch)
	require.Zero(t, c.vault(vault).GraceUntil)
	kept, err = c.k.Kept(c.ctx)
	require.NoError(t, err)
	require.Len(t, kept, 5)
	retired, err := c.k.KeptRetired(c.ctx, began)
	require.NoError(t, err)
	require.Len(t, retired, 4, "the archive keeps what is over as long as what is retired")
	res, err := c.query.Vaults(c.ctx, &types.QueryVaultsRequest{Status: types.VaultStatus_VAULT_STATUS_RETIRED})
	require.NoError(t, err)
	require.Empty(t, res.Vaults, "the vault is not")
	proofs := func(epoch uint64) (n int) {
		of := collections.NewPrefixedPairRange[uint64, []byte](epoch)
		require.NoError(t, c.k.Proofs.Walk(c.ctx, of, func(collections.Pair[uint64, []byte], types.Proof) (bool, error) {
			n++
			return false, nil
		}))
		return n
	}
	require.Equal(t, 4, proofs(first))
	c.endBlocks(3)
	require.Zero(t, proofs(first))
	require.Empty(t, c.keygen(first).Ended.SharesHash)
	require.NotEmpty(t, c.keygen(first).Ended.Group, "its name stays")
	require.Equal(t, 5, proofs(keygen.Id))

	history, err := c.query.History(c.ctx, &types.QueryHistoryRequest{Member: vals[0].account()})
	require.NoError(t, err)
	require.Len(t, history.History, 1)
	require.Equal(t, began, history.History[0].EndedHeight)
	require.Len(t, history.History[0].Commitments, 1)
}

// What state keeps of an epoch that is over can be asked for, as it was.
func TestWhatIsKeptOfAFormerEpochIsShown(t *testing.T) {
	c, vals := startChain(t, graceParams(), 5)
	vault := newVault("kept")
	churn, err := c.k.StartChurn(c.ctx, operators(vals[:4]...)...)
	require.NoError(t, err)
	first := churn.KeygenIds[0]
	leaver := vals[0].account()
	members := c.keygen(first).Members
	at := slices.IndexFunc(members, func(m types.Member) bool { return bech(m.Address()) == leaver })
	published := vault.vote(c.keygen(first), members[at]).KeysharesBackup
	c.complete(first, vault)
	queries := keeper.NewQueryServer(c.k, fakeArchive{commitment(published): published})
	ask := func(epoch uint64) (all []any, failed int) {
		add := func(res any, err error) {
			if status.Code(err) == codes.NotFound {
				failed++
			} else {
				require.NoError(t, err)
			}
			all = append(all, res)
		}
		add(queries.Proofs(c.ctx, &types.QueryProofsRequest{Vault: vault.name(), Epoch: epoch}))
		add(queries.Group(c.ctx, &types.QueryGroupRequest{Vault: vault.name(), Epoch: epoch}))
		add(queries.Proof(c.ctx, &types.QueryProofRequest{Vault: vault.name(), Member: leaver, Epoch: epoch}))
		add(queries.Backup(c.ctx, &types.QueryBackupRequest{Vault: vault.name(), Member: leaver, Epoch: epoch}))
		add(queries.Envelope(c.ctx, &types.QueryEnvelopeRequest{Vault: vault.name(), Member: leaver, Epoch: epoch}))
		return all, failed
	}
	before, failed := ask(0)
	require.Zero(t, failed)
	of, _ := ask(first)
	require.Equal(t, before, of, "the present epoch has a number too")

	keygen := c.startReshare(vault, vals[1:]...)
	_, failed = ask(keygen.Id)
	require.Equal(t, 5, failed, "it is none of the vault's yet")
	c.complete(keygen.Id, vault)
	after, failed := ask(0)
	require.Equal(t, 3, failed, "who left has nothing of this epoch")
	require.EqualValues(t, keygen.Id, after[0].(*types.QueryProofsResponse).KeygenId)
	of, failed = ask(first)
	require.Zero(t, failed)
	require.Equal(t, before, of)

	c.endBlocks(10)
	of, failed = ask(first)
	require.Equal(t, 3, failed, "proofs and group part are deleted in their time")
	require.Equal(t, before[3:], of[3:])
}

func TestTheResultOfAReshareIsTheVault(t *testing.T) {
	params := testParams() // which require no proofs, and with them no public shares
	c, _ := startChain(t, params, 4)
	vault := newVault("v")
	first := c.keygen(c.startChurn()[0])
	for _, m := range first.Members {
		msg := vault.vote(first, m)
		vault.prove(msg, first.Members, m, 0)
		c.mustRun(msg)
	}
	c.endBlock()
	keygen := c.startReshare(vault)
	m := keygen.Members[0]
	require.ErrorIs(t, c.run(newVault("other").vote(keygen, m)), types.ErrInvalidResult)
	half := vault
	half.ed = newVault("other").ed
	require.ErrorIs(t, c.run(half.vote(keygen, m)), types.ErrInvalidResult)
	bare := vault.vote(keygen, m)
	bare.PublicShares, bare.Proof = nil, nil
	require.ErrorIs(t, c.run(bare), types.ErrInvalidShares)
	c.mustRun(vault.vote(keygen, m))
	require.ErrorIs(t, c.run(newVault("other").vote(keygen, keygen.Members[1])), types.ErrCertified)
}

// A check that a vault has signed for one epoch says nothing of another.
func TestTheCheckOfAReshareIsOfItsEpoch(t *testing.T) {
	c, _ := startChain(t, graceParams(), 4)
	c.unchecked = true
	vault := newVault("v")
	first := c.keygen(c.startChurn()[0])
	for _, m := range first.Members {
		c.mustRun(vault.vote(first, m))
	}
	before := vault.signed(first.Id, bech(first.Members[0].Address()))
	c.mustRun(before)
	c.endBlock()
	keygen := c.startReshare(vault)
	for _, m := range keygen.Members {
		c.mustRun(vault.vote(keygen, m))
	}
	before.KeygenId = keygen.Id
	require.ErrorIs(t, c.run(before), types.ErrInvalidSignature)
	c.endBlock()
	require.Equal(t, first.Id, c.vault(vault).Epoch, "it has not signed")
	c.mustRun(vault.signed(keygen.Id, bech(keygen.Members[0].Address())))
	c.endBlock()
	require.Equal(t, keygen.Id, c.vault(vault).Epoch)
}

func TestWhatCannotBeReshared(t *testing.T) {
	tests := []struct {
		name string
		do   func(c *chain, vals []*validator, vault vaultKeys) error
		want error
	}{
		{"a vault that is none", func(c *chain, _ []*validator, _ vaultKeys) error {
			return c.run(&types.MsgStartReshare{Authority: authority, Vault: newVault("none").name()})
		}, types.ErrVaultNotFound},
		{"a name that is none", func(c *chain, _ []*validator, _ vaultKeys) error {
			return c.run(&types.MsgStartReshare{Authority: authority, Vault: "vault"})
		}, types.ErrInvalidVault},
		{"by who is not the authority", func(c *chain, vals []*validator, vault vaultKeys) error {
			return c.run(&types.MsgStartReshare{Authority: vals[0].account(), Vault: vault.name()})
		}, types.ErrInvalidAuthority},
		{"to operators that are none", func(c *chain, vals []*validator, vault vaultKeys) error {
			return c.run(&types.MsgStartReshare{Authority: authority, Vault: vault.name(), Operators: []string{vals[0].account()}})
		}, types.ErrInvalidOperator},
		{"a vault that is retired", func(c *chain, vals []*validator, vault vaultKeys) error {
			churn, err := c.k.StartChurn(c.ctx, operators(vals[:4]...)...)
			require.NoError(c.t, err)
			c.complete(churn.KeygenIds[0], newVault("next"))
			c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: vault.name()})
			return c.run(&types.MsgStartReshare{Authority: authority, Vault: vault.name()})
		}, types.ErrVaultNotLive},
		{"while a churn is open", func(c *chain, _ []*validator, vault vaultKeys) error {
			c.startChurn()
			return c.run(&types.MsgStartReshare{Authority: authority, Vault: vault.name()})
		}, types.ErrChurnOpen},
		{"while another is", func(c *chain, _ []*validator, vault vaultKeys) error {
			c.startReshare(vault)
			require.ErrorIs(c.t, c.run(&types.MsgStartChurn{Authority: authority}), types.ErrChurnOpen)
			return c.run(&types.MsgStartReshare{Authority: authority, Vault: vault.name()})
		}, types.ErrChurnOpen},
		{"while the module is paused", func(c *chain, _ []*validator, vault vaultKeys) error {
			require.NoError(c.t, c.k.Pause(c.ctx))
			return c.run(&types.MsgStartReshare{Authority: authority, Vault: vault.name()})
		}, types.ErrPaused},
		{"to two", func(c *chain, vals []*validator, vault vaultKeys) error {
			_, err := c.k.StartReshare(c.ctx, vault.pubKey(), operators(vals[:2]...)...)
			return err
		}, types.ErrTooFewMembers},
		{"to more than a vault has", func(c *chain, vals []*validator, vault vaultKeys) error {
			_, err := c.k.StartReshare(c.ctx, vault.pubKey(), operators(vals[:7]...)...)
			return err
		}, types.ErrCannotReshare},
		{"to one that sits out", func(c *chain, vals []*validator, vault vaultKeys) error {
			require.NoError(c.t, c.k.SitOuts.Set(c.ctx, vals[0].operator, types.SitOut{Until: 1000, Count: 1}))
			_, err := c.k.StartReshare(c.ctx, vault.pubKey(), operators(vals[:4]...)...)
			return err
		}, types.ErrSitsOut},
		{"when fewer than a threshold can deal", func(c *chain, vals []*validator, vault vaultKeys) error {
			for _, v := range vals[:3] {
				require.NoError(c.t, c.k.SitOuts.Set(c.ctx, v.operator, types.SitOut{Until: 1000, Count: 1}))
			}
			_, err := c.k.StartReshare(c.ctx, vault.pubKey(), operators(vals[3:7]...)...)
			return err
		}, types.ErrTooFewMembers},
		{"when a threshold of the present members would be outside", func(c *chain, vals []*validator, vault vaultKeys) error {
			_, err := c.k.StartReshare(c.ctx, vault.pubKey(), operators(vals[4:8]...)...)
			return err
		}, types.ErrCannotReshare},
		{"when a threshold of the first members would be outside", func(c *chain, vals []*validator, vault vaultKeys) error {
			c.reshare(vault, vals[2], vals[3], vals[4], vals[5], vals[6])
			c.endBlocks(10)
			c.reshare(vault, vals[3], vals[4], vals[5], vals[6], vals[7], vals[2])
			c.endBlocks(10)
			_, err := c.k.StartReshare(c.ctx, vault.pubKey(), operators(vals[4:8]...)...)
			return err
		}, types.ErrCannotReshare},
		{"when a member's former signer leaves with others", func(c *chain, vals []*validator, vault vaultKeys) error {
			for i, v := range vals[:4] {
				v.signer = signerKey(fmt.Sprint("replaced ", i))
				c.mustRun(v.register())
			}
			return c.run(&types.MsgStartReshare{Authority: authority, Vault: vault.name()})
		}, types.ErrCannotReshare},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			params := graceParams()
			params.MaxVaultMembers = 6
			params.MaxPause = 100
			c, vals := startChain(t, params, 8)
			vault := newVault("v")
			churn, err := c.k.StartChurn(c.ctx, operators(vals[:6]...)...)
			require.NoError(t, err)
			c.complete(churn.KeygenIds[0], vault)
			before := c.vault(vault)
			require.ErrorIs(t, tt.do(c, vals, vault), tt.want)
			if now := c.vault(vault); now.Epoch == before.Epoch && now.IsLive() {
				require.Equal(t, before, now)
			}
		})
	}
}

func TestAVaultWithoutPublicSharesIsNotReshared(t *testing.T) {
	c, _ := startChain(t, testParams(), 4)
	vault := newVault("v")
	c.complete(c.startChurn()[0], vault)
	require.ErrorIs(t, c.run(&types.MsgStartReshare{Authority: authority, Vault: vault.name()}), types.ErrCannotReshare)
}

func TestAVaultHasSixteenEpochs(t *testing.T) {
	params := graceParams()
	params.EpochGrace = 0
	c, _ := startChain(t, params, 4)
	vault := newVault("v")
	c.complete(c.startChurn()[0], vault)
	for range types.MaxEpochs - 1 {
		c.reshare(vault)
	}
	require.Len(t, c.vault(vault).Former, 15)
	require.EqualValues(t, 16, c.coverage(vault.name())[0].Epochs)
	require.ErrorIs(t, c.run(&types.MsgStartReshare{Authority: authority, Vault: vault.name()}), types.ErrCannotReshare)
	require.NoError(t, c.export().Validate())
	c.complete(c.startChurn()[0], newVault("next"))
	c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: vault.name()})
	require.NoError(t, c.export().Validate())
}

// A reshare that nobody takes part in, as with signers that know of none, changes nothing and is
// nobody's fault.
func TestAReshareThatFailsLeavesNothing(t *testing.T) {
	params := graceParams()
	params.ChurnInterval, params.PenaltyBlocks, params.KeygenRetention = 200, 20, 4
	c, vals := startChain(t, params, 5)
	hooks := &fakeHooks{}
	vault := newVault("v")
	c.complete(c.startChurn()[0], vault)
	c.k.SetHooks(hooks)
	store := c.dump()
	next, err := c.k.NextChurnHeight.Get(c.ctx)
	require.NoError(t, err)

	keygen := c.startReshare(vault)
	c.untilClosed(keygen.Id)
	require.Equal(t, []string{fmt.Sprintf("failed %d blamed [] silent []", keygen.Id)}, hooks.calls)
	require.False(t, c.isOpen(), "and no keygen follows")
	for _, v := range vals {
		has, err := c.k.SitOuts.Has(c.ctx, v.operator)
		require.NoError(t, err)
		require.False(t, has)
	}
	unchanged, err := c.k.NextChurnHeight.Get(c.ctx)
	require.NoError(t, err)
	require.Equal(t, next, unchanged)
	c.endBlocks(5)
	after := c.dump()
	for _, sequence := range []collections.Prefix{types.ChurnSequencePrefix, types.KeygenSequencePrefix} {
		key := fmt.Sprintf("%x", sequence.Bytes())
		delete(store, key)
		delete(after, key)
	}
	require.Equal(t, store, after, "but the numbers it had")
}

func TestAVaultIsNotRetiredWhileItIsReshared(t *testing.T) {
	params := graceParams()
	params.RetirementDelay = 8
	c, _ := startChain(t, params, 4)
	vault := newVault("v")
	c.complete(c.startChurn()[0], vault)
	c.complete(c.startChurn()[0], newVault("next"))
	require.Equal(t, types.VaultStatus_VAULT_STATUS_RETIRING, c.vault(vault).Status)
	keygen := c.startReshare(vault)
	require.ErrorIs(t, c.run(&types.MsgRetireVault{Authority: authority, Vault: vault.name()}), types.ErrResharing)
	require.ErrorIs(t, c.k.RetireVault(c.ctx, vault.pubKey()), types.ErrResharing)
	c.endBlocks(12)
	require.Equal(t, types.VaultStatus_VAULT_STATUS_RETIRING, c.vault(vault).Status, "nor by itself")
	for _, m := range keygen.Members {
		c.mustRun(vault.vote(keygen, m))
	}
	c.endBlock()
	v := c.vault(vault)
	require.Equal(t, keygen.Id, v.Epoch)
	require.Equal(t, types.VaultStatus_VAULT_STATUS_RETIRED, v.Status, "in the block in which that ends, with its grace")
	require.Zero(t, v.GraceUntil)
	require.NoError(t, c.export().Validate())
}

// TestAHookOfARetirementMayReshareTheNext has the chain hand on a vault that would be retired by
// itself in the same block.
func TestAHookOfARetirementMayReshareTheNext(t *testing.T) {
	params := graceParams()
	params.RetirementDelay, params.MaxVaultMembers = 8, 5
	c, _ := startChain(t, params, 8)
	a, b := newVault("a"), newVault("b")
	for i, id := range c.startChurn() {
		c.allVote(c.keygen(id), []vaultKeys{a, b}[i])
	}
	c.endBlock()
	for i, id := range c.startChurn() {
		c.allVote(c.keygen(id), []vaultKeys{newVault("c"), newVault("d")}[i])
	}
	c.endBlock()
	first, second := a, b
	if bytes.Compare(a.pubKey(), b.pubKey()) > 0 {
		first, second = b, a
	}
	var keygen types.Keygen
	c.k.SetHooks(&fakeHooks{run: func(ctx context.Context) {
		if keygen.Id == 0 {
			var err error
			keygen, err = c.k.StartReshare(ctx, second.pubKey())
			require.NoError(t, err)
		}
	}})
	c.endBlocks(8)
	require.Equal(t, types.VaultStatus_VAULT_STATUS_RETIRED, c.vault(first).Status)
	require.Equal(t, types.VaultStatus_VAULT_STATUS_RETIRING, c.vault(second).Status)
	require.NoError(t, c.export().Validate())
	for _, m := range keygen.Members {
		c.mustRun(second.vote(keygen, m))
	}
	c.endBlock()
	require.Equal(t, keygen.Id, c.vault(second).Epoch)
}

func TestDealersAreAThresholdOfThoseWhoJoined(t *testing.T) {
	params := graceParams()
	c, vals := startChain(t, params, 8)
	vault := newVault("v")
	churn, err := c.k.StartChurn(c.ctx, operators(vals[:7]...)...)
	require.NoError(t, err)
	c.complete(churn.KeygenIds[0], vault)
	old := c.vault(vault)
	require.EqualValues(t, 5, old.Threshold)
	require.NoError(t, c.k.SitOuts.Set(c.ctx, vals[0].operator, types.SitOut{Until: 1000, Count: 1}))
	keygen := c.startReshare(vault, vals[3:8]...)
	require.Equal(t, [][]byte{vals[0].addr()}, keygen.Reshare.Excluded)
	member := func(v *validator) types.Member { return types.Member{PubKey: v.signer.PubKey().Bytes()} }
	join := func(v *validator, name string) error { return c.run(newJoin(keygen.Id, member(v), name).msg) }
	session := func() types.Session {
		s, err := c.k.Sessions.Get(c.ctx, keygen.Id)
		require.NoError(t, err)
		return s
	}

	require.ErrorIs(t, join(vals[0], "1"), types.ErrNotMember, "it sits out")
	for _, v := range vals[3:8] {
		require.NoError(t, join(v, "1"))
	}
	require.Zero(t, session().Attempt, "all members have joined, and four who may deal")
	require.NoError(t, join(vals[1], "1"))
	require.EqualValues(t, 1, session().Attempt)
	require.Len(t, session().Dealers, 5)
	require.Len(t, session().Members, 5)

	res, err := c.query.Keygen(c.ctx, &types.QueryKeygenRequest{Id: keygen.Id})
	require.NoError(t, err)
	require.Len(t, res.Keygen.Session.Dealers, 5)
	require.Len(t, res.Keygen.Reshare.Dealers, 6)
	require.Equal(t, []string{vals[0].account()}, res.Keygen.Reshare.Excluded)
	require.NoError(t, join(vals[2], "early"))
	res, err = c.query.Keygen(c.ctx, &types.QueryKeygenRequest{Id: keygen.Id})
	require.NoError(t, err)
	require.Len(t, res.Keygen.Joins, 1, "one that only deals waits too")

	// With six to choose from, attempts have other dealers.
	seen := map[string]bool{}
	for attempt := 2; attempt < 12; attempt++ {
		for _, v := range append(vals[1:3:3], vals[3:8]...) {
			require.NoError(t, join(v, fmt.Sprint(attempt)))
		}
		s := session()
		require.EqualValues(t, attempt, s.Attempt)
		require.Len(t, s.Dealers, 5)
		name := ""
		for _, d := range s.Dealers {
			name += bech(types.SignerAddress(d.PubKey))
		}
		seen[name] = true
		require.Equal(t, types.ReshareSessionID(
			chainID, keygen.Id, s.Attempt, keygen.Members, s.Members, old.Epoch, s.Dealers), s.Id)
	}
	require.Greater(t, len(seen), 1)

	// Who only deals neither votes nor checks.
	vote := vault.vote(keygen, member(vals[1]))
	require.ErrorIs(t, c.handle(vote), types.ErrNotMember)
	require.ErrorIs(t, c.handle(vault.signed(keygen.Id, vals[1].account())), types.ErrNotMember)
	c.untilBlame(keygen)
	require.ErrorIs(t, c.run(blame(keygen.Id, vals[1].account())), types.ErrNotMember)
}

// By whom an attempt failed does not deal in the next one of the same reshare, when a threshold of the
// members says so, and enough are left.
func TestWhomMembersNameDealsNoMore(t *testing.T) {
	c, vals := startChain(t, graceParams(), 8)
	vault := newVault("v")
	churn, err := c.k.StartChurn(c.ctx, operators(vals[:7]...)...)
	require.NoError(t, err)
	c.complete(churn.KeygenIds[0], vault)
	keygen := c.startReshare(vault, vals[3:8]...) // of five, four of whom are a threshold
	join := func(v *validator, name string, failedBy ...*validator) error {
		msg := newJoin(keygen.Id, types.Member{PubKey: v.signer.PubKey().Bytes()}, name).msg
		for _, f := range failedBy {
			msg.FailedBy = append(msg.FailedBy, f.account())
		}
		return c.run(msg)
	}
	session := func() types.Session {
		s, err := c.k.Sessions.Get(c.ctx, keygen.Id)
		require.NoError(t, err)
		return s
	}
	excluded := func() [][]byte { return c.keygen(keygen.Id).Reshare.Excluded }
	for _, tt := range []struct {
		name string
		by   []*validator
	}{
		{"itself", []*validator{vals[3]}},
		{"one twice", []*validator{vals[0], vals[0]}},
		{"one that never deals", []*validator{vals[7]}},
	} {
		require.ErrorIs(t, join(vals[3], "false", tt.by...), types.ErrInvalidJoin, tt.name)
	}
	for _, v := range vals[:8] {
		require.NoError(t, join(v, "1"))
	}
	require.EqualValues(t, 1, session().Attempt)

	// Three of five are no threshold.
	for i, v := range vals[3:8] {
		if i < 3 {
			require.NoError(t, join(v, "2", vals[0]))
		} else {
			require.NoError(t, join(v, "2"))
		}
	}
	require.Empty(t, excluded())
	for _, v := range vals[:3] {
		require.NoError(t, join(v, "2"))
	}
	require.EqualValues(t, 2, session().Attempt)

	// The first had joined, and is not waited for any more. Five are: four of the members, and one.
	require.NoError(t, join(vals[0], "3"))
	require.NoError(t, join(vals[2], "3"))
	for _, v := range vals[3:8] {
		require.NoError(t, join(v, "3", vals[0]))
	}
	require.Equal(t, [][]byte{vals[0].addr()}, excluded())
	require.EqualValues(t, 3, session().Attempt)
	for _, d := range session().Dealers {
		require.NotEqual(t, vals[0].signer.PubKey().Bytes(), d.PubKey)
	}
	require.ErrorIs(t, join(vals[0], "4"), types.ErrNotMember)

	// One that is a member too goes on as that, and with it nobody is left to spare.
	for _, v := range vals[4:8] {
		require.NoError(t, join(v, "4", vals[3]))
	}
	require.NoError(t, join(vals[3], "4"))
	require.NoError(t, join(vals[2], "4"))
	require.Len(t, excluded(), 2)
	require.EqualValues(t, 3, session().Attempt, "five must deal, and four have joined who may")
	require.NoError(t, c.export().Validate(), "the latest attempt's dealer is excluded by now")
	require.Equal(t, c.dump(), exportInto(t, c).dump())
	require.NoError(t, join(vals[1], "4"))
	require.EqualValues(t, 4, session().Attempt)
	for _, v := range vals[3:8] {
		require.NoError(t, join(v, "5", vals[1]))
	}
	require.Len(t, excluded(), 2, "with one more too few would be left: some of them are honest")
	c.untilClosed(keygen.Id)
	require.Empty(t, c.keygen(keygen.Id).Blamed, "it is no blame")
}

func TestJoinsOfAKeygenNameNobody(t *testing.T) {
	c, _ := startChain(t, testParams(), 4)
	keygen := c.keygen(c.startChurn()[0])
	msg := newJoin(keygen.Id, keygen.Members[0], "1").msg
	msg.FailedBy = []string{bech(keygen.Members[1].Address())}
	require.ErrorIs(t, c.run(msg), types.ErrInvalidJoin)
}

func TestWhoLeavesIsBlamedWithinBounds(t *testing.T) {
	tests := []struct {
		name    string
		blame   []int
		blamed  int // of those who leave
		sitsOut bool
	}{
		{"one that leaves", []int{0}, 1, true},
		{"two that leave, and one of four is borne", []int{0, 1}, 0, false},
		{"one that leaves and one that stays", []int{0, 2}, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, vals := startChain(t, graceParams(), 7)
			vault := newVault("v")
			churn, err := c.k.StartChurn(c.ctx, operators(vals[:4]...)...)
			require.NoError(t, err)
			c.complete(churn.KeygenIds[0], vault)
			keygen := c.startReshare(vault, vals[2:7]...)
			c.begin(keygen)
			c.untilBlame(keygen)
			var named []string
			for _, i := range tt.blame {
				named = append(named, vals[i].account())
			}
			for _, v := range vals[2:7] {
				if others := slices.DeleteFunc(slices.Clone(named), func(a string) bool { return a == v.account() }); len(others) > 0 {
					c.mustRun(blame(keygen.Id, v.account(), others...))
				}
			}
			c.untilClosed(keygen.Id)
			leave := 0
			for _, addr := range c.keygen(keygen.Id).Blamed {
				if _, stays := types.FindMember(keygen.Members, addr); !stays {
					leave++
				}
			}
			require.Equal(t, tt.blamed, leave)
			has, err := c.k.SitOuts.Has(c.ctx, vals[0].operator)
			require.NoError(t, err)
			require.Equal(t, tt.sitsOut, has)
			require.NoError(t, c.export().Validate())
			if tt.sitsOut {
				keygen = c.startReshare(vault, vals[2:7]...)
				require.Equal(t, [][]byte{vals[0].addr()}, keygen.Reshare.Excluded, "it does not deal the next time")
			}
		})
	}
}

func TestPublicationsNameTheEpoch(t *testing.T) {
	params := graceParams()
	params.ProofsOptional = true
	params.Sample = types.Fraction{Numerator: 1, Denominator: 100}
	c, _ := startChain(t, params, 4)
	vault := newVault("v")
	c.complete(c.startChurn()[0], vault)
	first := c.vault(vault).Epoch
	publish := func(m types.Member, epoch uint64, name string) error {
		return c.run(&types.MsgPublishBackup{
			Signer: bech(m.Address()), Vault: vault.name(), Epoch: epoch, KeysharesBackup: envelope(name, 100),
		})
	}
	m := c.vault(vault).Members[0]
	require.NoError(t, publish(m, 0, "0"))
	require.NoError(t, publish(m, first, "first"))
	require.ErrorIs(t, publish(m, first+1, "next"), types.ErrOtherEpoch)
	require.NoError(t, c.k.CountAttempt(c.ctx, types.Exemption{KeygenID: first, Member: m.Address()}))
	second := c.reshare(vault)
	counted, err := c.k.Attempts.Has(c.ctx, collections.Join(first, []byte(m.Address())))
	require.NoError(t, err)
	require.False(t, counted, "nothing is counted for an epoch that is over")
	require.ErrorIs(t, publish(m, 0, "0"), types.ErrOtherEpoch, "it stands for the first")
	require.ErrorIs(t, publish(m, first, "first again"), types.ErrOtherEpoch)
	require.NoError(t, publish(m, second, "second"))
}

func TestHeartbeatsAreOfThePresentEpoch(t *testing.T) {
	params := graceParams()
	params.HeartbeatInterval, params.HeartbeatGrace = 200, 10
	c, vals := startChain(t, params, 4)
	vault := newVault("v")
	c.complete(c.startChurn()[0], vault)
	first := c.vault(vault).Epoch
	second := c.reshare(vault)
	count := map[uint64]int{}
	require.NoError(t, c.k.Heartbeats.Walk(c.ctx, nil, func(key collections.Pair[uint64, []byte], _ types.Heartbeat) (bool, error) {
		count[key.K1()]++
		return false, nil
	}))
	require.Equal(t, map[uint64]int{second: 4}, count, "and none of the former, epoch %d", first)
	require.ErrorContains(t, c.run(vals[0].beat(first, 100, machine)), fmt.Sprintf(
		"the heartbeat is of epoch %d, and vault %s in epoch %d: vault is in another epoch",
		first, vault.name(), second))
	require.Equal(t, c.dump(), exportInto(t, c).dump())
}

// A churn that is due while a reshare is open waits for it.
func TestAReshareHoldsTheLockOfChurns(t *testing.T) {
	params := graceParams()
	params.ChurnInterval = testDeadline + 1
	c, _ := startChain(t, params, 4)
	vault := newVault("v")
	c.complete(c.startChurn()[0], vault)
	next, err := c.k.NextChurnHeight.Get(c.ctx)
	require.NoError(t, err)
	for c.ctx.BlockHeight() < next-5 {
		c.endBlock()
	}
	keygen := c.startReshare(vault)
	for c.ctx.BlockHeight() <= next+3 {
		c.endBlock()
	}
	require.Equal(t, open, c.keygen(keygen.Id).Status)
	for _, m := range keygen.Members {
		c.mustRun(vault.vote(keygen, m))
	}
	c.endBlock()
	require.Equal(t, keygen.Id, c.vault(vault).Epoch)
	require.True(t, c.isOpen(), "it opens in the block in which the reshare ends")
}

// TestGasOfAReshare has what members and dealers send in the largest reshare stay within what they may
// use without a fee.
func TestGasOfAReshare(t *testing.T) {
	const n = 60
	params := graceParams()
	params.MaxVaultMembers = 512
	c, vals := startChain(t, params, 2*n-n/3)
	vault := newVault("v")
	churn, err := c.k.StartChurn(c.ctx, operators(vals[:n]...)...)
	require.NoError(t, err)
	c.complete(churn.KeygenIds[0], vault)
	keygen := c.startReshare(vault, vals[n-n/3-1:]...)
	run := func(msg sdk.Msg) {
		ctx, write := c.ctx.WithGasMeter(storetypes.NewInfiniteGasMeter()).CacheContext()
		e, ok, err := c.k.ExemptVote(ctx, msg)
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, c.k.CountAttempt(ctx, e))
		require.NoError(t, dispatch(ctx, c.msg, msg))
		used := ctx.GasMeter().GasConsumed()
		require.Less(t, used, e.MaxGas())
		limit, err := types.SignerGas(msg, len(keygen.Members)+n)
		require.NoError(t, err)
		require.Less(t, used, limit)
		write()
	}
	able := c.able(keygen)
	for _, m := range slices.Backward(types.Participants(keygen.Members, able)) {
		join := newJoin(keygen.Id, m, "join").msg
		for _, other := range able {
			if len(join.FailedBy) < 8 && !bytes.Equal(other.PubKey, m.PubKey) {
				join.FailedBy = append(join.FailedBy, bech(other.Address()))
			}
		}
		run(join)
	}
	require.Len(t, c.keygen(keygen.Id).Reshare.Excluded, 8)
	blamed, _ := c.ctx.CacheContext()
	c.ctx, blamed = blamed, c.ctx
	c.untilBlame(keygen)
	var others []string
	for _, m := range types.Participants(keygen.Members, c.able(keygen))[1:] {
		others = append(others, bech(m.Address()))
	}
	run(blame(keygen.Id, bech(keygen.Members[0].Address()), others...))
	c.ctx = blamed
	first := c.certified(vault.vote(keygen, keygen.Members[0]))
	run(first)
	run(naming(vault.vote(keygen, keygen.Members[1]), keygen.Members))
}

// resharing is a chain with a former epoch that is over, one in grace and one whose vault was retired,
// a reshare that failed with somebody at fault who left, and one that is open.
func resharing(t testing.TB) *chain {
	params := graceParams()
	params.ProofRetention, params.KeygenRetention = 1000, 1000
	c, vals := startChain(t, params, 7)
	gone, vault := newVault("gone"), newVault("vault")
	churn, err := c.k.StartChurn(c.ctx, operators(vals[:4]...)...)
	require.NoError(t, err)
	c.complete(churn.KeygenIds[0], gone)
	c.reshare(gone)
	c.endBlocks(6)
	churn, err = c.k.StartChurn(c.ctx, operators(vals[:4]...)...)
	require.NoError(t, err)
	c.complete(churn.KeygenIds[0], vault)
	c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: gone.name()})
	c.reshare(vault, vals[:5]...)
	c.endBlocks(6)
	failed := c.startReshare(vault, vals[1:6]...)
	c.untilBlame(failed)
	for _, m := range failed.Members {
		c.mustRun(blame(failed.Id, bech(m.Address()), vals[0].account()))
	}
	c.untilClosed(failed.Id)
	other := newVault("other")
	churn, err = c.k.StartChurn(c.ctx, operators(vals[2:7]...)...)
	require.NoError(t, err)
	c.complete(churn.KeygenIds[0], other)
	c.reshare(other)
	keygen := c.startReshare(vault, vals[1:6]...)
	for _, m := range types.Participants(keygen.Members, c.able(keygen)) {
		c.mustRun(newJoin(keygen.Id, m, "first").msg)
	}
	c.mustRun(newJoin(keygen.Id, keygen.Members[0], "again").msg)
	c.mustRun(vault.vote(keygen, keygen.Members[0]))
	require.NotZero(t, c.vault(other).GraceUntil)
	return c
}

func TestGenesisOfReshares(t *testing.T) {
	c := resharing(t)
	next := exportInto(t, c)
	require.Equal(t, c.dump(), next.dump())
	require.Equal(t, answers(t, c), answers(t, next))
	for _, chain := range []*chain{c, next} {
		keygen := chain.keygen(chain.export().LastKeygenId)
		for _, m := range keygen.Members[1:] {
			chain.mustRun(newVault("vault").vote(keygen, m))
		}
		chain.endBlocks(30)
		require.Equal(t, keygen.Id, chain.vault(newVault("vault")).Epoch)
	}
	require.Equal(t, c.dump(), next.dump())
}

func TestGenesisOfResharesIsValidatedStrictly(t *testing.T) {
	good := resharing(t).export()
	require.NoError(t, good.Validate())
	vaultOf := func(gs *types.GenesisState, keys vaultKeys) *types.Vault {
		for i := range gs.Vaults {
			if string(gs.Vaults[i].PubKey) == string(keys.pubKey()) {
				return &gs.Vaults[i].Vault
			}
		}
		panic("no such vault")
	}
	vault, other, gone := newVault("vault"), newVault("other"), newVault("gone")
	keygenOf := func(gs *types.GenesisState, id uint64) *types.Keygen {
		for i := range gs.Keygens {
			if gs.Keygens[i].Id == id {
				return &gs.Keygens[i]
			}
		}
		panic("no such keygen")
	}
	former := func(gs *types.GenesisState, keys vaultKeys) *types.Keygen {
		return keygenOf(gs, vaultOf(gs, keys).Former[0].Epoch)
	}
	opened := func(gs *types.GenesisState) *types.Keygen { return keygenOf(gs, gs.LastKeygenId) }
	tests := []struct {
		name   string
		change func(gs *types.GenesisState)
	}{
		{"a vault without its former epoch", func(gs *types.GenesisState) { vaultOf(gs, vault).Former = nil }},
		{"a vault with an epoch that another one had", func(gs *types.GenesisState) {
			vaultOf(gs, vault).Former[0].Epoch = vaultOf(gs, other).Former[0].Epoch
		}},
		{"a miscounted threshold", func(gs *types.GenesisState) { vaultOf(gs, vault).Former[0].Threshold++ }},
		{"miscounted members outside", func(gs *types.GenesisState) { vaultOf(gs, vault).Former[0].Outside++ }},
		{"an epoch that began at another height", func(gs *types.GenesisState) { vaultOf(gs, vault).EpochHeight++ }},
		{"a grace that nothing has", func(gs *types.GenesisState) { vaultOf(gs, vault).GraceUntil = 10_000 }},
		{"a grace of a retired vault", func(gs *types.GenesisState) { vaultOf(gs, gone).GraceUntil = 10_000 }},
		{"a grace that is forgotten", func(gs *types.GenesisState) { vaultOf(gs, other).GraceUntil = 0 }},
		{"a grace that ended before the epoch", func(gs *types.GenesisState) { former(gs, vault).Ended.GraceHeight = 1 }},
		{"an epoch that ended at another height", func(gs *types.GenesisState) { former(gs, vault).Ended.Height++ }},
		{"a former epoch without its end", func(gs *types.GenesisState) { former(gs, vault).Ended = nil }},
		{"a former epoch without its members", func(gs *types.GenesisState) { former(gs, vault).Members = nil }},
		{"a former epoch with another's group part", func(gs *types.GenesisState) {
			former(gs, vault).Ended.Group = former(gs, other).Ended.Group
		}},
		{"a former epoch without the name of its group part", func(gs *types.GenesisState) { former(gs, vault).Ended.Group = nil }},
		{"a former epoch in grace without public shares", func(gs *types.GenesisState) { former(gs, other).Ended.SharesHash = nil }},
		{"a failed keygen that ended", func(gs *types.GenesisState) {
			for i := range gs.Keygens {
				if gs.Keygens[i].Status == failed {
					gs.Keygens[i].Ended = former(gs, vault).Ended
				}
			}
		}},
		{"a reshare of no vault", func(gs *types.GenesisState) { opened(gs).Reshare.Vault = newVault("none").pubKey() }},
		{"a reshare of a former epoch", func(gs *types.GenesisState) {
			opened(gs).Reshare.Epoch = vaultOf(gs, vault).Former[0].Epoch
		}},
		{"a reshare of a vault in grace", func(gs *types.GenesisState) {
			opened(gs).Reshare = &types.Reshare{Vault: other.pubKey(), Epoch: vaultOf(gs, other).Epoch}
		}},
		{"a reshare that a churn follows", func(gs *types.GenesisState) { gs.Churns[len(gs.Churns)-1].Named = false }},
		{"a reshare that excludes a stranger", func(gs *types.GenesisState) {
			opened(gs).Reshare.Excluded = [][]byte{vaultOf(gs, other).Members[0].Address(), {1}}
		}},
		{"a reshare that excludes who deals", func(gs *types.GenesisState) {
			opened(gs).Reshare.Excluded = [][]byte{types.SignerAddress(gs.Sessions[0].Session.Dealers[0].PubKey)}
		}},
		{"a keygen that is none", func(gs *types.GenesisState) { opened(gs).Reshare = nil }},
		{"a stranger at fault", func(gs *types.GenesisState) {
			for i := range gs.Keygens {
				if gs.Keygens[i].Status == failed {
					gs.Keygens[i].Blamed = [][]byte{{1}}
				}
			}
		}},
		{"a session without a dealer", func(gs *types.GenesisState) {
			gs.Sessions[0].Session.Dealers = gs.Sessions[0].Session.Dealers[1:]
		}},
		{"dealers out of order", func(gs *types.GenesisState) {
			d := gs.Sessions[0].Session.Dealers
			d[0], d[1] = d[1], d[0]
		}},
		{"a dealer of another attempt", func(gs *types.GenesisState) { gs.Sessions[0].Session.Dealers[0].Join.Attempt++ }},
		{"a dealer that is none", func(gs *types.GenesisState) {
			gs.Sessions[0].Session.Dealers[0].PubKey = signerKey("nobody").PubKey().Bytes()
		}},
		{"a session that counts other joins to deal", func(gs *types.GenesisState) { gs.Sessions[0].Session.Ready++ }},
		{"a vote for other keys", func(gs *types.GenesisState) {
			gs.Votes[len(gs.Votes)-1].Vote.Result.PubKeyEd25519 = other.pubKeyEd25519()
		}},
		{"a heartbeat of a former epoch", func(gs *types.GenesisState) {
			gs.Params.HeartbeatInterval = 200
			for _, m := range former(gs, vault).Members {
				gs.Heartbeats = append(gs.Heartbeats, types.GenesisHeartbeat{
					Epoch: former(gs, vault).Id, Member: m.Address(), Heartbeat: types.Heartbeat{Due: 1},
				})
			}
		}},
		{"a proof expiry of an epoch in grace", func(gs *types.GenesisState) {
			gs.ProofExpiries = append(gs.ProofExpiries, types.GenesisProofExpiry{Height: 100_000, KeygenId: former(gs, other).Id})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bz, err := testCodec.Marshal(good)
			require.NoError(t, err)
			var gs types.GenesisState
			require.NoError(t, testCodec.Unmarshal(bz, &gs))
			tt.change(&gs)
			require.Error(t, gs.Validate())
		})
	}
}

// TestResharesAreTheSameEverywhere runs one history on two chains: the stores are the same.
func TestResharesAreTheSameEverywhere(t *testing.T) {
	run := func() map[string]string {
		c := resharing(t)
		c.endBlocks(60)
		return c.dump()
	}
	require.Equal(t, run(), run())
}

func TestReshareEndsAreQueried(t *testing.T) {
	c := resharing(t)
	res, err := c.query.Vaults(c.ctx, &types.QueryVaultsRequest{
		Status: types.VaultStatus_VAULT_STATUS_RETIRED, Pagination: &query.PageRequest{Limit: 10},
	})
	require.NoError(t, err)
	require.Len(t, res.Vaults, 1, "an epoch that is over is no retired vault")
	member := res.Vaults[0].Members[0].Address
	res, err = c.query.Vaults(c.ctx, &types.QueryVaultsRequest{
		Status: types.VaultStatus_VAULT_STATUS_RETIRED, Member: member,
	})
	require.NoError(t, err)
	require.Len(t, res.Vaults, 1, "nor of a member's")
}
