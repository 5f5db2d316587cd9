package tss

import (
	"context"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"

	"github.com/tssbackup/tssbackup/bifrost/reach"
)

// A Stream is one of libp2p's.
type Stream = network.Stream

// Admit lets in, and lets be dialled, the signers with these compressed public keys beside the
// members of ceremonies, until it is called again. They get at what [Node.Handle] serves; of a
// ceremony they learn nothing. Connections to who is neither are closed.
func (n *Node) Admit(pubKeys [][]byte) error {
	peers := make(map[peer.ID]bool, len(pubKeys))
	for _, key := range pubKeys {
		id, err := reach.ID(key)
		if err != nil {
			return err
		}
		peers[id] = true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gate.admit(peers)
	n.closeOthers()
	return nil
}

// closeOthers closes the connections to whom the gate does not let in any more: members of a
// ceremony that is over. It is called with the lock held.
func (n *Node) closeOthers() {
	for _, p := range n.host.Network().Peers() {
		if !n.gate.allows(p) {
			_ = n.host.Network().ClosePeer(p)
		}
	}
}

// Handle has a handler serve the streams of a protocol other than that of the ceremonies, with the
// compressed public key of the signer who opened one. Whatever the term is that a signer acts in,
// who has its key is served. A stream is closed when the handler returns; [Node.Close] resets it
// and waits for the handler.
func (n *Node) Handle(protocol string, handler func(pubKey []byte, st Stream)) {
	n.host.SetStreamHandler(p2pprotocol.ID(protocol), func(st network.Stream) {
		done, ok := n.begin(st)
		if !ok {
			return
		}
		defer done()
		defer func() { _ = st.Close() }() // what was written arrives all the same
		if key, err := st.Conn().RemotePublicKey().Raw(); err == nil {
			handler(key, st)
		}
	})
}

// Open opens a stream of a protocol to the signer with this compressed public key, who has to be
// admitted, over a connection that is there or a new one.
func (n *Node) Open(
	ctx context.Context, pubKey []byte, protocol string,
) (Stream, error) {
	id, err := reach.ID(pubKey)
	if err != nil {
		return nil, err
	}
	return n.openFor(ctx, id, p2pprotocol.ID(protocol))
}
