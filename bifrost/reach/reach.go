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
// networks. An IPv4 address in IPv6 is that IPv4 address, and one that a network translates or
// tunnels to IPv4 has to be public there as well.
func Dials(ip netip.Addr, networks []netip.Prefix) bool {
	ip = ip.Unmap()
	if slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(ip) }) {
		return true
	}
	public := func(ip netip.Addr) bool {
		addr, err := manet.FromIP(ip.AsSlice())
		return err == nil && manet.IsPublicAddr(addr)
	}
	to, ok := behind(ip)
	return public(ip) && (!ok || public(to))
}

// The prefixes of addresses with which an IPv4 address is reached over IPv6: by a translator of
// everybody's (RFC 6052) or of a network alone (RFC 8215), or through a tunnel (RFC 3056).
var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour  = netip.MustParsePrefix("2002::/16")
)

// behind is the IPv4 address that is reached with an address of IPv6, if one is: the zero address
// where only the network knows.
func behind(ip netip.Addr) (v4 netip.Addr, ok bool) {
	b := ip.AsSlice()
	switch {
	case nat64.Contains(ip):
		return netip.AddrFromSlice(b[12:])
	case sixToFour.Contains(ip):
		return netip.AddrFromSlice(b[2:6])
	case localNAT64.Contains(ip):
		return v4, true
	}
	return v4, false
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
