package verenc

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
)

// Combine rebuilds the vault's private key from shares: shares[i] is the one of l.Entries[i], the
// zero [Share] where it is missing. It takes the first [Threshold] that are there, and returns an
// error unless the list is well-formed, every share given belongs to its entry's point, and the
// result to the vault's point. The caller wipes the key, which is a [Share] too: it redacts itself
// and its Bytes are in the group's scalar encoding.
func (l List) Combine(shares []Share) (Share, error) {
	if err := l.Check(); err != nil {
		return Share{}, err
	}
	a, err := l.Group.arithmetic()
	if err != nil {
		return Share{}, err
	}
	ids, err := l.ids(a)
	if err != nil {
		return Share{}, err
	}
	if len(shares) != len(ids) {
		return Share{}, fmt.Errorf(
			"verenc: %d places for shares and %d entries",
			len(shares),
			len(ids),
		)
	}
	var at []*big.Int
	var x []*scalar
	for i, s := range shares {
		if s.x.scalar() == nil {
			continue
		}
		if s.group != l.Group || !bytes.Equal(s.Public().Point, l.Entries[i].Point) {
			return Share{}, fmt.Errorf(
				"verenc: the share at entry %d does not belong to its public point",
				i,
			)
		}
		at, x = append(at, ids[i]), append(x, s.x.scalar())
	}
	need := Threshold(len(ids))
	if len(x) < need {
		return Share{}, fmt.Errorf("verenc: %d shares of %d that are needed", len(x), need)
	}
	return interpolate(l.Group, a, l.Vault, at[:need], x[:need])
}

// Interpolate rebuilds the vault's private key from shares alone, when nobody has the list of their
// points any more: shares[i] lies at ids[i], see [ShareID]. All of them are taken, which may be
// more than [Threshold]. The result is checked against the vault's point, and nothing else is: when
// the shares are too few, or one is wrong, it is an error that tells no more than that. The caller
// wipes the key.
func Interpolate(g Group, vault []byte, ids [][]byte, shares []Share) (Share, error) {
	a, err := g.arithmetic()
	if err != nil {
		return Share{}, err
	}
	if len(ids) != len(shares) || len(ids) == 0 {
		return Share{}, fmt.Errorf("verenc: %d ids of %d shares", len(ids), len(shares))
	}
	at, x := make([]*big.Int, len(ids)), make([]*scalar, len(ids))
	seen := make(map[string]bool, len(ids))
	for i, id := range ids {
		at[i] = new(big.Int).SetBytes(id)
		if at[i].Sign() == 0 || at[i].Cmp(a.order()) >= 0 {
			return Share{}, errors.New("verenc: an id is not between zero and the group order")
		}
		if seen[at[i].String()] {
			return Share{}, errors.New("verenc: two ids are equal")
		}
		seen[at[i].String()] = true
		x[i] = shares[i].x.scalar()
		if x[i] == nil || shares[i].group != g {
			return Share{}, errors.New("verenc: a share is missing, or one of another group")
		}
	}
	return interpolate(g, a, vault, at, x)
}

// interpolate gives the value at zero of the polynomial that has these values at these places, when
// that is the key of the vault's point.
func interpolate(
	g Group, a arithmetic, vault []byte, at []*big.Int, x []*scalar,
) (Share, error) {
	var sum scalar
	defer clear(sum[:])
	for i := range at {
		c := lagrangeAtZero(a, at, i)
		sum = a.mulAdd(&c, x[i], &sum)
	}
	key, err := NewShare(g, sum[:])
	if err != nil {
		return Share{}, err
	}
	if !bytes.Equal(key.Public().Point, vault) {
		key.Wipe()
		return Share{}, errors.New("verenc: the shares do not give the vault's key")
	}
	return key, nil
}

// lagrangeAtZero is Π_{k≠i} a_k / (a_k − a_i), of ids that everyone knows.
func lagrangeAtZero(a arithmetic, at []*big.Int, i int) scalar {
	q := a.order()
	num, den := big.NewInt(1), big.NewInt(1)
	for k := range at {
		if k == i {
			continue
		}
		num.Mod(num.Mul(num, at[k]), q)
		den.Mod(den.Mul(den, new(big.Int).Sub(at[k], at[i])), q)
	}
	num.Mul(num, den.ModInverse(den, q))
	return a.fromBig(num.Mod(num, q))
}
