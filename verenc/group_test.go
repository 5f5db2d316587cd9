package verenc

import (
	"bytes"
	"fmt"
	"math/big"
	"testing"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// edgeScalars are scalars at which windows and carries of a table turn over, and the ends of the
// range.
func edgeScalars(a arithmetic) []scalar {
	var out []scalar
	add := func(n *big.Int) {
		if n.Sign() > 0 && n.Cmp(a.order()) < 0 {
			out = append(out, a.fromBig(n))
		}
	}
	one := big.NewInt(1)
	for bit := range uint(256) {
		n := new(big.Int).Lsh(one, bit)
		add(n)
		add(new(big.Int).Sub(n, one))
		add(new(big.Int).Add(n, one))
		add(new(big.Int).Sub(a.order(), n))
	}
	for _, width := range []uint{secpWidth, edBaseWidth, edKeyWidth} {
		half := new(big.Int).Lsh(one, width-1)
		sum := new(big.Int)
		for bit := uint(0); bit < 256; bit += width { // every window at the value where its digit changes sign
			sum.Add(sum, new(big.Int).Lsh(half, bit))
			add(sum)
			add(new(big.Int).Add(sum, one))
		}
	}
	return out
}

// libraryMult multiplies the generator by s with the curve library alone.
func libraryMult(g Group, s *scalar) point { return baselineMult(g, s, nil) }

func publicly(t *testing.T, a arithmetic, s []scalar, closed []bool, x []byte) []point {
	t.Helper()
	mults, err := a.publicMults(x)
	require.NoError(t, err)
	return mults(s, closed)
}

func TestTablesAgreeWithTheLibraries(t *testing.T) {
	for _, g := range []Group{Secp256k1, Ed25519} {
		a, err := g.arithmetic()
		require.NoError(t, err)
		scalars := edgeScalars(a)
		for i := range 200 {
			scalars = append(scalars, madeUpScalar(t, g, fmt.Sprint(i)))
		}
		got := publicly(t, a, scalars, nil, nil)
		secret := a.secretMults(scalars)
		for i := range scalars {
			want := libraryMult(g, &scalars[i])
			require.Equal(t, want, got[i], "%v %x", g, scalars[i])
			require.Equal(t, want, secret[i], "%v %x", g, scalars[i])
		}
	}
}

func TestTableOfAKeyAgreesWithTheLibrary(t *testing.T) {
	key, _, _ := toyCase(t, "table")
	pk, err := edDecode(key.Public())
	require.NoError(t, err)
	scalars := edgeScalars(edwards{})
	for width := 2; width <= 8; width++ {
		got := edEncodeSums(edPublicMults(scalars, edTable(pk, width, serially), width))
		for i := range scalars {
			want := new(edwards25519.Point).ScalarMult(edScalar(&scalars[i]), pk).Bytes()
			require.Equal(t, want, []byte(got[i]), "%x", scalars[i])
		}
	}
}

// TestClosedRowsAgreeWithTheLibraries subtracts points in all cases of addition: sums, doublings,
// and the identity.
func TestClosedRowsAgreeWithTheLibraries(t *testing.T) {
	for _, g := range []Group{Secp256k1, Ed25519} {
		a, err := g.arithmetic()
		require.NoError(t, err)
		x := madeUpShare(t, g, "x")
		order := new(big.Int)
		minusX := a.fromBig(order.Sub(a.order(), a.toBig(x.x.scalar())))
		scalars := append(edgeScalars(a), minusX)
		closed := make([]bool, len(scalars)+1)
		for i := range scalars {
			closed[i] = i%3 != 0
		}
		closed[len(scalars)-1] = true
		closed[len(scalars)] = true
		got := publicly(t, a, append(scalars, *x.x.scalar()), closed, x.Public().Point)
		for i := range scalars {
			r := scalars[i]
			if closed[i] {
				r = a.sub(&r, x.x.scalar())
			}
			require.Equal(t, libraryMult(g, &r), got[i])
		}
		require.Nil(t, got[len(scalars)], "w = x")

		_, err = a.publicMults(make([]byte, a.pointSize()))
		require.Error(t, err)
	}
}

// TestZeroScalars multiplies by zero, among others and alone.
func TestZeroScalars(t *testing.T) {
	for _, g := range []Group{Secp256k1, Ed25519} {
		a, err := g.arithmetic()
		require.NoError(t, err)
		one := a.fromBig(big.NewInt(1))
		for _, n := range []int{1, 3, 50} { // by few and by many the library and the table are used
			scalars := make([]scalar, n)
			for i := 1; i < n; i += 2 {
				scalars[i] = one
			}
			got := publicly(t, a, scalars, nil, nil)
			for i := range got {
				if i%2 == 0 {
					require.Nil(t, got[i])
				} else {
					require.Equal(t, libraryMult(g, &one), got[i])
				}
			}
		}
		require.Nil(t, a.secretMults([]scalar{{}})[0])
	}
}

// TestAdditionOnSecp256k1 adds points of small multiples, which meet every case of the addition
// law.
func TestAdditionOnSecp256k1(t *testing.T) {
	multiple := func(n int) secpPoint {
		if n%41 == 0 {
			return secpPoint{}
		}
		s := secp{}.fromBig(new(big.Int).Mod(big.NewInt(int64(n)), secpOrder))
		return secpBaseMults([]scalar{s})[0]
	}
	for i := -6; i <= 6; i++ {
		for j := -6; j <= 6; j++ {
			for _, negate := range []bool{false, true} {
				p := []secpPoint{multiple(i)}
				q := multiple(j)
				newSecpAdder(1).add(p, func(int) (*secpPoint, bool) { return &q, negate })
				want := i + j
				if negate {
					want = i - j
				}
				require.Equal(t, secpEncode([]secpPoint{multiple(want)}), secpEncode(p), "%d %d %v", i, j, negate)
			}
		}
	}
}

func TestScalarArithmeticAgreesWithIntegers(t *testing.T) {
	for _, g := range []Group{Secp256k1, Ed25519} {
		a, err := g.arithmetic()
		require.NoError(t, err)
		rapid.Check(t, func(t *rapid.T) {
			draw := func(name string) (scalar, *big.Int) {
				n := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, name))
				n.Mod(n, a.order())
				return a.fromBig(n), n
			}
			x, nx := draw("x")
			y, ny := draw("y")
			z, nz := draw("z")
			is := func(want *big.Int, got scalar) {
				require.Equal(t, a.fromBig(want.Mod(want, a.order())), got)
			}
			is(new(big.Int).Add(nx, ny), a.add(&x, &y))
			is(new(big.Int).Sub(nx, ny), a.sub(&x, &y))
			is(new(big.Int).Add(nz, new(big.Int).Mul(nx, ny)), a.mulAdd(&x, &y, &z))
			require.Equal(t, nx, a.toBig(&x))

			h := [64]byte(rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(t, "hash"))
			number := bytes.Clone(h[:])
			if g == Ed25519 { // little-endian
				for i := range 32 {
					number[i], number[63-i] = number[63-i], number[i]
				}
			}
			is(new(big.Int).SetBytes(number), a.wide(&h))
		})
		all := [64]byte(bytes.Repeat([]byte{0xff}, 64))
		n := new(big.Int).SetBytes(all[:])
		require.Equal(t, a.fromBig(n.Mod(n, a.order())), a.wide(&all))
	}
}

func TestDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "number"))
		width := rapid.UintRange(1, 13).Draw(t, "width")
		d := make([]int16, (256+width)/width)
		digits(d, &n, width)
		sum := new(big.Int)
		for k := len(d) - 1; k >= 0; k-- {
			require.LessOrEqual(t, d[k], int16(1)<<(width-1))
			require.GreaterOrEqual(t, d[k], -int16(1)<<(width-1))
			sum.Lsh(sum, width).Add(sum, big.NewInt(int64(d[k])))
		}
		n = reversed(&n)
		require.Zero(t, sum.Cmp(new(big.Int).SetBytes(n[:])))
	})
}

func TestPointsAreDecodedStrictly(t *testing.T) {
	good := map[Group][]byte{
		Secp256k1: madeUpShare(t, Secp256k1, "good").Public().Point,
		Ed25519:   madeUpShare(t, Ed25519, "good").Public().Point,
	}
	for g, p := range good {
		require.NoError(t, g.CheckPoint(p))
		require.Len(t, p, g.PointSize())
		for n := range 70 {
			if n != len(p) {
				require.Error(t, g.CheckPoint(append(bytes.Clone(p), p...)[:min(n, 2*len(p))]), "%v of %d bytes", g, n)
			}
		}
		require.Error(t, g.CheckPoint(make([]byte, len(p))))
		require.Error(t, g.CheckPoint(bytes.Repeat([]byte{0xff}, len(p))))
	}
	require.Error(t, Group(0).CheckPoint(good[Secp256k1]))
	require.Error(t, Group(3).CheckPoint(good[Ed25519]))
	require.Zero(t, Group(3).PointSize())

	for _, prefix := range []byte{0, 1, 4, 5, 6, 7, 0x82} {
		p := bytes.Clone(good[Secp256k1])
		p[0] = prefix
		require.Error(t, Secp256k1.CheckPoint(p), "prefix %d", prefix)
	}
	key, err := secp256k1.ParsePubKey(good[Secp256k1])
	require.NoError(t, err)
	require.Error(t, Secp256k1.CheckPoint(key.SerializeUncompressed()))
	// x = p + 1 reduces to 1, the x of a point.
	x := new(big.Int).Add(secp256k1.Params().P, big.NewInt(1)).FillBytes(make([]byte, 32))
	require.NoError(t, Secp256k1.CheckPoint(append([]byte{2}, big.NewInt(1).FillBytes(make([]byte, 32))...)))
	require.Error(t, Secp256k1.CheckPoint(append([]byte{2}, x...)))
	require.Error(t, Secp256k1.CheckPoint(append([]byte{2}, big.NewInt(5).FillBytes(make([]byte, 32))...)), "no point has x = 5")
}

func TestNumbersOfTssLib(t *testing.T) {
	for _, g := range []Group{Secp256k1, Ed25519} {
		a, err := g.arithmetic()
		require.NoError(t, err)
		order := a.order()
		for why, n := range map[string]*big.Int{
			"nil": nil, "zero": new(big.Int), "negative": big.NewInt(-1), "the order": order,
			"more": new(big.Int).Lsh(order, 8),
		} {
			_, err := ShareFromInt(g, n)
			require.Error(t, err, why)
		}
		s, err := ShareFromInt(g, big5)
		require.NoError(t, err)
		five := a.fromBig(big5)
		require.Equal(t, five[:], s.Bytes())

		id, err := ShareID(g, 1, new(big.Int).Add(order, big5).Bytes())
		require.NoError(t, err)
		require.Equal(t, big5.FillBytes(make([]byte, 32)), id)
		for _, n := range []*big.Int{new(big.Int), order, new(big.Int).Lsh(order, 3)} {
			_, err = ShareID(g, 1, n.Bytes())
			require.Error(t, err)
		}

		for _, xy := range [][2]*big.Int{
			{nil, nil},
			{new(big.Int), new(big.Int)},
			{new(big.Int), big.NewInt(1)},
			{big.NewInt(-1), big.NewInt(1)},
			{new(big.Int).Lsh(big5, 256), big.NewInt(1)},
			{big.NewInt(1), new(big.Int).Lsh(big5, 256)},
			{big5, big5},
		} {
			_, err = PointFromInts(g, xy[0], xy[1])
			require.Error(t, err, "%v", xy)
		}
		_, err = NewShare(g, five[:31])
		require.Error(t, err)
		_, err = NewShare(g, make([]byte, 32))
		require.Error(t, err)
		for why, w := range outOfRange(a) {
			_, err = NewShare(g, w[:])
			require.Error(t, err, why)
		}
	}
	_, err := ShareFromInt(3, big5)
	require.Error(t, err)
	_, err = ShareID(3, 1, big5.Bytes())
	require.Error(t, err)
	_, err = PointFromInts(3, big5, big5)
	require.Error(t, err)
	_, err = NewShare(3, make([]byte, 32))
	require.Error(t, err)
}

// TestXOfAnEd25519PointIsChecked: the encoding keeps only the sign of x, so another x of the same
// sign must be refused.
func TestXOfAnEd25519PointIsChecked(t *testing.T) {
	x, ok := new(big.Int).SetString("216936D3CD6E53FEC0A4E231FDD6DC5C692CC7609525A7B2C9562D608F25D51A", 16)
	require.True(t, ok)
	y, ok := new(big.Int).SetString("6666666666666666666666666666666666666666666666666666666666666658", 16)
	require.True(t, ok)
	p, err := PointFromInts(Ed25519, x, y)
	require.NoError(t, err)
	require.Equal(t, edwards25519.NewGeneratorPoint().Bytes(), p)
	_, err = PointFromInts(Ed25519, new(big.Int).Add(x, big.NewInt(2)), y)
	require.Error(t, err)
}
