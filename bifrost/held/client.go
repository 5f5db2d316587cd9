package held

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// defaultStagger is how long a member has to give an envelope before another is asked beside it.
const defaultStagger = 5 * time.Second

// A Client asks members for envelopes, and brings them its own.
type Client struct {
	// Open opens a stream of [Protocol] to the member with a compressed public key, who has proved
	// that it has the key.
	Open func(ctx context.Context, pubKey []byte) (Stream, error)
	// Passed is told of each member that was passed over, and why; nil is allowed. It may be called
	// by several goroutines at a time.
	Passed func(pubKey []byte, err error)
	// Known, if there is one, says who is asked first.
	Known func(pubKey []byte) bool

	stagger time.Duration // of tests
}

// ErrNobody means that no member that was asked gave the envelope.
var ErrNobody = errors.New("no member gave the envelope")

// ErrOther means that a member gave other bytes than those that it was asked for.
var ErrOther = errors.New("it gave OTHER BYTES than the envelope with this hash")

// Get asks the members with these compressed public keys for the envelope with a SHA-256, one after
// the other until one gives it. Who takes long, and does not say why, is not waited for: the next
// one is asked beside it.
func (c *Client) Get(ctx context.Context, members [][]byte, sum []byte) ([]byte, error) {
	if len(members) == 0 {
		return nil, fmt.Errorf("%w %x: there is none to ask", ErrNobody, sum)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		member, envelope []byte
		err              error
	}
	outcomes := make(chan outcome, len(members))
	next, asked := 0, 0
	ask := func() {
		member := members[next]
		next++
		asked++
		go func() {
			envelope, err := c.get(ctx, member, sum)
			outcomes <- outcome{member, envelope, err}
		}()
	}
	ask()
	var last error
	for asked > 0 {
		var patience <-chan time.Time
		if next < len(members) {
			patience = time.After(cmp.Or(c.stagger, defaultStagger))
		}
		select {
		case o := <-outcomes:
			asked--
			if o.err == nil {
				return o.envelope, nil
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			c.passed(o.member, o.err)
			last = o.err
			if next < len(members) {
				ask()
			}
		case <-patience:
			ask()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, fmt.Errorf("%w %x; of the last of %d: %w", ErrNobody, sum, len(members), last)
}

// Source returns a restore.Source that asks the members of a vault but the one with this compressed
// public key.
func (c *Client) Source(pubKey []byte) func(
	ctx context.Context, v vault.Vault, member []byte, commitment types.Commitment,
) ([]byte, error) {
	return func(
		ctx context.Context, v vault.Vault, _ []byte, commitment types.Commitment,
	) ([]byte, error) {
		members := slices.DeleteFunc(v.MemberKeys(), func(m []byte) bool {
			return bytes.Equal(m, pubKey)
		})
		if c.Known != nil {
			slices.SortStableFunc(members, func(a, b []byte) int {
				switch known := c.Known(a); {
				case known == c.Known(b):
					return 0
				case known:
					return -1
				}
				return 1
			})
		}
		return c.Get(ctx, members, commitment.Sha256)
	}
}

func (c *Client) get(ctx context.Context, member, sum []byte) ([]byte, error) {
	envelope, err := c.request(ctx, member, request{sum: sum})
	if err != nil {
		return nil, err
	}
	if got := sha256.Sum256(envelope); !bytes.Equal(got[:], sum) {
		return nil, ErrOther
	}
	return envelope, nil
}

// Put brings a member the own envelope of an epoch, and returns the member's receipt. The caller
// verifies it.
func (c *Client) Put(
	ctx context.Context, member []byte, epoch uint64, envelope []byte,
) ([]byte, error) {
	receipt, err := c.request(ctx, member, request{epoch: epoch, envelope: envelope})
	if err == nil && len(receipt) != signatureSize {
		err = fmt.Errorf("a receipt of %d bytes", len(receipt))
	}
	return receipt, err
}

func (c *Client) request(ctx context.Context, member []byte, r request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	st, err := c.Open(ctx, member)
	if err != nil {
		return nil, err
	}
	defer func() { _ = st.Reset() }()
	defer context.AfterFunc(ctx, func() { _ = st.Reset() })()
	deadline, _ := ctx.Deadline()
	_ = st.SetDeadline(deadline)
	said := say(st, r.encode())
	// Who refuses need not have heard all of it.
	answer, err := readAll(st, maxAnswer)
	if err != nil {
		return nil, errors.Join(said, err)
	}
	return decodeAnswer(answer)
}

func (c *Client) passed(member []byte, err error) {
	if c.Passed != nil {
		c.Passed(member, err)
	}
}
