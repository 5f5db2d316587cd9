package tss

import (
	"crypto/rand"
	"math/big"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/vss"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/stretchr/testify/require"
)

// A share of ed25519 fits a polynomial where it does for tss-lib, which members of another mind would
// have to end another way: also where points have a part outside of the prime-order group.
func TestEdSharesFitAsForTSSLib(t *testing.T) {
	curve := tsslib.Edwards()
	order := curve.Params().N
	field := curve.Params().P
	ofOrderTwo, err := crypto.NewECPoint(curve, new(big.Int), new(big.Int).Sub(field, big.NewInt(1)))
	require.NoError(t, err)
	var ids []*big.Int
	for range 4 {
		id, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 256)) // as a member's key
		require.NoError(t, err)
		ids = append(ids, id)
	}
	secret, err := rand.Int(rand.Reader, order)
	require.NoError(t, err)
	const degree = 2
	polynomial, shares, err := vss.Create(curve, degree, secret, ids, rand.Reader)
	require.NoError(t, err)
	add := func(p, q *crypto.ECPoint) *crypto.ECPoint {
		sum, err := p.Add(q)
		require.NoError(t, err)
		return sum
	}
	for _, c := range []struct {
		name   string
		change func(share *big.Int, points []*crypto.ECPoint) *big.Int
		fits   bool
	}{
		{"as it was dealt", func(s *big.Int, _ []*crypto.ECPoint) *big.Int { return s }, true},
		{"one more", func(s *big.Int, _ []*crypto.ECPoint) *big.Int {
			return s.Mod(s.Add(s, big.NewInt(1)), order)
		}, false},
		{"of a polynomial whose points are others by one of order two", func(s *big.Int, p []*crypto.ECPoint) *big.Int {
			p[0], p[2] = add(p[0], ofOrderTwo), add(p[2], ofOrderTwo)
			return s
		}, true},
		{"of a polynomial with a point of another", func(s *big.Int, p []*crypto.ECPoint) *big.Int {
			p[1] = add(p[1], p[0])
			return s
		}, false},
		{"of a polynomial with two points in the place of each other", func(s *big.Int, p []*crypto.ECPoint) *big.Int {
			p[1], p[2] = p[2], p[1]
			return s
		}, false},
	} {
		for i, id := range ids {
			points := append([]*crypto.ECPoint(nil), polynomial...)
			share := c.change(new(big.Int).Set(shares[i].Share), points)
			require.Equal(t, c.fits, fitsEd(share, id, points), c.name)
			for j := range points {
				points[j] = points[j].EightInvEight()
			}
			theirs := vss.Share{Threshold: degree, ID: id, Share: share}
			require.Equal(t, c.fits, theirs.Verify(curve, degree, points), c.name)
		}
	}
}
