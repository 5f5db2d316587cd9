package tss

import (
	"crypto/elliptic"
	"errors"
	"math/big"
	"slices"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// Points of both curves, as tss-lib has them, by the curves' own arithmetic. tss-lib's knows no
// identity, which sums may pass on their way.

var errIdentity = errors.New("points add up to nothing")

// parsePoint reads the usual bytes of a point, 33 or 32, of the group of the base point.
func parsePoint(curve elliptic.Curve, b []byte) (*crypto.ECPoint, error) {
	if curve == tsslib.S256() {
		pub, err := secp256k1.ParsePubKey(b)
		if err != nil || len(b) != pointSize {
			return nil, errNoPoint
		}
		return crypto.NewECPoint(curve, pub.X(), pub.Y())
	}
	p, err := new(edwards25519.Point).SetBytes(b)
	if err != nil {
		return nil, errNoPoint
	}
	out, err := fromEdwards(p)
	if err != nil {
		return nil, err
	}
	return out, edPrimePoint(out.X().Bytes(), out.Y().Bytes())
}

// combine adds points up, each times its weight, which is a number below the order, or one where
// there are none.
func combine(
	curve elliptic.Curve, weights []*big.Int, points []*crypto.ECPoint,
) (*crypto.ECPoint, error) {
	for len(weights) < len(points) {
		weights = append(weights, big.NewInt(1))
	}
	if curve != tsslib.S256() {
		var scalars []*edwards25519.Scalar
		var all []*edwards25519.Point
		for i, p := range points {
			scalars = append(scalars, edScalar(weights[i]))
			all = append(all, mustPoint(p.X(), p.Y()))
		}
		return fromEdwards(new(edwards25519.Point).VarTimeMultiScalarMult(scalars, all))
	}
	var sum secp256k1.JacobianPoint
	for i, p := range points {
		var scalar secp256k1.ModNScalar
		scalar.SetByteSlice(weights[i].FillBytes(make([]byte, shareSize)))
		var x, y secp256k1.FieldVal
		x.SetByteSlice(p.X().FillBytes(make([]byte, shareSize)))
		y.SetByteSlice(p.Y().FillBytes(make([]byte, shareSize)))
		var point, term secp256k1.JacobianPoint
		secp256k1.NewPublicKey(&x, &y).AsJacobian(&point)
		secp256k1.ScalarMultNonConst(&scalar, &point, &term)
		secp256k1.AddNonConst(&sum, &term, &sum)
	}
	if sum.X.IsZero() && sum.Y.IsZero() || sum.Z.IsZero() {
		return nil, errIdentity
	}
	sum.ToAffine()
	pub := secp256k1.NewPublicKey(&sum.X, &sum.Y)
	return crypto.NewECPoint(curve, pub.X(), pub.Y())
}

func fromEdwards(p *edwards25519.Point) (*crypto.ECPoint, error) {
	if p.Equal(edwards25519.NewIdentityPoint()) == 1 {
		return nil, errIdentity
	}
	x, y, z, _ := p.ExtendedCoordinates()
	inverse := new(field.Element).Invert(z)
	affine := func(v *field.Element) *big.Int {
		b := v.Multiply(v, inverse).Bytes()
		slices.Reverse(b)
		return number(b)
	}
	return crypto.NewECPoint(tsslib.Edwards(), affine(x), affine(y))
}

// edPrimePoint wants a point of the group of the base point, and not the identity.
func edPrimePoint(x, y []byte) error {
	if err := edPoint(x, y); err != nil {
		return err
	}
	p, err := edwardsPoint(x, y)
	if err != nil {
		return err
	}
	cofactor := edScalar(new(big.Int).ModInverse(big.NewInt(8), tsslib.Edwards().Params().N))
	cleared := new(edwards25519.Point).MultByCofactor(p)
	if cleared.ScalarMult(cofactor, cleared).Equal(p) != 1 {
		return errors.New("a point outside of the base point's group")
	}
	return nil
}
