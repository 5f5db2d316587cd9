package tss

import (
	"errors"
	"fmt"
	"slices"

	tsslib "github.com/bnb-chain/tss-lib/v2/tss"
)

// An instance is one run of one protocol within a ceremony. Its party lives in a goroutine of its
// own, because a single message can set off minutes of computing, during which the ceremony must go
// on answering.
type instance struct {
	protocol  *protocol
	known     *known
	admission *admission // of an ECDSA keygen
	parties   tsslib.SortedPartyIDs
	party     tsslib.Party
	out       <-chan tsslib.Message
	end       func() (any, bool) // the result, once there is one

	deliveries chan delivery
	held       []delivery // that need what is not here yet
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
	err      error
	blame    []int
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
	o := in.after(in.guarded(func() *tsslib.Error { return in.party.Start() }))
	if in.admission != nil && o.err == nil {
		return in.commit(o.messages)
	}
	return o
}

// handle takes in a message, and those that waited for it.
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
		o.messages = append(all.messages, o.messages...)
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
		o := outcome{
			err: fmt.Errorf("%s of the %s is no good: %w", s.name(), in.protocol.name, err),
		}
		if !errors.Is(err, errNobody) {
			o.blame = []int{author}
		}
		return o
	}
	in.known.sent[d.slot.step][author] = content
	if in.admission != nil && d.slot.step <= keygenProof {
		return in.admit(d.slot.step, msg)
	}
	return in.update(msg)
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
		o.err = fmt.Errorf("%s: %w", in.protocol.name, err)
		var e *tsslib.Error
		if errors.As(err, &e) {
			o.err = fmt.Errorf("%s, round %d: %w", in.protocol.name, e.Round(), e.Cause())
			for _, c := range e.Culprits() {
				o.blame = append(o.blame, c.Index)
			}
		}
		return o
	}
	for {
		select {
		case m := <-in.out:
			out, err := in.encode(m)
			if err != nil {
				return outcome{err: err}
			}
			if in.protocol.steps[out.step].broadcast {
				in.known.sent[out.step][in.known.self] = m.(tsslib.ParsedMessage).Content()
			}
			o.messages = append(o.messages, out)
		default:
			o.result, o.done = in.end()
			return o
		}
	}
}

func (in *instance) encode(m tsslib.Message) (outgoing, error) {
	number, ok := in.protocol.stepOf(m.Type())
	if !ok || in.protocol.steps[number].broadcast != m.IsBroadcast() {
		return outgoing{}, fmt.Errorf("%s: unexpected message %s", in.protocol.name, m.Type())
	}
	payload, routing, err := m.WireBytes()
	if err != nil {
		return outgoing{}, fmt.Errorf("%s: %w", in.protocol.name, err)
	}
	out := outgoing{step: number, payload: payload}
	if !m.IsBroadcast() {
		if len(routing.To) != 1 {
			return outgoing{}, fmt.Errorf(
				"%s: message %s has %d receivers",
				in.protocol.name,
				m.Type(),
				len(routing.To),
			)
		}
		out.to = routing.To[0].Index
	}
	return out, nil
}
