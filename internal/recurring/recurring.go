// Package recurring runs a job in a process that lives on: when it starts, whenever somebody asks,
// in every period, and sooner after it failed.
package recurring

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// patientRetries is how many times as long as the first a later retry waits at most while somebody
// waits for the job.
const patientRetries = 8

// A Job is what is done again and again, one at a time. It may hang, as work on the folder of a
// server that is gone does: that holds up nobody but who waits for it.
type Job struct {
	do                      func(context.Context) error
	period, retry, maxRetry time.Duration

	wake chan struct{}
	// busy is held while the job is done.
	busy chan struct{}

	mu      sync.Mutex
	waiting []chan struct{}
}

// New does nothing yet. Period is the time from one success to the next try, and retry the time
// after which a job that failed is tried again, the first time; later ones wait for longer, up to
// maxRetry, and none for exactly as long as those of other processes.
func New(
	period, retry, maxRetry time.Duration, do func(context.Context) error,
) *Job {
	return &Job{
		do: do, period: period, retry: retry, maxRetry: maxRetry,
		wake: make(chan struct{}, 1), busy: make(chan struct{}, 1),
	}
}

// Wake has the job done soon, and waits for nothing.
func (j *Job) Wake() {
	select {
	case j.wake <- struct{}{}:
	default: // it will be done anyway
	}
}

// Wait returns once the job, begun after the call, was done without an error, or the context has
// ended with its error.
func (j *Job) Wait(ctx context.Context) error {
	done := make(chan struct{})
	j.mu.Lock()
	j.waiting = append(j.waiting, done)
	j.mu.Unlock()
	j.Wake()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		j.mu.Lock()
		defer j.mu.Unlock()
		j.waiting = slices.DeleteFunc(j.waiting, func(w chan struct{}) bool { return w == done })
		return ctx.Err()
	}
}

// Waiting is how many wait for the job.
func (j *Job) Waiting() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.waiting)
}

// Run does the job until the context ends.
func (j *Job) Run(ctx context.Context) {
	wait, failures := time.Duration(0), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.wake:
		case <-time.After(wait):
		}
		if j.Once(ctx) == nil {
			wait, failures = j.period, 0
			continue
		}
		wait = min(j.retry<<min(failures, 10), j.maxRetry)
		if j.Waiting() > 0 {
			wait = min(wait, patientRetries*j.retry)
		}
		wait -= rand.N(wait/2 + 1)
		failures++
	}
}

// Once does the job. It returns when the context ends, whether the job does or not.
func (j *Job) Once(ctx context.Context) error {
	select {
	case j.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	j.mu.Lock()
	waiting := j.waiting
	j.waiting = nil
	j.mu.Unlock()
	done := make(chan error, 1)
	go func() {
		err := j.do(ctx)
		j.tell(waiting, err)
		<-j.busy
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tell lets those go on who wait for a job that was done.
func (j *Job) tell(waiting []chan struct{}, err error) {
	if err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.waiting = append(j.waiting, waiting...)
		return
	}
	for _, done := range waiting {
		close(done)
	}
}

// Finish does the job once more if it was asked for since, when nothing runs it any more.
func (j *Job) Finish(ctx context.Context) {
	select {
	case <-j.wake:
		_ = j.Once(ctx)
	default:
	}
}

// End keeps the job from being done any more, and reports whether it is not being done now.
func (j *Job) End() bool {
	select {
	case j.busy <- struct{}{}:
		return true
	default:
		return false
	}
}
