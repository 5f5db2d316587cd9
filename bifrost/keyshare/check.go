package keyshare

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"filippo.io/edwards25519"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/paillier"
	"github.com/bnb-chain/tss-lib/v2/tss"
)

// VaultKeys names a vault by both of its public keys, 33 and 32 bytes.
type VaultKeys struct {
	Secp256k1, Ed25519 []byte
}

// Check reports the first thing by which this keyshare does not belong to this vault and member, or by which it is broken. Member
// and members are compressed public keys; members in any order, and not compared when there are none.
func (k *Keyshare) Check(vault VaultKeys, member []byte, members [][]byte) error {
	want := vault.Secp256k1
	if k.curve == Ed25519 {
		want = vault.Ed25519
	}
	if !bytes.Equal(k.vault, want) {
		return fmt.Errorf("the keyshare is of another vault: its %s key is %x, not %x", k.curve, k.vault, want)
	}
	if !bytes.Equal(k.local, member) {
		return fmt.Errorf("the keyshare is another member's: of %x, not %x", k.local, member)
	}
	if len(members) > 0 {
		if len(members) != len(k.participants) {
			return fmt.Errorf("the keyshare is of a vault of %d members, not %d", len(k.participants), len(members))
		}
		for _, m := range members {
			if !containsKey(k.participants, m) {
				return fmt.Errorf("member %x is not among the keyshare's participants", m)
			}
		}
	}
	return k.Verify()
}

// Verify checks that the numbers in the keyshare fit together: the share gives the member's public share, the public shares of
// all members give the vault's key, and what an ECDSA member needs to sign (its Paillier key, its range-proof parameters) works.
func (k *Keyshare) Verify() error {
	own := k.index(k.local)
	if !bytes.Equal(k.publicShare(), compress(k.curve, k.bigXj[own])) {
		return errors.New("the secret share does not give the member's public share")
	}
	if err := k.CheckSigners(k.participants); err != nil {
		return errors.New("the members' public shares do not give the vault's key")
	}
	if k.curve == Secp256k1 {
		return k.verifyPaillier(own)
	}
	return nil
}

// CheckSigners reports whether these members, given by their compressed public keys, can sign together: each is a participant, none
// is named twice, and they are enough. The file does not name the threshold, but their public shares tell: those of
// enough members interpolate to the vault's key, those of fewer do not.
func (k *Keyshare) CheckSigners(signers [][]byte) error {
	index := make([]int, 0, len(signers))
	for _, s := range signers {
		i := k.index(s)
		if i < 0 {
			return fmt.Errorf("signer %x is not among the keyshare's participants", s)
		}
		if slices.Contains(index, i) {
			return fmt.Errorf("signer %x is named twice", s)
		}
		index = append(index, i)
	}
	if !bytes.Equal(k.interpolate(index), k.vault) {
		return fmt.Errorf("%d signers of %d members are not enough", len(signers), len(k.participants))
	}
	return nil
}

// index is where a member stands in the order of parties; -1 for a stranger.
func (k *Keyshare) index(member []byte) int {
	return slices.IndexFunc(k.participants, func(p []byte) bool { return bytes.Equal(p, member) })
}

// publicShare is the secret share times the base point.
func (k *Keyshare) publicShare() []byte {
	if k.curve == Ed25519 {
		return new(edwards25519.Point).ScalarBaseMult(edScalar(k.xi)).Bytes()
	}
	return compress(k.curve, crypto.ScalarBaseMult(k.pub.Curve(), k.xi))
}

// interpolate evaluates at zero the polynomial that passes through the public shares of these parties. Without a result, for what no
// honest keygen gives, it returns nil.
func (k *Keyshare) interpolate(index []int) []byte {
	order, _ := k.curve.params()
	coefs := make([]*big.Int, len(index))
	for a, i := range index {
		num, den := big.NewInt(1), big.NewInt(1)
		for _, j := range index {
			if i == j {
				continue
			}
			num.Mul(num, k.ks[j]).Mod(num, order)
			den.Mul(den, new(big.Int).Sub(k.ks[j], k.ks[i])).Mod(den, order)
		}
		coefs[a] = num.Mul(num, den.ModInverse(den, order)).Mod(num, order)
	}
	if k.curve == Ed25519 {
		// tss-lib's own arithmetic on this curve is a hundred times slower.
		var scalars []*edwards25519.Scalar
		var points []*edwards25519.Point
		for a, i := range index {
			p, err := new(edwards25519.Point).SetBytes(compress(k.curve, k.bigXj[i]))
			if err != nil {
				return nil
			}
			scalars, points = append(scalars, edScalar(coefs[a])), append(points, p)
		}
		return new(edwards25519.Point).VarTimeMultiScalarMult(scalars, points).Bytes()
	}
	var sum *crypto.ECPoint
	for a, i := range index {
		term := k.bigXj[i].ScalarMult(coefs[a])
		if sum == nil {
			sum = term
			continue
		}
		var err error
		if sum, err = sum.Add(term); err != nil {
			return nil
		}
	}
	if sum == nil {
		return nil
	}
	return compress(k.curve, sum)
}

// edScalar takes a number below the order.
func edScalar(v *big.Int) *edwards25519.Scalar {
	b := v.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	s, err := edwards25519.NewScalar().SetCanonicalBytes(b)
	if err != nil {
		panic(err) // every caller reduces
	}
	return s
}

// checkForm makes sure of everything that the rest of this package, and tss-lib after it, takes for granted.
func (k *Keyshare) checkForm() error {
	n := len(k.participants)
	if n < 2 {
		return errors.New("fewer than two participants")
	}
	order, _ := k.curve.params()
	shareID := func() *big.Int {
		if k.ecdsa != nil {
			return k.ecdsa.ShareID
		}
		return k.eddsa.ShareID
	}()
	if shareID == nil || shareID.Cmp(new(big.Int).SetBytes(k.local)) != 0 {
		return errors.New("field ShareID is not that of the local party")
	}
	if k.xi == nil || k.xi.Sign() <= 0 || k.xi.Cmp(order) >= 0 {
		return errors.New("field Xi is not a scalar")
	}
	if len(k.ks) != n || len(k.bigXj) != n {
		return errors.New("fields Ks and BigXj do not have one entry for each participant")
	}
	residues := make(map[string]bool, n)
	for i := range n {
		if k.ks[i] == nil || k.ks[i].Cmp(new(big.Int).SetBytes(k.participants[i])) != 0 {
			return fmt.Errorf("field Ks[%d] is not that of the participant", i)
		}
		residue := new(big.Int).Mod(k.ks[i], order)
		if residue.Sign() == 0 || residues[residue.String()] {
			return fmt.Errorf("field Ks[%d] is not usable on this curve", i)
		}
		residues[residue.String()] = true
		if !k.validPoint(k.bigXj[i]) {
			return fmt.Errorf("field BigXj[%d] is not a point of %s", i, k.curve)
		}
	}
	if !k.validPoint(k.pub) || !bytes.Equal(compress(k.curve, k.pub), k.vault) {
		return errors.New("its public key is not pub_key")
	}
	if k.ecdsa == nil {
		return nil
	}
	for _, list := range [][]*big.Int{k.ecdsa.NTildej, k.ecdsa.H1j, k.ecdsa.H2j} {
		if len(list) != n || slices.ContainsFunc(list, func(v *big.Int) bool { return v == nil || v.Sign() <= 0 || v.BitLen() > maxBits }) {
			return errors.New("fields NTildej, H1j and H2j do not have one number for each participant")
		}
	}
	if len(k.ecdsa.PaillierPKs) != n || slices.ContainsFunc(k.ecdsa.PaillierPKs, func(p *paillier.PublicKey) bool {
		return p == nil || !validModulus(p.N)
	}) {
		return errors.New("fields PaillierPKs do not have one key for each participant")
	}
	sk := k.ecdsa.PaillierSK
	if sk == nil || !validModulus(sk.N) || sk.LambdaN == nil || sk.PhiN == nil ||
		sk.LambdaN.Sign() <= 0 || sk.PhiN.Sign() <= 0 || sk.LambdaN.BitLen() > maxBits || sk.PhiN.BitLen() > maxBits {
		return errors.New("field PaillierSK is incomplete")
	}
	return nil
}

// maxBits bounds the numbers that tss-lib computes with: its moduli have 2048 bits.
const maxBits = 4096

func validModulus(n *big.Int) bool {
	return n != nil && n.Sign() > 0 && n.Bit(0) == 1 && n.BitLen() >= 1024 && n.BitLen() <= maxBits
}

func (k *Keyshare) validPoint(p *crypto.ECPoint) bool {
	_, field := k.curve.params()
	name, ok := tss.CurveName(""), false
	if p != nil && p.Curve() != nil {
		name, ok = tss.GetCurveName(p.Curve())
	}
	if !ok || string(name) != k.curve.String() || !p.ValidateBasic() {
		return false
	}
	x, y := p.X(), p.Y()
	return x.Sign() >= 0 && y.Sign() >= 0 && x.Cmp(field) < 0 && y.Cmp(field) < 0
}

// verifyPaillier checks the member's own Paillier key and parameters against what it told the others.
func (k *Keyshare) verifyPaillier(own int) error {
	d, sk := k.ecdsa, k.ecdsa.PaillierSK
	if d.PaillierPKs[own].N.Cmp(sk.N) != 0 {
		return errors.New("the Paillier key is not the one that the others know")
	}
	// What decryption relies on: raising to N·λ gives one modulo N², and λ divides φ.
	one, two := big.NewInt(1), big.NewInt(2)
	square := new(big.Int).Mul(sk.N, sk.N)
	if new(big.Int).Exp(two, new(big.Int).Mul(sk.N, sk.LambdaN), square).Cmp(one) != 0 ||
		new(big.Int).Mod(sk.PhiN, sk.LambdaN).Sign() != 0 {
		return errors.New("the Paillier key does not decrypt")
	}
	for _, v := range []*big.Int{d.NTildei, d.H1i, d.H2i} {
		if v == nil {
			return errors.New("the range-proof parameters are incomplete")
		}
	}
	if d.NTildei.Cmp(d.NTildej[own]) != 0 || d.H1i.Cmp(d.H1j[own]) != 0 || d.H2i.Cmp(d.H2j[own]) != 0 {
		return errors.New("the range-proof parameters are not those that the others know")
	}
	return nil
}
