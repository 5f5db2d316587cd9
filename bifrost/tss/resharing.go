package tss

import (
	"bytes"
	"crypto/elliptic"
	"errors"
	"io"
	"math/big"

	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/commitments"
	"github.com/bnb-chain/tss-lib/v2/crypto/dlnproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/facproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/paillier"
	"github.com/bnb-chain/tss-lib/v2/crypto/vss"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	ecresharing "github.com/bnb-chain/tss-lib/v2/ecdsa/resharing"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	edresharing "github.com/bnb-chain/tss-lib/v2/eddsa/resharing"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"google.golang.org/protobuf/proto"
)

// A resharing is a member's party in the reshare of one key. The protocol and its messages are
// those of tss-lib's resharing, whose parties are not run: docs/adr/0026-resharing.md says why.
//
// Each dealer shares its weighted share anew, under a commitment that is opened when all dealers
// have committed. The new share is the sum of what all dealers gave. What comes here was checked:
// that a share fits what was opened, and that this opens to the dealer's public share.
type resharing struct {
	known  *known
	random io.Reader
	pre    *eckeygen.LocalPreParams // of who gets a share of the secp256k1 key
	out    chan<- tsslib.Message
	// begin makes what is said at first, and give what is when all have committed, and proven their
	// parameters.
	begin, give func() ([]tsslib.Message, error)
	given       bool
	opening     commitments.HashDeCommitment
	shares      vss.Shares // by who gets them
	sum         *big.Int   // of the shares for this member
	ended       bool
}

func newResharing(k *known, random io.Reader, out chan<- tsslib.Message) *resharing {
	r := &resharing{known: k, random: random, out: out, sum: new(big.Int)}
	r.begin, r.give = r.commit, r.deal
	return r
}

// Start says what is said at first.
func (r *resharing) Start() *tsslib.Error { return r.say(r.begin) }

// Update takes in what a member sent.
func (r *resharing) Update(m tsslib.ParsedMessage) (bool, *tsslib.Error) {
	if share, ok := m.Content().(interface{ GetShare() []byte }); ok {
		r.add(number(share.GetShare()))
	}
	k := r.known
	if r.given || !k.complete(k.protocol.commitment) || r.secp() && !k.complete(keygenProof) {
		return true, nil
	}
	r.given = true
	if err := r.say(r.give); err != nil {
		return false, err
	}
	return true, nil
}

func (r *resharing) say(what func() ([]tsslib.Message, error)) *tsslib.Error {
	k := r.known
	all, err := what()
	if err != nil {
		return tsslib.NewError(err, k.protocol.name, 0, k.ids[k.self])
	}
	for _, m := range all {
		r.out <- m
	}
	return nil
}

func (r *resharing) add(share *big.Int) {
	r.sum.Add(r.sum, share).Mod(r.sum, r.curve().Params().N)
}

func (r *resharing) curve() elliptic.Curve { return r.known.protocol.curve() }

// secp reports whether this is about the secp256k1 key, which goes with parameters.
func (r *resharing) secp() bool { return r.known.protocol.proofParts > 0 }

func (r *resharing) broadcast(content tsslib.MessageContent) tsslib.Message {
	meta := tsslib.MessageRouting{From: r.known.ids[r.known.self], IsBroadcast: true}
	return tsslib.NewMessage(meta, content, tsslib.NewMessageWrapper(meta, content))
}

// commit makes a dealer's polynomial and commits to it, and tells the parameters of who gets a
// share.
func (r *resharing) commit() (said []tsslib.Message, err error) {
	k := r.known
	if k.deals(k.self) {
		m, err := r.commitment()
		if err != nil {
			return nil, err
		}
		said = append(said, r.broadcast(m))
	}
	if r.secp() && k.gets(k.self) {
		m, err := r.parameters()
		if err != nil {
			return nil, err
		}
		said = append(said, r.broadcast(m))
	}
	return said, nil
}

func (r *resharing) commitment() (tsslib.MessageContent, error) {
	k := r.known
	polynomial, shares, err := vss.Create(
		r.curve(), k.threshold, k.handed.secret, k.places(), r.random,
	)
	if err != nil {
		return nil, err
	}
	wipe(k.handed.secret)
	flat, err := crypto.FlattenECPoints(polynomial)
	if err != nil {
		return nil, err
	}
	c := commitments.NewHashCommitment(r.random, flat...)
	r.shares, r.opening = shares, c.D
	x, y := k.handed.key.X().Bytes(), k.handed.key.Y().Bytes()
	if r.secp() {
		return &ecresharing.DGRound1Message{
			EcdsaPubX: x, EcdsaPubY: y, VCommitment: c.C.Bytes(),
			Ssid: k.context(k.self, partCommitment),
		}, nil
	}
	return &edresharing.DGRound1Message{EddsaPubX: x, EddsaPubY: y, VCommitment: c.C.Bytes()}, nil
}

// parameters are this member's own, with the proofs that H1 and H2 are powers of each other.
func (r *resharing) parameters() (*ecresharing.DGRound2Message1, error) {
	p := r.pre
	first, err := dlnproof.NewDLNProof(
		p.H1i, p.H2i, p.Alpha, p.P, p.Q, p.NTildei, r.random,
	).Serialize()
	if err != nil {
		return nil, err
	}
	second, err := dlnproof.NewDLNProof(
		p.H2i, p.H1i, p.Beta, p.P, p.Q, p.NTildei, r.random,
	).Serialize()
	if err != nil {
		return nil, err
	}
	return &ecresharing.DGRound2Message1{
		PaillierN: p.PaillierSK.N.Bytes(), NTilde: p.NTildei.Bytes(),
		H1: p.H1i.Bytes(), H2: p.H2i.Bytes(), Dlnproof_1: first, Dlnproof_2: second,
	}, nil
}

// deal opens a dealer's polynomial, and makes what this member has for each of those who get
// shares: a share of a dealer's, and for the secp256k1 key a proof of who gets one itself.
func (r *resharing) deal() (said []tsslib.Message, err error) {
	k := r.known
	if k.deals(k.self) {
		opening := common.BigIntsToBytes(r.opening)
		if r.secp() {
			said = append(said, r.broadcast(&ecresharing.DGRound3Message2{VDecommitment: opening}))
		} else {
			said = append(said, r.broadcast(&edresharing.DGRound3Message2{VDecommitment: opening}))
		}
	}
	shares := r.shares
	for i := range k.members {
		if !k.gets(i) {
			continue
		}
		var share []byte
		if k.deals(k.self) {
			share = shares[0].Share.Bytes()
			if i == k.self {
				r.add(shares[0].Share)
			}
			shares = shares[1:]
		}
		if i == k.self {
			continue
		}
		if !r.secp() {
			if k.deals(k.self) {
				said = append(said, k.give(k.self, i, &edkeygen.KGRound2Message1{Share: share}))
			}
			continue
		}
		proof, err := r.factors(i)
		if err != nil {
			return nil, err
		}
		said = append(said, k.give(k.self, i, &eckeygen.KGRound2Message1{
			Share: share, FacProof: proof,
		}))
	}
	return said, nil
}

// factors proves to another member that this one's Paillier modulus has no small factor.
func (r *resharing) factors(to int) ([][]byte, error) {
	k := r.known
	if !k.gets(k.self) {
		return nil, nil
	}
	key, other := r.pre.PaillierSK, k.parameters[to]
	proof, err := facproof.NewProof(
		k.factorsContext(k.self, to), r.curve(), key.N,
		other.NTilde, other.H1, other.H2, key.P, key.Q, r.random,
	)
	if err != nil {
		return nil, err
	}
	parts := proof.Bytes()
	return parts[:], nil
}

// end gives the result, once: what tss-lib saves for who gets a share.
func (r *resharing) end() (any, bool) {
	k := r.known
	p := k.protocol
	if r.ended || !r.given || !k.complete(p.shares) || !k.complete(p.opening) {
		return nil, false
	}
	if !k.gets(k.self) {
		r.ended = true
		return struct{}{}, true
	}
	for author := range k.members {
		if author != k.self && k.gives(author) && !k.sharesRight[author] {
			return nil, false
		}
	}
	r.ended = true
	points, err := r.publicShares()
	if err != nil {
		return err, true
	}
	secrets := eckeygen.LocalSecrets{Xi: r.sum, ShareID: k.ids[k.self].KeyInt()}
	if !r.secp() {
		return &edkeygen.LocalPartySaveData{
			LocalSecrets: edkeygen.LocalSecrets(secrets),
			Ks:           k.places(), BigXj: points, EDDSAPub: k.handed.key,
		}, true
	}
	out := &eckeygen.LocalPartySaveData{
		LocalPreParams: *r.pre, LocalSecrets: secrets,
		Ks: k.places(), BigXj: points, ECDSAPub: k.handed.key,
	}
	for i, q := range k.parameters {
		if k.gets(i) {
			out.PaillierPKs = append(out.PaillierPKs, &paillier.PublicKey{N: q.N})
			out.NTildej = append(out.NTildej, q.NTilde)
			out.H1j, out.H2j = append(out.H1j, q.H1), append(out.H2j, q.H2)
		}
	}
	return out, true
}

// publicShares are those of who gets shares: values of the sum of the dealers' polynomials.
func (r *resharing) publicShares() (shares []*crypto.ECPoint, err error) {
	k := r.known
	sum := make([]*crypto.ECPoint, k.threshold+1)
	for c := range sum {
		var all []*crypto.ECPoint
		for dealer := range k.members {
			if k.deals(dealer) {
				polynomial, err := k.polynomial(dealer)
				if err != nil {
					return nil, err
				}
				all = append(all, polynomial[c])
			}
		}
		if sum[c], err = combine(r.curve(), nil, all); err != nil {
			return nil, err
		}
	}
	for _, id := range k.places() {
		power, powers := big.NewInt(1), []*big.Int(nil)
		for range sum {
			powers = append(powers, power)
			power = new(big.Int).Mod(mul(power, id), r.curve().Params().N)
		}
		share, err := combine(r.curve(), powers, sum)
		if err != nil {
			return nil, err
		}
		shares = append(shares, share)
	}
	return shares, nil
}

// places are where the shares of those lie who get some.
func (k *known) places() (at []*big.Int) {
	for i, id := range k.ids.Keys() {
		if k.gets(i) {
			at = append(at, id)
		}
	}
	return at
}

// partCommitment is what tss-lib's message has a field for, of the secp256k1 key.
const partCommitment = "commitment to a polynomial"

func checkECReshare1(k *known, from int, content proto.Message) error {
	m := content.(*ecresharing.DGRound1Message)
	if !bytes.Equal(m.Ssid, k.context(from, partCommitment)) {
		return errors.New("is of another session, or another author's")
	}
	return k.checkDealer(m.VCommitment, m.EcdsaPubX, m.EcdsaPubY)
}

func checkEdReshare1(k *known, _ int, content proto.Message) error {
	m := content.(*edresharing.DGRound1Message)
	return k.checkDealer(m.VCommitment, m.EddsaPubX, m.EddsaPubY)
}

// checkDealer wants a commitment beside the vault's key.
func (k *known) checkDealer(commitment, x, y []byte) error {
	if len(commitment) > hashSize {
		return errors.New("commitment is too long")
	}
	return isPoint(k.handed.key, x, y, "it is of another key than the vault's")
}

func isPoint(want *crypto.ECPoint, x, y []byte, otherwise string) error {
	if number(x).Cmp(want.X()) != 0 || number(y).Cmp(want.Y()) != 0 {
		return errors.New(otherwise)
	}
	return nil
}

// checkECReshare2 verifies the proofs of the bases too: who gets shares proves its factors with the
// others' in the next round.
func checkECReshare2(k *known, from int, content proto.Message) error {
	m := content.(*ecresharing.DGRound2Message1)
	if err := k.isCommitted(from, m); err != nil {
		return err
	}
	if err := checkNoModProof(m.ModProof); err != nil {
		return err
	}
	if err := checkParameters(m); err != nil {
		return err
	}
	first, err := m.UnmarshalDLNProof1()
	if err != nil {
		return err
	}
	second, err := m.UnmarshalDLNProof2()
	if err != nil {
		return err
	}
	p := parametersOf(m)
	if !first.Verify(p.H1, p.H2, p.NTilde) || !second.Verify(p.H2, p.H1, p.NTilde) {
		return errors.New("H1 and H2 are not proven to be powers of each other")
	}
	return nil
}

func checkECReshare3(k *known, from int, content proto.Message) error {
	return k.checkDealt(from, content.(*ecresharing.DGRound3Message2).VDecommitment, secpPoint)
}

func checkEdReshare3(k *known, from int, content proto.Message) error {
	return k.checkDealt(from, content.(*edresharing.DGRound3Message2).VDecommitment, edPrimePoint)
}

// checkDealt checks what a dealer opens: its polynomial has its weighted share of the vault's key
// as the value at zero, so that what all deal gives that key.
func (k *known) checkDealt(from int, opening [][]byte, check func(x, y []byte) error) error {
	if err := checkPoints(opening, k.threshold+1, check); err != nil {
		return err
	}
	if err := k.opens(int(k.protocol.commitment), from, opening); err != nil {
		return err
	}
	return isPoint(
		k.handed.dealt[from], opening[1], opening[2],
		"deals something else than its share of the vault's key",
	)
}
