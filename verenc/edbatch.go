package verenc

import (
	"sync"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// This file multiplies points of edwards25519 by many scalars that everyone may know, in variable
// time, and encodes many points at once. The scalars' multiples are sums over tables of one fixed
// point, with the additions of RFC 8032's formulas in the form for a table (Hisil, Wong, Carter,
// Dawson 2008), which have no exceptions on this curve.

const (
	// edBaseWidth is the window of the table of the generator: 26 windows of 512 points, 1.6 MB,
	// made on first use.
	edBaseWidth = 10
	// edKeyWidth is the window of the table of a recipient key, which serves one proof: 43 windows
	// of 32 points, each used by 226 rows.
	edKeyWidth = 6
)

// edWindows is how many windows hold a scalar below 2^253 and a carry.
func edWindows(width int) int { return (253 + width) / width }

// edTerm is a point (x, y) as a table holds it: y+x, y−x and 2dxy.
type edTerm struct{ plus, minus, t2d field.Element }

// edSum is a point in extended coordinates.
type edSum struct{ x, y, z, t field.Element }

// add adds q, or −q, to p.
func (p *edSum) add(q *edTerm, negate bool) {
	var a, b, c, d, e, f, g, h field.Element
	plus, minus := &q.plus, &q.minus
	if negate {
		plus, minus = minus, plus
	}
	a.Multiply(a.Subtract(&p.y, &p.x), minus)
	b.Multiply(b.Add(&p.y, &p.x), plus)
	c.Multiply(&p.t, &q.t2d)
	d.Add(&p.z, &p.z)
	e.Subtract(&b, &a)
	h.Add(&b, &a)
	f.Subtract(&d, &c)
	g.Add(&d, &c)
	if negate {
		f, g = g, f
	}
	p.x.Multiply(&e, &f)
	p.y.Multiply(&g, &h)
	p.z.Multiply(&f, &g)
	p.t.Multiply(&e, &h)
}

// edTwoD is 2d of the curve's equation, −2·121665/121666.
var edTwoD = sync.OnceValue(func() *field.Element {
	one := new(field.Element).One()
	den := new(field.Element).Mult32(one, 121666)
	d := new(field.Element).Mult32(one, 2*121665)
	return d.Negate(d).Multiply(d, den.Invert(den))
})

// edTable is the multiples k·2^(width·w)·P for k = 1 … 2^(width−1), at [w][k−1].
func edTable(p *edwards25519.Point, width int, spread spread) [][]edTerm {
	half := 1 << (width - 1)
	bases := make([]edwards25519.Point, edWindows(width)) // 2^(width·w)·P
	bases[0].Set(p)
	for w := 1; w < len(bases); w++ {
		bases[w].Set(&bases[w-1])
		for range width {
			bases[w].Add(&bases[w], &bases[w]) // Double is not in edwards25519 1.1
		}
	}
	table := make([][]edTerm, len(bases))
	spread(len(table), func(from, to int) {
		points := make([]edwards25519.Point, (to-from)*half)
		for w := from; w < to; w++ {
			row := points[(w-from)*half:][:half]
			row[0].Set(&bases[w])
			for k := 1; k < half; k++ {
				row[k].Add(&row[k-1], &bases[w])
			}
		}
		terms := edTerms(points)
		for w := from; w < to; w++ {
			table[w] = terms[(w-from)*half:][:half]
		}
	})
	return table
}

func edTerms(points []edwards25519.Point) []edTerm {
	sums := make([]edSum, len(points))
	for i := range points {
		sums[i].set(&points[i])
	}
	edNormalize(sums)
	terms := make([]edTerm, len(points))
	for i := range terms {
		x, y, t := &sums[i].x, &sums[i].y, &terms[i]
		t.plus.Add(y, x)
		t.minus.Subtract(y, x)
		t.t2d.Multiply(x, y).Multiply(&t.t2d, edTwoD())
	}
	return terms
}

var edBaseTable = sync.OnceValue(func() [][]edTerm {
	return edTable(edwards25519.NewGeneratorPoint(), edBaseWidth, serially)
})

// edPublicMults gives s·P for each s, where the table is of P and has windows of the width. It goes
// window by window and not scalar by scalar, so that one window's part of the table is in the cache
// for all scalars.
func edPublicMults(s []scalar, table [][]edTerm, width int) []edSum {
	sums := make([]edSum, len(s))
	d := make([]int16, len(s)*len(table))
	for i := range s {
		sums[i].y.One()
		sums[i].z.One()
		digits(d[i*len(table):][:len(table)], &s[i], uint(width))
	}
	for w, row := range table {
		for i := range sums {
			switch k := d[i*len(table)+w]; {
			case k > 0:
				sums[i].add(&row[k-1], false)
			case k < 0:
				sums[i].add(&row[-k-1], true)
			}
		}
	}
	return sums
}

func (edwards) publicMults(x []byte) (publicMults, error) {
	var term *edTerm
	if x != nil {
		px, err := edDecode(x)
		if err != nil {
			return nil, err
		}
		term = &edTerms([]edwards25519.Point{*px})[0]
	}
	return func(s []scalar, closed []bool) []point {
		sums := edPublicMults(s, edBaseTable(), edBaseWidth)
		if term != nil {
			for i := range sums {
				if closed[i] {
					sums[i].add(term, true)
				}
			}
		}
		return edEncodeSums(sums)
	}, nil
}

func (p *edSum) set(q *edwards25519.Point) {
	x, y, z, t := q.ExtendedCoordinates()
	p.x, p.y, p.z, p.t = *x, *y, *z, *t
}

// edNormalize makes z = 1 in all points, leaving t undefined, with one inversion: the product of
// all z is inverted, and from its end each z taken off again. It takes constant time.
func edNormalize(p []edSum) {
	before := make([]field.Element, len(p)) // the product of the z of all points before
	product := new(field.Element).One()
	for i := range p {
		before[i] = *product
		product.Multiply(product, &p[i].z)
	}
	product.Invert(product)
	for i := len(p) - 1; i >= 0; i-- {
		inverse := before[i].Multiply(&before[i], product)
		product.Multiply(product, &p[i].z)
		p[i].x.Multiply(&p[i].x, inverse)
		p[i].y.Multiply(&p[i].y, inverse)
		p[i].z.One()
	}
	clear(before)
}

// edEncodeSecret encodes points in constant time and wipes them.
func edEncodeSecret(p []edwards25519.Point) []point {
	sums := make([]edSum, len(p))
	for i := range p {
		sums[i].set(&p[i])
	}
	defer clear(sums)
	clear(p)
	return edEncodeSums(sums)
}

// edEncodeSums encodes points, in constant time but for the identity, and normalizes them.
func edEncodeSums(p []edSum) []point {
	edNormalize(p)
	out := make([]point, len(p))
	buf := make([]byte, 32*len(p))
	one := new(field.Element).One()
	for i := range p {
		enc := buf[32*i:][:32:32]
		copy(enc, p[i].y.Bytes())
		enc[31] |= byte(p[i].x.IsNegative()) << 7
		if p[i].y.Equal(one) != 1 { // the identity is the only point with y = 1
			out[i] = enc
		}
	}
	return out
}
