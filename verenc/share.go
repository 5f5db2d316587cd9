package verenc

import (
	"errors"
	"fmt"
	"log/slog"
	"math/big"
)

// redacted keeps a type that embeds it from being printed or encoded.
type redacted struct{}

const redactedText = "[redacted]"

func (redacted) String() string               { return redactedText }
func (redacted) GoString() string             { return redactedText }
func (redacted) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(redactedText)) }
func (redacted) MarshalText() ([]byte, error) { return []byte(redactedText), nil }
func (redacted) LogValue() slog.Value         { return slog.StringValue(redactedText) }

// secret is a scalar behind two pointers. fmt follows one of them even from a field that it may not
// ask for its Format method.
type secret struct{ at **scalar }

func newSecret() secret {
	s := new(scalar)
	return secret{&s}
}

// scalar is nil for the zero secret.
func (s secret) scalar() *scalar {
	if s.at == nil {
		return nil
	}
	return *s.at
}

func (s secret) wipe() {
	if s.at != nil {
		clear((*s.at)[:])
	}
}

// Share is a member's secret share of a vault key: a scalar of its group. It redacts itself; copies
// of a Share hold the same secret, and Wipe wipes it for all of them.
type Share struct {
	redacted
	group Group
	x     secret
}

// NewShare takes a share in its group's scalar encoding and copies it. Zero is refused, since its
// public point is the identity.
func NewShare(g Group, x []byte) (Share, error) {
	a, err := g.arithmetic()
	if err != nil {
		return Share{}, err
	}
	if len(x) != 32 {
		return Share{}, errors.New("verenc: a share has 32 bytes")
	}
	s := Share{group: g, x: newSecret()}
	copy(s.x.scalar()[:], x)
	if !a.inRange(s.x.scalar()) || *s.x.scalar() == (scalar{}) {
		s.Wipe()
		return Share{}, errors.New("verenc: a share is not between zero and the group order")
	}
	return s, nil
}

// ShareFromInt takes a share as the number that tss-lib keeps (Xi).
func ShareFromInt(g Group, xi *big.Int) (Share, error) {
	a, err := g.arithmetic()
	if err != nil {
		return Share{}, err
	}
	if xi == nil || xi.Sign() <= 0 || xi.Cmp(a.order()) >= 0 {
		return Share{}, errors.New("verenc: a share is not between zero and the group order")
	}
	s := Share{group: g, x: newSecret()}
	*s.x.scalar() = a.fromBig(xi)
	return s, nil
}

// ShareID says where on the secret polynomial the share of a member lies in an epoch of a vault, an
// epoch being the number of the keygen that gave the members their shares: at tss-lib's party key,
// which is the member's compressed public key as a big-endian integer, reduced modulo the group
// order. The id has 32 bytes, big-endian in every group.
//
// Every epoch places shares in this way. Whoever asks says the epoch all the same, because a
// reshare may place them elsewhere: then nobody has to be found who knew better.
func ShareID(g Group, _ uint64, member []byte) ([]byte, error) {
	a, err := g.arithmetic()
	if err != nil {
		return nil, err
	}
	id := new(big.Int).SetBytes(member)
	if id.Mod(id, a.order()).Sign() == 0 {
		return nil, errors.New("verenc: a member's key is a multiple of the group order")
	}
	return id.FillBytes(make([]byte, 32)), nil
}

// PointFromInts encodes a point that tss-lib keeps as two coordinates (BigXj, ECDSAPub, EDDSAPub),
// after checking that it is a point of the group other than the identity.
func PointFromInts(g Group, x, y *big.Int) ([]byte, error) {
	a, err := g.arithmetic()
	if err != nil {
		return nil, err
	}
	if x == nil || y == nil {
		return nil, errPoint
	}
	return a.pointFromBig(x, y)
}

// Group is the share's group; 0 for the zero Share.
func (s Share) Group() Group { return s.group }

// Bytes is a copy of the secret in its group's scalar encoding: big-endian in [Secp256k1],
// little-endian in [Ed25519]. The caller wipes it.
func (s Share) Bytes() []byte {
	x := s.x.scalar()
	if x == nil {
		return nil
	}
	return append([]byte(nil), x[:]...)
}

// Public computes the share's public point. On secp256k1 this does not take constant time.
func (s Share) Public() PublicShare {
	a, err := s.group.arithmetic()
	if err != nil || s.x.scalar() == nil {
		return PublicShare{}
	}
	return PublicShare{Group: s.group, Point: secretMult(a, s.x.scalar())}
}

// Wipe overwrites the secret.
func (s Share) Wipe() { s.x.wipe() }

func wipeAll(shares []Share) {
	for _, s := range shares {
		s.Wipe()
	}
}
