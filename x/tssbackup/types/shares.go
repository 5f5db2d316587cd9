package types

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/tssbackup/tssbackup/verenc"
)

const sharesDomain = "tssbackup/shares/v1"

// IsEmpty reports whether there are no public shares at all.
func (s PublicShares) IsEmpty() bool { return len(s.Secp256k1) == 0 && len(s.Ed25519) == 0 }

// Hash names the public shares of a vault's keys in results, vaults and store keys, 32 bytes:
// SHA-256 of "tssbackup/shares/v1" || for each key, secp256k1 first, lp(key) || u32(entries) || for
// each entry lp(member) || lp(id) || lp(point). It is empty for none.
func (s PublicShares) Hash(pubKey, pubKeyEd25519 []byte) []byte {
	if s.IsEmpty() {
		return nil
	}
	keys := [][]byte{pubKey, pubKeyEd25519}
	const entryBytes = 3*4 + 20 + 32 + PubKeySize
	b := make([]byte, 0, 256+entryBytes*(len(s.Secp256k1)+len(s.Ed25519)))
	b = append(b, sharesDomain...)
	for i, list := range [][]PublicShare{s.Secp256k1, s.Ed25519} {
		b = appendLP(b, keys[i])
		b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
		for _, e := range list {
			b = appendLP(b, e.Member)
			b = appendLP(b, e.Id)
			b = appendLP(b, e.Point)
		}
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// CheckForm reports by its error whether both lists hold every member exactly once, each where the
// epoch places it, in ascending order, and points of the right length. It is cheap: whether the
// points are those of the vault's keys is what [PublicShares.Lists] are checked for.
func (s PublicShares) CheckForm(epoch uint64, members []Member) error {
	if err := checkList(verenc.Secp256k1, epoch, s.Secp256k1, members); err != nil {
		return fmt.Errorf("secp256k1: %w", err)
	}
	if err := checkList(verenc.Ed25519, epoch, s.Ed25519, members); err != nil {
		return fmt.Errorf("ed25519: %w", err)
	}
	return nil
}

func checkList(group verenc.Group, epoch uint64, list []PublicShare, members []Member) error {
	if len(list) != len(members) {
		return fmt.Errorf("%d entries for %d members", len(list), len(members))
	}
	// open are the keys of the members that have no entry yet.
	open := make(map[string][]byte, len(members))
	for _, m := range members {
		open[string(m.Address())] = m.PubKey
	}
	var last []byte
	for i, e := range list {
		key, ok := open[string(e.Member)]
		if !ok {
			return fmt.Errorf("entry %d is of a stranger, or of a member that has one", i+1)
		}
		delete(open, string(e.Member))
		id, err := verenc.ShareID(group, epoch, key)
		if err != nil {
			return fmt.Errorf("entry %d: %w", i+1, err)
		}
		if !bytes.Equal(e.Id, id) {
			return fmt.Errorf("the id of entry %d is not where its member's share lies", i+1)
		}
		if bytes.Compare(last, e.Id) >= 0 {
			return fmt.Errorf("the id of entry %d is not above the one before", i+1)
		}
		last = e.Id
		if len(e.Point) != group.PointSize() {
			return fmt.Errorf("the point of entry %d is not of %d bytes", i+1, group.PointSize())
		}
	}
	return nil
}

// CheckPoints reports by its error whether every point is strictly encoded and in its group of
// prime order.
func (s PublicShares) CheckPoints() error {
	for _, e := range s.Secp256k1 {
		if err := CheckPubKey(e.Point); err != nil {
			return err
		}
	}
	for _, e := range s.Ed25519 {
		if err := CheckPubKeyEd25519(e.Point); err != nil {
			return err
		}
	}
	return nil
}

// Lists are the lists of both keys of a vault, secp256k1 first. The order of the entries is that of
// the public shares. That verenc accepts them shows that all points lie on the polynomials of the
// vault's keys.
func (s PublicShares) Lists(pubKey, pubKeyEd25519 []byte) [2]verenc.List {
	lists := [2]verenc.List{
		{Group: verenc.Secp256k1, Vault: pubKey},
		{Group: verenc.Ed25519, Vault: pubKeyEd25519},
	}
	for i, list := range [][]PublicShare{s.Secp256k1, s.Ed25519} {
		for _, e := range list {
			lists[i].Entries = append(lists[i].Entries, verenc.Entry{ID: e.Id, Point: e.Point})
		}
	}
	return lists
}

// Check checks whether all public shares of both lists belong to the vault's keys: those of any
// threshold of members determine them. It takes about 0.2 ms for each member.
func (s PublicShares) Check(pubKey, pubKeyEd25519 []byte) error {
	for _, list := range s.Lists(pubKey, pubKeyEd25519) {
		if err := list.Check(); err != nil {
			return fmt.Errorf("%s: %w", list.Group, err)
		}
	}
	return nil
}

// Of are the public shares of a member, given by its raw address: of both keys, secp256k1 first, as
// a proof speaks of them. ok is false for a stranger.
func (s PublicShares) Of(member []byte) (shares []verenc.PublicShare, ok bool) {
	for _, list := range []struct {
		group   verenc.Group
		entries []PublicShare
	}{{verenc.Secp256k1, s.Secp256k1}, {verenc.Ed25519, s.Ed25519}} {
		for _, e := range list.entries {
			if bytes.Equal(e.Member, member) {
				shares = append(shares, verenc.PublicShare{Group: list.group, Point: e.Point})
			}
		}
	}
	return shares, len(shares) == 2
}

// Statement is what the proof of a member of a keygen proves on a chain: that the shares behind its
// public shares of both of the vault's keys are encrypted to its recipient key. The member is given
// by its raw address; ok is false when it has no public shares.
func (s PublicShares) Statement(
	chainID string,
	keygenID uint64,
	pubKey, pubKeyEd25519, member, recipient []byte,
) (st verenc.Statement, ok bool) {
	shares, ok := s.Of(member)
	return Statement(chainID, keygenID, pubKey, pubKeyEd25519, member, recipient, shares), ok
}

// Statement is what the proof of a member proves whose public shares are known: those of both keys,
// secp256k1 first.
func Statement(
	chainID string,
	keygenID uint64,
	pubKey, pubKeyEd25519, member, recipient []byte,
	shares []verenc.PublicShare,
) verenc.Statement {
	return verenc.Statement{
		Label:     verenc.Label(chainID, pubKey, pubKeyEd25519, keygenID, member),
		Recipient: recipient,
		Shares:    shares,
	}
}

// IsProven reports whether a proof was accepted.
func (p Proof) IsProven() bool { return len(p.Stored) > 0 }
