package chain

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	cmttypes "github.com/cometbft/cometbft/types"
)

// HaltedError is the [ErrExpired] of a chain that stands still for longer than the trusting period,
// as all nodes say that answer: it has no header that is recent enough to be given.
type HaltedError struct {
	// Height, Hash and Time are those of the last block.
	Height int64
	Hash   []byte
	Time   time.Time
	// Period is a trusting period by which the header in question is trusted, for a day from now.
	Period time.Duration

	err error
}

func (e *HaltedError) Error() string {
	return fmt.Sprintf("%v; the chain stands still: its last block is %d of %s, hash %X, and no node is catching up",
		e.err, e.Height, e.Time.UTC().Format(time.RFC3339), e.Hash)
}

func (e *HaltedError) Unwrap() error { return e.err }

// standstill returns the last block of a chain that stands still, or nil: it is old, no node is
// behind it by more than the block that a node may lack when a chain halts, and none says that it
// is catching up.
func standstill(statuses []Status, now time.Time) *FirstHeader {
	var last *FirstHeader
	for _, s := range statuses {
		if s.CatchingUp || now.Sub(s.Time) <= maxAge {
			return nil
		}
		if last == nil || s.Height > last.Height {
			last = &FirstHeader{Height: s.Height, Hash: s.Hash, Time: s.Time}
		}
	}
	for _, s := range statuses {
		if last.Height-s.Height > 1 || s.Height == last.Height && !bytes.Equal(s.Hash, last.Hash) {
			return nil
		}
	}
	return last
}

// anchor verifies a header that is to be trusted without a way from an earlier one.
func (l *Light) anchor(block *cmttypes.LightBlock, hash []byte, now time.Time) error {
	err := VerifyAnchor(block, l.trust.ChainID, hash, l.trust.Period, now)
	return l.expired(err, block.Time, now)
}

// expired adds to an [ErrExpired] about a header of this time that the chain stands still, when
// that is why.
func (l *Light) expired(err error, at, now time.Time) error {
	if !errors.Is(err, ErrExpired) || l.last == nil || now.Sub(l.last.Time) < l.trust.Period {
		return err
	}
	return &HaltedError{
		Height: l.last.Height,
		Hash:   l.last.Hash,
		Time:   l.last.Time,
		Period: now.Sub(at).Truncate(time.Hour) + 25*time.Hour,
		err:    err,
	}
}
