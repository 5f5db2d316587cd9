package tss

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/vss"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	ecresharing "github.com/bnb-chain/tss-lib/v2/ecdsa/resharing"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	edresharing "github.com/bnb-chain/tss-lib/v2/eddsa/resharing"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"github.com/tssbackup/tssbackup/bifrost/ceremony"
	"github.com/tssbackup/tssbackup/bifrost/keyshare"
	"github.com/tssbackup/tssbackup/sanity"
)

// A casting is who does what in the world of a reshare.
type casting struct {
	members      int // of the world
	old          []int
	dealers, new []int
}

// sameFour hand a vault on to themselves. The malicious one deals and gets shares.
var sameFour = casting{4, []int{0, 1, 2, 3}, []int{0, 1, 2}, []int{0, 1, 2, 3}}

// toOthers has two dealers that get no share, of which one is the malicious one.
var toOthers = casting{6, []int{0, 1, 2, 5}, []int{0, 1, 2}, []int{0, 3, 4, 5}}

// fromOthers has a malicious member that gets a share and deals none.
var fromOthers = casting{5, []int{0, 1, 3, 4}, []int{0, 1, 3}, []int{1, 2, 3, 4}}

// toMore and toFewer may have two malicious members.
var (
	toMore  = casting{7, []int{0, 1, 2, 3}, []int{0, 1, 3}, []int{0, 1, 2, 3, 4, 5, 6}}
	toFewer = casting{7, []int{0, 1, 2, 3, 4, 5, 6}, []int{0, 1, 2, 4, 6}, []int{1, 2, 3, 5}}
)

var (
	worldsMu sync.Mutex
	worlds   = map[string]*generation{} // by casting
)

// request is that of a member.
func (c casting) request(t *testing.T, members [][]byte, own int) ceremony.ReshareRequest {
	t.Helper()
	pick := func(places []int) (out [][]byte) {
		for _, i := range places {
			out = append(out, members[i])
		}
		return out
	}
	worldsMu.Lock()
	defer worldsMu.Unlock()
	g := worlds[fmt.Sprint(c)]
	if g == nil {
		g = firstGeneration("world", pick(c.old))
		worlds[fmt.Sprint(c)] = g
	}
	return g.reshareOf(t, members[own], pick(c.dealers), pick(c.new), tapedSession)
}

// describeIn makes a world's description that of the reshare.
func (c casting) describeIn(t *testing.T) func(d *description) {
	var once sync.Once
	var of description
	return func(d *description) {
		once.Do(func() {
			var err error
			of, err = describeReshare(c.request(t, d.members, 0))
			require.NoError(t, err)
		})
		require.Equal(t, d.members, of.members)
		d.cast, d.kind, d.malicious = of.cast, of.kind, of.malicious
	}
}

// handed is what a member knows of the key.
func (c casting) handed(t *testing.T, at seat, curve keyshare.Curve) *handed {
	t.Helper()
	own := at.members[at.self]
	r := c.request(t, at.members, at.self)
	key, shares, group := r.Secp256k1, r.From.Secp256k1, tsslib.S256()
	if curve == keyshare.Ed25519 {
		key, shares, group = r.Ed25519, r.From.Ed25519, tsslib.Edwards()
	}
	d := description{cast: at.cast, members: at.members}
	h, err := newHanded(group, d, key, r.From, shares)
	require.NoError(t, err)
	for _, f := range r.Keyshares {
		share, err := keyshare.Parse(f.Data)
		require.NoError(t, err)
		if share.Curve() == curve {
			require.NoError(t, (&Node{pub: own}).take(r, share, h))
		}
	}
	return h
}

// eddsa builds the EdDSA half of a reshare.
func (c casting) eddsa(t *testing.T) func(i int, at seat) (*instance, func(any) hash, error) {
	cached := map[int]*handed{}
	return func(i int, at seat) (*instance, func(any) hash, error) {
		if cached[i] == nil {
			cached[i] = c.handed(t, at, keyshare.Ed25519)
		}
		h := *cached[i]
		if h.secret != nil {
			h.secret = new(big.Int).Set(h.secret)
		}
		in := newEdDSAReshare(at, thresholdOf(len(c.new)), &h, nil)
		return in, func(any) hash { return digestOf(in.known) }, nil
	}
}

// A recordedReshare is what parties say in the reshare of one key, and what becomes of the checks of
// it: both take long.
type recordedReshare struct {
	*tape
	handing []*handed
	proofs  [][]byte
	said    [][2][]tsslib.Message // by member
	sums    []*big.Int
	pre     []*eckeygen.LocalPreParams
	casting
	describe func(d *description)
	of       *protocol
	results  []any
}

var (
	ecReshared   *recordedReshare
	recordEC     sync.Once
	nobodyChecks = func(*known, int, proto.Message) error { return nil }
)

func ecReshare(t *testing.T) *recordedReshare {
	t.Helper()
	recordEC.Do(func() { ecReshared = newRecordedReshare(t, sameFour, ecdsaReshare) })
	require.NotNil(t, ecReshared, "another test could not make it")
	return ecReshared
}

func newRecordedReshare(t *testing.T, c casting, of *protocol) *recordedReshare {
	t.Helper()
	r := &recordedReshare{
		tape: newTape(of, c.members, nobodyChecks, 0), casting: c, of: of,
		describe: c.describeIn(t),
		handing:  make([]*handed, c.members), proofs: make([][]byte, c.members),
		said: make([][2][]tsslib.Message, c.members), sums: make([]*big.Int, c.members),
		pre: make([]*eckeygen.LocalPreParams, c.members),
	}
	w := worldOf(t, c.members, tapedSession, func(i int, at seat) (*instance, func(any) hash, error) {
		var in *instance
		if of == eddsaReshare {
			r.handing[i] = c.handed(t, at, keyshare.Ed25519)
			in = newEdDSAReshare(at, thresholdOf(len(c.new)), r.handing[i], nil)
		} else {
			r.handing[i] = c.handed(t, at, keyshare.Secp256k1)
			if at.gets(i) {
				r.pre[i] = preParams(t, i)
			}
			var err error
			in, err = newECDSAReshare(at, thresholdOf(len(c.new)), r.handing[i], r.pre[i])
			if err != nil {
				return nil, nil, err
			}
			r.proofs[i], r.parts[i].parameters = in.admission.proof, in.known.parameters[i]
		}
		in.protocol, in.known.protocol = r.quick, r.quick
		party := in.party.(*resharing)
		begin, give := party.begin, party.give
		party.begin = func() (said []tsslib.Message, err error) {
			r.said[i][0], err = begin()
			return r.said[i][0], err
		}
		party.give = func() (said []tsslib.Message, err error) {
			r.said[i][1], err = give()
			if len(party.shares) > 0 && at.gets(i) {
				r.sums[i] = party.shares[slices.Index(c.new, i)].Share
			}
			return r.said[i][1], err
		}
		return in, func(any) hash { return digestOf(in.known) }, nil
	}, r.describe)
	w.run(t)
	for _, l := range w.lives {
		require.NoError(t, l.err)
		r.results = append(r.results, l.results[0])
	}
	return r
}

func (r *recordedReshare) play(i int, at seat) (*instance, func(any) hash, error) {
	k := newKnown(r.quick, at, thresholdOf(len(r.new))-1)
	k.handed, k.parameters = r.handing[i], make([]sanity.Parameters, len(at.ids))
	k.parameters[i] = r.parts[i].parameters
	in, party := newReshare(k, at, nil)
	if r.of == ecdsaReshare {
		in.admission = &admission{proof: r.proofs[i]}
	}
	party.pre = r.pre[i]
	party.begin = func() ([]tsslib.Message, error) { return r.said[i][0], nil }
	party.give = func() ([]tsslib.Message, error) {
		if r.sums[i] != nil {
			party.add(r.sums[i])
		}
		return r.said[i][1], nil
	}
	return in, func(any) hash { return digestOf(k) }, nil
}

// Every message of a reshare, with every fault that one malicious member can bring into it: one that
// deals and gets a share, and for the ed25519 key one that does either. The last step is a keygen's.
func TestEveryFaultOfEveryMessageOfAReshare(t *testing.T) {
	t.Parallel()
	everyFaultOfAReshare(t, "four to themselves", ecReshare(t))
	for name, c := range map[string]casting{
		"four to themselves": sameFour, "by one that leaves": toOthers, "by one that comes": fromOthers,
	} {
		everyFaultOfAReshare(t, name, newRecordedReshare(t, c, eddsaReshare))
	}
}

func everyFaultOfAReshare(t *testing.T, name string, r *recordedReshare) {
	deals := slices.Contains(r.dealers, malicious)
	gets := slices.Contains(r.new, malicious)
	for _, k := range kinds(r.of) {
		if k.in == nil || k.in.steps[k.step].by == getters && !gets ||
			k.in.steps[k.step].by == dealers && !deals {
			continue
		}
		shares := k.step == k.in.shares
		for _, fault := range slices.Sorted(maps.Keys(faults)) {
			for _, c := range faults[fault](t, k) {
				if fault == "crash after it" && shares && !gets {
					c.shows = false // it has no more to say
				}
				if shares && (!deals && strings.HasPrefix(c.name, "a share") ||
					!gets && strings.HasPrefix(c.name, "the proof's part")) &&
					c.name != "a share left out" {
					continue // it has none
				}
				t.Run(name+", "+k.key+", "+k.name+", "+fault+": "+c.name, func(t *testing.T) {
					w := worldOf(t, r.members, tapedSession, r.play, r.describe)
					w.tamper = c.tamper
					w.run(t)
					var before []int
					for i, l := range w.lives {
						if fault == "crash after it" && k.receipt() && !l.gets(i) {
							before = append(before, i) // it heard all that it waited for
						}
					}
					w.requireVerdict(t, c, before...)
				})
			}
		}
	}
}

// Whichever dealer deals something else than its share of the key, all honest members name it, and
// the key does not change. tss-lib's resharing lets the first of the old members change it alone.
func TestADealerOfAnotherKeyIsNamed(t *testing.T) {
	t.Parallel()
	const wrong = "deals something else than its share of the vault's key"
	for _, c := range []casting{sameFour, toOthers} {
		build, describe := c.eddsa(t), c.describeIn(t)
		for _, dealer := range c.dealers {
			w := worldOf(t, c.members, tapedSession, func(i int, at seat) (*instance, func(any) hash, error) {
				in, digest, err := build(i, at)
				if i == dealer {
					h := in.known.handed
					h.secret.Add(h.secret, big.NewInt(1))
				}
				return in, digest, err
			}, describe)
			w.malicious = []int{dealer}
			w.run(t)
			w.requireNamed(t, dealer, wrong)
		}
	}
}

// Who ends a reshare is told to have ended a reshare, though the last step is a keygen's.
func TestWhatIsSaidOfAReshareIsNotSaidOfAKeygen(t *testing.T) {
	t.Parallel()
	r := newRecordedReshare(t, sameFour, eddsaReshare)
	for reason, leaves := range map[string]bool{
		"did not sign the result of the reshare": false, "joined the reshare anew": true,
	} {
		w := worldOf(t, r.members, tapedSession, r.play, r.describe)
		w.malicious = []int{malicious}
		w.tamper = (&scheme{
			silent: map[int]int{malicious: len(eddsaReshare.steps)}, gone: map[int]bool{},
		}).tamper
		if leaves {
			w.departs(malicious, w.clock.Add(100*lag), w.lives[0].phaseTime)
		}
		w.run(t)
		w.requireNamed(t, malicious, reason)
		for _, l := range w.honest() {
			require.NotContains(t, l.err.Error(), "the keygen")
		}
	}
}

// requireNamed checks that all honest members name one member.
func (w *world) requireNamed(t *testing.T, member int, reason string) {
	t.Helper()
	for _, l := range w.honest() {
		blamed, err := l.blamed()
		require.NoError(t, err)
		require.Equal(t, [][]byte{w.net.members[member]}, blamed, "%v", l.err)
		require.ErrorContains(t, l.err, reason)
	}
}

// The same of the secp256k1 key, and what those who get shares can do with their parameters.
func TestOneMaliciousMemberOfAReshare(t *testing.T) {
	t.Parallel()
	recorded := ecReshare(t)
	own, theirs := recorded.parts[malicious].parameters, recorded.parts[1].parameters
	parameters := func(change func(m *ecresharing.DGRound2Message1)) tamper {
		return func(s *session, _ int, f *frame) *frame {
			if !ofOwn(s, f) || f.slot.instance != 0 || s.isDone(f.slot) {
				return f
			}
			said := s.instances[0].known.sent[keygenRound1][s.self]
			forged := proto.Clone(said).(*ecresharing.DGRound2Message1)
			change(forged)
			switch f.slot.step {
			case keygenCommitment:
				commitment := s.instances[0].known.commitment(s.self, forged)
				return forge(s, f, packed(wrapperspb.Bytes(commitment)))
			case keygenRound1:
				return forge(s, f, packed(forged))
			}
			return f
		}
	}
	for _, c := range []struct {
		name, reason string
		tamper       tamper
		build        func(in *instance)
	}{
		{"a dealer deals something else", "deals something else than its share", nil, func(in *instance) {
			party := in.party.(*resharing)
			said, give := recorded.said[malicious][0], party.give
			party.begin = func() ([]tsslib.Message, error) {
				h := *in.known.handed
				h.secret = big.NewInt(12345)
				in.known.handed = &h
				m, err := party.commitment()
				if err != nil {
					return nil, err
				}
				return []tsslib.Message{party.broadcast(m), said[1]}, nil
			}
			party.give = func() ([]tsslib.Message, error) {
				if _, err := give(); err != nil {
					return nil, err
				}
				return party.deal()
			}
		}},
		{"a Paillier modulus of 33 factors", "the modulus N:", parameters(func(m *ecresharing.DGRound2Message1) {
			m.PaillierN = manyFactors().Bytes()
		}), nil},
		{"another member's NTilde and bases", "the modulus NTilde:", parameters(func(m *ecresharing.DGRound2Message1) {
			other := recorded.said[1][0][1].(tsslib.ParsedMessage).Content().(*ecresharing.DGRound2Message1)
			m.NTilde, m.H1, m.H2 = other.NTilde, other.H1, other.H2
			m.Dlnproof_1, m.Dlnproof_2 = other.Dlnproof_1, other.Dlnproof_2
		}), nil},
		{"bases of which one is no power of the other", "not proven to be powers of each other", parameters(
			func(m *ecresharing.DGRound2Message1) {
				h := new(big.Int).Exp(theirs.H1, big.NewInt(4), own.NTilde)
				m.H2 = h.Bytes()
			}), nil},
		{"an even N", "N is not an odd number of 2048 bits", parameters(func(m *ecresharing.DGRound2Message1) {
			m.PaillierN = new(big.Int).Add(own.N, big.NewInt(1)).Bytes()
		}), nil},
		{"a proof that tss-lib would take beside it", "has a mod proof", parameters(func(m *ecresharing.DGRound2Message1) {
			m.ModProof = [][]byte{{1}}
		}), nil},
		{"a proof of its factors for another member", "a fac proof that does not hold", func(s *session, _ int, f *frame) *frame {
			if ofOwn(s, f) && f.slot.instance == 0 && f.slot.step == ecdsaReshare.shares {
				return ownShares(s, f, func(list []*sealed) { list[harmed].proof = list[1].proof })
			}
			return f
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := worldOf(t, recorded.members, tapedSession,
				func(i int, at seat) (*instance, func(any) hash, error) {
					in, digest, err := recorded.play(i, at)
					if i == malicious && c.build != nil {
						c.build(in)
					}
					return in, digest, err
				}, recorded.describe)
			if c.tamper != nil {
				w.tamper = func(_ *world, s *session, to int, f *frame) []sent {
					return []sent{{frame: c.tamper(s, to, f)}}
				}
			}
			w.run(t)
			w.requireNamed(t, malicious, c.reason)
		})
	}
}

// As many malicious ones as each epoch bears do at random what they can think of, together, in a
// reshare. All honest members that get shares come to one end, and nobody names an honest one.
func TestRandomFaultsOfAsManyAsAReshareBears(t *testing.T) {
	t.Parallel()
	var all []*recordedReshare
	for _, c := range []casting{sameFour, toOthers, fromOthers, toMore, toFewer} {
		all = append(all, newRecordedReshare(t, c, eddsaReshare))
	}
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.SampledFrom(all).Draw(t, "casting")
		w := worldOf(t, r.members, tapedSession, r.play, r.describe, drawGiving(t, r.members))
		taking := append(slices.Clone(r.dealers), r.new...)
		w.malicious = rapid.SliceOfNDistinct(
			rapid.SampledFrom(taking), 1, w.lives[0].malicious, rapid.ID[int],
		).Filter(func(malicious []int) bool {
			return within(malicious, r.old) && within(malicious, r.new)
		}).Draw(t, "malicious")
		sc := drawScheme(t, r.members, w.malicious, len(eddsaReshare.steps)+2)
		w.tamper = sc.tamper
		sc.begin(w)
		w.run(t)
		w.requireOneEnd(t, len(sc.left) > 0)
	})
}

// within reports whether no more of an epoch's members are malicious than it bears.
func within(malicious, epoch []int) bool {
	count := 0
	for _, m := range malicious {
		if slices.Contains(epoch, m) {
			count++
		}
	}
	return count <= tolerated(len(epoch))
}

// theirs is a reshare as tss-lib's own parties know it. To them a member of both epochs is two
// parties, of which the new one has another number for the same place.
type theirs struct {
	*recordedReshare
	order     *big.Int
	old, next tsslib.SortedPartyIDs
}

func newTheirs(t *testing.T, r *recordedReshare) theirs {
	order := r.of.curve().Params().N
	w := worldOf(t, r.members, tapedSession, r.play, r.describe)
	parties := func(places []int, shift *big.Int) tsslib.SortedPartyIDs {
		var all tsslib.UnSortedPartyIDs
		for _, i := range places {
			key := new(big.Int).Add(number(w.net.members[i]), shift)
			all = append(all, tsslib.NewPartyID(fmt.Sprint(i), "", key))
		}
		return tsslib.SortPartyIDs(all)
	}
	return theirs{r, order, parties(r.dealers, new(big.Int)), parties(r.new, order)}
}

// params are those of a new party.
func (o theirs) params(id *tsslib.PartyID) *tsslib.ReSharingParameters {
	return tsslib.NewReSharingParameters(
		o.of.curve(), tsslib.NewPeerContext(o.old), tsslib.NewPeerContext(o.next), id,
		len(o.old), thresholdOf(len(o.recordedReshare.old))-1, len(o.next), thresholdOf(len(o.next))-1,
	)
}

// tell gives a party what a member said to all, as their party of this number.
func (o theirs) tell(t *testing.T, p tsslib.Party, from *tsslib.PartyID, content tsslib.MessageContent) {
	t.Helper()
	meta := tsslib.MessageRouting{From: from, IsBroadcast: true}
	o.hand(t, p, tsslib.NewMessage(meta, content, tsslib.NewMessageWrapper(meta, content)))
}

func (o theirs) hand(t *testing.T, p tsslib.Party, m tsslib.ParsedMessage) {
	t.Helper()
	if _, err := p.Update(m); err != nil {
		require.NoError(t, err)
	}
}

// opened is how a dealer opened its polynomial, and dealt what it dealt to a member.
func (o theirs) opened(dealer, to int) (opening tsslib.MessageContent, dealt *vss.Share) {
	dealt = &vss.Share{Share: o.sums[dealer]} // to itself
	for _, m := range o.said[dealer][1] {
		content := m.(tsslib.ParsedMessage).Content()
		if m.IsBroadcast() {
			opening = content
		} else if m.GetTo()[0].Index == to {
			dealt.Share = number(content.(interface{ GetShare() []byte }).GetShare())
		}
	}
	return opening, dealt
}

// requireShare holds what a new party came to against ours.
func (o theirs) requireShare(
	t *testing.T, xi, wantXi, id, wantID *big.Int, points, want []*crypto.ECPoint,
) {
	t.Helper()
	require.Equal(t, wantXi, new(big.Int).Mod(xi, o.order))
	require.Equal(t, wantID, new(big.Int).Sub(id, o.order))
	require.Len(t, points, len(want))
	for i := range want {
		require.True(t, want[i].Equals(points[i]))
	}
}

// tss-lib's own parties, which are given what ours said, come to the same shares of the ed25519 key.
func TestTssLibReadsAReshareTheSame(t *testing.T) {
	t.Parallel()
	o := newTheirs(t, newRecordedReshare(t, fromOthers, eddsaReshare))
	for j, id := range o.next {
		out, end := newOut(16), make(chan *edkeygen.LocalPartySaveData, 1)
		p := edresharing.NewLocalParty(
			o.params(id), edkeygen.NewLocalPartySaveData(len(o.next)), out, end)
		require.Nil(t, p.Start())
		for k, i := range o.dealers {
			o.tell(t, p, o.old[k], o.said[i][0][0].(tsslib.ParsedMessage).Content())
		}
		for k, i := range o.dealers {
			opening, share := o.opened(i, o.new[j])
			o.tell(t, p, o.old[k], opening)
			o.hand(t, p, edresharing.NewDGRound3Message1(id, o.old[k], share))
		}
		for _, other := range o.next {
			o.hand(t, p, edresharing.NewDGRound4Message(nil, other))
		}
		saved, ours := <-end, o.results[o.new[j]].(*edkeygen.LocalPartySaveData)
		require.True(t, ours.EDDSAPub.Equals(saved.EDDSAPub))
		o.requireShare(t, saved.Xi, ours.Xi, saved.ShareID, ours.ShareID, saved.BigXj, ours.BigXj)
	}
}

// The same of the secp256k1 key and the others' parameters, for one of tss-lib's parties: it takes
// seconds. Its own proofs of moduli and factors are left out, ours are bound to more.
func TestTssLibReadsAnECDSAReshareTheSame(t *testing.T) {
	t.Parallel()
	o := newTheirs(t, ecReshare(t))
	const j = 1
	id, own := o.next[j], o.new[j]
	params := o.params(id)
	params.SetNoProofMod()
	params.SetNoProofFac()
	save := eckeygen.NewLocalPartySaveData(len(o.next))
	save.LocalPreParams = *o.pre[own]
	out, end := newOut(16), make(chan *eckeygen.LocalPartySaveData, 1)
	p := ecresharing.NewLocalParty(params, save, out, end)
	require.Nil(t, p.Start())
	said := func(i, which int) tsslib.MessageContent {
		return o.said[i][0][which].(tsslib.ParsedMessage).Content()
	}
	for k, i := range o.dealers {
		first := proto.Clone(said(i, 0)).(*ecresharing.DGRound1Message)
		first.Ssid = []byte("of all") // ours is each author's own
		o.tell(t, p, o.old[k], first)
	}
	for k, i := range o.new {
		if i != own {
			o.tell(t, p, o.next[k], said(i, len(o.said[i][0])-1))
		}
	}
	for k, i := range o.dealers {
		opening, share := o.opened(i, own)
		o.tell(t, p, o.old[k], opening)
		o.hand(t, p, ecresharing.NewDGRound3Message1(id, o.old[k], share))
	}
	for k, other := range o.next {
		if k == j {
			continue
		}
		meta := tsslib.MessageRouting{From: other, To: []*tsslib.PartyID{id}}
		none := &ecresharing.DGRound4Message1{}
		o.hand(t, p, tsslib.NewMessage(meta, none, tsslib.NewMessageWrapper(meta, none)))
		o.hand(t, p, ecresharing.NewDGRound4Message2(nil, other))
	}
	saved, ours := <-end, o.results[own].(*eckeygen.LocalPartySaveData)
	require.True(t, ours.ECDSAPub.Equals(saved.ECDSAPub))
	o.requireShare(t, saved.Xi, ours.Xi, saved.ShareID, ours.ShareID, saved.BigXj, ours.BigXj)
	for i := range o.next {
		require.Equal(t, ours.PaillierPKs[i].N, saved.PaillierPKs[i].N)
		require.Equal(t, ours.NTildej[i], saved.NTildej[i])
		if i != j { // its own bases are made anew
			require.Equal(t, ours.H1j[i], saved.H1j[i])
			require.Equal(t, ours.H2j[i], saved.H2j[i])
		}
	}
}

// manyFactors is a modulus that passes for one in tss-lib.
var manyFactors = sync.OnceValue(func() *big.Int {
	n, _ := forgedModulus([]byte("session"))
	return n
})
