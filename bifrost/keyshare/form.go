package keyshare

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/tssbackup/tssbackup/sanity"
)

// checkForm makes sure of everything that the rest of this package, and tss-lib after it, takes for
// granted.
func (k *Keyshare) checkForm() error {
	n := len(k.participants)
	if n < 2 || n > maxParticipants {
		return fmt.Errorf("%d participants, not between 2 and %d", n, maxParticipants)
	}
	order, _ := k.curve.params()
	shareID := func() *big.Int {
		if k.ecdsa != nil {
			return k.ecdsa.ShareID
		}
		return k.eddsa.ShareID
	}()
	if shareID == nil || shareID.Cmp(new(big.Int).SetBytes(k.local)) != 0 {
		return errors.New("ShareID is not that of the local party")
	}
	if k.xi == nil || k.xi.Sign() <= 0 || k.xi.Cmp(order) >= 0 {
		return errors.New("the secret share Xi is not a scalar")
	}
	if len(k.ks) != n || len(k.bigXj) != n {
		return fmt.Errorf(
			"there are %d entries in Ks and %d in BigXj for %d participants",
			len(k.ks),
			len(k.bigXj),
			n,
		)
	}
	residues := make(map[string]bool, n)
	for i := range n {
		if k.ks[i] == nil || k.ks[i].Cmp(new(big.Int).SetBytes(k.participants[i])) != 0 {
			return fmt.Errorf("the key Ks[%d] is not that of the participant", i)
		}
		residue := new(big.Int).Mod(k.ks[i], order)
		if residue.Sign() == 0 || residues[residue.String()] {
			return fmt.Errorf("the key Ks[%d] is not usable on this curve", i)
		}
		residues[residue.String()] = true
		if !k.validPoint(k.bigXj[i]) {
			return fmt.Errorf("BigXj[%d] is not a point of %s", i, k.curve)
		}
	}
	if !k.validPoint(k.pub) || !bytes.Equal(compress(k.pub), k.vault) {
		return fmt.Errorf(
			"%s is not pub_key",
			map[Curve]string{Secp256k1: "ECDSAPub", Ed25519: "EDDSAPub"}[k.curve],
		)
	}
	if k.ecdsa == nil {
		return nil
	}
	return checkNumbers(k.ecdsa, n)
}

// checkNumbers checks the numbers that only ECDSA has, those of all members.
func checkNumbers(d *ECDSAData, n int) error {
	for _, c := range []struct {
		name   string
		values []*big.Int
	}{{"NTildej", d.NTildej}, {"H1j", d.H1j}, {"H2j", d.H2j}} {
		if len(c.values) != n {
			return fmt.Errorf("%s has %d entries for %d participants", c.name, len(c.values), n)
		}
	}
	if len(d.PaillierPKs) != n {
		return fmt.Errorf("PaillierPKs has %d entries for %d participants", len(d.PaillierPKs), n)
	}
	if i := slices.Index(d.PaillierPKs, nil); i >= 0 {
		return fmt.Errorf("PaillierPKs[%d] is missing", i)
	}
	for i := range n {
		p := sanity.Parameters{
			N:      d.PaillierPKs[i].N,
			NTilde: d.NTildej[i],
			H1:     d.H1j[i],
			H2:     d.H2j[i],
		}
		if err := sanity.CheckParameters(p); err != nil {
			return fmt.Errorf("what participant %d told the others: %w", i, err)
		}
	}
	if sk := d.PaillierSK; sk == nil || !validNumber(sk.N) || !validNumber(sk.LambdaN) ||
		!validNumber(sk.PhiN) {
		return errors.New("PaillierSK is missing, incomplete or out of range")
	}
	if !validNumber(d.NTildei) || !validNumber(d.H1i) || !validNumber(d.H2i) {
		return errors.New("NTildei, H1i or H2i is missing or out of range")
	}
	return nil
}

const (
	// maxParticipants bounds the work that a file can ask for.
	maxParticipants = 512
	// maxBits bounds the numbers that tss-lib computes with: its moduli have 2048 bits.
	maxBits = 4096
)

func validNumber(v *big.Int) bool {
	return v != nil && v.Sign() > 0 && v.BitLen() <= maxBits
}

func (k *Keyshare) validPoint(p *Point) bool {
	return p != nil && p.Curve == k.curve && p.isOnCurve()
}
