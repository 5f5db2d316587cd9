package keeper_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// claimOf is a signer's claim of the term after the expected one, by an instance with this name.
func claimOf(signer string, expected uint64, name string) *types.MsgClaimSigner {
	return &types.MsgClaimSigner{
		Signer: signer, ExpectedTerm: expected, Nonce: bytes.Repeat([]byte(name[:1]), types.ClaimNonceSize),
	}
}

// The term that was claimed holds from the next block on, and in its own block the one before does,
// also for a node that checks what comes after it.
func TestATermHoldsFromTheBlockAfterItsClaim(t *testing.T) {
	c, _ := startChain(t, testParams(), 4)
	keygen := c.keygen(c.startChurn()[0])
	member := keygen.Members[0]
	of := func(term uint64) *types.MsgTssJoin {
		j := newJoin(keygen.Id, member, fmt.Sprint("join ", c.ctx.BlockHeight(), term)).msg
		j.Term = term
		return j
	}
	holds := func(ctx sdk.Context, term uint64) {
		t.Helper()
		for other := range uint64(4) {
			_, ok, err := c.k.ExemptVote(ctx, of(other))
			require.Equal(t, other == term, ok, "term %d", other)
			if !ok {
				require.ErrorIs(t, err, types.ErrOtherTerm)
			}
		}
	}
	checking := func() sdk.Context { return c.ctx.WithIsCheckTx(true) }
	holds(c.ctx, 0)
	holds(checking(), 0)

	c.mustRun(claimOf(bech(member.Address()), 0, "first"))
	require.True(t, c.emitted("EventSignerClaimed"))
	holds(c.ctx, 0)
	require.ErrorIs(t, c.run(of(1)), types.ErrOtherTerm)
	c.mustRun(of(0))
	holds(checking(), 1) // what a node takes into its mempool after this block
	require.ErrorIs(t, c.run(claimOf(bech(member.Address()), 1, "second")), types.ErrOtherTerm)

	c.endBlock()
	holds(c.ctx, 1)
	require.ErrorIs(t, c.run(of(0)), types.ErrOtherTerm)
	c.mustRun(of(1))
	c.mustRun(claimOf(bech(member.Address()), 1, "second"))
	holds(c.ctx, 1)
	c.endBlock()
	holds(c.ctx, 2)
	res, err := c.query.SignerTerm(c.ctx, &types.QuerySignerTermRequest{Address: bech(member.Address())})
	require.NoError(t, err)
	require.EqualValues(t, 2, res.Term)
	require.Equal(t, strings.Repeat("73", types.ClaimNonceSize), res.Nonce)
	require.Equal(t, c.ctx.BlockHeight()-1, res.Height)
}

// Every message that a signer sends by itself is of a term.
func TestMessagesOfAnotherTermAreRefused(t *testing.T) {
	params := testParams()
	params.Sample = types.Fraction{Numerator: 3, Denominator: 4}
	vault, second := newVault("vault"), newVault("second")
	for _, tt := range []struct {
		name string
		make func(c *chain, keygen types.Keygen, m types.Member) sdk.Msg
		set  func(msg sdk.Msg, term uint64)
	}{
		{"a join", func(_ *chain, k types.Keygen, m types.Member) sdk.Msg {
			return newJoin(k.Id, m, "again").msg
		}, func(msg sdk.Msg, term uint64) { msg.(*types.MsgTssJoin).Term = term }},
		{"a vote", func(c *chain, k types.Keygen, m types.Member) sdk.Msg {
			return c.certified(second.vote(k, m))
		}, func(msg sdk.Msg, term uint64) { msg.(*types.MsgTssPool).Term = term }},
		{"a blame", func(c *chain, k types.Keygen, m types.Member) sdk.Msg {
			c.untilBlame(k)
			return blame(k.Id, bech(m.Address()))
		}, func(msg sdk.Msg, term uint64) { msg.(*types.MsgTssPool).Term = term }},
		{"a check", func(c *chain, k types.Keygen, m types.Member) sdk.Msg {
			c.unchecked = true
			c.mustRun(second.vote(k, k.Members[1]))
			return second.signed(k.Id, bech(m.Address()))
		}, func(msg sdk.Msg, term uint64) { msg.(*types.MsgTssCheck).Term = term }},
		{"a publication", func(c *chain, _ types.Keygen, m types.Member) sdk.Msg {
			return &types.MsgPublishBackup{
				Signer: bech(m.Address()), Vault: vault.name(), KeysharesBackup: envelope("later", 100),
			}
		}, func(msg sdk.Msg, term uint64) { msg.(*types.MsgPublishBackup).Term = term }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := startChain(t, params, 4)
			c.complete(c.startChurn()[0], vault)
			keygen := c.keygen(c.startChurn()[0])
			m := keygen.Members[0]
			c.begin(keygen)
			c.mustRun(claimOf(bech(m.Address()), 0, "first"))
			c.endBlock()
			msg := tt.make(c, keygen, m)
			for _, other := range []uint64{0, 2, 1 << 63} {
				tt.set(msg, other)
				before := c.dump()
				_, ok, err := c.k.ExemptVote(c.ctx, msg)
				require.False(t, ok)
				require.ErrorIs(t, err, types.ErrOtherTerm)
				require.ErrorContains(t, err, "and term 1 holds")
				require.ErrorIs(t, c.handle(msg), types.ErrOtherTerm)
				require.Equal(t, before, c.dump(), "nothing is counted")
			}
			tt.set(msg, 1)
			require.NoError(t, c.handle(msg))
		})
	}
}

func TestClaims(t *testing.T) {
	stranger := bech(bytes.Repeat([]byte{1}, 20))
	for _, tt := range []struct {
		name   string
		change func(c *chain, msg *types.MsgClaimSigner)
		err    error
	}{
		{"the first", func(*chain, *types.MsgClaimSigner) {}, nil},
		{"with all addresses that fit", func(_ *chain, msg *types.MsgClaimSigner) {
			msg.Addresses = strings.Repeat(" ~", types.MaxAddresses/2)
		}, nil},
		{"with longer addresses", func(_ *chain, msg *types.MsgClaimSigner) {
			msg.Addresses = strings.Repeat("x", types.MaxAddresses+1)
		}, types.ErrInvalidClaim},
		{
			"with a line feed in its addresses", func(_ *chain, msg *types.MsgClaimSigner) { msg.Addresses = "a\nb" },
			types.ErrInvalidClaim,
		},
		{
			"with addresses beyond ASCII", func(_ *chain, msg *types.MsgClaimSigner) { msg.Addresses = "é" },
			types.ErrInvalidClaim,
		},
		{
			"with a short nonce", func(_ *chain, msg *types.MsgClaimSigner) { msg.Nonce = msg.Nonce[1:] },
			types.ErrInvalidClaim,
		},
		{
			"of a term that nobody claimed", func(_ *chain, msg *types.MsgClaimSigner) { msg.ExpectedTerm = 1 },
			types.ErrOtherTerm,
		},
		{"that comes late", func(c *chain, msg *types.MsgClaimSigner) {
			c.mustRun(claimOf(msg.Signer, 0, "another"))
			c.endBlock()
		}, types.ErrOtherTerm},
		{"after another in the same block", func(c *chain, msg *types.MsgClaimSigner) {
			c.mustRun(claimOf(msg.Signer, 0, "another"))
			msg.ExpectedTerm = 1
		}, types.ErrOtherTerm},
		{"with the nonce of the one before", func(c *chain, msg *types.MsgClaimSigner) {
			c.mustRun(claimOf(msg.Signer, 0, "mine"))
			c.endBlock()
			msg.ExpectedTerm = 1
		}, types.ErrInvalidClaim},
		{"of a stranger", func(_ *chain, msg *types.MsgClaimSigner) { msg.Signer = stranger }, types.ErrInvalidSigner},
		{"of no address", func(_ *chain, msg *types.MsgClaimSigner) { msg.Signer = "x" }, types.ErrInvalidSigner},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, vals := startChain(t, testParams(), 3)
			msg := claimOf(vals[0].account(), 0, "mine")
			tt.change(c, msg)
			before := c.dump()
			_, ok, err := c.k.ExemptVote(c.ctx, msg)
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.err == nil, ok)
			require.ErrorIs(t, c.run(msg), tt.err)
			if tt.err != nil {
				require.Equal(t, before, c.dump())
			}
		})
	}
}

// Who has something to act for may claim for nothing, and a few times in a while.
func TestFreeClaims(t *testing.T) {
	c, vals := startChain(t, testParams(), 4)
	v := vals[0]
	former := v.account()
	may := func(address string) error {
		res, err := c.query.SignerTerm(c.ctx, &types.QuerySignerTermRequest{Address: address})
		require.NoError(t, err)
		_, _, err = c.k.ExemptVote(c.ctx, claimOf(address, res.Term, fmt.Sprint(c.ctx.BlockHeight()%10)))
		return err
	}
	require.NoError(t, may(former))
	v.gone = true
	require.ErrorIs(t, may(former), types.ErrNotMember, "its operator is no validator")
	v.gone = false
	id := c.startChurn()[0]
	v.signer = signerKey("new")
	c.mustRun(v.register())
	require.NoError(t, may(former), "it is replaced, and in a keygen that is open")
	require.NoError(t, may(v.account()))
	first := newVault("first")
	c.complete(id, first)
	require.NoError(t, may(former), "its vault lives")
	c.complete(c.startChurn()[0], newVault("second"))
	require.NoError(t, may(former), "its vault retires")
	c.mustRun(&types.MsgRetireVault{Authority: authority, Vault: first.name()})
	require.ErrorIs(t, may(former), types.ErrNotMember)
	c.mustRun(claimOf(former, 0, "paying"))

	free := func() (uint32, int64) {
		res, err := c.query.SignerTerm(c.ctx, &types.QuerySignerTermRequest{Address: v.account()})
		require.NoError(t, err)
		return res.FreeClaims, res.FreeClaimsHeight
	}
	begin := c.ctx.BlockHeight()
	for i := range types.MaxExemptClaims {
		exemption, ok, err := c.k.ExemptVote(c.ctx, claimOf(v.account(), 0, "x"))
		require.NoError(t, err)
		require.True(t, ok)
		require.True(t, exemption.Claim)
		require.NoError(t, c.k.CountAttempt(c.ctx, exemption))
		left, anew := free()
		require.EqualValues(t, types.MaxExemptClaims-1-i, left)
		require.Equal(t, begin+types.ClaimWindowBlocks, anew)
		c.endBlock()
	}
	for c.ctx.BlockHeight() < begin+types.ClaimWindowBlocks {
		require.ErrorIs(t, may(v.account()), types.ErrTooManyAttempts)
		c.endBlock()
	}
	require.NoError(t, may(v.account()))
	left, anew := free()
	require.EqualValues(t, types.MaxExemptClaims, left)
	require.Zero(t, anew)
	// A node that only checks looks at the next block.
	_, _, err := c.k.ExemptVote(c.ctx.WithBlockHeight(begin+types.ClaimWindowBlocks-1).WithIsCheckTx(true),
		claimOf(v.account(), 0, "x"))
	require.NoError(t, err)
}

func TestTheTermOfAStranger(t *testing.T) {
	c, _ := startChain(t, testParams(), 3)
	for address, code := range map[string]codes.Code{
		bech(bytes.Repeat([]byte{1}, 20)): codes.NotFound, "x": codes.InvalidArgument,
	} {
		_, err := c.query.SignerTerm(c.ctx, &types.QuerySignerTermRequest{Address: address})
		require.Equal(t, code, status.Code(err))
	}
	_, err := c.query.SignerTerm(c.ctx, nil)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

func TestGenesisOfTerms(t *testing.T) {
	c, vals := startChain(t, testParams(), 3)
	for _, v := range vals[:2] {
		exemption, _, err := c.k.ExemptVote(c.ctx, claimOf(v.account(), 0, "x"))
		require.NoError(t, err)
		require.NoError(t, c.k.CountAttempt(c.ctx, exemption))
		c.mustRun(claimOf(v.account(), 0, "x"))
	}
	require.Equal(t, c.dump(), exportInto(t, c).dump(), "in the block of the claims")
	c.endBlock()
	require.Equal(t, c.dump(), exportInto(t, c).dump())
	for name, change := range map[string]func(gs *types.GenesisState){
		"a term of no signer":           func(gs *types.GenesisState) { gs.SignerTerms[0].Address = []byte{1} },
		"a term twice":                  func(gs *types.GenesisState) { gs.SignerTerms[1] = gs.SignerTerms[0] },
		"a term without a number":       func(gs *types.GenesisState) { gs.SignerTerms[0].Term.Term = 0 },
		"a term without a next one":     func(gs *types.GenesisState) { gs.SignerTerms[0].Term.Term = 1<<64 - 1 },
		"a term of a negative height":   func(gs *types.GenesisState) { gs.SignerTerms[0].Term.Height = -1 },
		"a term with a short nonce":     func(gs *types.GenesisState) { gs.SignerTerms[0].Term.Nonce = nil },
		"a term with unprintable words": func(gs *types.GenesisState) { gs.SignerTerms[0].Term.Addresses = "\x00" },
		"claims of no signer":           func(gs *types.GenesisState) { gs.Claims[0].Address = []byte{1} },
		"claims twice":                  func(gs *types.GenesisState) { gs.Claims[1] = gs.Claims[0] },
		"no claims":                     func(gs *types.GenesisState) { gs.Claims[0].Window.Count = 0 },
		"too many claims": func(gs *types.GenesisState) {
			gs.Claims[0].Window.Count = types.MaxExemptClaims + 1
		},
		"claims before the first block": func(gs *types.GenesisState) { gs.Claims[0].Window.Start = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			gs := c.export()
			change(gs)
			require.ErrorIs(t, gs.Validate(), types.ErrInvalidGenesis)
		})
	}
	gs := c.export()
	gs.SignerTerms[0].Term.Height = c.ctx.BlockHeight() + 1
	require.ErrorIs(t, newChain(t, c.staking).k.InitGenesis(c.ctx, *gs), types.ErrInvalidGenesis)
}

// claim has any signer that ever was claim, mostly the next term.
func (l *life) claim(rt *rapid.T) {
	if len(l.m.owner) == 0 {
		rt.Skip("no signer")
	}
	address := rapid.SampledFrom(slices.Sorted(maps.Keys(l.m.owner))).Draw(rt, "signer")
	before := l.m.terms[address]
	expected := before.number
	if rapid.IntRange(0, 3).Draw(rt, "late") == 0 {
		expected += rapid.Uint64Range(1, 2).Draw(rt, "by") - 2*rapid.Uint64Range(0, 1).Draw(rt, "less")
	}
	msg := claimOf(address, expected, fmt.Sprint(before.number%2))
	var want error
	if expected != before.number || before.number != 0 && before.height == l.m.height {
		want = types.ErrOtherTerm
	}
	window := l.m.claims[address]
	if l.m.height >= window.Start+types.ClaimWindowBlocks {
		window = types.Window{}
	}
	wantExempt := want
	switch {
	case want != nil:
	case !l.m.acts(address):
		wantExempt = types.ErrNotMember
	case window.Count == types.MaxExemptClaims:
		wantExempt = types.ErrTooManyAttempts
	}
	exemption, ok, err := l.c.k.ExemptVote(l.c.ctx, msg)
	require.ErrorIs(l.t, err, wantExempt)
	if ok && rapid.Bool().Draw(rt, "exempt") {
		require.NoError(l.t, l.c.k.CountAttempt(l.c.ctx, exemption))
		if window.Count == 0 {
			window.Start = l.m.height
		}
		window.Count++
		l.m.claims[address] = window
	}
	require.ErrorIs(l.t, l.c.run(msg), want)
	if want == nil {
		l.m.terms[address] = modelTerm{number: before.number + 1, height: l.m.height}
	}
}

// fenced has an instance of a member act that is not the one whose term holds.
func (l *life) fenced(rt *rapid.T) {
	k := l.anyKeygen(rt)
	m := rapid.SampledFrom(k.members).Draw(rt, "member")
	other := l.m.term(m.address) + 1
	if l.m.term(m.address) > 0 && rapid.Bool().Draw(rt, "older") {
		other = rapid.Uint64Range(0, l.m.term(m.address)-1).Draw(rt, "term")
	}
	join := newJoin(k.id, m.key, "fenced").msg
	vote := l.made(k).result(k.id, m.address, nil)
	blame, check := blame(k.id, m.address), l.made(k).signed(k.id, m.address)
	join.Term, vote.Term, blame.Term, check.Term = other, other, other, other
	before := l.c.dump()
	for _, msg := range []sdk.Msg{join, vote, blame, check} {
		_, ok, err := l.c.k.ExemptVote(l.c.ctx, msg)
		require.False(l.t, ok)
		if k.status == open && !k.deleted {
			require.ErrorIs(l.t, err, types.ErrOtherTerm)
		}
		require.Error(l.t, err)
		require.Error(l.t, l.c.handle(msg))
	}
	require.Equal(l.t, before, l.c.dump())
}

// compareTerms checks that the claims in state are the model's.
func (l *life) compareTerms() {
	terms, claims := map[string]modelTerm{}, map[string]types.Window{}
	gs := l.c.export()
	for _, t := range gs.SignerTerms {
		terms[bech(t.Address)] = modelTerm{number: t.Term.Term, height: t.Term.Height}
	}
	for _, w := range gs.Claims {
		claims[bech(w.Address)] = w.Window
	}
	require.Equal(l.t, l.m.terms, terms)
	require.Equal(l.t, l.m.claims, claims)
}
