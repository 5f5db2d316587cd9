package held

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"

	"github.com/tssbackup/tssbackup/bifrost/reach"
)

// dialTimeout is how long one address may take to be reached, with all that is negotiated.
const dialTimeout = 10 * time.Second

// A Dialer reaches members where no bifrost runs, as somebody does who has the signer's key and
// nothing else: it makes a connection for each stream, and listens nowhere.
type Dialer struct {
	identity crypto.PrivKey
	upgrader transport.Upgrader
	// peers are where members are, as the user says.
	peers  map[peer.ID][]multiaddr.Multiaddr
	claims Claims
	// networks are dialled beside what is public.
	networks []netip.Prefix
}

// Claims gives the multiaddrs at which the signer with a compressed public key says that it is
// reached.
type Claims func(ctx context.Context, pubKey []byte) ([]string, error)

// NewDialer returns one with the identity of a signer's private key, 32 bytes, of which it keeps a
// copy until [Dialer.Wipe]. Peers are multiaddrs
// that end with a peer id, and are dialled wherever they are. Of what claims say, if there are any,
// only public addresses are dialled, and those in the networks.
func NewDialer(
	key []byte, peers []string, claims Claims, networks ...netip.Prefix,
) (*Dialer, error) {
	identity, err := crypto.UnmarshalSecp256k1PrivateKey(key)
	if err != nil {
		return nil, errors.New("not a secp256k1 private key")
	}
	d := &Dialer{identity: identity, claims: claims, networks: networks}
	if d.peers, err = parsePeers(peers); err != nil {
		return nil, err
	}
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	security, err := noise.New(noise.ID, identity, muxers)
	if err != nil {
		return nil, err
	}
	d.upgrader, err = upgrader.New([]sec.SecureTransport{security}, muxers, nil, nil, nil)
	return d, err
}

// Wipe overwrites the key. Nobody is reached any more.
func (d *Dialer) Wipe() {
	if key, ok := d.identity.(*crypto.Secp256k1PrivateKey); ok {
		(*secp256k1.PrivateKey)(key).Zero()
	}
}

// CheckPeers errs when one is no multiaddr that ends with a peer id.
func CheckPeers(peers []string) error {
	_, err := parsePeers(peers)
	return err
}

func parsePeers(peers []string) (map[peer.ID][]multiaddr.Multiaddr, error) {
	known := map[peer.ID][]multiaddr.Multiaddr{}
	for _, s := range peers {
		info, err := peer.AddrInfoFromString(s)
		if err == nil && len(info.Addrs) == 0 {
			err = errors.New("it says nothing of where the peer is")
		}
		if err != nil {
			return nil, fmt.Errorf("peer %q: %w", s, err)
		}
		known[info.ID] = append(known[info.ID], info.Addrs...)
	}
	return known, nil
}

// Known reports whether the user said where the member with this compressed public key is.
func (d *Dialer) Known(pubKey []byte) bool {
	id, err := reach.ID(pubKey)
	return err == nil && len(d.peers[id]) > 0
}

// Open is what a [Client] opens streams with. It tries one address after the other.
func (d *Dialer) Open(ctx context.Context, pubKey []byte) (Stream, error) {
	id, err := reach.ID(pubKey)
	if err != nil {
		return nil, err
	}
	var failed []error
	try := func(addr multiaddr.Multiaddr, anywhere bool) Stream {
		st, err := d.dial(ctx, id, addr, anywhere)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", addr, err))
			return nil
		}
		return st
	}
	for _, addr := range d.peers[id] {
		if st := try(addr, true); st != nil {
			return st, nil
		}
	}
	claimed, err := d.claimed(ctx, pubKey)
	if err != nil {
		failed = append(failed, err)
	}
	for _, addr := range claimed {
		if st := try(addr, false); st != nil {
			return st, nil
		}
	}
	if len(failed) == 0 {
		return nil, errors.New("nobody says where it is reached")
	}
	return nil, errors.Join(failed...)
}

// claimed passes over what is no address.
func (d *Dialer) claimed(
	ctx context.Context, pubKey []byte,
) (addrs []multiaddr.Multiaddr, _ error) {
	if d.claims == nil {
		return nil, nil
	}
	list, err := d.claims(ctx, pubKey)
	for _, s := range list {
		if addr, err := multiaddr.NewMultiaddr(s); err == nil {
			addrs = append(addrs, addr)
		}
	}
	return addrs, err
}

func (d *Dialer) dial(
	ctx context.Context, id peer.ID, addr multiaddr.Multiaddr, anywhere bool,
) (Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var dialer manet.Dialer
	if !anywhere {
		dialer.Control = reach.Control(d.networks)
	}
	raw, err := dialer.DialContext(ctx, addr)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	_ = raw.SetDeadline(deadline)
	conn, err := d.upgrader.Upgrade(ctx, nil, raw, network.DirOutbound, id, &network.NullScope{})
	if err != nil {
		return nil, err // and the connection is closed
	}
	_ = raw.SetDeadline(time.Time{})
	st, err := openOn(ctx, conn)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return alone{st, conn}, nil
}

func openOn(ctx context.Context, conn transport.CapableConn) (network.MuxedStream, error) {
	go func() {
		// What the other side opens beside, to learn more of this one, is for hosts.
		for {
			st, err := conn.AcceptStream()
			if err != nil {
				return
			}
			_ = st.Reset()
		}
	}()
	st, err := conn.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	_ = st.SetDeadline(deadline)
	err = multistream.SelectProtoOrFail(protocol.ID(Protocol), st)
	_ = st.SetDeadline(time.Time{})
	return st, err
}

// alone is the one stream of a connection, which ends with it.
type alone struct {
	network.MuxedStream
	conn transport.CapableConn
}

func (a alone) Close() error {
	_ = a.MuxedStream.Close()
	return a.conn.Close()
}

func (a alone) Reset() error {
	_ = a.MuxedStream.Reset()
	return a.conn.Close()
}
