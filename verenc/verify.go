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
// The work is the same for every proof that passes the cheap questions. Verify is deterministic and
// safe for concurrent use.
func Verify(st Statement, proof []byte) (*Stored, error) { return suite1.verify(st, proof) }

func (p params) verify(st Statement, proof []byte) (*Stored, error) {
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
	if err := checkPoints(st.Shares); err != nil {
		return nil, err
	}

	seeds, known := make(tree, 2*p.rows), make([]bool, 2*p.rows)
	for n, v := range copath {
		seeds[v], known[v] = seed(proof[header+16*n:]), true
	}
	seeds.grow(&ctx, salt, known)

	opened := make([]int, 0, p.rows-p.closed)
	e := make([]scalar, 0, p.rows-p.closed)
	for i := range p.rows {
		if known[p.rows+i] {
			opened = append(opened, i)
			e = append(e, ephemeral(&ctx, salt, i, &seeds[p.rows+i]))
		}
	}
	encE := edEncodeSums(edPublicMults(e, edBaseTable(), edBaseWidth))
	encK := edEncodeSums(edPublicMults(e, edTable(pk, edKeyWidth), edKeyWidth))

	pointsE := make([]point, p.rows)
	pointsR := make([][]point, k)
	closed := make([]bool, p.rows)
	for n, i := range set {
		closed[i] = true
		pointsE[i] = stored.ephemeral(n, k)
	}
	for n, i := range opened {
		if encE[n] == nil || encK[n] == nil {
			return nil, errProof
		}
		pointsE[i] = encE[n]
	}
	masks := make([]scalar, p.rows)
	for j, a := range groups {
		for n, i := range set {
			masks[i] = *stored.masked(n, j, k)
		}
		for n, i := range opened {
			masks[i] = pad(a, &ctx, j, i, encE[n], encK[n])
		}
		if pointsR[j], err = a.publicMults(masks, closed, st.Shares[j].Point); err != nil {
			return nil, err
		}
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
