package keeper_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"cosmossdk.io/core/address"
	"cosmossdk.io/core/header"
	"github.com/cosmos/cosmos-sdk/codec"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdksecp256k1 "github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/keeper"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const chainID = "test-1"

var (
	accCodec  = addresscodec.NewBech32Codec("cosmos")
	valCodec  = addresscodec.NewBech32Codec("cosmosvaloper")
	authority = mustString(accCodec.BytesToString(authtypes.NewModuleAddress("gov")))
	testCodec = codec.NewProtoCodec(codectypes.NewInterfaceRegistry())
)

// chain is the module on a store of its own, with a block height that moves.
type chain struct {
	t        testing.TB
	key      *storetypes.KVStoreKey
	ctx      sdk.Context
	k        *keeper.Keeper
	msg      types.MsgServer
	query    types.QueryServer
	staking  *fakeStaking
	accounts *fakeAccounts
	events   sdk.Events // of the last message or end of a block
	// ended are the envelopes that the end of the last block took out of the state.
	ended [][]byte
	// unchecked keeps the chain from being brought a vault's signatures with the first vote for it.
	unchecked bool
}

// newChain is a chain without a genesis.
func newChain(t testing.TB, staking *fakeStaking) *chain {
	key := storetypes.NewKVStoreKey(types.StoreKey)
	ctx := testutil.DefaultContextWithKeys(map[string]*storetypes.KVStoreKey{types.StoreKey: key}, nil, nil)
	c := &chain{t: t, key: key, staking: staking, accounts: &fakeAccounts{accounts: map[string]sdk.AccountI{}}}
	c.ctx = ctx.WithChainID(chainID).WithBlockHeight(1).WithGasMeter(storetypes.NewInfiniteGasMeter())
	var err error
	c.k, err = c.newKeeper(authority)
	require.NoError(t, err)
	c.k.SetVerify(dealer.Verify)
	c.msg = keeper.NewMsgServer(c.k)
	c.query = keeper.NewQueryServer(c.k, nil)
	return c
}

// newKeeper is a keeper of this chain's state.
func (c *chain) newKeeper(authority string) (*keeper.Keeper, error) {
	return keeper.NewKeeper(testCodec, runtime.NewKVStoreService(c.key), c.accounts, c.staking, authority)
}

// startChain is a chain with these parameters and so many bonded validators with a signer each.
func startChain(t testing.TB, params types.Params, validators int) (*chain, []*validator) {
	c := newChain(t, &fakeStaking{})
	require.NoError(t, c.k.InitGenesis(c.ctx, types.GenesisState{Params: params}))
	vals := make([]*validator, validators)
	for i := range vals {
		vals[i] = newValidator(i)
		c.staking.validators = append(c.staking.validators, vals[i])
		require.NoError(t, c.run(vals[i].register()))
	}
	return c, vals
}

// testDeadline is the least deadline: joins until the 18th block after the one of the opening, a
// certificate until the 28th, and then, without one, votes that the keygen failed.
const testDeadline = 32

// testParams are parameters with short times, which require no proofs, and have votes bring public
// shares whole; splitParams have keygens be split.
func testParams() types.Params {
	p := types.DefaultParams()
	p.KeygenDeadline = testDeadline
	p.RetryInterval = 5
	p.PenaltyBlocks = 20
	p.MinWorkFactor = 1
	p.MaxEnvelopeBytes = 128 << 10
	p.ProofsOptional = true
	p.ProofRetention = 15
	p.SplitBackups = false
	return p
}

// provenParams are testParams that require proofs.
func provenParams() types.Params {
	p := testParams()
	p.ProofsOptional = false
	return p
}

// run handles a message as a transaction does: what it wrote stands only when there is no error. A
// vote for a result that has no certificate (not even an empty one) is given it when none stands
// yet, with the attempt that it takes, and afterwards the vault signs: most tests are about neither.
func (c *chain) run(msg sdk.Msg) error {
	vote, ok := msg.(*types.MsgTssPool)
	if !ok || vote.Blame != nil || vote.Certificate != nil {
		return c.handle(msg)
	}
	if has, err := c.k.Certificates.Has(c.ctx, vote.KeygenId); err == nil && !has {
		vote = c.certified(vote)
	} else if len(vote.Group) != 0 || len(vote.Envelopes) != 0 {
		vote = naming(vote, c.keygen(vote.KeygenId).Members)
	}
	err := c.handle(vote)
	if err == nil && !c.unchecked {
		events := c.events
		c.check(vote)
		c.events = events
	}
	return err
}

// naming is a vote that names the group part and the list of envelopes that it carried.
func naming(vote *types.MsgTssPool, members []types.Member) *types.MsgTssPool {
	names := *vote
	result := resultOf(vote, members)
	names.Certificate = nil
	if len(vote.Group) != 0 {
		names.Group, names.GroupHash = nil, result.SharesHash
	}
	if len(vote.Envelopes) != 0 {
		names.Envelopes, names.EnvelopesHash = nil, result.EnvelopesHash
	}
	return &names
}

// resultOf is the result of a vote, with the hashes of the group part and of the list of envelopes
// that it carries or names.
func resultOf(vote *types.MsgTssPool, members []types.Member) types.Result {
	result, err := vote.ParseResult()
	if err != nil {
		return types.Result{}
	}
	if result.EnvelopesHash = vote.EnvelopesHash; len(vote.Envelopes) != 0 {
		result.EnvelopesHash = types.EnvelopesHash(vote.Envelopes)
	}
	switch {
	case len(vote.GroupHash) != 0:
		result.SharesHash = vote.GroupHash
	case len(vote.Group) != 0:
		entries, err := sanity.ParseGroup(vote.Group, len(members))
		if err != nil {
			return types.Result{}
		}
		result.SharesHash, err = types.GroupHash(
			result.PubKey, result.PubKeyEd25519, members, sanity.GroupPoints(entries),
		)
		if err != nil {
			panic(err)
		}
	}
	return result
}

// handle handles a message as it is.
func (c *chain) handle(msg sdk.Msg) error {
	ctx, write := c.ctx.WithEventManager(sdk.NewEventManager()).CacheContext()
	err := dispatch(ctx, c.msg, msg)
	if err == nil {
		write()
	}
	c.events = ctx.EventManager().Events()
	return err
}

func dispatch(ctx context.Context, srv types.MsgServer, msg sdk.Msg) (err error) {
	switch msg := msg.(type) {
	case *types.MsgRegisterSigner:
		_, err = srv.RegisterSigner(ctx, msg)
	case *types.MsgClaimSigner:
		_, err = srv.ClaimSigner(ctx, msg)
	case *types.MsgTssJoin:
		_, err = srv.TssJoin(ctx, msg)
	case *types.MsgTssPool:
		_, err = srv.TssPool(ctx, msg)
	case *types.MsgTssCheck:
		_, err = srv.TssCheck(ctx, msg)
	case *types.MsgPublishBackup:
		_, err = srv.PublishBackup(ctx, msg)
	case *types.MsgHeartbeat:
		_, err = srv.Heartbeat(ctx, msg)
	case *types.MsgStartChurn:
		_, err = srv.StartChurn(ctx, msg)
	case *types.MsgStartReshare:
		_, err = srv.StartReshare(ctx, msg)
	case *types.MsgRetireVault:
		_, err = srv.RetireVault(ctx, msg)
	case *types.MsgUpdateParams:
		_, err = srv.UpdateParams(ctx, msg)
	default:
		panic(fmt.Sprintf("no handler for %T", msg))
	}
	return err
}

func (c *chain) mustRun(msg sdk.Msg) {
	c.t.Helper()
	require.NoError(c.t, c.run(msg))
}

// endBlock ends the block and begins the next.
func (c *chain) endBlock() {
	c.t.Helper()
	ctx := c.ctx.WithEventManager(sdk.NewEventManager()).
		WithHeaderInfo(header.Info{AppHash: appHash(c.ctx.BlockHeight())})
	var err error
	c.ended, err = c.k.EndBlocker(ctx)
	require.NoError(c.t, err)
	c.events = ctx.EventManager().Events()
	c.ctx = c.ctx.WithBlockHeight(c.ctx.BlockHeight() + 1)
}

// appHash is the one in the header of the block at this height.
func appHash(height int64) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "app hash %d", height))
	return sum[:]
}

func (c *chain) endBlocks(n int) {
	c.t.Helper()
	for range n {
		c.endBlock()
	}
}

// emitted reports whether an event of this kind was emitted last.
func (c *chain) emitted(name string) bool {
	return slices.ContainsFunc(c.events, func(e sdk.Event) bool { return e.Type == "tssbackup.v1."+name })
}

// told is an attribute of an event of this kind that was emitted last, as JSON.
func (c *chain) told(name, attribute string) string {
	for _, e := range c.events {
		if a, ok := e.GetAttribute(attribute); ok && e.Type == "tssbackup.v1."+name {
			return a.Value
		}
	}
	return ""
}

// startChurn opens a churn and returns its keygens.
func (c *chain) startChurn() []uint64 {
	c.t.Helper()
	res, err := c.msg.StartChurn(c.ctx, &types.MsgStartChurn{Authority: authority})
	require.NoError(c.t, err)
	return res.KeygenIds
}

// isOpen reports whether a churn is open.
func (c *chain) isOpen() bool {
	c.t.Helper()
	has, err := c.k.OpenChurn.Has(c.ctx)
	require.NoError(c.t, err)
	return has
}

func (c *chain) keygen(id uint64) types.Keygen {
	c.t.Helper()
	keygen, err := c.k.Keygens.Get(c.ctx, id)
	require.NoError(c.t, err)
	return keygen
}

// dump is the module's raw store, without what the end of the block takes out of it.
func (c *chain) dump() map[string]string {
	store := c.ctx.KVStore(c.key)
	iter := store.Iterator(nil, nil)
	defer iter.Close()
	m := map[string]string{}
	for ; iter.Valid(); iter.Next() {
		if bytes.HasPrefix(iter.Key(), types.StagedPrefix.Bytes()) {
			continue
		}
		m[hex.EncodeToString(iter.Key())] = hex.EncodeToString(iter.Value())
	}
	return m
}

// size is the number of bytes of all keys and values of the module's store but for those that
// proofs are about, and proofSize that of these.
func (c *chain) size() int      { return c.sizeOf(false) }
func (c *chain) proofSize() int { return c.sizeOf(true) }

func (c *chain) sizeOf(proofs bool) int {
	n := 0
	for key, value := range c.dump() {
		raw, err := hex.DecodeString(key[:2])
		require.NoError(c.t, err)
		isProof := slices.Contains([]byte{
			types.ProofsPrefix.Bytes()[0], types.PublicSharesPrefix.Bytes()[0],
			types.GroupsPrefix.Bytes()[0], types.GroupParametersPrefix.Bytes()[0],
		}, raw[0])
		if isProof == proofs {
			n += (len(key) + len(value)) / 2
		}
	}
	return n
}

// validator is a validator with the key of its signer.
type validator struct {
	operator []byte
	bonded   bool
	gone     bool
	signer   *sdksecp256k1.PrivKey
	// recipient is the index of the signer's recipient key.
	recipient uint32
	// registered is for the test to remember.
	registered bool
}

func newValidator(i int) *validator {
	sum := sha256.Sum256(fmt.Appendf(nil, "operator %d", i))
	return &validator{operator: sum[:20], bonded: true, signer: signerKey(fmt.Sprint("signer ", i))}
}

func signerKey(name string) *sdksecp256k1.PrivKey {
	sum := sha256.Sum256([]byte(name))
	key := &sdksecp256k1.PrivKey{Key: sum[:]}
	signers.Store(string(key.PubKey().Bytes()), key)
	return key
}

var signers sync.Map // of *sdksecp256k1.PrivKey, by the compressed key

func (v *validator) valoper() string      { return mustString(valCodec.BytesToString(v.operator)) }
func (v *validator) account() string      { return bech(v.signer.PubKey().Address()) }
func (v *validator) addr() sdk.AccAddress { return sdk.AccAddress(v.signer.PubKey().Address()) }

// register is the message that registers the validator's signer.
func (v *validator) register() *types.MsgRegisterSigner {
	pubKey := v.signer.PubKey().Bytes()
	key := dealer.RecipientKey(pubKey, v.recipient)
	possession, err := key.Possess(chainID, v.addr())
	if err != nil {
		panic(err)
	}
	recipient := types.Recipient{Key: key.Public(), Index: v.recipient}
	sig, err := v.signer.Sign(types.RegisterMessage(chainID, v.operator, pubKey, recipient))
	if err != nil {
		panic(err)
	}
	return &types.MsgRegisterSigner{
		Operator: v.valoper(), PubKey: pubKey, Signature: sig,
		RecipientKey: recipient.Key, RecipientIndex: recipient.Index, Possession: possession,
	}
}

// vaultKeys are both keys of a vault, known to the test.
type vaultKeys struct {
	secp *secp256k1.PrivateKey
	ed   ed25519.PrivateKey
}

func newVault(name string) vaultKeys {
	a, b := sha256.Sum256([]byte("secp "+name)), sha256.Sum256([]byte("ed "+name))
	return vaultKeys{secp: secp256k1.PrivKeyFromBytes(a[:]), ed: ed25519.NewKeyFromSeed(b[:])}
}

func (v vaultKeys) pubKey() []byte        { return v.secp.PubKey().SerializeCompressed() }
func (v vaultKeys) pubKeyEd25519() []byte { return v.ed.Public().(ed25519.PublicKey) }
func (v vaultKeys) name() string          { return types.VaultName(v.pubKey()) }

// result is a vote for the vault.
func (v vaultKeys) result(keygen uint64, signer string, envelope []byte) *types.MsgTssPool {
	vaults.Store(v.name()+hex.EncodeToString(v.pubKeyEd25519()), v)
	return &types.MsgTssPool{
		Signer:          signer,
		KeygenId:        keygen,
		PubKey:          v.name(),
		PubKeyEd25519:   hex.EncodeToString(v.pubKeyEd25519()),
		KeysharesBackup: envelope,
	}
}

var vaults sync.Map // of vaultKeys that were voted for, by both keys

// signed brings the vault's signatures.
func (v vaultKeys) signed(keygen uint64, signer string) *types.MsgTssCheck {
	check := types.CheckMessage(chainID, keygen, v.pubKey(), v.pubKeyEd25519())
	return &types.MsgTssCheck{
		Signer:           signer,
		KeygenId:         keygen,
		Signature:        ecdsa.SignCompact(v.secp, check, true)[1:],
		SignatureEd25519: ed25519.Sign(v.ed, check),
	}
}

// begin has all members of a keygen join, unless an attempt has begun or can begin no more.
func (c *chain) begin(keygen types.Keygen) {
	if session, err := c.k.Sessions.Get(c.ctx, keygen.Id); err == nil && session.Attempt > 0 {
		return
	}
	for _, m := range types.Participants(keygen.Members, c.able(keygen)) {
		if err := c.handle(newJoin(keygen.Id, m, "join").msg); err != nil {
			return
		}
	}
}

// able are the members of the epoch that an open keygen reshares who may deal.
func (c *chain) able(keygen types.Keygen) []types.Member {
	if keygen.Reshare == nil {
		return nil
	}
	vault, err := c.k.Vaults.Get(c.ctx, keygen.Reshare.Vault)
	require.NoError(c.t, err)
	return keygen.Reshare.Able(vault.Members)
}

// certified is a vote with the certificate of its result, in the latest attempt; it begins one when
// none has.
func (c *chain) certified(vote *types.MsgTssPool) *types.MsgTssPool {
	certified := *vote
	keygen, err := c.k.Keygens.Get(c.ctx, vote.KeygenId)
	if err != nil {
		return &certified
	}
	c.begin(keygen)
	session, _ := c.k.Sessions.Get(c.ctx, keygen.Id)
	result := resultOf(vote, keygen.Members)
	if len(result.PubKey) == 0 {
		certified.Certificate = make([]byte, types.SignatureSize*len(keygen.Members))
		return &certified
	}
	certified.Certificate = certificate(keygen.Members, session.Id, result)
	return &certified
}

// certificate is what these members sign for a result of a session.
func certificate(members []types.Member, session []byte, result types.Result) (all []byte) {
	for _, m := range members {
		all = append(all, sign(m, types.DoneMessage(session, result))...)
	}
	return all
}

// untilBlame ends blocks until members of a keygen may vote that it has failed.
func (c *chain) untilBlame(keygen types.Keygen) {
	c.t.Helper()
	for c.ctx.BlockHeight() <= keygen.CertificateDeadline() {
		c.endBlock()
	}
}

// untilClosed ends blocks until a keygen is closed.
func (c *chain) untilClosed(id uint64) {
	c.t.Helper()
	for c.keygen(id).Status == open {
		c.endBlock()
	}
}

// giveUp has all members of a keygen vote, as soon as they may, that it has failed, and name nobody.
func (c *chain) giveUp(keygen types.Keygen) {
	c.t.Helper()
	c.untilBlame(keygen)
	for _, m := range keygen.Members {
		c.mustRun(blame(keygen.Id, bech(m.Address())))
	}
}

// sign is a member's signature over a digest.
func sign(m types.Member, digest []byte) []byte {
	key, _ := signers.Load(string(m.PubKey))
	secret := secp256k1.PrivKeyFromBytes(key.(*sdksecp256k1.PrivKey).Key)
	return ecdsa.SignCompact(secret, digest, true)[1:]
}

// check brings the signatures of the vault that was voted for, when they are not there yet.
func (c *chain) check(vote *types.MsgTssPool) {
	stands, err := c.k.Certificates.Get(c.ctx, vote.KeygenId)
	require.NoError(c.t, err)
	if stands.IsChecked() {
		return
	}
	v, _ := vaults.Load(vote.PubKey + vote.PubKeyEd25519)
	keys := v.(vaultKeys)
	require.NoError(c.t, c.handle(keys.signed(vote.KeygenId, vote.Signer)))
}

// splitParams are provenParams with keygens that are split.
func splitParams() types.Params {
	p := provenParams()
	p.SplitBackups = true
	return p
}

// vote is a member's vote for the vault, with an envelope when it is asked, and with public shares
// and a proof when these are required.
func (v vaultKeys) vote(keygen types.Keygen, m types.Member) *types.MsgTssPool {
	var env []byte
	if m.Asked && !keygen.IsHeld() {
		env = envelopeOf(keygen.Id, m)
	}
	msg := v.result(keygen.Id, bech(m.Address()), env)
	if keygen.IsHeld() {
		msg.Envelopes = heldBy(keygen)
	}
	if keygen.RequireShares() {
		v.prove(msg, keygen.Members, m, 0)
	}
	if keygen.Split {
		msg.PublicShares, msg.Group = nil, v.group(keygen.Members)
	}
	return msg
}

// envelopeOf is the envelope of a member that is asked.
func envelopeOf(keygen uint64, m types.Member) []byte {
	return envelope(fmt.Sprint(keygen, m.Address()), 300)
}

// heldBy is the list of the envelopes of a keygen's members, for them to hold.
func heldBy(keygen types.Keygen) []byte {
	var list []types.Commitment
	for _, m := range keygen.Members {
		if m.Asked {
			list = append(list, types.Held(envelopeOf(keygen.Id, m)))
		}
	}
	return types.EncodeEnvelopes(list)
}

// heldParams are these parameters with the envelopes held by the members.
func heldParams(p types.Params) types.Params {
	p.Placement = types.Placement_PLACEMENT_MEMBERS
	return p
}

// group is the group part of the members.
func (v vaultKeys) group(members []types.Member) []byte {
	return v.deal(members).Group(keysOf(members))
}

func keysOf(members []types.Member) [][]byte {
	keys := make([][]byte, len(members))
	for i, m := range members {
		keys[i] = m.PubKey
	}
	return keys
}

// prove gives a vote the public shares of the members and, when m is asked, a fake proof by m to its
// recipient key with this index.
func (v vaultKeys) prove(msg *types.MsgTssPool, members []types.Member, m types.Member, index uint32) {
	shares := v.deal(members).Public
	msg.PublicShares = &shares
	if len(msg.KeysharesBackup) != 0 || m.Asked && len(msg.Envelopes) != 0 {
		msg.Proof = dealer.FakeProof(v.statement(shares, msg.KeygenId, m, index))
	}
}

// statement is what m proves to the recipient key with this index.
func (v vaultKeys) statement(shares types.PublicShares, keygen uint64, m types.Member, index uint32) verenc.Statement {
	recipient := dealer.RecipientKey(m.PubKey, index).Public()
	st, ok := shares.Statement(chainID, keygen, v.pubKey(), v.pubKeyEd25519(), m.Address(), recipient)
	if !ok {
		panic("no such member")
	}
	return st
}

// deal deals the vault's keys out among members.
func (v vaultKeys) deal(members []types.Member) *dealer.Dealt {
	keys := keysOf(members)
	name := string(slices.Concat(append(keys, v.pubKey(), v.pubKeyEd25519())...))
	if d, ok := dealt.Load(name); ok {
		return d.(*dealer.Dealt)
	}
	d := dealer.Deal(v.secp, v.ed, keys)
	dealt.Store(name, d)
	return d
}

var dealt sync.Map // of *dealer.Dealt

func blame(keygen uint64, signer string, blamed ...string) *types.MsgTssPool {
	return &types.MsgTssPool{
		Signer:   signer,
		KeygenId: keygen,
		Blame:    &types.Blame{Members: blamed, Reason: "round 2: no message"},
	}
}

// envelope is an envelope in form, with a payload that follows from the name. Its whole length is a
// little more than size.
func envelope(name string, size int) []byte {
	field := func(s string, n int) string {
		sum := sha256.Sum256([]byte(s + name))
		return base64.RawStdEncoding.EncodeToString(sum[:n])
	}
	header := sanity.EnvelopePrefix + field("salt", 16) + " 18\n" + field("body", 32) + "\n--- " + field("mac", 32) + "\n"
	payload := make([]byte, size)
	sum := sha256.Sum256([]byte(name))
	copy(payload, sum[:])
	return append([]byte(header), payload...)
}

func bech(addr []byte) string { return mustString(accCodec.BytesToString(addr)) }

func mustString(s string, err error) string {
	if err != nil {
		panic(err)
	}
	return s
}

// fakeStaking is the chain's validator set as the module sees it.
type fakeStaking struct {
	validators []*validator
	err        error
}

func (*fakeStaking) ValidatorAddressCodec() address.Codec { return valCodec }

func (s *fakeStaking) HasValidator(_ context.Context, operator sdk.ValAddress) (bool, error) {
	for _, v := range s.validators {
		if !v.gone && operator.Equals(sdk.ValAddress(v.operator)) {
			return true, s.err
		}
	}
	return false, s.err
}

func (s *fakeStaking) BondedOperators(context.Context) (operators []sdk.ValAddress, err error) {
	for _, v := range s.validators {
		if v.bonded && !v.gone {
			operators = append(operators, v.operator)
		}
	}
	return operators, nil
}

// fakeAccounts is x/auth as the module sees it.
type fakeAccounts struct{ accounts map[string]sdk.AccountI }

func (*fakeAccounts) AddressCodec() address.Codec { return accCodec }

func (a *fakeAccounts) GetAccount(_ context.Context, addr sdk.AccAddress) sdk.AccountI {
	return a.accounts[string(addr)]
}

func (*fakeAccounts) NewAccountWithAddress(_ context.Context, addr sdk.AccAddress) sdk.AccountI {
	return authtypes.NewBaseAccountWithAddress(addr)
}

func (a *fakeAccounts) SetAccount(_ context.Context, acc sdk.AccountI) {
	a.accounts[string(acc.GetAddress())] = acc
}

// fakeHooks records what it was told.
type fakeHooks struct {
	calls []string
	fail  error
	panic bool
	run   func(ctx context.Context)
}

func (h *fakeHooks) AfterVaultActive(ctx context.Context, pubKey []byte, vault types.Vault) error {
	return h.note(ctx, fmt.Sprintf("active %s of %d", types.VaultName(pubKey)[:8], len(vault.Members)))
}

func (h *fakeHooks) AfterEpochActive(ctx context.Context, pubKey []byte, vault types.Vault) error {
	return h.note(ctx, fmt.Sprintf("epoch %d of %s", vault.Epoch, types.VaultName(pubKey)[:8]))
}

func (h *fakeHooks) AfterVaultRetired(ctx context.Context, pubKey []byte, _ types.Vault) error {
	return h.note(ctx, "retired "+types.VaultName(pubKey)[:8])
}

func (h *fakeHooks) AfterKeygenFailed(ctx context.Context, id uint64, blamed, silent []types.HookMember) error {
	names := func(members []types.HookMember) string {
		var list []string
		for _, m := range members {
			list = append(list, mustString(valCodec.BytesToString(m.Operator)))
		}
		return strings.Join(list, ",")
	}
	return h.note(ctx, fmt.Sprintf("failed %d blamed [%s] silent [%s]", id, names(blamed), names(silent)))
}

func (h *fakeHooks) AfterHeartbeatMissed(
	ctx context.Context, member types.HookMember, epoch, missed uint64,
) error {
	operator := mustString(valCodec.BytesToString(member.Operator))
	return h.note(ctx, fmt.Sprintf("missed %d of %d by %s", missed, epoch, operator))
}

func (h *fakeHooks) note(ctx context.Context, call string) error {
	h.calls = append(h.calls, call)
	if h.run != nil {
		h.run(ctx)
	}
	if h.panic {
		panic(errors.New("hook panics"))
	}
	return h.fail
}

// complete has all members of a keygen, which is alone in its churn, vote for a vault, and ends the
// block.
func (c *chain) complete(id uint64, vault vaultKeys) {
	c.t.Helper()
	keygen := c.keygen(id)
	for _, m := range keygen.Members {
		c.mustRun(vault.vote(keygen, m))
	}
	c.endBlock()
}

func commitment(envelope []byte) string {
	sum := sha256.Sum256(envelope)
	return hex.EncodeToString(sum[:])
}

// highS is the other valid ECDSA signature.
func highS(sig []byte) []byte {
	var s secp256k1.ModNScalar
	s.SetByteSlice(sig[32:])
	b := s.Negate().Bytes()
	return slices.Concat(sig[:32], b[:])
}
