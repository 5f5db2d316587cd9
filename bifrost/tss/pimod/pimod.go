// Package pimod proves that a modulus is a Paillier-Blum modulus: the product of two primes, both 3
// modulo 4, that shares no factor with its own φ. It is Π-mod of CGGMP21 (Canetti, Gennaro,
// Goldfeder, Makriyannis, Peled: UC Non-Interactive, Proactive, Threshold ECDSA with Identifiable
// Aborts, ePrint 2021/060), Figure 16, made non-interactive.
//
// The prover picks w with Jacobi symbol −1 modulo N. A hash of the context, N and w gives 80
// challenges y. For each the prover shows the N-th root z of y, and a fourth root x of one of y,
// −y, w·y and −w·y. N-th roots of random numbers exist only if N shares no factor with φ(N), so N
// has no square in it. Fourth roots of one of the four exist for at most half of all numbers when N
// has three prime factors or more, or one that is 1 modulo 4. A false proof is accepted with a
// chance of 2⁻⁸⁰.
//
// It is here beside tss-lib's own because that one (v2.0.2) leaves out that w is a unit with Jacobi
// symbol −1, so that a modulus with thirty factors passes; takes challenges of 256 bits instead of
// numbers modulo N; and binds neither session nor author.
//
// What it does not show is the size of the factors: 3 times a prime passes. That is what Π-fac is
// for.
//
// The prover computes with the secret primes in variable time, as tss-lib does.
package pimod

import (
	"crypto/rand"
	"crypto/sha3"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// Bits is the length of a modulus.
	Bits = 2048
	// Iterations is how many challenges there are.
	Iterations = 80
	// Size is the length of a proof in bytes: w, for each challenge a byte with the signs of −1 and
	// of w, and all x and z.
	Size = width + Iterations + 2*Iterations*width

	width = Bits / 8
	// wide is how many bytes are reduced to a challenge, so that it is uniform but for 2⁻²⁵⁶.
	wide   = width + 32
	domain = "tssbackup/tss/pimod/v1"
)

// A proof as Figure 16 has it. Bit 0 of a sign is a, whether y was negated; bit 1 is b, whether it
// was multiplied with w.
type proof struct {
	w    *big.Int
	sign [Iterations]byte
	x, z [Iterations]*big.Int
}

var (
	one  = big.NewInt(1)
	four = big.NewInt(4)
)

// Prove returns a proof of [Size] bytes for the modulus p·q, which verifies with the same context
// alone. It errs when p and q are not such that the product is a Paillier-Blum modulus of [Bits]
// bits.
func Prove(random io.Reader, context []byte, p, q *big.Int) ([]byte, error) {
	n := new(big.Int).Mul(p, q)
	if err := checkModulus(n); err != nil {
		return nil, err
	}
	p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
	// The N-th root and the fourth root of a square are powers.
	np, nq := new(big.Int).ModInverse(n, p1), new(big.Int).ModInverse(n, q1)
	if p.Bit(1) == 0 || q.Bit(1) == 0 || p.Cmp(q) == 0 || np == nil || nq == nil {
		return nil, errors.New("not the factors of a Paillier-Blum modulus")
	}
	fourth := func(p, p1 *big.Int) *big.Int {
		root := new(big.Int).Add(p, one)
		root.Rsh(root, 2)
		return root.Mul(root, root).Mod(root, p1)
	}
	fp, fq := fourth(p, p1), fourth(q, q1)
	inverse := new(big.Int).ModInverse(p, q)
	power := func(base, ep, eq *big.Int) *big.Int { // modulo n, by way of its factors
		a, b := new(big.Int).Exp(base, ep, p), new(big.Int).Exp(base, eq, q)
		b.Sub(b, a).Mul(b, inverse).Mod(b, q)
		return b.Mul(b, p).Add(b, a)
	}

	pf := new(proof)
	for pf.w == nil {
		w, err := rand.Int(random, n)
		if err != nil {
			return nil, fmt.Errorf("picking a number: %w", err)
		}
		if big.Jacobi(w, n) == -1 {
			pf.w = w
		}
	}
	for i, y := range challenges(context, n, pf.w) {
		pf.z[i] = power(y, np, nq)
		for sign := byte(0); sign < 4; sign++ {
			if v := signed(y, sign, pf.w, n); big.Jacobi(v, p) == 1 && big.Jacobi(v, q) == 1 {
				pf.sign[i], pf.x[i] = sign, power(v, fp, fq)
				break
			}
		}
		if pf.x[i] == nil {
			return nil, errors.New("not the factors of a Paillier-Blum modulus")
		}
	}
	return pf.encode(), nil
}

// Verify returns an error unless the bytes prove, in this context, that n is a Paillier-Blum
// modulus of [Bits] bits.
func Verify(context []byte, n *big.Int, b []byte) error {
	if err := checkModulus(n); err != nil {
		return err
	}
	pf, err := decode(b, n)
	if err != nil {
		return err
	}
	// A w with a factor of n has the symbol 0. With one that is 0 modulo some primes, only the
	// others would need roots.
	if big.Jacobi(pf.w, n) != -1 {
		return errors.New("w does not have the Jacobi symbol -1")
	}
	if n.ProbablyPrime(0) {
		return errors.New("the modulus is prime")
	}
	ys := challenges(context, n, pf.w)
	var next, bad atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), Iterations) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < Iterations && bad.Load() == 0; i = next.Add(1) - 1 {
				if !pf.holds(int(i), ys[i], n) {
					bad.Store(i + 1)
				}
			}
		})
	}
	wg.Wait()
	if i := bad.Load(); i != 0 {
		return fmt.Errorf("the roots of challenge %d do not fit", i-1)
	}
	return nil
}

// holds checks the roots of one challenge. That y is a unit makes units of the roots.
func (pf *proof) holds(i int, y, n *big.Int) bool {
	if new(big.Int).GCD(nil, nil, y, n).Cmp(one) != 0 {
		return false
	}
	return new(big.Int).Exp(pf.x[i], four, n).Cmp(signed(y, pf.sign[i], pf.w, n)) == 0 &&
		new(big.Int).Exp(pf.z[i], n, n).Cmp(y) == 0
}

// signed is (−1)^a · w^b · y modulo n.
func signed(y *big.Int, sign byte, w, n *big.Int) *big.Int {
	v := new(big.Int).Set(y)
	if sign&1 != 0 {
		v.Neg(v)
	}
	if sign&2 != 0 {
		v.Mul(v, w)
	}
	return v.Mod(v, n)
}

func checkModulus(n *big.Int) error {
	if n == nil || n.Sign() < 0 || n.BitLen() != Bits || n.Bit(0) == 0 {
		return fmt.Errorf("the modulus is not an odd number of %d bits", Bits)
	}
	return nil
}

// challenges are numbers below n that nobody can choose: SHAKE256 over the context behind its
// length, n and w.
func challenges(context []byte, n, w *big.Int) (ys [Iterations]*big.Int) {
	h := sha3.NewSHAKE256()
	_, _ = h.Write([]byte(domain))
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(context))))
	_, _ = h.Write(context)
	_, _ = h.Write(n.FillBytes(make([]byte, width)))
	_, _ = h.Write(w.FillBytes(make([]byte, width)))
	b := make([]byte, wide)
	for i := range ys {
		_, _ = h.Read(b)
		ys[i] = new(big.Int).SetBytes(b)
		ys[i].Mod(ys[i], n)
	}
	return ys
}

func (pf *proof) encode() []byte {
	b := make([]byte, 0, Size)
	number := func(v *big.Int) { b = append(b, v.FillBytes(make([]byte, width))...) }
	number(pf.w)
	b = append(b, pf.sign[:]...)
	for i := range Iterations {
		number(pf.x[i])
		number(pf.z[i])
	}
	return b
}

// decode accepts exactly what encode gives: numbers in [1, n), and signs below four.
func decode(b []byte, n *big.Int) (*proof, error) {
	if len(b) != Size {
		return nil, fmt.Errorf("a proof of %d bytes, not %d", len(b), Size)
	}
	pf, ok := new(proof), true
	number := func() *big.Int {
		v := new(big.Int).SetBytes(b[:width])
		b = b[width:]
		ok = ok && v.Sign() > 0 && v.Cmp(n) < 0
		return v
	}
	pf.w = number()
	b = b[copy(pf.sign[:], b):]
	for i := range Iterations {
		ok = ok && pf.sign[i] < 4
		pf.x[i], pf.z[i] = number(), number()
	}
	if !ok {
		return nil, errors.New("a number of the proof is out of range")
	}
	return pf, nil
}
