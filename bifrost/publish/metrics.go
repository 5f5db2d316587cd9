package publish

import (
	"time"
)

// Metrics is told how the loop goes.
type Metrics interface {
	// Polled is told of each look at the chain: the status after it, and its error.
	Polled(Status, error)
	// Ceremony is told of each keygen and keysign. The error of one that members are blamed for
	// wraps a ceremony.BlameError.
	Ceremony(kind string, took time.Duration, err error)
	// Sealed is told of each envelope, and Proved of each proof.
	Sealed(took time.Duration)
	SealFailed()
	Proved(took time.Duration)
	ProveFailed()
	// NotBackedUp is told of each vote that did not wait for its backup any longer.
	NotBackedUp()
	// Sent is told what the node made of a transaction: accepted, sequence, refused.
	Sent(outcome string)
	// Delivered is told what stands in state by now: result, blame, backup.
	Delivered(kind string)
	// Missed is told of each keygen that closed without this member's vote.
	Missed()
}

// uncounted is told in vain.
type uncounted struct{}

func (uncounted) Polled(Status, error)                  {}
func (uncounted) Ceremony(string, time.Duration, error) {}
func (uncounted) Sealed(time.Duration)                  {}
func (uncounted) SealFailed()                           {}
func (uncounted) Proved(time.Duration)                  {}
func (uncounted) ProveFailed()                          {}
func (uncounted) NotBackedUp()                          {}
func (uncounted) Sent(string)                           {}
func (uncounted) Delivered(string)                      {}
func (uncounted) Missed()                               {}
