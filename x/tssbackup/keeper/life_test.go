package keeper_test

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	sdksecp256k1 "github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// TestLife has any number of validators do anything in any order, and compares the chain with the
// model after each step.
func TestLife(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := newLife(t, rt)
		rt.Repeat(map[string]func(*rapid.T){
			"":          l.compare,
			"block":     l.block,
			"blocks":    l.blocks,
			"deadline":  l.deadline,
			"join":      l.join,
			"check":     l.check,
			"start":     l.start,
			"vote":      l.vote,
			"agree":     l.agree,
			"churn":     l.churn,
			"attempts":  l.attempts,
			"blame":     l.blame,
			"all blame": l.allBlame,
			"publish":   l.publish,
			"retire":    l.retire,
			"reshare":   l.reshare,
			"hand over": l.handOver,
			"culprit":   l.failedAttempt,
			"claim":     l.claim,
			"fenced":    l.fenced,
			"validator": l.changeValidator,
			"replay":    l.replay,
			"params":    l.changeParams,
			"genesis":   l.genesis,
		})
	})
}

type life struct {
	t     *testing.T
	c     *chain
	m     *model
	hooks *fakeHooks
	vals  []*validator
	keys  int // how many signer keys there are
	// sent are the registrations that were accepted, and latest the index of the latest recipient
	// key of each signer.
	sent   []registration
	latest map[string]uint32
	// joins is how many there were, and sessions are the ids of each keygen's attempts.
	joins    int
	sessions map[uint64][][]byte
}

func newLife(t *testing.T, rt *rapid.T) *life {
	params := genParams().Draw(rt, "params")
	n := rapid.IntRange(0, 14).Draw(rt, "validators")
	l := &life{t: t, c: newChain(t, &fakeStaking{}), latest: map[string]uint32{}, sessions: map[uint64][][]byte{}, m: &model{
		params: params,
		height: 1,
		sitOut: map[*validator]modelSitOut{},
		owner:  map[string]*validator{},
		terms:  map[string]modelTerm{},
		claims: map[string]types.Window{},
	}}
	l.hooks = &fakeHooks{}
	l.c.k.SetHooks(l.hooks)
	require.NoError(t, l.c.k.InitGenesis(l.c.ctx, types.GenesisState{Params: params}))
	if params.ChurnInterval > 0 {
		l.m.next = 1 + int64(params.ChurnInterval)
	}
	for i := range n {
		v := newValidator(i)
		l.vals = append(l.vals, v)
		l.c.staking.validators = append(l.c.staking.validators, v)
		l.register(v)
	}
	return l
}

func genParams() *rapid.Generator[types.Params] {
	fraction := rapid.SampledFrom([]types.Fraction{
		{Numerator: 1, Denominator: 100},
		{Numerator: 1, Denominator: 2},
		{Numerator: 3, Denominator: 4},
		{Numerator: 5, Denominator: 6},
		{Numerator: 1, Denominator: 1},
	})
	return rapid.Custom(func(t *rapid.T) types.Params {
		p := testParams()
		p.KeygenDeadline = rapid.Uint64Range(testDeadline, testDeadline+16).Draw(t, "deadline")
		if rapid.Bool().Draw(t, "by itself") {
			p.ChurnInterval = p.KeygenDeadline + rapid.Uint64Range(1, 10).Draw(t, "interval")
		}
		p.RetryInterval = rapid.Uint64Range(0, 5).Draw(t, "retry")
		if rapid.Bool().Draw(t, "penalty") {
			p.PenaltyBlocks = cmp.Or(p.RetryInterval, p.ChurnInterval) + rapid.Uint64Range(1, 12).Draw(t, "penalty blocks")
		} else {
			p.PenaltyBlocks = 0
		}
		p.MaxTries = rapid.Uint32Range(1, 4).Draw(t, "tries")
		p.MaxVaultMembers = rapid.SampledFrom([]uint32{5, 6, 9, 40}).Draw(t, "max members")
		p.MinCoverage = fraction.Draw(t, "coverage")
		p.Sample = fraction.Draw(t, "sample")
		if p.Validate() != nil { // the largest vault bears nobody absent
			p.Sample = types.Fraction{Numerator: 1, Denominator: 1}
		}
		size := int(p.MaxVaultMembers)
		p.PenaltyWindow = uint64(size-threshold(size)+1)*(p.KeygenDeadline+cmp.Or(p.RetryInterval, p.ChurnInterval)) +
			rapid.Uint64Range(0, 20).Draw(t, "penalty window")
		p.RetirementDelay = rapid.SampledFrom([]uint64{0, 0, 1, 6}).Draw(t, "retirement delay")
		p.ProofsOptional = rapid.IntRange(0, 2).Draw(t, "proofs optional") == 0
		p.SplitBackups = rapid.Bool().Draw(t, "split backups")
		if rapid.Bool().Draw(t, "held by members") {
			p.Placement = members
		}
		p.KeygenRetention = rapid.SampledFrom([]uint64{0, 1, 5, 20}).Draw(t, "keygen retention")
		p.ProofRetention = rapid.SampledFrom([]uint64{0, 1, 5}).Draw(t, "proof retention")
		p.EpochGrace = rapid.SampledFrom([]uint64{0, 1, 7}).Draw(t, "epoch grace")
		return p
	})
}

func (l *life) register(v *validator) {
	err := l.c.run(v.register())
	if v.gone {
		require.ErrorIs(l.t, err, types.ErrInvalidOperator)
		return
	}
	require.NoError(l.t, err)
	v.registered = true
	l.m.owner[v.account()] = v
	l.sent = append(l.sent, registration{v, v.signer, v.recipient, v.register()})
	l.latest[v.account()] = v.recipient
}

// registration is one that was sent, for whoever saw it to send again.
type registration struct {
	of        *validator
	signer    *sdksecp256k1.PrivKey
	recipient uint32
	msg       *types.MsgRegisterSigner
}

// replay sends a registration again.
func (l *life) replay(rt *rapid.T) {
	if len(l.sent) == 0 {
		rt.Skip("none was sent")
	}
	r := rapid.SampledFrom(l.sent).Draw(rt, "registration")
	address := bech(types.SignerAddress(r.msg.PubKey))
	err := l.c.run(r.msg)
	switch {
	case r.of.gone:
		require.ErrorIs(l.t, err, types.ErrInvalidOperator)
	case r.recipient < l.latest[address]:
		require.ErrorIs(l.t, err, types.ErrInvalidRecipient)
	case r.of.account() == address:
		require.ErrorIs(l.t, err, types.ErrSignerPresent)
	default:
		require.NoError(l.t, err)
		r.of.signer, r.of.recipient = r.signer, r.recipient
	}
}

// block ends a block.
func (l *life) block(*rapid.T) {
	known := len(l.m.keygens)
	opens := l.m.endBlock(l.vals)
	l.c.endBlock()
	for _, k := range l.m.keygens[known:] {
		l.reopened(k)
	}
	if opens {
		l.opened()
	}
	l.m.height++
}

func (l *life) blocks(rt *rapid.T) {
	for range rapid.IntRange(2, 12).Draw(rt, "blocks") {
		l.block(rt)
	}
}

// deadline ends blocks until the open churn has its deadline.
func (l *life) deadline(rt *rapid.T) {
	c := l.m.open()
	if c == nil {
		rt.Skip("no churn is open")
	}
	for c.status == types.ChurnStatus_CHURN_STATUS_OPEN {
		l.block(rt)
	}
}

func (l *life) start(*rapid.T) {
	err := l.c.run(&types.MsgStartChurn{Authority: authority})
	if l.m.open() != nil {
		require.ErrorIs(l.t, err, types.ErrChurnOpen)
		return
	}
	require.NoError(l.t, err)
	if len(l.m.candidates(l.vals)) < 3 {
		require.True(l.t, l.c.emitted("EventChurnSkipped"))
		return
	}
	l.opened()
}

// reopened takes over who of a keygen that is tried again is asked.
func (l *life) reopened(k *modelKeygen) {
	keygen := l.c.keygen(k.id)
	require.Len(l.t, keygen.Members, len(k.members))
	asked := 0
	for i, m := range keygen.Members {
		require.Equal(l.t, k.members[i].address, bech(m.Address()), "the members that were not at fault")
		k.members[i].asked, k.members[i].key = m.Asked, m
		if m.Asked {
			asked++
		}
	}
	require.Equal(l.t, l.m.asked(len(k.members)), asked)
	require.Greater(l.t, k.threshold, k.bears, "the malicious of the first try never get a threshold")
}

// opened takes over the churn that the chain has opened, after it checked that its keygens are what
// they must be.
func (l *life) opened() {
	t := l.t
	var want []string
	for _, v := range l.m.candidates(l.vals) {
		want = append(want, v.account())
	}
	id := uint64(len(l.m.churns) + 1)
	churn, err := l.c.k.Churns.Get(l.c.ctx, id)
	require.NoError(t, err)
	height := l.m.height
	c := &modelChurn{
		status: types.ChurnStatus_CHURN_STATUS_OPEN, opened: height, deadline: height + int64(l.m.params.KeygenDeadline),
	}
	var got []string
	var sizes []int
	for _, id := range churn.KeygenIds {
		keygen := l.c.keygen(id)
		var members []modelMember
		asked := 0
		for _, m := range keygen.Members {
			address := bech(m.Address())
			got = append(got, address)
			members = append(members, modelMember{address, m.Asked, m, l.m.owner[address].recipient})
			if m.Asked {
				asked++
			}
		}
		k := l.m.newKeygen(c, id, 1, members)
		n := len(members)
		require.Equal(t, l.m.asked(n), asked)
		require.Greater(t, 2*k.needed, n, "two results cannot both have enough")
		sizes = append(sizes, n)
		c.keygens = append(c.keygens, k)
	}
	require.ElementsMatch(t, want, got)
	require.ElementsMatch(t, l.m.sizes(len(want)), sizes)
	require.GreaterOrEqual(t, slices.Min(sizes), 3)
	l.m.churns = append(l.m.churns, c)
	l.m.keygens = append(l.m.keygens, c.keygens...)
	l.m.next = 0
	if l.m.params.ChurnInterval > 0 {
		l.m.next = height + int64(l.m.params.ChurnInterval)
	}
}

// anyKeygen draws a keygen, mostly of the latest churn.
func (l *life) anyKeygen(rt *rapid.T) *modelKeygen {
	if len(l.m.churns) == 0 {
		rt.Skip("no keygen")
	}
	if rapid.IntRange(0, 9).Draw(rt, "old") == 0 {
		return rapid.SampledFrom(l.m.keygens).Draw(rt, "keygen")
	}
	return rapid.SampledFrom(l.m.churns[len(l.m.churns)-1].keygens).Draw(rt, "keygen")
}

// anyMember draws a member of the keygen, or someone else.
func (l *life) anyMember(rt *rapid.T, k *modelKeygen) string {
	if rapid.IntRange(0, 9).Draw(rt, "stranger") == 0 {
		return rapid.SampledFrom(l.vals).Draw(rt, "validator").account()
	}
	return rapid.SampledFrom(k.participants()).Draw(rt, "member").address
}

// anyVault draws a result: mostly the one the members made, sometimes another, one with the same
// first key, one that a sibling votes for too, or an old one.
func (l *life) anyVault(rt *rapid.T, k *modelKeygen) vaultKeys {
	made := l.made(k)
	switch rapid.IntRange(0, 9).Draw(rt, "result") {
	case 0:
		made = newVault(fmt.Sprint("wrong ", k.id))
	case 1:
		made.ed = newVault(fmt.Sprint("wrong ", k.id)).ed
	case 2:
		made = newVault(fmt.Sprint("shared ", k.churn.opened))
	case 3:
		if len(l.m.vaults) > 0 {
			made = rapid.SampledFrom(l.m.vaults).Draw(rt, "vault").keys
		}
	}
	return made
}

func (l *life) made(k *modelKeygen) vaultKeys {
	if k.reshares != nil {
		return k.reshares.keys
	}
	return newVault(fmt.Sprint("made ", k.id))
}

// What a vote for a result comes with. In a split keygen its group part stands for the public
// shares: a vote carries it unless one stands, and else names it.
const (
	plain       = iota // neither public shares nor a proof
	withShares         // public shares alone
	whole              // public shares and, beside an envelope, a proof
	falseShares        // those of another vault
	falseProof
	// In a split keygen alone.
	carrying     // the group part, whether one stands or not
	nameOnly     // its hash, whether one stands or not
	namingOther  // a hash that is none
	carryAndName // both
	sharesBeside // public shares beside the group part
	// In a keygen whose members hold the envelopes alone.
	listing         // the list, whether one stands or not
	nameListOnly    // its hash, whether one stands or not
	namingOtherList // a hash that is none
	listAndName     // both
	noList          // neither
	otherList       // a list of other envelopes
	envelopeBeside  // an envelope beside the list
	lastWith
)

// usual is what votes in a keygen come with: all that is required, and in every other keygen also
// what is not.
func usual(k *modelKeygen) int {
	if k.requires || k.id%2 == 0 || k.reshares != nil {
		return whole
	}
	return plain
}

// vote casts any vote for a result, first as the ante handler sees it.
func (l *life) vote(rt *rapid.T) {
	k := l.anyKeygen(rt)
	with := usual(k)
	if rapid.IntRange(0, 2).Draw(rt, "unusual") == 0 {
		with = rapid.IntRange(plain, lastWith-1).Draw(rt, "with")
	}
	certificate := needed
	if rapid.IntRange(0, 2).Draw(rt, "certificate") == 0 {
		certificate = rapid.IntRange(noCertificate, former).Draw(rt, "brings")
	}
	l.castResult(k, l.anyMember(rt, k), l.anyVault(rt, k), with, certificate, rapid.Bool().Draw(rt, "exempt"))
}

// joinAll has all members of a keygen join who may, so that another attempt begins if all may.
func (l *life) joinAll(k *modelKeygen) {
	for _, m := range k.participants() {
		l.castJoin(k, m.address, false)
	}
}

// join has anyone join, or all members.
func (l *life) join(rt *rapid.T) {
	k := l.anyKeygen(rt)
	if rapid.Bool().Draw(rt, "all") {
		l.joinAll(k)
		return
	}
	var failedBy []string
	if k.deals != nil {
		for range rapid.IntRange(0, 2).Draw(rt, "names") {
			failedBy = append(failedBy, l.anyMember(rt, k))
		}
	}
	l.castJoin(k, l.anyMember(rt, k), rapid.Bool().Draw(rt, "exempt"), failedBy...)
}

// failedAttempt has all who take part in a reshare join another attempt and name whom one failed by.
func (l *life) failedAttempt(rt *rapid.T) {
	k := l.anyKeygen(rt)
	if k.deals == nil {
		rt.Skip("no reshare")
	}
	var culprits []string
	for _, m := range k.deals.members {
		if len(culprits) < 8 && rapid.IntRange(0, 2).Draw(rt, "culprit") == 0 {
			culprits = append(culprits, m.address)
		}
	}
	for _, m := range k.participants() {
		l.castJoin(k, m.address, false, slices.DeleteFunc(slices.Clone(culprits), func(a string) bool {
			return a == m.address
		})...)
	}
}

func (l *life) castJoin(k *modelKeygen, address string, exempt bool, failedBy ...string) {
	m, takesPart := k.participant(address)
	if !takesPart {
		m.key = types.Member{PubKey: l.m.owner[address].signer.PubKey().Bytes()}
	}
	l.joins++
	msg := newJoin(k.id, m.key, fmt.Sprint("join ", l.joins)).msg
	msg.Signer, msg.Term, msg.FailedBy = address, l.m.term(address), failedBy
	want := k.mayJoin(address, l.m.height)
	l.ante(msg, k, address, want, exempt)
	if want == nil {
		want = k.mayName(address, failedBy)
	}
	require.ErrorIs(l.t, l.c.run(msg), want)
	if want != nil {
		return
	}
	k.joined[address] = true
	k.named[address] = failedBy
	k.exclude()
	if !k.begins() {
		return
	}
	session, err := l.c.k.Sessions.Get(l.c.ctx, k.id)
	require.NoError(l.t, err)
	l.sessions[k.id] = append(l.sessions[k.id], session.Id)
	l.requireDealers(k, session.Dealers)
	clear(k.joined)
	k.attempt++
}

// requireDealers checks that exactly a threshold of those who have joined and may deal do, and in
// which order.
func (l *life) requireDealers(k *modelKeygen, dealers []types.Dealer) {
	if k.deals == nil {
		require.Empty(l.t, dealers)
		return
	}
	require.Len(l.t, dealers, k.deals.threshold)
	require.True(l.t, slices.IsSortedFunc(dealers, func(a, b types.Dealer) int {
		return bytes.Compare(a.PubKey, b.PubKey)
	}))
	for _, d := range dealers {
		address := bech(types.SignerAddress(d.PubKey))
		require.True(l.t, k.joined[address])
		require.Contains(l.t, k.able(), mustMember(k.deals.member(address)))
	}
}

func mustMember(m modelMember, ok bool) modelMember {
	if !ok {
		panic("no member")
	}
	return m
}

// agree has members vote what they made, all of them or all but a few, and mostly the vault sign.
func (l *life) agree(rt *rapid.T) {
	k := l.anyKeygen(rt)
	if k.attempt == 0 {
		l.joinAll(k)
	}
	but := rapid.IntRange(0, 2*len(k.members)).Draw(rt, "but")
	vault := l.made(k)
	if rapid.IntRange(0, 9).Draw(rt, "collide") == 0 {
		vault = newVault(fmt.Sprint("shared ", k.churn.opened))
	}
	for i, m := range k.members {
		if i != but {
			l.castResult(k, m.address, vault, usual(k), needed, true)
		}
	}
	if rapid.IntRange(0, 3).Draw(rt, "checked") > 0 {
		l.castCheck(k, l.anyMember(rt, k), vault, true)
	}
}

// check has anyone bring signatures of a vault.
func (l *life) check(rt *rapid.T) {
	k := l.anyKeygen(rt)
	vault := l.made(k)
	if k.certificate != nil && rapid.Bool().Draw(rt, "true") {
		vault = *k.certificate.vault
	}
	l.castCheck(k, l.anyMember(rt, k), vault, rapid.Bool().Draw(rt, "exempt"))
}

func (l *life) castCheck(k *modelKeygen, address string, vault vaultKeys, exempt bool) {
	msg := vault.signed(k.id, address)
	msg.Term = l.m.term(address)
	want := k.mayCheck(address)
	l.ante(msg, k, address, want, exempt)
	if want == nil && (vault.name() != k.certificate.vault.name() || !vault.ed.Equal(k.certificate.vault.ed)) {
		want = types.ErrInvalidSignature
	}
	require.ErrorIs(l.t, l.c.run(msg), want)
	if want == nil {
		k.certificate.checked = true
	}
}

// churn has a whole churn agree, unless two of its keygens claim one vault.
func (l *life) churn(rt *rapid.T) {
	if l.m.open() == nil {
		l.start(rt)
	}
	c := l.m.open()
	if c == nil {
		rt.Skip("too few members")
	}
	collide := rapid.IntRange(0, 3).Draw(rt, "collide") == 0
	for _, k := range c.keygens {
		if k.attempt == 0 {
			l.joinAll(k)
		}
		vault := l.made(k)
		if collide {
			vault = newVault(fmt.Sprint("shared ", c.opened))
		}
		for _, m := range k.members {
			l.castResult(k, m.address, vault, usual(k), needed, false)
		}
		l.castCheck(k, k.members[0].address, vault, false)
		if rapid.IntRange(0, 3).Draw(rt, "between") == 0 {
			l.block(rt)
		}
	}
	l.block(rt)
}

// attempts has a member use up its exempt attempts with votes whose certificates are false.
func (l *life) attempts(rt *rapid.T) {
	k := l.anyKeygen(rt)
	address := l.anyMember(rt, k)
	for range rapid.IntRange(1, 4).Draw(rt, "count") {
		l.castResult(k, address, l.made(k), usual(k), falseCertificate, true)
	}
}

// What a vote for a result brings to show that all members have it.
const (
	needed           = iota // a certificate when none stands, and else none
	noCertificate           // never one
	always                  // one of the latest attempt, whether one stands or not
	falseCertificate        // one that a member has not signed
	former                  // one of the attempt before, when there was one
)

func (l *life) castResult(k *modelKeygen, address string, vault vaultKeys, with, certificate int, exempt bool) {
	member, isMember := k.member(address)
	var env []byte
	if member.asked && (!k.held || with == envelopeBeside) {
		env = envelope(fmt.Sprint(k.id, address), 100)
	}
	msg := vault.result(k.id, address, env)
	msg.Term = l.m.term(address)
	if k.held && isMember {
		l.list(msg, k, with)
	}
	if isMember && with != plain {
		vault.prove(msg, k.keys(), member.key, member.recipient)
		if k.held && member.asked && msg.Proof == nil {
			// It names the list, or has none.
			shares := vault.deal(k.keys()).Public
			msg.Proof = dealer.FakeProof(vault.statement(shares, k.id, member.key, member.recipient))
		}
		switch with {
		case withShares:
			msg.Proof = nil
		case falseShares:
			shares := newVault("false shares").deal(k.keys()).Public
			msg.PublicShares = &shares
		case falseProof:
			if len(msg.Proof) > 0 {
				msg.Proof[len(msg.Proof)-1] ^= 1
			}
		}
	}
	if k.split && isMember {
		l.group(msg, k, vault, with)
	}
	certified := l.certify(msg, k, certificate)
	want := k.mayVote(address)
	switch {
	case want != nil:
	case (k.requires || k.reshares != nil) && !k.split && msg.PublicShares == nil:
		want = types.ErrInvalidShares
	case k.requires && member.asked && msg.Proof == nil:
		want = types.ErrProofMissing
	case k.split && msg.PublicShares != nil:
		want = types.ErrInvalidShares
	case k.split && (len(msg.Group) != 0) == (len(msg.GroupHash) != 0):
		want = types.ErrInvalidGroup
	case k.split && len(msg.GroupHash) != 0 && len(msg.Certificate) != 0:
		want = types.ErrInvalidGroup
	case len(msg.GroupHash) != 0 && (k.certificate == nil || with == namingOther || with == falseShares ||
		!same(vault, *k.certificate.vault)):
		want = types.ErrGroupUnknown
	case k.held && env != nil:
		want = types.ErrHeldByMembers
	case k.held && (len(msg.Envelopes) != 0) == (len(msg.EnvelopesHash) != 0):
		want = types.ErrInvalidEnvelopes
	case len(msg.EnvelopesHash) != 0 && len(msg.Certificate) != 0:
		want = types.ErrInvalidEnvelopes
	case len(msg.EnvelopesHash) != 0 && (k.certificate == nil || with == namingOtherList):
		want = types.ErrEnvelopesUnknown
	case k.certificate != nil:
		if vault.name() != k.certificate.vault.name() || !vault.ed.Equal(k.certificate.vault.ed) {
			want = types.ErrCertified
		}
	case len(msg.Certificate) == 0 || l.m.height > k.certifyUntil():
		want = types.ErrNoCertificate
	}
	l.ante(msg, k, address, want, exempt)
	shares := msg.PublicShares != nil || k.split
	switch {
	case want != nil:
	case k.reshares != nil && k.certificate == nil && !same(vault, k.reshares.keys):
		want = types.ErrInvalidResult
	case k.reshares == nil && l.m.vaultNamed(vault.name()) != nil:
		want = types.ErrVaultExists
	case k.certificate != nil && (k.certificate.shares != shares || shares && with == falseShares):
		want = types.ErrCertified
	case k.certificate != nil && len(msg.Envelopes) != 0 && !bytes.Equal(msg.Envelopes, k.certificate.list):
		want = types.ErrCertified
	case k.certificate == nil && !certified:
		want = types.ErrInvalidCertificate
	case with == falseShares:
		want = types.ErrInvalidShares
	case with == falseProof && member.asked:
		want = types.ErrInvalidProof
	}
	require.ErrorIs(l.t, l.c.handle(msg), want)
	if want != nil {
		return
	}
	if k.certificate == nil {
		k.certificate = &modelCertificate{
			vault: &vault, shares: shares, attempt: k.attempt, height: l.m.height, list: msg.Envelopes,
		}
	}
	vote := modelVote{vault: &vault, height: l.m.height, shares: shares, proven: msg.Proof != nil}
	switch {
	case env != nil:
		vote.sha = commitment(env)
	case member.asked:
		vote.sha = k.listed(address)
	}
	k.votes[address] = vote
	delete(k.attempts, address)
}

// list has a member's vote list the envelopes that the members hold, or name the list.
func (l *life) list(msg *types.MsgTssPool, k *modelKeygen, with int) {
	of := types.Keygen{Id: k.id, Members: k.keys()}
	list := heldBy(of)
	if k.certificate != nil {
		list = k.certificate.list
	}
	if with == otherList {
		of.Id += 1000
		list = heldBy(of)
	}
	if k.certificate == nil && with != nameListOnly && with != namingOtherList ||
		with == listing || with == listAndName || with == otherList {
		msg.Envelopes = list
	}
	switch {
	case with == namingOtherList:
		msg.EnvelopesHash = types.EnvelopesHash(nil)
	case len(msg.Envelopes) == 0 || with == listAndName:
		msg.EnvelopesHash = types.EnvelopesHash(list)
	}
	if with == noList {
		msg.Envelopes, msg.EnvelopesHash = nil, nil
	}
}

// listed is the hash of a member's envelope in the list that the certificate names.
func (k *modelKeygen) listed(address string) string {
	at := 0
	for _, m := range k.members {
		if m.address == address {
			entry := k.certificate.list[at*types.EnvelopeEntryBytes:]
			return hex.EncodeToString(entry[:types.HashSize])
		}
		if m.asked {
			at++
		}
	}
	panic("no member")
}

// group has a member's vote in a split keygen bring the group part, or name it.
func (l *life) group(msg *types.MsgTssPool, k *modelKeygen, vault vaultKeys, with int) {
	if with != sharesBeside {
		msg.PublicShares = nil
	}
	of := vault
	if with == falseShares {
		of = newVault("false shares")
	}
	group := of.group(k.keys())
	carried := *msg
	carried.Group = group
	hash := resultOf(&carried, k.keys()).SharesHash
	carries := k.certificate == nil || with == carrying || with == carryAndName
	if carries && with != nameOnly && with != namingOther {
		msg.Group = group
	}
	switch {
	case with == namingOther:
		msg.GroupHash = newVault("no vault").pubKey()[:32]
	case len(msg.Group) == 0 || with == carryAndName:
		msg.GroupHash = hash
	}
}

// same reports whether two vaults have the same keys.
func same(a, b vaultKeys) bool { return a.name() == b.name() && a.ed.Equal(b.ed) }

// certify gives a vote what it brings, and reports whether that is signed by all members in the
// latest attempt.
func (l *life) certify(msg *types.MsgTssPool, k *modelKeygen, with int) bool {
	if with == noCertificate || with == needed && k.certificate != nil {
		return false
	}
	var session []byte
	attempts := len(l.sessions[k.id])
	if with == former && attempts > 1 {
		session = l.sessions[k.id][attempts-2]
	} else if attempts > 0 {
		session = l.sessions[k.id][attempts-1]
	}
	msg.Certificate = certificate(k.keys(), session, resultOf(msg, k.keys()))
	if with == falseCertificate {
		msg.Certificate[len(msg.Certificate)-1] ^= 1
	}
	return attempts > 0 && with != falseCertificate && (with != former || attempts == 1)
}

// ante asks what the ante handler asks, and counts an attempt as it does.
func (l *life) ante(msg sdk.Msg, k *modelKeygen, address string, want error, count bool) {
	counts, limit := k.smalls, types.MaxExemptJoins
	vote, isVote := msg.(*types.MsgTssPool)
	if isVote {
		counts, limit = k.attempts, types.MaxExemptAttempts
	}
	if want == nil && counts[address] >= uint64(limit) {
		want = types.ErrTooManyAttempts
	}
	v, ok, err := l.c.k.ExemptVote(l.c.ctx, msg)
	require.ErrorIs(l.t, err, want)
	require.Equal(l.t, want == nil, ok)
	if !ok || !count {
		return
	}
	require.Equal(l.t, k.id, v.KeygenID)
	require.Equal(l.t, address, bech(v.Member))
	require.Equal(l.t, !isVote, v.Small)
	if isVote {
		require.Equal(l.t, vote.KeysharesBackup, v.Envelope)
	}
	require.NoError(l.t, l.c.k.CountAttempt(l.c.ctx, v))
	counts[address]++
}

func (l *life) blame(rt *rapid.T) {
	k := l.anyKeygen(rt)
	address := l.anyMember(rt, k)
	var blamed []string
	for range rapid.IntRange(0, 3).Draw(rt, "count") {
		blamed = append(blamed, l.anyMember(rt, k))
	}
	l.castBlame(k, address, blamed, rapid.Bool().Draw(rt, "exempt"))
}

// allBlame has all members who can blame some of those who take part, or nobody, mostly when they may.
func (l *life) allBlame(rt *rapid.T) {
	k := l.anyKeygen(rt)
	var named []string
	for range rapid.IntRange(0, 3).Draw(rt, "named") {
		whom := rapid.SampledFrom(k.participants()).Draw(rt, "whom").address
		if !slices.Contains(named, whom) {
			named = append(named, whom)
		}
	}
	if rapid.IntRange(0, 3).Draw(rt, "when they may") > 0 {
		for k.status == open && l.m.height <= k.certifyUntil() {
			l.block(rt)
		}
	}
	for _, m := range k.members {
		if !slices.Contains(named, m.address) {
			l.castBlame(k, m.address, named, false)
		}
	}
}

func (l *life) castBlame(k *modelKeygen, address string, blamed []string, exempt bool) {
	msg := blame(k.id, address, blamed...)
	msg.Term = l.m.term(address)
	want := k.mayBlame(address, l.m.height)
	l.ante(msg, k, address, want, exempt)
	if want == nil {
		for i, b := range blamed {
			if _, ok := k.participant(b); !ok || b == address || slices.Contains(blamed[:i], b) {
				want = types.ErrInvalidBlame
			}
		}
	}
	require.ErrorIs(l.t, l.c.run(msg), want)
	if want == nil {
		k.votes[address] = modelVote{blamed: blamed, height: l.m.height}
		delete(k.attempts, address)
	}
}

func (l *life) publish(rt *rapid.T) {
	if len(l.m.vaults) == 0 {
		rt.Skip("no vault")
	}
	v := rapid.SampledFrom(l.m.vaults).Draw(rt, "vault")
	address := l.anyMember(rt, v.keygen)
	env := envelope(fmt.Sprint(address, rapid.IntRange(0, 3).Draw(rt, "envelope")), 100)
	msg := &types.MsgPublishBackup{
		Signer: address, Vault: v.keys.name(), KeysharesBackup: env, Term: l.m.term(address),
	}
	enough, signed := true, true
	if v.keygen.held {
		held := types.Held(env)
		msg.KeysharesBackup, msg.Sha256, msg.Size_ = nil, held.Sha256, held.Size_
		by := others(v.keygen.keys(), address)
		n := rapid.IntRange(v.keygen.threshold-2, len(by)).Draw(rt, "receipts")
		enough = n >= v.keygen.threshold-1
		msg.Receipts = receipts(v.keygen.id, msg, by[:n])
		if n > 0 && rapid.IntRange(0, 4).Draw(rt, "unsigned") == 0 {
			msg.Receipts[n-1].Signature, signed = make([]byte, types.SignatureSize), false
		}
	}
	member, isMember := v.keygen.member(address)
	epochs := []uint64{0, v.keygen.id}
	for _, e := range v.former {
		epochs = append(epochs, e.keygen.id)
	}
	msg.Epoch = rapid.SampledFrom(epochs).Draw(rt, "epoch")
	forged := rapid.IntRange(0, 3).Draw(rt, "forged") == 0
	if isMember && rapid.Bool().Draw(rt, "prove") {
		shares := v.keys.deal(v.keygen.keys()).Public
		msg.Proof = dealer.FakeProof(v.keys.statement(shares, v.keygen.id, member.key, member.recipient))
		if forged {
			msg.Proof[len(msg.Proof)-1] ^= 1
		}
	}
	var want error
	switch {
	case !v.live():
		want = types.ErrVaultNotLive
	case msg.Epoch != v.keygen.id && (msg.Epoch != 0 || len(v.former) > 0):
		want = types.ErrOtherEpoch
	case !isMember:
		want = types.ErrNotMember
	case !enough:
		want = types.ErrInvalidReceipts
	}

	exempt, ok, err := l.c.k.ExemptVote(l.c.ctx, msg)
	wantExempt := want
	switch {
	case want != nil:
	case v.backups[address] != nil:
		wantExempt = types.ErrBackupPresent
	case v.keygen.attempts[address] >= types.MaxExemptAttempts:
		wantExempt = types.ErrTooManyAttempts
	}
	require.ErrorIs(rt, err, wantExempt)
	if ok {
		require.NoError(rt, l.c.k.CountAttempt(l.c.ctx, exempt))
		v.keygen.attempts[address]++
		if rapid.Bool().Draw(rt, "fails") {
			return
		}
	}

	sha := commitment(env)
	switch {
	case want != nil:
	case !signed:
		want = types.ErrInvalidReceipts
	case len(v.backups[address]) > 0 && v.backups[address][0] == sha:
		want = types.ErrBackupPresent
	case msg.Proof == nil:
	case !v.shares || forged && !v.proven[address]:
		want = types.ErrInvalidProof
	case v.proven[address]:
		want = types.ErrProofPresent
	}
	require.ErrorIs(rt, l.c.run(msg), want)
	if want == nil {
		if msg.Proof != nil {
			v.proven[address] = true
		}
		list := v.backups[address]
		v.backups[address] = append([]string{sha}, list[max(0, len(list)-1):]...)
		delete(v.keygen.attempts, address)
	}
}

func (l *life) retire(rt *rapid.T) {
	if len(l.m.vaults) == 0 {
		rt.Skip("no vault")
	}
	v := rapid.SampledFrom(l.m.vaults).Draw(rt, "vault")
	var want error
	if v.status != types.VaultStatus_VAULT_STATUS_RETIRING {
		want = types.ErrVaultNotRetiring
	} else if l.m.reshared() == v {
		want = types.ErrResharing
	}
	require.ErrorIs(rt, l.c.run(&types.MsgRetireVault{Authority: authority, Vault: v.keys.name()}), want)
	if want == nil {
		l.m.retire(v)
	}
}

// reshare opens a reshare of any vault, to anyone or to its present members.
func (l *life) reshare(rt *rapid.T) {
	if len(l.m.vaults) == 0 {
		rt.Skip("no vault")
	}
	v := rapid.SampledFrom(l.m.vaults).Draw(rt, "vault")
	var named []*validator
	if rapid.Bool().Draw(rt, "named") {
		named = l.some(rt, l.vals)
	}
	if l.startReshare(v, named) && rapid.Bool().Draw(rt, "joined") {
		l.joinAll(l.m.open().keygens[0])
	}
}

// some draws any number of validators: of those who can take part all are as likely as few.
func (l *life) some(rt *rapid.T, vals []*validator) []*validator {
	return rapid.Permutation(vals).Draw(rt, "order")[:rapid.IntRange(0, len(vals)).Draw(rt, "how many")]
}

// handOver has a vault that is not retired be reshared to its end, mostly to its present members.
func (l *life) handOver(rt *rapid.T) {
	var live []*modelVault
	for _, v := range l.m.vaults {
		if v.live() {
			live = append(live, v)
		}
	}
	if len(live) == 0 || l.m.open() != nil {
		rt.Skip("no vault that lives, or a churn is open")
	}
	v := rapid.SampledFrom(live).Draw(rt, "vault")
	for v.graceUntil != 0 {
		l.block(rt)
	}
	if l.m.open() != nil || !v.live() {
		rt.Skip("a churn has opened, or the vault was retired")
	}
	var named []*validator
	switch rapid.IntRange(0, 3).Draw(rt, "to") {
	case 0:
		named = l.m.candidates(l.vals)
	case 1:
		named = l.some(rt, l.m.candidates(l.vals))
	}
	if !l.startReshare(v, named) {
		return
	}
	k := l.m.open().keygens[0]
	l.joinAll(k)
	for _, m := range k.members {
		l.castResult(k, m.address, v.keys, usual(k), needed, false)
	}
	l.castCheck(k, k.members[0].address, v.keys, false)
	l.block(rt)
}

// startReshare opens a reshare, and reports whether that was to be.
func (l *life) startReshare(v *modelVault, named []*validator) bool {
	msg := &types.MsgStartReshare{Authority: authority, Vault: v.keys.name()}
	for _, val := range named {
		msg.Operators = append(msg.Operators, val.valoper())
	}
	next, idle, want := l.m.mayReshare(v, named)
	require.ErrorIs(l.t, l.c.run(msg), want)
	if want != nil {
		return false
	}
	id := uint64(len(l.m.churns) + 1)
	churn, err := l.c.k.Churns.Get(l.c.ctx, id)
	require.NoError(l.t, err)
	require.Len(l.t, churn.KeygenIds, 1)
	height := l.m.height
	c := &modelChurn{
		status: types.ChurnStatus_CHURN_STATUS_OPEN, named: true,
		opened: height, deadline: height + int64(l.m.params.KeygenDeadline),
	}
	keygen := l.c.keygen(churn.KeygenIds[0])
	var members []modelMember
	var got []string
	for _, m := range keygen.Members {
		address := bech(m.Address())
		got = append(got, address)
		members = append(members, modelMember{address, m.Asked, m, l.m.owner[address].recipient})
	}
	require.ElementsMatch(l.t, next, got)
	k := l.m.newKeygen(c, keygen.Id, 1, members)
	k.reshares, k.deals, k.idle = v, v.keygen, idle
	c.keygens = []*modelKeygen{k}
	l.m.churns = append(l.m.churns, c)
	l.m.keygens = append(l.m.keygens, k)
	return true
}

// changeValidator jails, bonds, removes or re-registers a validator, with another recipient key or
// another signer.
func (l *life) changeValidator(rt *rapid.T) {
	if len(l.vals) == 0 {
		rt.Skip("no validator")
	}
	v := rapid.SampledFrom(l.vals).Draw(rt, "validator")
	switch rapid.IntRange(0, 6).Draw(rt, "change") {
	case 0:
		v.bonded = false
	case 1, 2:
		v.bonded, v.gone = true, false
	case 3:
		v.gone = true
	case 4:
		if v.gone {
			rt.Skip("gone")
		}
		v.recipient++
		l.register(v)
	default:
		if v.gone {
			rt.Skip("gone")
		}
		l.keys++
		v.signer = signerKey(fmt.Sprint("another ", l.keys))
		l.register(v)
	}
}

// keys are the members as the chain knows them.
func (k *modelKeygen) keys() []types.Member {
	list := make([]types.Member, len(k.members))
	for i, m := range k.members {
		list[i] = m.key
	}
	return list
}

func (l *life) changeParams(rt *rapid.T) {
	params := genParams().Draw(rt, "params")
	if params.ChurnInterval != l.m.params.ChurnInterval {
		l.m.next = 0
		if params.ChurnInterval > 0 {
			l.m.next = l.m.height + int64(params.ChurnInterval)
		}
	}
	l.m.params = params
	require.NoError(rt, l.c.run(&types.MsgUpdateParams{Authority: authority, Params: params}))
}

// genesis exports the state, as JSON, into a new chain that goes on from there.
func (l *life) genesis(rt *rapid.T) {
	next := exportInto(l.t, l.c)
	require.Equal(rt, l.c.dump(), next.dump())
	require.Equal(rt, answers(l.t, l.c), answers(l.t, next))
	next.k.SetHooks(l.hooks)
	l.c = next
}

// exportInto is a new chain that starts with the exported state of another.
func exportInto(t testing.TB, c *chain) *chain {
	gs, err := c.k.ExportGenesis(c.ctx)
	require.NoError(t, err)
	bz, err := testCodec.MarshalJSON(gs)
	require.NoError(t, err)
	var imported types.GenesisState
	require.NoError(t, testCodec.UnmarshalJSON(bz, &imported))
	next := newChain(t, c.staking)
	next.accounts = c.accounts
	next.ctx = next.ctx.WithBlockHeight(c.ctx.BlockHeight())
	require.NoError(t, next.k.InitGenesis(next.ctx, imported))
	return next
}

// answers are the answers to all queries.
func answers(t testing.TB, c *chain) []string {
	var list []string
	add := func(res fmt.Stringer, err error) {
		require.NoError(t, err)
		list = append(list, res.String())
	}
	all := &query.PageRequest{Limit: 1000}
	add(c.query.Params(c.ctx, &types.QueryParamsRequest{}))
	add(c.query.Signers(c.ctx, &types.QuerySignersRequest{Pagination: all}))
	add(c.query.Churns(c.ctx, &types.QueryChurnsRequest{Pagination: all}))
	add(c.query.Keygens(c.ctx, &types.QueryKeygensRequest{Pagination: all}))
	for status := range types.VaultStatus_name {
		add(c.query.Vaults(c.ctx, &types.QueryVaultsRequest{Status: types.VaultStatus(status), Pagination: all}))
	}
	add(c.query.Coverage(c.ctx, &types.QueryCoverageRequest{}))
	require.NoError(t, c.k.SignerOwners.Walk(c.ctx, nil, func(address []byte, _ types.SignerOwner) (bool, error) {
		add(c.query.SignerTerm(c.ctx, &types.QuerySignerTermRequest{Address: bech(address)}))
		add(c.query.History(c.ctx, &types.QueryHistoryRequest{Member: bech(address), Pagination: all}))
		return false, nil
	}))
	require.NoError(t, c.k.Vaults.Walk(c.ctx, nil, func(pubKey []byte, vault types.Vault) (bool, error) {
		if len(vault.SharesHash) > 0 {
			add(c.query.Proofs(c.ctx, &types.QueryProofsRequest{Vault: types.VaultName(pubKey)}))
		}
		return false, nil
	}))
	slices.Sort(list)
	return list
}
