package tss

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/tssbackup/tssbackup/bifrost/reach"
)

// findAgain is the time between two questions where a signer is.
const findAgain = 30 * time.Second

// found are the places of signers.
type found struct {
	mu sync.Mutex
	of map[peer.ID]place
}

// place is where a signer said that it is, when it was asked for.
type place struct {
	addrs []multiaddr.Multiaddr
	asked time.Time
}

// find returns what to dial of a signer beside what is known: nothing of one that the configuration
// names. Who answers there has to prove its key.
func (n *Node) find(ctx context.Context, id peer.ID) peer.AddrInfo {
	info := peer.AddrInfo{ID: id}
	if at, named := n.gate.named[id]; named {
		n.forgetOthers(id, at)
		return info
	}
	if n.cfg.Find == nil {
		return info
	}
	n.found.mu.Lock()
	known, ok := n.found.of[id]
	n.found.mu.Unlock()
	if !ok || time.Since(known.asked) >= findAgain {
		known = place{addrs: n.ask(ctx, id), asked: time.Now()}
		n.found.mu.Lock()
		n.found.of[id] = known
		n.found.mu.Unlock()
	}
	info.Addrs = known.addrs
	return info
}

// forgetOthers forgets all addresses of a signer but these. libp2p also notes those that a peer
// says of itself while it is connected, and they are not to be dialled wherever they are.
func (n *Node) forgetOthers(id peer.ID, at []multiaddr.Multiaddr) {
	for _, addr := range n.host.Peerstore().Addrs(id) {
		if !slices.ContainsFunc(at, addr.Equal) {
			n.host.Peerstore().SetAddr(id, addr, 0)
		}
	}
}

// ask passes over what is no address.
func (n *Node) ask(ctx context.Context, id peer.ID) (addrs []multiaddr.Multiaddr) {
	key, err := id.ExtractPublicKey()
	if err != nil {
		return nil
	}
	pubKey, err := key.Raw()
	if err != nil {
		return nil
	}
	list, err := n.cfg.Find(ctx, pubKey)
	if err != nil {
		n.cfg.Log.Warn().Err(err).Str("peer", id.String()).Msg("where this signer is, is not known")
	}
	for _, s := range list {
		if addr, err := parsePublic(s); err == nil {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// The gate lets in, and dials, members of the ceremonies that this node takes part in now, those
// who are admitted without one, and nobody else.
type gate struct {
	// named are the addresses that the configuration has of signers, who are dialled there wherever
	// that is. Others are at public addresses, and in the networks.
	named    map[peer.ID][]multiaddr.Multiaddr
	networks []netip.Prefix

	mu       sync.Mutex
	allowed  map[peer.ID]int // in how many ceremonies
	admitted map[peer.ID]bool
}

func newGate(peers []peer.AddrInfo, networks []netip.Prefix) *gate {
	g := &gate{
		named: map[peer.ID][]multiaddr.Multiaddr{}, networks: networks, allowed: map[peer.ID]int{},
	}
	for _, p := range peers {
		g.named[p.ID] = append(g.named[p.ID], p.Addrs...)
	}
	return g
}

func (g *gate) allow(peers []peer.ID, by int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range peers {
		if g.allowed[p] += by; g.allowed[p] == 0 {
			delete(g.allowed, p)
		}
	}
}

func (g *gate) admit(peers map[peer.ID]bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.admitted = peers
}

func (g *gate) allows(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.allowed[p] > 0 || g.admitted[p]
}

// InterceptPeerDial implements libp2p's connection gater.
func (g *gate) InterceptPeerDial(p peer.ID) bool { return g.allows(p) }

// InterceptAddrDial implements libp2p's connection gater. Names are resolved here.
func (g *gate) InterceptAddrDial(p peer.ID, addr multiaddr.Multiaddr) bool {
	if _, named := g.named[p]; named {
		return true
	}
	ip, err := manet.ToIP(addr)
	if err != nil {
		return false
	}
	at, ok := netip.AddrFromSlice(ip)
	return ok && reach.Dials(at, g.networks)
}

// InterceptAccept implements libp2p's connection gater.
func (g *gate) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured implements libp2p's connection gater: here the peer has proved who it is.
func (g *gate) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return g.allows(p)
}

// InterceptUpgraded implements libp2p's connection gater.
func (g *gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
