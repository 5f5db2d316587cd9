package verenc

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
)

// domain starts every hash of the scheme.
const domain = "tssbackup/verenc/v1/"

// suite is the first byte of a proof and of a stored form, and part of the context.
const suite = 1

// PublicShare is the public point X = x·G of a member's share x.
type PublicShare struct {
	Group Group
	Point []byte
}

// Statement is what a proof proves: that the shares behind the public points are encrypted to the
// recipient key.
type Statement struct {
	// Label says what the shares belong to, so that a proof made for one purpose serves no other. A
	// chain takes [Label].
	Label []byte
	// Recipient is the recipient key, [RecipientKey.Public].
	Recipient []byte
	// Shares are one or two public points, in ascending order of the group's number, each group
	// once.
	Shares []PublicShare
}

// Label is the label of a member's proof on a chain: the chain's id, the vault's point on
// secp256k1, its point on ed25519 (empty when it has none), the number of the keygen, and the
// member's address as raw bytes.
func Label(chainID string, vault, ed25519 []byte, keygen uint64, member []byte) []byte {
	l := lp(nil, []byte(chainID))
	l = lp(l, vault)
	l = lp(l, ed25519)
	l = binary.BigEndian.AppendUint64(l, keygen)
	return lp(l, member)
}

// Context is the hash that binds a proof to its statement. It is kept with the stored form; the
// points and the recipient key are not checked here.
func (st Statement) Context() ([32]byte, error) {
	if err := checkForm(st.Shares); err != nil {
		return [32]byte{}, err
	}
	if len(st.Recipient) != 32 {
		return [32]byte{}, fmt.Errorf(
			"verenc: a recipient key has 32 bytes, not %d",
			len(st.Recipient),
		)
	}
	h := sha256.New()
	var b []byte
	b = append(b, domain+"context"...)
	b = append(b, suite)
	b = binary.BigEndian.AppendUint32(b, uint32(len(st.Label)))
	h.Write(b)
	h.Write(st.Label)
	b = lp(b[:0], st.Recipient)
	b = binary.BigEndian.AppendUint32(b, uint32(len(st.Shares)))
	for _, s := range st.Shares {
		b = append(b, byte(s.Group))
		b = lp(b, s.Point)
	}
	h.Write(b)
	return [32]byte(h.Sum(nil)), nil
}

// checkForm checks what costs nothing: the number of the points, their order and their sizes.
func checkForm(shares []PublicShare) error {
	if len(shares) < 1 || len(shares) > 2 {
		return fmt.Errorf("verenc: a proof is over one or two shares, not %d", len(shares))
	}
	for i, s := range shares {
		if i > 0 && s.Group <= shares[i-1].Group {
			return errors.New("verenc: shares are not in ascending order of their groups")
		}
		if _, err := s.Group.arithmetic(); err != nil {
			return err
		}
		if len(s.Point) != s.Group.PointSize() {
			return fmt.Errorf(
				"verenc: a point of %v has %d bytes, not %d",
				s.Group,
				s.Group.PointSize(),
				len(s.Point),
			)
		}
	}
	return nil
}

// checkPoints decodes the points strictly.
func checkPoints(shares []PublicShare) error {
	for _, s := range shares {
		if err := s.Group.CheckPoint(s.Point); err != nil {
			return s.wrap(err)
		}
	}
	return nil
}

// wrap says whose point an error is about.
func (s PublicShare) wrap(err error) error {
	return fmt.Errorf("public share of %v: %w", s.Group, err)
}

// lp appends b with its length before it.
func lp(to, b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(to, uint32(len(b))), b...)
}

func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// sum256 and sum512 hash the domain, the tag and the parts, and leave no copy of them behind.
func sum256(tag string, parts ...[]byte) [32]byte {
	var space [192]byte
	b := join(space[:0], tag, parts)
	h := sha256.Sum256(b)
	clear(b)
	return h
}

func sum512(tag string, parts ...[]byte) [64]byte {
	var space [192]byte
	b := join(space[:0], tag, parts)
	h := sha512.Sum512(b)
	clear(b)
	return h
}

func join(b []byte, tag string, parts [][]byte) []byte {
	n := len(domain) + len(tag)
	for _, p := range parts {
		n += len(p)
	}
	if n > cap(b) { // never grow while secrets are in it
		b = make([]byte, 0, n)
	}
	b = append(b, domain...)
	b = append(b, tag...)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}
