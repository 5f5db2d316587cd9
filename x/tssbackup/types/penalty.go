package types

import (
	"bytes"
	"slices"
)

// maxDoublings is how often a penalty doubles at most.
const maxDoublings = 8

// AtFault reports whether the member with this raw address was at fault in the closed keygen.
func (k Keygen) AtFault(addr []byte) bool {
	is := func(a []byte) bool { return bytes.Equal(a, addr) }
	return slices.ContainsFunc(k.Blamed, is) || slices.ContainsFunc(k.Silent, is)
}

// Penalty is what an operator sits out for a fault at a height, given what is known of it from
// before: the zero SitOut when nothing is. The parameters demand a penalty.
func (p Params) Penalty(before SitOut, height int64) SitOut {
	after := SitOut{Count: 1}
	if before.Counts(p, height) {
		after.Count = before.Count + 1
	}
	after.Until = height + int64(p.PenaltyBlocks<<min(after.Count-1, maxDoublings))
	return after
}

// Counts reports whether a fault at a height comes within the penalty window of this one.
func (s SitOut) Counts(p Params, height int64) bool {
	return s.Count != 0 && height <= s.Until+int64(p.PenaltyWindow)
}
