package tss

import (
	"crypto/elliptic"

	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
)

// A seat is this member's place in a session: what its instances are built from.
type seat struct {
	ids     tsslib.SortedPartyIDs
	self    int
	session hash
	members [][]byte // compressed public keys
	keys    *sessionKeys
}

// params are tss-lib's for a protocol, with random numbers of this session.
func (s seat) params(
	p *protocol, curve elliptic.Curve, degree int, secret []byte,
) (*tsslib.Parameters, *random) {
	params := tsslib.NewParameters(
		curve,
		tsslib.NewPeerContext(s.ids),
		s.ids[s.self],
		len(s.ids),
		degree,
	)
	r := newRandom(s.session, p.name, secret)
	params.SetRand(r)
	params.SetPartialKeyRand(r)
	return params, r
}

// context binds what a member proves to the session, to its author and to a part of what it proves.
func (s seat) context(author int, part string) []byte {
	b := append([]byte("tssbackup/tss/parameters/v1"), s.session[:]...)
	b = append(b, s.members[author]...)
	return append(b, part...)
}
