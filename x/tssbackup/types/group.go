package types

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/verenc"
)

// GroupHash names a group part in results, votes, vaults and store keys. points are what a chain
// keeps of it to work with (sanity.GroupPoints). It errs when they are not those of so many
// members.
func GroupHash(pubKey, pubKeyEd25519 []byte, members []Member, points []byte) ([]byte, error) {
	keys := make([][]byte, len(members))
	for i, m := range members {
		keys[i] = m.PubKey
	}
	return sanity.GroupHash(pubKey, pubKeyEd25519, keys, points)
}

// Part is the whole group part, with the parameters that state keeps apart. It errs unless they are
// those of the record.
func (g Group) Part(parameters []byte) ([]byte, error) {
	group, err := sanity.AssembleGroup(g.Points, parameters)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(group); !bytes.Equal(sum[:], g.Sha256) {
		return nil, errors.New("the group part does not have the hash of its record")
	}
	return group, nil
}

// Name is what the record of a vault keeps of the group part for ever, which has this group hash.
func (g Group) Name(hash []byte) *GroupName {
	return &GroupName{Hash: hash, Sha256: g.Sha256, Height: g.Height}
}

// Info is the name in text.
func (n *GroupName) Info() *GroupNameInfo {
	if n == nil {
		return nil
	}
	return &GroupNameInfo{
		Hash: hex.EncodeToString(n.Hash), Sha256: hex.EncodeToString(n.Sha256), Height: n.Height,
	}
}

// checkGroupName errs unless a vault names a group part when it is split, the one that state keeps
// if it keeps any, and else none.
func (v Vault) checkGroupName() error {
	return checkGroupName(v.Split, v.Group, v.SharesHash)
}

func checkGroupName(split bool, n *GroupName, sharesHash []byte) error {
	switch {
	case split != (n != nil):
		return errors.New("it is split and names no group part, or the other way round")
	case n == nil:
		return nil
	case len(n.Hash) != HashSize || len(n.Sha256) != HashSize || n.Height < 0:
		return errors.New("the name of its group part is malformed")
	case len(sharesHash) > 0 && !bytes.Equal(sharesHash, n.Hash):
		return errors.New("it names two group parts")
	}
	return nil
}

// Of are the public shares of a member, given by its raw address: of both keys, secp256k1 first, as
// a proof speaks of them. members are those of the group part, in ascending order of their keys.
func (g Group) Of(members []Member, member []byte) ([]verenc.PublicShare, error) {
	i := slices.IndexFunc(members, func(m Member) bool { return bytes.Equal(m.Address(), member) })
	if i < 0 || len(g.Points) != len(members)*sanity.GroupPointsBytes {
		return nil, errors.New("the group part has no public shares of the member")
	}
	secp256k1, ed25519 := g.points(i)
	return []verenc.PublicShare{
		{Group: verenc.Secp256k1, Point: secp256k1}, {Group: verenc.Ed25519, Point: ed25519},
	}, nil
}

// points are those of a member's shares.
func (g Group) points(i int) (secp256k1, ed25519 []byte) {
	own := g.Points[i*sanity.GroupPointsBytes : (i+1)*sanity.GroupPointsBytes]
	return own[:PubKeySize], own[PubKeySize : PubKeySize+PubKeyEd25519Size]
}

// PublicShares are the public shares that the group part of an epoch has of all members, which are
// in ascending order of their keys. It errs when it is of another number of members.
func (g Group) PublicShares(epoch uint64, members []Member) (PublicShares, error) {
	var s PublicShares
	if len(members) == 0 || len(g.Points) != len(members)*sanity.GroupPointsBytes {
		return s, fmt.Errorf("%d bytes of points are not those of %d members",
			len(g.Points), len(members))
	}
	for i, m := range members {
		secp256k1, ed25519 := g.points(i)
		for _, list := range []struct {
			group   verenc.Group
			point   []byte
			entries *[]PublicShare
		}{
			{verenc.Secp256k1, secp256k1, &s.Secp256k1},
			{verenc.Ed25519, ed25519, &s.Ed25519},
		} {
			id, err := verenc.ShareID(list.group, epoch, m.PubKey)
			if err != nil {
				return PublicShares{}, err
			}
			*list.entries = append(*list.entries, PublicShare{
				Member: m.Address(), Id: id, Point: list.point,
			})
		}
	}
	byID := func(a, b PublicShare) int { return bytes.Compare(a.Id, b.Id) }
	slices.SortFunc(s.Secp256k1, byID)
	slices.SortFunc(s.Ed25519, byID)
	return s, nil
}

// Records are what state keeps of a group part: the points and hashes that votes read, and the
// parameters of all members. It errs when it is not of so many members.
func (g GenesisGroup) Records(members int) (Group, []byte, error) {
	entries, err := sanity.ParseGroup(g.Group, members)
	if err != nil {
		return Group{}, nil, err
	}
	return NewGroup(g.Group, entries, g.Height), GroupParameters(entries), nil
}

// NewGroup is the record of a group part, which was parsed into these entries, that was carried in
// a block.
func NewGroup(group []byte, entries []sanity.GroupMember, height int64) Group {
	sum := sha256.Sum256(group)
	return Group{Points: sanity.GroupPoints(entries), Sha256: sum[:], Height: height}
}

// GroupParameters are the parameters of all members, one after the other.
func GroupParameters(entries []sanity.GroupMember) []byte {
	parameters := make([]byte, 0, len(entries)*sanity.ParametersBytes)
	for _, e := range entries {
		parameters = append(parameters, e.Parameters...)
	}
	return parameters
}

// check checks whether it is the group part of the result, with points of both curves. That they
// are the points of the vault's keys, and what the parameters are, was checked by the consensus
// that accepted them.
func (g GenesisGroup) check(r Result, members []Member) error {
	record, _, err := g.Records(len(members))
	if err != nil {
		return err
	}
	hash, err := GroupHash(r.PubKey, r.PubKeyEd25519, members, record.Points)
	if err != nil {
		return err
	}
	if !bytes.Equal(hash, g.Hash) {
		return errors.New("it does not have its hash")
	}
	if g.Height < 0 {
		return errors.New("height is negative")
	}
	shares, err := record.PublicShares(g.KeygenId, members)
	if err != nil {
		return err
	}
	return shares.CheckPoints()
}
