package chain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/fakenode"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// newProofs gives the first vault public shares and its first two members proofs. What is in them,
// nobody looks at here.
func newProofs(t *testing.T, members int) *scene {
	p := newScene(t, members)
	vault := &p.Vaults[0]
	vault.Epoch, vault.SharesHash = 9, strings.Repeat("cd", 32)
	p.Shares[vault.Vault] = types.PublicShares{Secp256k1: []types.PublicShare{{Member: []byte("m"), Id: []byte("i"), Point: []byte("p")}}}
	p.Proofs[vault.Vault] = map[string]types.Proof{}
	for i, m := range p.members {
		proof := types.Proof{Recipient: types.Recipient{Key: []byte{byte(i), 1}, Index: uint32(i)}}
		if i < 2 {
			proof.Stored, proof.Height = fmt.Append(nil, "stored ", i), 5
		}
		p.Proofs[vault.Vault][m.Address] = proof
	}
	return p
}

func TestProofs(t *testing.T) {
	p := newProofs(t, 12)
	ctx := t.Context()
	s, err := p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	vault, err := s.Vault(ctx, vaultKey(1))
	require.NoError(t, err)
	require.Equal(t, p.vault(t, 0), vault)
	proofs, err := s.Proofs(ctx, vault)
	require.NoError(t, err)
	require.Equal(t, p.Shares[vaultName(1)], proofs.Shares)
	require.Len(t, proofs.Members, 12)
	for i, m := range p.members {
		require.Equal(t, p.Proofs[vaultName(1)][m.Address], proofs.Members[i])
		require.Equal(t, i < 2, proofs.Members[i].IsProven())
	}

	without, err := s.Vault(ctx, vaultKey(2))
	require.NoError(t, err)
	proofs, err = s.Proofs(ctx, without)
	require.NoError(t, err)
	require.True(t, proofs.Shares.IsEmpty())
	require.Len(t, proofs.Members, 12)
	require.False(t, proofs.Members[0].IsProven())

	vault.SharesHash = bytes.Repeat([]byte{0xee}, 32)
	_, err = s.Proofs(ctx, vault)
	require.ErrorIs(t, err, ErrState)
	require.ErrorContains(t, err, "names public shares that are not there")
}

// TestProofsOfASplitVault reads the points of a group part with the proofs, in as many round trips
// as public shares, and its parameters only when they are asked for.
func TestProofsOfASplitVault(t *testing.T) {
	ctx := t.Context()
	read := func(split bool) (p *scene, s *State, trips, bytes int) {
		p = newProofs(t, 12)
		if split {
			p.split(t)
		}
		s, err := p.head(t, p.trust(), p.url, p.url)
		require.NoError(t, err)
		vault, err := s.Vault(ctx, vaultKey(1))
		require.NoError(t, err)
		before := p.Requests[""]
		proofs, err := s.Proofs(ctx, vault)
		require.NoError(t, err)
		require.Len(t, proofs.Members, 12)
		require.True(t, proofs.Members[1].IsProven())
		if split {
			want, err := proofs.Group.PublicShares(vault.Epoch, vault.Members)
			require.NoError(t, err)
			require.Equal(t, want, proofs.Shares)
			require.Len(t, proofs.Shares.Ed25519, 12)
		}
		for _, value := range s.known {
			bytes += len(value)
		}
		return p, s, p.Requests[""] - before, bytes
	}
	_, _, want, _ := read(false)
	p, s, trips, size := read(true)
	require.Equal(t, want, trips)
	require.Less(t, size, 12*1024, "the parameters were not read")

	vault, err := s.Vault(ctx, vaultKey(1))
	require.NoError(t, err)
	group, err := s.Group(ctx, vault)
	require.NoError(t, err)
	require.Equal(t, p.Groups[vaultName(1)], group)

	// A record whose points are of other members is no record of the vault.
	other := vault
	other.Members = other.Members[1:]
	_, err = s.Proofs(ctx, other)
	require.ErrorIs(t, err, ErrState)
	// A node whose state is another one is found out by the header.
	p.Groups[vaultName(1)] = append([]byte{3}, group[1:]...)
	s, err = p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	_, err = s.Group(ctx, vault)
	require.ErrorIs(t, err, ErrState, "the points in state have another hash than the vault names")
}

// TestTheBlockOfACarrierThatWasNotAsked has state keep a group part no more, of which the block holds
// no envelope of any member.
func TestTheBlockOfACarrierThatWasNotAsked(t *testing.T) {
	ctx := t.Context()
	p := newProofs(t, 12)
	p.split(t)
	v := &p.Vaults[0]
	group := p.Groups[v.Vault]
	delete(p.Groups, v.Vault)
	sum := sha256.Sum256(group)
	v.Group = &types.GroupNameInfo{Hash: v.SharesHash, Sha256: hex.EncodeToString(sum[:]), Height: 3}
	v.SharesHash = ""
	vote, err := (&types.MsgTssPool{Group: group}).Marshal()
	require.NoError(t, err)
	other, err := (&types.MsgTssPool{Group: append([]byte{9}, group[1:]...)}).Marshal()
	require.NoError(t, err)
	p.Blocks[3] = [][]byte{other, []byte("a transfer"), vote}
	s, err := p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	vault, err := s.Vault(ctx, vaultKey(1))
	require.NoError(t, err)
	_, err = s.Group(ctx, vault)
	require.ErrorIs(t, err, ErrNotFound)
	before := p.Requests[""]
	got, err := s.CarriedGroup(ctx, vault)
	require.NoError(t, err)
	require.Equal(t, group, got)
	require.LessOrEqual(t, p.Requests[""]-before, 1, "the record names the block")

	p.Blocks[3] = [][]byte{other}
	_, err = s.CarriedGroup(ctx, vault)
	require.ErrorIs(t, err, ErrNotFound)
	vault.Group = nil
	_, err = s.CarriedGroup(ctx, vault)
	require.ErrorIs(t, err, ErrNotFound)
}

// split makes the first vault a split one. What is in its group part, nobody looks at here.
func (p *scene) split(t *testing.T) {
	t.Helper()
	v := &p.Vaults[0]
	delete(p.Shares, v.Vault)
	group := make([]byte, len(v.Members)*sanity.GroupMemberBytes)
	for i := range group {
		group[i] = byte(i * 7 / 5)
	}
	members, err := sanity.ParseGroup(group, len(v.Members))
	require.NoError(t, err)
	vault := p.vault(t, 0)
	hash, err := types.GroupHash(vault.PubKey, vault.PubKeyEd25519, vault.Members, sanity.GroupPoints(members))
	require.NoError(t, err)
	v.Split, v.SharesHash, p.Groups[v.Vault] = true, hex.EncodeToString(hash), group
}

// TestProvenCoverage counts a proof beside an envelope alone.
func TestProvenCoverage(t *testing.T) {
	p := newProofs(t, 3)
	s, err := p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	covered, err := s.Coverage(t.Context(), vaultKey(1))
	require.NoError(t, err)
	require.EqualValues(t, 1, covered[0].Proven, "the second member has not published")
	require.False(t, covered[0].ProvenRecoverable)
	require.Equal(t, []bool{true, false, false}, []bool{covered[0].List[0].Proven, covered[0].List[1].Proven, covered[0].List[2].Proven})

	p.Publish(vaultName(1), p.members[1].Address, 7, testEnvelope("another's"))
	p.Publish(vaultName(1), p.members[2].Address, 8, testEnvelope("a third one's"))
	s, err = p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	covered, err = s.Coverage(t.Context(), vaultKey(1))
	require.NoError(t, err)
	require.EqualValues(t, 3, covered[0].Published)
	require.EqualValues(t, 2, covered[0].Proven)
	require.True(t, covered[0].ProvenRecoverable)
}

func TestDecodeProofsOfAnything(t *testing.T) {
	for _, value := range [][]byte{{0xff}, bytes.Repeat([]byte{0x0a}, 7)} {
		_, err := decodeProof(value)
		require.ErrorIs(t, err, ErrState)
		_, err = decodeShares(value)
		require.ErrorIs(t, err, ErrState)
	}
}

// TestBlock asks one node after the other.
func TestBlock(t *testing.T) {
	p := newProofs(t, 3)
	s, err := p.head(t, p.trust(), p.url, p.url)
	require.NoError(t, err)
	other, url := fakenode.New(t)
	s.nodes = append(clients(t, url), s.nodes[0])
	p.PublishTx(20, []byte("the one"))
	other.PublishTx(20, []byte("another"))
	asked := 0
	accept := func(txs [][]byte) error {
		asked++
		if len(txs) == 1 && string(txs[0]) == "the one" {
			return nil
		}
		return errors.New("that is not it")
	}
	var reported []string
	s.report = func(node string, err error) {
		require.ErrorContains(t, err, "that is not it")
		reported = append(reported, node)
	}
	require.NoError(t, s.Block(t.Context(), 20, accept), "the second node's view is accepted")
	require.Equal(t, 2, asked)
	require.Equal(t, []string{url}, reported, "the first node is named")

	err = s.Block(t.Context(), 21, accept)
	require.ErrorContains(t, err, "block 21 as "+url)
	require.ErrorContains(t, err, "block 21 as "+p.url)
	require.NotErrorIs(t, err, ErrNoBlock)

	p.Earliest, other.Earliest = 30, 30
	asked = 0
	require.ErrorIs(t, s.Block(t.Context(), 20, accept), ErrNoBlock)
	require.Zero(t, asked)
}
