package tss

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 2 * time.Second

	// writeTimeout bounds how long a peer may leave a frame unread before the stream is given up
	// and opened anew.
	writeTimeout = 30 * time.Second
	// closeTimeout bounds how long a finished ceremony waits for what it still has to say to
	// arrive.
	closeTimeout = 2 * time.Second
)

// A link takes what one member has to say in a ceremony to one other member. It keeps every frame,
// and when a connection breaks it dials again and says everything from the beginning: what the
// other side has heard already, it passes over. So a connection may be lost at any time, and the
// two need not start at the same time.
type link struct {
	open   func(context.Context) (network.Stream, error)
	mangle func([]byte) []byte // of tests: changes a frame, or drops it by giving nil

	mu      sync.Mutex
	frames  [][]byte
	trouble error // why it was not opened the last time

	wake    chan struct{}
	closing chan struct{}
	cancel  context.CancelFunc
	done    chan struct{}
}

func newLink(open func(context.Context) (network.Stream, error)) *link {
	return &link{
		open:    open,
		wake:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
}

func (l *link) send(b []byte) {
	if l.mangle != nil {
		if b = l.mangle(b); b == nil {
			return
		}
	}
	l.mu.Lock()
	l.frames = append(l.frames, b)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// unopened is why the last attempt to reach the member failed, nil if it did not.
func (l *link) unopened() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trouble
}

func (l *link) start() {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	go func() {
		defer close(l.done)
		l.run(ctx)
	}()
}

// close lets the link end once everything is said, or soon.
func (l *link) close() {
	close(l.closing)
	timer := time.AfterFunc(closeTimeout, l.cancel)
	<-l.done
	timer.Stop()
	l.cancel()
}

func (l *link) run(ctx context.Context) {
	// What is not connected by the time of closing will not be.
	dial, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-l.closing:
			stop()
		case <-dial.Done():
		}
	}()
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		st, err := l.open(dial)
		l.mu.Lock()
		l.trouble = err
		l.mu.Unlock()
		if err == nil {
			began := time.Now()
			if l.write(ctx, st) {
				return
			}
			if time.Since(began) > maxBackoff {
				backoff = minBackoff
			}
		}
		select {
		case <-time.After(backoff):
		case <-dial.Done():
			return
		}
	}
}

// write says everything over one stream. It reports whether there is nothing more to do.
func (l *link) write(ctx context.Context, st network.Stream) bool {
	defer func() { _ = st.Reset() }()
	defer context.AfterFunc(ctx, func() { _ = st.Reset() })()
	// The other side never writes; reading tells when it has gone, or has read everything.
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, io.LimitReader(st, 1))
	}()
	defer func() {
		_ = st.Reset()
		<-gone
	}()

	for said := 0; ; {
		l.mu.Lock()
		pending := l.frames[said:]
		l.mu.Unlock()
		for _, b := range pending {
			_ = st.SetWriteDeadline(time.Now().Add(writeTimeout))
			if err := writeFrame(st, b); err != nil {
				return ctx.Err() != nil
			}
			said++
		}
		if len(pending) > 0 {
			continue
		}
		select {
		case <-l.wake:
		case <-gone:
			return false
		case <-l.closing:
			l.mu.Lock()
			all := said == len(l.frames)
			l.mu.Unlock()
			if all {
				_ = st.CloseWrite()
				select {
				case <-gone:
				case <-ctx.Done():
				}
				return true
			}
		}
	}
}
