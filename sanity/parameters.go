package sanity

import (
	"errors"
	"fmt"
	"math/big"
)

// ModulusBits is the length of both of a member's moduli, in bits.
const ModulusBits = 2048

// Parameters are what a member of a vault tells the others before they compute with it in threshold
// ECDSA.
type Parameters struct {
	// N is the modulus of its Paillier key.
	N *big.Int
	// NTilde, H1 and H2 are its ring-Pedersen parameters: what others commit with in proofs for it.
	NTilde, H1, H2 *big.Int
}

// CheckParameters returns an error that names the first number without the form that honest ones
// have:
//
//   - N and NTilde are odd, have exactly [ModulusBits] bits and no factor in common, so they are
//     not equal either;
//   - H1 and H2 differ, lie strictly between 1 and NTilde and have the Jacobi symbol 1, as squares
//     of units do;
//   - neither is 1 or −1 modulo a factor of NTilde, where it would hide nothing.
//
// It is all that the numbers show by themselves. That a modulus has exactly two prime factors, and
// no small one, takes proofs.
//
// It is deterministic, works on integers only and depends on no library, because all nodes of a
// chain must agree on it.
func CheckParameters(p Parameters) error {
	for _, m := range []struct {
		name string
		n    *big.Int
	}{{"N", p.N}, {"NTilde", p.NTilde}} {
		if m.n == nil || m.n.Sign() < 0 || m.n.BitLen() != ModulusBits || m.n.Bit(0) == 0 {
			return fmt.Errorf("%s is not an odd number of %d bits", m.name, ModulusBits)
		}
	}
	if !coprime(p.N, p.NTilde) {
		return errors.New("the moduli N and NTilde have a factor in common")
	}
	for _, h := range []struct {
		name string
		h    *big.Int
	}{{"H1", p.H1}, {"H2", p.H2}} {
		if h.h == nil || h.h.Cmp(one) <= 0 || h.h.Cmp(p.NTilde) >= 0 {
			return fmt.Errorf("%s is not between 1 and NTilde", h.name)
		}
		if big.Jacobi(h.h, p.NTilde) != 1 {
			return fmt.Errorf("%s is not the square of a unit modulo NTilde", h.name)
		}
		square := new(big.Int).Mul(h.h, h.h)
		if !coprime(square.Sub(square, one), p.NTilde) {
			return fmt.Errorf("%s is 1 or -1 modulo a factor of NTilde", h.name)
		}
	}
	if p.H1.Cmp(p.H2) == 0 {
		return errors.New("H1 and H2 are equal")
	}
	return nil
}

var one = big.NewInt(1)

func coprime(a, b *big.Int) bool { return new(big.Int).GCD(nil, nil, a, b).Cmp(one) == 0 }
