package sanity_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/sanity"
)

func TestAGroupPartIsParsedAndMadeAgain(t *testing.T) {
	pre := preParametersOf(t, 0)
	parameters, err := pre.public().Bytes()
	require.NoError(t, err)
	require.Len(t, parameters, sanity.ParametersBytes)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(t, "members")
		group := rapid.SliceOfN(rapid.Byte(), n*sanity.GroupMemberBytes, n*sanity.GroupMemberBytes).Draw(t, "group")
		copy(group[65:], parameters)
		before := bytes.Clone(group)
		members, err := sanity.ParseGroup(group, n)
		require.NoError(t, err)
		require.Len(t, members, n)
		require.Equal(t, pre.public(), members[0].ReadParameters())
		again, err := sanity.MakeGroup(members)
		require.NoError(t, err)
		require.Equal(t, group, again)

		points := sanity.GroupPoints(members)
		require.Len(t, points, n*sanity.GroupPointsBytes)
		var numbers []byte
		for _, m := range members {
			numbers = append(numbers, m.Parameters...)
		}
		again, err = sanity.AssembleGroup(points, numbers)
		require.NoError(t, err)
		require.Equal(t, group, again)
		at := rapid.IntRange(0, len(numbers)-1).Draw(t, "at")
		numbers[at] ^= 1
		_, err = sanity.AssembleGroup(points, numbers)
		require.ErrorContains(t, err, "do not have their hash")

		_ = append(members[0].Secp256k1, 1, 2, 3) // what a caller appends to a view
		require.Equal(t, before, group)
	})
}

func TestAGroupPartOfAnotherLengthIsRefused(t *testing.T) {
	for _, c := range []struct{ bytes, members int }{
		{0, 0},
		{0, 1},
		{0, -1},
		{sanity.GroupMemberBytes - 1, 1},
		{sanity.GroupMemberBytes + 1, 1},
		{sanity.GroupMemberBytes, 2},
		{2 * sanity.GroupMemberBytes, 1},
		{2 * sanity.GroupMemberBytes, -2},
	} {
		_, err := sanity.ParseGroup(make([]byte, c.bytes), c.members)
		require.Error(t, err, "%d bytes for %d members", c.bytes, c.members)
	}
	_, err := sanity.MakeGroup(nil)
	require.Error(t, err)
	whole := sanity.GroupMember{Secp256k1: make([]byte, 33), Ed25519: make([]byte, 32), Parameters: make([]byte, 1024)}
	for _, spoil := range []func(*sanity.GroupMember){
		func(m *sanity.GroupMember) { m.Secp256k1 = m.Secp256k1[:32] },
		func(m *sanity.GroupMember) { m.Ed25519 = make([]byte, 33) },
		func(m *sanity.GroupMember) { m.Parameters = nil },
	} {
		m := whole
		spoil(&m)
		_, err := sanity.MakeGroup([]sanity.GroupMember{whole, m})
		require.ErrorContains(t, err, "entry 2")
	}
	for _, c := range []struct{ points, parameters int }{
		{0, 0},
		{sanity.GroupPointsBytes, 0},
		{sanity.GroupPointsBytes + 1, sanity.ParametersBytes},
		{sanity.GroupPointsBytes, 2 * sanity.ParametersBytes},
	} {
		_, err := sanity.AssembleGroup(make([]byte, c.points), make([]byte, c.parameters))
		require.Error(t, err, c)
	}
	_, err = sanity.GroupHash(nil, nil, nil, nil)
	require.Error(t, err)
	_, err = sanity.GroupHash(nil, nil, [][]byte{{1}}, make([]byte, 2*sanity.GroupPointsBytes))
	require.Error(t, err)
}

// TestTheGroupHashIsOverAllThatItNames computes it in another way, and changes each thing it is
// over.
func TestTheGroupHashIsOverAllThatItNames(t *testing.T) {
	pattern := func(seed byte, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = seed + byte(i)
		}
		return b
	}
	secp, ed := pattern(1, 33), pattern(2, 32)
	keys := [][]byte{pattern(3, 33), pattern(4, 33)}
	group := pattern(5, 2*sanity.GroupMemberBytes)
	members, err := sanity.ParseGroup(group, 2)
	require.NoError(t, err)
	points := sanity.GroupPoints(members)
	hash, err := sanity.GroupHash(secp, ed, keys, points)
	require.NoError(t, err)

	u32 := func(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	var want bytes.Buffer
	for _, b := range [][]byte{[]byte("tssbackup/group/v1"), u32(33), secp, u32(32), ed, u32(2)} {
		want.Write(b)
	}
	for i, key := range keys {
		numbers := sha256.Sum256(group[i*1089+65 : (i+1)*1089])
		for _, b := range [][]byte{u32(33), key, group[i*1089 : i*1089+65], numbers[:]} {
			want.Write(b)
		}
	}
	sum := sha256.Sum256(want.Bytes())
	require.Equal(t, sum[:], hash)

	for at := range points {
		other := bytes.Clone(points)
		other[at] ^= 1
		changed, err := sanity.GroupHash(secp, ed, keys, other)
		require.NoError(t, err)
		require.NotEqual(t, hash, changed, "byte %d of the points", at)
	}
	for name, f := range map[string]func() ([]byte, error){
		"another secp256k1 key": func() ([]byte, error) { return sanity.GroupHash(ed, ed, keys, points) },
		"another ed25519 key":   func() ([]byte, error) { return sanity.GroupHash(secp, secp, keys, points) },
		"another order": func() ([]byte, error) {
			return sanity.GroupHash(secp, ed, [][]byte{keys[1], keys[0]}, points)
		},
	} {
		changed, err := f()
		require.NoError(t, err)
		require.NotEqual(t, hash, changed, name)
	}
}

// TestWhatIsCheckedHasAPlace shows that parameters which pass CheckParameters can stand in a group
// part, and come back from it as they were, and that others are refused or come back as well.
func TestWhatIsCheckedHasAPlace(t *testing.T) {
	honest := preParametersOf(t, 0).public()
	require.NoError(t, sanity.CheckParameters(honest))
	b, err := honest.Bytes()
	require.NoError(t, err)
	again := sanity.GroupMember{Parameters: b}.ReadParameters()
	require.Equal(t, honest, again)
	require.NoError(t, sanity.CheckParameters(again))

	for i, spoil := range []func(*sanity.Parameters, *big.Int){
		func(p *sanity.Parameters, n *big.Int) { p.N = n },
		func(p *sanity.Parameters, n *big.Int) { p.NTilde = n },
		func(p *sanity.Parameters, n *big.Int) { p.H1 = n },
		func(p *sanity.Parameters, n *big.Int) { p.H2 = n },
	} {
		for _, n := range []*big.Int{nil, big.NewInt(-1), new(big.Int).Lsh(big.NewInt(1), 2048)} {
			p := honest
			spoil(&p, n)
			require.Error(t, sanity.CheckParameters(p))
			_, err := p.Bytes()
			require.Error(t, err, "number %d: %v", i, n)
		}
	}
	// A number that is not reduced is another number in its place, and no member's.
	p := honest
	p.H1 = new(big.Int).Add(p.H1, p.NTilde)
	require.Error(t, sanity.CheckParameters(p))
	if b, err := p.Bytes(); err == nil {
		require.Error(t, sanity.CheckParameters(sanity.GroupMember{Parameters: b}.ReadParameters()))
	}
	require.True(t, slices.Equal(b[:256], honest.N.Bytes()), "N is the first")
}

// FuzzParseGroup has whatever is taken for a group part come back as it was, from its entries and
// from what a chain keeps of it.
func FuzzParseGroup(f *testing.F) {
	f.Add(make([]byte, sanity.GroupMemberBytes), 1)
	f.Add(make([]byte, 3*sanity.GroupMemberBytes), 3)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, group []byte, members int) {
		entries, err := sanity.ParseGroup(group, members)
		if err != nil {
			return
		}
		again, err := sanity.MakeGroup(entries)
		require.NoError(t, err)
		require.True(t, bytes.Equal(group, again))
		var numbers []byte
		for _, e := range entries {
			numbers = append(numbers, e.Parameters...)
			if p := e.ReadParameters(); sanity.CheckParameters(p) == nil {
				place, err := p.Bytes()
				require.NoError(t, err)
				require.True(t, bytes.Equal(e.Parameters, place))
			}
		}
		again, err = sanity.AssembleGroup(sanity.GroupPoints(entries), numbers)
		require.NoError(t, err)
		require.True(t, bytes.Equal(group, again))
	})
}
