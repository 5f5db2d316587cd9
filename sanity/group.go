package sanity

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
)

const (
	pointSecp256k1 = 33
	pointEd25519   = 32
	numberBytes    = ModulusBits / 8

	// ParametersBytes is the length of a member's parameters in a group part: N, NTilde, H1 and H2.
	ParametersBytes = 4 * numberBytes
	// GroupMemberBytes is the length of a member's entry in a group part.
	GroupMemberBytes = pointSecp256k1 + pointEd25519 + ParametersBytes
	// GroupPointsBytes is what is left of it when the hash of its parameters takes their place.
	GroupPointsBytes = pointSecp256k1 + pointEd25519 + sha256.Size

	groupDomain = "tssbackup/group/v1"
)

// GroupMember is a member's entry in a group part, which is what the keyshares of all members have
// in common. Its slices are views of the part.
type GroupMember struct {
	// Secp256k1 is the point of its share of the vault's secp256k1 key, compressed, 33 bytes.
	Secp256k1 []byte
	// Ed25519 is that of its share of the ed25519 key, in the form of RFC 8032, 32 bytes.
	Ed25519 []byte
	// Parameters are its N, NTilde, H1 and H2, big-endian in 256 bytes each.
	Parameters []byte
}

// ParseGroup splits a group part into the entries of so many members, in ascending order of the
// members' keys. It checks the length alone: what an entry holds is for [CheckParameters] and for
// those who know the curves.
func ParseGroup(group []byte, members int) ([]GroupMember, error) {
	if members < 1 || len(group)%GroupMemberBytes != 0 || len(group)/GroupMemberBytes != members {
		return nil, fmt.Errorf("the group part has %d bytes, not %d for each of %d members",
			len(group), GroupMemberBytes, members)
	}
	entries := make([]GroupMember, members)
	for i := range entries {
		e := group[i*GroupMemberBytes : (i+1)*GroupMemberBytes]
		entries[i] = GroupMember{
			Secp256k1:  cut(&e, pointSecp256k1),
			Ed25519:    cut(&e, pointEd25519),
			Parameters: cut(&e, ParametersBytes),
		}
	}
	return entries, nil
}

// MakeGroup makes a group part of its entries, and is the inverse of [ParseGroup].
func MakeGroup(members []GroupMember) ([]byte, error) {
	if len(members) == 0 {
		return nil, errors.New("a group part has at least one member")
	}
	group := make([]byte, 0, len(members)*GroupMemberBytes)
	for i, m := range members {
		if len(m.Secp256k1) != pointSecp256k1 || len(m.Ed25519) != pointEd25519 ||
			len(m.Parameters) != ParametersBytes {
			return nil, fmt.Errorf("entry %d of the group part has a field of the wrong length", i+1)
		}
		group = append(group, m.Secp256k1...)
		group = append(group, m.Ed25519...)
		group = append(group, m.Parameters...)
	}
	return group, nil
}

// GroupPoints is what a chain keeps of a group part to work with: of each member both points and
// the SHA-256 of its parameters, [GroupPointsBytes] together.
func GroupPoints(members []GroupMember) []byte {
	points := make([]byte, 0, len(members)*GroupPointsBytes)
	for _, m := range members {
		points = append(points, m.Secp256k1...)
		points = append(points, m.Ed25519...)
		sum := sha256.Sum256(m.Parameters)
		points = append(points, sum[:]...)
	}
	return points
}

// AssembleGroup makes a group part of the two things that a chain keeps of it: the
// [GroupPoints] and the parameters of all members, one after the other. It errs unless each
// member's parameters have the hash that stands beside its points.
func AssembleGroup(points, parameters []byte) ([]byte, error) {
	members := len(points) / GroupPointsBytes
	if members < 1 || len(points) != members*GroupPointsBytes ||
		len(parameters) != members*ParametersBytes {
		return nil, fmt.Errorf("%d bytes of points and %d of parameters make no group part",
			len(points), len(parameters))
	}
	group := make([]byte, 0, members*GroupMemberBytes)
	for i := range members {
		own, sum := cut(&points, pointSecp256k1+pointEd25519), cut(&points, sha256.Size)
		numbers := cut(&parameters, ParametersBytes)
		if found := sha256.Sum256(numbers); !bytes.Equal(found[:], sum) {
			return nil, fmt.Errorf("the parameters of member %d do not have their hash", i+1)
		}
		group = append(append(group, own...), numbers...)
	}
	return group, nil
}

// GroupHash names a group part in results, votes and vaults, 32 bytes: SHA-256 of
// "tssbackup/group/v1" || lp(secp256k1 key) || lp(ed25519 key) || u32(n) || for each member lp(key)
// || both points || SHA-256(its parameters), where lp(b) = u32(length) || b, big-endian. points are
// the [GroupPoints], and keys those of the members, in the same order.
func GroupHash(pubKey, pubKeyEd25519 []byte, keys [][]byte, points []byte) ([]byte, error) {
	if len(keys) == 0 || len(points) != len(keys)*GroupPointsBytes {
		return nil, fmt.Errorf("%d bytes of points are not those of %d members",
			len(points), len(keys))
	}
	lp := func(b, p []byte) []byte {
		return append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	b := lp(lp([]byte(groupDomain), pubKey), pubKeyEd25519)
	b = binary.BigEndian.AppendUint32(b, uint32(len(keys)))
	for _, key := range keys {
		b = append(lp(b, key), cut(&points, GroupPointsBytes)...)
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}

// ReadParameters reads the numbers of the entry. Whether they have the form of honest ones is what
// [CheckParameters] tells.
func (m GroupMember) ReadParameters() Parameters {
	rest := m.Parameters
	number := func() *big.Int { return new(big.Int).SetBytes(cut(&rest, numberBytes)) }
	return Parameters{N: number(), NTilde: number(), H1: number(), H2: number()}
}

// Bytes are the parameters as they stand in a group part, [ParametersBytes] long. It errs when a
// number is missing, negative or too long, which none is that [CheckParameters] accepts.
func (p Parameters) Bytes() ([]byte, error) {
	b := make([]byte, ParametersBytes)
	for i, n := range []*big.Int{p.N, p.NTilde, p.H1, p.H2} {
		if n == nil || n.Sign() < 0 || n.BitLen() > ModulusBits {
			return nil, fmt.Errorf("a number of the parameters has no place in %d bytes", numberBytes)
		}
		n.FillBytes(b[i*numberBytes : (i+1)*numberBytes])
	}
	return b, nil
}

// cut takes the first n bytes off b, as a view that cannot grow into the rest.
func cut(b *[]byte, n int) []byte {
	head := (*b)[:n:n]
	*b = (*b)[n:]
	return head
}
