// Package shamir deals a vault's keys out among members, as a keygen would. It knows [verenc]
// alone, so that tests of what knows no chain need none either; package dealer puts the shares into
// the forms of the chain and of keyshare files.
package shamir

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"slices"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/tssbackup/tssbackup/verenc"
)

// Keys are the private keys of a vault, which no real vault has anywhere. They sign what the
// members would sign together.
type Keys struct {
	Secp256k1 *secp256k1.PrivateKey
	Ed25519   ed25519.PrivateKey
}

// NewKeys returns the keys that follow from a name.
func NewKeys(name string) Keys {
	seed := sha256.Sum256([]byte("tssbackup/testutil/dealer/vault/" + name))
	return Keys{
		Secp256k1: secp256k1.PrivKeyFromBytes(seed[:]),
		Ed25519:   ed25519.NewKeyFromSeed(seed[:]),
	}
}

// PubKey is the vault's compressed secp256k1 key, 33 bytes.
func (k Keys) PubKey() []byte { return k.Secp256k1.PubKey().SerializeCompressed() }

// PubKeyEd25519 is the vault's ed25519 key, 32 bytes.
func (k Keys) PubKeyEd25519() []byte { return k.Ed25519.Public().(ed25519.PublicKey) }

// Name is the vault's name: its secp256k1 key in lower-case hex.
func (k Keys) Name() string { return hex.EncodeToString(k.PubKey()) }

// Dealt are the shares of both keys of a vault.
type Dealt struct {
	// Secp256k1 and Ed25519 are all members' public shares, in ascending order of their ids.
	Secp256k1, Ed25519 []Entry

	secret map[string][]verenc.Share
}

// Entry is a member's public share of one key.
type Entry struct {
	// Member is the member's compressed public key.
	Member []byte
	verenc.Entry
}

// Deal deals the keys among members, given by their compressed public keys; two thirds of them
// sign. The same keys and members give the same shares.
func (k Keys) Deal(members [][]byte) *Dealt {
	d := &Dealt{secret: map[string][]verenc.Share{}}
	d.Secp256k1 = d.deal(verenc.Secp256k1, new(big.Int).SetBytes(k.Secp256k1.Serialize()), members)
	d.Ed25519 = d.deal(verenc.Ed25519, Scalar(k.Ed25519), members)
	return d
}

// Shares are the secret shares of a member, given by its compressed public key, in the order in
// which a proof speaks of them.
func (d *Dealt) Shares(member []byte) []verenc.Share { return d.secret[string(member)] }

// epoch is any: all of them place shares alike.
const epoch = 1

func (d *Dealt) deal(group verenc.Group, secret *big.Int, members [][]byte) []Entry {
	order := Order(group)
	coefficients := []*big.Int{secret}
	for c := range verenc.Degree(len(members)) {
		h := sha512.Sum512(binary.BigEndian.AppendUint32(secret.Bytes(), uint32(c)))
		coefficients = append(coefficients, new(big.Int).Mod(new(big.Int).SetBytes(h[:]), order))
	}
	var list []Entry
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
		list = append(list, Entry{m, verenc.Entry{ID: id, Point: share.Public().Point}})
	}
	slices.SortFunc(list, func(a, b Entry) int { return bytes.Compare(a.ID, b.ID) })
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

// Scalar is the number that an ed25519 key multiplies the base point with, modulo the order.
func Scalar(key ed25519.PrivateKey) *big.Int {
	hash := sha512.Sum512(key.Seed())
	s := hash[:32]
	s[0] &= 248
	s[31] = s[31]&127 | 64
	slices.Reverse(s)
	return new(big.Int).Mod(new(big.Int).SetBytes(s), Order(verenc.Ed25519))
}
