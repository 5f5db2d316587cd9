package keyshare

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// VaultKeys names a vault by both of its public keys, 33 and 32 bytes.
type VaultKeys struct {
	Secp256k1, Ed25519 []byte
}

// Check reports the first thing by which this keyshare does not belong to this vault and member, or
// by which it is broken. Member and members are compressed public keys; members in any order, and
// not compared when there are none.
func (k *Keyshare) Check(vault VaultKeys, member []byte, members [][]byte) error {
	want := vault.Secp256k1
	if k.curve == Ed25519 {
		want = vault.Ed25519
	}
	if !bytes.Equal(k.vault, want) {
		return fmt.Errorf(
			"the keyshare is of another vault: its %s key is %x, not %x",
			k.curve,
			k.vault,
			want,
		)
	}
	if !bytes.Equal(k.local, member) {
		return fmt.Errorf("the keyshare is another member's: of %x, not %x", k.local, member)
	}
	if len(members) > 0 {
		if len(members) != len(k.participants) {
			return fmt.Errorf(
				"the keyshare is of a vault of %d members, not %d",
				len(k.participants),
				len(members),
			)
		}
		for _, m := range members {
			if !containsKey(k.participants, m) {
				return fmt.Errorf("member %x is not among the keyshare's participants", m)
			}
		}
	}
	return k.Verify()
}

// Verify checks that the numbers in the keyshare fit together, and names the first that does not:
//
//   - the secret share Xi gives the member's entry of the public shares BigXj;
//   - the public shares lie on one polynomial of degree t = ⌈2n/3⌉ − 1 whose value at zero is the
//     vault's key, so any t+1 members can sign and t cannot;
//   - for ECDSA, the member's Paillier key and ring-Pedersen parameters are those that the others
//     know, and its secrets are theirs.
//
// Nothing in a member's keyshare tells whether the Paillier keys and parameters of the *other*
// members are right: of those only the form is checked, by [sanity.CheckParameters] when the file
// is read. Whether it is the right vault and member is what [Keyshare.Check] checks.
func (k *Keyshare) Verify() error {
	own := k.index(k.local)
	if err := k.verifyShare(own); err != nil {
		return err
	}
	if err := k.verifyPublicShares(); err != nil {
		return err
	}
	return k.verifySecrets(own)
}

// verifyShare checks the member's secret share against its public one.
func (k *Keyshare) verifyShare(own int) error {
	if !bytes.Equal(k.publicShare(), compress(k.bigXj[own])) {
		return fmt.Errorf(
			"the secret share Xi does not give BigXj[%d], the member's public share",
			own,
		)
	}
	return nil
}

// verifySecrets checks what a member has beside its share.
func (k *Keyshare) verifySecrets(own int) error {
	if k.curve != Secp256k1 {
		return nil
	}
	if err := k.verifyPaillier(own); err != nil {
		return err
	}
	return k.verifyRingPedersen(own)
}

// CheckSigners reports whether these members, given by their compressed public keys, can sign
// together: each is a participant, none is named twice, and they are enough. The file does not name
// the threshold, but their public shares tell: those of enough members interpolate to the vault's
// key, those of fewer do not.
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
		return fmt.Errorf(
			"%d signers of %d members are not enough",
			len(signers),
			len(k.participants),
		)
	}
	return nil
}

// index is where a member stands in the order of parties; -1 for a stranger.
func (k *Keyshare) index(member []byte) int {
	return slices.IndexFunc(k.participants, func(p []byte) bool { return bytes.Equal(p, member) })
}

var one = big.NewInt(1)

// verifyPaillier checks the member's Paillier key: that it is the one that the others encrypt for,
// and that it decrypts.
func (k *Keyshare) verifyPaillier(own int) error {
	sk := k.ecdsa.PaillierSK
	if k.ecdsa.PaillierPKs[own].N.Cmp(sk.N) != 0 {
		return fmt.Errorf(
			"PaillierSK.N is not PaillierPKs[%d].N, the key that the others know",
			own,
		)
	}
	p, q := k.PaillierPrimes()
	switch {
	case p == nil && q == nil:
		return errors.New("PaillierSK.PhiN is not the number of units modulo PaillierSK.N")
	case p == nil || q == nil || p.Cmp(one) <= 0 || q.Cmp(one) <= 0:
		return errors.New("PaillierSK.P and PaillierSK.Q are not two primes")
	case new(big.Int).Mul(p, q).Cmp(sk.N) != 0:
		return errors.New("PaillierSK.P and PaillierSK.Q are not the factors of PaillierSK.N")
	}
	if p.Cmp(q) == 0 || !p.ProbablyPrime(0) || !q.ProbablyPrime(0) {
		return errors.New("PaillierSK.N is not the product of two primes")
	}
	p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
	phi := new(big.Int).Mul(p1, q1)
	if phi.Cmp(sk.PhiN) != 0 {
		return errors.New("PaillierSK.PhiN is not (P−1)·(Q−1)")
	}
	if phi.Div(phi, new(big.Int).GCD(nil, nil, p1, q1)).Cmp(sk.LambdaN) != 0 {
		return errors.New("PaillierSK.LambdaN is not the least common multiple of P−1 and Q−1")
	}
	return nil
}

// PaillierPrimes returns the factors of the member's Paillier modulus in a secp256k1 keyshare. They
// are secret. Older keygens did not keep them, but they follow from what was kept: they are the
// roots of x² − (N − φ + 1)·x + N. Of a keyshare that [Keyshare.Verify] passes they are two primes.
func (k *Keyshare) PaillierPrimes() (p, q *big.Int) {
	sk := k.ecdsa.PaillierSK
	if sk.P == nil && sk.Q == nil {
		return factors(sk.N, sk.PhiN)
	}
	return sk.P, sk.Q
}

// factors returns the two factors of n whose predecessors' product is phi, or nil when there are
// none.
func factors(n, phi *big.Int) (p, q *big.Int) {
	sum := new(big.Int).Sub(n, phi)
	sum.Add(sum, one)
	square := new(big.Int).Mul(sum, sum)
	square.Sub(square, new(big.Int).Lsh(n, 2))
	if sum.Sign() <= 0 || square.Sign() < 0 {
		return nil, nil
	}
	root := new(big.Int).Sqrt(square)
	p = new(big.Int).Add(sum, root)
	p.Rsh(p, 1)
	q = sum.Sub(sum, p)
	if q.Cmp(one) <= 0 || new(big.Int).Mul(p, q).Cmp(n) != 0 {
		return nil, nil
	}
	return p, q
}

// verifyRingPedersen checks the member's range-proof parameters: that they are those that the
// others use, and that the secrets are theirs. NTilde is the product of the safe primes 2P+1 and
// 2Q+1, and H1 and H2 are powers of each other.
func (k *Keyshare) verifyRingPedersen(own int) error {
	d := k.ecdsa
	for _, c := range []struct {
		name        string
		ours, known *big.Int
	}{
		{"NTilde", d.NTildei, d.NTildej[own]},
		{"H1", d.H1i, d.H1j[own]},
		{"H2", d.H2i, d.H2j[own]},
	} {
		if c.ours.Cmp(c.known) != 0 {
			return fmt.Errorf(
				"%[1]si is not %[1]sj[%[2]d], the one that the others know",
				c.name,
				own,
			)
		}
	}
	if d.Alpha == nil && d.Beta == nil && d.P == nil && d.Q == nil {
		return nil // older keygens did not keep them, and signing needs none of them
	}
	for _, c := range []struct {
		name  string
		value *big.Int
	}{{"Alpha", d.Alpha}, {"Beta", d.Beta}, {"P", d.P}, {"Q", d.Q}} {
		if !validNumber(c.value) {
			return fmt.Errorf("%s is missing or out of range", c.name)
		}
	}
	p, q := new(big.Int).Lsh(d.P, 1), new(big.Int).Lsh(d.Q, 1)
	p.Add(p, one)
	q.Add(q, one)
	if p.Mul(p, q).Cmp(d.NTildei) != 0 {
		return errors.New("the secrets P and Q do not fit NTildei: it is not (2P+1)·(2Q+1)")
	}
	if new(big.Int).Exp(d.H1i, d.Alpha, d.NTildei).Cmp(d.H2i) != 0 {
		return errors.New("the secret Alpha does not fit: H2i is not H1i to its power")
	}
	if new(big.Int).Exp(d.H2i, d.Beta, d.NTildei).Cmp(d.H1i) != 0 {
		return errors.New("the secret Beta does not fit: H1i is not H2i to its power")
	}
	return nil
}
