package verenc

import "slices"

// params are the sizes of the scheme. Only suite1 is used; tests play the cheating prover at sizes
// where it wins.
type params struct {
	rows   int // leaves of the tree, a power of two up to 256
	closed int // rows that a challenge keeps closed
	copath int // an admissible challenge has at most so many nodes in its co-path
}

var suite1 = params{rows: 256, closed: 30, copath: 64}

// challenge derives the rows that stay closed, in ascending order, and the nodes of their co-path:
// those whose seeds give every other row and none of the closed ones. The challenge is admissible
// when ok is true.
func (p params) challenge(ctx, d *[32]byte, nonce uint32) (set, copath []int, ok bool) {
	marked := make([]bool, 2*p.rows) // the closed leaves and their ancestors
	set = make([]int, 0, p.closed)
	for c := uint32(0); len(set) < p.closed; c++ {
		h := sum512("challenge", ctx[:], d[:], u32(nonce), u32(c))
		for _, b := range h {
			i := int(b) % p.rows
			if marked[p.rows+i] {
				continue
			}
			marked[p.rows+i] = true
			set = append(set, i)
			if len(set) == p.closed {
				break
			}
		}
	}
	slices.Sort(set)
	for v := p.rows - 1; v >= 1; v-- {
		marked[v] = marked[2*v] || marked[2*v+1]
	}
	for v := 2; v < 2*p.rows; v++ {
		if !marked[v] && marked[v/2] {
			copath = append(copath, v)
		}
	}
	return set, copath, len(copath) <= p.copath
}

type seed = [16]byte

// tree holds the seed of node v at index v.
type tree []seed

// grow computes the seeds of all descendants of the nodes v for which known is true.
func (t tree) grow(ctx, salt *[32]byte, known []bool) {
	for v := 1; v < len(t)/2; v++ {
		if !known[v] {
			continue
		}
		h := sum256("tree", ctx[:], salt[:], u32(uint32(v)), t[v][:])
		t[2*v], t[2*v+1] = seed(h[:16]), seed(h[16:])
		known[2*v], known[2*v+1] = true, true
	}
}
