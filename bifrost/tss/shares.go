package tss

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/big"

	"filippo.io/edwards25519"
	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/facproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/vss"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"golang.org/x/crypto/chacha20poly1305"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Shares in a keygen. An author encrypts each member's share to it and tells all members all of
// them in one broadcast, so that whoever withholds one withholds them all. The key is that of the
// two session keys, which both sides can compute. Who gets a wrong share says so in its receipt,
// and opens the secret of the two keys with a proof that it is theirs: then everybody decrypts the
// same share, checks it against what its author committed to, and knows who of the two it was.
// What that reveals belongs to an attempt that is over.

const (
	shareSize  = 32
	sealedSize = shareSize + chacha20poly1305.Overhead
	// openingSize: the author, the point, and the proof's challenge and answer.
	openingSize = 2 + pointSize + 2*shareSize
)

var (
	errShares  = errors.New("the list of shares has the wrong form")
	errReceipt = errors.New("the receipt has the wrong form")
)

// sessionKeys are those of a session's members.
type sessionKeys struct {
	own *secp256k1.PrivateKey
	all []*secp256k1.PublicKey
}

// with returns the secret point of this member's key and another's.
func (k *sessionKeys) with(other int) (out point) {
	copy(out[:], multiply(&k.own.Key, k.all[other]).SerializeCompressed())
	return out
}

func multiply(scalar *secp256k1.ModNScalar, p *secp256k1.PublicKey) *secp256k1.PublicKey {
	var in, out secp256k1.JacobianPoint
	p.AsJacobian(&in)
	secp256k1.ScalarMultNonConst(scalar, &in, &out)
	out.ToAffine()
	return secp256k1.NewPublicKey(&out.X, &out.Y)
}

// shareKey derives what one share is encrypted under, once.
func (k *known) shareKey(secret point, author, receiver int) ([]byte, error) {
	info := append(k.context(author, "share of "+k.protocol.name), k.members[receiver]...)
	return hkdf.Key(sha256.New, secret[:], nil, string(info), chacha20poly1305.KeySize)
}

// others are those beside this member who get shares.
func (k *known) others() (count int) {
	for i := range k.members {
		if i != k.self && k.gets(i) {
			count++
		}
	}
	return count
}

// sealed is a share for one member as all members get it.
type sealed struct {
	share []byte   // encrypted
	proof [][]byte // Π-fac for the receiver's modulus, of an ECDSA keygen
}

// sealShares makes one broadcast of what a party has for each of the others.
func (k *known) sealShares(messages []tsslib.Message) (outgoing, error) {
	list := make([]*sealed, len(k.members))
	for _, m := range messages {
		to := m.GetTo()[0].Index
		entry := new(sealed)
		list[to] = entry
		var share []byte
		switch c := m.(tsslib.ParsedMessage).Content().(type) {
		case *eckeygen.KGRound2Message1:
			share, entry.proof = c.Share, c.FacProof
		case *edkeygen.KGRound2Message1:
			share = c.Share
		}
		if len(share) == 0 {
			continue
		}
		key, err := k.shareKey(k.keys.with(to), k.self, to)
		if err != nil {
			return outgoing{}, err
		}
		aead, err := chacha20poly1305.New(key)
		clear(key)
		if err != nil {
			return outgoing{}, err
		}
		padded := number(share).FillBytes(make([]byte, shareSize))
		entry.share = aead.Seal(nil, make([]byte, chacha20poly1305.NonceSize), padded, nil)
		clear(padded)
	}
	out, own := wrapOurs(k.protocol.shares, encodeShares(list))
	k.sent[k.protocol.shares][k.self] = own
	return out, nil
}

// encodeShares leaves out entries that are nil: the author's own, and of who gets no share.
func encodeShares(list []*sealed) (b []byte) {
	for _, e := range list {
		if e == nil {
			continue
		}
		b = appendProof(append(b, e.share...), e.proof)
	}
	return b
}

// appendProof adds the parts of a proof, each behind its length.
func appendProof(b []byte, proof [][]byte) []byte {
	b = append(b, byte(len(proof)))
	for _, part := range proof {
		b = binary.BigEndian.AppendUint16(b, uint16(len(part)))
		b = append(b, part...)
	}
	return b
}

// proof takes a proof of so many parts.
func (r *reader) proof(parts int) (proof [][]byte) {
	r.bad = int(r.byte()) != parts || r.bad
	for range parts {
		part := r.take(int(r.uint16()))
		r.bad = r.bad || len(part) > maxField
		proof = append(proof, part)
	}
	return proof
}

// decodeShares accepts what encodeShares gives for an author, and nothing else.
func (k *known) decodeShares(b []byte, author int) ([]*sealed, error) {
	size, parts := sealedSize, k.protocol.proofParts
	if !k.deals(author) {
		size = 0
	}
	if !k.gets(author) {
		parts = 0
	}
	r := &reader{rest: b}
	list := make([]*sealed, len(k.members))
	for i := range list {
		if i == author || !k.gets(i) {
			continue
		}
		list[i] = &sealed{share: r.take(size), proof: r.proof(parts)}
	}
	if r.bad || len(r.rest) > 0 {
		return nil, errShares
	}
	return list, nil
}

func (k *known) sharesOf(author int) ([]*sealed, error) {
	return k.decodeShares(k.sent[k.protocol.shares][author].(*wrapperspb.BytesValue).Value, author)
}

// gives reports whether an author has something for those who get shares.
func (k *known) gives(author int) bool {
	return k.sends(&k.protocol.steps[k.protocol.shares], author)
}

// checkShares looks at what everybody can see of a list of shares.
func checkShares(k *known, from int, content proto.Message) error {
	_, err := k.decodeShares(content.(*wrapperspb.BytesValue).Value, from)
	return err
}

// openShare decrypts and checks a share with the secret of its author's and its receiver's session
// keys, and checks the proof beside it. Whoever has that comes to the same conclusion.
func (k *known) openShare(secret point, author, receiver int) (tsslib.ParsedMessage, error) {
	if !k.gives(author) {
		return nil, nil
	}
	list, err := k.sharesOf(author)
	if err != nil {
		return nil, err
	}
	entry := list[receiver]
	if !k.deals(author) {
		return k.protocol.checkShare(k, nil, entry.proof, author, receiver)
	}
	key, err := k.shareKey(secret, author, receiver)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.New(key)
	clear(key)
	if err != nil {
		return nil, err
	}
	share, err := aead.Open(nil, make([]byte, chacha20poly1305.NonceSize), entry.share, nil)
	if err != nil {
		return nil, errors.New("sent a share that does not decrypt")
	}
	defer clear(share)
	if err := checkScalar(k.protocol.curve().Params().N, share); err != nil {
		return nil, errors.New("sent a share that is out of range")
	}
	return k.protocol.checkShare(k, share, entry.proof, author, receiver)
}

var errUnfitting = errors.New("sent a share that is not of its polynomial")

func checkECShare(
	k *known, share []byte, proof [][]byte, author, receiver int,
) (tsslib.ParsedMessage, error) {
	if k.deals(author) {
		points, err := k.polynomial(author)
		if err != nil {
			return nil, err
		}
		value := &vss.Share{
			Threshold: k.threshold, ID: k.ids[receiver].KeyInt(), Share: number(share),
		}
		if !value.Verify(k.protocol.curve(), k.threshold, points) {
			return nil, errUnfitting
		}
	}
	if k.gets(author) {
		if err := k.checkFactors(proof, author, receiver); err != nil {
			return nil, err
		}
	}
	return k.give(author, receiver, &eckeygen.KGRound2Message1{
		Share: bytes.Clone(share), FacProof: proof,
	}), nil
}

// give makes what one member has for another.
func (k *known) give(
	author, receiver int, content tsslib.MessageContent,
) tsslib.ParsedMessage {
	meta := tsslib.MessageRouting{
		From: k.ids[author], To: []*tsslib.PartyID{k.ids[receiver]},
	}
	return tsslib.NewMessage(meta, content, tsslib.NewMessageWrapper(meta, content))
}

func checkEdShare(
	k *known, share []byte, _ [][]byte, author, receiver int,
) (tsslib.ParsedMessage, error) {
	points, err := k.polynomial(author)
	if err != nil {
		return nil, err
	}
	if !fitsEd(number(share), k.ids[receiver].KeyInt(), points) {
		return nil, errUnfitting
	}
	return k.give(author, receiver, &edkeygen.KGRound2Message1{Share: bytes.Clone(share)}), nil
}

// fitsEd compares a share of a receiver with a polynomial of ed25519, in a small part of the time
// that tss-lib takes to. Like it, it takes the parts of the points in the prime-order group: all is
// multiplied by eight.
func fitsEd(share, id *big.Int, polynomial []*crypto.ECPoint) bool {
	order := tsslib.Edwards().Params().N
	powers := make([]*edwards25519.Scalar, len(polynomial))
	points := make([]*edwards25519.Point, len(polynomial))
	power := big.NewInt(1)
	for i, p := range polynomial {
		powers[i], points[i] = edScalar(power), mustPoint(p.X(), p.Y())
		power = new(big.Int).Mod(mul(power, id), order)
	}
	want := new(edwards25519.Point).VarTimeMultiScalarMult(powers, points)
	got := new(edwards25519.Point).ScalarBaseMult(edScalar(share))
	return got.MultByCofactor(got).Equal(want.MultByCofactor(want)) == 1
}

// polynomial returns the points that an author committed to.
func (k *known) polynomial(author int) ([]*crypto.ECPoint, error) {
	var opening [][]byte
	switch m := k.sent[k.protocol.opening][author].(type) {
	case interface{ GetDeCommitment() [][]byte }:
		opening = m.GetDeCommitment()
	case interface{ GetVDecommitment() [][]byte }:
		opening = m.GetVDecommitment()
	}
	points, err := crypto.UnFlattenECPoints(
		k.protocol.curve(), common.MultiBytesToBigInts(opening[1:]),
	)
	if err != nil {
		return nil, errors.New("committed to what are no points")
	}
	return points, nil
}

// ssidOf is what tss-lib binds an author's Π-fac to.
func (k *known) ssidOf(author, _ int) []byte {
	return common.AppendBigIntToBytesSlice(k.ssid(), big.NewInt(int64(author)))
}

// checkFactors verifies an author's Π-fac for a receiver's modulus.
func (k *known) checkFactors(proof [][]byte, author, receiver int) error {
	context := k.protocol.proofContext(k, author, receiver)
	return k.checkFactorsIn(context, proof, author, receiver)
}

// checkFactorsIn verifies a Π-fac that is bound to a context.
func (k *known) checkFactorsIn(context []byte, proof [][]byte, author, receiver int) error {
	to, n := k.parameters[receiver], k.parameters[author].N
	if err := checkFacProof(to.NTilde, n, proof); err != nil {
		return err
	}
	pf, err := facproof.NewProofFromBytes(proof)
	if err != nil {
		return errors.New("sent a malformed fac proof")
	}
	if !pf.Verify(context, tsslib.S256(), n, to.NTilde, to.H1, to.H2) {
		return errors.New("sent a fac proof that does not hold")
	}
	return nil
}

// ssid is what tss-lib's keygen binds its proofs to: the curve, the parties, round 1 and a zero.
func (k *known) ssid() []byte {
	p := k.protocol.curve().Params()
	list := append([]*big.Int{p.P, p.N, p.Gx, p.Gy}, k.ids.Keys()...)
	return common.SHA512_256i(append(list, big.NewInt(1), new(big.Int))...).Bytes()
}

// An opening shows the secret of the accuser's and an author's session keys.
type opening struct {
	author            int
	secret            point
	challenge, answer secp256k1.ModNScalar
}

// open makes the opening for a share by this author, and proves that its discrete logarithm to the
// author's key is that of this member's key (Chaum and Pedersen, "Wallet databases with observers",
// 1992).
func (k *known) open(random io.Reader, author int) ([]byte, error) {
	var b [shareSize]byte
	var w secp256k1.ModNScalar
	for w.IsZero() {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return nil, err
		}
		w.SetBytes(&b)
	}
	clear(b[:])
	o := opening{author: author, secret: k.keys.with(author)}
	var base secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(&w, &base)
	base.ToAffine()
	commitment := secp256k1.NewPublicKey(&base.X, &base.Y)
	o.challenge = k.challenge(k.self, &o, commitment, multiply(&w, k.keys.all[author]))
	o.answer.Mul2(&o.challenge, &k.keys.own.Key).Add(&w)
	w.Zero()
	return o.encode(), nil
}

func (k *known) challenge(
	accuser int, o *opening, onBase, onKey *secp256k1.PublicKey,
) (c secp256k1.ModNScalar) {
	b := k.context(accuser, "opening of "+k.protocol.name)
	for _, p := range []*secp256k1.PublicKey{
		k.keys.all[accuser], k.keys.all[o.author], onBase, onKey,
	} {
		b = append(b, p.SerializeCompressed()...)
	}
	sum := sha256.Sum256(append(b, o.secret[:]...))
	c.SetBytes(&sum)
	return c
}

// proven reports whether the secret is that of the two keys.
func (k *known) proven(accuser int, o *opening) bool {
	secret, err := secp256k1.ParsePubKey(o.secret[:])
	if err != nil {
		return false
	}
	var minus secp256k1.ModNScalar
	minus.NegateVal(&o.challenge)
	var base, own, key, shared, onBase, onKey secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(&o.answer, &base)
	k.keys.all[accuser].AsJacobian(&own)
	secp256k1.ScalarMultNonConst(&minus, &own, &own)
	secp256k1.AddNonConst(&base, &own, &onBase)
	k.keys.all[o.author].AsJacobian(&key)
	secp256k1.ScalarMultNonConst(&o.answer, &key, &key)
	secret.AsJacobian(&shared)
	secp256k1.ScalarMultNonConst(&minus, &shared, &shared)
	secp256k1.AddNonConst(&key, &shared, &onKey)
	for _, p := range []*secp256k1.JacobianPoint{&onBase, &onKey} {
		if p.X.IsZero() && p.Y.IsZero() || p.Z.IsZero() {
			return false
		}
		p.ToAffine()
	}
	c := k.challenge(
		accuser, o,
		secp256k1.NewPublicKey(&onBase.X, &onBase.Y), secp256k1.NewPublicKey(&onKey.X, &onKey.Y),
	)
	return c.Equals(&o.challenge)
}

func (o *opening) encode() []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(o.author))
	b = append(b, o.secret[:]...)
	challenge, answer := o.challenge.Bytes(), o.answer.Bytes()
	return append(append(b, challenge[:]...), answer[:]...)
}

// decodeReceipt reads the openings of a receipt by this member: ascending by author, none for
// itself.
func decodeReceipt(b []byte, from, members int) ([]*opening, error) {
	if len(b)%openingSize != 0 || len(b)/openingSize >= members {
		return nil, errReceipt
	}
	var list []*opening
	last := -1
	for r := (&reader{rest: b}); len(r.rest) > 0; {
		o := &opening{author: int(r.uint16())}
		r.copy(o.secret[:])
		for _, v := range []*secp256k1.ModNScalar{&o.challenge, &o.answer} {
			if v.SetByteSlice(r.take(shareSize)) {
				return nil, errReceipt
			}
		}
		if o.author <= last || o.author >= members || o.author == from {
			return nil, errReceipt
		}
		last = o.author
		list = append(list, o)
	}
	return list, nil
}

func checkReceipt(k *known, from int, content proto.Message) error {
	_, err := decodeReceipt(content.(*wrapperspb.BytesValue).Value, from, len(k.members))
	return err
}

// judge decides about each complaint in a receipt: the accused did wrong, or the accuser.
func (k *known) judge(accuser int, receipt []byte) (faults []fault) {
	list, err := decodeReceipt(receipt, accuser, len(k.members))
	if err != nil {
		return nil // it was checked
	}
	for _, o := range list {
		if !k.proven(accuser, o) {
			faults = append(faults, fault{
				members: []int{accuser}, reason: "complained with an opening that proves nothing",
			})
			continue
		}
		if _, err := k.openShare(o.secret, o.author, accuser); err != nil {
			faults = append(faults, fault{members: []int{o.author}, reason: err.Error()})
		} else {
			faults = append(faults, fault{
				members: []int{accuser}, reason: "complained of a share that is right",
			})
		}
	}
	return faults
}

// receipt gives this member's word on all shares, with an opening for each that is wrong.
func (k *known) receipt(random io.Reader) (outgoing, []fault, error) {
	var b []byte
	for author := range k.members {
		if author == k.self || k.sharesRight[author] || !k.gives(author) {
			continue
		}
		o, err := k.open(random, author)
		if err != nil {
			return outgoing{}, nil, err
		}
		b = append(b, o...)
	}
	out, own := wrapOurs(k.protocol.receipt, b)
	k.sent[k.protocol.receipt][k.self] = own
	return out, k.judge(k.self, bytes.Clone(b)), nil
}
