package keyshare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// ECDSAData is what a secp256k1 keyshare holds in local_data: tss-lib's LocalPartySaveData of an
// ECDSA keygen, under tss-lib's names. It prints as nothing; the share is in it.
type ECDSAData struct {
	redacted

	// PaillierSK and the numbers up to Q are the member's own: its Paillier key, its ring-Pedersen
	// parameters and their secrets.
	PaillierSK  *PaillierKey
	NTildei     *big.Int
	H1i, H2i    *big.Int
	Alpha, Beta *big.Int
	P, Q        *big.Int

	// Xi is the secret share and ShareID the member's party.
	Xi, ShareID *big.Int

	// What follows is of all members, in the order of their parties Ks.
	Ks                []*big.Int
	NTildej, H1j, H2j []*big.Int
	BigXj             []*Point
	PaillierPKs       []*PaillierPublicKey

	// ECDSAPub is the vault's key.
	ECDSAPub *Point
}

// EdDSAData is what an ed25519 keyshare holds in local_data: tss-lib's LocalPartySaveData of an
// EdDSA keygen, under tss-lib's names. It prints as nothing; the share is in it.
type EdDSAData struct {
	redacted

	// Xi is the secret share and ShareID the member's party.
	Xi, ShareID *big.Int
	// Ks are the parties of all members, and BigXj their public shares.
	Ks    []*big.Int
	BigXj []*Point
	// EDDSAPub is the vault's key.
	EDDSAPub *Point
}

// PaillierKey is a member's own Paillier key. It prints as nothing.
type PaillierKey struct {
	redacted

	N, LambdaN, PhiN *big.Int
	// P and Q are nil in what older keygens left.
	P, Q *big.Int
}

// PaillierPublicKey is the Paillier key of any member.
type PaillierPublicKey struct{ N *big.Int }

// Point is a point of a curve, by its affine coordinates, which are between zero and the field's
// order.
type Point struct {
	Curve Curve
	X, Y  *big.Int
}

// UnmarshalJSON reads a point as tss-lib writes it, and refuses what is none of its curve. Without
// a curve it is one of secp256k1.
func (p *Point) UnmarshalJSON(raw []byte) error {
	var read struct {
		Curve  string
		Coords [2]*big.Int
	}
	if err := json.Unmarshal(raw, &read); err != nil {
		return err
	}
	*p = Point{X: read.Coords[0], Y: read.Coords[1]}
	switch read.Curve {
	case "", Secp256k1.String():
		p.Curve = Secp256k1
	case Ed25519.String():
		p.Curve = Ed25519
	default:
		return errors.New("a point of an unknown curve")
	}
	if !p.isOnCurve() {
		return fmt.Errorf("not a point of %s", p.Curve)
	}
	return nil
}

// isOnCurve reports whether both coordinates are reduced and solve the curve's equation.
func (p *Point) isOnCurve() bool {
	_, order := p.Curve.params()
	for _, v := range []*big.Int{p.X, p.Y} {
		if v == nil || v.Sign() < 0 || v.Cmp(order) >= 0 {
			return false
		}
	}
	mul := func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }
	left, right := mul(p.Y, p.Y), mul(p.X, p.X)
	if p.Curve == Secp256k1 { // y² = x³ + 7
		right = mul(right, p.X)
		right.Add(right, big.NewInt(7))
	} else { // y² − x² = 1 + d·x²·y²
		product := mul(left, right)
		left.Sub(left, right)
		right = product.Mul(product, edwardsD)
		right.Add(right, one)
	}
	return left.Sub(left, right).Mod(left, order).Sign() == 0
}

var (
	edOrder, _ = new(big.Int).SetString(
		"7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	edField = new(big.Int).Sub(new(big.Int).Lsh(one, 255), big.NewInt(19))
	// edwardsD is the d of the curve's equation, −121665/121666.
	edwardsD = func() *big.Int {
		d := new(big.Int).ModInverse(big.NewInt(121666), edField)
		d.Mul(d, big.NewInt(-121665))
		return d.Mod(d, edField)
	}()
)

// params are the order of the curve's group and that of its field.
func (c Curve) params() (order, field *big.Int) {
	if c == Ed25519 {
		return edOrder, edField
	}
	return secp256k1.Params().N, secp256k1.Params().P
}

// redacted is embedded in what holds secrets of a keyshare: in every formatting verb and in JSON it
// is a constant.
type redacted struct{}

const redactedText = "[redacted keyshare]"

// String returns a constant.
func (redacted) String() string { return redactedText }

// Format writes a constant, whatever the verb.
func (redacted) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedText) }

// MarshalJSON returns a constant.
func (redacted) MarshalJSON() ([]byte, error) { return json.Marshal(redactedText) }
