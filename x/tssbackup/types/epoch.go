package types

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// MaxEpochs is how many epochs a vault has at most. Any threshold of each of them could sign, and
// one more would be one more to look after: a churn makes a new vault then.
const MaxEpochs = 16

const reshareSessionDomain = "tssbackup/reshare-session/v1"

// FirstEpoch is the number of the keygen that made the vault.
func (v Vault) FirstEpoch() uint64 {
	if len(v.Former) > 0 {
		return v.Former[0].Epoch
	}
	return v.Epoch
}

// GraceEpoch is the epoch before the present one while it has its grace, 0 else.
func (v Vault) GraceEpoch() uint64 {
	if v.GraceUntil == 0 || len(v.Former) == 0 {
		return 0
	}
	return v.Former[len(v.Former)-1].Epoch
}

// Margin is how many more members of one former epoch would have to leave for a threshold of it to
// be outside the present one: the least over the former epochs. It is 0 when there are none, and
// for a record that consensus does not write.
func (v Vault) Margin() uint32 {
	if len(v.Former) == 0 {
		return 0
	}
	margin := ^uint32(0)
	for _, f := range v.Former {
		margin = min(margin, f.Margin())
	}
	return margin
}

// Margin is how many more members of the epoch would have to leave for a threshold of it to be
// outside the present one: at least 1 in a record that consensus writes.
func (f FormerEpoch) Margin() uint32 {
	return f.Threshold - min(f.Threshold, f.Outside)
}

// RequireShares reports whether a vote for a result counts with public shares alone: where proofs
// are required, and in a reshare, which is checked by them.
func (k Keygen) RequireShares() bool { return k.RequireProofs || k.Reshare != nil }

// CountOutside is how many of these members are not among others.
func CountOutside(members, others []Member) uint32 {
	return uint32(len(Participants(others, members)) - len(others))
}

// Participants are the members of a keygen and, after them, those of the epoch that is reshared who
// are none of them.
func Participants(members, dealing []Member) []Member {
	known := make(map[string]bool, len(members))
	for _, m := range members {
		known[string(m.PubKey)] = true
	}
	all := slices.Clone(members)
	for _, m := range dealing {
		if !known[string(m.PubKey)] {
			all = append(all, m)
		}
	}
	return all
}

// Able are those of the members of the epoch that is reshared who may deal.
func (r Reshare) Able(members []Member) []Member {
	return slices.DeleteFunc(slices.Clone(members), func(m Member) bool {
		return ContainsAddress(r.Excluded, m.Address())
	})
}

// ContainsAddress reports whether a raw address is among others.
func ContainsAddress(addresses [][]byte, address []byte) bool {
	return slices.ContainsFunc(addresses, func(a []byte) bool { return bytes.Equal(a, address) })
}

// ReshareSessionID names an attempt at a reshare, in 32 bytes: it is bound to the joins of all
// members and of the dealers, each in their order, and to the epoch whose members deal.
func ReshareSessionID(
	chainID string, keygenID, attempt uint64, members []Member, joins []Join,
	epoch uint64, dealers []Dealer,
) []byte {
	b := appendLP([]byte(reshareSessionDomain), []byte(chainID))
	b = binary.BigEndian.AppendUint64(b, keygenID)
	b = binary.BigEndian.AppendUint64(b, attempt)
	b = binary.BigEndian.AppendUint64(b, epoch)
	b = binary.BigEndian.AppendUint32(b, uint32(len(members)))
	for i, m := range members {
		b = appendJoin(b, m.PubKey, joins[i])
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(dealers)))
	for _, d := range dealers {
		b = appendJoin(b, d.PubKey, d.Join)
	}
	sum := sha256.Sum256(b)
	return sum[:]
}
