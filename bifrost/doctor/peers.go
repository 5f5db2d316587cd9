package doctor

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/multiformats/go-multiaddr"
)

// peerTimeout is how long a peer may take to accept a connection.
const peerTimeout = 5 * time.Second

// peers dials the other signers.
func (d *examination) peers(ctx context.Context) {
	if len(d.Config.P2P.Peers) == 0 {
		d.add(
			"peers",
			Warn,
			"config.toml names none: this signer finds those whose claims say where they are, and is found "+
				"by those that know its address, from p2p.public or their own config.toml",
		)
		return
	}
	errs := make([]error, len(d.Config.P2P.Peers))
	var dials sync.WaitGroup
	for i, peer := range d.Config.P2P.Peers {
		dials.Go(func() { errs[i] = dialPeer(ctx, peer) })
	}
	dials.Wait()
	for i, peer := range d.Config.P2P.Peers {
		if errs[i] != nil {
			d.add("peers", Fail, "%s: %v", peer, errs[i])
			continue
		}
		d.add("peers", OK, "%s accepts connections", peer)
	}
}

// dialPeer opens a TCP connection and closes it. Who answers is not checked: that needs a ceremony.
func dialPeer(ctx context.Context, peer string) error {
	network, address, err := tcpAddress(peer)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// tcpAddress is what to dial for a multiaddr.
func tcpAddress(peer string) (network, address string, err error) {
	addr, err := multiaddr.NewMultiaddr(peer)
	if err != nil {
		return "", "", err
	}
	var host, port string
	multiaddr.ForEach(addr, func(c multiaddr.Component) bool {
		switch name := c.Protocol().Name; name {
		case "ip4", "dns4":
			host, network = c.Value(), "tcp4"
		case "ip6", "dns6":
			host, network = c.Value(), "tcp6"
		case "dns":
			host, network = c.Value(), "tcp"
		case "tcp":
			port = c.Value()
			return false
		}
		return true
	})
	if host == "" || port == "" {
		return "", "", errors.New(
			"it names no host and TCP port, as /ip4/10.0.0.2/tcp/5040/p2p/ID does",
		)
	}
	return network, net.JoinHostPort(strings.TrimSuffix(host, "."), port), nil
}
