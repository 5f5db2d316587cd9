package verenc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
)

// Group identifies the group a share belongs to. Its number is part of every hash, so it never
// changes.
type Group byte

const (
	// Secp256k1 is the group of ECDSA vault keys: points are SEC1 compressed, 33 bytes; scalars 32
	// bytes, big-endian.
	Secp256k1 Group = 1
	// Ed25519 is the prime-order subgroup of edwards25519, of EdDSA vault keys: points as in RFC
	// 8032, 32 bytes; scalars 32 bytes, little-endian.
	Ed25519 Group = 2
)

// String names the group.
func (g Group) String() string {
	switch g {
	case Secp256k1:
		return "secp256k1"
	case Ed25519:
		return "ed25519"
	}
	return fmt.Sprintf("group %d", byte(g))
}

// PointSize is the length of an encoded point of the group, 0 for an unknown group.
func (g Group) PointSize() int {
	a, err := g.arithmetic()
	if err != nil {
		return 0
	}
	return a.pointSize()
}

// CheckPoint decodes a point strictly: it returns an error unless the bytes are the one encoding of
// a point of the group other than the identity; in [Ed25519] the point must be in the prime-order
// subgroup.
func (g Group) CheckPoint(point []byte) error {
	a, err := g.arithmetic()
	if err != nil {
		return err
	}
	return a.checkPoint(point)
}

// scalar is a scalar in its group's encoding.
type scalar = [32]byte

// arithmetic is what the scheme needs of a group. Scalars that go in are below the order; methods
// called secret take constant time where the library has it, the others only handle what everyone
// may know.
type arithmetic interface {
	pointSize() int
	checkPoint(point []byte) error
	order() *big.Int
	inRange(s *scalar) bool
	fromBig(n *big.Int) scalar // n below the order
	toBig(s *scalar) *big.Int
	pointFromBig(x, y *big.Int) ([]byte, error)

	wide(h *[64]byte) scalar        // secret: reduces a hash
	add(a, b *scalar) scalar        // secret
	sub(a, b *scalar) scalar        // secret
	mulAdd(a, b, c *scalar) scalar  // secret: a·b + c
	secretMults(s []scalar) []point // secret: s·G for each

	// publicMults decodes X strictly, unless it is nil, for the multiplications that subtract it.
	publicMults(x []byte) (publicMults, error)

	// sumIsIdentity reports whether Σ s·P is the identity.
	sumIsIdentity(s []scalar, points [][]byte) (bool, error)
}

// publicMults gives s·G for each, and s·G − X where closed is true; an entry is nil where that is
// the identity. It is safe for concurrent use.
type publicMults func(s []scalar, closed []bool) []point

// point is an encoded point; nil is the identity, which no proof may hold.
type point []byte

var (
	errPoint    = errors.New("verenc: not the encoding of a point of the group")
	errIdentity = errors.New("verenc: the point is the identity")
	errSubgroup = errors.New("verenc: the point is not in the prime-order subgroup")
	errScalar   = errors.New("verenc: a scalar is not below the group order")
)

func (g Group) arithmetic() (arithmetic, error) {
	switch g {
	case Secp256k1:
		return secp{}, nil
	case Ed25519:
		return edwards{}, nil
	}
	return nil, fmt.Errorf("verenc: unknown group %d", byte(g))
}

func secretMult(a arithmetic, s *scalar) point {
	one := []scalar{*s}
	defer clear(one)
	return a.secretMults(one)[0]
}

// digits writes a little-endian number below 2^256 as Σ d_k·2^(width·k) with |d_k| ≤ 2^(width−1).
// len(out)·width must leave room for a last carry.
func digits(out []int16, n *[32]byte, width uint) {
	var words [6]uint64
	for i := range 4 {
		words[i] = binary.LittleEndian.Uint64(n[8*i:])
	}
	carry := 0
	for k := range out {
		word, bit := uint(k)*width/64, uint(k)*width%64
		d := int((words[word]>>bit|words[word+1]<<(64-bit))&(1<<width-1)) + carry
		carry = 0
		if d > 1<<(width-1) {
			d -= 1 << width
			carry = 1
		}
		out[k] = int16(d)
	}
	clear(words[:])
}

func reversed(b *[32]byte) [32]byte {
	var r [32]byte
	for i := range b {
		r[31-i] = b[i]
	}
	return r
}
