package tss

import (
	"bytes"
	"crypto/rand"
	"math/big"
	"slices"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/dlnproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/facproof"
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
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/tss/pimod"
	"github.com/tssbackup/tssbackup/sanity"
)

// packed is a message as it is in a frame.
func packed(m proto.Message) []byte {
	wrapped, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	b, err := proto.Marshal(wrapped)
	if err != nil {
		panic(err)
	}
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

// Each row is a message that a member could send, and that tss-lib v2.0.2 would panic on, mostly in
// a goroutine of its own, or that would cost it more than it should. The first row of each kind is
// one that passes.
func TestHostileMessagesAreStopped(t *testing.T) {
	share, err := keyshare.Parse(fixtureShare(t, 0))
	require.NoError(t, err)
	author, own := parametersIn(share, 0), parametersIn(share, 1)
	odd := new(big.Int).SetBit(big.NewInt(1), paillierBits-1, 1)
	odd.SetBit(odd, 0, 1)
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
	kg1 := func(p sanity.Parameters, proof [][]byte) proto.Message {
		return &eckeygen.KGRound1Message{
			Commitment: []byte{1}, PaillierN: p.N.Bytes(), NTilde: p.NTilde.Bytes(), H1: p.H1.Bytes(), H2: p.H2.Bytes(),
			Dlnproof_1: dln(nil), Dlnproof_2: proof,
		}
	}
	with := func(change func(p *sanity.Parameters)) sanity.Parameters {
		p := author
		change(&p)
		return p
	}
	// Proofs that an honest author made for the receiver, with some numbers changed.
	sk := paillierKey(share.ECDSA().PaillierSK)
	changed := func(pf [][]byte, changes []func(pf [][]byte)) [][]byte {
		pf = slices.Clone(pf)
		for _, c := range changes {
			c(pf)
		}
		return pf
	}
	set := func(i int, v *big.Int) func(pf [][]byte) { return func(pf [][]byte) { pf[i] = v.Bytes() } }
	add := func(i int, v *big.Int) func(pf [][]byte) {
		return func(pf [][]byte) { pf[i] = new(big.Int).Add(number(pf[i]), v).Bytes() }
	}
	fac, err := facproof.NewProof([]byte("s"), tsslib.S256(), author.N, own.NTilde, own.H1, own.H2, sk.P, sk.Q, rand.Reader)
	require.NoError(t, err)
	facBytes := fac.Bytes()
	shares := func(changes ...func(pf [][]byte)) proto.Message {
		entry := &sealed{share: make([]byte, sealedSize), proof: changed(facBytes[:], changes)}
		return wrapperspb.Bytes(encodeShares([]*sealed{nil, entry}))
	}
	cA, alice, err := mta.AliceInit(tsslib.S256(), &sk.PublicKey, big.NewInt(7), own.NTilde, own.H1, own.H2, rand.Reader)
	require.NoError(t, err)
	aliceBytes := alice.Bytes()
	sign1 := func(c *big.Int, changes ...func(pf [][]byte)) proto.Message {
		return &ecsigning.SignRound1Message1{C: c.Bytes(), RangeProofAlice: changed(aliceBytes[:], changes)}
	}
	// The author's answer to a ciphertext of the receiver's.
	pk := &paillier.PublicKey{N: own.N}
	cB, toAuthor, err := mta.AliceInit(tsslib.S256(), pk, big.NewInt(7), author.NTilde, author.H1, author.H2, rand.Reader)
	require.NoError(t, err)
	_, c1, _, bob, err := mta.BobMidWC([]byte("s"), tsslib.S256(), pk, toAuthor, big.NewInt(9), cB, own.NTilde, own.H1, own.H2,
		author.NTilde, author.H1, author.H2, crypto.ScalarBaseMult(tsslib.S256(), big.NewInt(9)), rand.Reader)
	require.NoError(t, err)
	bobBytes := bob.Bytes()
	sign2 := func(c *big.Int, changes ...func(pf [][]byte)) proto.Message {
		wc := changed(bobBytes[:], changes)
		return &ecsigning.SignRound2Message{C1: c.Bytes(), C2: c1.Bytes(), ProofBob: changed(bobBytes[:10], nil), ProofBobWc: wc}
	}
	huge := new(big.Int).Lsh(big.NewInt(1), 8000)
	kg2 := func(points, proof [][]byte) proto.Message {
		return &eckeygen.KGRound2Message2{DeCommitment: points, ModProof: proof}
	}
	edkg2 := func(points [][]byte, t []byte) proto.Message {
		x, y := edw{}.base()
		return &edkeygen.KGRound2Message2{DeCommitment: points, ProofAlphaX: x, ProofAlphaY: y, ProofT: t}
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
		{"commitment", ecdsaKeygen, 0, wrapperspb.Bytes(make([]byte, 32)), ""},
		{"a short commitment", ecdsaKeygen, 0, wrapperspb.Bytes(make([]byte, 31)), "not a commitment"},
		{"first message", ecdsaKeygen, 1, kg1(author, dln(nil)), ""},
		{"a dln proof that tells a negative length", ecdsaKeygen, 1, kg1(author, dln(func(p [][]byte) { p[0] = bytes.Repeat([]byte{0xff}, 8) })), "dln proof"},
		{"a dln proof of another length", ecdsaKeygen, 1, kg1(author, dln(func(p [][]byte) { p[1+dlnproof.Iterations] = []byte{3} })), "dln proof"},
		{"an even Paillier modulus", ecdsaKeygen, 1, kg1(with(func(p *sanity.Parameters) { p.N = new(big.Int).Sub(p.N, big.NewInt(1)) }), dln(nil)), "N is not"},
		{"an even range-proof modulus", ecdsaKeygen, 1, kg1(with(func(p *sanity.Parameters) { p.NTilde = new(big.Int).Sub(p.NTilde, big.NewInt(1)) }), dln(nil)), "NTilde is not"},
		{"a short modulus", ecdsaKeygen, 1, kg1(with(func(p *sanity.Parameters) { p.N = big.NewInt(15) }), dln(nil)), "N is not"},
		{"one modulus for two", ecdsaKeygen, 1, kg1(with(func(p *sanity.Parameters) { p.NTilde = p.N }), dln(nil)), "in common"},
		{"one base for two", ecdsaKeygen, 1, kg1(with(func(p *sanity.Parameters) { p.H2 = p.H1 }), dln(nil)), "equal"},
		{"a number of thousands of bits", ecdsaKeygen, 1, kg1(author, dln(func(p [][]byte) { p[7] = make([]byte, maxField+1) })), "too long"},
		{"a short proof of parameters", ecdsaKeygen, 2, wrapperspb.Bytes(make([]byte, 7)), "proof of 7 bytes"},
		{"a proof of parameters that proves nothing", ecdsaKeygen, 2, wrapperspb.Bytes(make([]byte, 2*pimod.Size)), "out of range"},

		{"list of shares", ecdsaKeygen, 3, shares(), ""},
		{"a list of one share too many", ecdsaKeygen, 3, wrapperspb.Bytes(append(shares().(*wrapperspb.BytesValue).Value, 0)), "wrong form"},
		{"no shares", ecdsaKeygen, 3, wrapperspb.Bytes(nil), "wrong form"},
		{"a list without fac proofs", ecdsaKeygen, 3, wrapperspb.Bytes(make([]byte, sealedSize+1)), "wrong form"},
		{"a fac proof of thousands of bits", ecdsaKeygen, 3, shares(func(pf [][]byte) { pf[0] = make([]byte, maxField+1) }), "wrong form"},

		{"decommitment", ecdsaKeygen, 4, kg2(points(secp{}, 3), nil), ""},
		{"a decommitment to nothing", ecdsaKeygen, 4, kg2(parts(1), nil), "decommitment"},
		{"a decommitment to too few points", ecdsaKeygen, 4, kg2(points(secp{}, 2), nil), "decommitment"},
		{"a decommitment to too many points", ecdsaKeygen, 4, kg2(points(secp{}, 4), nil), "decommitment"},
		{"a decommitment to no points", ecdsaKeygen, 4, kg2(parts(7), nil), "not a point"},
		{"a mod proof of tss-lib's", ecdsaKeygen, 4, kg2(points(secp{}, 3), parts(1)), "mod proof"},

		{"list of ed25519 shares", eddsaKeygen, 1, wrapperspb.Bytes(make([]byte, sealedSize+1)), ""},
		{"a list with fac proofs of ed25519 shares", eddsaKeygen, 1, shares(), "wrong form"},
		{"a receipt", eddsaKeygen, 3, wrapperspb.Bytes(nil), ""},
		{"a receipt of another length", eddsaKeygen, 3, wrapperspb.Bytes(make([]byte, openingSize-1)), "wrong form"},
		{"a receipt against its author", eddsaKeygen, 3, wrapperspb.Bytes(make([]byte, openingSize)), "wrong form"},
		{"ed25519 decommitment", eddsaKeygen, 2, edkg2(points(edw{}, 3), []byte{1}), ""},
		{"an ed25519 decommitment to nothing", eddsaKeygen, 2, edkg2(parts(1), []byte{1}), "decommitment"},
		{"an ed25519 decommitment to no points", eddsaKeygen, 2, edkg2(parts(7), []byte{1}), "not a point"},
		{"an ed25519 point of order two", eddsaKeygen, 2, edkg2([][]byte{{1}, {0}, minusOne, {0}, minusOne, {0}, minusOne}, []byte{1}), "small order"},
		{"an ed25519 coordinate beyond the field", eddsaKeygen, 2, edkg2([][]byte{{1}, edField.Bytes(), {1}, edField.Bytes(), {1}, edField.Bytes(), {1}}, []byte{1}), "not a point"},
		{"an ed25519 proof beyond the order", eddsaKeygen, 2, edkg2(points(edw{}, 3), edOrder), "scalar"},

		{"ciphertext", ecdsaKeysign, 0, sign1(cA), ""},
		{"a ciphertext without an inverse", ecdsaKeysign, 0, sign1(factor), "unit"},
		{"a ciphertext of N²", ecdsaKeysign, 0, sign1(mul(author.N, author.N)), "unit"},
		{"Alice's z that is not reduced", ecdsaKeysign, 0, sign1(cA, add(0, own.NTilde)), "unit"},
		{"Alice's u that has a factor of N", ecdsaKeysign, 0, sign1(cA, set(1, factor)), "unit"},
		{"Alice's w of NTilde", ecdsaKeysign, 0, sign1(cA, set(2, own.NTilde)), "unit"},
		{"Alice's s that has a factor of N", ecdsaKeysign, 0, sign1(cA, set(3, factor)), "unit"},
		{"Alice's s1 below the order", ecdsaKeysign, 0, sign1(cA, set(4, big.NewInt(7))), "out of range"},
		{"Alice's s1 above the order's cube", ecdsaKeysign, 0, sign1(cA, set(4, new(big.Int).Lsh(big.NewInt(1), 769))), "out of range"},
		{"Alice's s2 that is huge", ecdsaKeysign, 0, sign1(cA, set(5, huge)), "out of range"},
		{"MtA proof", ecdsaKeysign, 2, sign2(c1), ""},
		{"an answer without an inverse", ecdsaKeysign, 2, sign2(own.N), "unit"},
		{"Bob's z of NTilde", ecdsaKeysign, 2, sign2(c1, set(0, own.NTilde)), "unit"},
		{"Bob's w that is not reduced", ecdsaKeysign, 2, sign2(c1, add(4, own.NTilde)), "unit"},
		{"Bob's s of N", ecdsaKeysign, 2, sign2(c1, set(5, own.N)), "unit"},
		{"Bob's s1 above the order's cube", ecdsaKeysign, 2, sign2(c1, set(6, huge)), "out of range"},
		{"Bob's s2 that is huge", ecdsaKeysign, 2, sign2(c1, set(7, huge)), "out of range"},
		{"Bob's t1 that is huge", ecdsaKeysign, 2, sign2(c1, set(8, huge)), "out of range"},
		{"Bob's t2 that is huge", ecdsaKeysign, 2, sign2(c1, set(9, huge)), "out of range"},
		{"an MtA proof of a multiple of the order", ecdsaKeysign, 2, sign2(c1, set(6, new(big.Int).SetBytes(secpOrder))), "scalar"},
		{"an MtA proof without a point", ecdsaKeysign, 2, sign2(c1, set(10, big.NewInt(1))), "not a point"},
		{"theta of the order", ecdsaKeysign, 3, &ecsigning.SignRound3Message{Theta: secpOrder}, "scalar"},
		{"gamma", ecdsaKeysign, 4, sign4(points(secp{}, 1), []byte{1}), ""},
		{"a proof of gamma of zero", ecdsaKeysign, 4, sign4(points(secp{}, 1), []byte{0}), "scalar"},
		{"a gamma that is no point", ecdsaKeysign, 4, sign4(parts(3), []byte{1}), "not a point"},
		{"V and A", ecdsaKeysign, 6, sign6(points(secp{}, 2), []byte{1}), ""},
		{"a proof of V of zero", ecdsaKeysign, 6, sign6(points(secp{}, 2), secpOrder), "scalar"},
		{"a V that is no point", ecdsaKeysign, 6, sign6(parts(5), []byte{1}), "not a point"},
		{"U and T", ecdsaKeysign, 8, &ecsigning.SignRound8Message{DeCommitment: points(secp{}, 2)}, ""},
		{"a U that is no point", ecdsaKeysign, 8, &ecsigning.SignRound8Message{DeCommitment: parts(5)}, "not a point"},
		{"U and T of another length", ecdsaKeysign, 8, &ecsigning.SignRound8Message{DeCommitment: points(secp{}, 1)}, "incomplete"},
		{"s of the order", ecdsaKeysign, 9, &ecsigning.SignRound9Message{S: secpOrder}, "scalar"},

		{"R", eddsaKeysign, 1, edsign2(points(edw{}, 1), []byte{1}), ""},
		{"an R that is no point", eddsaKeysign, 1, edsign2(parts(3), []byte{1}), "not a point"},
		{"ed25519 s beyond the order", eddsaKeysign, 2, &edsigning.SignRound3Message{S: bytes.Repeat([]byte{1}, 33)}, "scalar"},

		{"nothing in it", ecdsaKeygen, 1, &eckeygen.KGRound1Message{}, "incomplete"},
		{"a message of another round", ecdsaKeygen, 1, kg2(points(secp{}, 3), nil), "another type"},
		{"a message of the other curve", eddsaKeysign, 2, &ecsigning.SignRound9Message{S: []byte{1}}, "another type"},
		{"a message that is none of tss-lib's", eddsaKeysign, 2, &anypb.Any{}, "another type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := knownIn(c.protocol, author, own)
			k.answer(c.step, c.message)
			_, _, err := c.protocol.parse(k, c.step, firstParty(), packed(c.message))
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

// What the ranges in a Π-fac are.
func TestFactorProofsOutOfRange(t *testing.T) {
	share, err := keyshare.Parse(fixtureShare(t, 0))
	require.NoError(t, err)
	author, own, sk := parametersIn(share, 0), parametersIn(share, 1), share.ECDSA().PaillierSK
	k := knownIn(ecdsaKeygen, author, own)
	context := common.AppendBigIntToBytesSlice(k.ssid(), new(big.Int))
	fac, err := facproof.NewProof(context, tsslib.S256(), author.N, own.NTilde, own.H1, own.H2, sk.P, sk.Q, rand.Reader)
	require.NoError(t, err)
	good := fac.Bytes()
	require.NoError(t, k.checkFactors(good[:], 0, 1), "as tss-lib makes it")
	require.ErrorContains(t, k.checkFactors(good[:], 0, 0), "", "for another receiver")
	huge := new(big.Int).Lsh(big.NewInt(1), 8000)
	for _, c := range []struct {
		name  string
		part  int
		value *big.Int
		want  string
	}{
		{"a P that is zero", 0, new(big.Int), "unit"},
		{"a Q that is not reduced", 1, new(big.Int).Add(fac.Q, own.NTilde), "unit"},
		{"an A that is NTilde", 2, own.NTilde, "unit"},
		{"a sigma that is huge", 5, huge, "out of range"},
		{"a z1 that is huge", 6, huge, "out of range"},
		{"a z2 that is huge", 7, huge, "out of range"},
		{"a w1 that is huge", 8, huge, "out of range"},
		{"a v that is huge", 10, huge, "out of range"},
		{"a z1 that is wrong", 6, new(big.Int).Add(fac.Z1, big.NewInt(1)), "does not hold"},
	} {
		proof := slices.Clone(good[:])
		proof[c.part] = c.value.Bytes()
		require.ErrorContains(t, k.checkFactors(proof, 0, 1), c.want, c.name)
	}
}

// parametersIn are those of a member that a keyshare holds.
func parametersIn(share *keyshare.Keyshare, i int) sanity.Parameters {
	d := share.ECDSA()
	return sanity.Parameters{N: d.PaillierPKs[i].N, NTilde: d.NTildej[i], H1: d.H1j[i], H2: d.H2j[i]}
}

func firstParty() *tsslib.PartyID {
	from := tsslib.NewPartyID("0", "0", big.NewInt(1))
	from.Index = 0
	return from
}

// knownIn is what the second of two members knows of the first.
func knownIn(p *protocol, author, own sanity.Parameters) *known {
	at := seat{ids: tsslib.SortPartyIDs(tsslib.UnSortedPartyIDs{firstParty(), tsslib.NewPartyID("1", "1", big.NewInt(2))}), self: 1}
	at.members = [][]byte{{0}, {1}}
	k := newKnown(p, at, 2)
	k.parameters = []sanity.Parameters{author, own}
	return k
}

// answer has the author said before what its message needs.
func (k *known) answer(step uint8, m proto.Message) {
	opened := new(big.Int)
	if o, ok := m.(interface{ GetDeCommitment() [][]byte }); ok && len(o.GetDeCommitment()) > 0 {
		opened = common.SHA512_256i(common.MultiBytesToBigInts(o.GetDeCommitment())...)
	}
	all := func(step int, m proto.Message) {
		for i := range k.sent[step] {
			k.sent[step][i] = m
		}
	}
	switch m := m.(type) {
	case *eckeygen.KGRound1Message:
		all(keygenCommitment, wrapperspb.Bytes(k.commitment(0, m)))
	case *wrapperspb.BytesValue:
		if step == keygenProof {
			p := k.parameters[0]
			all(keygenRound1, &eckeygen.KGRound1Message{PaillierN: p.N.Bytes(), NTilde: p.NTilde.Bytes()})
			return
		}
		for _, n := range k.protocol.steps[step].needs {
			all(int(n.step), m)
		}
	case *eckeygen.KGRound2Message2:
		all(keygenRound1, &eckeygen.KGRound1Message{Commitment: opened.Bytes()})
	case *edkeygen.KGRound2Message2:
		all(0, &edkeygen.KGRound1Message{Commitment: opened.Bytes()})
	case *ecsigning.SignRound4Message:
		all(1, &ecsigning.SignRound1Message2{Commitment: opened.Bytes()})
		all(3, &ecsigning.SignRound3Message{Theta: []byte{1}})
	case *ecsigning.SignRound6Message:
		all(5, &ecsigning.SignRound5Message{Commitment: opened.Bytes()})
	case *ecsigning.SignRound8Message:
		all(7, &ecsigning.SignRound7Message{Commitment: opened.Bytes()})
	case *edsigning.SignRound2Message:
		all(0, &edsigning.SignRound1Message{Commitment: opened.Bytes()})
	}
}

// What opens something else than its author committed to is refused with its author's name, in
// every protocol.
func TestOpeningsAreCheckedAgainstCommitments(t *testing.T) {
	x, y := secp{}.base()
	ex, ey := edw{}.base()
	for _, c := range []struct {
		protocol *protocol
		step     uint8
		message  proto.Message
	}{
		{ecdsaKeygen, 4, &eckeygen.KGRound2Message2{DeCommitment: points(secp{}, 3)}},
		{eddsaKeygen, 2, &edkeygen.KGRound2Message2{DeCommitment: points(edw{}, 3), ProofAlphaX: ex, ProofAlphaY: ey, ProofT: []byte{1}}},
		{ecdsaKeysign, 4, &ecsigning.SignRound4Message{DeCommitment: points(secp{}, 1), ProofAlphaX: x, ProofAlphaY: y, ProofT: []byte{1}}},
		{ecdsaKeysign, 6, &ecsigning.SignRound6Message{
			DeCommitment: points(secp{}, 2), ProofAlphaX: x, ProofAlphaY: y, ProofT: []byte{1},
			VProofAlphaX: x, VProofAlphaY: y, VProofT: []byte{1}, VProofU: []byte{1},
		}},
		{ecdsaKeysign, 8, &ecsigning.SignRound8Message{DeCommitment: points(secp{}, 2)}},
		{eddsaKeysign, 1, &edsigning.SignRound2Message{DeCommitment: points(edw{}, 1), ProofAlphaX: ex, ProofAlphaY: ey, ProofT: []byte{1}}},
	} {
		k := knownIn(c.protocol, sanity.Parameters{}, sanity.Parameters{})
		k.answer(c.step, c.message)
		_, _, err := c.protocol.parse(k, c.step, firstParty(), packed(c.message))
		require.NoError(t, err)
		opening := c.message.(interface{ GetDeCommitment() [][]byte }).GetDeCommitment()
		opening[0] = []byte{2}
		_, _, err = c.protocol.parse(k, c.step, firstParty(), packed(c.message))
		require.ErrorContains(t, err, "committed to", "%s step %d", c.protocol.name, c.step)
	}
}

func TestThetasThatAddUpToZero(t *testing.T) {
	k := knownIn(ecdsaKeysign, sanity.Parameters{}, sanity.Parameters{})
	x, y := secp{}.base()
	m := &ecsigning.SignRound4Message{DeCommitment: points(secp{}, 1), ProofAlphaX: x, ProofAlphaY: y, ProofT: []byte{1}}
	k.answer(4, m)
	theta := new(big.Int).Sub(tsslib.S256().Params().N, big.NewInt(1))
	k.sent[3][0] = &ecsigning.SignRound3Message{Theta: theta.Bytes()}
	_, _, err := ecdsaKeysign.parse(k, 4, firstParty(), packed(m))
	require.ErrorIs(t, err, errNobody)
}

func FuzzParseMessage(f *testing.F) {
	f.Add(uint8(0), uint8(4), packed(&eckeygen.KGRound2Message2{DeCommitment: parts(5)}))
	f.Add(uint8(1), uint8(2), packed(&edkeygen.KGRound2Message2{DeCommitment: parts(5), ProofAlphaX: []byte{1}, ProofAlphaY: []byte{1}, ProofT: []byte{1}}))
	f.Add(uint8(0), uint8(3), packed(wrapperspb.Bytes(make([]byte, sealedSize+1))))
	f.Add(uint8(1), uint8(3), packed(wrapperspb.Bytes(make([]byte, openingSize))))
	f.Add(uint8(2), uint8(0), packed(&ecsigning.SignRound1Message1{C: []byte{1}, RangeProofAlice: parts(6)}))
	f.Add(uint8(3), uint8(1), packed(&edsigning.SignRound2Message{DeCommitment: points(edw{}, 1), ProofAlphaX: []byte{1}, ProofAlphaY: []byte{1}, ProofT: []byte{1}}))
	f.Add(uint8(4), keysignModuli, packed(wrapperspb.Bytes(make([]byte, moduliSize))))
	f.Add(uint8(4), keysignFactors, packed(wrapperspb.Bytes(appendProof(nil, parts(facproof.ProofFacBytesParts)))))
	odd := new(big.Int).SetBit(big.NewInt(1), paillierBits-1, 1)
	p := sanity.Parameters{N: odd, NTilde: odd, H1: odd, H2: odd}
	f.Fuzz(func(_ *testing.T, which, step uint8, payload []byte) {
		protocol := []*protocol{ecdsaKeygen, eddsaKeygen, ecdsaKeysign, eddsaKeysign, ecdsaProvenKeysign}[which%5]
		k := knownIn(protocol, p, p)
		step %= uint8(len(protocol.steps))
		wrapped := new(anypb.Any)
		if proto.Unmarshal(payload, wrapped) == nil {
			if m, err := wrapped.UnmarshalNew(); err == nil {
				k.answer(step, m)
			}
		}
		if k.has(&protocol.steps[step], 0) {
			_, _, _ = protocol.parse(k, step, firstParty(), payload)
		}
	})
}
