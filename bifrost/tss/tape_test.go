package tss

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/commitments"
	"github.com/bnb-chain/tss-lib/v2/crypto/facproof"
	"github.com/bnb-chain/tss-lib/v2/crypto/vss"
	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/tssbackup/tssbackup/sanity"
)

// A tape is what honest members' parties say in one keygen of one of the keys. Players of the
// same members in the same session repeat it, and nothing is computed twice.
type tape struct {
	quick *protocol // the keygen's, with checks that remember
	parts []part
	// last is what tss-lib's party checks at its end, of each author.
	last     check
	lastStep uint8

	mu         sync.Mutex
	remembered map[hash]any
}

// A part is what one member's party says: at the start, and after each round but the last.
type part struct {
	said       [][]tsslib.Message
	proof      []byte // of an ECDSA keygen
	parameters sanity.Parameters
}

const tapedSession = "taped"

// newTape makes one of a keygen, whose checks all remember.
func newTape(p *protocol, members int, last check, lastStep uint8) *tape {
	tp := &tape{parts: make([]part, members), remembered: map[hash]any{}}
	quick := *p
	quick.steps = slices.Clone(p.steps)
	for i := range quick.steps {
		if s := &quick.steps[i]; s.check != nil {
			s.check = tp.remember(i, s.name(), s.check)
		}
	}
	quick.checkShare = tp.rememberShare(p.checkShare)
	tp.quick, tp.last, tp.lastStep = &quick, tp.remember(int(lastStep), "at last", last), lastStep
	return tp
}

// beside hashes what a check looks at: what its author sent in the steps before, and in those that
// it needs, and where.
func beside(k *known, author, step int, what string) []byte {
	h := sha256.New()
	h.Write(k.context(author, what))
	for i, messages := range k.sent {
		if i >= step && !slices.Contains(k.protocol.steps[step].needs, after(uint8(i))) {
			continue
		}
		var sum hash
		if m := messages[author]; m != nil {
			sum = sha256.Sum256(packed(m))
		}
		h.Write(sum[:])
	}
	return h.Sum(nil)
}

// remember makes a check that looks once at the same message beside the same others of its author.
// The proof of parameters leaves them with whoever looks, so this does it again.
func (tp *tape) remember(step int, what string, c check) check {
	return func(k *known, from int, content proto.Message) error {
		tp.mu.Lock()
		defer tp.mu.Unlock()
		key := hash(sha256.Sum256(append(beside(k, from, step, what), packed(content)...)))
		if _, ok := tp.remembered[key]; !ok {
			tp.remembered[key] = c(k, from, content)
		}
		err, _ := tp.remembered[key].(error)
		m, ok := k.sent[keygenRound1][from].(parametersMessage)
		if ok && err == nil {
			k.parameters[from] = parametersOf(m)
		}
		return err
	}
}

func (tp *tape) rememberShare(c shareCheck) shareCheck {
	type made struct {
		msg tsslib.ParsedMessage
		err error
	}
	return func(
		k *known, share []byte, pf [][]byte, author, receiver int,
	) (tsslib.ParsedMessage, error) {
		tp.mu.Lock()
		defer tp.mu.Unlock()
		what := bytes.Join(append([][]byte{{byte(receiver)}, share}, pf...), []byte("|"))
		key := hash(sha256.Sum256(beside(k, author, int(k.protocol.opening)+1, string(what))))
		if _, ok := tp.remembered[key]; !ok {
			msg, err := c(k, share, pf, author, receiver)
			tp.remembered[key] = made{msg, err}
		}
		m := tp.remembered[key].(made)
		return m.msg, m.err
	}
}

// edTape records what tss-lib says in a real keygen.
func edTape(t *testing.T, members int) *tape {
	t.Helper()
	tp := newTape(eddsaKeygen, members, checkEdLast, edRound2)
	w := worldOf(t, members, tapedSession, func(i int, at seat) (*instance, func(any) hash, error) {
		in := newEdDSAKeygen(at, thresholdOf(members), nil)
		in.protocol, in.known.protocol = tp.quick, tp.quick
		out := newOut(members)
		own := &tp.parts[i]
		in.party, in.out = &recorder{in.party, in.out, out, own}, out
		in.end = func() (any, bool) { return "result", len(own.said) == edRounds }
		return in, func(any) hash { return digestOf(in.known) }, nil
	})
	w.run(t)
	for _, l := range w.lives {
		require.NoError(t, l.err)
	}
	return tp
}

// checkEdLast verifies the proof of the secret in an author's opening, as tss-lib's round 3 does.
func checkEdLast(k *known, from int, content proto.Message) error {
	pf, err := content.(*edkeygen.KGRound2Message2).UnmarshalZKProof(tsslib.Edwards())
	if err != nil {
		return err
	}
	points, err := k.polynomial(from)
	if err != nil {
		return err
	}
	context := common.AppendBigIntToBytesSlice(k.ssid(), big.NewInt(int64(from)))
	if !pf.Verify(context, points[0].EightInvEight()) {
		return errors.New("failed to prove schnorr proof")
	}
	return nil
}

var (
	ecTaped  *tape
	makeTape sync.Once
)

// ecTape is the tape of an ECDSA keygen of four, made once.
func ecTape(t *testing.T) *tape {
	t.Helper()
	makeTape.Do(func() { ecTaped = newECTape(t) })
	require.NotNil(t, ecTaped, "another test could not make it")
	return ecTaped
}

// newECTape computes the messages as tss-lib does. Only the proofs of h1 and h2 are none: to make and
// verify them takes longer than all the rest, and no message comes to where tss-lib would look at
// them that is not as its author committed to.
func newECTape(t *testing.T) *tape {
	t.Helper()
	var vault *crypto.ECPoint
	tp := newTape(ecdsaKeygen, 4, func(k *known, from int, content proto.Message) error {
		pf := content.(*eckeygen.KGRound3Message).UnmarshalProofInts()
		if ok, err := pf.Verify(k.parameters[from].N, k.ids[from].KeyInt(), vault); !ok || err != nil {
			return errors.New("paillier verify failed")
		}
		return nil
	}, keygenRound3)
	sets := make([]*eckeygen.LocalPreParams, 4)
	w := worldOf(t, 4, tapedSession, func(i int, at seat) (*instance, func(any) hash, error) {
		sets[i] = preParams(t, i)
		in, err := newECDSAKeygen(at, 3, *sets[i])
		return in, nil, err
	})
	var shares []vss.Shares
	for i, l := range w.lives {
		require.NoError(t, l.setUp())
		in, p, meta := l.instances[0], &tp.parts[i], tsslib.MessageRouting{IsBroadcast: true}
		p.proof, p.parameters, meta.From = in.admission.proof, in.known.parameters[i], in.parties[i]
		secret, err := rand.Int(rand.Reader, tsslib.S256().Params().N)
		require.NoError(t, err)
		polynomial, dealt, err := vss.Create(tsslib.S256(), 2, secret, in.parties.Keys(), rand.Reader)
		require.NoError(t, err)
		flat, err := crypto.FlattenECPoints(polynomial)
		require.NoError(t, err)
		c := commitments.NewHashCommitment(rand.Reader, flat...)
		sets[i].H1i, sets[i].H2i = p.parameters.H1, p.parameters.H2
		round1 := unprovenRound1(sets[i])
		round1.Commitment = c.C.Bytes()
		opening := &eckeygen.KGRound2Message2{DeCommitment: common.BigIntsToBytes(c.D)}
		p.said = [][]tsslib.Message{
			{tsslib.NewMessage(meta, round1, tsslib.NewMessageWrapper(meta, round1))},
			{tsslib.NewMessage(meta, opening, tsslib.NewMessageWrapper(meta, opening))},
		}
		shares = append(shares, dealt)
		if vault == nil {
			vault = polynomial[0]
			continue
		}
		vault, err = vault.Add(polynomial[0])
		require.NoError(t, err)
	}
	for i := range tp.parts {
		p, key, k := &tp.parts[i], sets[i].PaillierSK, w.lives[i].instances[0].known
		for j, id := range k.ids {
			if j == i {
				continue
			}
			to := tp.parts[j].parameters
			pf, err := facproof.NewProof(
				common.AppendBigIntToBytesSlice(k.ssid(), big.NewInt(int64(i))), tsslib.S256(),
				key.N, to.NTilde, to.H1, to.H2, key.P, key.Q, rand.Reader,
			)
			require.NoError(t, err)
			p.said[1] = append(
				p.said[1], eckeygen.NewKGRound2Message1(id, k.ids[i], shares[i][j], pf),
			)
		}
		round3 := eckeygen.NewKGRound3Message(k.ids[i], key.Proof(k.ids[i].KeyInt(), vault))
		p.said = append(p.said, []tsslib.Message{round3})
	}
	return tp
}

// digestOf is over all that members said in a keygen.
func digestOf(k *known) (out hash) {
	h := sha256.New()
	for _, messages := range k.sent {
		for _, m := range messages {
			if m != nil {
				h.Write(packed(m))
			}
		}
	}
	h.Sum(out[:0])
	return out
}

// A recorder writes down what its party says. When it has said all, it hears no more: it would
// compute for long, and say nothing.
type recorder struct {
	party
	from <-chan tsslib.Message
	to   chan<- tsslib.Message
	in   *part
}

func (r *recorder) Start() *tsslib.Error {
	err := r.party.Start()
	r.pass()
	return err
}

func (r *recorder) Update(m tsslib.ParsedMessage) (bool, *tsslib.Error) {
	if len(r.in.said) == edRounds {
		return true, nil
	}
	ok, err := r.party.Update(m)
	r.pass()
	return ok, err
}

func (r *recorder) pass() {
	var said []tsslib.Message
	for {
		select {
		case m := <-r.from:
			said = append(said, m)
			r.to <- m
		default:
			if len(said) > 0 {
				r.in.said = append(r.in.said, said)
			}
			return
		}
	}
}

// A player is a party that says what is on tape when it has heard what was said before it.
type player struct {
	tsslib.Party
	tape  *tape
	known *known
	out   chan<- tsslib.Message
	heard []int // messages, by round
	round int
}

// play is an instance with a player.
func (tp *tape) play(i int, at seat) (*instance, func(any) hash, error) {
	members, own := len(tp.parts), &tp.parts[i]
	out, k := newOut(members), newKnown(tp.quick, at, thresholdOf(members)-1)
	k.parameters = make([]sanity.Parameters, members)
	k.parameters[i] = own.parameters
	p := &player{tape: tp, known: k, out: out, heard: make([]int, len(own.said))}
	in := &instance{
		protocol: tp.quick, known: k, random: newRandom(at.session, tp.quick.name, nil),
		party: p, out: out,
		end: func() (any, bool) { return "result", p.round == len(own.said) },
	}
	if own.proof != nil {
		in.admission = &admission{proof: own.proof}
	}
	return in, func(any) hash { return digestOf(k) }, nil
}

func (p *player) Start() *tsslib.Error {
	p.say()
	return nil
}

func (p *player) say() {
	for _, m := range p.tape.parts[p.known.self].said[p.round] {
		p.out <- m
	}
}

func (p *player) Update(m tsslib.ParsedMessage) (bool, *tsslib.Error) {
	name := m.Content().ProtoReflect().Descriptor().Name()
	others, own := len(p.known.members)-1, p.tape.parts[p.known.self].said
	for round := range own {
		if strings.HasPrefix(string(name), fmt.Sprintf("KGRound%d", round+1)) {
			p.heard[round]++
		}
	}
	for p.round < len(own) {
		want := others
		if p.round == 1 { // with shares
			want = 2 * others
		}
		if p.heard[p.round] < want {
			break
		}
		if p.round == len(own)-1 {
			if err := p.end(); err != nil {
				return false, err
			}
			p.round++
			break
		}
		p.round++
		p.say()
	}
	return true, nil
}

func (p *player) end() *tsslib.Error {
	k, wrong := p.known, []*tsslib.PartyID(nil)
	for j, m := range k.sent[p.tape.lastStep] {
		if j != k.self && p.tape.last(k, j, m) != nil {
			wrong = append(wrong, k.ids[j])
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return tsslib.NewError(
		errors.New("a proof does not hold"), "player", p.round+1, k.ids[k.self], wrong...,
	)
}

const (
	keygenRound3 = 5 // of an ECDSA keygen
	edRounds     = 2 // in which tss-lib says something in an EdDSA keygen
)
