package tss

import (
	"context"
	"net/netip"
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
	if n.cfg.Find == nil || n.gate.named[id] {
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
	// named are those whose addresses the configuration has, who are dialled anywhere. Others are
	// at public addresses, and in the networks.
	named    map[peer.ID]bool
	networks []netip.Prefix

	mu       sync.Mutex
	allowed  map[peer.ID]int // in how many ceremonies
	admitted map[peer.ID]bool
}

func newGate(peers []peer.AddrInfo, networks []netip.Prefix) *gate {
	g := &gate{named: map[peer.ID]bool{}, networks: networks, allowed: map[peer.ID]int{}}
	for _, p := range peers {
		g.named[p.ID] = true
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
	if g.named[p] {
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
