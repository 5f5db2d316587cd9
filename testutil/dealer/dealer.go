// Package dealer deals out the shares of a vault's keys that a test knows, as a keygen would leave
// them: for tests that need public shares and proofs of given members, or their keyshare files,
// without a ceremony.
package dealer

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"slices"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/tssbackup/tssbackup/testutil/dealer/shamir"
	"github.com/tssbackup/tssbackup/verenc"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// PrivateKeys are those of a vault, which no real vault has anywhere. They sign what the members
// would sign together.
type PrivateKeys struct{ shamir.Keys }

// NewPrivateKeys returns the keys that follow from a name.
func NewPrivateKeys(name string) PrivateKeys { return PrivateKeys{shamir.NewKeys(name)} }

// Dealt are the shares of both keys of a vault.
type Dealt struct {
	// Public are the public shares of all members.
	Public types.PublicShares

	dealt *shamir.Dealt
}

// Deal deals the keys among members, given by their compressed public keys; two thirds of them
// sign. The same keys and members give the same shares.
func (k PrivateKeys) Deal(members [][]byte) *Dealt {
	d := &Dealt{dealt: k.Keys.Deal(members)}
	d.Public.Secp256k1, d.Public.Ed25519 = public(d.dealt.Secp256k1), public(d.dealt.Ed25519)
	return d
}

// Deal deals both keys, as the method of [PrivateKeys] does.
func Deal(key *secp256k1.PrivateKey, keyEd25519 ed25519.PrivateKey, members [][]byte) *Dealt {
	return PrivateKeys{shamir.Keys{Secp256k1: key, Ed25519: keyEd25519}}.Deal(members)
}

// Shares are the secret shares of a member, given by its compressed public key, in the order in
// which a proof speaks of them.
func (d *Dealt) Shares(member []byte) []verenc.Share { return d.dealt.Shares(member) }

func public(list []shamir.Entry) (all []types.PublicShare) {
	for _, e := range list {
		all = append(
			all,
			types.PublicShare{Member: types.SignerAddress(e.Member), Id: e.ID, Point: e.Point},
		)
	}
	return all
}

// SignEd25519 signs a message with the scalar of an ed25519 key, 32 bytes little-endian, as RFC
// 8032 does from the scalar on: R = r·B, S = r + SHA-512(R ‖ A ‖ message)·a.
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
	return append(
		r,
		edwards25519.NewScalar().MultiplyAdd(wide(r, public, message), a, nonce).Bytes()...)
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

// FakeProof is what stands for the proof of a statement where a test is about something else: a
// real one takes some 30 ms to make. Verify takes it.
func FakeProof(st verenc.Statement) []byte {
	ctx, err := st.Context()
	if err != nil {
		panic(err)
	}
	return append([]byte(fakePrefix), ctx[:]...)
}

const fakePrefix = "a fake proof of "

// Verify takes a fake proof of the statement, and asks verenc about all others. It returns the
// stored form.
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
