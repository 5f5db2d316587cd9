package verenc

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// forger is a prover that does not keep to the rules: it changes rows before it commits to them,
// and picks its nonce.
type forger struct {
	p      params
	key    *RecipientKey
	st     Statement
	ctx    [32]byte
	salt   [32]byte
	shares []Share
	rows   *secretRows
	d      [32]byte
}

func newForger(t testing.TB, p params, key *RecipientKey, st Statement, shares []Share, randomness string) *forger {
	t.Helper()
	f := &forger{p: p, key: key, st: st, shares: shares}
	var err error
	f.ctx, err = st.Context()
	require.NoError(t, err)
	f.salt = sha256.Sum256([]byte("salt " + randomness))
	root := sha256.Sum256([]byte("root " + randomness))
	f.rows, err = p.secretRows(key, &f.ctx, shares, &f.salt, (*seed)(root[:16]))
	require.NoError(t, err)
	f.commit(t)
	return f
}

func (f *forger) commit(t testing.TB) {
	t.Helper()
	var err error
	f.d, err = commit(&f.ctx, &f.salt, f.rows.pointsE, f.rows.pointsR)
	require.NoError(t, err)
}

// mask replaces the mask of share j in row i, so that the row no longer opens to the share.
func (f *forger) mask(t testing.TB, j, i int, r scalar) {
	t.Helper()
	a, err := f.shares[j].Group().arithmetic()
	require.NoError(t, err)
	f.rows.masks[j][i] = r
	f.rows.pointsR[j][i] = a.secretMults([]scalar{r})[0]
	f.commit(t)
}

// ephemeral replaces E of row i.
func (f *forger) ephemeral(t testing.TB, i int, e []byte) {
	t.Helper()
	f.rows.pointsE[i] = e
	f.commit(t)
}

// nonce finds the first admissible nonce from the given one on whose closed rows please the forger.
func (f *forger) nonce(from uint32, pleases func(closed []int) bool) uint32 {
	for n := from; ; n++ {
		if set, _, ok := f.p.challenge(&f.ctx, &f.d, n); ok && pleases(set) {
			return n
		}
	}
}

func (f *forger) closed(row int) func([]int) bool {
	return func(set []int) bool { return slices.Contains(set, row) }
}

// proof answers the challenge of a nonce, admissible or not.
func (f *forger) proof(t testing.TB, nonce uint32) []byte {
	t.Helper()
	loose := f.p
	loose.copath = 2 * f.p.rows
	set, copath, _ := loose.challenge(&f.ctx, &f.d, nonce)
	proof := append([]byte{suite}, f.salt[:]...)
	proof = append(proof, f.d[:]...)
	proof = binary.BigEndian.AppendUint32(proof, nonce)
	for _, v := range copath {
		proof = append(proof, f.rows.seeds[v][:]...)
	}
	for _, i := range set {
		proof = append(proof, f.rows.pointsE[i]...)
		for j, s := range f.shares {
			a, err := s.Group().arithmetic()
			require.NoError(t, err)
			w := a.add(s.x.scalar(), &f.rows.masks[j][i])
			proof = append(proof, w[:]...)
		}
	}
	return proof
}

func whichever([]int) bool { return true }

// maskFor gives the mask under which the masked share is w.
func maskFor(t testing.TB, s Share, w scalar) scalar {
	t.Helper()
	a, err := s.Group().arithmetic()
	require.NoError(t, err)
	return a.sub(&w, s.x.scalar())
}

var big5 = big.NewInt(5)

// outOfRange are scalars that a lenient decoder reduces: the order, 5 + order and 2²⁵⁶ − 1.
func outOfRange(a arithmetic) map[string]scalar {
	all := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	return map[string]scalar{
		"the order":     a.fromBig(a.order()),
		"w + the order": a.fromBig(new(big.Int).Add(a.order(), big5)),
		"2^256 - 1":     a.fromBig(all),
	}
}
