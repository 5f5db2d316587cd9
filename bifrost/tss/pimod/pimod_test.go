package pimod

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/fixture"
)

// factors are the primes of both moduli in a set of pre-parameters.
func factors(t testing.TB, set int) (p, q, tildeP, tildeQ *big.Int) {
	t.Helper()
	var pre struct {
		PaillierSK struct{ P, Q *big.Int }
		P, Q       *big.Int
	}
	require.NoError(t, json.Unmarshal(fixture.PreParams()[set].Data, &pre))
	safe := func(p *big.Int) *big.Int { return new(big.Int).Add(new(big.Int).Lsh(p, 1), one) }
	return pre.PaillierSK.P, pre.PaillierSK.Q, safe(pre.P), safe(pre.Q)
}

func mul(factors ...*big.Int) *big.Int {
	n := big.NewInt(1)
	for _, f := range factors {
		n.Mul(n, f)
	}
	return n
}

func prime(t testing.TB, bits int, like func(p *big.Int) bool) *big.Int {
	t.Helper()
	for {
		p, err := rand.Prime(rand.Reader, bits)
		require.NoError(t, err)
		if like == nil || like(p) {
			return p
		}
	}
}

func blum(p *big.Int) bool { return p.Bit(1) == 1 }

// product finds primes of these bits that give a modulus of the right length.
func product(t testing.TB, like func(p *big.Int) bool, bits ...int) []*big.Int {
	t.Helper()
	for {
		var out []*big.Int
		for _, b := range bits {
			out = append(out, prime(t, b, like))
		}
		if mul(out...).BitLen() == Bits {
			return out
		}
	}
}

// A cheat answers as well as one can who knows all factors of any modulus: with roots where there
// are some.
func cheat(context []byte, primes []*big.Int, w *big.Int) []byte {
	n := mul(primes...)
	phi := big.NewInt(1)
	for _, p := range primes {
		phi.Mul(phi, new(big.Int).Sub(p, one))
	}
	pf := &proof{w: w}
	inverse := new(big.Int).ModInverse(n, phi)
	for i, y := range challenges(context, n, w) {
		pf.x[i], pf.z[i] = one, one
		if inverse != nil {
			pf.z[i] = new(big.Int).Exp(y, inverse, n)
		}
		for sign := byte(0); sign < 4; sign++ {
			if x := fourthRoot(signed(y, sign, w, n), primes, n); x != nil {
				pf.x[i], pf.sign[i] = x, sign
				break
			}
		}
	}
	return pf.encode()
}

// fourthRoot is a fourth root of v modulo the product of the primes, or nil.
func fourthRoot(v *big.Int, primes []*big.Int, n *big.Int) *big.Int {
	x := new(big.Int)
	for _, p := range primes {
		r := new(big.Int).ModSqrt(new(big.Int).Mod(v, p), p)
		if r == nil {
			return nil
		}
		if big.Jacobi(r, p) == -1 {
			r.Sub(p, r)
		}
		if r = new(big.Int).ModSqrt(r, p); r == nil {
			return nil
		}
		cofactor := new(big.Int).Div(n, p)
		unit := new(big.Int).ModInverse(new(big.Int).Mod(cofactor, p), p)
		if unit == nil {
			return nil
		}
		x.Add(x, r.Mul(r, unit).Mul(r, cofactor))
	}
	return x.Mod(x, n)
}

func nonResidue(t testing.TB, n *big.Int) *big.Int {
	t.Helper()
	for {
		w, err := rand.Int(rand.Reader, n)
		require.NoError(t, err)
		if big.Jacobi(w, n) == -1 {
			return w
		}
	}
}

func TestProofs(t *testing.T) {
	context := []byte("session, author, modulus")
	for set := range 2 {
		p, q, tp, tq := factors(t, set)
		for _, f := range [][2]*big.Int{{p, q}, {tp, tq}, {q, p}} {
			b, err := Prove(rand.Reader, context, f[0], f[1])
			require.NoError(t, err)
			require.Len(t, b, Size)
			require.NoError(t, Verify(context, mul(f[0], f[1]), b))
		}
	}
}

// What verifies today must verify tomorrow: the bytes of a proof are fixed by its randomness.
func TestVector(t *testing.T) {
	p, q, _, _ := factors(t, 0)
	random := sha3.NewSHAKE128()
	_, _ = random.Write([]byte("vector"))
	b, err := Prove(random, []byte("context"), p, q)
	require.NoError(t, err)
	sum := sha256.Sum256(b)
	require.Equal(t, "dffbb322e90b4d7f6adb126dc3cb92e76ed2d0124cb8aa4588214e68c0e00d97", hex.EncodeToString(sum[:]))
	require.NoError(t, Verify([]byte("context"), mul(p, q), b))
}

func TestModuliThatProveRefuses(t *testing.T) {
	p, q, _, _ := factors(t, 0)
	notBlum := prime(t, 1024, func(p *big.Int) bool { return !blum(p) })
	for name, f := range map[string][2]*big.Int{
		"a short one":              {p, new(big.Int).Rsh(q, 1)},
		"an even one":              {p, new(big.Int).Lsh(new(big.Int).Rsh(q, 1), 1)},
		"a square":                 {p, p},
		"a factor that is 1 mod 4": {p, notBlum},
	} {
		_, err := Prove(rand.Reader, nil, f[0], f[1])
		require.Error(t, err, name)
	}
}

func TestForgedModuliAreRefused(t *testing.T) {
	context := []byte("context")
	p, q, _, _ := factors(t, 0)

	// The modulus by which a vault of this family is believed to have been emptied: one large prime
	// and many small ones. With a w that is 0 modulo all the small ones, tss-lib's proof asks for
	// roots modulo the large one alone.
	many := func() []*big.Int {
		for {
			f := []*big.Int{prime(t, 1024, blum)}
			for range 31 {
				f = append(f, prime(t, 32, nil))
			}
			f = append(f, prime(t, Bits+1-mul(f...).BitLen(), nil))
			n, phi := mul(f...), big.NewInt(1)
			for _, p := range f {
				phi.Mul(phi, new(big.Int).Sub(p, one))
			}
			if n.BitLen() == Bits && new(big.Int).GCD(nil, nil, n, phi).Cmp(one) == 0 {
				return f
			}
		}
	}()
	small := mul(many[1:]...)
	zeroModuloSmall := mul(small, new(big.Int).ModInverse(small, many[0]))
	three, tripled := big.NewInt(3), []*big.Int(nil)
	for tripled == nil || mul(tripled...).BitLen() != Bits {
		tripled = []*big.Int{three, prime(t, 1022, blum), prime(t, 1024, blum)}
	}

	largePrime := new(big.Int).Lsh(one, Bits) // the largest of which the half is prime as well
	largePrime.Sub(largePrime, big.NewInt(1942289))

	for _, c := range []struct {
		name   string
		primes []*big.Int
		w      *big.Int // nil for one that has the right symbol
		want   string
	}{
		{"33 factors and a w that is zero modulo 32 of them", many, zeroModuloSmall, "Jacobi"},
		{"33 factors and an honest w", many, nil, "roots"},
		{"33 factors and a w of one", many, one, "Jacobi"},
		{"three factors", product(t, blum, 682, 683, 683), nil, "roots"},
		{"three times a Blum modulus", tripled, nil, "roots"},
		{"two factors, one of them 1 modulo 4", []*big.Int{p, prime(t, 1024, func(p *big.Int) bool { return !blum(p) })}, nil, "roots"},
		{"two factors, both 1 modulo 4", product(t, func(p *big.Int) bool { return !blum(p) && p.Bit(1022) == 1 }, 1024, 1024), nil, "roots"},
		{"the square of a prime", []*big.Int{p, p}, p, "Jacobi"},
		{"a prime", []*big.Int{largePrime}, nil, "prime"},
		{"a Blum modulus and a w that shares a factor", []*big.Int{p, q}, p, "Jacobi"},
		{"a Blum modulus and a w that is a square", []*big.Int{p, q}, big.NewInt(4), "Jacobi"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := mul(c.primes...)
			if c.w == nil {
				c.w = nonResidue(t, n)
			}
			require.Equal(t, Bits, n.BitLen())
			require.ErrorContains(t, Verify(context, n, cheat(context, c.primes, c.w)), c.want)
		})
	}
}

// Π-mod says nothing about the size of the two primes: this is why Π-fac is needed as well.
func TestAnUnbalancedModulusPasses(t *testing.T) {
	f := product(t, blum, 64, 1984)
	b, err := Prove(rand.Reader, nil, f[0], f[1])
	require.NoError(t, err)
	require.NoError(t, Verify(nil, mul(f...), b))
}

func TestProofsAreBound(t *testing.T) {
	p, q, tp, tq := factors(t, 0)
	context := []byte("session 1, author 1, N")
	n := mul(p, q)
	b, err := Prove(rand.Reader, context, p, q)
	require.NoError(t, err)
	require.NoError(t, Verify(context, n, b))
	for _, other := range []string{"session 2, author 1, N", "session 1, author 2, N", "session 1, author 1, NTilde", "", "session 1, author 1, N\x00"} {
		require.Error(t, Verify([]byte(other), n, b), other)
	}
	require.Error(t, Verify(context, mul(tp, tq), b), "another modulus")
}

func TestEveryFieldIsChecked(t *testing.T) {
	p, q, _, _ := factors(t, 0)
	n := mul(p, q)
	b, err := Prove(rand.Reader, nil, p, q)
	require.NoError(t, err)
	good := func() *proof {
		pf, err := decode(b, n)
		require.NoError(t, err)
		return pf
	}
	next := func(v *big.Int) *big.Int { return new(big.Int).Add(v, one) }
	for name, change := range map[string]func(pf *proof){
		"w":                func(pf *proof) { pf.w = nonResidue(t, n) },
		"w of zero":        func(pf *proof) { pf.w = new(big.Int) },
		"w of N":           func(pf *proof) { pf.w = n },
		"w plus N's half":  func(pf *proof) { pf.w = next(pf.w) },
		"x":                func(pf *proof) { pf.x[0] = next(pf.x[0]) },
		"last x":           func(pf *proof) { pf.x[Iterations-1] = next(pf.x[Iterations-1]) },
		"x of zero":        func(pf *proof) { pf.x[7] = new(big.Int) },
		"x of N":           func(pf *proof) { pf.x[7] = n },
		"z":                func(pf *proof) { pf.z[0] = next(pf.z[0]) },
		"last z":           func(pf *proof) { pf.z[Iterations-1] = next(pf.z[Iterations-1]) },
		"z of zero":        func(pf *proof) { pf.z[7] = new(big.Int) },
		"z of N":           func(pf *proof) { pf.z[7] = n },
		"minus z":          func(pf *proof) { pf.z[7] = new(big.Int).Sub(n, pf.z[7]) },
		"a":                func(pf *proof) { pf.sign[3] ^= 1 },
		"b":                func(pf *proof) { pf.sign[3] ^= 2 },
		"last sign":        func(pf *proof) { pf.sign[Iterations-1] ^= 1 },
		"a sign that is 4": func(pf *proof) { pf.sign[3] |= 4 },
		"two x swapped":    func(pf *proof) { pf.x[0], pf.x[1] = pf.x[1], pf.x[0] },
		"two z swapped":    func(pf *proof) { pf.z[0], pf.z[1] = pf.z[1], pf.z[0] },
	} {
		pf := good()
		change(pf)
		require.Error(t, Verify(nil, n, pf.encode()), name)
	}
	for _, b := range [][]byte{nil, b[:Size-1], append(b[:Size:Size], 0), make([]byte, Size)} {
		require.Error(t, Verify(nil, n, b))
	}
	for name, n := range map[string]*big.Int{
		"none": nil, "even": new(big.Int).Sub(n, one), "short": p, "negative": new(big.Int).Neg(n), "longer": mul(n, p),
	} {
		require.ErrorContains(t, Verify(nil, n, b), "modulus", name)
	}
}

func BenchmarkProve(b *testing.B) {
	p, q, _, _ := factors(b, 0)
	for b.Loop() {
		_, err := Prove(rand.Reader, nil, p, q)
		require.NoError(b, err)
	}
}

func BenchmarkVerify(b *testing.B) {
	p, q, _, _ := factors(b, 0)
	proof, err := Prove(rand.Reader, nil, p, q)
	require.NoError(b, err)
	n := mul(p, q)
	for b.Loop() {
		require.NoError(b, Verify(nil, n, proof))
	}
}
