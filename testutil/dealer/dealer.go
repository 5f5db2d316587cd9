// Package dealer deals out the shares of a vault's keys that a test knows, as a
// keygen would leave them: for tests that need public shares and proofs of given
// members without a ceremony.
package dealer

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"math/big"
	"slices"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Dealt are the shares of both keys of a vault.
type Dealt struct {
	// Public are the public shares of all members.
	Public types.PublicShares

	secret map[string][]verenc.Share
}

// Deal deals both keys among members, given by their compressed public keys; two
// thirds of them sign. The same keys and members give the same shares.
func Deal(key *secp256k1.PrivateKey, keyEd25519 ed25519.PrivateKey, members [][]byte) *Dealt {
	d := &Dealt{secret: map[string][]verenc.Share{}}
	d.Public.Secp256k1 = d.deal(verenc.Secp256k1, new(big.Int).SetBytes(key.Serialize()), members)
	d.Public.Ed25519 = d.deal(verenc.Ed25519, Scalar(keyEd25519), members)
	return d
}

// Shares are the secret shares of a member, given by its compressed public key, in
// the order in which a proof speaks of them.
func (d *Dealt) Shares(member []byte) []verenc.Share { return d.secret[string(member)] }

// epoch is any: all of them place shares alike.
const epoch = 1

func (d *Dealt) deal(group verenc.Group, secret *big.Int, members [][]byte) []types.PublicShare {
	order := Order(group)
	coefficients := []*big.Int{secret}
	for c := range verenc.Degree(len(members)) {
		h := sha512.Sum512(binary.BigEndian.AppendUint32(secret.Bytes(), uint32(c)))
		coefficients = append(coefficients, new(big.Int).Mod(new(big.Int).SetBytes(h[:]), order))
	}
	var list []types.PublicShare
	for _, m := range members {
		id, err := verenc.ShareID(group, epoch, m)
		if err != nil {
			panic(err)
		}
		at := new(big.Int).SetBytes(id)
		x := new(big.Int)
		for _, c := range slices.Backward(coefficients) {
			x.Mod(x.Add(x.Mul(x, at), c), order)
		}
		share, err := verenc.ShareFromInt(group, x)
		if err != nil {
			panic(err) // zero by a chance of 2⁻²⁵²
		}
		d.secret[string(m)] = append(d.secret[string(m)], share)
		list = append(list, types.PublicShare{Member: types.SignerAddress(m), Id: id, Point: share.Public().Point})
	}
	slices.SortFunc(list, func(a, b types.PublicShare) int { return bytes.Compare(a.Id, b.Id) })
	return list
}

// Order is the order of the group.
func Order(group verenc.Group) *big.Int {
	if group == verenc.Secp256k1 {
		return secp256k1.Params().N
	}
	// The order of edwards25519 is one more than the scalar −1.
	minusOne := edwards25519.NewScalar().Negate(one()).Bytes()
	slices.Reverse(minusOne)
	n := new(big.Int).SetBytes(minusOne)
	return n.Add(n, big.NewInt(1))
}

func one() *edwards25519.Scalar {
	s, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...))
	if err != nil {
		panic(err)
	}
	return s
}

// Scalar is the number that an ed25519 key multiplies the base point with, modulo
// the order.
func Scalar(key ed25519.PrivateKey) *big.Int {
	hash := sha512.Sum512(key.Seed())
	s := hash[:32]
	s[0] &= 248
	s[31] = s[31]&127 | 64
	slices.Reverse(s)
	return new(big.Int).Mod(new(big.Int).SetBytes(s), Order(verenc.Ed25519))
}

// SignEd25519 signs a message with the scalar of an ed25519 key, 32 bytes little-endian,
// as RFC 8032 does from the scalar on: R = r·B, S = r + SHA-512(R ‖ A ‖ message)·a.
func SignEd25519(scalar, message []byte) []byte {
	a, err := edwards25519.NewScalar().SetCanonicalBytes(scalar)
	if err != nil {
		panic(err)
	}
	wide := func(parts ...[]byte) *edwards25519.Scalar {
		h := sha512.Sum512(slices.Concat(parts...))
		s, err := edwards25519.NewScalar().SetUniformBytes(h[:])
		if err != nil {
			panic(err) // 64 bytes always are one
		}
		return s
	}
	nonce := wide(scalar, message)
	r := new(edwards25519.Point).ScalarBaseMult(nonce).Bytes()
	public := new(edwards25519.Point).ScalarBaseMult(a).Bytes()
	return append(r, edwards25519.NewScalar().MultiplyAdd(wide(r, public, message), a, nonce).Bytes()...)
}

// RecipientKey is the recipient key that follows from a name, at an index.
func RecipientKey(name []byte, index uint32) *verenc.RecipientKey {
	seed := sha512.Sum512(append([]byte("tssbackup/testutil/dealer/"), name...))
	key, err := verenc.NewRecipientKey(seed[:], index)
	if err != nil {
		panic(err)
	}
	return key
}

// FakeProof is what stands for the proof of a statement where a test is about
// something else: a real one takes some 30 ms to make. Verify takes it.
func FakeProof(st verenc.Statement) []byte {
	ctx, err := st.Context()
	if err != nil {
		panic(err)
	}
	return append([]byte(fakePrefix), ctx[:]...)
}

const fakePrefix = "a fake proof of "

// Verify takes a fake proof of the statement, and asks verenc about all others. It
// returns the stored form.
func Verify(st verenc.Statement, proof []byte) ([]byte, error) {
	if !bytes.HasPrefix(proof, []byte(fakePrefix)) || !bytes.Equal(proof, FakeProof(st)) {
		stored, err := verenc.Verify(st, proof)
		if err != nil {
			return nil, err
		}
		return stored.Bytes(), nil
	}
	// A stored form that can be parsed: with any rows, and an admissible nonce.
	form := make([]byte, verenc.StoredSize(len(st.Shares)))
	form[0] = 1
	copy(form[1:], proof[len(fakePrefix):])
	sum := sha256.Sum256(proof)
	copy(form[33:], sum[:])
	for nonce := uint32(0); ; nonce++ {
		binary.BigEndian.PutUint32(form[65:], nonce)
		if _, err := verenc.ParseStored(form); err == nil {
			return form, nil
		}
	}
}
