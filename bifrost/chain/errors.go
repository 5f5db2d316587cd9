package chain

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	errorsmod "cosmossdk.io/errors"
	jsonrpc "github.com/cometbft/cometbft/rpc/jsonrpc/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
)

var (
	// ErrUnreachable means that the node gave no usable answer: it cannot be reached, timed out,
	// answered too much or something that is not an answer, or cannot serve at the moment. The same
	// request may succeed later, or at another node.
	ErrUnreachable = errors.New("node unreachable")
	// ErrNotFound means that the node answered, and what was asked for is not there.
	ErrNotFound = errors.New("not found")
	// ErrNoBlock means that the node does not hold the block: it pruned it, never had it, or has
	// not reached it.
	ErrNoBlock = errors.New("block not available at this node")
	// ErrNoEnvelope means that the block which should carry an envelope, as the node shows it, does
	// not.
	ErrNoEnvelope = errors.New("envelope is not in its block")
	// ErrHeld means that the members of the vault hold the envelope: no node has it.
	ErrHeld = errors.New("the members of the vault hold the envelope, and no node has it")
)

// RefusedError is the application's refusal of a query or a transaction, or CometBFT's when
// Codespace is empty. It matches the registered error of its codespace and code, as
// sdkerrors.ErrWrongSequence, and [ErrNotFound] where its code says so.
type RefusedError struct {
	Codespace string
	Code      uint32
	Log       string
}

func (e *RefusedError) Error() string {
	if e.Codespace == "" && e.Code == 0 {
		return fmt.Sprintf("node refused: %s", e.Log)
	}
	return fmt.Sprintf("refused with code %d of %q: %s", e.Code, e.Codespace, e.Log)
}

// Is reports whether the code stands for the target.
func (e *RefusedError) Is(target error) bool {
	if target == ErrNotFound {
		target = sdkerrors.ErrKeyNotFound
	}
	registered, ok := target.(*errorsmod.Error)
	return ok && registered.Codespace() == e.Codespace && registered.ABCICode() == e.Code
}

func refused(codespace string, code uint32, log string) error {
	return &RefusedError{Codespace: codespace, Code: code, Log: printable(log)}
}

// classify names the kind of an error of the RPC client. CometBFT has no codes for its own errors,
// so its texts are what there is to go by.
func (c *Client) classify(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	var rpc *jsonrpc.RPCError
	if !errors.As(err, &rpc) {
		// The address is said by whoever asked, and without what is secret in it.
		if of := (*url.Error)(nil); errors.As(err, &of) {
			err = of.Err
		}
		return fmt.Errorf("%w: %w", ErrUnreachable, cleanError{err})
	}
	text := c.transport.scrub(rpc.Message + ": " + rpc.Data)
	if behind := asBehind(text); behind != nil {
		return behind
	}
	for _, known := range []struct {
		part string
		kind error
	}{
		{"tx already exists in cache", sdkerrors.ErrTxInMempoolCache},
		{"is not available, lowest height is", ErrNoBlock},
		{"could not find validator set for height", ErrNoBlock},
		{") not found", ErrNotFound},
		{"mempool is full", ErrUnreachable},
		{"rechecking after a new committed block", ErrUnreachable},
		{"catching up", ErrUnreachable},
		{"confirmation not received", ErrUnreachable},
		{"panicked", ErrUnreachable},
	} {
		if strings.Contains(text, known.part) {
			return fmt.Errorf("%w: %s", known.kind, printable(text))
		}
	}
	return refused("", 0, text)
}

// cleanError shows another error's text fit for a terminal.
type cleanError struct{ err error }

func (e cleanError) Error() string { return printable(e.err.Error()) }
func (e cleanError) Unwrap() error { return e.err }

// printable is what a node says, in one short line without control characters.
func printable(s string) string {
	const limit = 400
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}
