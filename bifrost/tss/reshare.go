package tss

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/vss"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/sanity"
)

// Reshare hands a vault's keys on to the members of its next epoch, together with them and the
// dealers of the present one. For a member of the next epoch it ends as [Node.Keygen] does, with
// the keys that the vault has and new keyshares. A dealer that is none ends when all members have
// said that their shares are right; it keeps nothing, and its result is the vault's keys alone.
//
// It changes none of the keyshares of the present epoch, which still sign.
func (n *Node) Reshare(
	ctx context.Context, r ceremony.ReshareRequest,
) (*ceremony.KeygenResult, error) {
	d, err := describeReshare(r)
	if err != nil {
		return nil, err
	}
	self := indexOf(d.members, n.pub)
	if self < 0 {
		return nil, errors.New("this node's signer takes no part in the reshare")
	}
	if d, err = d.in(r.ID, r.Session, r.Taking()); err != nil {
		return nil, err
	}
	ec, ed, err := n.hand(r, d)
	if err != nil {
		return nil, err
	}
	var pre *eckeygen.LocalPreParams
	if d.gets(self) {
		if pre, err = n.prepare(ctx, r.KeygenRequest); err != nil {
			return nil, err
		}
	}
	d.build = func(at seat) ([]*instance, error) {
		first, err := newECDSAReshare(at, r.Threshold, ec, pre)
		if err != nil {
			return nil, err
		}
		return []*instance{first, newEdDSAReshare(at, r.Threshold, ed, pre)}, nil
	}
	if d.gets(self) {
		return n.makeKeyshares(ctx, d, r.KeygenRequest)
	}
	if _, err := n.run(ctx, d); err != nil {
		return nil, err
	}
	return &ceremony.KeygenResult{Secp256k1: r.Secp256k1, Ed25519: r.Ed25519}, nil
}

func describeReshare(r ceremony.ReshareRequest) (description, error) {
	d := description{kind: "reshare", public: true, left: r.Left}
	var err error
	if d.members, d.parties, err = checkMembers(r.ID, r.Taking()); err != nil {
		return d, err
	}
	lists := [][][]byte{r.From.Members, r.From.Dealers, r.Members}
	for i, list := range lists {
		if lists[i], _, err = checkMembers(r.ID, list); err != nil {
			return d, err
		}
	}
	old, dealing, members := lists[0], lists[1], lists[2]
	if len(dealing) != r.From.Threshold {
		return d, fmt.Errorf("%d dealers and a threshold of %d", len(dealing), r.From.Threshold)
	}
	if r.Threshold < 2 || r.Threshold > len(members) {
		return d, fmt.Errorf("a threshold of %d with %d members", r.Threshold, len(members))
	}
	if r.Epoch <= r.From.Number {
		return d, fmt.Errorf("epoch %d would follow %d", r.Epoch, r.From.Number)
	}
	if len(r.From.Secp256k1) != len(old) || len(r.From.Ed25519) != len(old) {
		return d, errors.New("a reshare needs a public share of each member for both keys")
	}
	for _, m := range dealing {
		if !among(old, m) {
			return d, fmt.Errorf("dealer %x is not of epoch %d", m, r.From.Number)
		}
	}
	stay, come := 0, len(members)
	for _, m := range d.members {
		d.dealing = append(d.dealing, among(dealing, m))
		d.getting = append(d.getting, among(members, m))
		if among(dealing, m) && !among(members, m) {
			stay++
		}
		if among(old, m) && among(members, m) {
			come--
		}
	}
	// Of each epoch's members so many may be malicious, and a member of both is one of both's.
	ofOld, ofNew := len(old)-r.From.Threshold, len(members)-r.Threshold
	d.malicious = min(ofOld+min(ofNew, come), ofNew+min(ofOld, stay))

	agreed := [][]byte{r.Secp256k1, r.Ed25519}
	for _, v := range []uint64{
		r.From.Number, r.Epoch, uint64(r.From.Threshold), uint64(r.Threshold),
		uint64(len(old)), uint64(len(dealing)), uint64(len(members)),
	} {
		agreed = append(agreed, binary.BigEndian.AppendUint64(nil, v))
	}
	for _, list := range lists {
		agreed = append(agreed, list...)
	}
	for _, m := range old {
		i := indexOf(r.From.Members, m)
		agreed = append(agreed, r.From.Secp256k1[i], r.From.Ed25519[i])
	}
	d.digest = digest(d.kind, r.ID, agreed...)
	return d, d.give(r.Envelopes)
}

func among(members [][]byte, member []byte) bool { return indexOf(members, member) >= 0 }

// handed is what is known of one of a vault's keys before it is reshared.
type handed struct {
	key *crypto.ECPoint
	// dealt is, by member, what a dealer deals, times the base point: its public share times its
	// weight among the dealers. All of them add up to the key.
	dealt []*crypto.ECPoint
	// secret is what this member deals, if it is a dealer.
	secret *big.Int
}

// hand makes what is known of both keys, and checks a dealer's own keyshares.
func (n *Node) hand(r ceremony.ReshareRequest, d description) (ec, ed *handed, err error) {
	ec, err = newHanded(tsslib.S256(), d, r.Secp256k1, r.From, r.From.Secp256k1)
	if err != nil {
		return nil, nil, fmt.Errorf("the vault's secp256k1 key: %w", err)
	}
	ed, err = newHanded(tsslib.Edwards(), d, r.Ed25519, r.From, r.From.Ed25519)
	if err != nil {
		return nil, nil, fmt.Errorf("the vault's ed25519 key: %w", err)
	}
	if !among(r.From.Dealers, n.pub) {
		return ec, ed, nil
	}
	for _, f := range r.Keyshares {
		share, err := keyshare.Parse(f.Data)
		if err != nil {
			return nil, nil, err
		}
		err = n.take(r, share, map[keyshare.Curve]*handed{
			keyshare.Secp256k1: ec, keyshare.Ed25519: ed,
		}[share.Curve()])
		share.Wipe()
		if err != nil {
			return nil, nil, err
		}
	}
	if ec.secret == nil || ed.secret == nil {
		return nil, nil, errors.New("a dealer needs its keyshares of both keys")
	}
	return ec, ed, nil
}

// take takes what this member deals from its keyshare, which has to be of the epoch that hands on.
func (n *Node) take(r ceremony.ReshareRequest, share *keyshare.Keyshare, h *handed) error {
	err := share.Check(
		keyshare.VaultKeys{Secp256k1: r.Secp256k1, Ed25519: r.Ed25519}, n.pub, r.From.Members,
	)
	if err != nil {
		return err
	}
	public, err := share.PublicShares(r.From.Number)
	if err != nil {
		return err
	}
	inState, curve := r.From.Secp256k1, tsslib.S256()
	if share.Curve() == keyshare.Ed25519 {
		inState, curve = r.From.Ed25519, tsslib.Edwards()
	}
	for _, p := range public {
		if !bytes.Equal(p.Point, inState[indexOf(r.From.Members, p.Member)]) {
			return fmt.Errorf(
				"the %s keyshare is not of epoch %d: it has another public share of member %x",
				share.Curve(), r.From.Number, p.Member,
			)
		}
	}
	order := curve.Params().N
	at, own := places(r.From.Dealers), indexOf(r.From.Dealers, n.pub)
	x := new(big.Int)
	if share.Curve() == keyshare.Ed25519 {
		x.Set(share.EdDSA().Xi)
	} else {
		x.Set(share.ECDSA().Xi)
	}
	h.secret = new(big.Int).Mod(mul(x, weights(at, order)[own]), order)
	wipe(x)
	return nil
}

// places are where members' shares lie.
func places(members [][]byte) (at []*big.Int) {
	for _, m := range members {
		at = append(at, number(m))
	}
	return at
}

// wipe overwrites a number.
func wipe(v *big.Int) {
	bits := v.Bits()
	clear(bits[:cap(bits)])
	v.SetInt64(0)
}

func newHanded(
	curve elliptic.Curve, d description, key []byte, from ceremony.Epoch, shares [][]byte,
) (*handed, error) {
	for _, members := range [][][]byte{from.Dealers, d.receivers()} {
		if _, err := vss.CheckIndexes(curve, places(members)); err != nil {
			return nil, err
		}
	}
	h := &handed{dealt: make([]*crypto.ECPoint, len(d.members))}
	var err error
	if h.key, err = parsePoint(curve, key); err != nil {
		return nil, err
	}
	var all []*crypto.ECPoint
	for i, weight := range weights(places(from.Dealers), curve.Params().N) {
		dealer := from.Dealers[i]
		share, err := parsePoint(curve, shares[indexOf(from.Members, dealer)])
		if err != nil {
			return nil, fmt.Errorf("the public share of member %x: %w", dealer, err)
		}
		dealt, err := combine(curve, []*big.Int{weight}, []*crypto.ECPoint{share})
		if err != nil {
			return nil, fmt.Errorf("the public share of member %x: %w", dealer, err)
		}
		h.dealt[indexOf(d.members, dealer)] = dealt
		all = append(all, dealt)
	}
	sum, err := combine(curve, nil, all)
	if err != nil || !sum.Equals(h.key) {
		return nil, errors.New("the dealers' public shares do not give it")
	}
	return h, nil
}

func newECDSAReshare(
	at seat, threshold int, h *handed, pre *eckeygen.LocalPreParams,
) (*instance, error) {
	k := newKnown(ecdsaReshare, at, threshold-1)
	k.handed, k.parameters = h, make([]sanity.Parameters, len(at.ids))
	in, party := newReshare(k, at, pre)
	in.admission = new(admission)
	if pre != nil {
		fresh := freshBases(in.random, *pre)
		party.pre = &fresh
		var err error
		if in.admission.proof, err = proveParameters(in.random, k, fresh); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func newEdDSAReshare(
	at seat, threshold int, h *handed, pre *eckeygen.LocalPreParams,
) *instance {
	k := newKnown(eddsaReshare, at, threshold-1)
	k.handed = h
	in, _ := newReshare(k, at, pre)
	return in
}

// newReshare makes an instance with a party of ours. Beside its random numbers it takes what this
// member has that is secret: what it deals, or its Paillier key.
func newReshare(
	k *known, at seat, pre *eckeygen.LocalPreParams,
) (*instance, *resharing) {
	secret := []byte(nil)
	if k.handed.secret != nil {
		secret = append(secret, k.handed.secret.Bytes()...)
	}
	if pre != nil {
		secret = append(secret, pre.PaillierSK.PhiN.Bytes()...)
	}
	random, out := newRandom(at.session, k.protocol.name, secret), newOut(len(at.ids))
	party := newResharing(k, random, out)
	return &instance{
		protocol: k.protocol, known: k, random: random, party: party, out: out, end: party.end,
	}, party
}
