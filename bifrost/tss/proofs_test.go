package tss

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/paillier"
	"github.com/bnb-chain/tss-lib/v2/crypto/vss"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/testutil/fixture"
)

// deal gives all members of a cluster keyshares of one new secp256k1 key, as if they came from
// elsewhere: nobody has proven the parameters in them. What each file says can be changed.
func (net *cluster) deal(t testing.TB, change func(i int, d *eckeygen.LocalPartySaveData)) [][]byte {
	t.Helper()
	n := len(net.members)
	_, parties, err := checkMembers("x", net.members)
	require.NoError(t, err)
	secret, err := rand.Int(rand.Reader, tsslib.S256().Params().N)
	require.NoError(t, err)
	_, shares, err := vss.Create(tsslib.S256(), (2*n+2)/3-1, secret, parties, rand.Reader)
	require.NoError(t, err)
	public := eckeygen.NewLocalPartySaveData(n)
	public.Ks = parties
	public.ECDSAPub = crypto.ScalarBaseMult(tsslib.S256(), secret)
	sets := make([]*eckeygen.LocalPreParams, n)
	for i := range n {
		sets[i], err = parsePreParams(fixture.PreParams()[i].Data)
		require.NoError(t, err)
		public.NTildej[i], public.H1j[i], public.H2j[i] = sets[i].NTildei, sets[i].H1i, sets[i].H2i
		public.PaillierPKs[i] = &sets[i].PaillierSK.PublicKey
		public.BigXj[i] = crypto.ScalarBaseMult(tsslib.S256(), shares[i].Share)
	}
	files := make([][]byte, n)
	for i := range n {
		d := eckeygen.NewLocalPartySaveData(n)
		for j := range n {
			d.Ks[j], d.BigXj[j], d.PaillierPKs[j] = public.Ks[j], public.BigXj[j], public.PaillierPKs[j]
			d.NTildej[j], d.H1j[j], d.H2j[j] = public.NTildej[j], public.H1j[j], public.H2j[j]
		}
		d.ECDSAPub, d.LocalPreParams = public.ECDSAPub, *sets[i]
		d.Xi, d.ShareID = shares[i].Share, parties[i]
		if change != nil {
			change(i, &d)
		}
		share, err := newKeyshare("cosmos", keyshare.Secp256k1, &d, net.members[i], net.members)
		require.NoError(t, err)
		files[i], err = share.Encode()
		require.NoError(t, err)
	}
	return files
}

// signing has all members of a cluster sign.
func (net *cluster) signing(files [][]byte, id string, bad int, trust func(i int) bool) ([][]byte, []error) {
	signatures := make([][]byte, len(net.nodes))
	errs := net.eachWith(bad, func(ctx context.Context, i int, n *Node) (err error) {
		signatures[i], err = n.Keysign(ctx, ceremony.KeysignRequest{
			ID: id, Keyshare: files[i], Signers: net.members, Message: make([]byte, 32),
			TrustParameters: trust != nil && trust(i),
		})
		return err
	})
	return signatures, errs
}

const nobody = -1

// said counts the messages of each step that members begin to say in ECDSA signings. A node that is
// tampered with afterwards is not counted.
func (net *cluster) said() *sync.Map {
	steps := new(sync.Map)
	for i := range net.nodes {
		net.tamper(i, func(_ *session, _ int, f *frame) *frame {
			if f.kind == frameMessage && int(f.slot.author) == i {
				n, _ := steps.LoadOrStore(f.slot.step, new(atomic.Int32))
				n.(*atomic.Int32).Add(1)
			}
			return f
		})
	}
	return steps
}

func count(steps *sync.Map, step uint8) int {
	n, ok := steps.Load(step)
	if !ok {
		return 0
	}
	return int(n.(*atomic.Int32).Load())
}

func TestSignersProveWhatNobodyHasProven(t *testing.T) {
	const members = 3
	net := newCluster(t, members, nil)
	steps := net.said()
	files := net.deal(t, nil)
	share, err := keyshare.Parse(files[0])
	require.NoError(t, err)
	signatures, errs := net.signing(files, "sign", nobody, nil)
	for i := range net.nodes {
		require.NoError(t, errs[i])
		requireECDSA(t, share.VaultKey(), make([]byte, 32), signatures[i])
	}
	require.GreaterOrEqual(t, count(steps, keysignModuli), members*(members-1))
	require.GreaterOrEqual(t, count(steps, keysignFactors), members*(members-1))
}

func TestSignersWhoTrustTheParametersProveNothing(t *testing.T) {
	net := newCluster(t, 2, nil)
	steps := net.said()
	files := net.deal(t, func(_ int, d *eckeygen.LocalPartySaveData) {
		d.Alpha, d.Beta, d.P, d.Q = nil, nil, nil, nil // as older keygens left it
	})
	_, errs := net.signing(files, "sign", nobody, func(int) bool { return true })
	for i := range net.nodes {
		require.NoError(t, errs[i])
	}
	require.Zero(t, count(steps, keysignModuli))
	require.NotZero(t, count(steps, 0))

	_, errs = net.signing(files, "again", nobody, nil)
	for i := range net.nodes {
		require.ErrorContains(t, errs[i], "cannot prove its parameters")
		var blame *ceremony.BlameError
		require.NotErrorAs(t, errs[i], &blame)
	}
}

// The primes of the Paillier modulus follow from what older keygens kept.
func TestOlderKeysharesProveTheirModuli(t *testing.T) {
	net := newCluster(t, 2, nil)
	files := net.deal(t, func(_ int, d *eckeygen.LocalPartySaveData) {
		sk := *d.PaillierSK
		sk.P, sk.Q = nil, nil
		d.PaillierSK = &sk
	})
	_, errs := net.signing(files, "sign", nobody, nil)
	for i := range net.nodes {
		require.NoError(t, errs[i])
	}
}

func TestSignersOfAnotherTrustAreBlamed(t *testing.T) {
	net := newCluster(t, 3, func(cfg *Config) { cfg.JoinTimeout = 2 * time.Second })
	_, errs := net.signing(net.deal(t, nil), "sign", nobody, func(i int) bool { return i == 1 })
	for _, i := range []int{0, 2} {
		net.requireBlame(t, errs[i], "another trust in parameters", 1)
	}
}

// In real ceremonies: parameters in a keyshare file that their owner cannot prove end the signing
// before a word of the protocol is said, and name their owner.
func TestUnprovenParametersSignNothing(t *testing.T) {
	const bad = 1
	forged, pf := forgedModulus([]byte("session"))
	require.True(t, pf.Verify([]byte("session"), forged), "tss-lib accepts it")
	for _, c := range []struct {
		name   string
		change func(d *eckeygen.LocalPartySaveData) // of the others' files
		tamper func(t *testing.T, s *session, f *frame) *frame
		want   string
	}{
		{
			"a Paillier modulus of 33 factors, which tss-lib accepts",
			func(d *eckeygen.LocalPartySaveData) { d.PaillierPKs[bad] = &paillier.PublicKey{N: forged} },
			nil, "proof of its parameters of the ecdsa keysign is no good: the modulus N:",
		},
		{
			"an NTilde of 33 factors", func(d *eckeygen.LocalPartySaveData) {
				d.NTildej[bad], d.H1j[bad], d.H2j[bad] = forged, big.NewInt(4), big.NewInt(9)
			}, nil, "the modulus NTilde:",
		},
		{
			"an H1 that is no power of H2", func(d *eckeygen.LocalPartySaveData) {
				d.H1j[bad] = new(big.Int).Sub(d.NTildej[bad], d.H1j[bad])
			}, nil, "H1 is not proven to be a power of H2",
		},
		{"a proof that is cut off", nil, func(t *testing.T, s *session, f *frame) *frame {
			return ownProof(t, s, f, keysignModuli, func(b []byte) []byte { return b[:len(b)-1] })
		}, "a proof of"},
		{"a proof of factors that does not hold", nil, func(t *testing.T, s *session, f *frame) *frame {
			return ownProof(t, s, f, keysignFactors, flipped)
		}, "a fac proof that does not hold"},
		{"a list of proofs of factors with one too many", nil, func(t *testing.T, s *session, f *frame) *frame {
			return ownProof(t, s, f, keysignFactors, func(b []byte) []byte { return append(b, b...) })
		}, "the list of proofs has the wrong form"},
	} {
		t.Run(c.name, func(t *testing.T) {
			net := newCluster(t, 2, nil)
			steps := net.said()
			if c.tamper != nil {
				net.tamper(bad, func(s *session, _ int, f *frame) *frame { return c.tamper(t, s, f) })
			}
			files := net.deal(t, func(i int, d *eckeygen.LocalPartySaveData) {
				if i != bad && c.change != nil {
					c.change(d)
				}
			})
			_, errs := net.signing(files, "sign", bad, nil)
			net.requireBlame(t, errs[0], c.want, bad)
			for step := range ecdsaKeysign.steps {
				require.Zero(t, count(steps, uint8(step)), "step %d of the protocol", step)
			}
		})
	}
}

// rewrapped changes the bytes in a message of a step of ours.
func rewrapped(t *testing.T, payload []byte, change func(b []byte) []byte) []byte {
	wrapped := new(anypb.Any)
	require.NoError(t, proto.Unmarshal(payload, wrapped))
	m := new(wrapperspb.BytesValue)
	require.NoError(t, wrapped.UnmarshalTo(m))
	return packed(wrapperspb.Bytes(change(m.Value)))
}

// ownProof changes one of an author's proofs.
func ownProof(t *testing.T, s *session, f *frame, step uint8, change func(b []byte) []byte) *frame {
	if f.kind != frameMessage || int(f.slot.author) != s.self || f.slot.step != step {
		return f
	}
	return forge(s, f, rewrapped(t, f.payload, change))
}

func TestProofsOfAnotherSessionAreRefused(t *testing.T) {
	const bad = 0
	for name, step := range map[string]uint8{"moduli": keysignModuli, "factors": keysignFactors} {
		t.Run(name, func(t *testing.T) {
			net := newCluster(t, 2, nil)
			files := net.deal(t, nil)
			var mu sync.Mutex
			var first []byte
			net.tamper(bad, func(s *session, _ int, f *frame) *frame {
				if f.kind != frameMessage || int(f.slot.author) != bad || f.slot.step != step {
					return f
				}
				mu.Lock()
				defer mu.Unlock()
				if first == nil {
					first = f.payload
				}
				return forge(s, f, first)
			})
			_, errs := net.signing(files, "sign", nobody, nil)
			require.NoError(t, errs[0])
			require.NoError(t, errs[1])
			_, errs = net.signing(files, "sign", bad, nil)
			net.requireBlame(t, errs[1], "is no good", bad)
		})
	}
}

func TestASignerWithoutAProofIsNamed(t *testing.T) {
	const bad = 2
	net := newCluster(t, 3, func(cfg *Config) { cfg.RoundTimeout = 8 * time.Second })
	steps := net.said()
	net.tamper(bad, func(_ *session, _ int, f *frame) *frame {
		if f.kind == frameMessage && int(f.slot.author) == bad {
			return nil
		}
		return f
	})
	_, errs := net.signing(net.deal(t, nil), "sign", bad, nil)
	for i := range bad {
		net.requireBlame(t, errs[i], "did not send proof of its parameters", bad)
	}
	for step := range ecdsaKeysign.steps {
		require.Zero(t, count(steps, uint8(step)))
	}
}

// A deadline in the middle of the proofs names who has not given one, and nobody who waits.
func TestADeadlineBeforeAProofNamesItsAuthor(t *testing.T) {
	s := &session{self: 0, closed: 0}
	s.members = [][]byte{make([]byte, 33), make([]byte, 33), make([]byte, 33)}
	s.instances = []*instance{{protocol: ecdsaProvenKeysign}}
	s.results = make([]any, 1)
	s.slots = [][][]*message{newSlots(len(ecdsaProvenKeysign.steps), 3)}
	s.slots[0][keysignModuli][1].delivered = true
	var lacking []slot
	s.eachLacking(func(at slot, _ *message) { lacking = append(lacking, at) })
	require.Equal(t, []slot{{step: keysignModuli, author: 2, to: everybody}}, lacking)
}

// cpuTime is what this process has taken of the processors, which a busy machine does not change.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkKeysign signs over loopback, with parameters that are trusted and with those that are
// proven first.
func BenchmarkKeysign(b *testing.B) {
	for _, signers := range []int{3, 7} {
		for _, trust := range []bool{true, false} {
			name := fmt.Sprintf("of %d, parameters proven", signers)
			if trust {
				name = fmt.Sprintf("of %d, parameters trusted", signers)
			}
			b.Run(name, func(b *testing.B) {
				net := newCluster(b, signers, nil)
				files := net.deal(b, nil)
				var said atomic.Int64
				for _, n := range net.nodes {
					n.mangle = func(_ *session, _ int, frame []byte) []byte {
						said.Add(int64(len(frame)))
						return frame
					}
				}
				begin := cpuTime(b)
				for b.Loop() {
					_, errs := net.signing(files, "sign", nobody, func(int) bool { return trust })
					for _, err := range errs {
						require.NoError(b, err)
					}
				}
				each := float64(signers * b.N)
				b.ReportMetric(float64(said.Load())/each, "B/member")
				b.ReportMetric((cpuTime(b)-begin).Seconds()/each, "cpu-s/member")
			})
		}
	}
}
