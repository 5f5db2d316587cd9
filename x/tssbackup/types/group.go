package types

import (
	"bytes"
	"crypto/sha256"
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

// PublicShares are the public shares that the group part of an epoch has of all members, which are
// in ascending order of their keys. It errs when it is of another number of members.
func (g Group) PublicShares(epoch uint64, members []Member) (PublicShares, error) {
	var s PublicShares
	if len(members) == 0 || len(g.Points) != len(members)*sanity.GroupPointsBytes {
		return s, fmt.Errorf("%d bytes of points are not those of %d members",
			len(g.Points), len(members))
	}
	for i, m := range members {
		own := g.Points[i*sanity.GroupPointsBytes : (i+1)*sanity.GroupPointsBytes]
		for _, list := range []struct {
			group   verenc.Group
			point   []byte
			entries *[]PublicShare
		}{
			{verenc.Secp256k1, own[:PubKeySize], &s.Secp256k1},
			{verenc.Ed25519, own[PubKeySize : PubKeySize+PubKeyEd25519Size], &s.Ed25519},
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
