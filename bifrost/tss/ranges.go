package tss

import (
	"errors"
	"math/big"

	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
)

// What an honest prover's numbers are in, q being the order of secp256k1. tss-lib v2.0.2 leaves
// most of the upper bounds out, and of the units those in Π-fac and Alice's s. Each proof is for
// this member, with this member's NTilde.

func mul(factors ...*big.Int) *big.Int {
	p := big.NewInt(1)
	for _, f := range factors {
		p.Mul(p, f)
	}
	return p
}

func double(n *big.Int) *big.Int { return new(big.Int).Lsh(n, 1) }

// checkUnits wants numbers in [1, n) without a factor of n.
func checkUnits(n *big.Int, values ...[]byte) error {
	for _, b := range values {
		v := number(b)
		if v.Sign() == 0 || v.Cmp(n) >= 0 ||
			new(big.Int).GCD(nil, nil, v, n).Cmp(big.NewInt(1)) != 0 {
			return errors.New("not a unit of its modulus")
		}
	}
	return nil
}

// checkRange wants numbers from low to high.
func checkRange(low, high *big.Int, values ...[]byte) error {
	for _, b := range values {
		if v := number(b); v.Cmp(low) < 0 || v.Cmp(high) > 0 {
			return errors.New("a number of a proof is out of range")
		}
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkFacProof looks at a Π-fac (CGGMP21, Figure 28) for the modulus n of its author.
func checkFacProof(tilde, n *big.Int, pf [][]byte) error {
	const ( // in tss-lib's order
		p, q, a, b, t, sigma, z1, z2, w1, w2, v = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
	)
	order := tsslib.S256().Params().N
	cube, zero := mul(order, order, order), new(big.Int)
	return first(
		checkUnits(tilde, pf[p], pf[q], pf[a], pf[b], pf[t]),
		checkRange(zero, mul(order, n, tilde), pf[sigma]),
		checkRange(zero, mul(cube, new(big.Int).Sqrt(n)), pf[z1], pf[z2]),
		checkRange(zero, double(mul(cube, tilde)), pf[w1], pf[w2]),
		checkRange(zero, double(mul(cube, n, tilde)), pf[v]),
	)
}

// checkAliceProof looks at the ciphertext c under the modulus n of its author, and at the proof of
// its range (GG18, appendix A.1).
func checkAliceProof(tilde, n *big.Int, c []byte, pf [][]byte) error {
	const z, u, w, s, s1, s2 = 0, 1, 2, 3, 4, 5
	order := tsslib.S256().Params().N
	cube := mul(order, order, order)
	return first(
		checkUnits(mul(n, n), c, pf[u]),
		checkUnits(tilde, pf[z], pf[w]),
		checkUnits(n, pf[s]),
		checkRange(order, cube, pf[s1]),
		checkRange(order, double(mul(cube, tilde)), pf[s2]),
	)
}

// checkBobProof looks at the ciphertext c under this member's modulus n, and at the proof of how it
// was made (GG18, appendices A.2 and A.3).
func checkBobProof(tilde, n *big.Int, c []byte, pf [][]byte) error {
	const z, zPrime, t, v, w, s, s1, s2, t1, t2 = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
	order := tsslib.S256().Params().N
	cube := mul(order, order, order)
	return first(
		checkUnits(mul(n, n), c, pf[v]),
		checkUnits(tilde, pf[z], pf[zPrime], pf[t], pf[w]),
		checkUnits(n, pf[s]),
		checkRange(order, cube, pf[s1]),
		checkRange(order, mul(cube, cube, order), pf[t1]),
		checkRange(order, double(mul(cube, tilde)), pf[s2], pf[t2]),
	)
}
