package tss

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/bnb-chain/tss-lib/v2/crypto/dlnproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/facproof"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/bifrost/tss/pimod"
	"github.com/tssbackup/tssbackup/sanity"
)

// proofs are what a signer needs of its own keyshare to prove its parameters to the others, when
// nobody has proven those in the keyshare file: it comes from elsewhere.
//
// They come in two rounds before the protocol, which tss-lib does not begin earlier. First each
// signer shows that both of its moduli are of two primes, and that its bases hide what is committed
// to with them. With these bases, when all are proven, each shows that its Paillier modulus has no
// small factor: with bad ones that would tell what the factors are.
type proofs struct {
	p, q       *big.Int // of N
	half1      *big.Int // of NTilde, whose factors are twice these and one more
	half2      *big.Int
	root       *big.Int // H1 is H2 to this power
	parameters sanity.Parameters
}

// The rounds of proofs are the last steps of their schedule, so that those of the protocol keep
// their numbers.
var (
	keysignModuli  = uint8(len(ecdsaKeysign.steps))
	keysignFactors = keysignModuli + 1

	ecdsaProvenKeysign = behindProofs(ecdsaKeysign)
)

func behindProofs(p *protocol) *protocol {
	moduli, factors := uint8(len(p.steps)), uint8(len(p.steps)+1)
	behind := *p
	behind.steps = slices.Clone(p.steps)
	for i := range behind.steps {
		s := &behind.steps[i]
		s.round += 2
		s.needs = append(slices.Clone(s.needs), afterAll(factors))
	}
	behind.steps = append(
		behind.steps,
		ours(1, "proof of its parameters", checkModuliProof),
		ours(2, "proof of its factors", checkFactorsProof, afterAll(moduli)),
	)
	return &behind
}

// newProofs takes the secrets of a keyshare that [keyshare.Keyshare.Verify] has passed.
func newProofs(share *keyshare.Keyshare) (*proofs, error) {
	d := share.ECDSA()
	if d.P == nil || d.Q == nil || d.Beta == nil {
		return nil, errors.New("the keyshare cannot prove its parameters to the other signers: " +
			"the ceremony that made it did not keep the factors of NTilde")
	}
	s := &proofs{half1: d.P, half2: d.Q, root: d.Beta, parameters: sanity.Parameters{
		N: d.PaillierSK.N, NTilde: d.NTildei, H1: d.H1i, H2: d.H2i,
	}}
	s.p, s.q = share.PaillierPrimes()
	return s, nil
}

const (
	width = sanity.ModulusBits / 8
	// dlnSize is that of the proof that H1 is a power of H2.
	dlnSize    = 2 * dlnproof.Iterations * width
	moduliSize = 2*pimod.Size + dlnSize
)

// proveModuli begins with the first proofs.
func (in *instance) proveModuli() outcome {
	k, s := in.known, in.proofs
	safe := func(half *big.Int) *big.Int {
		return new(big.Int).Add(new(big.Int).Lsh(half, 1), big.NewInt(1))
	}
	ofN, err := pimod.Prove(in.random, k.context(k.self, partN), s.p, s.q)
	if err != nil {
		return outcome{err: fmt.Errorf("proving the keyshare's N: %w", err)}
	}
	ofNTilde, err := pimod.Prove(
		in.random, k.context(k.self, partNTilde), safe(s.half1), safe(s.half2),
	)
	if err != nil {
		return outcome{err: fmt.Errorf("proving the keyshare's NTilde: %w", err)}
	}
	p := s.parameters
	dln := dlnproof.NewDLNProof(p.H2, p.H1, s.root, s.half1, s.half2, p.NTilde, in.random)
	b := append(ofN, ofNTilde...)
	for _, list := range [][dlnproof.Iterations]*big.Int{dln.Alpha, dln.T} {
		for _, v := range list {
			b = append(b, v.FillBytes(make([]byte, width))...)
		}
	}
	return in.say(keysignModuli, b)
}

// proveFactors goes on with those for each of the others.
func (in *instance) proveFactors() outcome {
	k, s := in.known, in.proofs
	var b []byte
	for i, to := range k.parameters {
		if i == k.self {
			continue
		}
		fac, err := facproof.NewProof(
			k.factorsContext(k.self, i), tsslib.S256(), s.parameters.N,
			to.NTilde, to.H1, to.H2, s.p, s.q, in.random,
		)
		if err != nil {
			return outcome{err: fmt.Errorf("proving the keyshare's factors: %w", err)}
		}
		parts := fac.Bytes()
		b = appendProof(b, parts[:])
	}
	return in.say(keysignFactors, b)
}

func (in *instance) say(step uint8, value []byte) outcome {
	out, own := wrapOurs(step, value)
	in.known.sent[step][in.known.self] = own
	return outcome{messages: []outgoing{out}}
}

// afterProofs goes on when the last signer has proven what a step proves.
func (in *instance) afterProofs(step uint8) outcome {
	switch {
	case !in.known.complete(step):
		return outcome{}
	case step == keysignModuli:
		return in.proveFactors()
	default:
		return in.after(in.guarded(func() *tsslib.Error { return in.party.Start() }))
	}
}

// checkModuliProof verifies a signer's proofs against the parameters that this member's keyshare
// file has of it.
func checkModuliProof(k *known, from int, content proto.Message) error {
	b := content.(*wrapperspb.BytesValue).Value
	if len(b) != moduliSize {
		return fmt.Errorf("a proof of %d bytes", len(b))
	}
	r := &reader{rest: b}
	p := k.parameters[from]
	if err := pimod.Verify(k.context(from, partN), p.N, r.take(pimod.Size)); err != nil {
		return fmt.Errorf("the modulus N: %w", err)
	}
	if err := pimod.Verify(k.context(from, partNTilde), p.NTilde, r.take(pimod.Size)); err != nil {
		return fmt.Errorf("the modulus NTilde: %w", err)
	}
	dln := new(dlnproof.Proof)
	for _, list := range []*[dlnproof.Iterations]*big.Int{&dln.Alpha, &dln.T} {
		for i := range list {
			list[i] = number(r.take(width))
		}
	}
	if !dln.Verify(p.H2, p.H1, p.NTilde) {
		return errors.New("H1 is not proven to be a power of H2")
	}
	return nil
}

// checkFactorsProof verifies a signer's Π-fac for this member. The others look at theirs: each
// relies on its own NTilde.
func checkFactorsProof(k *known, from int, content proto.Message) error {
	r := &reader{rest: content.(*wrapperspb.BytesValue).Value}
	var own [][]byte
	for to := range k.members {
		if to == from {
			continue
		}
		if proof := r.proof(facproof.ProofFacBytesParts); to == k.self {
			own = proof
		}
	}
	if r.bad || len(r.rest) > 0 {
		return errors.New("the list of proofs has the wrong form")
	}
	return k.checkFactorsIn(k.factorsContext(from, k.self), own, from, k.self)
}

func (k *known) factorsContext(author, receiver int) []byte {
	return append(k.context(author, "factors"), k.members[receiver]...)
}
