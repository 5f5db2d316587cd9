package tss

import (
	"crypto/elliptic"

	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
)

// A cast says what each member of a ceremony does. In a reshare some deal shares of what they have,
// and some get new ones. In everything else all members do both, and there is nothing to say. Where
// members hold each other's envelopes, some who get shares give one.
type cast struct {
	dealing, getting, giving []bool // by member
}

func (c cast) deals(member int) bool { return c.dealing == nil || c.dealing[member] }

func (c cast) gets(member int) bool { return c.getting == nil || c.getting[member] }

// sends reports whether a member is an author of a step.
func (c cast) sends(s *step, member int) bool {
	switch s.by {
	case dealers:
		return c.deals(member)
	case getters:
		return c.gets(member)
	case givers:
		return c.giving[member]
	default:
		return true
	}
}

// A seat is this member's place in a session: what its instances are built from.
type seat struct {
	cast
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
