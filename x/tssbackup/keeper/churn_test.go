package keeper_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestKeygenVerdict has the members of one keygen do one thing each, in order: bring the certificate
// of the result with their vote when none stands, or vote for it without one (v), or be silent (-);
// vote that it failed and name nobody (n), the first other member (b), all others (a) or all others
// but the first (h). A dot is a block: in the first ones the certificate can come, and the last one
// in which it can ends at the bar (|). The vault signs at c.
func TestKeygenVerdict(t *testing.T) {
	one := types.Fraction{Numerator: 1, Denominator: 1}
	half := types.Fraction{Numerator: 1, Denominator: 2}
	five6 := types.DefaultParams().MinCoverage
	tests := []struct {
		name           string
		does           string
		coverage       types.Fraction
		early          bool // closed before the deadline, with the block of the last thing done
		status         types.KeygenStatus
		blamed, silent int
	}{
		{"all agree", "vcvvv", one, true, ready, 0, 0},
		{"the vault signs last of all", "vvvvc", one, true, ready, 0, 0},
		{"the vault signs in a later block than the last vote", "vvvv.c", one, true, ready, 0, 0},
		{"the vault signs before the others vote", "vc.v.v.v", one, true, ready, 0, 0},
		{"the vault has not signed at the deadline, which is nobody's fault", "vvvv", one, false, failed, 0, 0},
		{"it has not, and who is silent pays as ever", "vvv-", half, false, failed, 0, 1},
		{"the certificate comes in the last block for it", "-v|cvv", half, false, ready, 0, 1},
		{"the others vote and the vault signs after it", "v|vv.vc", one, true, ready, 0, 0},
		{"nobody votes, which is nobody's fault", "----", half, false, failed, 0, 0},
		{"so few vote that they may all be malicious", "vc---", half, false, failed, 0, 0},
		{"one more votes, so that an honest one did", "vcv--", half, false, failed, 0, 2},
		{"one is silent and all are needed", "vcvv-", one, false, failed, 0, 1},
		{"one is silent and the threshold is enough", "vcvv-", half, false, ready, 0, 1},
		{"three are silent after the certificate", "vc|---", one, false, failed, 0, 0},
		{"all of seven but one, five sixths needed", "vcvvvvv-", five6, false, ready, 0, 1},
		{"all of seven but two, five sixths needed", "vcvvvv--", five6, false, failed, 0, 2},
		{"all vote that it failed, and name nobody", "|nnnn", half, true, failed, 0, 0},
		{"three do, and one is silent", "|nnn-", half, false, failed, 0, 1},
		{"one does, who may be malicious", "|n---", half, false, failed, 0, 0},
		{"as many of seven vote as may be malicious", "|nb-----", half, false, failed, 0, 0},
		{"all blame all, of whom most are honest", "|aaaa", half, true, failed, 0, 0},
		{"all blame the honest, of whom one is silent", "|hhhhhh-", half, false, failed, 1, 1},
		{"all blame the honest", "|hhhhhhh", half, true, failed, 0, 0},
		{"three blame the first, who is silent", "|-bbb", half, false, failed, 1, 1},
		{"three blame the first, who names nobody", "|nbbb", half, true, failed, 1, 0},
		{"two blame the first, below the threshold", "|nnbb", half, true, failed, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			params := testParams()
			params.MinCoverage = tt.coverage
			c, _ := startChain(t, params, len(tt.does)-strings.Count(tt.does, ".")-strings.Count(tt.does, "c")-strings.Count(tt.does, "|"))
			c.unchecked = true
			keygen := c.keygen(c.startChurn()[0])
			c.begin(keygen)
			made := newVault("made")
			i := 0
			for at, does := range tt.does {
				switch does {
				case '.':
					c.endBlock()
					continue
				case '|':
					c.untilBlame(keygen)
					continue
				case 'c':
					c.mustRun(made.signed(keygen.Id, bech(keygen.Members[len(keygen.Members)-1].Address())))
					continue
				}
				if strings.HasPrefix(tt.does[at:], "v|") {
					c.ctx = c.ctx.WithBlockHeight(keygen.CertificateDeadline())
				}
				m, first := keygen.Members[i], bech(keygen.Members[0].Address())
				if i == 0 {
					first = bech(keygen.Members[1].Address())
				}
				var others []string
				for j, o := range keygen.Members {
					if j != i && (j != 0 || does == 'a') {
						others = append(others, bech(o.Address()))
					}
				}
				switch does {
				case 'v':
					c.mustRun(made.vote(keygen, m))
				case 'n':
					c.mustRun(blame(keygen.Id, bech(m.Address())))
				case 'b':
					c.mustRun(blame(keygen.Id, bech(m.Address()), first))
				case 'a', 'h':
					c.mustRun(blame(keygen.Id, bech(m.Address()), others...))
				}
				i++
			}
			c.endBlock()
			require.Equal(t, tt.early, c.keygen(keygen.Id).Status != open)
			if !tt.early {
				for c.ctx.BlockHeight() < keygen.Deadline {
					c.endBlock()
				}
				require.Equal(t, open, c.keygen(keygen.Id).Status, "open until the deadline")
				c.endBlock()
			}
			got := c.keygen(keygen.Id)
			require.Equal(t, tt.status, got.Status)
			require.Len(t, got.Blamed, tt.blamed)
			require.Len(t, got.Silent, tt.silent)
			require.Equal(t, tt.status == ready, c.emitted("EventVaultActive"))
			require.Equal(t, tt.status == failed, c.emitted("EventKeygenFailed"))
			require.True(t, c.emitted("EventChurnClosed"))
			require.Empty(t, c.export().Certificates, "nothing is kept of it")
		})
	}
}

const (
	open   = types.KeygenStatus_KEYGEN_STATUS_OPEN
	ready  = types.KeygenStatus_KEYGEN_STATUS_READY
	failed = types.KeygenStatus_KEYGEN_STATUS_FAILED
)

func TestVotesOfMembersThatAreNotAskedDoNotCount(t *testing.T) {
	params := testParams()
	params.Sample = types.Fraction{Numerator: 1, Denominator: 100} // asked: the threshold
	c, _ := startChain(t, params, 4)
	keygen := c.keygen(c.startChurn()[0])
	vault := newVault("v")
	// Three of four vote the result, but one of the three asked is silent.
	skipped := false
	for _, m := range keygen.Members {
		if m.Asked && !skipped {
			skipped = true
			continue
		}
		c.mustRun(vault.vote(keygen, m))
	}
	c.untilClosed(keygen.Id)
	require.Equal(t, failed, c.keygen(keygen.Id).Status)
}

// openTwo opens a churn with two keygens of three members.
func openTwo(t *testing.T, change ...func(*types.Params)) (*chain, types.Keygen, types.Keygen) {
	params := testParams()
	params.MaxVaultMembers = 5
	for _, f := range change {
		f(&params)
	}
	c, _ := startChain(t, params, 6)
	ids := c.startChurn()
	require.Len(t, ids, 2)
	return c, c.keygen(ids[0]), c.keygen(ids[1])
}

func (c *chain) allVote(keygen types.Keygen, vault vaultKeys) {
	c.t.Helper()
	for _, m := range keygen.Members {
		c.mustRun(vault.vote(keygen, m))
	}
}

func TestVaultsOfAChurnBecomeActiveTogether(t *testing.T) {
	c, a, b := openTwo(t)
	va, vb := newVault("a"), newVault("b")
	c.allVote(a, va)
	c.endBlocks(3)
	require.Equal(t, ready, c.keygen(a.Id).Status)
	require.Empty(t, c.coverage(""), "a ready keygen waits for its sibling")
	require.Error(t, c.run(va.vote(a, a.Members[0])))
	c.allVote(b, vb)
	c.endBlock()
	list := c.coverage("")
	require.Len(t, list, 2)
	for _, v := range list {
		require.Equal(t, types.VaultStatus_VAULT_STATUS_ACTIVE, v.Status)
		require.EqualValues(t, 3, v.Published)
		require.Empty(t, v.Missing)
	}
	require.Empty(t, c.keygen(a.Id).Members, "the vault has the members")
	require.Greater(t, c.keygen(b.Id).ClosedHeight, c.keygen(a.Id).ClosedHeight)
}

func TestNoVaultOfAFailedChurnIsActive(t *testing.T) {
	c, a, b := openTwo(t, func(p *types.Params) { p.MaxTries = 1 })
	old := newVault("old")
	c.allVote(a, old)
	c.allVote(b, newVault("old too"))
	c.endBlock()
	ids := c.startChurn()
	a, b = c.keygen(ids[0]), c.keygen(ids[1])
	c.allVote(a, newVault("a"))
	c.endBlock()
	c.untilBlame(b)
	for i, m := range b.Members {
		c.mustRun(blame(b.Id, bech(m.Address()), bech(b.Members[(i+1)%3].Address())))
	}
	c.endBlock()
	for _, k := range []types.Keygen{a, b} {
		got := c.keygen(k.Id)
		require.Equal(t, failed, got.Status)
		require.Empty(t, got.Vault)
		require.Empty(t, got.Silent, "before the deadline nobody is silent")
		require.Len(t, got.Members, 3)
	}
	for _, v := range c.coverage("") {
		require.Equal(t, types.VaultStatus_VAULT_STATUS_ACTIVE, v.Status, "no older vault retires")
	}
	require.Len(t, c.coverage(""), 2)
	res, err := c.query.Keygen(c.ctx, &types.QueryKeygenRequest{Id: b.Id})
	require.NoError(t, err)
	require.Len(t, res.Keygen.Votes, 3, "a failed keygen keeps its votes")
}

func TestTwoKeygensCannotMakeOneVault(t *testing.T) {
	for name, blocks := range map[string]int{"in one block": 0, "in different blocks": 2} {
		t.Run(name, func(t *testing.T) {
			c, a, b := openTwo(t)
			c.allVote(a, newVault("same"))
			c.endBlocks(blocks)
			c.allVote(b, newVault("same"))
			c.endBlock()
			require.Equal(t, ready, c.keygen(a.Id).Status)
			require.Equal(t, failed, c.keygen(b.Id).Status, "the later one has failed, and is tried again")
			require.Empty(t, c.coverage(""))
			c.allVote(c.keygen(b.Id+1), newVault("another"))
			c.endBlock()
			require.Len(t, c.coverage(""), 2)
		})
	}
}

func TestOlderVaultsRetire(t *testing.T) {
	params := testParams()
	params.RetirementDelay = 4
	c, _ := startChain(t, params, 3)
	first, second := newVault("first"), newVault("second")
	c.complete(c.startChurn()[0], first)
	keygen := c.keygen(c.startChurn()[0])
	c.allVote(keygen, second)
	c.endBlock()
	require.True(t, c.emitted("EventVaultRetiring"))
	require.Equal(t, types.VaultStatus_VAULT_STATUS_RETIRING, c.coverage(first.name())[0].Status)
	c.endBlocks(3)
	require.Len(t, c.coverage(""), 2)
	require.Equal(t, second.name(), c.coverage("")[0].Vault, "active vaults come first")
	c.endBlock()
	require.True(t, c.emitted("EventVaultRetired"))
	require.Equal(t, types.VaultStatus_VAULT_STATUS_RETIRED, c.coverage(first.name())[0].Status)
	require.Len(t, c.coverage(""), 1)
	c.endBlocks(10)
	require.Equal(t, types.VaultStatus_VAULT_STATUS_ACTIVE, c.coverage(second.name())[0].Status)
}

func TestRetiredVaultsHaveNoAttempts(t *testing.T) {
	params := testParams()
	params.Sample = types.Fraction{Numerator: 1, Denominator: 100}
	c, _ := startChain(t, params, 4)
	vault := newVault("v")
	keygen := c.keygen(c.startChurn()[0])
	c.complete(keygen.Id, vault)
	for _, m := range keygen.Members {
		if !m.Asked {
			require.NoError(t, c.k.CountAttempt(c.ctx, types.Exemption{KeygenID: keygen.Id, Member: m.Address()}))
		}
	}
	require.NotEmpty(t, c.export().Attempts)
	c.complete(c.startChurn()[0], newVault("next"))
	require.NotEmpty(t, c.export().Attempts)
	c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: vault.name()})
	require.Empty(t, c.export().Attempts)
}

func TestChurnsOpenByThemselves(t *testing.T) {
	params := testParams()
	params.ChurnInterval = 40
	c, _ := startChain(t, params, 3)
	c.endBlocks(40)
	require.False(t, c.emitted("EventChurnOpened"))
	c.endBlock() // 41, one interval after the genesis at 1
	require.True(t, c.emitted("EventChurnOpened"))
	require.ErrorIs(t, c.run(&types.MsgStartChurn{Authority: authority}), types.ErrChurnOpen)
	c.complete(1, newVault("v"))
	c.endBlocks(38)
	require.False(t, c.emitted("EventChurnOpened"))
	c.endBlock() // 81
	require.True(t, c.emitted("EventChurnOpened"), "the interval is from opening to opening")

	// One is silent until the deadline at 113: the retry is due at 118, but two are too few without
	// it, and it sits out until 133. Each retry interval it is tried again.
	keygen := c.keygen(2)
	for _, m := range keygen.Members[1:] {
		c.mustRun(newVault("w").vote(keygen, m))
	}
	c.endBlocks(testDeadline)
	require.True(t, c.emitted("EventChurnClosed"))
	c.endBlocks(4)
	require.False(t, c.emitted("EventChurnSkipped"))
	c.endBlock()
	require.True(t, c.emitted("EventChurnSkipped"))
	c.endBlocks(15)
	require.True(t, c.emitted("EventChurnOpened"))
	require.EqualValues(t, 134, c.ctx.BlockHeight())
}

func TestADueChurnWaitsForTheOpenOne(t *testing.T) {
	params := testParams()
	params.KeygenDeadline = 2 * testDeadline
	c, _ := startChain(t, params, 3)
	c.startChurn()
	params.ChurnInterval, params.KeygenDeadline = testDeadline+1, testDeadline // not of the open one
	c.mustRun(&types.MsgUpdateParams{Authority: authority, Params: params})
	c.endBlocks(testDeadline + 2)
	require.EqualValues(t, 1, c.export().LastChurnId)
	require.EqualValues(t, c.ctx.BlockHeight()-1, c.export().NextChurnHeight, "it was due")
	c.complete(1, newVault("v"))
	require.True(t, c.emitted("EventChurnClosed"))
	require.True(t, c.emitted("EventChurnOpened"))
}

func TestOneDeadSignerCannotBlockEveryChurn(t *testing.T) {
	c, vals := startChain(t, testParams(), 4)
	dead := vals[2]
	keygen := c.keygen(c.startChurn()[0])
	for _, m := range keygen.Members {
		if !m.Address().Equals(dead.addr()) {
			c.mustRun(newVault("v").vote(keygen, m))
		}
	}
	c.untilClosed(keygen.Id)
	require.Equal(t, failed, c.keygen(keygen.Id).Status)
	// A new signer does not end the validator's penalty.
	dead.signer = signerKey("new")
	c.mustRun(dead.register())
	c.endBlocks(5)
	require.True(t, c.emitted("EventChurnOpened"), "it is tried again by itself")
	retry := c.keygen(keygen.Id + 1)
	require.Len(t, retry.Members, 3)
	_, ok := types.FindMember(retry.Members, dead.addr())
	require.False(t, ok)
	c.complete(retry.Id, newVault("retry"))
	require.Len(t, c.coverage(""), 1)

	res, err := c.query.Signer(c.ctx, &types.QuerySignerRequest{Address: dead.valoper()})
	require.NoError(t, err)
	c.ctx = c.ctx.WithBlockHeight(res.Signer.SitsOutUntil)
	require.Len(t, c.keygen(c.startChurn()[0]).Members, 4, "it is back in the block that the query told")
}

// TestPenaltiesEscalate has one validator be silent again and again, and come back each time that
// it may. The parameters are those of testParams: 20 blocks, and whoever is at fault again within
// the window sits out twice as long.
func TestPenaltiesEscalate(t *testing.T) {
	params := testParams()
	params.RetryInterval, params.MaxVaultMembers = 0, 5
	params.PenaltyWindow = 70
	c, vals := startChain(t, params, 4)
	silent := vals[1]
	fail := func() (blocks int64, faults uint32) {
		keygen := c.keygen(c.startChurn()[0])
		require.Len(t, keygen.Members, 4)
		for _, m := range keygen.Members {
			if !m.Address().Equals(silent.addr()) {
				c.mustRun(newVault("v").vote(keygen, m))
			}
		}
		for c.isOpen() {
			c.endBlock()
		}
		require.True(t, c.emitted("EventSitOut"))
		return c.signer(silent).SitsOutUntil - (c.ctx.BlockHeight() - 1), c.signer(silent).Faults
	}
	back := func(after int64) {
		c.ctx = c.ctx.WithBlockHeight(c.signer(silent).SitsOutUntil + after)
	}
	for i, want := range []int64{20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 5120, 5120} {
		blocks, faults := fail()
		require.Equal(t, want, blocks, "fault %d", i+1)
		require.EqualValues(t, i+1, faults)
		back(0)
	}
	fail()
	back(70 - testDeadline) // it fails at its deadline, at the end of the window
	blocks, faults := fail()
	require.EqualValues(t, 5120, blocks)
	require.EqualValues(t, 13, faults)
	back(71 - testDeadline) // and now after it
	blocks, faults = fail()
	require.EqualValues(t, 20, blocks)
	require.EqualValues(t, 1, faults)
	back(71)
	require.Zero(t, c.signer(silent).Faults)
	c.complete(c.startChurn()[0], newVault("v"))
	require.Empty(t, c.export().SitOuts, "a fault that does not count any more is forgotten")
}

func (c *chain) signer(v *validator) types.SignerInfo {
	c.t.Helper()
	res, err := c.query.Signer(c.ctx, &types.QuerySignerRequest{Address: v.valoper()})
	require.NoError(c.t, err)
	return res.Signer
}

func TestAnOpenChurnIsFrozen(t *testing.T) {
	c, vals := startChain(t, testParams(), 4)
	keygen := c.keygen(c.startChurn()[0])
	vals[0].bonded = false
	vals[1].gone = true
	former := vals[2].addr()
	vals[2].signer = signerKey("new")
	c.mustRun(vals[2].register())
	c.endBlocks(2)
	require.Equal(t, keygen, c.keygen(keygen.Id))
	require.ErrorIs(t, c.run(newVault("v").result(keygen.Id, vals[2].account(), envelope("e", 100))), types.ErrNotMember)
	c.complete(keygen.Id, newVault("v"))
	list := c.coverage("")
	require.EqualValues(t, 4, list[0].Published)
	found := false
	for _, m := range list[0].List {
		if m.Address == bech(former) {
			found = true
			require.Equal(t, vals[2].valoper(), m.Operator)
		}
	}
	require.True(t, found)
}

func TestTooFewMembers(t *testing.T) {
	c, vals := startChain(t, testParams(), 3)
	vals[0].bonded = false
	res, err := c.msg.StartChurn(c.ctx.WithEventManager(sdk.NewEventManager()), &types.MsgStartChurn{Authority: authority})
	require.NoError(t, err)
	require.Equal(t, &types.MsgStartChurnResponse{}, res)
	c.mustRun(&types.MsgStartChurn{Authority: authority})
	require.True(t, c.emitted("EventChurnSkipped"))
	vals[0].bonded = true
	require.Equal(t, []uint64{1}, c.startChurn(), "a skipped churn takes no number")
}

func TestVaultsOfAChurnAreEqual(t *testing.T) {
	params := testParams()
	params.MaxVaultMembers = 5
	for n := 3; n <= 40; n++ {
		c, _ := startChain(t, params, n)
		ids := c.startChurn()
		require.Len(t, ids, (n+4)/5)
		least, most := n, 0
		for _, id := range ids {
			size := len(c.keygen(id).Members)
			least, most = min(least, size), max(most, size)
		}
		require.GreaterOrEqual(t, least, 3, "%d validators", n)
		require.LessOrEqual(t, most, 5)
		require.LessOrEqual(t, most-least, 1)
	}
}

func TestMembersOfVaultsChangeFromChurnToChurn(t *testing.T) {
	c, _, _ := openTwo(t)
	groups := map[string]bool{}
	for id := uint64(1); id <= 40; id += 2 {
		var b bytes.Buffer
		for _, m := range c.keygen(id).Members {
			b.Write(m.PubKey)
		}
		groups[b.String()] = true
		c.allVote(c.keygen(id), newVault(fmt.Sprint(id)))
		c.allVote(c.keygen(id+1), newVault(fmt.Sprint(id+1)))
		c.endBlock()
		c.startChurn()
	}
	require.Greater(t, len(groups), 8, "of 20 possible")
}

// TestNobodyKnowsBeforeTheBlockWhoComesIntoWhichVault has one churn open in blocks of many hashes.
func TestNobodyKnowsBeforeTheBlockWhoComesIntoWhichVault(t *testing.T) {
	params := testParams()
	params.MaxVaultMembers = 5
	params.Sample, params.MinCoverage = types.Fraction{Numerator: 1, Denominator: 100}, types.Fraction{Numerator: 1, Denominator: 2}
	groups, asked := map[string]bool{}, map[string]bool{}
	for i := range 40 {
		c, _ := startChain(t, params, 10)
		c.ctx = c.ctx.WithHeaderHash(bytes.Repeat([]byte{byte(i)}, 32))
		var members, publish bytes.Buffer
		for _, m := range c.keygen(c.startChurn()[0]).Members {
			members.Write(m.PubKey)
			if m.Asked {
				publish.Write(m.PubKey)
			}
		}
		groups[members.String()], asked[publish.String()] = true, true
	}
	require.Greater(t, len(groups), 30, "of 252 possible")
	require.Greater(t, len(asked), 30)
}

func TestHooks(t *testing.T) {
	c, vals := startChain(t, testParams(), 3)
	hooks := &fakeHooks{}
	theirs := *c.k // as an app that keeps its keepers by value has it
	theirs.SetHooks(hooks)
	require.Panics(t, func() { theirs.SetHooks(hooks) })
	require.Panics(t, func() { c.k.SetHooks(hooks) })

	vault, next := newVault("vault"), newVault("next")
	c.complete(c.startChurn()[0], vault)
	c.complete(c.startChurn()[0], next)
	c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: vault.name()})
	require.Equal(t, []string{
		"active " + vault.name()[:8] + " of 3",
		"active " + next.name()[:8] + " of 3",
		"retired " + vault.name()[:8],
	}, hooks.calls)

	hooks.calls = nil
	keygen := c.keygen(c.startChurn()[0])
	c.untilBlame(keygen)
	for _, v := range vals[1:] {
		c.mustRun(blame(keygen.Id, v.account(), vals[0].account()))
	}
	c.untilClosed(keygen.Id)
	name := vals[0].valoper()
	require.Equal(t, []string{fmt.Sprintf("failed 3 blamed [%s] silent [%s]", name, name)}, hooks.calls)
}

func TestAHookThatFailsIsUndoneAndHaltsNothing(t *testing.T) {
	for _, panics := range []bool{false, true} {
		c, vals := startChain(t, testParams(), 3)
		bad := &fakeHooks{fail: errors.New("no"), panic: panics}
		write := func(ctx context.Context) {
			require.NoError(t, c.k.SitOuts.Set(ctx, vals[0].operator, types.SitOut{Until: 99, Count: 1}))
		}
		bad.run = write
		good := &fakeHooks{}
		c.k.SetHooks(bad, good)
		c.complete(c.startChurn()[0], newVault("v"))
		require.True(t, c.emitted("EventHookFailed"))
		require.Len(t, c.coverage(""), 1)
		require.Len(t, good.calls, 1, "other hooks run")
		require.Empty(t, c.export().SitOuts)

		bad.fail, bad.panic = nil, false
		c.complete(c.startChurn()[0], newVault("next"))
		require.Len(t, c.export().SitOuts, 1, "what a good hook writes stands")
	}
}

func TestAHookThatRunsOutOfItsOwnGasHaltsNothing(t *testing.T) {
	c, _ := startChain(t, testParams(), 3)
	c.k.SetHooks(&fakeHooks{run: func(context.Context) { storetypes.NewGasMeter(1).ConsumeGas(2, "a limit of its own") }})
	c.complete(c.startChurn()[0], newVault("v"))
	require.True(t, c.emitted("EventHookFailed"))
	require.Len(t, c.coverage(""), 1)
}

func TestATransactionCannotSkipAHookByItsGasLimit(t *testing.T) {
	c, _ := startChain(t, testParams(), 3)
	vault := newVault("v")
	c.complete(c.startChurn()[0], vault)
	c.complete(c.startChurn()[0], newVault("next"))
	c.k.SetHooks(&fakeHooks{run: func(ctx context.Context) {
		sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(1_000_000, "hook")
	}})
	c.ctx = c.ctx.WithGasMeter(storetypes.NewGasMeter(500_000))
	require.Panics(t, func() { _ = c.run(&types.MsgRetireVault{Authority: authority, Vault: vault.name()}) })
}

func (c *chain) coverage(vault string) []types.VaultCoverage {
	c.t.Helper()
	res, err := c.query.Coverage(c.ctx, &types.QueryCoverageRequest{Vault: vault})
	require.NoError(c.t, err)
	return res.Vaults
}

func (c *chain) export() *types.GenesisState {
	c.t.Helper()
	gs, err := c.k.ExportGenesis(c.ctx)
	require.NoError(c.t, err)
	return gs
}
