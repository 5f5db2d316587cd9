package keyshare_test

import (
	"crypto/rand"
	"math/big"
	"slices"
	"testing"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/stretchr/testify/require"
)

// point is a point as tss-lib writes it.
type point struct {
	Curve  string
	Coords [2]*big.Int
}

// edData is local_data of an ed25519 keyshare as tss-lib writes it.
type edData struct {
	Xi, ShareID *big.Int
	Ks          []*big.Int
	BigXj       []*point
	EDDSAPub    *point
}

var (
	edOrder, _ = new(big.Int).SetString("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", 16)
	edField, _ = new(big.Int).SetString("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed", 16)
)

// edBase is a multiple of ed25519's base point.
func edBase(v *big.Int) *point {
	b := new(big.Int).Mod(v, edOrder).FillBytes(make([]byte, 32))
	slices.Reverse(b)
	s, err := edwards25519.NewScalar().SetCanonicalBytes(b)
	if err != nil {
		panic(err)
	}
	return edPoint(new(edwards25519.Point).ScalarBaseMult(s))
}

func edPoint(p *edwards25519.Point) *point {
	x, y, z, _ := p.ExtendedCoordinates()
	z.Invert(z)
	out := &point{Curve: "ed25519"}
	for i, v := range [][]byte{x.Multiply(x, z).Bytes(), y.Multiply(y, z).Bytes()} {
		slices.Reverse(v)
		out.Coords[i] = new(big.Int).SetBytes(v)
	}
	return out
}

// add is the sum of two points of ed25519.
func (p *point) add(q *point) *point {
	decode := func(p *point) *edwards25519.Point {
		b := p.Coords[1].FillBytes(make([]byte, 32))
		slices.Reverse(b)
		b[31] |= byte(p.Coords[0].Bit(0)) << 7
		out, err := new(edwards25519.Point).SetBytes(b)
		if err != nil {
			panic(err)
		}
		return out
	}
	return edPoint(new(edwards25519.Point).Add(decode(p), decode(q)))
}

// secpKey is the compressed multiple of secp256k1's base point.
func secpKey(v *big.Int) []byte {
	return secp256k1.PrivKeyFromBytes(v.FillBytes(make([]byte, 32))).PubKey().SerializeCompressed()
}

// edValue is that of the polynomial with these coefficients at x, modulo the order of ed25519.
func edValue(coefficients []*big.Int, x *big.Int) *big.Int {
	y := new(big.Int)
	for i := len(coefficients) - 1; i >= 0; i-- {
		y.Mul(y, x).Add(y, coefficients[i]).Mod(y, edOrder)
	}
	return y
}

func randomScalar(t testing.TB) *big.Int {
	t.Helper()
	s, err := rand.Int(rand.Reader, edOrder)
	require.NoError(t, err)
	return s
}
