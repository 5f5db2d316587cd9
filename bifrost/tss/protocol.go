package tss

import (
	"crypto/elliptic"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"filippo.io/edwards25519"
	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/commitments"
	"github.com/bnb-chain/tss-lib/v2/crypto/dlnproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/facproof"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	ecresharing "github.com/bnb-chain/tss-lib/v2/ecdsa/resharing"
	ecsigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	edresharing "github.com/bnb-chain/tss-lib/v2/eddsa/resharing"
	edsigning "github.com/bnb-chain/tss-lib/v2/eddsa/signing"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tssbackup/tssbackup/sanity"
)

// A protocol is the schedule of one of tss-lib's protocols: every member sends each of its steps
// once. Knowing the schedule, rather than taking what comes, is what bounds memory, tells a message
// that nobody asked for, and says what is missing.
type protocol struct {
	name  string
	curve func() elliptic.Curve
	steps []step

	// Of a keygen or a reshare: the steps with the shares, with the polynomial that they are
	// checked against, and with the word on them; in how many parts the proof beside a share comes,
	// and what it is bound to; and how a share that was decrypted is checked.
	shares, opening, receipt uint8
	proofParts               int
	proofContext             func(k *known, author, receiver int) []byte
	checkShare               shareCheck

	commitment uint8 // of a reshare, the step with the commitments to polynomials
}

// A shareCheck makes what a party takes of an author's share for a receiver, a number in range, and
// of the proof beside it. Who deals nothing sends no share, and who gets nothing no proof.
type shareCheck func(
	k *known, share []byte, proof [][]byte, author, receiver int,
) (tsslib.ParsedMessage, error)

// deals reports whether a protocol has shares, which a keygen and a reshare have.
func (p *protocol) deals() bool { return p.receipt != 0 }

// A step is one message type. Its check looks at everything in a message that could make tss-lib
// panic, some of it in goroutines of its own, where a panic ends the process, or fail without
// naming who made it.
type step struct {
	message   proto.Message
	title     string // of a step that tss-lib does not know
	round     int
	broadcast bool
	by        role
	check     check
	needs     []need
}

// A role is whose messages those of a step are: everybody's, or of some alone.
type role uint8

const (
	dealers role = iota + 1
	getters
	givers // of envelopes
)

// from makes a step one of some members alone.
func (s step) from(by role) step {
	s.by = by
	return s
}

type check func(k *known, from int, m proto.Message) error

// A need is a step that must be here before a message is looked at: its author's, if it has one to
// send, or all members'. So it does not matter in which order a member says what it says.
type need struct {
	step uint8
	all  bool
}

func after(step uint8) need    { return need{step: step} }
func afterAll(step uint8) need { return need{step: step, all: true} }

func toAll(round int, m proto.Message, c check, needs ...need) step {
	return step{message: m, round: round, broadcast: true, check: c, needs: needs}
}

func toOne(round int, m proto.Message, c check, needs ...need) step {
	return step{message: m, round: round, check: c, needs: needs}
}

// ours is a broadcast that tss-lib knows nothing of.
func ours(round int, title string, c check, needs ...need) step {
	return step{
		message:   &wrapperspb.BytesValue{},
		title:     title,
		round:     round,
		broadcast: true,
		check:     c,
		needs:     needs,
	}
}

func (s *step) name() string {
	if s.title != "" {
		return s.title
	}
	return string(s.message.ProtoReflect().Descriptor().Name())
}

// known is what a check compares a message with.
type known struct {
	cast
	protocol   *protocol
	ids        tsslib.SortedPartyIDs
	members    [][]byte
	threshold  int // tss-lib's: one less than sign
	self       int
	keys       *sessionKeys
	parameters []sanity.Parameters // for ECDSA, by member; in a keygen or reshare when proven
	sent       [][]proto.Message   // what was accepted, by step and member; own broadcasts too
	partial    *partial            // for EdDSA keysign
	handed     *handed             // in a reshare
	context    func(author int, part string) []byte

	sharesRight []bool // of a keygen or a reshare, by author
}

func newKnown(p *protocol, at seat, threshold int) *known {
	k := &known{
		cast:        at.cast,
		protocol:    p,
		ids:         at.ids,
		members:     at.members,
		threshold:   threshold,
		self:        at.self,
		keys:        at.keys,
		context:     at.context,
		sent:        make([][]proto.Message, len(p.steps)),
		sharesRight: make([]bool, len(at.ids)),
	}
	for i := range k.sent {
		k.sent[i] = make([]proto.Message, len(at.ids))
	}
	return k
}

// has reports whether everything is here that a message of this step by this author needs.
func (k *known) has(s *step, author int) bool {
	return !slices.ContainsFunc(s.needs, func(n need) bool {
		if n.all {
			return !k.complete(n.step)
		}
		return k.sent[n.step][author] == nil && k.sends(&k.protocol.steps[n.step], author)
	})
}

const ( // steps that others refer to
	keygenCommitment = iota // ECDSA keygen
	keygenRound1
	keygenProof
)

var (
	ecdsaKeygen = &protocol{
		name: "ecdsa keygen", curve: tsslib.S256,
		shares: 3, opening: 4, receipt: 6,
		proofParts: facproof.ProofFacBytesParts, proofContext: (*known).ssidOf,
		checkShare: checkECShare,
		steps: []step{
			ours(1, "commitment to round 1", checkCommitment),
			toAll(2, &eckeygen.KGRound1Message{}, checkECKeygen1, after(keygenCommitment)),
			ours(2, "proof of its parameters", checkParameterProof, after(keygenRound1)),
			ours(3, "list of shares", checkShares, after(4), afterAll(keygenProof)),
			toAll(3, &eckeygen.KGRound2Message2{}, checkECKeygen2, after(keygenRound1)),
			toAll(4, &eckeygen.KGRound3Message{}, nil),
			ours(4, "receipt of its shares", checkReceipt, afterAll(3), afterAll(4)),
		},
	}
	eddsaKeygen = &protocol{
		name: "eddsa keygen", curve: tsslib.Edwards,
		shares: 1, opening: 2, receipt: 3, checkShare: checkEdShare,
		steps: []step{
			toAll(1, &edkeygen.KGRound1Message{}, nil),
			ours(2, "list of shares", checkShares, after(2)),
			toAll(2, &edkeygen.KGRound2Message2{}, checkEdKeygen2, after(0)),
			ours(3, "receipt of its shares", checkReceipt, afterAll(1), afterAll(2)),
		},
	}
	// The schedules of a reshare are those of a keygen, with the first steps taken apart: those who
	// deal commit to polynomials, and those who get shares prove their parameters.
	ecdsaReshare = &protocol{
		name: "ecdsa reshare", curve: tsslib.S256,
		shares: 3, commitment: 5, opening: 4, receipt: 6,
		proofParts: facproof.ProofFacBytesParts, proofContext: (*known).factorsContext,
		checkShare: checkECShare,
		steps: []step{
			ours(1, "commitment to its parameters", checkCommitment).from(getters),
			toAll(2, &ecresharing.DGRound2Message1{}, checkECReshare2, after(keygenCommitment)).
				from(getters),
			ours(2, "proof of its parameters", checkParameterProof, after(keygenRound1)).
				from(getters),
			ours(3, "list of shares", checkShares, after(4), afterAll(keygenProof)),
			toAll(3, &ecresharing.DGRound3Message2{}, checkECReshare3, after(5)).from(dealers),
			toAll(1, &ecresharing.DGRound1Message{}, checkECReshare1).from(dealers),
			ours(4, "receipt of its shares", checkReceipt, afterAll(3), afterAll(4)).
				from(getters),
		},
	}
	eddsaReshare = &protocol{
		name: "eddsa reshare", curve: tsslib.Edwards,
		shares: 1, commitment: 0, opening: 2, receipt: 3, checkShare: checkEdShare,
		steps: []step{
			toAll(1, &edresharing.DGRound1Message{}, checkEdReshare1).from(dealers),
			ours(2, "list of shares", checkShares, after(2)).from(dealers),
			toAll(2, &edresharing.DGRound3Message2{}, checkEdReshare3, after(0)).from(dealers),
			ours(3, "receipt of its shares", checkReceipt, afterAll(1), afterAll(2)).
				from(getters),
		},
	}
	ecdsaKeysign = &protocol{name: "ecdsa keysign", curve: tsslib.S256, steps: []step{
		toOne(1, &ecsigning.SignRound1Message1{}, checkECSign1),
		toAll(1, &ecsigning.SignRound1Message2{}, nil),
		toOne(2, &ecsigning.SignRound2Message{}, checkECSign2),
		toAll(3, &ecsigning.SignRound3Message{}, checkECSign3),
		toAll(4, &ecsigning.SignRound4Message{}, checkECSign4, after(1), afterAll(3)),
		toAll(5, &ecsigning.SignRound5Message{}, nil),
		toAll(6, &ecsigning.SignRound6Message{}, checkECSign6, after(5)),
		toAll(7, &ecsigning.SignRound7Message{}, nil),
		toAll(8, &ecsigning.SignRound8Message{}, checkECSign8, after(7)),
		toAll(9, &ecsigning.SignRound9Message{}, checkECSign9),
	}}
	eddsaKeysign = &protocol{name: "eddsa keysign", curve: tsslib.Edwards, steps: []step{
		toAll(1, &edsigning.SignRound1Message{}, nil),
		toAll(2, &edsigning.SignRound2Message{}, checkEdSign2, after(0)),
		toAll(3, &edsigning.SignRound3Message{}, checkEdSign3, afterAll(1)),
	}}
)

// stepOf finds the step of a message that tss-lib wants sent.
func (p *protocol) stepOf(messageType string) (uint8, bool) {
	for i, s := range p.steps {
		if string(s.message.ProtoReflect().Descriptor().FullName()) == messageType {
			return uint8(i), true
		}
	}
	return 0, false
}

// maxField bounds every number in a message. The longest, in the proofs, have some 4700 bits.
const maxField = 1024

// parse turns the bytes of a message into what tss-lib takes, or tells what is wrong with them.
// There is nothing for tss-lib in a message of a step of ours.
func (p *protocol) parse(
	k *known, i uint8, from *tsslib.PartyID, payload []byte,
) (content proto.Message, msg tsslib.ParsedMessage, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed: %v", r)
		}
	}()
	s := &p.steps[i]
	wrapped := new(anypb.Any)
	if err := proto.Unmarshal(payload, wrapped); err != nil {
		return nil, nil, errors.New("malformed")
	}
	if !wrapped.MessageIs(s.message) {
		return nil, nil, errors.New("of another type")
	}
	if s.title != "" {
		if content, err = wrapped.UnmarshalNew(); err != nil {
			return nil, nil, errors.New("malformed")
		}
	} else {
		if msg, err = tsslib.ParseWireMessage(payload, from, s.broadcast); err != nil {
			return nil, nil, errors.New("malformed")
		}
		if !msg.ValidateBasic() {
			return nil, nil, errors.New("incomplete")
		}
		content = msg.Content()
		if err := checkFields(content); err != nil {
			return nil, nil, err
		}
	}
	if s.check != nil {
		if err := s.check(k, from.Index, content); err != nil {
			return nil, nil, err
		}
	}
	return content, msg, nil
}

func checkFields(m proto.Message) (err error) {
	m.ProtoReflect().Range(func(_ protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch v := v.Interface().(type) {
		case []byte:
			if len(v) > maxField {
				err = errors.New("a number is too long")
			}
		case protoreflect.List:
			for i := range v.Len() {
				if b, ok := v.Get(i).Interface().([]byte); ok && len(b) > maxField {
					err = errors.New("a number is too long")
				}
			}
		}
		return err == nil
	})
	return err
}

func checkECKeygen1(k *known, from int, content proto.Message) error {
	m := content.(*eckeygen.KGRound1Message)
	if err := k.isCommitted(from, m); err != nil {
		return err
	}
	if len(m.Commitment) > hashSize {
		return errors.New("commitment is too long")
	}
	return checkParameters(m)
}

// checkParameters looks at a member's parameters, and at the form of the proofs of its bases.
func checkParameters(m parametersMessage) error {
	if err := sanity.CheckParameters(parametersOf(m)); err != nil {
		return err
	}
	// Two lists behind their lengths, which tss-lib would take at their word.
	length := big.NewInt(dlnproof.Iterations)
	for _, proof := range [][][]byte{m.GetDlnproof_1(), m.GetDlnproof_2()} {
		if len(proof) != 2+2*dlnproof.Iterations ||
			number(
				proof[0],
			).Cmp(length) !=
				0 || number(proof[1+dlnproof.Iterations]).Cmp(length) != 0 {
			return errors.New("dln proof has the wrong length")
		}
	}
	return nil
}

func checkECKeygen2(k *known, from int, content proto.Message) error {
	m := content.(*eckeygen.KGRound2Message2)
	if err := checkNoModProof(m.ModProof); err != nil {
		return err
	}
	if err := checkPoints(m.DeCommitment, k.threshold+1, secpPoint); err != nil {
		return err
	}
	return k.opens(keygenRound1, from, m.DeCommitment)
}

// checkNoModProof wants none of tss-lib's: ours is beside the parameters.
func checkNoModProof(proof [][]byte) error {
	if slices.ContainsFunc(proof, func(part []byte) bool { return len(part) > 0 }) {
		return errors.New("has a mod proof, which is a message of its own")
	}
	return nil
}

func checkEdKeygen2(k *known, from int, content proto.Message) error {
	m := content.(*edkeygen.KGRound2Message2)
	if err := checkPoints(m.DeCommitment, k.threshold+1, edPoint); err != nil {
		return err
	}
	if err := k.opens(0, from, m.DeCommitment); err != nil {
		return err
	}
	if err := edPoint(m.ProofAlphaX, m.ProofAlphaY); err != nil {
		return err
	}
	return checkScalar(tsslib.Edwards().Params().N, m.ProofT)
}

func checkECSign1(k *known, from int, content proto.Message) error {
	m := content.(*ecsigning.SignRound1Message1)
	return checkAliceProof(
		k.parameters[k.self].NTilde,
		k.parameters[from].N,
		m.C,
		m.RangeProofAlice,
	)
}

func checkECSign2(k *known, _ int, content proto.Message) error {
	m := content.(*ecsigning.SignRound2Message)
	own := k.parameters[k.self]
	if err := checkBobProof(own.NTilde, own.N, m.C1, m.ProofBob); err != nil {
		return err
	}
	if err := checkBobProof(own.NTilde, own.N, m.C2, m.ProofBobWc); err != nil {
		return err
	}
	const s1, ux, uy = 6, 10, 11 // in the proof "with check"
	order := tsslib.S256().Params().N
	if new(big.Int).Mod(number(m.ProofBobWc[s1]), order).Sign() == 0 {
		return errors.New("a scalar is zero")
	}
	return secpPoint(m.ProofBobWc[ux], m.ProofBobWc[uy])
}

func checkECSign3(_ *known, _ int, content proto.Message) error {
	return checkScalar(tsslib.S256().Params().N, content.(*ecsigning.SignRound3Message).Theta)
}

func checkECSign4(k *known, from int, content proto.Message) error {
	m := content.(*ecsigning.SignRound4Message)
	sum := new(big.Int)
	for _, other := range k.sent[3] {
		sum.Add(sum, number(other.(*ecsigning.SignRound3Message).Theta))
	}
	if sum.Mod(sum, tsslib.S256().Params().N).Sign() == 0 {
		// Any of them can have chosen its theta after it saw the others'.
		return fmt.Errorf("%w: the thetas add up to zero", errNobody)
	}
	if err := k.opens(1, from, m.DeCommitment); err != nil {
		return err
	}
	if err := checkPoints(m.DeCommitment, 1, secpPoint); err != nil {
		return err
	}
	if err := secpPoint(m.ProofAlphaX, m.ProofAlphaY); err != nil {
		return err
	}
	return checkScalar(tsslib.S256().Params().N, m.ProofT)
}

func checkECSign6(k *known, from int, content proto.Message) error {
	m := content.(*ecsigning.SignRound6Message)
	if err := k.opens(5, from, m.DeCommitment); err != nil {
		return err
	}
	if err := checkPoints(m.DeCommitment, 2, secpPoint); err != nil {
		return err
	}
	for _, p := range [][2][]byte{
		{m.ProofAlphaX, m.ProofAlphaY}, {m.VProofAlphaX, m.VProofAlphaY},
	} {
		if err := secpPoint(p[0], p[1]); err != nil {
			return err
		}
	}
	return checkScalar(tsslib.S256().Params().N, m.ProofT, m.VProofT, m.VProofU)
}

// checkECSign8 looks at U and T, which tss-lib adds up as they come, whatever was committed to.
func checkECSign8(k *known, from int, content proto.Message) error {
	m := content.(*ecsigning.SignRound8Message)
	if err := checkPoints(m.DeCommitment, 2, secpPoint); err != nil {
		return err
	}
	return k.opens(7, from, m.DeCommitment)
}

func checkECSign9(_ *known, _ int, content proto.Message) error {
	return checkScalar(tsslib.S256().Params().N, content.(*ecsigning.SignRound9Message).S)
}

func checkEdSign2(k *known, from int, content proto.Message) error {
	m := content.(*edsigning.SignRound2Message)
	if err := checkPoints(m.DeCommitment, 1, edPoint); err != nil {
		return err
	}
	if err := k.opens(0, from, m.DeCommitment); err != nil {
		return err
	}
	if err := edPoint(m.ProofAlphaX, m.ProofAlphaY); err != nil {
		return err
	}
	return checkScalar(tsslib.Edwards().Params().N, m.ProofT)
}

func checkEdSign3(k *known, from int, content proto.Message) error {
	m := content.(*edsigning.SignRound3Message)
	if err := checkScalar(tsslib.Edwards().Params().N, m.S); err != nil {
		return err
	}
	return k.partial.verify(k.sent[1], from, m.S)
}

// errNobody is wrapped by what cannot be laid at one member's door.
var errNobody = errors.New("a member spoilt the signature, and nothing tells which")

// opens checks what a member opens against what it committed to. tss-lib does so in most places,
// and does not name who failed in some.
func (k *known) opens(step, from int, opening [][]byte) error {
	var commitment []byte
	switch c := k.sent[step][from].(type) {
	case interface{ GetCommitment() []byte }:
		commitment = c.GetCommitment()
	case interface{ GetVCommitment() []byte }:
		commitment = c.GetVCommitment()
	}
	opened := commitments.HashCommitDecommit{
		C: number(commitment),
		D: common.MultiBytesToBigInts(opening),
	}
	if !opened.Verify() {
		return errors.New("opens something else than its author committed to")
	}
	return nil
}

const paillierBits = sanity.ModulusBits

func number(b []byte) *big.Int { return new(big.Int).SetBytes(b) }

// checkScalar wants numbers in [1, order): zero times the base point is no point to tss-lib.
func checkScalar(order *big.Int, scalars ...[]byte) error {
	for _, s := range scalars {
		if n := number(s); n.Sign() == 0 || n.Cmp(order) >= 0 {
			return errors.New("a scalar is out of range")
		}
	}
	return nil
}

// checkPoints wants a decommitment: the randomness, then the coordinates of so many points.
func checkPoints(parts [][]byte, points int, check func(x, y []byte) error) error {
	if len(parts) != 1+2*points || len(parts[0]) > hashSize {
		return errors.New("decommitment has the wrong length")
	}
	for i := 1; i < len(parts); i += 2 {
		if err := check(parts[i], parts[i+1]); err != nil {
			return err
		}
	}
	return nil
}

var errNoPoint = errors.New("not a point of the curve")

func onCurve(curve elliptic.Curve, x, y []byte) (*crypto.ECPoint, error) {
	field := curve.Params().P
	if number(x).Cmp(field) >= 0 || number(y).Cmp(field) >= 0 {
		return nil, errNoPoint
	}
	p, err := crypto.NewECPoint(curve, number(x), number(y))
	if err != nil {
		return nil, errNoPoint
	}
	return p, nil
}

func secpPoint(x, y []byte) error {
	_, err := onCurve(tsslib.S256(), x, y)
	return err
}

// edPoint refuses points of small order as well: tss-lib takes away what they add, and is left with
// nothing.
func edPoint(x, y []byte) error {
	p, err := edwardsPoint(x, y)
	if err != nil {
		return err
	}
	if p.MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return errors.New("a point of small order")
	}
	return nil
}

func edwardsPoint(x, y []byte) (*edwards25519.Point, error) {
	point, err := onCurve(tsslib.Edwards(), x, y)
	if err != nil {
		return nil, err
	}
	encoded := point.Y().FillBytes(make([]byte, 32))
	slices.Reverse(encoded)
	encoded[31] |= byte(point.X().Bit(0)) << 7
	p, err := new(edwards25519.Point).SetBytes(encoded)
	if err != nil {
		return nil, errNoPoint
	}
	return p, nil
}
