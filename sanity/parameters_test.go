package sanity_test

import (
	"encoding/json"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/testutil/fixture"
)

// A set of pre-parameters as tss-lib writes it, with the secrets that the rows below need.
type preParameters struct {
	PaillierSK        struct{ N, P *big.Int }
	NTildei, H1i, H2i *big.Int
	P, Q              *big.Int
}

func preParametersOf(t testing.TB, i int) (pre preParameters) {
	t.Helper()
	require.NoError(t, json.Unmarshal(fixture.PreParams()[i].Data, &pre))
	return pre
}

func (p preParameters) public() sanity.Parameters {
	return sanity.Parameters{N: p.PaillierSK.N, NTilde: p.NTildei, H1: p.H1i, H2: p.H2i}
}

func TestCheckParameters(t *testing.T) {
	pre, other := preParametersOf(t, 0), preParametersOf(t, 1)
	number := big.NewInt
	add := func(n *big.Int, by int64) *big.Int { return new(big.Int).Add(n, number(by)) }
	factor := add(new(big.Int).Lsh(pre.P, 1), 1) // of NTilde
	cofactor := add(new(big.Int).Lsh(pre.Q, 1), 1)
	// a number that is a modulo one factor and b modulo the other
	crt := func(a, b *big.Int) *big.Int {
		k := new(big.Int).ModInverse(factor, cofactor)
		k.Mul(k, new(big.Int).Sub(b, a)).Mod(k, cofactor)
		return k.Mul(k, factor).Add(k, a)
	}
	nonResidue := number(2)
	for big.Jacobi(nonResidue, pre.NTildei) != -1 {
		nonResidue.Add(nonResidue, number(1))
	}
	for _, c := range []struct {
		name   string
		change func(p *sanity.Parameters)
		want   string
	}{
		{"an honest member's", func(*sanity.Parameters) {}, ""},
		{"another honest member's", func(p *sanity.Parameters) { *p = other.public() }, ""},
		{"no N", func(p *sanity.Parameters) { p.N = nil }, "N is not an odd number"},
		{"an even N", func(p *sanity.Parameters) { p.N = add(p.N, 1) }, "N is not an odd number"},
		{"an N of 2047 bits", func(p *sanity.Parameters) { p.N = add(new(big.Int).Lsh(number(1), 2046), 1) }, "N is not an odd number"},
		{"an N of 2049 bits", func(p *sanity.Parameters) { p.N = add(new(big.Int).Lsh(number(1), 2048), 1) }, "N is not an odd number"},
		{"a negative N", func(p *sanity.Parameters) { p.N = new(big.Int).Neg(p.N) }, "N is not an odd number"},
		{"no NTilde", func(p *sanity.Parameters) { p.NTilde = nil }, "NTilde is not an odd number"},
		{"an even NTilde", func(p *sanity.Parameters) { p.NTilde = add(p.NTilde, -1) }, "NTilde is not an odd number"},
		{"an NTilde of 1024 bits", func(p *sanity.Parameters) { p.NTilde = factor }, "NTilde is not an odd number"},
		{"N for NTilde as well", func(p *sanity.Parameters) { p.NTilde = p.N }, "factor in common"},
		{"a prime in both moduli", func(p *sanity.Parameters) {
			p.N = new(big.Int).Mul(factor, other.PaillierSK.P)
			if p.N.BitLen() != sanity.ModulusBits {
				p.N = new(big.Int).Mul(factor, cofactor)
			}
		}, "factor in common"},
		{"no H1", func(p *sanity.Parameters) { p.H1 = nil }, "H1 is not between"},
		{"an H1 of zero", func(p *sanity.Parameters) { p.H1 = new(big.Int) }, "H1 is not between"},
		{"an H1 of one", func(p *sanity.Parameters) { p.H1 = number(1) }, "H1 is not between"},
		{"a negative H1", func(p *sanity.Parameters) { p.H1 = new(big.Int).Neg(p.H1) }, "H1 is not between"},
		{"an H1 that is not reduced", func(p *sanity.Parameters) { p.H1 = new(big.Int).Add(p.H1, p.NTilde) }, "H1 is not between"},
		{"an H1 of NTilde", func(p *sanity.Parameters) { p.H1 = p.NTilde }, "H1 is not between"},
		{"no H2", func(p *sanity.Parameters) { p.H2 = nil }, "H2 is not between"},
		{"an H2 of one", func(p *sanity.Parameters) { p.H2 = number(1) }, "H2 is not between"},
		{"an H1 that shares a factor with NTilde", func(p *sanity.Parameters) { p.H1 = factor }, "H1 is not the square"},
		{"an H2 that is no square", func(p *sanity.Parameters) { p.H2 = nonResidue }, "H2 is not the square"},
		{"an H1 of minus one", func(p *sanity.Parameters) { p.H1 = add(p.NTilde, -1) }, "H1 is 1 or -1"},
		{"an H1 that is one modulo one factor", func(p *sanity.Parameters) { p.H1 = crt(number(1), number(4)) }, "H1 is 1 or -1"},
		{"an H2 that is minus one modulo one factor", func(p *sanity.Parameters) {
			h := new(big.Int).Mod(pre.H1i, cofactor)
			p.H2 = crt(add(factor, -1), h.Sub(cofactor, h))
		}, "H2 is 1 or -1"},
		{"an H2 that is H1", func(p *sanity.Parameters) { p.H2 = p.H1 }, "are equal"},
		{"other squares for H1 and H2", func(p *sanity.Parameters) {
			*p = sanity.Parameters{N: p.N, NTilde: p.NTilde, H1: number(4), H2: number(9)}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := pre.public()
			c.change(&p)
			err := sanity.CheckParameters(p)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func BenchmarkCheckParameters(b *testing.B) {
	p := preParametersOf(b, 0).public()
	for b.Loop() {
		require.NoError(b, sanity.CheckParameters(p))
	}
}
