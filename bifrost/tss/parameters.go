package tss

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"

	"github.com/bnb-chain/tss-lib/v2/common"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tssbackup/tssbackup/bifrost/tss/pimod"
	"github.com/tssbackup/tssbackup/sanity"
)

// An admission keeps round 1 of an ECDSA keygen from tss-lib until all members have proven the
// parameters in it. In a reshare those who get shares prove theirs.
//
// First each member commits to its round 1. When all have, it sends it, with a proof for each of
// its moduli that binds session and author. So nobody can copy a number of a member's that it has
// not seen, and nobody a proof. What still is equal between two members was agreed between them.
// tss-lib would blame the one of the two who comes later in its order.
type admission struct {
	proof    []byte                 // of this member's own parameters
	own      []outgoing             // round 1 and the proof, until all have committed
	messages []tsslib.ParsedMessage // the others' round 1, until all are proven
}

const (
	partN      = "N"
	partNTilde = "NTilde"
)

// freshBases gives a set of pre-parameters, which several attempts of one keygen use, other bases
// that nobody has seen.
func freshBases(random io.Reader, pre eckeygen.LocalPreParams) eckeygen.LocalPreParams {
	root := common.GetRandomPositiveRelativelyPrimeInt(random, pre.NTildei)
	pre.H1i = new(big.Int).Exp(root, big.NewInt(2), pre.NTildei)
	pre.H2i = new(big.Int).Exp(pre.H1i, pre.Alpha, pre.NTildei)
	return pre
}

// proveParameters proves this member's moduli, and writes down its parameters.
func proveParameters(random io.Reader, k *known, pre eckeygen.LocalPreParams) ([]byte, error) {
	k.parameters[k.self] = sanity.Parameters{
		N:      pre.PaillierSK.N,
		NTilde: pre.NTildei,
		H1:     pre.H1i,
		H2:     pre.H2i,
	}
	if err := sanity.CheckParameters(k.parameters[k.self]); err != nil {
		return nil, fmt.Errorf("the pre-parameters: %w", err)
	}
	safe := func(p *big.Int) *big.Int {
		return new(big.Int).Add(new(big.Int).Lsh(p, 1), big.NewInt(1))
	}
	ofN, err := pimod.Prove(random, k.context(k.self, partN), pre.PaillierSK.P, pre.PaillierSK.Q)
	if err != nil {
		return nil, fmt.Errorf("the pre-parameters' N: %w", err)
	}
	ofNTilde, err := pimod.Prove(random, k.context(k.self, partNTilde), safe(pre.P), safe(pre.Q))
	if err != nil {
		return nil, fmt.Errorf("the pre-parameters' NTilde: %w", err)
	}
	return append(ofN, ofNTilde...), nil
}

// commit keeps this member's parameters back and gives the commitment to them instead.
func (in *instance) commit(first []outgoing) (o outcome) {
	k, a := in.known, in.admission
	for _, m := range first {
		if m.step != keygenRound1 {
			o.messages = append(o.messages, m)
			continue
		}
		commitment, own := wrapOurs(
			keygenCommitment,
			k.commitment(k.self, k.sent[keygenRound1][k.self]),
		)
		proof, ownProof := wrapOurs(keygenProof, a.proof)
		k.sent[keygenCommitment][k.self], k.sent[keygenProof][k.self] = own, ownProof
		a.own = []outgoing{m, proof}
		o.messages = append(o.messages, commitment)
	}
	return o
}

// admit goes on when the last member has committed, or proven.
func (in *instance) admit(step uint8, msg tsslib.ParsedMessage) (o outcome) {
	k, a := in.known, in.admission
	switch step {
	case keygenCommitment:
		if k.complete(keygenCommitment) {
			o.messages, a.own = a.own, nil
		}
	case keygenRound1:
		a.messages = append(a.messages, msg)
	case keygenProof:
		if !k.complete(keygenProof) {
			return o
		}
		if same := k.equal(); len(same) > 0 {
			return outcome{faults: []fault{{
				members: same, reason: "has a number of its parameters in common with another",
			}}}
		}
		return in.update(a.messages...)
	}
	return o
}

func wrapOurs(step uint8, value []byte) (outgoing, proto.Message) {
	m := wrapperspb.Bytes(value)
	wrapped, err := anypb.New(m)
	if err != nil {
		panic(err) // it is a message that can be encoded
	}
	payload, err := proto.Marshal(wrapped)
	if err != nil {
		panic(err)
	}
	return outgoing{step: step, payload: payload}, m
}

// complete reports whether all members' messages of a step are here.
func (k *known) complete(step uint8) bool {
	for author, m := range k.sent[step] {
		if m == nil && k.sends(&k.protocol.steps[step], author) {
			return false
		}
	}
	return true
}

// commitment is what a member says of its round 1 before it shows it. The modulus in it is what
// nobody can guess.
func (k *known) commitment(author int, round1 proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(round1)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(append(k.context(author, "round 1"), b...))
	return sum[:]
}

// isCommitted checks the parameters that a member shows against what it committed to.
func (k *known) isCommitted(from int, round1 proto.Message) error {
	c := k.sent[keygenCommitment][from].(*wrapperspb.BytesValue).Value
	if !bytes.Equal(c, k.commitment(from, round1)) {
		return errors.New("not what its author committed to")
	}
	return nil
}

func checkCommitment(_ *known, _ int, content proto.Message) error {
	if len(content.(*wrapperspb.BytesValue).Value) != sha256.Size {
		return errors.New("not a commitment")
	}
	return nil
}

// A parametersMessage is the one with which a member tells its parameters.
type parametersMessage interface {
	GetPaillierN() []byte
	GetNTilde() []byte
	GetH1() []byte
	GetH2() []byte
	GetDlnproof_1() [][]byte
	GetDlnproof_2() [][]byte
}

func parametersOf(m parametersMessage) sanity.Parameters {
	return sanity.Parameters{
		N:      number(m.GetPaillierN()),
		NTilde: number(m.GetNTilde()),
		H1:     number(m.GetH1()),
		H2:     number(m.GetH2()),
	}
}

// checkParameterProof verifies the proofs for both moduli of the author's round 1, and takes its
// parameters for proven.
func checkParameterProof(k *known, from int, content proto.Message) error {
	proof := content.(*wrapperspb.BytesValue).Value
	if len(proof) != 2*pimod.Size {
		return fmt.Errorf("a proof of %d bytes", len(proof))
	}
	p := parametersOf(k.sent[keygenRound1][from].(parametersMessage))
	if err := pimod.Verify(k.context(from, partN), p.N, proof[:pimod.Size]); err != nil {
		return fmt.Errorf("the modulus N: %w", err)
	}
	if err := pimod.Verify(k.context(from, partNTilde), p.NTilde, proof[pimod.Size:]); err != nil {
		return fmt.Errorf("the modulus NTilde: %w", err)
	}
	k.parameters[from] = p
	return nil
}

// equal returns the members that have a number in common with another. Each has proven its moduli
// and committed to its bases before it saw another's, so it is no honest member that is named.
func (k *known) equal() (members []int) {
	numbers := func(p sanity.Parameters) []*big.Int {
		if p.N == nil {
			return nil // of who gets nothing
		}
		return []*big.Int{p.N, p.NTilde, p.H1, p.H2}
	}
	for i, p := range k.parameters {
		for j, other := range k.parameters {
			if i != j && slices.ContainsFunc(numbers(p), func(v *big.Int) bool {
				return slices.ContainsFunc(
					numbers(other),
					func(w *big.Int) bool { return v.Cmp(w) == 0 },
				)
			}) {
				members = append(members, i)
				break
			}
		}
	}
	return members
}
