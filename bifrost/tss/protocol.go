package tss

import (
	"crypto/elliptic"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"filippo.io/edwards25519"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/dlnproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/facproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/modproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/paillier"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	ecsigning "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	edsigning "github.com/bnb-chain/tss-lib/v2/eddsa/signing"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// A protocol is the schedule of one of tss-lib's protocols: every member sends each of its steps once. Knowing the schedule, rather
// than taking what comes, is what bounds memory, tells a message that nobody asked for, and says what is missing.
type protocol struct {
	name  string
	steps []step
}

// A step is one message type. Its check looks at everything in a message that could make tss-lib panic, some of it in goroutines
// of its own, where a panic ends the process.
type step struct {
	message   proto.Message
	round     int
	broadcast bool
	check     func(k *known, from int, m proto.Message) error
}

func (s *step) name() string {
	return string(s.message.ProtoReflect().Descriptor().Name())
}

// known is what a check compares a message with.
type known struct {
	threshold int                   // tss-lib's: one less than sign
	paillier  []*paillier.PublicKey // of the signers, for ECDSA keysign
}

var (
	ecdsaKeygen = &protocol{"ecdsa keygen", []step{
		{&eckeygen.KGRound1Message{}, 1, true, checkECKeygen1},
		{&eckeygen.KGRound2Message1{}, 2, false, checkECKeygen2Share},
		{&eckeygen.KGRound2Message2{}, 2, true, checkECKeygen2},
		{&eckeygen.KGRound3Message{}, 3, true, nil},
	}}
	eddsaKeygen = &protocol{"eddsa keygen", []step{
		{&edkeygen.KGRound1Message{}, 1, true, nil},
		{&edkeygen.KGRound2Message1{}, 2, false, checkEdKeygen2Share},
		{&edkeygen.KGRound2Message2{}, 2, true, checkEdKeygen2},
	}}
	ecdsaKeysign = &protocol{"ecdsa keysign", []step{
		{&ecsigning.SignRound1Message1{}, 1, false, checkECSign1},
		{&ecsigning.SignRound1Message2{}, 1, true, nil},
		{&ecsigning.SignRound2Message{}, 2, false, checkECSign2},
		{&ecsigning.SignRound3Message{}, 3, true, checkECSign3},
		{&ecsigning.SignRound4Message{}, 4, true, checkECSign4},
		{&ecsigning.SignRound5Message{}, 5, true, nil},
		{&ecsigning.SignRound6Message{}, 6, true, checkECSign6},
		{&ecsigning.SignRound7Message{}, 7, true, nil},
		{&ecsigning.SignRound8Message{}, 8, true, nil},
		{&ecsigning.SignRound9Message{}, 9, true, checkECSign9},
	}}
	eddsaKeysign = &protocol{"eddsa keysign", []step{
		{&edsigning.SignRound1Message{}, 1, true, nil},
		{&edsigning.SignRound2Message{}, 2, true, checkEdSign2},
		{&edsigning.SignRound3Message{}, 3, true, checkEdSign3},
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
func (p *protocol) parse(k *known, i uint8, from *tsslib.PartyID, payload []byte) (msg tsslib.ParsedMessage, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed: %v", r)
		}
	}()
	s := &p.steps[i]
	wrapped := new(anypb.Any)
	if err := proto.Unmarshal(payload, wrapped); err != nil {
		return nil, errors.New("malformed")
	}
	if !wrapped.MessageIs(s.message) {
		return nil, errors.New("of another type")
	}
	if msg, err = tsslib.ParseWireMessage(payload, from, s.broadcast); err != nil {
		return nil, errors.New("malformed")
	}
	if !msg.ValidateBasic() {
		return nil, errors.New("incomplete")
	}
	if err := checkFields(msg.Content()); err != nil {
		return nil, err
	}
	if s.check != nil {
		if err := s.check(k, from.Index, msg.Content()); err != nil {
			return nil, err
		}
	}
	return msg, nil
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

func checkECKeygen1(_ *known, _ int, content proto.Message) error {
	m := content.(*eckeygen.KGRound1Message)
	if len(m.Commitment) > hashSize {
		return errors.New("commitment is too long")
	}
	for _, modulus := range [][]byte{m.PaillierN, m.NTilde} {
		if n := number(modulus); n.BitLen() != paillierBits || n.Bit(0) == 0 {
			return fmt.Errorf("modulus is not an odd number of %d bits", paillierBits)
		}
	}
	// Two lists behind their lengths, which tss-lib would take at their word.
	length := big.NewInt(dlnproof.Iterations)
	for _, proof := range [][][]byte{m.Dlnproof_1, m.Dlnproof_2} {
		if len(proof) != 2+2*dlnproof.Iterations ||
			number(proof[0]).Cmp(length) != 0 || number(proof[1+dlnproof.Iterations]).Cmp(length) != 0 {
			return errors.New("dln proof has the wrong length")
		}
	}
	return nil
}

func checkECKeygen2Share(_ *known, _ int, content proto.Message) error {
	m := content.(*eckeygen.KGRound2Message1)
	if len(m.FacProof) != facproof.ProofFacBytesParts {
		return errors.New("fac proof has the wrong length")
	}
	return checkScalar(tsslib.S256().Params().N, m.Share)
}

func checkECKeygen2(k *known, _ int, content proto.Message) error {
	m := content.(*eckeygen.KGRound2Message2)
	if len(m.ModProof) != modproof.ProofModBytesParts {
		return errors.New("mod proof has the wrong length")
	}
	return checkPoints(m.DeCommitment, k.threshold+1, secpPoint)
}

func checkEdKeygen2Share(_ *known, _ int, content proto.Message) error {
	return checkScalar(tsslib.Edwards().Params().N, content.(*edkeygen.KGRound2Message1).Share)
}

func checkEdKeygen2(k *known, _ int, content proto.Message) error {
	m := content.(*edkeygen.KGRound2Message2)
	if err := checkPoints(m.DeCommitment, k.threshold+1, edPoint); err != nil {
		return err
	}
	if err := edPoint(m.ProofAlphaX, m.ProofAlphaY); err != nil {
		return err
	}
	return checkScalar(tsslib.Edwards().Params().N, m.ProofT)
}

func checkECSign1(k *known, from int, content proto.Message) error {
	m := content.(*ecsigning.SignRound1Message1)
	return checkCiphertext(k.paillier[from], m.C)
}

func checkECSign2(_ *known, _ int, content proto.Message) error {
	m := content.(*ecsigning.SignRound2Message)
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

func checkECSign4(_ *known, _ int, content proto.Message) error {
	m := content.(*ecsigning.SignRound4Message)
	if err := checkPoints(m.DeCommitment, 1, secpPoint); err != nil {
		return err
	}
	if err := secpPoint(m.ProofAlphaX, m.ProofAlphaY); err != nil {
		return err
	}
	return checkScalar(tsslib.S256().Params().N, m.ProofT)
}

func checkECSign6(_ *known, _ int, content proto.Message) error {
	m := content.(*ecsigning.SignRound6Message)
	if err := checkPoints(m.DeCommitment, 2, secpPoint); err != nil {
		return err
	}
	for _, p := range [][2][]byte{{m.ProofAlphaX, m.ProofAlphaY}, {m.VProofAlphaX, m.VProofAlphaY}} {
		if err := secpPoint(p[0], p[1]); err != nil {
			return err
		}
	}
	return checkScalar(tsslib.S256().Params().N, m.ProofT, m.VProofT, m.VProofU)
}

func checkECSign9(_ *known, _ int, content proto.Message) error {
	return checkScalar(tsslib.S256().Params().N, content.(*ecsigning.SignRound9Message).S)
}

func checkEdSign2(_ *known, _ int, content proto.Message) error {
	m := content.(*edsigning.SignRound2Message)
	if err := checkPoints(m.DeCommitment, 1, edPoint); err != nil {
		return err
	}
	if err := edPoint(m.ProofAlphaX, m.ProofAlphaY); err != nil {
		return err
	}
	return checkScalar(tsslib.Edwards().Params().N, m.ProofT)
}

func checkEdSign3(_ *known, _ int, content proto.Message) error {
	return checkScalar(tsslib.Edwards().Params().N, content.(*edsigning.SignRound3Message).S)
}

const paillierBits = 2048

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

// checkCiphertext wants an invertible number below N². What shares a factor with N has no inverse, which tss-lib does not expect.
func checkCiphertext(pk *paillier.PublicKey, c []byte) error {
	n := number(c)
	if n.Sign() == 0 || n.Cmp(pk.NSquare()) >= 0 || new(big.Int).GCD(nil, nil, n, pk.N).Cmp(big.NewInt(1)) != 0 {
		return errors.New("not a Paillier ciphertext")
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

// edPoint refuses points of small order as well: tss-lib takes away what they add, and is left with nothing.
func edPoint(x, y []byte) error {
	point, err := onCurve(tsslib.Edwards(), x, y)
	if err != nil {
		return err
	}
	encoded := point.Y().FillBytes(make([]byte, 32))
	slices.Reverse(encoded)
	encoded[31] |= byte(point.X().Bit(0)) << 7
	p, err := new(edwards25519.Point).SetBytes(encoded)
	if err != nil {
		return errNoPoint
	}
	if p.MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return errors.New("a point of small order")
	}
	return nil
}
