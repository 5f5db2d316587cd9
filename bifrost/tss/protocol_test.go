package tss

import (
	"bytes"
	"math/big"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/crypto/dlnproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/modproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/mta"
	"github.com/bnb-chain/tss-lib/v2/crypto/paillier"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	ecsigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	edsigning "github.com/bnb-chain/tss-lib/v2/eddsa/signing"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
)

func wire(t testing.TB, m proto.Message) []byte {
	t.Helper()
	wrapped, err := anypb.New(m)
	require.NoError(t, err)
	b, err := proto.Marshal(wrapped)
	require.NoError(t, err)
	return b
}

func parts(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = []byte{1}
	}
	return out
}

// points is a decommitment to n times the base point.
func points(curve interface{ base() (x, y []byte) }, n int) [][]byte {
	out := [][]byte{{1}}
	x, y := curve.base()
	for range n {
		out = append(out, x, y)
	}
	return out
}

type (
	secp struct{}
	edw  struct{}
)

func (secp) base() (x, y []byte) {
	p := tsslib.S256().Params()
	return p.Gx.Bytes(), p.Gy.Bytes()
}

func (edw) base() (x, y []byte) {
	p := tsslib.Edwards().Params()
	return p.Gx.Bytes(), p.Gy.Bytes()
}

// Each row is a message that a member could send, and that tss-lib v2.0.2 would panic on, mostly in a goroutine of its own, or that would
// cost it more than it should. The first row of each kind is one that passes.
func TestHostileMessagesAreStopped(t *testing.T) {
	share, err := keyshare.Parse(fixtureShare(t, 0))
	require.NoError(t, err)
	pks := share.ECDSA().PaillierPKs
	k := &known{threshold: 2, paillier: pks}
	odd := new(big.Int).SetBit(big.NewInt(1), paillierBits-1, 1)
	even := new(big.Int).Lsh(odd, 1)
	even.SetBit(even, paillierBits, 0).SetBit(even, paillierBits-1, 1)
	secpOrder, edOrder := tsslib.S256().Params().N.Bytes(), tsslib.Edwards().Params().N.Bytes()
	edField := tsslib.Edwards().Params().P
	minusOne := new(big.Int).Sub(edField, big.NewInt(1)).Bytes()
	factor := share.ECDSA().PaillierSK.P // known to the one who made the key

	dln := func(change func(p [][]byte)) [][]byte {
		p := parts(2 + 2*dlnproof.Iterations)
		p[0], p[1+dlnproof.Iterations] = []byte{dlnproof.Iterations}, []byte{dlnproof.Iterations}
		if change != nil {
			change(p)
		}
		return p
	}
	kg1 := func(n, tilde *big.Int, proof [][]byte) proto.Message {
		return &eckeygen.KGRound1Message{
			Commitment: []byte{1}, PaillierN: n.Bytes(), NTilde: tilde.Bytes(), H1: []byte{1}, H2: []byte{2},
			Dlnproof_1: dln(nil), Dlnproof_2: proof,
		}
	}
	kg2 := func(points [][]byte, proof int) proto.Message {
		return &eckeygen.KGRound2Message2{DeCommitment: points, ModProof: parts(proof)}
	}
	edkg2 := func(points [][]byte, t []byte) proto.Message {
		x, y := edw{}.base()
		return &edkeygen.KGRound2Message2{DeCommitment: points, ProofAlphaX: x, ProofAlphaY: y, ProofT: t}
	}
	sign1 := func(c *big.Int) proto.Message {
		return &ecsigning.SignRound1Message1{C: c.Bytes(), RangeProofAlice: parts(mta.RangeProofAliceBytesParts)}
	}
	sign2 := func(s1 []byte, point bool) proto.Message {
		wc := parts(mta.ProofBobWCBytesParts)
		wc[6] = s1
		if point {
			wc[10], wc[11] = secp{}.base()
		}
		return &ecsigning.SignRound2Message{C1: []byte{1}, C2: []byte{1}, ProofBob: parts(mta.ProofBobBytesParts), ProofBobWc: wc}
	}
	sign4 := func(points [][]byte, t []byte) proto.Message {
		x, y := secp{}.base()
		return &ecsigning.SignRound4Message{DeCommitment: points, ProofAlphaX: x, ProofAlphaY: y, ProofT: t}
	}
	sign6 := func(points [][]byte, t []byte) proto.Message {
		x, y := secp{}.base()
		return &ecsigning.SignRound6Message{
			DeCommitment: points, ProofAlphaX: x, ProofAlphaY: y, ProofT: []byte{1},
			VProofAlphaX: x, VProofAlphaY: y, VProofT: t, VProofU: []byte{1},
		}
	}
	edsign2 := func(points [][]byte, t []byte) proto.Message {
		x, y := edw{}.base()
		return &edsigning.SignRound2Message{DeCommitment: points, ProofAlphaX: x, ProofAlphaY: y, ProofT: t}
	}

	for _, c := range []struct {
		name     string
		protocol *protocol
		step     uint8
		message  proto.Message
		want     string
	}{
		{"first message", ecdsaKeygen, 0, kg1(odd, odd, dln(nil)), ""},
		{"a dln proof that tells a negative length", ecdsaKeygen, 0, kg1(odd, odd, dln(func(p [][]byte) { p[0] = bytes.Repeat([]byte{0xff}, 8) })), "dln proof"},
		{"a dln proof of another length", ecdsaKeygen, 0, kg1(odd, odd, dln(func(p [][]byte) { p[1+dlnproof.Iterations] = []byte{3} })), "dln proof"},
		{"an even Paillier modulus", ecdsaKeygen, 0, kg1(even, odd, dln(nil)), "modulus"},
		{"an even range-proof modulus", ecdsaKeygen, 0, kg1(odd, even, dln(nil)), "modulus"},
		{"a short modulus", ecdsaKeygen, 0, kg1(big.NewInt(15), odd, dln(nil)), "modulus"},
		{"a number of thousands of bits", ecdsaKeygen, 0, kg1(odd, odd, dln(func(p [][]byte) { p[7] = make([]byte, maxField+1) })), "too long"},

		{"share", ecdsaKeygen, 1, &eckeygen.KGRound2Message1{Share: []byte{1}, FacProof: parts(11)}, ""},
		{"a share of zero", ecdsaKeygen, 1, &eckeygen.KGRound2Message1{Share: []byte{0}, FacProof: parts(11)}, "scalar"},
		{"a share of the order", ecdsaKeygen, 1, &eckeygen.KGRound2Message1{Share: secpOrder, FacProof: parts(11)}, "scalar"},
		{"no fac proof", ecdsaKeygen, 1, &eckeygen.KGRound2Message1{Share: []byte{1}}, "fac proof"},

		{"decommitment", ecdsaKeygen, 2, kg2(points(secp{}, 3), modproof.ProofModBytesParts), ""},
		{"a decommitment to nothing", ecdsaKeygen, 2, kg2(parts(1), modproof.ProofModBytesParts), "decommitment"},
		{"a decommitment to too few points", ecdsaKeygen, 2, kg2(points(secp{}, 2), modproof.ProofModBytesParts), "decommitment"},
		{"a decommitment to too many points", ecdsaKeygen, 2, kg2(points(secp{}, 4), modproof.ProofModBytesParts), "decommitment"},
		{"a decommitment to no points", ecdsaKeygen, 2, kg2(parts(7), modproof.ProofModBytesParts), "not a point"},
		{"no mod proof", ecdsaKeygen, 2, kg2(points(secp{}, 3), 0), "mod proof"},

		{"ed25519 share", eddsaKeygen, 1, &edkeygen.KGRound2Message1{Share: []byte{1}}, ""},
		{"an ed25519 share beyond the order", eddsaKeygen, 1, &edkeygen.KGRound2Message1{Share: bytes.Repeat([]byte{0xff}, 40)}, "scalar"},
		{"ed25519 decommitment", eddsaKeygen, 2, edkg2(points(edw{}, 3), []byte{1}), ""},
		{"an ed25519 decommitment to nothing", eddsaKeygen, 2, edkg2(parts(1), []byte{1}), "decommitment"},
		{"an ed25519 decommitment to no points", eddsaKeygen, 2, edkg2(parts(7), []byte{1}), "not a point"},
		{"an ed25519 point of order two", eddsaKeygen, 2, edkg2([][]byte{{1}, {0}, minusOne, {0}, minusOne, {0}, minusOne}, []byte{1}), "small order"},
		{"an ed25519 coordinate beyond the field", eddsaKeygen, 2, edkg2([][]byte{{1}, edField.Bytes(), {1}, edField.Bytes(), {1}, edField.Bytes(), {1}}, []byte{1}), "not a point"},
		{"an ed25519 proof beyond the order", eddsaKeygen, 2, edkg2(points(edw{}, 3), edOrder), "scalar"},

		{"ciphertext", ecdsaKeysign, 0, sign1(big.NewInt(2)), ""},
		{"a ciphertext without an inverse", ecdsaKeysign, 0, sign1(factor), "ciphertext"},
		{"a ciphertext beyond N²", ecdsaKeysign, 0, sign1(pks[0].NSquare()), "ciphertext"},
		{"MtA proof", ecdsaKeysign, 2, sign2([]byte{1}, true), ""},
		{"an MtA proof of zero", ecdsaKeysign, 2, sign2(secpOrder, true), "scalar"},
		{"an MtA proof without a point", ecdsaKeysign, 2, sign2([]byte{1}, false), "not a point"},
		{"theta of the order", ecdsaKeysign, 3, &ecsigning.SignRound3Message{Theta: secpOrder}, "scalar"},
		{"gamma", ecdsaKeysign, 4, sign4(points(secp{}, 1), []byte{1}), ""},
		{"a proof of gamma of zero", ecdsaKeysign, 4, sign4(points(secp{}, 1), []byte{0}), "scalar"},
		{"a gamma that is no point", ecdsaKeysign, 4, sign4(parts(3), []byte{1}), "not a point"},
		{"V and A", ecdsaKeysign, 6, sign6(points(secp{}, 2), []byte{1}), ""},
		{"a proof of V of zero", ecdsaKeysign, 6, sign6(points(secp{}, 2), secpOrder), "scalar"},
		{"a V that is no point", ecdsaKeysign, 6, sign6(parts(5), []byte{1}), "not a point"},
		{"s of the order", ecdsaKeysign, 9, &ecsigning.SignRound9Message{S: secpOrder}, "scalar"},

		{"R", eddsaKeysign, 1, edsign2(points(edw{}, 1), []byte{1}), ""},
		{"an R that is no point", eddsaKeysign, 1, edsign2(parts(3), []byte{1}), "not a point"},
		{"ed25519 s beyond the order", eddsaKeysign, 2, &edsigning.SignRound3Message{S: bytes.Repeat([]byte{1}, 33)}, "scalar"},

		{"nothing in it", ecdsaKeygen, 0, &eckeygen.KGRound1Message{}, "incomplete"},
		{"a message of another round", ecdsaKeygen, 0, kg2(points(secp{}, 3), modproof.ProofModBytesParts), "another type"},
		{"a message of the other curve", eddsaKeysign, 2, &ecsigning.SignRound9Message{S: []byte{1}}, "another type"},
		{"a message that is none of tss-lib's", eddsaKeysign, 2, &anypb.Any{}, "another type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := tsslib.NewPartyID("0", "0", big.NewInt(1))
			from.Index = 0
			_, err := c.protocol.parse(k, c.step, from, wire(t, c.message))
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func FuzzParseMessage(f *testing.F) {
	pk := &paillier.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), paillierBits-1, 1)}
	k := &known{threshold: 1, paillier: []*paillier.PublicKey{pk}}
	f.Add(uint8(0), uint8(2), wire(f, &eckeygen.KGRound2Message2{DeCommitment: parts(5), ModProof: parts(163)}))
	f.Add(uint8(1), uint8(2), wire(f, &edkeygen.KGRound2Message2{DeCommitment: parts(5), ProofAlphaX: []byte{1}, ProofAlphaY: []byte{1}, ProofT: []byte{1}}))
	f.Add(uint8(2), uint8(0), wire(f, &ecsigning.SignRound1Message1{C: []byte{1}, RangeProofAlice: parts(6)}))
	f.Add(uint8(3), uint8(1), wire(f, &edsigning.SignRound2Message{DeCommitment: points(edw{}, 1), ProofAlphaX: []byte{1}, ProofAlphaY: []byte{1}, ProofT: []byte{1}}))
	f.Fuzz(func(_ *testing.T, which, step uint8, payload []byte) {
		p := []*protocol{ecdsaKeygen, eddsaKeygen, ecdsaKeysign, eddsaKeysign}[which%4]
		from := tsslib.NewPartyID("0", "0", big.NewInt(1))
		from.Index = 0
		_, _ = p.parse(k, step%uint8(len(p.steps)), from, payload)
	})
}
