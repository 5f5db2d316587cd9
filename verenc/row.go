package verenc

import "crypto/sha256"

// ephemeral derives the scalar e of row i from its leaf.
func ephemeral(ctx, salt *[32]byte, i int, leaf *seed) scalar {
	h := sum512("ephemeral", ctx[:], salt[:], u32(uint32(i)), leaf[:])
	e := edwards{}.wide(&h)
	clear(h[:])
	return e
}

// pad derives the mask of share j in row i from the Diffie–Hellman key K with the recipient, which
// E names.
func pad(a arithmetic, ctx *[32]byte, j, i int, e, k []byte) scalar {
	h := sum512("pad", ctx[:], u32(uint32(j)), u32(uint32(i)), e, k)
	r := a.wide(&h)
	clear(h[:])
	return r
}

// commit hashes the points of all rows: e[i] is E of row i, r[j][i] the point of its mask for share
// j.
func commit(ctx, salt *[32]byte, e []point, r [][]point) ([32]byte, error) {
	h := sha256.New()
	h.Write([]byte(domain + "commit"))
	h.Write(ctx[:])
	h.Write(salt[:])
	for i := range e {
		if e[i] == nil {
			return [32]byte{}, errIdentity
		}
		h.Write(e[i])
		for j := range r {
			if r[j][i] == nil {
				return [32]byte{}, errIdentity
			}
			h.Write(r[j][i])
		}
	}
	return [32]byte(h.Sum(nil)), nil
}
