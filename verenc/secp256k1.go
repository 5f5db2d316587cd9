package verenc

import (
	"math/big"
	"sync"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// secp is secp256k1. Scalars are handled in constant time; multiplying a point is not, for the
// library has no such function. What that concerns: x·G of a share when it is proven and opened,
// and r·G of the rows of a proof being made.
type secp struct{}

// secpWidth is the window of the fixed table of the generator: 26 windows of 512 points, 1 MB, made
// on first use.
const secpWidth = 10

var secpOrder = secp256k1.Params().N

func (secp) pointSize() int  { return 33 }
func (secp) order() *big.Int { return secpOrder }

// secpDecode decodes strictly: the only encoding taken is SEC1 compressed, which has no identity,
// and every point of the curve is in the group.
func secpDecode(b []byte) (*secpPoint, error) {
	if len(b) != 33 || (b[0] != 2 && b[0] != 3) {
		return nil, errPoint
	}
	p := &secpPoint{finite: true}
	if p.x.SetByteSlice(b[1:]) || !secp256k1.DecompressY(&p.x, b[0] == 3, &p.y) {
		return nil, errPoint
	}
	p.y.Normalize()
	return p, nil
}

func (secp) checkPoint(b []byte) error {
	_, err := secpDecode(b)
	return err
}

func (secp) inRange(s *scalar) bool {
	var r secp256k1.ModNScalar
	return r.SetBytes(s) == 0
}

func secpScalar(s *scalar) *secp256k1.ModNScalar {
	r := new(secp256k1.ModNScalar)
	if r.SetBytes(s) != 0 {
		panic("verenc: scalar not below the group order")
	}
	return r
}

func (secp) fromBig(n *big.Int) scalar {
	var s scalar
	n.FillBytes(s[:])
	return s
}

func (secp) toBig(s *scalar) *big.Int { return new(big.Int).SetBytes(s[:]) }

func (secp) pointFromBig(x, y *big.Int) ([]byte, error) {
	p := secp256k1.Params().P
	if x.Sign() < 0 || y.Sign() < 0 || x.Cmp(p) >= 0 || y.Cmp(p) >= 0 {
		return nil, errPoint
	}
	var b [65]byte
	b[0] = 4
	x.FillBytes(b[1:33])
	y.FillBytes(b[33:])
	key, err := secp256k1.ParsePubKey(b[:])
	if err != nil {
		return nil, errPoint
	}
	return key.SerializeCompressed(), nil
}

// secpTwo256 is 2^256 mod q.
var secpTwo256 = sync.OnceValue(func() *secp256k1.ModNScalar {
	n := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), secpOrder)
	s := secp{}.fromBig(n)
	return secpScalar(&s)
})

func (secp) wide(h *[64]byte) scalar {
	var high, low secp256k1.ModNScalar
	high.SetBytes((*[32]byte)(h[:32]))
	low.SetBytes((*[32]byte)(h[32:]))
	out := high.Mul(secpTwo256()).Add(&low).Bytes()
	high.Zero()
	low.Zero()
	return out
}

func (secp) add(a, b *scalar) scalar {
	var x, y secp256k1.ModNScalar
	x.SetBytes(a)
	y.SetBytes(b)
	out := x.Add(&y).Bytes()
	x.Zero()
	y.Zero()
	return out
}

func (s secp) sub(a, b *scalar) scalar {
	var y secp256k1.ModNScalar
	y.SetBytes(b)
	minusB := y.Negate().Bytes()
	out := s.add(a, &minusB)
	y.Zero()
	clear(minusB[:])
	return out
}

func (s secp) mulAdd(a, b, c *scalar) scalar {
	var x, y secp256k1.ModNScalar
	x.SetBytes(a)
	y.SetBytes(b)
	product := x.Mul(&y).Bytes()
	out := s.add(&product, c)
	x.Zero()
	y.Zero()
	clear(product[:])
	return out
}

func (secp) secretMults(s []scalar) []point {
	return secpEncode(secpBaseMults(s))
}

func (secp) publicMults(x []byte) (publicMults, error) {
	var px *secpPoint
	if x != nil {
		var err error
		if px, err = secpDecode(x); err != nil {
			return nil, err
		}
	}
	return func(s []scalar, closed []bool) []point {
		r := secpBaseMults(s)
		if px != nil {
			newSecpAdder(len(r)).add(r, func(i int) (*secpPoint, bool) {
				if closed[i] {
					return px, true
				}
				return nil, false
			})
		}
		return secpEncode(r)
	}, nil
}

// secpBaseTable holds k·2^(secpWidth·w)·G for k = 1 … 2^(secpWidth−1), at [w][k−1].
var secpBaseTable = sync.OnceValue(func() [][]secpPoint {
	const half = 1 << (secpWidth - 1)
	table := make([][]secpPoint, (256+secpWidth)/secpWidth)
	bases := make([]secpPoint, len(table))
	one := scalar{31: 1}
	var j secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(secpScalar(&one), &j)
	for w := range table {
		table[w] = make([]secpPoint, half)
		j.ToAffine()
		bases[w] = secpPoint{x: j.X, y: j.Y, finite: true}
		for range secpWidth {
			secp256k1.DoubleNonConst(&j, &j)
		}
	}
	multiples := make([]secpPoint, len(table))
	adder := newSecpAdder(len(table))
	for k := range half {
		adder.add(multiples, func(w int) (*secpPoint, bool) { return &bases[w], false })
		for w := range table {
			table[w][k] = multiples[w]
		}
	}
	return table
})

// secpBaseMults gives s·G for each s, in variable time.
func secpBaseMults(s []scalar) []secpPoint {
	if len(s) < secpFew {
		return secpFewBaseMults(s)
	}
	table := secpBaseTable()
	d := make([]int16, len(s)*len(table))
	for i := range s {
		n := reversed(&s[i])
		digits(d[i*len(table):][:len(table)], &n, secpWidth)
		clear(n[:])
	}
	r := make([]secpPoint, len(s))
	adder := newSecpAdder(len(s))
	for w, row := range table {
		adder.add(r, func(i int) (*secpPoint, bool) {
			switch k := d[i*len(table)+w]; {
			case k > 0:
				return &row[k-1], false
			case k < 0:
				return &row[-k-1], true
			}
			return nil, false
		})
	}
	clear(d)
	return r
}

// secpFew is the number of scalars from which on sharing inversions pays.
const secpFew = 14

func secpFewBaseMults(s []scalar) []secpPoint {
	r := make([]secpPoint, len(s))
	var k secp256k1.ModNScalar
	for i := range s {
		var j secp256k1.JacobianPoint
		k.SetBytes(&s[i])
		secp256k1.ScalarBaseMultNonConst(&k, &j)
		if k.IsZero() {
			continue
		}
		j.ToAffine()
		r[i] = secpPoint{x: j.X, y: j.Y, finite: true}
	}
	k.Zero()
	return r
}

func secpEncode(p []secpPoint) []point {
	out := make([]point, len(p))
	buf := make([]byte, 33*len(p))
	for i := range p {
		if !p[i].finite {
			continue
		}
		enc := buf[33*i : 33*i+33 : 33*i+33]
		enc[0] = 2 + byte(p[i].y.IsOddBit())
		p[i].x.PutBytesUnchecked(enc[1:])
		out[i] = enc
	}
	return out
}

// secpPoint is a point in affine coordinates, normalized; the zero value is the identity.
type secpPoint struct {
	x, y   secp256k1.FieldVal
	finite bool
}

func (p *secpPoint) jacobian() secp256k1.JacobianPoint {
	var one secp256k1.FieldVal
	return secp256k1.MakeJacobianPoint(&p.x, &p.y, one.SetInt(1))
}

// secpAdder adds a point to each of many points. A sum of two affine points costs a division; the
// divisions of all sums share one inversion, and a sum then costs less than half of one in
// projective coordinates.
type secpAdder struct {
	sums []secpSum
}

type secpSum struct {
	to     int
	q      *secpPoint
	negate bool
	dx     secp256k1.FieldVal // x_q − x_p
	before secp256k1.FieldVal // product of the dx of all sums before this one
}

func newSecpAdder(n int) *secpAdder { return &secpAdder{sums: make([]secpSum, n)} }

// add adds to each point what operand names for it: nothing, a point, or, with true, the point's
// negation.
func (a *secpAdder) add(p []secpPoint, operand func(i int) (*secpPoint, bool)) {
	var product secp256k1.FieldVal
	product.SetInt(1)
	n := 0
	for i := range p {
		q, negate := operand(i)
		switch {
		case q == nil || !q.finite:
		case !p[i].finite:
			p[i] = *q
			if negate {
				p[i].y.Negate(1).Normalize()
			}
		case p[i].x.Equals(&q.x):
			p[i].addSameX(q, negate)
		default:
			s := &a.sums[n]
			n++
			s.to, s.q, s.negate = i, q, negate
			s.dx.NegateVal(&p[i].x, 1).Add(&q.x) // magnitude 3
			s.before = product
			product.Mul(&s.dx)
		}
	}
	if n == 0 {
		return
	}
	product.Inverse()
	for k := n - 1; k >= 0; k-- {
		s := &a.sums[k]
		s.before.Mul(&product) // 1/dx of this sum
		product.Mul(&s.dx)
		p[s.to].addSlope(s.q, s.negate, &s.before)
	}
}

// addSlope adds q, or −q, to a point with another x, given 1/(x_q − x_p).
func (p *secpPoint) addSlope(q *secpPoint, negate bool, inverse *secp256k1.FieldVal) {
	var slope, x, y, negX, negY secp256k1.FieldVal
	negY.NegateVal(&p.y, 1) // magnitude 2
	slope.Set(&q.y)
	if negate {
		slope.Negate(1) // magnitude 2
	}
	slope.Add(&negY).Mul(inverse)
	negX.NegateVal(&p.x, 1)
	x.NegateVal(&q.x, 1).Add(&negX).Add(y.SquareVal(&slope)) // magnitude 5
	x.Normalize()
	y.NegateVal(&x, 1).Add(&p.x).Mul(&slope).Add(&negY) // magnitude 3
	y.Normalize()
	p.x, p.y = x, y
}

// addSameX adds q, or −q, to a point with the same x: a doubling, or the identity.
func (p *secpPoint) addSameX(q *secpPoint, negate bool) {
	same := p.y.Equals(&q.y)
	if same == negate { // no point of the curve has y = 0
		*p = secpPoint{}
		return
	}
	j := p.jacobian()
	secp256k1.DoubleNonConst(&j, &j)
	j.ToAffine()
	p.x, p.y = j.X, j.Y
}

func (secp) sumIsIdentity(s []scalar, points [][]byte) (bool, error) {
	p := make([]*secpPoint, len(s))
	for i := range p {
		var err error
		if p[i], err = secpDecode(points[i]); err != nil {
			return false, err
		}
	}
	var sum, term secp256k1.JacobianPoint
	for i := range p {
		j := p[i].jacobian()
		secp256k1.ScalarMultNonConst(secpScalar(&s[i]), &j, &term)
		secp256k1.AddNonConst(&sum, &term, &sum)
	}
	return (sum.X.IsZero() && sum.Y.IsZero()) || sum.Z.IsZero(), nil
}
