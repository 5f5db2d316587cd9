package tss

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// join brings all members to one session: each says hello, and when it has heard everybody's,
// start.
func (s *session) join(ctx context.Context) error {
	hello := s.newHello()
	s.hellos[s.self] = hello
	s.sendAll(&frame{kind: frameHello, hello: *hello})
	if s.session != nil { // all have joined
		s.sendAll(&frame{kind: frameStart, session: s.id})
		return nil
	}
	deadline := time.NewTimer(s.joinTimeout)
	defer deadline.Stop()
	for {
		if id, ok := s.sessionID(); ok && id != s.id {
			s.id, s.starts[s.self] = id, id
			s.sendAll(&frame{kind: frameStart, session: id})
		}
		if s.id != (hash{}) &&
			!slices.ContainsFunc(s.starts, func(start hash) bool { return start != s.id }) {
			return nil
		}
		select {
		case in := <-s.inbox:
			s.handleEarly(in)
		case <-deadline.C:
			return s.absent()
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return s.absent()
			}
			return context.Cause(ctx)
		}
	}
}

// newHello makes this member's, with the session key.
func (s *session) newHello() *hello {
	h := &hello{id: s.name, term: s.term, digest: s.digest}
	_, _ = rand.Read(h.nonce[:]) // never fails
	copy(h.key[:], s.sessionKey.PubKey().SerializeCompressed())
	h.possession = sign(s.sessionKey, h.possessionDigest(s.members[s.self]))
	h.sig = s.sign(h.helloDigest())
	return h
}

// checkHello returns the session key of a hello that its member signed with both of its keys.
func (s *session) checkHello(h *hello, from int) (*secp256k1.PublicKey, bool) {
	key, err := secp256k1.ParsePubKey(h.key[:])
	if err != nil || !s.signed(from, h.helloDigest(), h.sig) {
		return nil, false
	}
	digest := h.possessionDigest(s.members[from])
	return key, verify(key, digest[:], h.possession[:])
}

// sessionID binds everything that follows to this attempt at the ceremony: a member that starts
// anew has another nonce and another key.
func (s *session) sessionID() (id hash, ok bool) {
	h := sha256.New()
	h.Write([]byte("tssbackup/tss/session/v2"))
	h.Write(s.digest[:])
	for _, hello := range s.hellos {
		if hello == nil || hello.digest != s.digest {
			return hash{}, false
		}
		h.Write(hello.nonce[:])
		h.Write(hello.key[:])
	}
	h.Sum(id[:0])
	return id, true
}

func (s *session) handleEarly(in inbound) {
	f, from := in.frame, in.from
	switch f.kind {
	case frameHello:
		key, ok := s.checkHello(&f.hello, from)
		if !ok {
			return
		}
		old := s.hellos[from]
		if old != nil && old.nonce != f.hello.nonce {
			s.restarted[from] = s.restarted[from] || s.id != (hash{})
			s.starts[from] = hash{}
		}
		s.hellos[from], s.keys.all[from] = &f.hello, key
		s.early[from], s.earlySize[from] = nil, 0 // said again on the new stream
		if old == nil {
			s.log.Debug().Str("member", s.short(from)).Msg("member joined")
		}
	case frameStart:
		s.starts[from] = f.session
	default:
		if s.earlySize[from] += in.size; s.earlySize[from] <= maxEarly {
			s.early[from] = append(s.early[from], in)
		}
	}
}

// absent is the end of a join that not everybody came to.
func (s *session) absent() error {
	var missing, others, restarted, unstarted []int
	for i, hello := range s.hellos {
		switch {
		case hello == nil:
			missing = append(missing, i)
			s.log.Warn().Str("member", s.short(i)).AnErr("dialing", s.links[i].unopened()).
				Msg("nothing was heard of a member")
		case hello.digest != s.digest:
			others = append(others, i)
		case s.restarted[i]:
			restarted = append(restarted, i)
		case s.starts[i] != s.id:
			unstarted = append(unstarted, i)
		}
	}
	switch {
	case len(missing)+len(others) > 0:
		f := &failure{members: append(slices.Clone(missing), others...)}
		if len(missing) > 0 {
			f.reason = "did not join: " + s.list(missing)
		}
		if len(others) > 0 {
			if f.reason != "" {
				f.reason += "; "
			}
			f.reason += "joined with another member list, threshold or message, " +
				"or another trust in parameters: " + s.list(others)
		}
		return f
	case len(restarted) > 0:
		return &failure{
			members: restarted,
			reason:  "restarted while the others were starting: " + s.list(restarted),
		}
	default:
		return &failure{
			members: unstarted,
			reason:  "joined but did not start: " + s.list(unstarted),
		}
	}
}
