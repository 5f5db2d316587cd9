package tss

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"
)

// TestAnEarlierInstanceIsHeardNoMore has two instances of one member say hello: once the one of the
// later term has, the connections to the other are closed, and what it says in its term is not
// listened to.
func TestAnEarlierInstanceIsHeardNoMore(t *testing.T) {
	t.Parallel()
	members := newCluster(t, 4, nil)
	victim, earlier := members.nodes[0], members.nodes[1]
	cfg := members.configs[1]
	cfg.Key = members.keys[1]
	later := newNode(t, cfg)
	ctx, stop := context.WithCancelCause(t.Context())
	done := make(chan []error, 1)
	go func() { done <- members.keygenUntil(ctx, 0) }()
	require.Eventually(t, func() bool { return victim.gate.allows(earlier.host.ID()) }, 5*time.Second, time.Millisecond)

	// says opens a stream with a hello in a term. Of one that is listened to nothing comes back.
	says := func(n *Node, term uint64) network.Stream {
		n.gate.allow(members.peerIDs(), 1)
		for _, a := range victim.host.Addrs() {
			n.host.Peerstore().AddAddr(victim.host.ID(), a, time.Hour)
		}
		st, err := n.open(t.Context(), victim.host.ID())
		require.NoError(t, err)
		require.NoError(t, writeFrame(st, (&frame{
			kind: frameHello, hello: hello{id: "keygen-1", term: term},
		}).encode()))
		return st
	}
	heard := func(st network.Stream, within time.Duration) bool {
		require.NoError(t, st.SetReadDeadline(time.Now().Add(within)))
		_, err := st.Read(make([]byte, 1))
		require.Error(t, err)
		var timeout net.Error
		return errors.As(err, &timeout) && timeout.Timeout()
	}
	first := says(earlier, 4)
	require.True(t, heard(first, 200*time.Millisecond))
	second := says(later, 5)
	require.False(t, heard(first, 5*time.Second), "the other instance is gone")
	require.False(t, heard(says(earlier, 4), 5*time.Second), "it comes back, and is not heard")
	require.True(t, heard(second, 200*time.Millisecond), "it never replaces the later one")
	require.True(t, heard(says(earlier, 6), 200*time.Millisecond), "when it is promoted, it is")
	stop(context.DeadlineExceeded)
	<-done
}
