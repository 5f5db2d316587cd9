// Package reach is what all go by who dial signers: whose peer id a signer has, and which addresses
// are dialled that somebody claims.
package reach

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"
)

// ErrPrivate means that an address is claimed, and only the configuration may name it.
var ErrPrivate = errors.New("it is no public address: it is dialled when it is named as a peer, " +
	"or lies in p2p.networks")

// ID is the libp2p peer id of the signer with a compressed secp256k1 public key.
func ID(pubKey []byte) (peer.ID, error) {
	key, err := crypto.UnmarshalSecp256k1PublicKey(pubKey)
	if err != nil {
		return "", fmt.Errorf("not a secp256k1 public key: %w", err)
	}
	return peer.IDFromPublicKey(key)
}

// Dials reports whether an address is dialled that somebody claims: one that is public, or in these
// networks. An IPv4 address in IPv6 is that IPv4 address.
func Dials(ip netip.Addr, networks []netip.Prefix) bool {
	ip = ip.Unmap()
	addr, err := manet.FromIP(ip.AsSlice())
	return err == nil && manet.IsPublicAddr(addr) ||
		slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(ip) })
}

// Control is that of a [net.Dialer] for addresses that somebody claims, which sees them after names
// are resolved. Its error wraps [ErrPrivate].
func Control(networks []netip.Prefix) func(network, address string, c syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(address); err != nil || !Dials(to.Addr(), networks) {
			return fmt.Errorf("%s: %w", address, ErrPrivate)
		}
		return nil
	}
}
