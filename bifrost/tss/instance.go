package tss

import (
	"errors"
	"fmt"
	"io"
	"slices"

	eckeygen "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	edkeygen "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// An instance is one run of one protocol within a ceremony. Its party lives in a goroutine of its
// own, because a single message can set off minutes of computing, during which the ceremony must go
// on answering.
type instance struct {
	protocol  *protocol
	known     *known
	admission *admission // of an ECDSA keygen
	proofs    *proofs    // before an ECDSA signature, when the parameters are not trusted
	parties   tsslib.SortedPartyIDs
	party     party
	out       <-chan tsslib.Message
	end       func() (any, bool) // the result, once there is one

	random io.Reader

	deliveries chan delivery
	held       []delivery       // that need what is not here yet
	shares     []tsslib.Message // for each of the others, until all are here
	result     any              // tss-lib's; it counts when nobody complains of a share
}

// A party computes what a member says next from what it has heard. It is tss-lib's, or a
// [resharing].
type party interface {
	Start() *tsslib.Error
	Update(m tsslib.ParsedMessage) (ok bool, err *tsslib.Error)
}

// delivery is a message for the party: one of every other member for each step, and no more.
type delivery struct {
	slot    slot
	payload []byte
}

// outcome is what came of a delivery, or of the start.
type outcome struct {
	instance uint8
	messages []outgoing
	result   any
	done     bool
	faults   []fault
	err      error // that nobody can be named for

	complainers []complainer // who does not go on
}

type outgoing struct {
	step    uint8
	to      int // of a direct message
	payload []byte
}

// newOut returns a channel that takes everything a party ever sends, so that it never waits.
func newOut(members int) chan tsslib.Message {
	return make(chan tsslib.Message, 16+4*members)
}

// endOf makes the end function of an instance from tss-lib's end channel.
func endOf[T any](end <-chan T) func() (any, bool) {
	return func() (any, bool) {
		select {
		case v := <-end:
			return v, true
		default:
			return nil, false
		}
	}
}

// run works until its deliveries are closed. It gives one outcome for the start and one for each
// delivery, until the first that is an error or the end.
func (in *instance) run(number uint8, outcomes chan<- outcome, quit <-chan struct{}) {
	send := func(o outcome) bool {
		o.instance = number
		select {
		case outcomes <- o:
			return o.err == nil && !o.done
		case <-quit:
			return false
		}
	}
	if !send(in.start()) {
		return
	}
	for {
		select {
		case d := <-in.deliveries:
			if !send(in.handle(d)) {
				return
			}
		case <-quit:
			return
		}
	}
}

func (in *instance) start() outcome {
	if in.proofs != nil {
		return in.proveModuli()
	}
	o := in.after(in.guarded(func() *tsslib.Error { return in.party.Start() }))
	if in.admission != nil && o.err == nil {
		return in.commit(o.messages)
	}
	return o
}

// handle takes in a message, and those that waited for it. What is wrong with one of them does not
// keep it from looking at the others: in a keygen everybody has to find the same.
func (in *instance) handle(d delivery) (all outcome) {
	in.held = append(in.held, d)
	for {
		i := slices.IndexFunc(in.held, func(d delivery) bool {
			return in.known.has(&in.protocol.steps[d.slot.step], int(d.slot.author))
		})
		if i < 0 {
			return all
		}
		next := in.held[i]
		in.held = slices.Delete(in.held, i, i+1)
		o := in.accept(next)
		for j := range o.faults {
			if o.faults[j].round == 0 {
				o.faults[j].round = in.protocol.steps[next.slot.step].round
			}
		}
		o.messages = append(all.messages, o.messages...)
		o.faults = append(all.faults, o.faults...)
		o.complainers = append(all.complainers, o.complainers...)
		if all = o; o.err != nil || o.done {
			return all
		}
	}
}

func (in *instance) accept(d delivery) outcome {
	author := int(d.slot.author)
	content, msg, err := in.protocol.parse(in.known, d.slot.step, in.parties[author], d.payload)
	if err != nil {
		s := &in.protocol.steps[d.slot.step]
		err = fmt.Errorf("%s of the %s is no good: %w", s.name(), in.protocol.name, err)
		if errors.Is(err, errNobody) {
			return outcome{err: err}
		}
		return outcome{faults: []fault{{members: []int{author}, reason: err.Error()}}}
	}
	in.known.sent[d.slot.step][author] = content
	if in.admission != nil && d.slot.step <= keygenProof {
		return in.admit(d.slot.step, msg)
	}
	if in.proofs != nil && d.slot.step >= keysignModuli {
		return in.afterProofs(d.slot.step)
	}
	if in.protocol.deals() {
		switch d.slot.step {
		case in.protocol.shares:
			return in.takeShare(author)
		case in.protocol.receipt:
			return in.takeReceipt(author, content)
		}
	}
	return in.received(in.update(msg))
}

// takeShare opens this member's share of an author's list. One that is wrong is complained of.
func (in *instance) takeShare(author int) outcome {
	k := in.known
	if !k.gets(k.self) {
		return outcome{}
	}
	msg, err := k.openShare(k.keys.with(author), author, k.self)
	if err != nil {
		return in.received(outcome{})
	}
	k.sharesRight[author] = true
	return in.received(in.update(msg))
}

// received gives the receipt when all shares, and what they are checked against, are here.
func (in *instance) received(o outcome) outcome {
	k, p := in.known, in.protocol
	if o.err != nil || !p.deals() || !k.gets(k.self) || k.sent[p.receipt][k.self] != nil ||
		!k.complete(p.shares) || !k.complete(p.opening) {
		return o
	}
	receipt, faults, err := k.receipt(in.random)
	if err != nil {
		return outcome{err: err}
	}
	o.messages = append(o.messages, receipt)
	return in.finish(in.complaint(o, k.self, faults))
}

// complaint adds what came of a member's complaint to an outcome.
func (in *instance) complaint(o outcome, by int, faults []fault) outcome {
	round := in.protocol.steps[in.protocol.receipt].round
	for _, f := range faults {
		f.round = round
		o.faults = append(o.faults, f)
	}
	if len(faults) > 0 {
		o.complainers = append(o.complainers, complainer{round, by})
	}
	return o
}

// takeReceipt judges what a member complains of.
func (in *instance) takeReceipt(author int, content proto.Message) outcome {
	faults := in.known.judge(author, content.(*wrapperspb.BytesValue).Value)
	return in.finish(in.complaint(outcome{}, author, faults))
}

// finish adds the result once tss-lib has it and, in a keygen, all members have their shares.
func (in *instance) finish(o outcome) outcome {
	if r, ok := in.end(); ok {
		in.result = r
	}
	if err, ok := in.result.(error); ok {
		o.err = fmt.Errorf("%s: %w", in.protocol.name, err)
	}
	k, p := in.known, in.protocol
	if o.err == nil && len(o.faults) == 0 && in.result != nil &&
		(!p.deals() || k.complete(p.receipt) && in.undisputed()) {
		o.result, o.done = in.result, true
	}
	return o
}

func (in *instance) undisputed() bool {
	return !slices.ContainsFunc(in.known.sent[in.protocol.receipt], func(m proto.Message) bool {
		return m != nil && len(m.(*wrapperspb.BytesValue).Value) > 0
	})
}

func (in *instance) update(msgs ...tsslib.ParsedMessage) outcome {
	return in.after(in.guarded(func() *tsslib.Error {
		for _, msg := range msgs {
			if _, err := in.party.Update(msg); err != nil {
				return err
			}
		}
		return nil
	}))
}

// guarded calls tss-lib. A panic becomes an error without a culprit: the message that set it off
// need not be the one that caused it, as a round computes with the messages of all.
func (in *instance) guarded(call func() *tsslib.Error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("tss-lib panicked: %v", r)
		}
	}()
	if err := call(); err != nil {
		return err
	}
	return nil
}

// after collects what a call into tss-lib led to.
func (in *instance) after(err error) (o outcome) {
	if err != nil {
		return in.failed(err)
	}
	for {
		select {
		case m := <-in.out:
			out, err := in.encode(m)
			if err != nil {
				return outcome{err: err}
			}
			if out != nil {
				o.messages = append(o.messages, *out)
			}
		default:
			return in.finish(o)
		}
	}
}

func (in *instance) failed(err error) outcome {
	var e *tsslib.Error
	if !errors.As(err, &e) {
		return outcome{err: fmt.Errorf("%s: %w", in.protocol.name, err)}
	}
	f := fault{reason: fmt.Sprintf("%s, round %d: %v", in.protocol.name, e.Round(), e.Cause())}
	for _, c := range e.Culprits() {
		if c.Index != in.known.self {
			f.members = append(f.members, c.Index)
		}
	}
	if len(f.members) == 0 {
		return outcome{err: errors.New(f.reason)}
	}
	return outcome{faults: []fault{f}}
}

// encode turns what tss-lib wants sent into what is sent: nothing, while shares gather.
func (in *instance) encode(m tsslib.Message) (*outgoing, error) {
	switch m.(tsslib.ParsedMessage).Content().(type) {
	case *eckeygen.KGRound2Message1, *edkeygen.KGRound2Message1:
		in.shares = append(in.shares, m)
		if len(in.shares) < in.known.others() {
			return nil, nil
		}
		out, err := in.known.sealShares(in.shares)
		in.shares = nil
		return &out, err
	}
	number, ok := in.protocol.stepOf(m.Type())
	if !ok || in.protocol.steps[number].broadcast != m.IsBroadcast() {
		return nil, fmt.Errorf("%s: unexpected message %s", in.protocol.name, m.Type())
	}
	payload, routing, err := m.WireBytes()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.protocol.name, err)
	}
	out := &outgoing{step: number, payload: payload}
	if m.IsBroadcast() {
		in.known.sent[number][in.known.self] = m.(tsslib.ParsedMessage).Content()
		return out, nil
	}
	if len(routing.To) != 1 || routing.To[0].Index == in.known.self {
		return nil, fmt.Errorf("%s: message %s is for nobody", in.protocol.name, m.Type())
	}
	out.to = routing.To[0].Index
	return out, nil
}
