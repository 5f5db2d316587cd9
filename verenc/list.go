package verenc

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
)

// List is the list of public shares of one vault key, which the members agree on with the result of
// a keygen. A list that passes [List.Check] determines the vault key: the shares of [Threshold] of
// its points give it, even if every member lied.
type List struct {
	Group Group
	// Vault is the vault's point X_0.
	Vault []byte
	// Entries are in ascending order of their ids, which is not tss-lib's order of the members.
	Entries []Entry
}

// Entry is one member's place on the list. Whose it is, and that every member of the vault has
// exactly one, is the caller's to keep and to check.
type Entry struct {
	// ID is where the member's share lies on the secret polynomial, see [ShareID]: 32 bytes,
	// big-endian.
	ID []byte
	// Point is the public point of the member's share.
	Point []byte
}

// Check checks the list. It returns an error unless all of this is true:
//
//   - there are at least two entries;
//   - the ids have 32 bytes, are below the group order, not zero, and strictly ascending;
//   - the vault's point and all entries' points decode strictly;
//   - all of them lie on one polynomial of degree at most [Degree], the vault's at 0 and each
//     entry's at its id.
//
// The work grows with the number of entries, most of it one point multiplication each, and a little
// with its square; the caller bounds the number first.
func (l List) Check() error {
	a, err := l.Group.arithmetic()
	if err != nil {
		return err
	}
	ids, err := l.ids(a)
	if err != nil {
		return err
	}
	points := make([][]byte, 0, len(ids)+1)
	points = append(points, l.Vault)
	for _, e := range l.Entries {
		points = append(points, e.Point)
	}
	for _, p := range points {
		if len(p) != a.pointSize() {
			return errPoint
		}
	}
	at := append([]*big.Int{new(big.Int)}, ids...)
	weights, err := degreeWeights(a, at, l.randomizers(a))
	if err != nil {
		return err
	}
	ok, err := a.sumIsIdentity(weights, points)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("verenc: the public shares are not those of one key with this threshold")
	}
	return nil
}

// ids checks everything about the ids and gives them as numbers.
func (l List) ids(a arithmetic) ([]*big.Int, error) {
	if len(l.Entries) < 2 {
		return nil, fmt.Errorf(
			"verenc: a list of public shares has at least 2 entries, not %d",
			len(l.Entries),
		)
	}
	ids := make([]*big.Int, len(l.Entries))
	for i, e := range l.Entries {
		if len(e.ID) != 32 {
			return nil, errors.New("verenc: an id has 32 bytes")
		}
		if i > 0 && bytes.Compare(l.Entries[i-1].ID, e.ID) >= 0 {
			return nil, errors.New("verenc: the ids are not strictly ascending")
		}
		ids[i] = new(big.Int).SetBytes(e.ID)
		if ids[i].Sign() == 0 || ids[i].Cmp(a.order()) >= 0 {
			return nil, errors.New("verenc: an id is not between zero and the group order")
		}
	}
	return ids, nil
}

// randomizers are the coefficients of m, a polynomial of degree n−t−1 that hashing the list fixes.
func (l List) randomizers(a arithmetic) []*big.Int {
	n, t := len(l.Entries), Degree(len(l.Entries))
	hash := sha256.New()
	hash.Write([]byte(domain + "list"))
	hash.Write([]byte{byte(l.Group)})
	hash.Write(u32(uint32(n)))
	hash.Write(u32(uint32(t)))
	hash.Write(l.Vault)
	for _, e := range l.Entries {
		hash.Write(e.ID)
		hash.Write(e.Point)
	}
	h := hash.Sum(nil)
	m := make([]*big.Int, n-t)
	for c := range m {
		w := sum512("degree", []byte{byte(l.Group)}, h, u32(uint32(c)))
		s := a.wide(&w)
		m[c] = a.toBig(&s)
	}
	return m
}

// degreeWeights gives v_j·m(a_j), where v_j = Π_{k≠j} (a_j − a_k)⁻¹: these times the values of a
// polynomial of degree at most t sum up to zero, since the sum is the leading coefficient, at
// degree n, of that polynomial times m.
func degreeWeights(a arithmetic, at, m []*big.Int) ([]scalar, error) {
	q := a.order()
	weights := make([]scalar, len(at))
	diff := new(big.Int)
	for j := range at {
		product := big.NewInt(1)
		for k := range at {
			if k == j {
				continue
			}
			product.Mul(product, diff.Sub(at[j], at[k]))
			product.Mod(product, q)
		}
		if product.ModInverse(product, q) == nil {
			return nil, errors.New("verenc: two ids are equal")
		}
		value := new(big.Int)
		for c := len(m) - 1; c >= 0; c-- {
			value.Mul(value, at[j])
			value.Add(value, m[c])
			value.Mod(value, q)
		}
		product.Mul(product, value)
		weights[j] = a.fromBig(product.Mod(product, q))
	}
	return weights, nil
}
