// Package cid writes a SHA-256 as IPFS does: the CID of version 1 of raw bytes, which are one block
// (https://github.com/multiformats/cid).
package cid

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
)

// prefix begins a CID of version 1 of raw bytes with a SHA-256 of 32 bytes.
var prefix = []byte{0x01, 0x55, 0x12, 0x20}

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Of is the CID of the bytes with a SHA-256, given in 32 bytes.
func Of(sum []byte) string { return "b" + encoding.EncodeToString(slices.Concat(prefix, sum)) }

// Sum is the SHA-256 that a CID names, and whether it is one of those that Of writes.
func Sum(cid string) (sum []byte, ok bool) {
	data, err := encoding.DecodeString(strings.TrimPrefix(cid, "b"))
	if err != nil || len(data) != len(prefix)+sha256.Size {
		return nil, false
	}
	sum = data[len(prefix):]
	return sum, Of(sum) == cid
}
