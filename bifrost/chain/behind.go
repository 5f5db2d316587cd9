package chain

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
)

const (
	// blockTime is about that of a chain, and how long is waited for a block at first.
	blockTime = time.Second
	// maxBehindWaits is how often a block is waited for, each time twice as long.
	maxBehindWaits = 3
	// maxBehind is by how many blocks the nodes behind one name may differ. What is further away
	// will not be there in a moment.
	maxBehind = 5
)

// behindError is the [ErrNoBlock] of a height that is yet to come.
type behindError struct {
	// asked is the height, and reached that of the node, both 0 when it does not say.
	asked, reached int64
	text           string
}

func (e *behindError) Error() string {
	return fmt.Sprintf("%v: the node has not reached it: %s", ErrNoBlock, e.text)
}

func (e *behindError) Is(target error) bool { return target == ErrNoBlock }

var behindText = regexp.MustCompile(
	`height (\d+) must be less than or equal to the current blockchain height (\d+)`)

// asBehind returns the error of a text by which CometBFT says that a height is yet to come, or nil.
func asBehind(text string) *behindError {
	parts := behindText.FindStringSubmatch(text)
	if parts == nil {
		return nil
	}
	e := &behindError{text: printable(text)}
	var err error
	if e.asked, err = strconv.ParseInt(parts[1], 10, 64); err != nil {
		return e
	}
	if e.reached, err = strconv.ParseInt(parts[2], 10, 64); err != nil {
		e.asked = 0
	}
	return e
}

// asBehindState is the same of an application, which does not say how far it is.
func asBehindState(err *RefusedError) *behindError {
	if errors.Is(err, sdkerrors.ErrInvalidHeight) {
		return &behindError{text: err.Log}
	}
	return nil
}

// await asks, and again after a block's time while the node is a few blocks short of what is asked
// for: the nodes behind one name differ by so much. A node that was waited for in vain is not
// waited for again before it has caught up.
func (c *Client) await(ctx context.Context, ask func() error) error {
	for tried := 0; ; tried++ {
		err := ask()
		var behind *behindError
		if !errors.As(err, &behind) {
			if err == nil {
				c.behind.Store(false)
			}
			return err
		}
		if behind.asked-behind.reached > maxBehind || c.behind.Load() {
			return err
		}
		if tried == maxBehindWaits {
			c.behind.Store(true)
			return err
		}
		wait := blockTime << tried
		left := blockTime<<maxBehindWaits - 2*wait
		if err := c.transport.pause(
			ctx,
			Retry{Node: c.Name(), Err: err, Wait: wait, Left: left},
		); err != nil {
			return err
		}
	}
}
