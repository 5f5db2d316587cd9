package keeper_test

import (
	"fmt"
	"testing"

	"cosmossdk.io/collections"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// openVaults opens a churn of several vaults of five members, which requires proofs, and tells who
// is a member of which.
func openVaults(t *testing.T, vaults int, change ...func(*types.Params)) (*chain, []types.Keygen, *fakeHooks) {
	params := provenParams()
	params.MaxVaultMembers = 5
	for _, f := range change {
		f(&params)
	}
	c, _ := startChain(t, params, 5*vaults)
	hooks := &fakeHooks{}
	c.k.SetHooks(hooks)
	var keygens []types.Keygen
	for _, id := range c.startChurn() {
		keygens = append(keygens, c.keygen(id))
	}
	require.Len(t, keygens, vaults)
	return c, keygens, hooks
}

func (c *chain) churn(id uint64) types.Churn {
	c.t.Helper()
	churn, err := c.k.Churns.Get(c.ctx, id)
	require.NoError(c.t, err)
	return churn
}

// validatorOf is the validator whose signer a member is.
func (c *chain) validatorOf(m types.Member) *validator {
	for _, v := range c.staking.validators {
		if v.addr().Equals(m.Address()) {
			return v
		}
	}
	c.t.Fatal("no such validator")
	return nil
}

func TestAFailedKeygenDoesNotFailItsSiblings(t *testing.T) {
	c, keygens, hooks := openVaults(t, 2)
	a, b := keygens[0], keygens[1]
	va, vb := newVault("a"), newVault("b")
	c.allVote(a, va)
	c.endBlock()
	waiting := c.keygen(a.Id)
	require.Equal(t, ready, waiting.Status)
	replay := c.certified(vb.vote(b, b.Members[1]))
	for _, m := range b.Members[1:] {
		c.mustRun(vb.vote(b, m))
	}
	c.endBlocks(testDeadline)
	require.True(t, c.emitted("EventKeygenFailed"))
	require.True(t, c.emitted("EventKeygenReopened"))
	require.False(t, c.emitted("EventChurnClosed"))
	silent := c.validatorOf(b.Members[0])
	require.Equal(t, []string{fmt.Sprintf("failed 2 blamed [] silent [%s]", silent.valoper())}, hooks.calls)
	require.EqualValues(t, 1, c.signer(silent).Faults, "it sits out from the failure on")

	again := c.keygen(b.Id + 1)
	require.Equal(t, open, again.Status)
	require.EqualValues(t, 2, again.Try)
	require.Len(t, again.Members, 4)
	_, ok := types.FindMember(again.Members, silent.addr())
	require.False(t, ok, "it is tried again without the member at fault")
	require.EqualValues(t, 3, again.Threshold)
	height := c.ctx.BlockHeight() - 1
	require.Equal(t, []int64{height, height + testDeadline}, []int64{again.OpenedHeight, again.Deadline}, "with a deadline of its own")
	require.Equal(t, waiting, c.keygen(a.Id))
	require.Len(t, c.votes(a.Id), 5)
	churn := c.churn(1)
	require.Equal(t, []uint64{a.Id, again.Id}, churn.KeygenIds)
	require.Equal(t, []uint64{b.Id}, churn.FailedIds)
	require.Equal(t, again.Deadline, churn.Deadline)

	// Nothing of one try counts in another: members sign for one session, and the vault for its
	// keygen.
	require.ErrorIs(t, c.run(replay), types.ErrKeygenClosed)
	c.begin(again)
	replay.KeygenId = again.Id
	replay.Certificate = replay.Certificate[types.SignatureSize:] // of those who are left
	require.ErrorIs(t, c.run(replay), types.ErrInvalidCertificate)
	c.unchecked = true
	c.mustRun(vb.vote(again, again.Members[0]))
	check := vb.signed(b.Id, bech(again.Members[0].Address()))
	check.KeygenId = again.Id
	require.ErrorIs(t, c.run(check), types.ErrInvalidSignature)
	c.unchecked = false

	require.Empty(t, c.coverage(""))
	for _, m := range again.Members[1:] {
		c.mustRun(vb.vote(again, m))
	}
	c.endBlock()
	require.Len(t, c.coverage(""), 2, "all vaults become active in one block")
	for _, v := range c.coverage("") {
		require.True(t, v.ProvenRecoverable)
		require.Equal(t, types.VaultStatus_VAULT_STATUS_ACTIVE, v.Status)
	}
	require.Len(t, hooks.calls, 3)
	require.Equal(t, []string{"active " + va.name()[:8] + " of 5", "active " + vb.name()[:8] + " of 4"}, hooks.calls[1:])
	require.Equal(t, c.dump(), exportInto(t, c).dump())
}

// votes are the votes on a keygen that state keeps.
func (c *chain) votes(id uint64) []types.VoteInfo {
	c.t.Helper()
	res, err := c.query.Keygen(c.ctx, &types.QueryKeygenRequest{Id: id})
	require.NoError(c.t, err)
	return res.Keygen.Votes
}

func TestATryKeepsTheMembersAndKeysOfItsChurn(t *testing.T) {
	c, keygens, _ := openVaults(t, 2)
	a, b := keygens[0], keygens[1]
	for i, m := range b.Members {
		v := c.validatorOf(m)
		v.recipient++
		c.mustRun(v.register())
		v.bonded = i%2 == 0
	}
	params, err := c.k.Params.Get(c.ctx)
	require.NoError(t, err)
	params.KeygenDeadline, params.MinCoverage = 48, types.Fraction{Numerator: 1, Denominator: 2}
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
	c.mustRun(newVault("a").vote(a, a.Members[0]))
	c.giveUp(b)
	c.endBlock()
	require.EqualValues(t, 5, c.keygen(keygens[0].Id).Needed)
	require.Equal(t, keygens[0], c.keygen(keygens[0].Id), "parameters change nothing in its sibling")

	again := c.keygen(b.Id + 1)
	require.Equal(t, b.Members, again.Members, "nobody was at fault")
	require.EqualValues(t, 4, again.Needed, "a try goes by the parameters that held when it opened")
	require.EqualValues(t, 48, again.Deadline-again.OpenedHeight)
	for _, m := range again.Members {
		proof, err := c.k.Proofs.Get(c.ctx, collections.Join(again.Id, []byte(m.Address())))
		require.NoError(t, err)
		require.Equal(t, dealer.RecipientKey(m.PubKey, 0).Public(), proof.Recipient.Key)
	}
	c.allVote(again, newVault("b"))
	for _, m := range a.Members[1:] {
		c.mustRun(newVault("a").vote(a, m))
	}
	c.endBlock()
	require.Len(t, c.coverage(""), 2)
}

func TestAKeygenIsTriedSoOften(t *testing.T) {
	for tries := uint32(1); tries <= 4; tries++ {
		t.Run(fmt.Sprint(tries, " tries"), func(t *testing.T) {
			c, keygens, hooks := openVaults(t, 3, func(p *types.Params) { p.MaxTries = tries })
			c.allVote(keygens[0], newVault("a"))
			c.allVote(keygens[2], newVault("c"))
			id := keygens[1].Id
			for try := uint32(1); try <= tries; try++ {
				require.True(t, c.isOpen())
				keygen := c.keygen(id)
				require.Equal(t, try, keygen.Try)
				c.giveUp(keygen)
				c.endBlock()
				require.Equal(t, failed, c.keygen(id).Status)
				require.Len(t, hooks.calls, int(try), "hooks run once for each try")
				id = c.export().LastKeygenId
			}
			require.False(t, c.isOpen())
			require.Equal(t, types.ChurnStatus_CHURN_STATUS_FAILED, c.churn(1).Status)
			require.Equal(t, failed, c.keygen(keygens[0].Id).Status)
			require.Len(t, hooks.calls, int(tries), "and never for a keygen that was ready")
			require.Empty(t, c.export().Proofs)
			require.Equal(t, c.dump(), exportInto(t, c).dump())
		})
	}
}

func TestATryNeedsThreeMembers(t *testing.T) {
	c, a, b := openTwo(t)
	c.allVote(a, newVault("a"))
	for _, m := range b.Members[1:] {
		c.mustRun(newVault("b").vote(b, m))
	}
	c.untilClosed(b.Id)
	require.True(t, c.emitted("EventChurnClosed"))
	require.Equal(t, types.ChurnStatus_CHURN_STATUS_FAILED, c.churn(1).Status)
	require.Len(t, c.keygen(b.Id).Silent, 1)
}

// TestNoTryHandsAVaultOver has so many honest members be kept from voting that the malicious ones
// which the vault bears would be a threshold of those that are left, at once or over several tries.
func TestNoTryHandsAVaultOver(t *testing.T) {
	tests := []struct {
		name   string
		silent []int // in each try
		left   int   // members of the last try, 0 when the churn is lost
	}{
		{"five of ten are left, of whom three may be malicious", []int{5}, 5},
		{"four of ten are left", []int{6}, 0},
		{"seven, then five are left", []int{3, 2}, 5},
		{"seven, then four are left", []int{3, 3}, 0},
		{"nine, then seven, then four are left", []int{1, 2, 3}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			params := testParams()
			params.MaxVaultMembers, params.MaxTries = 10, 9
			params.MinCoverage = types.Fraction{Numerator: 1, Denominator: 1}
			c, _ := startChain(t, params, 20)
			id := c.startChurn()[1]
			c.allVote(c.keygen(1), newVault("sibling"))
			for _, silent := range tt.silent {
				keygen := c.keygen(id)
				for _, m := range keygen.Members[silent:] {
					c.mustRun(newVault("v").vote(keygen, m))
				}
				c.untilClosed(id)
				id = c.export().LastKeygenId
			}
			if tt.left == 0 {
				require.False(t, c.isOpen())
				require.Equal(t, types.ChurnStatus_CHURN_STATUS_FAILED, c.churn(1).Status)
				return
			}
			require.Len(t, c.keygen(id).Members, tt.left)
		})
	}
}

// TestSilenceIsNotCovered has a member be silent in one keygen while its friends spoil another for
// good: the churn is lost early, and the silent one pays all the same.
func TestSilenceIsNotCovered(t *testing.T) {
	params := testParams()
	params.MaxVaultMembers, params.MaxTries = 5, 2
	c, _ := startChain(t, params, 7)
	hooks := &fakeHooks{}
	c.k.SetHooks(hooks)
	ids := c.startChurn()
	b, a := c.keygen(ids[0]), c.keygen(ids[1])
	require.Equal(t, []int{3, 4}, []int{len(a.Members), len(b.Members)})
	silent := c.validatorOf(b.Members[0])
	for _, m := range b.Members[1:] {
		c.mustRun(newVault("b").vote(b, m))
	}
	// Without the one that two of three name, too few are left.
	c.untilBlame(a)
	named := bech(a.Members[0].Address())
	c.mustRun(blame(a.Id, named))
	c.mustRun(blame(a.Id, bech(a.Members[1].Address()), named))
	c.mustRun(blame(a.Id, bech(a.Members[2].Address()), named))
	c.endBlock()
	require.Len(t, hooks.calls, 1)
	require.Equal(t, failed, c.keygen(a.Id).Status)
	require.True(t, c.isOpen(), "a keygen that is open is decided by itself")
	require.Equal(t, c.dump(), exportInto(t, c).dump())
	c.untilClosed(b.Id)
	require.False(t, c.isOpen())
	require.Equal(t, types.ChurnStatus_CHURN_STATUS_FAILED, c.churn(1).Status)
	require.EqualValues(t, 1, c.signer(silent).Faults)
	require.Len(t, hooks.calls, 2)
	require.Equal(t, failed, c.keygen(b.Id).Status)
	require.EqualValues(t, 1, c.keygen(b.Id).Try, "what fails in a churn that is lost is not tried again")
}

// TestOneOfTwenty has one of 20 keygens fail.
func TestOneOfTwenty(t *testing.T) {
	c, keygens, hooks := openVaults(t, 20)
	for i, k := range keygens {
		if i != 17 {
			c.allVote(k, newVault(fmt.Sprint(i)))
		}
	}
	c.giveUp(keygens[17])
	c.endBlock()
	require.Len(t, hooks.calls, 1)
	require.Empty(t, c.export().SitOuts)
	require.Equal(t, []uint64{18}, c.churn(1).FailedIds)
	c.allVote(c.keygen(21), newVault("again"))
	c.endBlock()
	require.Len(t, c.coverage(""), 20)
}

func TestFailedTriesAreDeleted(t *testing.T) {
	c, keygens, _ := openVaults(t, 2, func(p *types.Params) { p.KeygenRetention = 4 })
	c.allVote(keygens[0], newVault("a"))
	c.giveUp(keygens[1])
	c.endBlock()
	c.allVote(c.keygen(3), newVault("b"))
	c.endBlock()
	require.Len(t, c.votes(2), 5, "they stay for a while")
	c.endBlocks(3)
	require.False(t, c.emitted("EventTriesDeleted"))
	require.Equal(t, c.dump(), exportInto(t, c).dump())
	c.endBlock()
	require.True(t, c.emitted("EventTriesDeleted"))
	churn := c.churn(1)
	require.Equal(t, types.ChurnStatus_CHURN_STATUS_COMPLETE, churn.Status)
	require.Equal(t, []uint64{1, 3}, churn.KeygenIds)
	require.Empty(t, churn.FailedIds)
	gs := c.export()
	require.Len(t, gs.Keygens, 2)
	require.Empty(t, gs.Votes)
	require.Empty(t, gs.ChurnExpiries)
	require.Equal(t, c.dump(), exportInto(t, c).dump())
}

// TestGenesisOfTries has what a genesis must hold of keygens that are tried again.
func TestGenesisOfTries(t *testing.T) {
	c, keygens, _ := openVaults(t, 2)
	c.endBlock()
	c.allVote(keygens[1], newVault("b"))
	c.giveUp(keygens[0])
	c.endBlock()
	c.mustRun(newVault("a again").vote(c.keygen(3), c.keygen(3).Members[0]))
	require.NoError(t, c.export().Validate())
	tests := []struct {
		name   string
		change func(gs *types.GenesisState)
	}{
		{"a try that is followed by another and open", func(gs *types.GenesisState) {
			gs.Keygens[0].Status, gs.Keygens[0].ClosedHeight = open, 0
		}},
		{"a try that is followed by another and ready", func(gs *types.GenesisState) {
			gs.Keygens[0].Status, gs.Keygens[0].Vault = ready, newVault("a").pubKey()
		}},
		{"a try without a number", func(gs *types.GenesisState) { gs.Keygens[2].Try = 0 }},
		{"a first try that was opened after its churn", func(gs *types.GenesisState) { gs.Keygens[2].Try = 1 }},
		{"a first try that bears more", func(gs *types.GenesisState) { gs.Keygens[1].Bears++ }},
		{"a try that bears nobody", func(gs *types.GenesisState) { gs.Keygens[2].Bears = 0 }},
		{"a try of which the malicious are a threshold", func(gs *types.GenesisState) {
			gs.Keygens[2].Bears = gs.Keygens[2].Threshold
		}},
		{"a try opened before its churn", func(gs *types.GenesisState) { gs.Keygens[2].OpenedHeight = 0 }},
		{"a try with a deadline after that of its churn", func(gs *types.GenesisState) { gs.Keygens[2].Deadline++ }},
		{"a try with a deadline when it opens", func(gs *types.GenesisState) {
			gs.Keygens[2].Deadline = gs.Keygens[2].OpenedHeight
		}},
		{"a try that closed before it opened", func(gs *types.GenesisState) {
			gs.Keygens[1].ClosedHeight = gs.Keygens[1].OpenedHeight - 1
		}},
		{"a vote before its try", func(gs *types.GenesisState) {
			gs.Votes[len(gs.Votes)-1].Vote.Height = gs.Keygens[2].OpenedHeight - 1
		}},
		{"a try that is followed by another and is its vault's latest", func(gs *types.GenesisState) {
			gs.Churns[0].KeygenIds = []uint64{1, 2, 3}
		}},
		{"a try of no churn", func(gs *types.GenesisState) { gs.Churns[0].FailedIds = nil }},
		{"keygens out of order", func(gs *types.GenesisState) { gs.Churns[0].KeygenIds = []uint64{3, 2} }},
		{"proofs of a failed try", func(gs *types.GenesisState) {
			p := gs.Proofs[0]
			p.KeygenId = 1
			gs.Proofs = append([]types.GenesisProof{p}, gs.Proofs...)
		}},
		{"no proofs of a try that is open", func(gs *types.GenesisState) { gs.Proofs = gs.Proofs[:5] }},
		{"an expiry of tries while the churn is open", func(gs *types.GenesisState) {
			gs.ChurnExpiries = []types.GenesisChurnExpiry{{Height: 99, ChurnId: 1}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gs := c.export()
			tt.change(gs)
			require.ErrorIs(t, gs.Validate(), types.ErrInvalidGenesis)
		})
	}
}
