package verenc

import (
	"bytes"
	"math/big"
	"sync"

	"filippo.io/edwards25519"
)

// edwards is the prime-order subgroup of edwards25519. Everything called secret takes constant
// time.
type edwards struct{}

var (
	edOrder, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	edPrime    = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

	edInverseOf8 = sync.OnceValue(func() *edwards25519.Scalar {
		s := edwards{}.fromBig(big.NewInt(8))
		return new(edwards25519.Scalar).Invert(edScalar(&s))
	})
	edZero = edwards25519.NewScalar()
)

func (edwards) pointSize() int  { return 32 }
func (edwards) order() *big.Int { return edOrder }

// edDecode decodes strictly. The scalar L is zero in the library, so L·P says nothing about P; (8⁻¹
// mod L)·(8·P) is the part of P in the prime-order subgroup.
func edDecode(b []byte) (*edwards25519.Point, error) {
	if len(b) != 32 {
		return nil, errPoint
	}
	p, err := new(edwards25519.Point).SetBytes(b)
	if err != nil || !bytes.Equal(p.Bytes(), b) {
		return nil, errPoint
	}
	if p.Equal(edwards25519.NewIdentityPoint()) == 1 {
		return nil, errIdentity
	}
	q := new(edwards25519.Point).MultByCofactor(p)
	q.VarTimeDoubleScalarBaseMult(edInverseOf8(), q, edZero)
	if q.Equal(p) != 1 {
		return nil, errSubgroup
	}
	return p, nil
}

func (edwards) checkPoint(b []byte) error {
	_, err := edDecode(b)
	return err
}

func (edwards) inRange(s *scalar) bool {
	_, err := new(edwards25519.Scalar).SetCanonicalBytes(s[:])
	return err == nil
}

// edScalar decodes a scalar that is known to be below the order.
func edScalar(s *scalar) *edwards25519.Scalar {
	r, err := new(edwards25519.Scalar).SetCanonicalBytes(s[:])
	if err != nil {
		panic("verenc: scalar not below the group order")
	}
	return r
}

func (edwards) fromBig(n *big.Int) scalar {
	var s scalar
	n.FillBytes(s[:])
	return reversed(&s)
}

func (edwards) toBig(s *scalar) *big.Int {
	n := reversed(s)
	return new(big.Int).SetBytes(n[:])
}

func (edwards) pointFromBig(x, y *big.Int) ([]byte, error) {
	if x.Sign() < 0 || y.Sign() < 0 || x.Cmp(edPrime) >= 0 || y.Cmp(edPrime) >= 0 {
		return nil, errPoint
	}
	enc := edwards{}.fromBig(y)
	enc[31] |= byte(x.Bit(0)) << 7
	p, err := edDecode(enc[:])
	if err != nil {
		return nil, err
	}
	// The encoding keeps one bit of x: see that it was the x of this y.
	px, _, pz, _ := p.ExtendedCoordinates()
	px.Multiply(px, pz.Invert(pz))
	want := edwards{}.fromBig(x)
	if !bytes.Equal(px.Bytes(), want[:]) {
		return nil, errPoint
	}
	return enc[:], nil
}

func (edwards) wide(h *[64]byte) scalar {
	s, err := new(edwards25519.Scalar).SetUniformBytes(h[:])
	if err != nil {
		panic("verenc: " + err.Error())
	}
	return scalar(s.Bytes())
}

func (edwards) add(a, b *scalar) scalar {
	x, y := edScalar(a), edScalar(b)
	defer edWipe(x, y)
	return scalar(x.Add(x, y).Bytes())
}

func (edwards) sub(a, b *scalar) scalar {
	x, y := edScalar(a), edScalar(b)
	defer edWipe(x, y)
	return scalar(x.Subtract(x, y).Bytes())
}

func (edwards) mulAdd(a, b, c *scalar) scalar {
	x, y, z := edScalar(a), edScalar(b), edScalar(c)
	defer edWipe(x, y, z)
	return scalar(x.MultiplyAdd(x, y, z).Bytes())
}

func edWipe(s ...*edwards25519.Scalar) {
	for _, s := range s {
		s.Set(edZero)
	}
}

func (edwards) secretMults(s []scalar) []point {
	return edEncodeSecret(edSecretMults(s, nil))
}

// edSecretMults gives s·P for each s, and s·B when P is nil, in constant time.
func edSecretMults(s []scalar, p *edwards25519.Point) []edwards25519.Point {
	r := make([]edwards25519.Point, len(s))
	k := edwards25519.NewScalar()
	for i := range s {
		if _, err := k.SetCanonicalBytes(s[i][:]); err != nil {
			panic("verenc: scalar not below the group order")
		}
		if p == nil {
			r[i].ScalarBaseMult(k)
		} else {
			r[i].ScalarMult(k, p)
		}
	}
	edWipe(k)
	return r
}

func (edwards) sumIsIdentity(s []scalar, points [][]byte) (bool, error) {
	k := make([]*edwards25519.Scalar, len(s))
	p := make([]*edwards25519.Point, len(s))
	for i := range s {
		k[i] = edScalar(&s[i])
		var err error
		if p[i], err = edDecode(points[i]); err != nil {
			return false, err
		}
	}
	sum := new(edwards25519.Point).VarTimeMultiScalarMult(k, p)
	return sum.Equal(edwards25519.NewIdentityPoint()) == 1, nil
}
