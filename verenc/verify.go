package verenc

import (
	"errors"
	"fmt"
)

// MaxProofSize is the length of the longest proof over the given number of shares. A proof may be
// shorter, by 16 bytes for each node that its co-path has below 64.
func MaxProofSize(shares int) int { return suite1.proofSize(suite1.copath, shares) }

// header is what comes before the seeds: suite, salt, commitment, nonce.
const header = 1 + 32 + 32 + 4

func rowSize(shares int) int { return 32 + 32*shares }

func (p params) proofSize(copath, shares int) int {
	return header + 16*copath + p.closed*rowSize(shares)
}

var errProof = errors.New("verenc: the proof does not hold")

// Verify checks that a proof holds for the statement, and returns its stored form, which is all
// that opening it needs. It returns an error unless all of this is true, and asks in this order,
// the cheap questions first:
//
//   - the statement has one or two points in ascending order of their groups, all of the right
//     size;
//   - the proof is of suite 1, its nonce is admissible, and it has exactly the length that belongs
//     to it;
//   - every masked share is below its group's order;
//   - the recipient key and the public points decode strictly;
//   - the rows recomputed from the seeds, and for the closed rows from the masked shares, give the
//     commitment, where no closed row's mask is zero.
//
// The work is the same for every proof that passes the cheap questions. It is shared among the
// cores that have nothing else to verify; results, errors and panics are those of one goroutine.
// Verify is deterministic and safe for concurrent use.
func Verify(st Statement, proof []byte) (*Stored, error) {
	return suite1.verifyRows(st, proof, rowWorkers.spread)
}

// verify does all the work in the caller's goroutine.
func (p params) verify(st Statement, proof []byte) (*Stored, error) {
	return p.verifyRows(st, proof, serially)
}

func (p params) verifyRows(st Statement, proof []byte, spread spread) (*Stored, error) {
	ctx, err := st.Context()
	if err != nil {
		return nil, err
	}
	k := len(st.Shares)
	if len(proof) < p.proofSize(0, k) || len(proof) > p.proofSize(p.copath, k) {
		return nil, fmt.Errorf("verenc: %d bytes are no proof over %d shares", len(proof), k)
	}
	if proof[0] != suite {
		return nil, fmt.Errorf("verenc: unknown suite %d", proof[0])
	}
	salt := (*[32]byte)(proof[1:])
	stored := &Stored{
		params:     p,
		context:    ctx,
		commitment: [32]byte(proof[33:]),
		nonce:      beUint32(proof[65:]),
	}
	set, copath, ok := p.challenge(&ctx, &stored.commitment, stored.nonce)
	if !ok {
		return nil, errors.New("verenc: the nonce is not admissible")
	}
	if len(proof) != p.proofSize(len(copath), k) {
		return nil, fmt.Errorf(
			"verenc: the proof has %d bytes, not %d",
			len(proof),
			p.proofSize(len(copath), k),
		)
	}
	stored.rows = append([]byte(nil), proof[header+16*len(copath):]...)
	groups := make([]arithmetic, k)
	for j, s := range st.Shares {
		groups[j], _ = s.Group.arithmetic()
		for n := range set {
			if !groups[j].inRange(stored.masked(n, j, k)) {
				return nil, errScalar
			}
		}
	}
	pk, err := edDecode(st.Recipient)
	if err != nil {
		return nil, fmt.Errorf("recipient key: %w", err)
	}
	mults := make([]publicMults, k)
	for j, s := range st.Shares {
		if mults[j], err = groups[j].publicMults(s.Point); err != nil {
			return nil, s.wrap(err)
		}
	}

	seeds, known := make(tree, 2*p.rows), make([]bool, 2*p.rows)
	for n, v := range copath {
		seeds[v], known[v] = seed(proof[header+16*n:]), true
	}
	seeds.grow(&ctx, salt, known)

	var opened []int
	place := make([]int, p.rows) // of a row, among the opened or the closed ones
	closed := make([]bool, p.rows)
	pointsE := make([]point, p.rows)
	for n, i := range set {
		place[i], closed[i], pointsE[i] = n, true, stored.ephemeral(n, k)
	}
	for i := range p.rows {
		if known[p.rows+i] {
			place[i] = len(opened)
			opened = append(opened, i)
		}
	}

	// Each step writes what belongs to its rows, and is looked at when all rows are through.
	table := edTable(pk, edKeyWidth, spread)
	encE, encK := make([]point, len(opened)), make([]point, len(opened))
	spread(len(opened), func(from, to int) {
		e := make([]scalar, to-from)
		for n := range e {
			i := opened[from+n]
			e[n] = ephemeral(&ctx, salt, i, &seeds[p.rows+i])
		}
		copy(encE[from:], edEncodeSums(edPublicMults(e, edBaseTable(), edBaseWidth)))
		copy(encK[from:], edEncodeSums(edPublicMults(e, table, edKeyWidth)))
	})
	for n, i := range opened {
		if encE[n] == nil || encK[n] == nil {
			return nil, errProof
		}
		pointsE[i] = encE[n]
	}
	pointsR := make([][]point, k)
	for j, a := range groups {
		pointsR[j] = make([]point, p.rows)
		spread(p.rows, func(from, to int) {
			masks := make([]scalar, to-from)
			for r := range masks {
				i := from + r
				if n := place[i]; closed[i] {
					masks[r] = *stored.masked(n, j, k)
				} else {
					masks[r] = pad(a, &ctx, j, i, encE[n], encK[n])
				}
			}
			copy(pointsR[j][from:], mults[j](masks, closed[from:to]))
		})
	}
	d, err := commit(&ctx, salt, pointsE, pointsR)
	if err != nil {
		return nil, err
	}
	if d != stored.commitment {
		return nil, errProof
	}
	return stored, nil
}
