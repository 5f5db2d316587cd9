package tss

import (
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"
)

// Who is admitted gets at another protocol, without a ceremony and whatever its term; nobody else
// does, and nobody gets at a ceremony by that.
func TestWhoIsAdmittedIsServedAnotherProtocol(t *testing.T) {
	const protocol = "/test/1"
	net := newCluster(t, 3, nil)
	server, friend, stranger := net.nodes[0], net.nodes[1], net.nodes[2]
	asked := make(chan []byte, 3)
	server.Handle(protocol, func(pubKey []byte, st network.Stream) {
		asked <- pubKey
		_, _ = st.Write([]byte("hello"))
	})
	ask := func(n *Node) (string, error) {
		st, err := n.Open(t.Context(), server.PubKey(), protocol)
		if err != nil {
			return "", err
		}
		defer func() { _ = st.Reset() }()
		_ = st.SetDeadline(time.Now().Add(time.Minute))
		b, err := io.ReadAll(st)
		return string(b), err
	}
	for _, n := range net.nodes[1:] {
		_, err := ask(n)
		require.Error(t, err, "it is not even dialled")
		require.NoError(t, n.Admit([][]byte{server.PubKey()}))
		_, err = ask(n)
		require.Error(t, err, "it is not let in")
	}
	require.Empty(t, asked)

	require.NoError(t, server.Admit([][]byte{friend.PubKey()}))
	server.terms[friend.host.ID()] = 7 // the friend has acted in a term; this node of it has none
	got, err := ask(friend)
	require.NoError(t, err)
	require.Equal(t, "hello", got)
	require.Equal(t, friend.PubKey(), <-asked)
	_, err = ask(stranger)
	require.Error(t, err)

	// No admission outlives the next one.
	require.Equal(t, 1, server.Connected())
	require.NoError(t, server.Admit([][]byte{stranger.PubKey()}))
	_, err = ask(friend)
	require.Error(t, err)
	_, err = ask(stranger)
	require.NoError(t, err)

	require.Error(t, server.Admit([][]byte{{1, 2, 3}}))
}

func TestCloseWaitsForStreamsOfAnotherProtocol(t *testing.T) {
	net := newCluster(t, 2, nil)
	server, friend := net.nodes[0], net.nodes[1]
	for i, n := range net.nodes {
		require.NoError(t, n.Admit([][]byte{net.members[1-i]}))
	}
	began, ended := make(chan struct{}), false
	server.Handle("/test/1", func(_ []byte, st network.Stream) {
		close(began)
		_, _ = io.ReadAll(st)
		ended = true
	})
	st, err := friend.Open(t.Context(), server.PubKey(), "/test/1")
	require.NoError(t, err)
	_, err = st.Write([]byte("x")) // the protocol is negotiated with the first bytes
	require.NoError(t, err)
	<-began
	require.NoError(t, server.Close())
	require.True(t, ended)
}
