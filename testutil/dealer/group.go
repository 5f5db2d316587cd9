package dealer

import (
	"bytes"
	"slices"

	"github.com/tssbackup/tssbackup/sanity"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// Group is the group part of the shares that were dealt among these members, given by their
// compressed public keys in any order: that of the files which [NewVault] makes of the same keys.
// When there are more members than pre-parameters, some have the same.
func (d *Dealt) Group(members [][]byte) []byte {
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, bytes.Compare)
	preParams := preParamsFor(len(sorted))
	point := func(list []types.PublicShare, address []byte) []byte {
		return list[slices.IndexFunc(list, func(s types.PublicShare) bool {
			return bytes.Equal(s.Member, address)
		})].Point
	}
	entries := make([]sanity.GroupMember, len(sorted))
	for i, m := range sorted {
		p, address := preParams[i%len(preParams)], types.SignerAddress(m)
		entries[i] = sanity.GroupMember{
			Secp256k1: point(d.Public.Secp256k1, address),
			Ed25519:   point(d.Public.Ed25519, address),
			Parameters: must(sanity.Parameters{
				N: p.PaillierSK.N, NTilde: p.NTildei, H1: p.H1i, H2: p.H2i,
			}.Bytes()),
		}
	}
	return must(sanity.MakeGroup(entries))
}
