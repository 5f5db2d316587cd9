package command

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// grace is how long an interrupted command may take to end by itself.
const grace = 200 * time.Millisecond

// interruption is what an invocation knows of one.
type interruption struct {
	// inOrder says that an interruption waits for the command to end by itself.
	inOrder atomic.Bool
	// writing is held while results are written.
	writing sync.Mutex
	// wrote says that some were, stopped that no more are.
	wrote, stopped bool
}

// signalled is why a context ended.
type signalled struct{ signal syscall.Signal }

func (s signalled) Error() string { return s.signal.String() }

// code is that which shells give to a process that a signal ended.
func (s signalled) code() int { return 128 + int(s.signal) }

// untilSignal returns a context that the first signal ends. The second one ends the process.
func (in *Invocation) untilSignal() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		next := func() (s signalled) {
			s.signal, _ = (<-signals).(syscall.Signal)
			return s
		}
		cancel(next())
		again := next()
		in.Terminal().Restore()
		os.Exit(again.code())
	}()
	return ctx
}

// execute runs the command until it ends or is interrupted.
func (in *Invocation) execute(ctx context.Context, cmd *cobra.Command) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				in.Terminal().Restore()
				panic(r)
			}
		}()
		done <- cmd.ExecuteContext(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	if in.inOrder.Load() {
		return <-done
	}
	select {
	case err := <-done:
		return err
	case <-time.After(grace):
	}
	// It computes something that takes long and cannot be stopped, such as scrypt.
	in.writing.Lock()
	defer in.writing.Unlock()
	in.stopped = true
	return ctx.Err()
}

// EndInOrder says that the command ends by itself when it is interrupted, and in its own time.
func (in *Invocation) EndInOrder() { in.inOrder.Store(true) }

// Write runs what writes results, which an interruption waits for. After one nothing is written any
// more: the error wraps [context.Canceled].
func (in *Invocation) Write(ctx context.Context, write func() error) error {
	in.writing.Lock()
	defer in.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if in.stopped {
		return context.Canceled
	}
	err := write()
	in.wrote = in.wrote || err == nil
	return err
}

// interrupted says how an interruption left things, and with which code the program ends.
func (in *Invocation) interrupted(ctx context.Context) (text string, code int) {
	code = CodeInterrupted
	if s := (signalled{}); errors.As(context.Cause(ctx), &s) {
		code = s.code()
	}
	in.writing.Lock()
	defer in.writing.Unlock()
	if in.wrote {
		return "interrupted: what was written before stays, and is whole", code
	}
	return "interrupted, nothing was written", code
}
