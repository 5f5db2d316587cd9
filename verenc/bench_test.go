package verenc

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/stretchr/testify/require"
)

// The baseline is the textbook form of the same proof: binary cut-and-choose over 128 rows with the
// same rows (E, K, r, R), the same curve libraries called for one multiplication at a time, every E
// and R sent, and for each row, as one bit of the challenge says, either the seed of the row or its
// masked shares.

const baselineRows = 128

type baselineProof struct {
	salt   [32]byte
	e      []point
	r      [][]point
	answer [][]byte // seed of an opened row, masked shares of a closed one
}

func (p *baselineProof) size() int {
	n := 1 + 32
	for i := range p.e {
		n += len(p.e[i]) + len(p.answer[i])
		for j := range p.r {
			n += len(p.r[j][i])
		}
	}
	return n
}

func (p *baselineProof) challenge(ctx *[32]byte) []byte {
	var parts [][]byte
	parts = append(parts, ctx[:], p.salt[:])
	for i := range p.e {
		parts = append(parts, p.e[i])
		for j := range p.r {
			parts = append(parts, p.r[j][i])
		}
	}
	h := sum256("baseline", parts...)
	return h[:baselineRows/8]
}

// baselineMult multiplies the generator by s, and takes x from it unless x is nil, as one would
// call the libraries.
func baselineMult(g Group, s *scalar, x []byte) point {
	if g == Ed25519 {
		p := new(edwards25519.Point).ScalarBaseMult(edScalar(s))
		if x != nil {
			px, err := new(edwards25519.Point).SetBytes(x)
			if err != nil {
				return nil
			}
			p.Subtract(p, px)
		}
		return p.Bytes()
	}
	var p secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(secpScalar(s), &p)
	if x != nil {
		key, err := secp256k1.ParsePubKey(x)
		if err != nil {
			return nil
		}
		var px secp256k1.JacobianPoint
		key.AsJacobian(&px)
		px.Y.Negate(1).Normalize()
		secp256k1.AddNonConst(&p, &px, &p)
	}
	p.ToAffine()
	return secp256k1.NewPublicKey(&p.X, &p.Y).SerializeCompressed()
}

// baselineRow computes E, and the masks of all shares, from a row's seed.
func baselineRow(ctx, salt *[32]byte, pk *edwards25519.Point, st Statement, i int, rowSeed []byte) (point, []scalar) {
	e := ephemeral(ctx, salt, i, (*seed)(rowSeed))
	encE := new(edwards25519.Point).ScalarBaseMult(edScalar(&e)).Bytes()
	encK := new(edwards25519.Point).ScalarMult(edScalar(&e), pk).Bytes()
	r := make([]scalar, len(st.Shares))
	for j, s := range st.Shares {
		a, _ := s.Group.arithmetic()
		r[j] = pad(a, ctx, j, i, encE, encK)
	}
	return encE, r
}

func baselineProve(t testing.TB, st Statement, shares []Share) *baselineProof {
	ctx, err := st.Context()
	require.NoError(t, err)
	pk, err := edDecode(st.Recipient)
	require.NoError(t, err)
	p := &baselineProof{salt: sum256("baseline salt"), r: make([][]point, len(shares))}
	rowSeeds, masks := make([][]byte, baselineRows), make([][]scalar, baselineRows)
	for i := range baselineRows {
		h := sum256("baseline seed", u32(uint32(i)))
		rowSeeds[i] = h[:]
		var encE point
		encE, masks[i] = baselineRow(&ctx, &p.salt, pk, st, i, rowSeeds[i])
		p.e = append(p.e, encE)
		for j, s := range st.Shares {
			p.r[j] = append(p.r[j], baselineMult(s.Group, &masks[i][j], nil))
		}
	}
	c := p.challenge(&ctx)
	for i := range baselineRows {
		if c[i/8]>>(i%8)&1 == 0 {
			p.answer = append(p.answer, rowSeeds[i])
			continue
		}
		var w []byte
		for j, s := range shares {
			a, _ := s.group.arithmetic()
			sum := a.add(s.x.scalar(), &masks[i][j])
			w = append(w, sum[:]...)
		}
		p.answer = append(p.answer, w)
	}
	return p
}

func (p *baselineProof) verify(st Statement) bool {
	ctx, err := st.Context()
	if err != nil {
		return false
	}
	pk, err := edDecode(st.Recipient)
	if err != nil || checkPoints(st.Shares) != nil {
		return false
	}
	c := p.challenge(&ctx)
	for i := range baselineRows {
		opened := c[i/8]>>(i%8)&1 == 0
		var r []scalar
		if opened {
			var encE point
			encE, r = baselineRow(&ctx, &p.salt, pk, st, i, p.answer[i])
			if string(encE) != string(p.e[i]) {
				return false
			}
		}
		for j, s := range st.Shares {
			var got point
			if opened {
				got = baselineMult(s.Group, &r[j], nil)
			} else {
				w := scalar(p.answer[i][32*j:])
				got = baselineMult(s.Group, &w, s.Point)
			}
			if string(got) != string(p.r[j][i]) {
				return false
			}
		}
	}
	return true
}

// benchmarkCases are an ECDSA share, an EdDSA share, and one of each.
func benchmarkCases(t testing.TB) map[string]proofVector {
	cases := map[string]proofVector{}
	for _, v := range readVectors(t, "verenc-vectors.json").Proofs {
		if v.Why == "honest" {
			name := "both"
			if len(v.Secrets) == 1 {
				name = map[Group]string{Secp256k1: "ECDSA", Ed25519: "EdDSA"}[v.Secrets[0].Group]
			}
			cases[name] = v
		}
	}
	require.Len(t, cases, 3)
	return cases
}

var benchmarkNames = []string{"ECDSA", "EdDSA", "both"}

// BenchmarkProof times making, verifying and opening a proof on one core, by turns with the
// baseline's verification, so that whatever else the machine does falls on both. The rows of a
// proof cost 2.8 times the multiplications of the baseline's; that many of them are done at once
// pays for it.
func BenchmarkProof(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	cases := benchmarkCases(b)
	for _, name := range benchmarkNames {
		b.Run(name, func(b *testing.B) {
			v := cases[name]
			key, st, shares := recipientOf(b, v.Mnemonic, v.Index), v.statement(), v.shares(b)
			base := baselineProve(b, st, shares)
			var prove, verify, open, baseline time.Duration
			size := 0
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				proof, err := Prove(key, st, shares)
				require.NoError(b, err)
				prove += lap(&start)
				stored, err := Verify(st, proof)
				require.NoError(b, err)
				verify += lap(&start)
				_, err = stored.Open(key, st.Shares)
				require.NoError(b, err)
				open += lap(&start)
				require.True(b, base.verify(st))
				baseline += lap(&start)
				size = max(size, len(proof))
			}
			report := func(d time.Duration, unit string) {
				b.ReportMetric(float64(d.Microseconds())/float64(b.N), unit)
			}
			b.ReportMetric(0, "ns/op")
			report(prove, "prove-µs")
			report(verify, "verify-µs")
			report(open, "open-µs")
			report(baseline, "baseline-verify-µs")
			b.ReportMetric(float64(verify)/float64(baseline), "verify/baseline")
			b.ReportMetric(float64(size), "bytes")
			b.ReportMetric(float64(base.size()), "baseline-bytes")
			b.ReportMetric(float64(size)/float64(base.size()), "bytes/baseline")
		})
	}
}

// lap gives the time since start and starts again.
func lap(start *time.Time) time.Duration {
	now := time.Now()
	d := now.Sub(*start)
	*start = now
	return d
}

// BenchmarkList times the degree check of a list.
func BenchmarkList(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, g := range []Group{Secp256k1, Ed25519} {
		for _, n := range []int{4, 20, 40, 100, 512} {
			b.Run(fmt.Sprintf("%v-%d", g, n), func(b *testing.B) {
				l := madeUpVault(b, g, n, Degree(n), "bench").list
				for b.Loop() {
					require.NoError(b, l.Check())
				}
			})
		}
	}
}

// BenchmarkPossession times the check of a proof of possession.
func BenchmarkPossession(b *testing.B) {
	key, _, _ := toyCase(b, "bench")
	sig, err := key.Possess("chain", nil)
	require.NoError(b, err)
	for b.Loop() {
		require.NoError(b, VerifyPossession(key.Public(), "chain", nil, sig))
	}
}
