package recurring

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// work is a job that the test lets end as it likes.
type work struct {
	begun  chan struct{}
	answer chan error
}

func newWork() work { return work{make(chan struct{}, 10), make(chan error)} }

func (w work) do(context.Context) error {
	w.begun <- struct{}{}
	return <-w.answer
}

func TestWhoWaitsGetsAJobThatWasBegunAfterwards(t *testing.T) {
	w := newWork()
	j := New(time.Hour, time.Millisecond, time.Second, w.do)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { j.Run(ctx) })
	<-w.begun
	asked := make(chan error, 2)
	for range 2 {
		go func() { asked <- j.Wait(t.Context()) }()
	}
	require.Eventually(t, func() bool { return j.Waiting() == 2 }, time.Minute, time.Millisecond)
	w.answer <- nil
	<-w.begun
	require.Empty(t, asked, "that one was begun before")
	w.answer <- errors.New("no")
	<-w.begun
	require.Empty(t, asked)
	w.answer <- nil
	require.NoError(t, <-asked)
	require.NoError(t, <-asked)
	close(w.answer) // whoever asked may have waked it once more
	cancel()
	running.Wait()
	require.Eventually(t, j.End, time.Minute, time.Millisecond)
	require.ErrorIs(t, j.Once(ctx), context.Canceled, "it has ended")
}

func TestAJobThatHangsHoldsUpNobodyButWhoWaits(t *testing.T) {
	w := newWork()
	j := New(time.Hour, time.Millisecond, time.Second, w.do)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { j.Run(ctx) })
	<-w.begun
	waits, stop := context.WithCancel(t.Context())
	asked := make(chan error)
	go func() { asked <- j.Wait(waits) }()
	stop()
	require.ErrorIs(t, <-asked, context.Canceled)
	require.Zero(t, j.Waiting())
	cancel()
	running.Wait()
	require.False(t, j.End())
	w.answer <- nil
}
