package chain

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// memTrust is a trust store that tests look into.
type memTrust map[string][]byte

func (m memTrust) Load(chainID string) ([]byte, error) { return m[chainID], nil }

func (m memTrust) Save(chainID string, block []byte) error {
	m[chainID] = block
	return nil
}

// scene is a chain with two vaults, and what a client is told about its nodes.
type scene struct {
	*fakenode.Node
	url       string
	member    string
	members   []types.MemberInfo
	store     memTrust
	confirmed []byte
	witnesses []string
	reports   []string
}

func vaultName(i byte) string { return "02" + strings.Repeat(hex.EncodeToString([]byte{i}), 32) }

// vaultKey is the key behind vaultName.
func vaultKey(i byte) []byte { return append([]byte{2}, bytes.Repeat([]byte{i}, 32)...) }

// raw is the raw form of a bech32 address.
func raw(t *testing.T, address string) []byte {
	_, b, err := bech32.DecodeAndConvert(address)
	require.NoError(t, err)
	return b
}

// vault is a vault of the node's as it is verified.
func (p *scene) vault(t *testing.T, i int) vault.Vault {
	info := p.Vaults[i]
	v := vault.Vault{Vault: types.Vault{
		Status: info.Status, Epoch: info.Epoch, ChurnId: info.ChurnId, Threshold: info.Threshold,
	}}
	for _, c := range []struct {
		text string
		raw  *[]byte
	}{{info.Vault, &v.PubKey}, {info.PubKeyEd25519, &v.PubKeyEd25519}, {info.SharesHash, &v.SharesHash}} {
		if c.text != "" {
			var err error
			*c.raw, err = hex.DecodeString(c.text)
			require.NoError(t, err)
		}
	}
	for _, m := range info.Members {
		key, err := hex.DecodeString(m.PubKey)
		require.NoError(t, err)
		v.Members = append(v.Members, types.Member{PubKey: key, Asked: m.Asked})
	}
	return v
}

func testEnvelope(text string) []byte { return []byte(sanity.EnvelopePrefix + text) }

func newScene(t *testing.T, members int) *scene {
	node, url := fakenode.New(t)
	p := &scene{Node: node, url: url, store: memTrust{}}
	for i := range members {
		key := secp256k1.GenPrivKeyFromSecret(fmt.Appendf(nil, "member %d", i)).PubKey()
		address, err := bech32.ConvertAndEncode("cosmos", key.Address())
		require.NoError(t, err)
		p.members = append(p.members, types.MemberInfo{Address: address, PubKey: hex.EncodeToString(key.Bytes()), Asked: true})
	}
	p.member = p.members[0].Address
	for i, status := range []types.VaultStatus{
		types.VaultStatus_VAULT_STATUS_ACTIVE, types.VaultStatus_VAULT_STATUS_RETIRING, types.VaultStatus_VAULT_STATUS_RETIRED,
	} {
		node.Vaults = append(node.Vaults, types.VaultInfo{
			Vault: vaultName(byte(i + 1)), PubKeyEd25519: strings.Repeat("ab", 32), Status: status,
			Epoch: uint64(i + 1), Threshold: 2, Members: p.members,
		})
	}
	node.Publish(vaultName(1), p.member, 5, testEnvelope("first"))
	node.Publish(vaultName(1), p.member, 6, testEnvelope("second"))
	return p
}

// trust is what the tests begin with: agree on a header and confirm it.
func (p *scene) trust() Trust {
	return Trust{
		Store: p.store,
		Confirm: func(first FirstHeader) error {
			p.confirmed, p.witnesses = first.Hash, first.Nodes
			return nil
		},
		Report: func(node string, err error) { p.reports = append(p.reports, node+": "+err.Error()) },
	}
}

func clients(t *testing.T, urls ...string) []*Client {
	var all []*Client
	for _, url := range urls {
		c, err := New(url, 5*time.Second)
		require.NoError(t, err)
		all = append(all, new(waits).of(c))
	}
	return all
}

// head settles the trust and returns the state at the head.
func (p *scene) head(t *testing.T, trust Trust, urls ...string) (*State, error) {
	l, err := NewLight(t.Context(), clients(t, urls...), "cosmos", trust, time.Now())
	if err != nil {
		return nil, err
	}
	return l.Head(t.Context(), time.Now())
}

func TestProvenRecords(t *testing.T) {
	p := newScene(t, 3)
	ctx := t.Context()
	s, err := p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	require.Empty(t, p.reports)
	height, hash, _ := s.Header()
	require.EqualValues(t, 100, height)
	require.EqualValues(t, 99, s.Height())
	require.Equal(t, hash, p.confirmed)

	before := p.Requests[""]
	me := raw(t, p.member)
	vaults, err := s.Vaults(ctx, me)
	require.NoError(t, err)
	require.Equal(t, []vault.Vault{p.vault(t, 0), p.vault(t, 1)}, vaults)
	commitments, err := s.Backup(ctx, vaults[0], me)
	require.NoError(t, err)
	require.Len(t, commitments, 2)
	require.Equal(t, p.Backups[vaultName(1)][p.member].Latest, commitments[0].Info())
	commitments, err = s.Backup(ctx, vaults[1], me)
	require.NoError(t, err)
	require.Empty(t, commitments)
	require.Equal(t, before+2, p.Requests[""], "the living vaults, then all the rest at once")

	retired, err := s.Vault(ctx, vaultKey(3))
	require.NoError(t, err)
	require.Equal(t, p.vault(t, 2), retired)
	_, err = s.Vault(ctx, vaultKey(4))
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorContains(t, err, "verified at height 99")

	vaults, err = s.Vaults(ctx, make([]byte, 20))
	require.NoError(t, err)
	require.Empty(t, vaults)
}

func TestProvenCoverageOfManyMembers(t *testing.T) {
	p := newScene(t, 20)
	s, err := p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	covered, err := s.Coverage(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, covered, 2)
	require.EqualValues(t, 20, covered[0].Asked)
	require.EqualValues(t, 1, covered[0].Published)
	require.False(t, covered[0].Recoverable)
	require.Len(t, covered[0].Missing, 19)
	require.True(t, strings.HasPrefix(covered[0].List[3].Operator, "cosmosvaloper1"))
	s.ShowOperators("thorv")
	covered, err = s.Coverage(t.Context(), nil)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(covered[0].List[3].Operator, "thorv1"))

	p.Publish(vaultName(1), p.members[1].Address, 7, testEnvelope("another's"))
	s, err = p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	covered, err = s.Coverage(t.Context(), vaultKey(1))
	require.NoError(t, err)
	require.True(t, covered[0].Recoverable)
}

func TestEnvelopeFromTheArchiveOrTheBlock(t *testing.T) {
	p := newScene(t, 3)
	ctx := t.Context()
	s, err := p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	v, me := p.vault(t, 0), raw(t, p.member)
	commitments, err := s.Backup(ctx, v, me)
	require.NoError(t, err)
	for _, archive := range []bool{false, true} {
		p.Archive = archive
		envelope, err := s.Envelope(ctx, v, me, commitments[0])
		require.NoError(t, err)
		require.Equal(t, testEnvelope("second"), envelope)
		envelope, err = s.Envelope(ctx, v, me, commitments[1])
		require.NoError(t, err)
		require.Equal(t, testEnvelope("first"), envelope)
	}
	require.Equal(t, 2, p.Requests["block"], "the archive is asked first")
}

// What the light client is told at the beginning, and what becomes of it.
func TestTrust(t *testing.T) {
	ctx := t.Context()
	p := newScene(t, 3)
	nobody := p.trust()
	nobody.Confirm = nil
	_, err := p.head(t, nobody, p.url)
	require.ErrorIs(t, err, ErrNoTrust)
	require.True(t, IsUntrusted(err))
	require.Empty(t, p.store)

	refused := errors.New("refused")
	no := p.trust()
	no.Confirm = func(FirstHeader) error { return refused }
	_, err = p.head(t, no, p.url, p.url)
	require.ErrorIs(t, err, refused)
	require.Empty(t, p.store, "what was not confirmed is not kept")

	s, err := p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	first, hash, at := s.Header()

	// The next time the header that was kept is enough, also with one node and after most
	// validators were replaced, step by step.
	for i := range 6 {
		p.Lock()
		p.Validators = fakenode.NewValidators(fmt.Sprint("set ", i), 4)
		p.Unlock()
		p.Advance(20)
	}
	s, err = p.head(t, no, p.url)
	require.NoError(t, err)
	last, newHash, _ := s.Header()
	require.EqualValues(t, first+120, last)
	_, err = s.Vaults(ctx, raw(t, p.member))
	require.NoError(t, err)

	given := p.trust()
	given.Height, given.Hash = first, hash
	require.NotEqual(t, hash, newHash)
	kept := bytes.Clone(p.store["fake-1"])
	_, err = p.head(t, given, p.url)
	require.NoError(t, err, "an older header of the same chain")

	given.Height, given.Hash = last, newHash
	_, err = p.head(t, given, p.url)
	require.NoError(t, err, "the header that is kept")

	given.Hash = hash
	_, err = p.head(t, given, p.url)
	require.ErrorIs(t, err, ErrConflict)
	require.ErrorContains(t, err, "no node shows header")
	require.Equal(t, kept, p.store["fake-1"])

	// Another chain of the same name.
	other := newScene(t, 3)
	other.Validators = fakenode.NewValidators("other", 4)
	other.store = p.store
	s, err = other.head(t, other.trust(), other.url, other.url)
	require.NoError(t, err)
	require.Contains(t, strings.Join(other.reports, "\n"), "behind header 220")
	_, err = s.Vaults(ctx, raw(t, other.member))
	require.Error(t, err)
	other.Advance(200)
	_, err = other.head(t, other.trust(), other.url, other.url)
	require.ErrorIs(t, err, ErrNoHeader)
	require.Equal(t, kept, p.store["fake-1"])
	given = other.trust()
	s, err = other.head(t, Trust{Store: memTrust{}, Confirm: given.Confirm}, other.url, other.url)
	require.NoError(t, err)
	given.Height, given.Hash, _ = s.Header()
	_, err = other.head(t, given, other.url)
	require.Error(t, err, "the header that is kept is on another chain")
	require.Equal(t, kept, p.store["fake-1"])

	// After the trusting period.
	short := p.trust()
	short.Period = time.Minute / 2
	_, err = p.head(t, short, p.url)
	require.ErrorIs(t, err, ErrExpired)
	require.Contains(t, strings.Join(p.reports, "\n"), "the trusting period is over")
	short.Height, short.Hash = first, hash
	_, err = p.head(t, short, p.url)
	require.ErrorIs(t, err, ErrExpired)
	require.True(t, at.Before(time.Now()))
}

// With one node whoever starts must know that nobody contradicts it.
func TestASingleNodeIsNamedBeforeItIsTrusted(t *testing.T) {
	p := newScene(t, 3)
	_, err := p.head(t, p.trust(), p.url)
	require.NoError(t, err)
	require.Equal(t, []string{p.url}, p.witnesses)
	require.NotEmpty(t, p.store, "a later lie is held against it")
}

func TestAHeaderThatIsGivenOnceIsOnlyForTheBeginning(t *testing.T) {
	p := newScene(t, 3)
	s, err := p.head(t, p.trust(), p.url)
	require.NoError(t, err)
	given := p.trust()
	given.Confirm = nil
	given.Once = true
	given.Height, given.Hash, _ = s.Header()
	p.store = memTrust{}
	given.Store = p.store
	p.Advance(5)
	_, err = p.head(t, given, p.url)
	require.NoError(t, err)

	// Nodes prune it, and its hash does not matter any more.
	p.Advance(5)
	p.Lock()
	p.Earliest = p.Height - 7
	p.Unlock()
	given.Hash = make([]byte, 32)
	s, err = p.head(t, given, p.url)
	require.NoError(t, err)
	height, _, _ := s.Header()
	require.EqualValues(t, 110, height)

	// A newer one than is kept is looked at.
	p.Advance(5)
	given.Height = 112
	_, err = p.head(t, given, p.url)
	require.ErrorIs(t, err, ErrConflict)
}

func TestPrunedHeaders(t *testing.T) {
	p := newScene(t, 3)
	_, err := p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	for i := range 4 {
		p.Lock()
		p.Validators = fakenode.NewValidators(fmt.Sprint("set ", i), 4)
		p.Unlock()
		p.Advance(20)
	}
	p.Lock()
	p.Earliest = p.Height - 2
	p.Unlock()
	_, err = p.head(t, p.trust(), p.url, p.url)
	require.ErrorIs(t, err, ErrPruned)

	// A newer header from elsewhere ends it.
	s, err := p.head(t, Trust{Store: memTrust{}, Confirm: p.trust().Confirm}, p.url)
	require.NoError(t, err)
	given := p.trust()
	given.Height, given.Hash, _ = s.Header()
	_, err = p.head(t, given, p.url)
	require.NoError(t, err)
	require.Contains(t, strings.Join(p.reports, "\n"), "cannot be held against header")
	_, err = p.head(t, p.trust(), p.url)
	require.NoError(t, err, "and is what the next time begins with")
}

// Two nodes show headers that differ, and the same validators have signed both.
func TestAnAttack(t *testing.T) {
	p, fork := newScene(t, 3), newScene(t, 3)
	fork.Start = p.Start
	_, err := p.head(t, p.trust(), p.url, fork.url)
	require.NoError(t, err)
	kept := bytes.Clone(p.store["fake-1"])
	fork.Vaults[0].Threshold = 1
	p.Advance(3)
	fork.Advance(2)
	for _, urls := range [][]string{{p.url, fork.url}, {fork.url, p.url}, {p.url, p.url, fork.url}} {
		_, err = p.head(t, p.trust(), urls...)
		require.ErrorIs(t, err, ErrAttack)
		require.ErrorContains(t, err, fork.url)
		require.Equal(t, kept, p.store["fake-1"])
	}

	// At first there is nothing to verify from: the nodes must agree.
	p.store = memTrust{}
	_, err = p.head(t, p.trust(), p.url, fork.url)
	require.ErrorIs(t, err, ErrNoTrust)
	require.ErrorContains(t, err, "do not agree")
}

// A node that stands still must not hide what is newer.
func TestANodeThatStandsStill(t *testing.T) {
	p, frozen := newScene(t, 3), newScene(t, 3)
	p.Start = time.Now().Add(-time.Hour)
	frozen.Start = p.Start
	_, err := p.head(t, p.trust(), p.url, frozen.url)
	require.NoError(t, err)
	p.reports = nil
	p.Advance(50)
	p.Lock()
	p.Start = time.Now().Add(-time.Minute)
	p.Unlock()
	p.Advance(1)
	s, err := p.head(t, p.trust(), frozen.url, p.url)
	require.NoError(t, err)
	height, _, _ := s.Header()
	require.EqualValues(t, 151, height)
	reports := strings.Join(p.reports, "\n")
	require.Contains(t, reports, frozen.url+": node unreachable: it stands at height 100")
	require.Contains(t, reports, "no second node confirms header 151")
	_, err = s.Vaults(t.Context(), raw(t, p.member))
	require.NoError(t, err)
}

func TestAStaleHeadIsSaid(t *testing.T) {
	p := newScene(t, 3)
	p.Start = time.Now().Add(-time.Hour)
	_, err := p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	require.Contains(t, strings.Join(p.reports, "\n"), "the chain stands still, or the nodes hide what is newer")
}

func TestNodesOfDifferentChains(t *testing.T) {
	p, other := newScene(t, 3), newScene(t, 3)
	other.ChainID = "fake-2"
	_, err := p.head(t, p.trust(), p.url, other.url)
	require.ErrorIs(t, err, ErrNoTrust)
	require.ErrorContains(t, err, "different chains")
	trust := p.trust()
	trust.ChainID = "fake-1"
	_, err = p.head(t, trust, p.url, other.url, p.url)
	require.NoError(t, err)
	require.Len(t, p.reports, 1)
	require.Contains(t, p.reports[0], other.url)
}

func TestTrustDir(t *testing.T) {
	dir := TrustDir(t.TempDir() + "/trust")
	data, err := dir.Load("../chain")
	require.NoError(t, err)
	require.Nil(t, data)
	require.NoError(t, dir.Save("../chain", []byte("one")))
	require.NoError(t, dir.Save("../chain", []byte("two")))
	data, err = dir.Load("../chain")
	require.NoError(t, err)
	require.Equal(t, "two", string(data))

	p := newScene(t, 3)
	require.NoError(t, dir.Save("fake-1", []byte("no header")))
	trust := p.trust()
	trust.Store = dir
	_, err = NewLight(context.Background(), clients(t, p.url, p.url), "cosmos", trust, time.Now())
	require.ErrorIs(t, err, ErrNoTrust)
	require.ErrorContains(t, err, "cannot be read")
}
