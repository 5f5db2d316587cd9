package verenc

import (
	"errors"
	"fmt"
)

// Open decrypts the shares with the recipient key, in the order of the public points, and checks
// each against its point: what it returns are the shares of those points whatever the stored bytes
// were. It tries one closed row after the other and takes the first that holds; a proof that was
// verified has such a row but for a chance of 2⁻¹²⁹.
//
// Multiplying by the recipient key takes constant time, checking an opened secp256k1 share against
// its point does not. The caller wipes the shares.
func (s *Stored) Open(key *RecipientKey, shares []PublicShare) ([]Share, error) {
	if err := checkForm(shares); err != nil {
		return nil, err
	}
	if len(shares) != s.Shares() {
		return nil, fmt.Errorf(
			"verenc: the stored proof holds %d shares, not %d",
			s.Shares(),
			len(shares),
		)
	}
	if err := checkPoints(shares); err != nil {
		return nil, err
	}
	set, _, _ := s.params.challenge(&s.context, &s.commitment, s.nonce)
	for n, i := range set {
		if opened := s.openRow(n, i, key, shares); opened != nil {
			return opened, nil
		}
	}
	return nil, errors.New("verenc: this recipient key opens no row")
}

// openRow opens the n-th closed row, which is row i; it returns nil unless every share is the one
// of its point.
func (s *Stored) openRow(n, i int, key *RecipientKey, shares []PublicShare) []Share {
	k := len(shares)
	encE := s.ephemeral(n, k)
	e, err := edDecode(encE)
	if err != nil {
		return nil
	}
	sk := []scalar{*key.sk.scalar()}
	defer clear(sk)
	encK := edEncodeSecret(edSecretMults(sk, e))[0]
	defer clear(encK)
	opened := make([]Share, 0, k)
	for j, public := range shares {
		a, _ := public.Group.arithmetic()
		w := s.masked(n, j, k)
		if encK == nil || !a.inRange(w) {
			break
		}
		r := pad(a, &s.context, j, i, encE, encK)
		x := a.sub(w, &r)
		clear(r[:])
		share, err := NewShare(public.Group, x[:])
		clear(x[:])
		if err != nil {
			break
		}
		opened = append(opened, share)
		if string(share.Public().Point) != string(public.Point) {
			break
		}
		if j == k-1 {
			return opened
		}
	}
	wipeAll(opened)
	return nil
}
