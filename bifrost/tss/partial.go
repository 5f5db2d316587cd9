package tss

import (
	"crypto/sha512"
	"errors"
	"math/big"
	"slices"

	"filippo.io/edwards25519"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	edsigning "github.com/bnb-chain/tss-lib/v2/eddsa/signing"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"google.golang.org/protobuf/proto"
)

// A partial knows what a signer's part s of an EdDSA signature must be: s·B = R + c·W, with R what
// the signer opened, c the challenge and W its public share times its weight among the signers.
// tss-lib adds the parts up and finds no culprit when the sum is wrong.
type partial struct {
	key, message []byte
	weighted     []*edwards25519.Point
}

func newPartial(
	data *edkeygen.LocalPartySaveData,
	ids tsslib.SortedPartyIDs,
	message []byte,
) *partial {
	subset := edkeygen.BuildLocalSaveDataSubset(*data, ids)
	order := tsslib.Edwards().Params().N
	p := &partial{message: message, key: mustPoint(data.EDDSAPub.X(), data.EDDSAPub.Y()).Bytes()}
	for i, weight := range weights(ids.Keys(), order) {
		share := mustPoint(subset.BigXj[i].X(), subset.BigXj[i].Y())
		p.weighted = append(p.weighted, share.ScalarMult(edScalar(weight), share))
	}
	return p
}

// weights are by what shares at these places, which differ modulo the order, are multiplied to add
// up to the key.
func weights(at []*big.Int, order *big.Int) (all []*big.Int) {
	for i, own := range at {
		weight := big.NewInt(1)
		for j, other := range at {
			if j != i {
				difference := new(big.Int).Sub(other, own)
				weight.Mul(weight, other).
					Mul(weight, difference.ModInverse(difference.Mod(difference, order), order))
				weight.Mod(weight, order)
			}
		}
		all = append(all, weight)
	}
	return all
}

// mustPoint takes the coordinates of a point that the keyshare's checks have seen.
func mustPoint(x, y *big.Int) *edwards25519.Point {
	p, err := edwardsPoint(x.Bytes(), y.Bytes())
	if err != nil {
		panic(err)
	}
	return p
}

// edScalar takes a number below the order.
func edScalar(v *big.Int) *edwards25519.Scalar {
	b := v.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	s, err := new(edwards25519.Scalar).SetCanonicalBytes(b)
	if err != nil {
		panic(err)
	}
	return s
}

// verify checks one signer's part against what all signers opened, of which tss-lib takes the part
// in the prime-order group.
func (p *partial) verify(opened []proto.Message, from int, s []byte) error {
	cofactor := edScalar(new(big.Int).ModInverse(big.NewInt(8), tsslib.Edwards().Params().N))
	sum, own := edwards25519.NewIdentityPoint(), (*edwards25519.Point)(nil)
	for i, m := range opened {
		opening := m.(*edsigning.SignRound2Message).DeCommitment
		r, err := edwardsPoint(opening[1], opening[2])
		if err != nil {
			return err
		}
		r.ScalarMult(cofactor, r.MultByCofactor(r))
		sum.Add(sum, r)
		if i == from {
			own = r
		}
	}
	h := sha512.New()
	h.Write(sum.Bytes())
	h.Write(p.key)
	h.Write(p.message)
	challenge, err := new(edwards25519.Scalar).SetUniformBytes(h.Sum(nil))
	if err != nil {
		return err
	}
	challenge.Negate(challenge)
	got := new(
		edwards25519.Point,
	).VarTimeDoubleScalarBaseMult(challenge, p.weighted[from], edScalar(number(s)))
	if got.Equal(own) != 1 {
		return errors.New("not the author's part of the signature")
	}
	return nil
}
