package tss

import (
	"context"
	"crypto/rand"
	"io"
	"math/big"
	"slices"
	"sync"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/crypto/dlnproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/modproof"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tssbackup/tssbackup/sanity"
)

// forgedModulus is a modulus of 33 prime factors, with what tss-lib takes for a proof that it has
// two: a w that is zero modulo all small factors leaves only the large one to find roots in.
func forgedModulus(session []byte) (*big.Int, *modproof.ProofMod) {
	one := big.NewInt(1)
	prime := func(bits int) *big.Int {
		p, err := rand.Prime(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		return p
	}
	large := prime(1024)
	for large.Bit(1) == 0 {
		large = prime(1024)
	}
	var small, n, root *big.Int
	for root == nil || n.BitLen() != paillierBits {
		small = big.NewInt(1)
		phi := new(big.Int).Sub(large, one)
		for i := range 32 {
			bits := 32
			if i == 31 {
				bits = paillierBits + 1 - mul(large, small).BitLen()
			}
			p := prime(bits)
			small.Mul(small, p)
			phi.Mul(phi, p.Sub(p, one))
		}
		n = mul(large, small)
		root = new(big.Int).ModInverse(n, phi)
	}
	w := mul(new(big.Int).ModInverse(small, large), small)
	fourth := new(big.Int).Rsh(new(big.Int).Add(large, one), 2)
	fourth.Mul(fourth, fourth)
	pf := &modproof.ProofMod{W: w, A: new(big.Int).Lsh(one, modproof.Iterations), B: new(big.Int).Lsh(one, modproof.Iterations)}
	var ys []*big.Int
	for i := range modproof.Iterations {
		y := common.SHA512_256i_TAGGED(session, append([]*big.Int{w, n}, ys...)...)
		ys = append(ys, y)
		pf.B.SetBit(pf.B, i, 1)
		v := y
		if big.Jacobi(y, large) != 1 {
			pf.A.SetBit(pf.A, i, 1)
			v = new(big.Int).Sub(n, y)
		}
		x := new(big.Int).Exp(v, fourth, large)
		pf.X[i] = x.Mod(mul(x, w), n)
		pf.Z[i] = new(big.Int).Exp(y, root, n)
	}
	return n, pf
}

// sendRound1 has a member commit to, and send, another round 1 of the ECDSA keygen than its own.
func sendRound1(commit bool, forged *eckeygen.KGRound1Message) tamper {
	return func(s *session, _ int, f *frame) *frame {
		if !s.public || !ofOwn(s, f) || f.slot.instance != 0 {
			return f
		}
		switch {
		case f.slot.step == keygenCommitment && commit:
			commitment := s.instances[0].known.commitment(s.self, forged)
			return forge(s, f, packed(wrapperspb.Bytes(commitment)))
		case f.slot.step == keygenRound1:
			return forge(s, f, packed(forged))
		}
		return f
	}
}

// unprovenRound1 has a member's parameters, and nothing that would prove them.
func unprovenRound1(p *eckeygen.LocalPreParams) *eckeygen.KGRound1Message {
	var dln [][]byte
	for i := range 2 * dlnproof.Iterations {
		if i%dlnproof.Iterations == 0 {
			dln = append(dln, []byte{dlnproof.Iterations})
		}
		dln = append(dln, []byte{2})
	}
	return &eckeygen.KGRound1Message{
		Commitment: []byte{1}, PaillierN: p.PaillierSK.N.Bytes(), NTilde: p.NTildei.Bytes(), H1: p.H1i.Bytes(), H2: p.H2i.Bytes(),
		Dlnproof_1: dln, Dlnproof_2: dln,
	}
}

// Who sends parameters that it cannot prove is named by every honest member, and nobody else is. The
// first row is one of a ceremony over the network; in all, what the honest say is on tape, and what
// they look at is not.
func TestParametersWithoutAProofAreRefused(t *testing.T) {
	const victim = 1
	own, theirs := preParams(t, malicious), preParams(t, victim)
	played := ecTape(t)
	for i, c := range []struct {
		name   string
		commit bool
		change func(t *testing.T, m *eckeygen.KGRound1Message)
		want   string
	}{
		{"a Paillier modulus of 33 factors, which tss-lib accepts", true, func(t *testing.T, m *eckeygen.KGRound1Message) {
			n, pf := forgedModulus([]byte("session"))
			require.True(t, pf.Verify([]byte("session"), n))
			m.PaillierN = n.Bytes()
		}, "proof of its parameters of the ecdsa keygen is no good: the modulus N:"},
		{"all of another member's, known from an earlier attempt", true, func(_ *testing.T, m *eckeygen.KGRound1Message) {
			other := unprovenRound1(theirs)
			m.PaillierN, m.NTilde, m.H1, m.H2 = other.PaillierN, other.NTilde, other.H1, other.H2
		}, "proof of its parameters of the ecdsa keygen is no good: the modulus N:"},
		{"another member's NTilde, H1 and H2", true, func(_ *testing.T, m *eckeygen.KGRound1Message) {
			other := unprovenRound1(theirs)
			m.NTilde, m.H1, m.H2 = other.NTilde, other.H1, other.H2
		}, "proof of its parameters of the ecdsa keygen is no good: the modulus NTilde:"},
		{"an H1 that is not reduced, which tss-lib accepts", true, func(_ *testing.T, m *eckeygen.KGRound1Message) {
			m.H1 = new(big.Int).Add(own.H1i, own.NTildei).Bytes()
		}, "H1 is not between 1 and NTilde"},
		{"an even N", true, func(_ *testing.T, m *eckeygen.KGRound1Message) {
			m.PaillierN = new(big.Int).Add(own.PaillierSK.N, big.NewInt(1)).Bytes()
		}, "N is not an odd number of 2048 bits"},
		{"others than it committed to", false, func(*testing.T, *eckeygen.KGRound1Message) {}, "not what its author committed to"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := unprovenRound1(own)
			c.change(t, m)
			tamper := sendRound1(c.commit, m)
			w := worldOf(t, len(played.parts), tapedSession, played.play)
			w.tamper = func(_ *world, s *session, to int, f *frame) []sent {
				return []sent{{frame: tamper(s, to, f)}}
			}
			w.run(t)
			w.requireVerdict(t, cell{shows: true, reason: c.want})
			if i > 0 {
				return
			}
			net, errs := realKeygen(t, tamper)
			for i := range net.nodes {
				if i != malicious {
					net.requireBlame(t, errs[i], c.want, malicious)
				}
			}
		})
	}
}

// realKeygen is a keygen of three in which the last is malicious.
func realKeygen(t *testing.T, tamper tamper) (*cluster, []error) {
	t.Helper()
	made := 0
	net := newCluster(t, 3, func(cfg *Config) {
		cfg.PreParams, cfg.Bech32Prefix = storeOf(t, made), "cosmos"
		made++
	})
	net.tamper(malicious, tamper)
	return net, net.eachWith(malicious, func(ctx context.Context, i int, nd *Node) error {
		_, err := nd.Keygen(ctx, net.keygenOf(i, 2, "attempt"))
		return err
	})
}

// One member gets a wrong share, or a share with a proof for another, cannot go on, and shows why.
// All name the author, also the others, who never saw the share. The second row is one of a ceremony
// over the network too.
func TestWrongSecp256k1SharesAreShown(t *testing.T) {
	const victim = 0
	played := ecTape(t)
	for i, c := range []struct {
		name, want string
		change     func(s *session, f *frame) *frame
	}{
		{"a share of another polynomial", "not of its polynomial", func(s *session, f *frame) *frame {
			return wrongShare(s, f, victim)
		}},
		{"a fac proof for another member", "a fac proof that does not hold", func(s *session, f *frame) *frame {
			return ownShares(s, f, func(list []*sealed) { list[victim].proof = list[1].proof })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tamper := func(s *session, _ int, f *frame) *frame {
				if ofOwn(s, f) && f.slot.instance == 0 && f.slot.step == ecdsaKeygen.shares && s.public {
					return c.change(s, f)
				}
				return f
			}
			w := worldOf(t, len(played.parts), tapedSession, played.play)
			w.tamper = func(_ *world, s *session, to int, f *frame) []sent {
				return []sent{{frame: tamper(s, to, f)}}
			}
			w.run(t)
			w.requireVerdict(t, cell{shows: true, reason: c.want})
			if i == 0 {
				return
			}
			net, errs := realKeygen(t, tamper)
			for i := range net.nodes {
				if i != malicious {
					net.requireBlame(t, errs[i], c.want, malicious)
				}
			}
		})
	}
}

// A proof counts for its session, its author and its modulus alone.
func TestParameterProofsAreBound(t *testing.T) {
	pre := preParams(t, 0)
	at := func(session byte) *known {
		ids := tsslib.SortPartyIDs(tsslib.UnSortedPartyIDs{firstParty(), tsslib.NewPartyID("1", "1", big.NewInt(2))})
		k := newKnown(ecdsaKeygen, seat{ids: ids, session: hash{session}, members: [][]byte{{0}, {1}}}, 1)
		k.parameters = make([]sanity.Parameters, 2)
		m := &eckeygen.KGRound1Message{
			PaillierN: pre.PaillierSK.N.Bytes(), NTilde: pre.NTildei.Bytes(), H1: pre.H1i.Bytes(), H2: pre.H2i.Bytes(),
		}
		k.sent[keygenRound1][0], k.sent[keygenRound1][1] = m, m
		return k
	}
	proof, err := proveParameters(rand.Reader, at(1), *pre)
	require.NoError(t, err)
	require.NoError(t, checkParameterProof(at(1), 0, wrapperspb.Bytes(proof)))
	require.ErrorContains(t, checkParameterProof(at(1), 1, wrapperspb.Bytes(proof)), "N:", "another author")
	require.ErrorContains(t, checkParameterProof(at(2), 0, wrapperspb.Bytes(proof)), "N:", "another session")
	half := len(proof) / 2
	swapped := append(proof[half:len(proof):len(proof)], proof[:half]...)
	require.ErrorContains(t, checkParameterProof(at(1), 0, wrapperspb.Bytes(swapped)), "N:", "the other modulus")
	twice := append(proof[:half:half], proof[:half]...)
	require.ErrorContains(t, checkParameterProof(at(1), 0, wrapperspb.Bytes(twice)), "NTilde:", "one modulus twice")
}

// What a member's round 1 is refused for is what consensus refuses its place in a group part for, in
// the same words, and what round 1 takes has a place there: else one member could have each keygen
// fail in the end, with nobody to blame.
func TestRound1TakesWhatConsensusTakes(t *testing.T) {
	pre := preParams(t, 0)
	add := func(n *big.Int, by int64) *big.Int { return new(big.Int).Add(n, big.NewInt(by)) }
	for name, change := range map[string]func(p *sanity.Parameters){
		"as they are":                          func(*sanity.Parameters) {},
		"an even N":                            func(p *sanity.Parameters) { p.N = add(p.N, 1) },
		"an N of 2049 bits":                    func(p *sanity.Parameters) { p.N = new(big.Int).SetBit(p.N, 2048, 1) },
		"an N of 2047 bits":                    func(p *sanity.Parameters) { p.N = new(big.Int).Rsh(p.N, 1) },
		"an even NTilde":                       func(p *sanity.Parameters) { p.NTilde = add(p.NTilde, 1) },
		"N for NTilde":                         func(p *sanity.Parameters) { p.NTilde = p.N },
		"an H1 above NTilde":                   func(p *sanity.Parameters) { p.H1 = new(big.Int).Add(p.H1, p.NTilde) },
		"an H1 of one":                         func(p *sanity.Parameters) { p.H1 = big.NewInt(1) },
		"an H1 of minus one":                   func(p *sanity.Parameters) { p.H1 = add(p.NTilde, -1) },
		"no H1":                                func(p *sanity.Parameters) { p.H1 = new(big.Int) },
		"an H2 above NTilde":                   func(p *sanity.Parameters) { p.H2 = new(big.Int).Add(p.H2, p.NTilde) },
		"an H2 that is H1":                     func(p *sanity.Parameters) { p.H2 = p.H1 },
		"H1 and H2 in the place of each other": func(p *sanity.Parameters) { p.H1, p.H2 = p.H2, p.H1 },
	} {
		p := sanity.Parameters{N: pre.PaillierSK.N, NTilde: pre.NTildei, H1: pre.H1i, H2: pre.H2i}
		change(&p)
		ids := tsslib.SortPartyIDs(tsslib.UnSortedPartyIDs{firstParty(), tsslib.NewPartyID("1", "1", big.NewInt(2))})
		k := newKnown(ecdsaKeygen, seat{ids: ids, members: [][]byte{{0}, {1}}}, 1)
		m := unprovenRound1(pre)
		m.PaillierN, m.NTilde, m.H1, m.H2 = p.N.Bytes(), p.NTilde.Bytes(), p.H1.Bytes(), p.H2.Bytes()
		k.sent[keygenCommitment][1] = wrapperspb.Bytes(k.commitment(1, m))
		err := checkECKeygen1(k, 1, m)
		want := sanity.CheckParameters(p)
		require.Equal(t, want, err, name)
		if err != nil {
			continue
		}
		place, err := p.Bytes()
		require.NoError(t, err, name)
		require.NoError(t, sanity.CheckParameters(sanity.GroupMember{Parameters: place}.ReadParameters()), name)
	}
}

func TestMembersWithEqualParametersAreNamed(t *testing.T) {
	p := func(i int) sanity.Parameters {
		pre := preParams(t, i)
		return sanity.Parameters{N: pre.PaillierSK.N, NTilde: pre.NTildei, H1: pre.H1i, H2: pre.H2i}
	}
	all := []sanity.Parameters{p(0), p(1), p(2), p(3)}
	for _, c := range []struct {
		name   string
		change func(p []sanity.Parameters)
		want   []int
	}{
		{"all their own", func([]sanity.Parameters) {}, nil},
		{"one N for two", func(p []sanity.Parameters) { p[2].N = p[0].N }, []int{0, 2}},
		{"one NTilde for two", func(p []sanity.Parameters) { p[2].NTilde = p[1].NTilde }, []int{1, 2}},
		{"the N of one is the NTilde of another", func(p []sanity.Parameters) { p[0].N = p[1].NTilde }, []int{0, 1}},
		{"the H1 of one is the H2 of another", func(p []sanity.Parameters) { p[0].H1 = p[3].H2 }, []int{0, 3}},
		{"three share an H1", func(p []sanity.Parameters) { p[0].H1, p[1].H1 = p[3].H1, p[3].H1 }, []int{0, 1, 3}},
	} {
		k := &known{parameters: slices.Clone(all)}
		c.change(k.parameters)
		require.Equal(t, c.want, k.equal(), c.name)
	}
}

// Attempts of one keygen share pre-parameters; what others commit with is new each time, and still
// fits.
func TestBasesAreFresh(t *testing.T) {
	pre := preParams(t, 0)
	a, b := freshBases(rand.Reader, *pre), freshBases(rand.Reader, *pre)
	require.NotEqual(t, a.H1i, b.H1i)
	require.NotEqual(t, a.H2i, b.H2i)
	require.NotEqual(t, pre.H1i, a.H1i)
	for _, p := range []eckeygen.LocalPreParams{a, b} {
		require.Equal(t, p.H2i, new(big.Int).Exp(p.H1i, p.Alpha, p.NTildei))
		require.Equal(t, p.H1i, new(big.Int).Exp(p.H2i, p.Beta, p.NTildei))
		require.NoError(t, sanity.CheckParameters(sanity.Parameters{N: p.PaillierSK.N, NTilde: p.NTildei, H1: p.H1i, H2: p.H2i}))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// The system gives the same bytes again and again, as to two copies of one virtual machine.
func TestRandomnessIsOfItsSessionAndShare(t *testing.T) {
	read := func(session byte, protocol, secret string) string {
		r := newRandom(hash{session}, protocol, []byte(secret))
		r.system = zeros{}
		b := make([]byte, 20_000) // more than HKDF gives at once
		_, err := io.ReadFull(r, b)
		require.NoError(t, err)
		require.NotEqual(t, b[:32], b[maxExpand:maxExpand+32])
		next := make([]byte, 32)
		_, err = io.ReadFull(r, next)
		require.NoError(t, err)
		require.NotEqual(t, b[:32], next, "the same bytes of the system in one session")
		return string(b)
	}
	one := read(1, "ecdsa keysign", "share")
	require.Equal(t, one, read(1, "ecdsa keysign", "share"))
	require.NotEqual(t, one, read(2, "ecdsa keysign", "share"), "another session")
	require.NotEqual(t, one, read(1, "eddsa keysign", "share"), "another protocol")
	require.NotEqual(t, one, read(1, "ecdsa keysign", "another"), "another share")

	r := newRandom(hash{}, "p", nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { _, _ = r.Read(make([]byte, 100)) })
	}
	wg.Wait()
	require.EqualValues(t, 4, r.reads)
}
