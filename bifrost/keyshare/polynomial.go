package keyshare

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/tssbackup/tssbackup/verenc"
)

// publicShare is the secret share times the base point, in its usual bytes.
func (k *Keyshare) publicShare() []byte {
	if k.curve == Ed25519 {
		return new(edwards25519.Point).ScalarBaseMult(edScalar(k.xi)).Bytes()
	}
	xi := k.xi.FillBytes(make([]byte, 32))
	defer clear(xi)
	key := secp256k1.PrivKeyFromBytes(xi)
	defer key.Zero()
	return key.PubKey().SerializeCompressed()
}

// publicPoints are the places and the values of the polynomial of the members' secret shares, as
// points: the vault's key at zero, then the members' public shares. It errs when one is outside of
// the group.
func (k *Keyshare) publicPoints() (at []*big.Int, points [][]byte, err error) {
	at = append([]*big.Int{new(big.Int)}, k.ks...)
	points = [][]byte{k.vault}
	for _, p := range k.bigXj {
		points = append(points, compress(p))
	}
	if k.curve == Ed25519 {
		for i, p := range points {
			if edPrimeOrder(p) {
				continue
			}
			if i == 0 {
				return nil, nil, fmt.Errorf("pub_key is not in the prime-order group of %s", k.curve)
			}
			return nil, nil, fmt.Errorf("BigXj[%d] is not in the prime-order group of %s", i-1, k.curve)
		}
	}
	return at, points, nil
}

// verifyPublicShares checks the members' public shares against each other and the vault's key.
func (k *Keyshare) verifyPublicShares() error {
	n := len(k.participants)
	at, points, err := k.publicPoints()
	if err != nil {
		return err
	}
	t := verenc.Degree(n)
	if !k.onPolynomial(at, points, t) {
		switch i := k.odd(at, points, t); {
		case i == 0:
			return errors.New("the members' public shares BigXj give another key than the vault's")
		case i > 0:
			return fmt.Errorf(
				"BigXj[%d] does not fit the other members' public shares and the vault's key",
				i-1,
			)
		}
		return fmt.Errorf(
			"the members' public shares BigXj do not lie on one polynomial of degree %d that gives the vault's key",
			t,
		)
	}
	if k.onPolynomial(at, points, t-1) {
		return fmt.Errorf(
			"the members' public shares BigXj lie on a polynomial of lower degree than %d: fewer than %d members can sign",
			t,
			verenc.Threshold(n),
		)
	}
	return nil
}

// onPolynomial reports whether the points are the base point times the values of one polynomial of
// at most this degree at these places, which are distinct modulo the order.
//
// With n places and v_j = Π_{i≠j} (a_j − a_i)⁻¹, the sum of the v_j·f(a_j) is the coefficient of f
// at degree n−1: zero when f's degree is lower. So it is for f·m, where m is any polynomial of
// degree at most n−2−degree. With m drawn at random, values that are not those of such an f give
// zero with a probability of one in the group's order.
func (k *Keyshare) onPolynomial(at []*big.Int, points [][]byte, degree int) bool {
	order, _ := k.curve.params()
	m := make([]*big.Int, len(at)-1-degree)
	for i := range m {
		var err error
		if m[i], err = rand.Int(rand.Reader, order); err != nil {
			panic(err) // crypto/rand does not fail
		}
	}
	return bytes.Equal(k.combine(k.dual(at, m), points), k.combine(nil, nil))
}

// dual returns v_j·m(a_j) for each place a_j.
func (k *Keyshare) dual(at, m []*big.Int) []*big.Int {
	order, _ := k.curve.params()
	weights := make([]*big.Int, len(at))
	difference := new(big.Int)
	for j := range at {
		v := big.NewInt(1)
		for i := range at {
			if i != j {
				v.Mul(v, difference.Sub(at[j], at[i])).Mod(v, order)
			}
		}
		value := new(big.Int)
		for i := len(m) - 1; i >= 0; i-- {
			value.Mul(value, at[j]).Add(value, m[i]).Mod(value, order)
		}
		weights[j] = value.Mul(value, v.ModInverse(v, order)).Mod(value, order)
	}
	return weights
}

// odd returns the one place whose point does not fit the others, -1 when there is no such one. A
// point that is off by E at a makes the sum v·E with m = 1 and a·v·E with m = x.
func (k *Keyshare) odd(at []*big.Int, points [][]byte, degree int) int {
	if len(at) < degree+3 {
		return -1 // the others fit whatever they are
	}
	order, _ := k.curve.params()
	none := k.combine(nil, nil)
	first := k.combine(k.dual(at, []*big.Int{big.NewInt(1)}), points)
	second := k.combine(k.dual(at, []*big.Int{new(big.Int), big.NewInt(1)}), points)
	if bytes.Equal(first, none) {
		return -1
	}
	for i, a := range at {
		if !bytes.Equal(
			k.combine([]*big.Int{new(big.Int).Mod(a, order)}, [][]byte{first}),
			second,
		) {
			continue
		}
		if k.onPolynomial(
			slices.Delete(slices.Clone(at), i, i+1),
			slices.Delete(slices.Clone(points), i, i+1),
			degree,
		) {
			return i
		}
	}
	return -1
}

// interpolate evaluates at zero the polynomial that passes through the public shares of these
// parties.
func (k *Keyshare) interpolate(index []int) []byte {
	order, _ := k.curve.params()
	weights, points := make([]*big.Int, len(index)), make([][]byte, len(index))
	for a, i := range index {
		num, den := big.NewInt(1), big.NewInt(1)
		for _, j := range index {
			if i == j {
				continue
			}
			num.Mul(num, k.ks[j]).Mod(num, order)
			den.Mul(den, new(big.Int).Sub(k.ks[j], k.ks[i])).Mod(den, order)
		}
		weights[a] = num.Mul(num, den.ModInverse(den, order)).Mod(num, order)
		points[a] = compress(k.bigXj[i])
	}
	return k.combine(weights, points)
}

// combine returns the sum of the points times their weights, in its usual bytes; for the identity
// of secp256k1, which has none, nil. The points are of the curve, the weights below the order. This
// is not for secrets: its time tells them.
func (k *Keyshare) combine(weights []*big.Int, points [][]byte) []byte {
	if k.curve == Ed25519 {
		scalars, elements := make(
			[]*edwards25519.Scalar,
			len(points),
		), make(
			[]*edwards25519.Point,
			len(points),
		)
		for i := range points {
			var err error
			if elements[i], err = new(edwards25519.Point).SetBytes(points[i]); err != nil {
				panic(err) // Parse has checked that it is a point
			}
			scalars[i] = edScalar(weights[i])
		}
		return new(edwards25519.Point).VarTimeMultiScalarMult(scalars, elements).Bytes()
	}
	var sum, point, term secp256k1.JacobianPoint
	for i := range points {
		key, err := secp256k1.ParsePubKey(points[i])
		if err != nil {
			panic(err) // Parse has checked that it is a point
		}
		key.AsJacobian(&point)
		var scalar secp256k1.ModNScalar
		scalar.SetByteSlice(weights[i].FillBytes(make([]byte, 32)))
		secp256k1.ScalarMultNonConst(&scalar, &point, &term)
		secp256k1.AddNonConst(&sum, &term, &sum)
	}
	if (sum.X.IsZero() && sum.Y.IsZero()) || sum.Z.IsZero() {
		return nil
	}
	sum.ToAffine()
	return secp256k1.NewPublicKey(&sum.X, &sum.Y).SerializeCompressed()
}

// edScalar takes a number below the order.
func edScalar(v *big.Int) *edwards25519.Scalar {
	b := v.FillBytes(make([]byte, 32))
	defer clear(b)
	slices.Reverse(b)
	s, err := edwards25519.NewScalar().SetCanonicalBytes(b)
	if err != nil {
		panic(err) // every caller reduces
	}
	return s
}

// edEighth is the inverse of the cofactor modulo the order of the prime-order group.
var edEighth = func() *edwards25519.Scalar {
	order, _ := Ed25519.params()
	return edScalar(new(big.Int).ModInverse(big.NewInt(8), order))
}()

// edPrimeOrder reports whether a point of ed25519 is one that some share gives: not the identity,
// and without a part of small order, which multiplying by eight and by its inverse takes away.
func edPrimeOrder(point []byte) bool {
	p, err := new(edwards25519.Point).SetBytes(point)
	if err != nil {
		return false
	}
	cleared := new(edwards25519.Point).MultByCofactor(p)
	cleared.ScalarMult(edEighth, cleared)
	return cleared.Equal(p) == 1 && p.Equal(edwards25519.NewIdentityPoint()) == 0
}
