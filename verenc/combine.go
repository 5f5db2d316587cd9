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
	at, x = at[:need], x[:need]

	var sum scalar
	defer clear(sum[:])
	for i := range at {
		c := lagrangeAtZero(a, at, i)
		sum = a.mulAdd(&c, x[i], &sum)
	}
	key, err := NewShare(l.Group, sum[:])
	if err != nil {
		return Share{}, err
	}
	if !bytes.Equal(key.Public().Point, l.Vault) {
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
