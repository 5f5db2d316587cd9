package publish

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/gogoproto/proto"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/envelope"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/dealer"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

const (
	testChain  = "test-1"
	testPrefix = "cosmos"
)

var errNotFound = errors.New("not found")

// fakeChain is a chain with one keygen at a time. Every question for its height makes a block of
// what is in the mempool, and every thousandth an empty one. It keeps what queries show, and hands it out as package chain does.
type fakeChain struct {
	mu       sync.Mutex
	height   int64
	asked    int // for the height
	params   types.Params
	keygens  map[uint64]*types.KeygenInfo
	vaults   map[string]*types.VaultInfo
	backups  map[string][]types.CommitmentInfo // vault/member
	sequence map[string]uint64
	mempool  [][]byte

	// proofs are those that were accepted, by vault/member; shares the public shares by their hash.
	proofs map[string]types.ProofInfo
	shares map[string]types.PublicShares

	// envelopes are the hashes of all that was ever handed in, by member, and sent the proofs.
	envelopes map[string]map[string]bool
	sent      map[string]map[string]bool
	// received counts the transactions that were handed in, votes those executed.
	received int
	votes    map[string]int
	// checks counts the vault's signatures that came to stand, by who brought them, and bare the
	// votes that needed no certificate any more.
	checks map[string]int
	bare   int
	// carried counts the group parts that came to stand, and early the votes by a hash that the
	// chain did not know yet.
	carried, early int
	// split has keygens open as split ones.
	split bool
	// placement is where keygens that open put their envelopes.
	placement types.Placement
	messages  map[string][]*types.MsgTssPool
	later     map[string][]*types.MsgPublishBackup
	// interval is that of heartbeats, 0 when none is due; beaten counts those that came to stand, and
	// unbeaten those that did not.
	interval         int64
	beaten, unbeaten int
	heartbeats       map[string]types.Heartbeat
	// refuse, when set, is asked before a vote or a publication is taken.
	refuse func(member string) error
	// terms are those of members that claimed.
	terms map[string]uint64
	// failedBy are those whom the latest joins to a reshare name, by who joined.
	failedBy map[string][]string
	// drop keeps votes and publications of a member out of blocks.
	drop map[string]bool
}

// memberOf finds a member by its bech32 address.
func memberOf(members []types.MemberInfo, address string) (types.MemberInfo, bool) {
	for _, m := range members {
		if m.Address == address {
			return m, true
		}
	}
	return types.MemberInfo{}, false
}

func asked(members []types.MemberInfo, address string) bool {
	m, _ := memberOf(members, address)
	return m.Asked
}

// askedOf are the members that are asked, in their order.
func askedOf(members []types.MemberInfo) (all []string) {
	for _, m := range members {
		if m.Asked {
			all = append(all, m.Address)
		}
	}
	return all
}

func askedIndex(members []types.MemberInfo, address string) int {
	return slices.Index(askedOf(members), address)
}

func voteOf(k types.KeygenInfo, member string) *types.VoteInfo {
	for i := range k.Votes {
		if k.Votes[i].Member == member {
			return &k.Votes[i]
		}
	}
	return nil
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	must(err)
	return b
}

// keysOf are a vault's keys, given in hex, as what is checked under them takes them.
func keysOf(pubKey, pubKeyEd25519 string) vault.Vault {
	return vault.Vault{PubKey: unhex(pubKey), Vault: types.Vault{PubKeyEd25519: unhex(pubKeyEd25519)}}
}

func newFakeChain() *fakeChain {
	params := types.DefaultParams()
	params.MinWorkFactor = 1
	return &fakeChain{
		height: 10, params: params,
		keygens: map[uint64]*types.KeygenInfo{}, vaults: map[string]*types.VaultInfo{},
		backups: map[string][]types.CommitmentInfo{}, sequence: map[string]uint64{},
		checks: map[string]int{}, envelopes: map[string]map[string]bool{}, votes: map[string]int{},
		messages: map[string][]*types.MsgTssPool{}, later: map[string][]*types.MsgPublishBackup{}, drop: map[string]bool{},
		proofs: map[string]types.ProofInfo{}, shares: map[string]types.PublicShares{}, sent: map[string]map[string]bool{},
		failedBy: map[string][]string{}, terms: map[string]uint64{}, heartbeats: map[string]types.Heartbeat{},
	}
}

// open opens a keygen with a deadline that many blocks ahead.
func (c *fakeChain) open(id uint64, blocks int64, members []types.MemberInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	times := types.Keygen{OpenedHeight: c.height, Deadline: c.height + blocks}
	c.keygens[id] = &types.KeygenInfo{
		Id: id, ChurnId: id, Status: types.KeygenStatus_KEYGEN_STATUS_OPEN,
		Threshold: uint32((2*len(members) + 2) / 3), Needed: uint32(len(members)),
		OpenedHeight: times.OpenedHeight, Deadline: times.Deadline, JoinDeadline: times.JoinDeadline(),
		AttemptDeadline: times.AttemptDeadline(), CertificateDeadline: times.CertificateDeadline(), Members: members,
		Split: c.split, Placement: c.placement,
	}
}

// openReshare opens a reshare of a vault to members, in which those of its members that are excluded
// do not deal.
func (c *fakeChain) openReshare(id uint64, blocks int64, name string, members []types.MemberInfo, excluded ...string) {
	c.open(id, blocks, members)
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.vaults[name]
	r := &types.ReshareInfo{Vault: name, Epoch: v.Epoch, Threshold: v.Threshold, Excluded: excluded}
	for _, m := range v.Members {
		if !slices.Contains(excluded, m.Address) {
			r.Dealers = append(r.Dealers, m.Address)
		}
	}
	c.keygens[id].Reshare = r
}

// Present is what a reshare hands on.
func (c *fakeChain) Present(_ context.Context, k vault.Keygen) (Present, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info := c.vaults[types.VaultName(k.Reshare.Vault)]
	v, err := vault.FromInfo(*info)
	return Present{Vault: v, Shares: c.shares[info.SharesHash]}, err
}

// otherTerm reports whether a message is of another term than its signer's, which no block takes.
func (c *fakeChain) otherTerm(member string, msg any) bool {
	of, ok := msg.(interface{ GetTerm() uint64 })
	return ok && of.GetTerm() != c.terms[member]
}

func (c *fakeChain) advance(blocks int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range blocks {
		c.block()
	}
}

func (c *fakeChain) block() {
	c.height++
	pending := c.mempool
	c.mempool = nil
	for _, raw := range pending {
		member, sequence, msg := decode(raw)
		if c.drop[member] && !isSmall(msg) || sequence != c.sequence[member] || c.otherTerm(member, msg) {
			continue
		}
		c.sequence[member]++
		switch m := msg.(type) {
		case *types.MsgTssJoin:
			c.join(m)
		case *types.MsgTssPool:
			c.vote(m)
		case *types.MsgTssCheck:
			c.check(m)
		case *types.MsgPublishBackup:
			c.publish(m)
		case *types.MsgHeartbeat:
			c.beat(m)
		}
	}
	for _, k := range c.keygens {
		if k.Status == types.KeygenStatus_KEYGEN_STATUS_OPEN && c.height > k.Deadline {
			c.close(k)
		}
	}
}

// join begins an attempt with the last join that it waits for.
func (c *fakeChain) join(m *types.MsgTssJoin) {
	k := c.keygens[m.KeygenId]
	if k == nil || k.Status != types.KeygenStatus_KEYGEN_STATUS_OPEN || voteOf(*k, m.Signer) != nil || c.height > k.JoinDeadline || k.Certificate != nil {
		return
	}
	participants := k.Members
	if k.Reshare != nil {
		for _, old := range c.vaults[k.Reshare.Vault].Members {
			if slices.Contains(k.Reshare.Dealers, old.Address) && !slices.Contains(participants, old) {
				participants = append(slices.Clone(participants), old)
			}
		}
	}
	info, _ := memberOf(participants, m.Signer)
	must(m.CheckJoin(testChain, unhex(info.PubKey)))
	waits := func(member string) func(types.JoinInfo) bool {
		return func(j types.JoinInfo) bool { return j.Member == member }
	}
	k.Joins = append(slices.DeleteFunc(k.Joins, waits(m.Signer)), types.JoinInfo{
		Member: m.Signer, Nonce: hex.EncodeToString(m.Nonce), SessionKey: hex.EncodeToString(m.SessionKey), Height: c.height,
	})
	if k.Reshare != nil {
		c.failedBy[m.Signer] = m.FailedBy
	}
	var dealers []types.JoinInfo
	for _, member := range participants {
		i := slices.IndexFunc(k.Joins, waits(member.Address))
		if _, ok := memberOf(k.Members, member.Address); ok && i < 0 {
			return
		}
		if i >= 0 && k.Reshare != nil && slices.Contains(k.Reshare.Dealers, member.Address) {
			dealers = append(dealers, k.Joins[i])
		}
	}
	if k.Reshare != nil {
		dealers = c.exclude(k, dealers)
		if len(dealers) < int(k.Reshare.Threshold) {
			return
		}
		shift := 0 // each attempt has others
		if k.Session != nil {
			shift = int(k.Session.Attempt) % len(dealers)
		}
		dealers = append(dealers[len(dealers)-shift:], dealers[:len(dealers)-shift]...)
		slices.Reverse(dealers)
		dealers = dealers[:k.Reshare.Threshold]
	}
	next := &types.SessionInfo{Attempt: 1, Height: c.height}
	if k.Session != nil {
		next.Attempt = k.Session.Attempt + 1
	}
	for _, member := range k.Members {
		next.Members = append(next.Members, k.Joins[slices.IndexFunc(k.Joins, waits(member.Address))])
	}
	next.Dealers = dealers
	id := sha256.Sum256(fmt.Append(nil, k.Id, next.Attempt, next.Members, next.Dealers))
	next.Id = hex.EncodeToString(id[:])
	k.Session, k.Joins = next, nil
}

// exclude has those not deal whom a threshold of the members name, while enough are left.
func (c *fakeChain) exclude(k *types.KeygenInfo, dealers []types.JoinInfo) []types.JoinInfo {
	var able []string
	for _, address := range k.Reshare.Dealers {
		named := 0
		for _, m := range k.Members {
			if slices.Contains(c.failedBy[m.Address], address) {
				named++
			}
		}
		if named < int(k.Threshold) {
			able = append(able, address)
		}
	}
	if len(able) < int(k.Reshare.Threshold) || len(able) == len(k.Reshare.Dealers) {
		return dealers
	}
	for _, address := range k.Reshare.Dealers {
		if !slices.Contains(able, address) {
			k.Reshare.Excluded = append(k.Reshare.Excluded, address)
		}
	}
	k.Reshare.Dealers = able
	return slices.DeleteFunc(dealers, func(j types.JoinInfo) bool { return !slices.Contains(able, j.Member) })
}

func (c *fakeChain) commitment(envelope []byte) types.CommitmentInfo {
	sum := sha256.Sum256(envelope)
	return types.CommitmentInfo{Sha256: hex.EncodeToString(sum[:]), Size_: uint64(len(envelope)), Height: c.height}
}

func (c *fakeChain) publish(m *types.MsgPublishBackup) {
	name := m.Vault + "/" + m.Signer
	if v := c.vaults[m.Vault]; len(m.Proof) > 0 {
		if len(c.proofs[name].Stored) > 0 || !c.prove(c.shares[v.SharesHash], v.Epoch, v.Vault, v.PubKeyEd25519, v.Members, m.Signer, m.Proof) {
			return
		}
	}
	if v := c.vaults[m.Vault]; v.Placement == types.Placement_PLACEMENT_MEMBERS {
		if !c.receipted(v, m) {
			return
		}
		c.backups[name] = []types.CommitmentInfo{{
			Sha256: hex.EncodeToString(m.Sha256), Size_: m.Size_, Height: c.height, Placement: v.Placement,
		}}
	} else {
		c.backups[name] = []types.CommitmentInfo{c.commitment(m.KeysharesBackup)}
	}
	c.later[m.Signer] = append(c.later[m.Signer], m)
}

// receipted reports whether a publication has the receipts that it takes.
func (c *fakeChain) receipted(v *types.VaultInfo, m *types.MsgPublishBackup) bool {
	decoded, err := vault.FromInfo(*v)
	must(err)
	info, _ := memberOf(v.Members, m.Signer)
	own := types.SignerAddress(unhex(info.PubKey))
	message := types.ReceiptMessage(testChain, v.Epoch, own, m.Sha256, m.Size_)
	return len(m.KeysharesBackup) == 0 &&
		types.CheckReceiptCount(len(m.Receipts), len(v.Members), v.Threshold) == nil &&
		types.CheckReceipts(m.Receipts, message, own, decoded.Members, addresscodec.NewBech32Codec(testPrefix)) == nil
}

// prove accepts a member's proof when it is of the right statement.
func (c *fakeChain) prove(shares types.PublicShares, keygen uint64, vault, vaultEd25519 string, members []types.MemberInfo, member string, proof []byte) bool {
	info, _ := memberOf(members, member)
	st, ok := shares.Statement(testChain, keygen, unhex(vault), unhex(vaultEd25519), types.SignerAddress(unhex(info.PubKey)), unhex(info.RecipientKey))
	if !ok || !verifyFake(st, proof) {
		return false
	}
	c.proofs[vault+"/"+member] = types.ProofInfo{Member: member, Stored: proof, Height: c.height}
	return true
}

// fakeProof is another one each time, as a real one is.
func fakeProof(st verenc.Statement) []byte {
	ctx, err := st.Context()
	must(err)
	nonce := make([]byte, 16)
	_, err = rand.Read(nonce)
	must(err)
	return append(ctx[:], nonce...)
}

func verifyFake(st verenc.Statement, proof []byte) bool {
	ctx, err := st.Context()
	must(err)
	return bytes.HasPrefix(proof, ctx[:])
}

func (c *fakeChain) vote(m *types.MsgTssPool) {
	k := c.keygens[m.KeygenId]
	if k == nil || k.Status != types.KeygenStatus_KEYGEN_STATUS_OPEN || voteOf(*k, m.Signer) != nil || c.height > k.Deadline {
		return
	}
	v := types.VoteInfo{Member: m.Signer, Height: c.height}
	if m.Blame != nil {
		if c.height <= k.CertificateDeadline || k.Certificate != nil {
			return
		}
		v.Blamed = m.Blame.Members
	} else {
		held := k.Placement == types.Placement_PLACEMENT_MEMBERS
		if (asked(k.Members, m.Signer) && !held) != (len(m.KeysharesBackup) > 0) ||
			!held && len(m.Envelopes)+len(m.EnvelopesHash) > 0 {
			return
		}
		shares, hash, ok := c.sharesOf(k, m)
		if !ok {
			return
		}
		if asked(k.Members, m.Signer) != (len(m.Proof) > 0) ||
			len(m.Proof) > 0 && !c.prove(shares, k.Id, m.PubKey, m.PubKeyEd25519, k.Members, m.Signer, m.Proof) {
			return
		}
		v.SharesHash = hash
		if !c.certify(k, m, v.SharesHash) {
			return
		}
		if len(m.Group) > 0 {
			c.carried++
		}
		c.shares[v.SharesHash] = shares
		v.Vault, v.PubKeyEd25519 = m.PubKey, m.PubKeyEd25519
		if len(m.KeysharesBackup) > 0 {
			commitment := c.commitment(m.KeysharesBackup)
			v.Commitment = &commitment
		}
		if i := askedIndex(k.Members, m.Signer); held && i >= 0 {
			commitment := k.Certificate.Envelopes[i]
			commitment.Height = c.height
			v.Commitment = &commitment
		}
	}
	k.Votes = append(k.Votes, v)
	c.votes[m.Signer]++
	c.messages[m.Signer] = append(c.messages[m.Signer], m)
	c.closeEarly(k)
}

// sharesOf are the public shares of a vote, and what names the result: those in the vote, or in the
// group part that it carries or names.
func (c *fakeChain) sharesOf(k *types.KeygenInfo, m *types.MsgTssPool) (types.PublicShares, string, bool) {
	v := decoded(k).Makes(unhex(m.PubKey), unhex(m.PubKeyEd25519))
	switch {
	case !k.Split:
		if m.PublicShares == nil || m.PublicShares.Check(v.PubKey, v.PubKeyEd25519) != nil {
			return types.PublicShares{}, "", false
		}
		return *m.PublicShares, hex.EncodeToString(m.PublicShares.Hash(v.PubKey, v.PubKeyEd25519)), true
	case m.PublicShares != nil || (len(m.Group) > 0) == (len(m.GroupHash) > 0):
		return types.PublicShares{}, "", false
	case len(m.GroupHash) > 0:
		shares, known := c.shares[hex.EncodeToString(m.GroupHash)]
		return shares, hex.EncodeToString(m.GroupHash), known && len(m.Certificate) == 0
	}
	hash, err := v.GroupHash(m.Group)
	if err != nil {
		return types.PublicShares{}, "", false
	}
	members, err := sanity.ParseGroup(m.Group, len(v.Members))
	must(err)
	shares, err := types.Group{Points: sanity.GroupPoints(members)}.PublicShares(k.Id, v.Members)
	if err != nil || shares.Check(v.PubKey, v.PubKeyEd25519) != nil {
		return types.PublicShares{}, "", false
	}
	return shares, hex.EncodeToString(hash), true
}

// certify takes the vote's certificate, when none stands, and else reports whether the vote is for
// the result of that one.
func (c *fakeChain) certify(k *types.KeygenInfo, m *types.MsgTssPool, sharesHash string) bool {
	if k.Certificate != nil {
		c.bare++
		hash := m.EnvelopesHash
		if len(m.Envelopes) > 0 {
			hash = types.EnvelopesHash(m.Envelopes)
		}
		return k.Certificate.Vault == m.PubKey && k.Certificate.SharesHash == sharesHash &&
			k.Certificate.EnvelopesHash == hex.EncodeToString(hash)
	}
	var members []types.Member
	for _, info := range k.Members {
		members = append(members, types.Member{PubKey: unhex(info.PubKey)})
	}
	result := types.Result{PubKey: unhex(m.PubKey), PubKeyEd25519: unhex(m.PubKeyEd25519), SharesHash: unhex(sharesHash)}
	var envelopes []types.CommitmentInfo
	if k.Placement == types.Placement_PLACEMENT_MEMBERS {
		list, err := types.ParseEnvelopes(m.Envelopes, len(askedOf(k.Members)))
		if err != nil {
			return false
		}
		result.EnvelopesHash = types.EnvelopesHash(m.Envelopes)
		for _, e := range list {
			envelopes = append(envelopes, types.CommitmentInfo{
				Sha256: hex.EncodeToString(e.Sha256), Size_: e.Size_, Placement: e.Placement,
			})
		}
	}
	if k.Session == nil || c.height > k.CertificateDeadline ||
		types.CheckCertificate(m.Certificate, unhex(k.Session.Id), result, members) != nil {
		return false
	}
	k.Certificate = &types.CertificateInfo{
		Vault: m.PubKey, PubKeyEd25519: m.PubKeyEd25519, SharesHash: sharesHash, Attempt: k.Session.Attempt, Height: c.height,
		Envelopes: envelopes, EnvelopesHash: hex.EncodeToString(result.EnvelopesHash),
	}
	for i, e := range envelopes {
		member := askedOf(k.Members)[i]
		if c.envelopes[member] == nil {
			c.envelopes[member] = map[string]bool{}
		}
		c.envelopes[member][e.Sha256] = true
	}
	return true
}

// check takes the vault's signatures.
func (c *fakeChain) check(m *types.MsgTssCheck) {
	k := c.keygens[m.KeygenId]
	if k == nil || k.Status != types.KeygenStatus_KEYGEN_STATUS_OPEN || k.Certificate == nil || k.Certificate.Checked {
		return
	}
	s := signatures{secp256k1: m.Signature, ed25519: m.SignatureEd25519}
	v := keysOf(k.Certificate.Vault, k.Certificate.PubKeyEd25519)
	if !s.verify(v, types.CheckMessage(testChain, k.Id, v.PubKey, v.PubKeyEd25519)) {
		return
	}
	k.Certificate.Checked = true
	c.checks[m.Signer]++
	c.closeEarly(k)
}

// closeEarly closes a keygen that nothing more is to come for.
func (c *fakeChain) closeEarly(k *types.KeygenInfo) {
	if len(k.Votes) == len(k.Members) && (k.Certificate == nil || k.Certificate.Checked) {
		c.close(k)
	}
}

func (c *fakeChain) close(k *types.KeygenInfo) {
	k.ClosedHeight = c.height
	k.Status = types.KeygenStatus_KEYGEN_STATUS_FAILED
	published := 0
	for _, v := range k.Votes {
		if v.Vault != "" {
			published++
		}
	}
	if published < int(k.Needed) || k.Certificate == nil || !k.Certificate.Checked {
		return
	}
	k.Status = types.KeygenStatus_KEYGEN_STATUS_READY
	for _, m := range k.Members {
		if voteOf(*k, m.Address) == nil {
			k.Silent = append(k.Silent, m.Address)
		}
	}
	for _, v := range k.Votes {
		if v.Vault == "" {
			continue
		}
		k.Vault = v.Vault
		next := &types.VaultInfo{
			Vault: v.Vault, PubKeyEd25519: v.PubKeyEd25519, Status: types.VaultStatus_VAULT_STATUS_ACTIVE,
			Epoch: k.Id, Members: k.Members, SharesHash: v.SharesHash, Split: k.Split, Threshold: k.Threshold,
			Placement: k.Placement,
		}
		if before := c.vaults[v.Vault]; before != nil && before.Epoch != k.Id {
			next.Former = append(before.Former, types.FormerEpoch{Epoch: before.Epoch, Threshold: before.Threshold})
			for _, m := range before.Members {
				delete(c.backups, v.Vault+"/"+m.Address)
			}
		} else if before != nil {
			next.Former = before.Former
		}
		c.vaults[v.Vault] = next
		if v.Commitment != nil {
			c.backups[v.Vault+"/"+v.Member] = []types.CommitmentInfo{*v.Commitment}
		}
	}
	k.Votes, k.Certificate = nil, nil
}

func decode(raw []byte) (member string, sequence uint64, msg proto.Message) {
	var outer tx.TxRaw
	var body tx.TxBody
	var auth tx.AuthInfo
	must(proto.Unmarshal(raw, &outer))
	must(proto.Unmarshal(outer.BodyBytes, &body))
	must(proto.Unmarshal(outer.AuthInfoBytes, &auth))
	sequence = auth.SignerInfos[0].Sequence
	if body.Messages[0].TypeUrl == sdk.MsgTypeURL(&types.MsgTssPool{}) {
		var m types.MsgTssPool
		must(proto.Unmarshal(body.Messages[0].Value, &m))
		return m.Signer, sequence, &m
	}
	if body.Messages[0].TypeUrl == sdk.MsgTypeURL(&types.MsgTssJoin{}) {
		var m types.MsgTssJoin
		must(proto.Unmarshal(body.Messages[0].Value, &m))
		return m.Signer, sequence, &m
	}
	if body.Messages[0].TypeUrl == sdk.MsgTypeURL(&types.MsgHeartbeat{}) {
		var m types.MsgHeartbeat
		must(proto.Unmarshal(body.Messages[0].Value, &m))
		return m.Signer, sequence, &m
	}
	if body.Messages[0].TypeUrl == sdk.MsgTypeURL(&types.MsgTssCheck{}) {
		var m types.MsgTssCheck
		must(proto.Unmarshal(body.Messages[0].Value, &m))
		return m.Signer, sequence, &m
	}
	var m types.MsgPublishBackup
	must(proto.Unmarshal(body.Messages[0].Value, &m))
	return m.Signer, sequence, &m
}

// isSmall reports whether a message is one that can be made again: a join, a check, a heartbeat.
func isSmall(msg proto.Message) bool {
	switch msg.(type) {
	case *types.MsgTssJoin, *types.MsgTssCheck, *types.MsgHeartbeat:
		return true
	}
	return false
}

func gasOf(raw []byte) uint64 {
	var outer tx.TxRaw
	var auth tx.AuthInfo
	must(proto.Unmarshal(raw, &outer))
	must(proto.Unmarshal(outer.AuthInfoBytes, &auth))
	return auth.Fee.GasLimit
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (c *fakeChain) Height(context.Context) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked++; len(c.mempool) > 0 || c.asked%1000 == 0 {
		c.block()
	}
	return c.height, nil
}

func (c *fakeChain) Params(context.Context) (types.Params, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.params, nil
}

func (c *fakeChain) OpenKeygens(context.Context) ([]vault.Keygen, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []vault.Keygen
	for _, k := range c.keygens {
		if k.Status == types.KeygenStatus_KEYGEN_STATUS_OPEN {
			list = append(list, decoded(k))
		}
	}
	return list, nil
}

func decoded(info *types.KeygenInfo) vault.Keygen {
	k, err := vault.KeygenFromInfo(*info)
	must(err)
	return k
}

func (c *fakeChain) Keygen(_ context.Context, id uint64) (vault.Keygen, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if info := c.keygens[id]; info != nil {
		k := decoded(info)
		k.AsOf = c.height
		return k, nil
	}
	return vault.Keygen{}, nil
}

func (c *fakeChain) Vaults(_ context.Context, member string) ([]vault.Vault, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []vault.Vault
	for _, info := range c.vaults {
		if _, ok := memberOf(info.Members, member); ok && info.Status != types.VaultStatus_VAULT_STATUS_RETIRED {
			v, err := vault.FromInfo(*info)
			must(err)
			list = append(list, v)
		}
	}
	return list, nil
}

func (c *fakeChain) Vault(_ context.Context, name string) (vault.Vault, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.vaults[name]; v != nil {
		return vault.FromInfo(*v)
	}
	return vault.Vault{}, errNotFound
}

func (c *fakeChain) Backup(_ context.Context, name, member string) ([]types.Commitment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []types.Commitment
	for _, info := range c.backups[name+"/"+member] {
		commitment, err := info.Commitment()
		must(err)
		list = append(list, commitment)
	}
	return list, nil
}

func (c *fakeChain) Proof(_ context.Context, name, member string) (types.Proof, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info := c.proofs[name+"/"+member]
	if v := c.vaults[name]; v != nil {
		m, _ := memberOf(v.Members, member)
		info.RecipientKey, info.RecipientIndex = m.RecipientKey, m.RecipientIndex
	}
	return vault.ProofFromInfo(info)
}

func (c *fakeChain) Heartbeat(_ context.Context, name, member string) (*types.Heartbeat, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interval == 0 {
		return nil, nil
	}
	beat := c.heartbeats[name+"/"+member]
	if beat.Due == 0 {
		beat.Due = c.interval
	}
	return &beat, nil
}

func (c *fakeChain) Beacons(context.Context) ([]types.Beacon, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.beacons(), nil
}

// beacons is the latest, whose hash says its height.
func (c *fakeChain) beacons() []types.Beacon {
	height := c.height / types.BeaconInterval * types.BeaconInterval
	if height == 0 {
		return nil
	}
	return []types.Beacon{{Height: height, AppHash: fmt.Append(nil, height)}}
}

// vaultOf names the vault of an epoch.
func (c *fakeChain) vaultOf(epoch uint64) string {
	for name, v := range c.vaults {
		if v.Epoch == epoch {
			return name
		}
	}
	return ""
}

// beat takes a heartbeat that signs the latest beacon.
func (c *fakeChain) beat(m *types.MsgHeartbeat) {
	for _, v := range c.vaults {
		if v.Epoch != m.Epoch {
			continue
		}
		if m.BeaconHeight != c.beacons()[0].Height || c.drop[m.Signer] {
			c.unbeaten++
			continue
		}
		member, ok := memberOf(v.Members, m.Signer)
		raw := types.SignerAddress(unhex(member.PubKey))
		if !ok || verenc.VerifyBeat(unhex(member.RecipientKey), verenc.Beat{
			ChainID: testChain, Epoch: m.Epoch, Member: raw, Height: m.BeaconHeight,
			AppHash: c.beacons()[0].AppHash, Kind: uint32(m.Kind),
		}, m.Signature) != nil {
			continue
		}
		c.heartbeats[v.Vault+"/"+m.Signer] = types.Heartbeat{
			MachineHeight: c.height, BeaconHeight: m.BeaconHeight, Due: c.height + c.interval,
		}
		c.beaten++
	}
}

func (c *fakeChain) Account(_ context.Context, address string) (uint64, uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return 7, c.sequence[address], nil
}

func (c *fakeChain) Broadcast(_ context.Context, raw []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	member, sequence, msg := decode(raw)
	c.received++
	var envelope, proof []byte
	members := 0
	switch m := msg.(type) {
	case *types.MsgTssJoin:
		k := c.keygens[m.KeygenId]
		members = len(k.Members)
		if k.Reshare != nil {
			members += len(c.vaults[k.Reshare.Vault].Members)
		}
	case *types.MsgTssCheck:
		members = len(c.keygens[m.KeygenId].Members)
	case *types.MsgTssPool:
		envelope, proof = m.KeysharesBackup, m.Proof
		members = len(c.keygens[m.KeygenId].Members)
		if _, known := c.shares[hex.EncodeToString(m.GroupHash)]; len(m.GroupHash) > 0 && !known {
			c.early++
			return errors.New("group part is not in state")
		}
		if len(m.EnvelopesHash) > 0 && c.keygens[m.KeygenId].Certificate == nil {
			c.early++
			return errors.New("no certificate stands")
		}
	case *types.MsgPublishBackup:
		envelope, proof = m.KeysharesBackup, m.Proof
		members = len(c.vaults[m.Vault].Members)
	case *types.MsgHeartbeat:
		members = len(c.vaults[c.vaultOf(m.Epoch)].Members)
	}
	if c.otherTerm(member, msg) {
		return types.ErrOtherTerm
	}
	free := types.VoteGas(members)
	if _, ok := msg.(*types.MsgHeartbeat); ok {
		free = types.HeartbeatGas(members)
	}
	if m, ok := msg.(*types.MsgTssPool); ok {
		free = types.Exemption{
			Members: members, CarriesGroup: len(m.Group) > 0, NamesGroup: len(m.GroupHash) > 0,
		}.MaxGas()
	}
	if gas := gasOf(raw); gas > free+10*uint64(len(raw)) {
		return fmt.Errorf("gas %d is more than is free", gas)
	}
	if c.sent[member] == nil {
		c.sent[member] = map[string]bool{}
	}
	if len(proof) > 0 {
		c.sent[member][hex.EncodeToString(proof)] = true
	}
	if c.envelopes[member] == nil {
		c.envelopes[member] = map[string]bool{}
	}
	if len(envelope) > 0 {
		c.envelopes[member][c.commitment(envelope).Sha256] = true
	}
	if c.refuse != nil && !isSmall(msg) {
		if err := c.refuse(member); err != nil {
			return err
		}
	}
	if sequence != c.sequence[member] {
		return sdkerrors.ErrWrongSequence
	}
	for _, known := range c.mempool {
		if bytes.Equal(known, raw) {
			return sdkerrors.ErrTxInMempoolCache
		}
	}
	c.mempool = append(c.mempool, raw)
	return nil
}

// fakeTss is the ceremonies of all members: one runs when all of its members have joined it, and a
// keygen is over when all have signed for its result.
type fakeTss struct {
	mu       sync.Mutex
	sessions map[string]*session
	keygens  int // that ran to their end
	patience time.Duration
	// given are the envelopes that members give each other, by attempt and member.
	given map[string][]byte
	// handed are the vaults that dealers brought, by attempt.
	handed map[string]*vaultSecret
	// fail, when set, is asked for every member that joins.
	fail func(member []byte, id string) error
	// failDone, when set, is asked for every member that has kept its result.
	failDone func(id string) error
	// otherKey has reshares end with another key than the vault's.
	otherKey bool
	// withholds, when set, names a member that keeps its signature for a result to itself.
	withholds []byte
}

// session is a ceremony, and the second one the signing of a keygen's result.
type session struct {
	joined map[string]bool
	over   chan struct{}
	blame  *ceremony.BlameError
	vault  *vaultSecret
	dones  map[string][]byte
}

type vaultSecret struct {
	Secp256k1 []byte
	Ed25519   []byte
	Member    []byte
	Members   [][]byte
	// Attempt is that at a reshare, which makes other keyshares each time.
	Attempt []byte
}

// seat is a member's place in the ceremonies.
type seat struct {
	*fakeTss
	pubKey []byte
	key    []byte
}

func (s seat) join(ctx context.Context, id string, members [][]byte) (*session, error) {
	s.mu.Lock()
	if s.fail != nil {
		if err := s.fail(s.pubKey, id); err != nil {
			s.mu.Unlock()
			return nil, err
		}
	}
	s.mu.Unlock()
	return s.meet(ctx, id, members, nil)
}

// meet waits until all members have come, each with its signature when it is for a result.
func (s seat) meet(ctx context.Context, id string, members [][]byte, done []byte) (*session, error) {
	s.mu.Lock()
	ses := s.sessions[id]
	if ses == nil {
		ses = &session{joined: map[string]bool{}, over: make(chan struct{}), vault: newVaultSecret(), dones: map[string][]byte{}}
		s.sessions[id] = ses
	}
	ses.dones[string(s.pubKey)] = done
	if done == nil || !bytes.Equal(s.pubKey, s.withholds) {
		ses.joined[string(s.pubKey)] = true
	}
	if len(ses.joined) == len(members) {
		delete(s.sessions, id)
		if done != nil {
			s.keygens++
		}
		close(ses.over)
	}
	s.mu.Unlock()
	patience := time.NewTimer(s.patience)
	defer patience.Stop()
	select {
	case <-ses.over:
	case <-ctx.Done():
	case <-patience.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-ses.over:
	default:
		// The first who loses patience ends it for all.
		if ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			delete(ses.joined, string(s.pubKey))
			return ses, ctx.Err()
		}
		blame := &ceremony.BlameError{Reason: "did not join"}
		for _, m := range members {
			if !ses.joined[string(m)] {
				blame.Members = append(blame.Members, m)
			}
		}
		if ctx.Err() != nil { // its deadline, which the others have yet to see
			return ses, fmt.Errorf("joining %s: %w", id, blame)
		}
		ses.blame = blame
		delete(s.sessions, id)
		close(ses.over)
	}
	if ses.blame != nil {
		return ses, fmt.Errorf("joining %s: %w", id, ses.blame)
	}
	return ses, nil
}

func newVaultSecret() *vaultSecret {
	key, err := secp256k1.GeneratePrivateKey()
	must(err)
	seed := make([]byte, ed25519.SeedSize)
	_, err = rand.Read(seed)
	must(err)
	return &vaultSecret{Secp256k1: key.Serialize(), Ed25519: seed}
}

func (v *vaultSecret) pubKeys() (ecdsaKey, eddsaKey []byte) {
	return secp256k1.PrivKeyFromBytes(v.Secp256k1).PubKey().SerializeCompressed(),
		ed25519.NewKeyFromSeed(v.Ed25519).Public().(ed25519.PublicKey)
}

func (s seat) Keygen(ctx context.Context, req ceremony.KeygenRequest) (*ceremony.KeygenResult, error) {
	id := hex.EncodeToString(req.Session.ID)
	ses, err := s.join(ctx, id, req.Members)
	if err != nil {
		return nil, err
	}
	return s.keep(ctx, req, *ses.vault)
}

// Reshare has the dealers bring the vault, which their keyshares hold whole here.
func (s seat) Reshare(ctx context.Context, req ceremony.ReshareRequest) (*ceremony.KeygenResult, error) {
	taking := req.Taking()
	if len(req.Session.Keys) != len(taking) || len(req.From.Dealers) != req.From.Threshold ||
		len(req.From.Secp256k1) != len(req.From.Members) || slices.ContainsFunc(req.From.Ed25519, func(p []byte) bool { return p == nil }) {
		return nil, errors.New("malformed request")
	}
	if contains(req.From.Dealers, s.pubKey) {
		if len(req.Keyshares) != 2 {
			return nil, errors.New("a dealer has no keyshares")
		}
	} else if req.Keyshares != nil {
		return nil, errors.New("keyshares of who does not deal")
	}
	id := hex.EncodeToString(req.Session.ID)
	if req.Keyshares != nil {
		var own vaultSecret
		must(json.Unmarshal(req.Keyshares[0].Data, &own))
		s.mu.Lock()
		if s.handed == nil {
			s.handed = map[string]*vaultSecret{}
		}
		s.handed[id] = &own
		s.mu.Unlock()
	}
	if _, err := s.join(ctx, id, taking); err != nil {
		return nil, err
	}
	s.mu.Lock()
	next := *s.handed[id]
	if s.otherKey {
		next = *newVaultSecret()
		s.handed[id] = &next
		s.otherKey = false
	}
	s.mu.Unlock()
	if !contains(req.Members, s.pubKey) {
		return &ceremony.KeygenResult{Secp256k1: req.Secp256k1, Ed25519: req.Ed25519}, nil
	}
	next.Attempt = req.Session.ID
	return s.keep(ctx, req.KeygenRequest, next)
}

// keep is the end of a keygen and of a reshare.
func (s seat) keep(ctx context.Context, req ceremony.KeygenRequest, own vaultSecret) (*ceremony.KeygenResult, error) {
	id := hex.EncodeToString(req.Session.ID)
	res := &ceremony.KeygenResult{}
	res.Secp256k1, res.Ed25519 = own.pubKeys()
	own.Member, own.Members = s.pubKey, req.Members
	file, err := json.Marshal(own)
	must(err)
	ecdsaKey, err := keyshare.EncodeSecp256k1(testPrefix, res.Secp256k1)
	must(err)
	eddsaKey, err := keyshare.EncodeEd25519(testPrefix, res.Ed25519)
	must(err)
	res.Files = []envelope.File{
		{Name: keyshare.FileName(ecdsaKey), Data: file},
		{Name: keyshare.FileName(eddsaKey), Data: append(file, ' ')},
	}
	// The round of a ceremony is short here.
	round, over := context.WithTimeout(ctx, 200*time.Millisecond)
	defer over()
	if req.Envelopes != nil {
		if err := s.give(round, req, res); err != nil {
			return nil, err
		}
	}
	digest, err := req.Keep(round, *res)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.failDone != nil {
		err = s.failDone(id)
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	done := ecdsa.SignCompact(secp256k1.PrivKeyFromBytes(s.key), digest, true)[1:]
	ses, err := s.meet(ctx, id+"/done", req.Members, done)
	if err != nil {
		s.mu.Lock()
		withheld := bytes.Equal(s.pubKey, s.withholds)
		s.mu.Unlock()
		if !withheld || len(ses.dones) < len(req.Members) {
			return nil, err
		}
	}
	for _, m := range req.Members {
		res.Certificate = append(res.Certificate, ses.dones[string(m)])
	}
	return res, nil
}

// give has the members give each other their envelopes.
func (s seat) give(ctx context.Context, req ceremony.KeygenRequest, res *ceremony.KeygenResult) error {
	id := hex.EncodeToString(req.Session.ID)
	if contains(req.Envelopes.Asked, s.pubKey) {
		sealed, err := req.Envelopes.Seal(ctx, *res)
		if err != nil {
			return err
		}
		if err := req.Envelopes.Check(sealed); err != nil {
			return fmt.Errorf("an honest member's envelope: %w", err)
		}
		s.mu.Lock()
		if s.given == nil {
			s.given = map[string][]byte{}
		}
		s.given[id+string(s.pubKey)] = sealed
		s.mu.Unlock()
	}
	if _, err := s.meet(ctx, id+"/envelopes", req.Members, nil); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range req.Envelopes.Asked {
		res.Envelopes = append(res.Envelopes, s.given[id+string(m)])
	}
	return nil
}

func (s seat) Keysign(ctx context.Context, req ceremony.KeysignRequest) ([]byte, error) {
	if _, err := s.join(ctx, req.ID, req.Signers); err != nil {
		return nil, err
	}
	var v vaultSecret
	must(json.Unmarshal(req.Keyshare, &v))
	if req.Keyshare[len(req.Keyshare)-1] == ' ' {
		return ed25519.Sign(ed25519.NewKeyFromSeed(v.Ed25519), req.Message), nil
	}
	compact := ecdsa.SignCompact(secp256k1.PrivKeyFromBytes(v.Secp256k1), req.Message, true)
	return compact[1:], nil
}

// fakeKeyshares stand for two keyshare files that were checked.
type fakeKeyshares struct {
	vaultSecret
	regroup func([]byte) []byte
}

func checkFake(v vault.Vault, files []envelope.File, member []byte) (*fakeKeyshares, error) {
	k := &fakeKeyshares{}
	for _, f := range files {
		if err := json.Unmarshal(f.Data, &k.vaultSecret); err != nil {
			return nil, err
		}
		ecdsaKey, _ := k.pubKeys()
		if !bytes.Equal(k.Member, member) || !bytes.Equal(ecdsaKey, v.PubKey) ||
			!slices.EqualFunc(k.Members, v.MemberKeys(), bytes.Equal) {
			return nil, errors.New("not this member's keyshare")
		}
	}
	return k, nil
}

func (k *fakeKeyshares) Wipe() {}

func (k *fakeKeyshares) dealt() *dealer.Dealt {
	return dealer.Deal(secp256k1.PrivKeyFromBytes(k.Secp256k1), ed25519.NewKeyFromSeed(k.Ed25519), k.Members)
}

func (k *fakeKeyshares) PublicShares() (types.PublicShares, error) { return k.dealt().Public, nil }

func (k *fakeKeyshares) GroupPart() ([]byte, error) {
	group := k.dealt().Group(k.Members)
	if k.regroup != nil {
		group = k.regroup(group)
	}
	return group, nil
}

// splitFake stands for the secrets of fake keyshares.
func splitFake(v vault.Vault, files []envelope.File, group []byte) (envelope.File, error) {
	if err := v.CheckGroup(group); err != nil {
		return envelope.File{}, err
	}
	return envelope.File{Name: "secrets-" + v.Name() + ".json", Data: bytes.Repeat(files[0].Data[:32], 36)}, nil
}

func (k *fakeKeyshares) Shares() ([]verenc.Share, error) { return k.dealt().Shares(k.Member), nil }
