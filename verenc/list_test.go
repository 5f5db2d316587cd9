package verenc

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// madeUpVault is a list whose secret polynomial has the given degree, with all its shares.
func madeUpVault(t testing.TB, g Group, n, degree int, name string) vault {
	t.Helper()
	a, err := g.arithmetic()
	require.NoError(t, err)
	coefficients := make([]scalar, degree+1)
	for c := range coefficients {
		coefficients[c] = madeUpScalar(t, g, fmt.Sprint(name, " coefficient ", c))
	}
	v := vault{list: List{Group: g, Vault: secretMult(a, &coefficients[0])}}
	for i := range n {
		id := madeUpScalar(t, g, fmt.Sprint(name, " id ", i))
		v.list.Entries = append(v.list.Entries, Entry{ID: a.toBig(&id).FillBytes(make([]byte, 32))})
	}
	slices.SortFunc(v.list.Entries, func(a, b Entry) int { return bytes.Compare(a.ID, b.ID) })
	for i := range v.list.Entries {
		e := &v.list.Entries[i]
		at := a.fromBig(new(big.Int).SetBytes(e.ID))
		var x scalar
		for c := degree; c >= 0; c-- {
			x = a.mulAdd(&x, &at, &coefficients[c])
		}
		s, err := NewShare(g, x[:])
		require.NoError(t, err)
		e.Point = s.Public().Point
		v.shares = append(v.shares, s)
		v.places = append(v.places, i)
	}
	return v
}

func (l List) clone() List {
	l.Entries = slices.Clone(l.Entries)
	return l
}

func TestThreshold(t *testing.T) {
	for n, want := range map[int]int{2: 2, 3: 2, 4: 3, 5: 4, 6: 4, 7: 5, 20: 14, 100: 67} {
		require.Equal(t, want, Threshold(n), "%d members", n)
		require.Equal(t, want-1, Degree(n), "%d members", n)
	}
	for n := 2; n <= 300; n++ {
		require.Greater(t, Threshold(n), 1)
		require.LessOrEqual(t, Threshold(n), n)
		require.GreaterOrEqual(t, 3*Threshold(n), 2*n)
		require.Less(t, 3*Degree(n), 2*n)
	}
}

func TestListsOfEverySize(t *testing.T) {
	for _, g := range []Group{Secp256k1, Ed25519} {
		for _, n := range []int{2, 3, 4, 5, 6, 7, 10, 31, 100} {
			t.Run(fmt.Sprintf("%d members on %v", n, g), func(t *testing.T) {
				t.Parallel()
				v := madeUpVault(t, g, n, Degree(n), "size")
				require.NoError(t, v.list.Check())
				require.NoError(t, madeUpVault(t, g, n, Degree(n)-1, "lower").list.Check(), "a lower degree")
				if Degree(n)+1 < n {
					require.Error(t, madeUpVault(t, g, n, Degree(n)+1, "higher").list.Check())
				}
				require.Error(t, madeUpVault(t, g, n, n, "highest").list.Check())
			})
		}
	}
}

// TestListsThatLie changes a good list in every way that a liar could profit from.
func TestListsThatLie(t *testing.T) {
	for _, g := range []Group{Secp256k1, Ed25519} {
		a, err := g.arithmetic()
		require.NoError(t, err)
		v := madeUpVault(t, g, 7, Degree(7), "lies")
		other := madeUpVault(t, g, 7, Degree(7), "other lies")
		order := a.order().FillBytes(make([]byte, 32))
		for why, change := range map[string]func(l *List){
			"another vault":         func(l *List) { l.Vault = other.list.Vault },
			"no vault":              func(l *List) { l.Vault = nil },
			"one point of another":  func(l *List) { l.Entries[3].Point = other.list.Entries[3].Point },
			"all points of another": func(l *List) { l.Entries = other.list.clone().Entries },
			"two points swapped":    func(l *List) { l.Entries[0].Point, l.Entries[1].Point = l.Entries[1].Point, l.Entries[0].Point },
			"one point negated":     func(l *List) { l.Entries[0].Point = negated(g, l.Entries[0].Point) },
			"all points negated": func(l *List) {
				for i := range l.Entries {
					l.Entries[i].Point = negated(g, l.Entries[i].Point)
				}
			},
			"entries out of order": func(l *List) { l.Entries[2], l.Entries[3] = l.Entries[3], l.Entries[2] },
			"a member missing":     func(l *List) { l.Entries = l.Entries[:6]; l.Entries[5] = other.list.Entries[6] },
			"an entry twice":       func(l *List) { l.Entries[4] = l.Entries[3] },
			"an id twice":          func(l *List) { l.Entries[4].ID = l.Entries[3].ID },
			"an id of zero":        func(l *List) { l.Entries[0].ID = make([]byte, 32) },
			"the order as id":      func(l *List) { l.Entries[6].ID = order },
			"an id above the order": func(l *List) {
				n := new(big.Int).Add(a.order(), new(big.Int).SetBytes(l.Entries[0].ID))
				if n.BitLen() <= 256 {
					l.Entries[6].ID = n.FillBytes(make([]byte, 32))
				} else {
					l.Entries[6].ID = bytes.Repeat([]byte{0xff}, 32)
				}
			},
			"a short id":       func(l *List) { l.Entries[0].ID = l.Entries[0].ID[1:] },
			"a long id":        func(l *List) { l.Entries[0].ID = append([]byte{0}, l.Entries[0].ID...) },
			"no id":            func(l *List) { l.Entries[0].ID = nil },
			"a short point":    func(l *List) { l.Entries[0].Point = l.Entries[0].Point[1:] },
			"no point":         func(l *List) { l.Entries[0].Point = nil },
			"a point of zeros": func(l *List) { l.Entries[0].Point = make([]byte, g.PointSize()) },
			"one entry":        func(l *List) { l.Entries = l.Entries[:1] },
			"no entries":       func(l *List) { l.Entries = nil },
			"the other group":  func(l *List) { l.Group = 3 - g },
			"no group":         func(l *List) { l.Group = 0 },
		} {
			l := v.list.clone()
			change(&l)
			require.Error(t, l.Check(), "%v: %s", g, why)
			_, err := l.Combine(make([]Share, len(l.Entries)))
			require.Error(t, err)
		}
		require.NoError(t, v.list.Check(), "the list itself was not changed")
	}
	v := madeUpVault(t, Ed25519, 4, Degree(4), "torsion")
	for _, i := range []int{0, 1} {
		for _, p := range append(withTorsion(t, v.list.Entries[i].Point), odd25519(t)...) {
			l := v.list.clone()
			l.Entries[i].Point = p
			require.Error(t, l.Check())
			l = v.list.clone()
			l.Vault = p
			require.Error(t, l.Check())
		}
	}
	// The same point of small order on every entry and on the vault lies on a polynomial of degree
	// 0.
	for _, p := range odd25519(t) {
		l := v.list.clone()
		l.Vault = p
		for i := range l.Entries {
			l.Entries[i].Point = p
		}
		require.Error(t, l.Check())
	}
}

func negated(g Group, enc []byte) []byte {
	n := bytes.Clone(enc)
	if g == Secp256k1 {
		n[0] ^= 1
	} else {
		n[31] ^= 0x80
	}
	return n
}

// TestAnyEnoughSharesGiveTheKey combines random subsets: whatever shares of [Threshold] there are,
// the key is the same, and whatever fewer there are, there is none.
func TestAnyEnoughSharesGiveTheKey(t *testing.T) {
	for _, g := range []Group{Secp256k1, Ed25519} {
		v := madeUpVault(t, g, 7, Degree(7), "subsets")
		var key []byte
		rapid.Check(t, func(t *rapid.T) {
			chosen := rapid.SliceOfNDistinct(rapid.IntRange(0, 6), 0, 7, rapid.ID).Draw(t, "members")
			some := make([]Share, 7)
			for _, i := range chosen {
				some[i] = v.shares[i]
			}
			got, err := v.list.Combine(some)
			if len(chosen) < Threshold(7) {
				require.ErrorContains(t, err, fmt.Sprintf("%d shares of %d", len(chosen), Threshold(7)))
				return
			}
			require.NoError(t, err)
			if key == nil {
				key = got.Bytes()
			}
			require.Equal(t, key, got.Bytes())
			require.Equal(t, v.list.Vault, got.Public().Point)
		})
	}
}

func TestCombineRefusesWrongShares(t *testing.T) {
	v := madeUpVault(t, Ed25519, 4, Degree(4), "right")
	other := madeUpVault(t, Ed25519, 4, Degree(4), "wrong")
	_, err := v.list.Combine(v.shares[:3])
	require.Error(t, err)
	_, err = v.list.Combine([]Share{v.shares[0], v.shares[1], other.shares[2], {}})
	require.ErrorContains(t, err, "entry 2")
	_, err = v.list.Combine([]Share{v.shares[1], v.shares[0], v.shares[2], {}})
	require.ErrorContains(t, err, "entry 0")
	_, err = v.list.Combine([]Share{madeUpShare(t, Secp256k1, "x"), v.shares[1], v.shares[2], {}})
	require.ErrorContains(t, err, "entry 0")
	_, err = v.list.Combine(v.shares)
	require.NoError(t, err)
}

func TestInterpolateTellsWhatItCannotGive(t *testing.T) {
	v := madeUpVault(t, Secp256k1, 4, Degree(4), "interpolated")
	ids := func(of ...int) (all [][]byte) {
		for _, i := range of {
			all = append(all, v.list.Entries[i].ID)
		}
		return all
	}
	got, err := Interpolate(v.list.Group, v.list.Vault, ids(2, 0, 3), []Share{v.shares[2], v.shares[0], v.shares[3]})
	require.NoError(t, err)
	require.Equal(t, v.list.Vault, got.Public().Point)
	for name, c := range map[string]struct {
		ids    [][]byte
		shares []Share
		says   string
	}{
		"none":                     {nil, nil, "0 ids"},
		"fewer ids":                {ids(0, 1), v.shares[:3], "2 ids of 3 shares"},
		"too few":                  {ids(0, 1), v.shares[:2], "do not give the vault's key"},
		"in another order":         {ids(1, 0, 2), v.shares[:3], "do not give the vault's key"},
		"an id twice":              {ids(0, 1, 1), v.shares[:3], "two ids are equal"},
		"an id of zero":            {[][]byte{{}, {1}, {2}}, v.shares[:3], "between zero and the group order"},
		"an id that is too large":  {[][]byte{bytes.Repeat([]byte{255}, 32), {1}, {2}}, v.shares[:3], "between zero and the group order"},
		"a share that is missing":  {ids(0, 1, 2), []Share{v.shares[0], {}, v.shares[2]}, "a share is missing"},
		"a share of another group": {ids(0, 1, 2), []Share{v.shares[0], madeUpShare(t, Ed25519, "x"), v.shares[2]}, "of another group"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Interpolate(v.list.Group, v.list.Vault, c.ids, c.shares)
			require.ErrorContains(t, err, c.says)
		})
	}
	_, err = Interpolate(0, v.list.Vault, ids(0), v.shares[:1])
	require.Error(t, err)
}
