package verenc

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"filippo.io/edwards25519"
	"github.com/stretchr/testify/require"
)

// honest are proofs over an ECDSA share, an EdDSA share, and both, at toy size and in full.
func honest(t testing.TB, p params, name string) (*RecipientKey, Statement, []Share, []byte) {
	t.Helper()
	key, st, shares := toyCase(t, name)
	switch name {
	case "ECDSA":
		st.Shares, shares = st.Shares[:1], shares[:1]
	case "EdDSA":
		st.Shares, shares = st.Shares[1:], shares[1:]
	}
	salt, root := sum256("test salt", []byte(name)), sum256("test root", []byte(name))
	proof, err := p.prove(key, st, shares, &salt, (*seed)(root[:16]))
	require.NoError(t, err)
	return key, st, shares, proof
}

// TestEveryFlippedBitIsRefused flips every bit of toy proofs, and one bit in every byte of one of
// full size.
func TestEveryFlippedBitIsRefused(t *testing.T) {
	for _, name := range benchmarkNames {
		_, st, _, proof := honest(t, toy, name)
		for part := range 2 {
			t.Run(fmt.Sprintf("%s at toy size, part %d", name, part), func(t *testing.T) {
				t.Parallel()
				for bit := part; bit < 8*len(proof); bit += 2 * sparse {
					changed := bytes.Clone(proof)
					changed[bit/8] ^= 1 << (bit % 8)
					_, err := verifyBoth(t, toy, st, changed)
					require.Error(t, err, "bit %d", bit)
				}
			})
		}
	}
	_, st, _, proof := honest(t, suite1, "EdDSA")
	for part := range 2 {
		t.Run(fmt.Sprintf("EdDSA in full, part %d", part), func(t *testing.T) {
			t.Parallel()
			for at := part; at < len(proof); at += 2 * sparse {
				changed := bytes.Clone(proof)
				changed[at] ^= 1 << (at % 8)
				_, err := suite1.verify(st, changed)
				require.Error(t, err, "byte %d", at)
				if at%32 < 2 {
					_, err = verifyBoth(t, suite1, st, changed)
					require.Error(t, err, "byte %d", at)
				}
			}
		})
	}
}

func TestEveryOtherLengthIsRefused(t *testing.T) {
	for _, name := range benchmarkNames {
		_, st, _, proof := honest(t, suite1, name)
		for n := range len(proof) {
			_, err := verifyBoth(t, suite1, st, proof[:n])
			require.Error(t, err, "%d bytes", n)
		}
		for n := 1; n <= 1100; n++ {
			_, err := verifyBoth(t, suite1, st, append(bytes.Clone(proof), make([]byte, n)...))
			require.Error(t, err, "%d bytes more", n)
		}
		stored, err := verifyBoth(t, suite1, st, proof)
		require.NoError(t, err)
		form := stored.Bytes()
		for n := range len(form) + 100 {
			if n == len(form) {
				continue
			}
			other := append(bytes.Clone(form), make([]byte, 100)...)[:n]
			parsed, err := ParseStored(other)
			if n == StoredSize(1) { // cut to the length of a form over one share, it is one
				continue
			}
			require.Error(t, err, "%d bytes", n)
			require.Nil(t, parsed)
		}
	}
}

// TestSizes holds the sizes that the scheme promises.
func TestSizes(t *testing.T) {
	require.Equal(t, 3013, MaxProofSize(1))
	require.Equal(t, 3973, MaxProofSize(2))
	require.Equal(t, 1989, StoredSize(1))
	require.Equal(t, 2949, StoredSize(2))
	for _, name := range benchmarkNames {
		_, st, _, proof := honest(t, suite1, name)
		require.LessOrEqual(t, len(proof), MaxProofSize(len(st.Shares)))
	}
}

// TestReplaysAreRefused sends a proof under every other context it could be sent under.
func TestReplaysAreRefused(t *testing.T) {
	key, st, shares := toyCase(t, "replay")
	vault, ed := st.Shares[0].Point, st.Shares[1].Point
	st.Label = Label("chain-1", vault, ed, 7, []byte("member address 00001"))
	proof, err := Prove(key, st, shares)
	require.NoError(t, err)
	_, err = verifyBoth(t, suite1, st, proof)
	require.NoError(t, err)

	otherKey, other, _ := toyCase(t, "other")
	for why, change := range map[string]func(*Statement){
		"another chain": func(s *Statement) { s.Label = Label("chain-2", vault, ed, 7, []byte("member address 00001")) },
		"another vault": func(s *Statement) {
			s.Label = Label("chain-1", other.Shares[0].Point, ed, 7, []byte("member address 00001"))
		},
		"another ed25519 key": func(s *Statement) {
			s.Label = Label("chain-1", vault, other.Shares[1].Point, 7, []byte("member address 00001"))
		},
		"no ed25519 key":            func(s *Statement) { s.Label = Label("chain-1", vault, nil, 7, []byte("member address 00001")) },
		"another keygen":            func(s *Statement) { s.Label = Label("chain-1", vault, ed, 8, []byte("member address 00001")) },
		"another member":            func(s *Statement) { s.Label = Label("chain-1", vault, ed, 7, []byte("member address 00002")) },
		"another recipient":         func(s *Statement) { s.Recipient = otherKey.Public() },
		"another secp256k1 point":   func(s *Statement) { s.Shares[0] = other.Shares[0] },
		"another ed25519 point":     func(s *Statement) { s.Shares[1] = other.Shares[1] },
		"the secp256k1 share alone": func(s *Statement) { s.Shares = s.Shares[:1] },
		"the ed25519 share alone":   func(s *Statement) { s.Shares = s.Shares[1:] },
		"shares in the other order": func(s *Statement) { slices.Reverse(s.Shares) },
		"one group twice":           func(s *Statement) { s.Shares[1] = s.Shares[0] },
		"no shares":                 func(s *Statement) { s.Shares = nil },
		"an unknown group":          func(s *Statement) { s.Shares[1].Group = 3 },
		"the other group's point":   func(s *Statement) { s.Shares[0].Point = s.Shares[1].Point },
		"a short recipient":         func(s *Statement) { s.Recipient = s.Recipient[:31] },
		"no recipient":              func(s *Statement) { s.Recipient = nil },
	} {
		changed := st
		changed.Shares = slices.Clone(st.Shares)
		change(&changed)
		_, err := verifyBoth(t, suite1, changed, proof)
		require.Error(t, err, why)
	}
}

func TestLabelsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range [][]byte{
		Label("a", []byte("b"), nil, 1, nil),
		Label("ab", nil, nil, 1, nil),
		Label("a", nil, []byte("b"), 1, nil),
		Label("a", nil, nil, 1, []byte("b")),
		Label("", []byte("a"), []byte("b"), 1, nil),
		Label("a", []byte("b"), nil, 256, nil),
	} {
		require.False(t, seen[string(l)])
		seen[string(l)] = true
	}
}

// torsion are the seven points of order 2, 4 and 8.
func torsion(t testing.TB) []*edwards25519.Point {
	t.Helper()
	// A point of order 8, from RFC 8032's curve: y² = the root of dy⁴ + 2y² − 1 on the curve.
	enc := [32]byte{
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	}
	p, err := new(edwards25519.Point).SetBytes(enc[:])
	require.NoError(t, err)
	var all []*edwards25519.Point
	for q := new(edwards25519.Point).Set(p); q.Equal(edwards25519.NewIdentityPoint()) != 1; q.Add(q, p) {
		all = append(all, new(edwards25519.Point).Set(q))
	}
	require.Len(t, all, 7)
	return all
}

// withTorsion adds every torsion point to a point.
func withTorsion(t testing.TB, enc []byte) [][]byte {
	t.Helper()
	p, err := new(edwards25519.Point).SetBytes(enc)
	require.NoError(t, err)
	var all [][]byte
	for _, q := range torsion(t) {
		all = append(all, new(edwards25519.Point).Add(p, q).Bytes())
	}
	return all
}

// odd25519 are encodings that a lenient decoder takes: not canonical, the identity, or of small
// order.
func odd25519(t testing.TB) [][]byte {
	t.Helper()
	identity := append([]byte{1}, make([]byte, 31)...)
	signed := slices.Clone(identity)
	signed[31] |= 0x80
	large := slices.Repeat([]byte{0xff}, 32) // y = p + 1, the identity again
	large[0], large[31] = 0xee, 0x7f
	odd := [][]byte{identity, signed, large}
	for _, p := range torsion(t) {
		odd = append(odd, p.Bytes())
	}
	return odd
}

func TestPointsOutsideTheSubgroupAreRefused(t *testing.T) {
	key, st, shares, proof := honest(t, suite1, "both")
	for i, pk := range append(withTorsion(t, key.Public()), odd25519(t)...) {
		require.Error(t, CheckRecipient(pk), i)
		changed := st
		changed.Recipient = pk
		_, err := verifyBoth(t, suite1, changed, proof)
		require.Error(t, err, i)
	}
	for i, x := range append(withTorsion(t, st.Shares[1].Point), odd25519(t)...) {
		require.Error(t, Ed25519.CheckPoint(x), i)
		changed := st
		changed.Shares = []PublicShare{st.Shares[0], {Group: Ed25519, Point: x}}
		_, err := verifyBoth(t, suite1, changed, proof)
		require.Error(t, err, i)
		_, err = Prove(key, changed, shares)
		require.Error(t, err, i)
	}
}

// TestAProofForAKeyWithTorsionIsRefused lets the forger use such a key from the start, so that only
// strict decoding stands against it.
func TestAProofForAKeyWithTorsionIsRefused(t *testing.T) {
	key, st, shares := toyCase(t, "torsion")
	for _, pk := range withTorsion(t, key.Public()) {
		p, err := new(edwards25519.Point).SetBytes(pk)
		require.NoError(t, err)
		st.Recipient = pk
		ctx, err := st.Context()
		require.NoError(t, err)
		f := newForger(t, toy, key, st, shares, "torsion")
		for i := range toy.rows {
			e := ephemeral(&ctx, &f.salt, i, &f.rows.seeds[toy.rows+i])
			k := edEncodeSecret(edSecretMults([]scalar{e}, p))[0]
			for j, s := range shares {
				a, err := s.Group().arithmetic()
				require.NoError(t, err)
				f.rows.masks[j][i] = pad(a, &ctx, j, i, f.rows.pointsE[i], k)
				f.rows.pointsR[j][i] = a.secretMults(f.rows.masks[j][i : i+1])[0]
			}
		}
		f.commit(t)
		_, err = verifyBoth(t, toy, st, f.proof(t, 0))
		require.ErrorIs(t, err, errSubgroup)
	}
}

// TestMaskedSharesOutOfRangeAreRefused tries w = order, w + order and 2²⁵⁶ − 1, and w for which the
// mask is zero.
func TestMaskedSharesOutOfRangeAreRefused(t *testing.T) {
	key, st, shares := toyCase(t, "range")
	for j, s := range shares {
		a, err := s.Group().arithmetic()
		require.NoError(t, err)
		// A small w, for which w + order fits into 32 bytes in both groups.
		five := a.fromBig(big5)
		f := newForger(t, suite1, key, st, shares, "range")
		f.mask(t, j, 77, maskFor(t, s, five))
		nonce := f.nonce(0, f.closed(77))
		proof := f.proof(t, nonce)
		stored, err := verifyBoth(t, suite1, st, proof)
		require.NoError(t, err, "a small masked share is as good as any")
		_, err = stored.Open(key, st.Shares)
		require.NoError(t, err)

		require.Equal(t, five[:], proofRow(proof, f, nonce, 77)[32+32*j:][:32])
		for why, w := range outOfRange(a) {
			changed := bytes.Clone(proof)
			copy(proofRow(changed, f, nonce, 77)[32+32*j:], w[:])
			_, err := verifyBoth(t, suite1, st, changed)
			require.ErrorIs(t, err, errScalar, why)
		}

		// w = x: the mask is zero and its point the identity, which group 1 cannot even encode.
		f = newForger(t, suite1, key, st, shares, "identity")
		nonce = f.nonce(0, f.closed(9))
		proof = f.proof(t, nonce)
		row := proofRow(proof, f, nonce, 9)
		copy(row[32+32*j:], s.Bytes())
		_, err = verifyBoth(t, suite1, st, proof)
		require.ErrorIs(t, err, errIdentity)
	}
}

// proofRow is the part of the proof that belongs to a closed row.
func proofRow(proof []byte, f *forger, nonce uint32, row int) []byte {
	set, copath, _ := f.p.challenge(&f.ctx, &f.d, nonce)
	size := rowSize(len(f.shares))
	return proof[header+16*len(copath)+slices.Index(set, row)*size:][:size]
}

// TestRowsThatDoNotDecodeAreSkipped accepts a proof whose first closed row has garbage for E, and
// opens it by another row.
func TestRowsThatDoNotDecodeAreSkipped(t *testing.T) {
	key, st, shares := toyCase(t, "skip")
	for i, e := range append(odd25519(t), slices.Repeat([]byte{0xff}, 32)) {
		f := newForger(t, suite1, key, st, shares, "skip")
		f.ephemeral(t, 0, e)
		stored, err := verifyBoth(t, suite1, st, f.proof(t, f.nonce(0, f.closed(0))))
		require.NoError(t, err, i)
		opened, err := stored.Open(key, st.Shares)
		require.NoError(t, err, i)
		require.Equal(t, shares[0].Bytes(), opened[0].Bytes())
		require.Equal(t, shares[1].Bytes(), opened[1].Bytes())
	}
}

func TestNonces(t *testing.T) {
	key, st, shares := toyCase(t, "nonces")
	f := newForger(t, suite1, key, st, shares, "nonces")
	smallest := f.nonce(0, whichever)
	next := f.nonce(smallest+1, whichever)
	_, err := verifyBoth(t, suite1, st, f.proof(t, smallest))
	require.NoError(t, err)
	_, err = verifyBoth(t, suite1, st, f.proof(t, next))
	require.NoError(t, err, "any admissible nonce is accepted")
	for nonce := range smallest {
		_, err = verifyBoth(t, suite1, st, f.proof(t, nonce))
		require.Error(t, err)
	}
	// Under an admissible nonce that is not the proof's, everything else is wrong.
	proof := f.proof(t, smallest)
	copy(proof[65:], u32(next))
	_, err = verifyBoth(t, suite1, st, proof)
	require.Error(t, err)
}

// TestSameRandomnessSameBytes proves twice from one randomness, so that no two challenges are
// answered from one tree; another statement or another share gives another tree.
func TestSameRandomnessSameBytes(t *testing.T) {
	_, _, _, one := honest(t, suite1, "both")
	_, _, _, two := honest(t, suite1, "both")
	require.Equal(t, one, two)

	randomness := make([]byte, 32)
	tree := func(share string, ctx byte) [48]byte {
		x := madeUpScalar(t, Ed25519, share)
		salt, root, err := saltAndRoot(append(x[:], randomness...), &[32]byte{ctx})
		require.NoError(t, err)
		return [48]byte(append(salt[:], root[:]...))
	}
	require.Equal(t, tree("a", 1), tree("a", 1))
	require.NotEqual(t, tree("a", 1), tree("a", 2))
	require.NotEqual(t, tree("a", 1), tree("b", 1))
}

func TestProofsAreFresh(t *testing.T) {
	key, st, shares := toyCase(t, "fresh")
	one, err := Prove(key, st, shares)
	require.NoError(t, err)
	two, err := Prove(key, st, shares)
	require.NoError(t, err)
	require.NotEqual(t, one[1:33], two[1:33])
}

func TestProveRefusesWhatIsNotItsOwn(t *testing.T) {
	key, st, shares := toyCase(t, "own")
	otherKey, other, otherShares := toyCase(t, "not own")
	_, err := Prove(otherKey, st, shares)
	require.ErrorContains(t, err, "another recipient key")
	_, err = Prove(key, st, otherShares)
	require.ErrorContains(t, err, "does not belong")
	_, err = Prove(key, st, shares[:1])
	require.Error(t, err)
	_, err = Prove(key, st, []Share{shares[1], shares[0]})
	require.Error(t, err)
	_, err = Prove(key, st, []Share{shares[0], {}})
	require.Error(t, err)
	st.Shares = other.Shares
	_, err = Prove(key, st, shares)
	require.Error(t, err)
}

func TestOpenNeedsTheKeyAndThePoints(t *testing.T) {
	key, st, _, proof := honest(t, suite1, "both")
	otherKey, other, _ := toyCase(t, "not both")
	stored, err := Verify(st, proof)
	require.NoError(t, err)
	require.Equal(t, 2, stored.Shares())
	ctx, err := st.Context()
	require.NoError(t, err)
	require.Equal(t, ctx, stored.Context())
	_, err = stored.Open(otherKey, st.Shares)
	require.ErrorContains(t, err, "opens no row")
	_, err = stored.Open(key, []PublicShare{st.Shares[0], other.Shares[1]})
	require.ErrorContains(t, err, "opens no row")
	_, err = stored.Open(key, st.Shares[:1])
	require.Error(t, err)
	_, err = stored.Open(key, nil)
	require.Error(t, err)
	_, err = stored.Open(key, []PublicShare{st.Shares[0], {Group: Ed25519, Point: odd25519(t)[0]}})
	require.Error(t, err)

	// Whatever happens to the stored bytes, what opens is the share.
	form := stored.Bytes()
	for at := 1; at < len(form); at += 29 * sparse {
		changed := bytes.Clone(form)
		changed[at] ^= 0x10
		if parsed, err := ParseStored(changed); err == nil {
			if opened, err := parsed.Open(key, st.Shares); err == nil {
				require.Equal(t, st.Shares[0], opened[0].Public())
				require.Equal(t, st.Shares[1], opened[1].Public())
			}
		}
	}
	key.Wipe()
	_, err = stored.Open(key, st.Shares)
	require.Error(t, err)
}

// TestSameVerdictOnManyThreads verifies and opens the vectors with one thread and with eight.
func TestSameVerdictOnManyThreads(t *testing.T) {
	vectors := readVectors(t, vectorNames[0]).Proofs
	verdicts := func(threads int) []string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
		out := make([]string, len(vectors))
		var wg sync.WaitGroup
		for worker := range threads {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := worker; i < len(vectors); i += threads {
					stored, err := Verify(vectors[i].statement(), vectors[i].Proof)
					out[i] = fmt.Sprint(err)
					if err == nil {
						out[i] = string(stored.Bytes())
					}
				}
			}()
		}
		wg.Wait()
		return out
	}
	require.Equal(t, verdicts(1), verdicts(8))

	// The same proof eight times at once.
	_, st, _, proof := honest(t, suite1, "both")
	var wg sync.WaitGroup
	forms := make([][]byte, 8)
	for i := range forms {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if stored, err := Verify(st, proof); err == nil {
				forms[i] = stored.Bytes()
			}
		}()
	}
	wg.Wait()
	for _, form := range forms {
		require.NotNil(t, form)
		require.Equal(t, forms[0], form)
	}
}
