//go:build !race

// That the vectors are up to date is nothing for the race detector, under which making them takes
// half a minute.

package verenc

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"os"
	"slices"
	"testing"

	"filippo.io/edwards25519"
	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/testutil/fixture"
)

//go:generate go test -run TestVectorsAreUpToDate -update .

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

const ownVectors = "testdata/vectors.json"

// TestVectorsAreUpToDate makes the project's own vectors again, which takes no randomness, and
// compares.
func TestVectorsAreUpToDate(t *testing.T) {
	v := vectorFile{Proofs: proofVectors(t), Lists: listVectors(t)}
	made, err := json.MarshalIndent(v, "", " ")
	require.NoError(t, err)
	made = append(made, '\n')
	if *update {
		require.NoError(t, os.WriteFile(ownVectors, made, 0o644))
	}
	kept, err := os.ReadFile(ownVectors)
	require.NoError(t, err)
	require.True(t, bytes.Equal(made, kept), "testdata/vectors.json differs from what the code makes: go generate ./verenc")

	count := map[string]int{}
	for _, p := range v.Proofs {
		count[p.Expect]++
	}
	require.GreaterOrEqual(t, count["ok"], 30)
	require.GreaterOrEqual(t, count["reject"], 60)
	require.GreaterOrEqual(t, len(v.Lists), 40)
}

// generator collects vectors that start from one honest proof.
type generator struct {
	t      testing.TB
	base   proofVector
	key    *RecipientKey
	st     Statement
	shares []Share
	out    []proofVector
}

func newGenerator(t testing.TB, name string, index uint32, label []byte, shares ...Share) *generator {
	t.Helper()
	g := &generator{t: t, shares: shares}
	g.base = proofVector{Mnemonic: mnemonicOf(t, name), Index: index, Label: label}
	g.key = recipientOf(t, g.base.Mnemonic, index)
	g.base.Recipient = g.key.Public()
	for _, s := range shares {
		g.base.Secrets = append(g.base.Secrets, secretVector{Group: s.Group(), Share: s.Bytes(), Public: s.Public().Point})
	}
	g.st = g.base.statement()
	return g
}

// honest adds the proof that a member would make, with a proof of possession.
func (g *generator) honest(chainID string, address []byte, why string) {
	v := g.base
	salt := sha256.Sum256(slices.Concat([]byte("salt"), v.Recipient, v.Label))
	root := sha256.Sum256(slices.Concat([]byte("root"), v.Recipient, v.Label))
	v.Salt, v.RootSeed = salt[:], root[:16]
	v.ChainID, v.Address = chainID, address
	v.Possession = possessionWithNonce(g.key, chainID, address)
	var err error
	v.Proof, err = suite1.prove(g.key, g.st, g.shares, &salt, (*seed)(root[:16]))
	require.NoError(g.t, err)
	g.base.Proof = v.Proof
	g.add(v, why, "ok")
}

// possessionWithNonce is Possess without its randomness.
func possessionWithNonce(k *RecipientKey, chainID string, address []byte) []byte {
	msg := possession(chainID, address)
	h := sum512("possession nonce", k.sk.scalar()[:], msg)
	nonce := edwards{}.wide(&h)
	r := secretMult(edwards{}, &nonce)
	c := signatureChallenge(r, k.public[:], msg)
	s := edwards{}.mulAdd(&c, k.sk.scalar(), &nonce)
	return append(r, s[:]...)
}

func (g *generator) add(v proofVector, why, expect string) {
	v.Why, v.Expect = why, expect
	g.out = append(g.out, v)
}

// reject adds a change to the honest vector that must be refused.
func (g *generator) reject(why string, change func(v *proofVector)) {
	v := g.base
	v.Proof = bytes.Clone(v.Proof)
	v.Secrets = slices.Clone(v.Secrets)
	change(&v)
	g.add(v, why, "reject")
}

// forged adds a proof of the forger's.
func (g *generator) forged(why, expect string, make func(f *forger) []byte) {
	f := newForger(g.t, suite1, g.key, g.st, g.shares, why)
	v := g.base
	v.Proof = make(f)
	g.add(v, why, expect)
}

func proofVectors(t testing.TB) []proofVector {
	var out []proofVector
	address := func(m int) []byte {
		h := sha256.Sum256([]byte{byte(m)})
		return h[:20]
	}
	// What members of real keygens prove: both keys at once, and one alone as in a vault that has
	// only one.
	for _, n := range fixture.Sizes {
		vaults := realVaults(t, n)
		for m := range fixture.Members(t, n) {
			s, e := vaults[Secp256k1].share(m), vaults[Ed25519].share(m)
			sv, ev := vaults[Secp256k1].list.Vault, vaults[Ed25519].list.Vault
			for i, shares := range [][]Share{{s, e}, {s}, {e}} {
				ed := ev
				if i == 1 {
					ed = nil
				}
				label := Label("chain-1", sv, ed, uint64(n), address(m))
				g := newGenerator(t, fmt.Sprintf("member %d of %d", m, n), uint32(i), label, shares...)
				g.honest("chain-1", address(m), fmt.Sprintf("honest: member %d of %d in a real keygen", m, n))
				out = append(out, g.out...)
			}
		}
	}
	vaults, others := realVaults(t, 4), realVaults(t, 20)
	s, e := vaults[Secp256k1].share(0), vaults[Ed25519].share(0)
	sv, ev := vaults[Secp256k1].list.Vault, vaults[Ed25519].list.Vault
	for i, shares := range [][]Share{{s}, {e}, {s, e}} {
		ed := ev
		if i == 0 {
			ed = nil
		}
		label := func(chainID string, vault []byte, keygen uint64, member int) []byte {
			return Label(chainID, vault, ed, keygen, address(member))
		}
		g := newGenerator(t, "generator", uint32(i), label("chain-1", sv, 7, 0), shares...)
		g.honest("chain-1", address(0), "honest")
		g.replays(label, sv, others)
		g.damages()
		g.outOfRange()
		g.rows()
		if i == 2 {
			g.points()
		}
		out = append(out, g.out...)
	}
	empty := newGenerator(t, "generator", 0xffffffff, nil, e)
	empty.honest("", nil, "honest: an empty label, chain id and address, the last index")
	return append(out, empty.out...)
}

func (g *generator) replays(label func(string, []byte, uint64, int) []byte, vault []byte, others map[Group]vault) {
	otherVault := others[Secp256k1].list.Vault
	g.reject("replayed under another chain", func(v *proofVector) { v.Label = label("chain-2", vault, 7, 0) })
	g.reject("replayed under another vault", func(v *proofVector) { v.Label = label("chain-1", otherVault, 7, 0) })
	g.reject("replayed under another keygen", func(v *proofVector) { v.Label = label("chain-1", vault, 8, 0) })
	g.reject("replayed under another member", func(v *proofVector) { v.Label = label("chain-1", vault, 7, 1) })
	g.reject("replayed under another recipient key", func(v *proofVector) {
		v.Index += 10
		v.Recipient = recipientOf(g.t, v.Mnemonic, v.Index).Public()
	})
	for j := range g.shares {
		g.reject(fmt.Sprintf("replayed under another point of share %d", j), func(v *proofVector) {
			other := others[v.Secrets[j].Group].share(0)
			v.Secrets[j].Share, v.Secrets[j].Public = other.Bytes(), other.Public().Point
		})
	}
}

func (g *generator) damages() {
	copath := (len(g.base.Proof) - header - 30*rowSize(len(g.shares))) / 16
	rows := header + 16*copath
	row := rowSize(len(g.shares))
	for _, c := range []struct {
		why string
		bit int
	}{
		{"the suite's last bit flipped", 0},
		{"a bit of the salt flipped", 8*1 + 3},
		{"a bit of the commitment flipped", 8*64 + 7},
		{"a bit of the nonce flipped", 8*68 + 0},
		{"a bit of the first seed flipped", 8*header + 1},
		{"a bit of the last seed flipped", 8*(rows-1) + 6},
		{"a bit of the first E flipped", 8*rows + 2},
		{"a bit of the first masked share flipped", 8*(rows+32) + 1},
		{"the proof's last bit flipped", 8*len(g.base.Proof) - 8},
	} {
		g.reject(c.why, func(v *proofVector) { v.Proof[c.bit/8] ^= 1 << (c.bit % 8) })
	}
	cut := func(why string, n int) { g.reject(why, func(v *proofVector) { v.Proof = v.Proof[:n] }) }
	cut("the last byte missing", len(g.base.Proof)-1)
	cut("the last row missing", len(g.base.Proof)-row)
	cut("the rows missing", rows)
	cut("the header alone", header)
	g.reject("a seed too many", func(v *proofVector) { v.Proof = slices.Insert(v.Proof, rows, make([]byte, 16)...) })
	g.reject("a seed too few", func(v *proofVector) { v.Proof = slices.Delete(v.Proof, rows-16, rows) })
	g.reject("a byte too many", func(v *proofVector) { v.Proof = append(v.Proof, 0) })
	g.reject("a row too many", func(v *proofVector) { v.Proof = append(v.Proof, v.Proof[len(v.Proof)-row:]...) })
	g.reject("two rows swapped", func(v *proofVector) {
		first := bytes.Clone(v.Proof[rows:][:row])
		copy(v.Proof[rows:], v.Proof[rows+row:][:row])
		copy(v.Proof[rows+row:], first)
	})
}

// outOfRange puts scalars that are not below the order where a lenient verifier would have reduced
// them to a good one.
func (g *generator) outOfRange() {
	for j, s := range g.shares {
		a, err := s.Group().arithmetic()
		require.NoError(g.t, err)
		name := fmt.Sprintf(" in share %d", j)
		small := func(f *forger, w *big.Int) (proof, masked []byte) {
			f.mask(g.t, j, 100, maskFor(g.t, s, a.fromBig(w)))
			nonce := f.nonce(0, f.closed(100))
			proof = f.proof(g.t, nonce)
			return proof, proofRow(proof, f, nonce, 100)[32+32*j:][:32]
		}
		with := func(w *big.Int, put *big.Int) func(f *forger) []byte {
			return func(f *forger) []byte {
				proof, masked := small(f, w)
				b := a.fromBig(put)
				copy(masked, b[:])
				return proof
			}
		}
		all := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
		zero := new(big.Int)
		reduced := new(big.Int).Mod(all, a.order())
		g.forged("a masked share of zero"+name, "ok", with(zero, zero))
		g.forged("a masked share of the order"+name, "reject", with(zero, a.order()))
		g.forged("a masked share of five"+name, "ok", with(big5, big5))
		g.forged("a masked share of five and the order"+name, "reject", with(big5, new(big.Int).Add(a.order(), big5)))
		g.forged("a masked share of 2^256 - 1"+name, "reject", with(reduced, all))
		g.forged("a mask of zero"+name, "reject", func(f *forger) []byte {
			nonce := f.nonce(0, f.closed(100))
			proof := f.proof(g.t, nonce)
			copy(proofRow(proof, f, nonce, 100)[32+32*j:], s.Bytes())
			return proof
		})
	}
}

// rows spoils rows before the commitment.
func (g *generator) rows() {
	notIn := func(f *forger, row int) uint32 {
		return f.nonce(0, func(set []int) bool { return !slices.Contains(set, row) })
	}
	last := len(g.shares) - 1
	bad := madeUpScalar(g.t, g.shares[last].Group(), "bad mask")
	g.forged("a bad mask in a row that stays closed", "ok", func(f *forger) []byte {
		f.mask(g.t, last, 200, bad)
		return f.proof(g.t, f.nonce(0, f.closed(200)))
	})
	g.forged("a bad mask in a row that is opened", "reject", func(f *forger) []byte {
		f.mask(g.t, last, 200, bad)
		return f.proof(g.t, notIn(f, 200))
	})
	g.forged("another row's E in a row that stays closed", "ok", func(f *forger) []byte {
		f.ephemeral(g.t, 0, f.rows.pointsE[1])
		return f.proof(g.t, f.nonce(0, f.closed(0)))
	})
	g.forged("another row's E in a row that is opened", "reject", func(f *forger) []byte {
		f.ephemeral(g.t, 0, f.rows.pointsE[1])
		return f.proof(g.t, notIn(f, 0))
	})
	g.forged("the second admissible nonce", "ok", func(f *forger) []byte {
		return f.proof(g.t, f.nonce(f.nonce(0, whichever)+1, whichever))
	})
	g.forged("the first nonce, which is not admissible", "reject", func(f *forger) []byte {
		if f.nonce(0, whichever) == 0 {
			return f.proof(g.t, 1)
		}
		return f.proof(g.t, 0)
	})
}

// points has recipient keys and public points that a lenient decoder takes, and E that does not
// decode.
func (g *generator) points() {
	for i, pk := range withTorsion(g.t, g.base.Recipient) {
		g.reject(fmt.Sprintf("the recipient key plus torsion point %d", i+1), func(v *proofVector) { v.Recipient = pk })
	}
	for i, x := range withTorsion(g.t, g.base.Secrets[1].Public)[:2] {
		g.reject(fmt.Sprintf("the ed25519 point plus torsion point %d", i+1), func(v *proofVector) { v.Secrets[1].Public = x })
	}
	odd := odd25519(g.t)
	g.reject("the identity as recipient key", func(v *proofVector) { v.Recipient = odd[0] })
	g.reject("the identity with a sign as recipient key", func(v *proofVector) { v.Recipient = odd[1] })
	g.reject("the identity, not canonical, as recipient key", func(v *proofVector) { v.Recipient = odd[2] })
	g.reject("a point of order 8 as recipient key", func(v *proofVector) { v.Recipient = odd[3] })
	g.reject("a point of order 2 as recipient key", func(v *proofVector) { v.Recipient = odd[6] })
	g.reject("a recipient key that is not on the curve", func(v *proofVector) { v.Recipient = notOnCurve(g.t) })
	g.reject("the secp256k1 point negated", func(v *proofVector) { v.Secrets[0].Public = negated(Secp256k1, v.Secrets[0].Public) })
	g.reject("one group twice", func(v *proofVector) { v.Secrets[1] = v.Secrets[0] })
	g.reject("the shares in the other order", func(v *proofVector) { slices.Reverse(v.Secrets) })
	g.reject("the ed25519 share left out", func(v *proofVector) { v.Secrets = v.Secrets[:1] })
	for i, c := range []struct {
		why string
		e   []byte
	}{
		{"a closed row whose E is the identity", odd[0]},
		{"a closed row whose E has order 8", odd[3]},
		{"a closed row whose E is not on the curve", notOnCurve(g.t)},
		{"a closed row whose E has torsion", withTorsion(g.t, g.base.Recipient)[0]},
	} {
		g.forged(c.why, "ok", func(f *forger) []byte {
			f.ephemeral(g.t, i, c.e)
			return f.proof(g.t, f.nonce(0, f.closed(i)))
		})
	}
}

func notOnCurve(t testing.TB) []byte {
	b := make([]byte, 32)
	for {
		b[0]++
		if _, err := new(edwards25519.Point).SetBytes(b); err != nil {
			return b
		}
	}
}

func listVectors(t testing.TB) []listVector {
	var out []listVector
	add := func(l List, why, expect string) {
		v := listVector{Group: l.Group, N: len(l.Entries), T: Degree(len(l.Entries)), Vault: l.Vault, Why: why, Expect: expect}
		for _, e := range l.Entries {
			v.Entries = append(v.Entries, entryVector{ID: e.ID, Public: e.Point})
		}
		out = append(out, v)
	}
	for _, g := range []Group{Secp256k1, Ed25519} {
		for _, n := range fixture.Sizes {
			v := realVaults(t, n)[g]
			add(v.list, "a real keygen", "ok")
			reject := func(why string, change func(l *List)) {
				l := v.list.clone()
				change(&l)
				add(l, "a real keygen, "+why, "reject")
			}
			e := v.list.Entries
			reject("two points swapped", func(l *List) { l.Entries[0].Point, l.Entries[n-1].Point = e[n-1].Point, e[0].Point })
			reject("the vault's point negated", func(l *List) { l.Vault = negated(g, l.Vault) })
			reject("a member's point as the vault's", func(l *List) { l.Vault = e[0].Point })
			reject("a member left out and the first t+1 kept in place", func(l *List) { l.Entries[n-1].Point = e[n-2].Point })
			reject("in tss-lib's order", func(l *List) { slices.Reverse(l.Entries) })
		}
		for _, n := range []int{2, 5, 9, 40} {
			add(madeUpVault(t, g, n, Degree(n), "vector").list, "degree t", "ok")
			add(madeUpVault(t, g, n, Degree(n)-1, "vector").list, "degree t-1", "ok")
			add(madeUpVault(t, g, n, Degree(n)+1, "vector").list, "degree t+1", "reject")
		}
		v := madeUpVault(t, g, 5, Degree(5), "vector")
		a, err := g.arithmetic()
		require.NoError(t, err)
		reject := func(why string, change func(l *List)) {
			l := v.list.clone()
			change(&l)
			add(l, why, "reject")
		}
		reject("an id twice", func(l *List) { l.Entries[1].ID = l.Entries[0].ID })
		reject("an entry twice", func(l *List) { l.Entries[1] = l.Entries[0] })
		reject("an id of zero", func(l *List) { l.Entries[0].ID = make([]byte, 32) })
		reject("an id of the order", func(l *List) { l.Entries[4].ID = a.order().FillBytes(make([]byte, 32)) })
		reject("an id of 2^256 - 1", func(l *List) { l.Entries[4].ID = bytes.Repeat([]byte{0xff}, 32) })
		reject("an id of 31 bytes", func(l *List) { l.Entries[0].ID = l.Entries[0].ID[:31] })
		reject("a point of zeros", func(l *List) { l.Entries[2].Point = make([]byte, g.PointSize()) })
		reject("a point of the wrong size", func(l *List) { l.Entries[2].Point = append(l.Entries[2].Point, 0) })
		reject("an empty point", func(l *List) { l.Entries[2].Point = nil })
		reject("an empty vault", func(l *List) { l.Vault = nil })
		reject("one entry", func(l *List) { l.Entries = l.Entries[:1] })
		reject("the other group", func(l *List) { l.Group = 3 - g })
	}
	v := madeUpVault(t, Ed25519, 4, Degree(4), "vector")
	for i, p := range withTorsion(t, v.list.Vault) {
		l := v.list.clone()
		l.Vault = p
		add(l, fmt.Sprintf("the vault's point plus torsion point %d", i+1), "reject")
	}
	for i, p := range odd25519(t)[:4] {
		l := v.list.clone()
		for j := range l.Entries {
			l.Entries[j].Point = p
		}
		l.Vault = p
		add(l, fmt.Sprintf("one odd point everywhere, %d", i), "reject")
	}
	return out
}
