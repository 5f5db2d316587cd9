package processes

import (
	"io"
	"net"
	"slices"
	"sync"
)

// relay passes connections on to an address, until it is cut.
type relay struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func newRelay(to string) (*relay, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: listener, to: to}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.pass(conn)
		}
	}()
	return r, nil
}

func (r *relay) addr() string { return r.listener.Addr().String() }

// pass ends both connections when one has ended.
func (r *relay) pass(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer to.Close()
	if !r.keep(from, to) {
		return
	}
	defer r.drop(from, to)
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(way[0], way[1])
			done <- struct{}{}
		}()
	}
	<-done
}

// keep reports whether the connections may go on.
func (r *relay) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.cut {
		r.conns = append(r.conns, conns...)
	}
	return !r.cut
}

func (r *relay) drop(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = slices.DeleteFunc(r.conns, func(c net.Conn) bool { return slices.Contains(conns, c) })
}

// set cuts it, with all that it passes on now, or mends it.
func (r *relay) set(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
	if cut {
		for _, c := range r.conns {
			_ = c.Close()
		}
	}
}

// Part cuts the node of the relayed member off from all others. Everything on its host goes on.
func (n *Network) Part() { n.setRelays(true) }

// Mend has the node reach the others again.
func (n *Network) Mend() { n.setRelays(false) }

func (n *Network) setRelays(cut bool) {
	for _, r := range n.relays {
		r.set(cut)
	}
}

// peersOf are the nodes that a member's dials: all others, but not the one that has relays, which
// dials them through these.
func (n *Network) peersOf(m *Member) (peers []string, err error) {
	for _, other := range n.Members {
		at := other.p2p
		switch {
		case other == m || n.isRelayed(other):
			continue
		case n.isRelayed(m):
			if n.relays[other.Index] == nil {
				if n.relays[other.Index], err = newRelay(other.p2p); err != nil {
					return nil, err
				}
			}
			at = n.relays[other.Index].addr()
		}
		peers = append(peers, other.nodeID+"@"+at)
	}
	return peers, nil
}

func (n *Network) isRelayed(m *Member) bool { return n.Relayed != 0 && m.Index == n.Relayed }

// StopAll stops all processes, and the relays between nodes.
func (n *Network) StopAll() {
	n.Processes.StopAll()
	for _, r := range n.relays {
		_ = r.listener.Close()
	}
}
