package chain

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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
	shares, proofs, err := s.Proofs(ctx, vault)
	require.NoError(t, err)
	require.Equal(t, p.Shares[vaultName(1)], shares)
	require.Len(t, proofs, 12)
	for i, m := range p.members {
		require.Equal(t, p.Proofs[vaultName(1)][m.Address], proofs[i])
		require.Equal(t, i < 2, proofs[i].IsProven())
	}

	without, err := s.Vault(ctx, vaultKey(2))
	require.NoError(t, err)
	shares, proofs, err = s.Proofs(ctx, without)
	require.NoError(t, err)
	require.True(t, shares.IsEmpty())
	require.Len(t, proofs, 12)
	require.False(t, proofs[0].IsProven())

	vault.SharesHash = bytes.Repeat([]byte{0xee}, 32)
	_, _, err = s.Proofs(ctx, vault)
	require.ErrorIs(t, err, ErrState)
	require.ErrorContains(t, err, "names public shares that are not there")
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
