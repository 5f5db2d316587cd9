package tss

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
	"github.com/rs/zerolog"

	"github.com/tssbackup/tssbackup/bifrost/reach"
)

const protocolID = p2pprotocol.ID("/tssbackup/tss/4.0.0")

const (
	defaultJoinTimeout = 5 * time.Minute
	helloTimeout       = 10 * time.Second
	dialTimeout        = 10 * time.Second
)

// Config says who a node is and how it reaches the others.
type Config struct {
	// Key is the signer's private key, 32 bytes: the node's identity. New makes a copy.
	Key []byte
	// ListenAddrs are the multiaddrs to listen on, "/ip4/0.0.0.0/tcp/5040". Without any the node
	// only dials.
	ListenAddrs []string
	// Peers are multiaddrs of other signers, "/dns4/host/tcp/5040/p2p/16Uiu2…". They say where a
	// signer is, should it be a member of a ceremony; they let nobody in.
	Peers []string
	// Find, if there is one, gives the multiaddrs at which the signer with a compressed public key
	// says that it is reached, without a peer id. It is asked for whom Peers does not name.
	Find func(ctx context.Context, pubKey []byte) ([]string, error)
	// Networks are dialled beside what is public. Whom Peers names is dialled anywhere.
	Networks []netip.Prefix
	// Log receives what happens; never a secret.
	Log zerolog.Logger
	// JoinTimeout is how long a ceremony waits for all members, 5 minutes when zero.
	JoinTimeout time.Duration
	// RoundTimeout is how long a round of a ceremony may take, [DefaultRoundTimeout] when zero. It
	// has to cover the slowest member's longest computation and is the same for all members; a
	// tenth of it is the longest that a message is on its way between two of them.
	RoundTimeout time.Duration
	// PreParams are what keygens take their pre-parameters from. Making more pauses while a
	// ceremony runs. A node without them signs and makes no keys.
	PreParams *PreParams
	// Term is the signer's, in which this node acts. A peer that has heard a node of a later term
	// of the same signer listens to this one no more.
	Term uint64
	// Bech32Prefix is the prefix of account addresses ("cosmos"), for the names of the keys in
	// keyshare files.
	Bech32Prefix string
}

// A Node takes part in ceremonies. It may run several at a time.
type Node struct {
	cfg  Config
	key  *secp256k1.PrivateKey
	pub  []byte
	host host.Host
	gate *gate
	// found are addresses that Find has given.
	found found

	mu       sync.Mutex
	sessions map[string]*session
	terms    map[peer.ID]uint64 // the latest of each member that said hello
	closed   bool
	wg       sync.WaitGroup // ceremonies and the handlers of streams

	now    func() time.Time
	mangle func(s *session, to int, frame []byte) []byte // of tests
}

// corrupt, of tests, makes every new node that of a malicious member.
var corrupt func(*Node)

// New starts a node.
func New(cfg Config) (*Node, error) {
	if len(cfg.Key) != secp256k1.PrivKeyBytesLen {
		return nil, fmt.Errorf("a signer key of %d bytes", len(cfg.Key))
	}
	if cfg.JoinTimeout == 0 {
		cfg.JoinTimeout = defaultJoinTimeout
	}
	identity, err := crypto.UnmarshalSecp256k1PrivateKey(cfg.Key)
	if err != nil {
		return nil, errors.New("not a secp256k1 private key")
	}
	peers, err := parsePeers(cfg.Peers)
	if err != nil {
		return nil, err
	}
	limits, err := resourceManager()
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg:      cfg,
		key:      secp256k1.PrivKeyFromBytes(cfg.Key),
		gate:     newGate(peers, cfg.Networks),
		found:    found{of: map[peer.ID]place{}},
		sessions: map[string]*session{},
		terms:    map[peer.ID]uint64{},
		now:      time.Now,
	}
	n.cfg.Key = nil
	n.pub = n.key.PubKey().SerializeCompressed()
	options := []libp2p.Option{
		libp2p.Identity(identity),
		// Without the reuse of ports, a port that another process listens on is an error and no
		// silent sharing of what comes in, and two members that dial each other at the same moment
		// make two connections.
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()),
		libp2p.Security(noise.ID, noise.New),
		libp2p.ConnectionGater(n.gate),
		libp2p.ResourceManager(limits),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.Ping(false),
		libp2p.UserAgent("tssbackup"),
	}
	if len(cfg.ListenAddrs) == 0 {
		options = append(options, libp2p.NoListenAddrs)
	} else {
		options = append(options, libp2p.ListenAddrStrings(cfg.ListenAddrs...))
	}
	if n.host, err = libp2p.New(options...); err != nil {
		_ = limits.Close()
		return nil, err
	}
	for _, p := range peers {
		n.host.Peerstore().AddAddrs(p.ID, p.Addrs, peerstore.PermanentAddrTTL)
	}
	n.host.SetStreamHandler(protocolID, n.handle)
	if corrupt != nil {
		corrupt(n)
	}
	return n, nil
}

// resourceManager bounds what strangers can take up before they are refused, and what a member can.
func resourceManager() (network.ResourceManager, error) {
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	partial := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns:          1024,
			ConnsInbound:   768,
			Streams:        8192,
			StreamsInbound: 4096,
		},
		Transient: rcmgr.ResourceLimits{Conns: 128, ConnsInbound: 96},
		PeerDefault: rcmgr.ResourceLimits{
			Conns: 8, ConnsInbound: 4, Streams: 128, StreamsInbound: 64, StreamsOutbound: 64,
		},
	}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(partial.Build(limits.AutoScale())))
}

// CheckAddresses errs when [New] would, with these addresses to listen on and of peers, or when
// others could not dial one of those at which this signer says that it is reached.
func CheckAddresses(listen, peers, public []string) error {
	for _, s := range public {
		if _, err := parsePublic(s); err != nil {
			return fmt.Errorf("public %q: %w", s, err)
		}
	}
	for _, s := range listen {
		if _, err := multiaddr.NewMultiaddr(s); err != nil {
			return fmt.Errorf("listen %q: %w", s, err)
		}
	}
	_, err := parsePeers(peers)
	return err
}

// parsePublic reads the multiaddr of a host and a TCP port.
func parsePublic(s string) (multiaddr.Multiaddr, error) {
	addr, err := multiaddr.NewMultiaddr(s)
	if err != nil {
		return nil, err
	}
	protocols := addr.Protocols()
	if len(protocols) != 2 || protocols[1].Code != multiaddr.P_TCP {
		return nil, errors.New("not a host and a TCP port, such as /dns4/signer.example.org/tcp/5040")
	}
	switch protocols[0].Code {
	case multiaddr.P_IP4, multiaddr.P_IP6, multiaddr.P_DNS, multiaddr.P_DNS4, multiaddr.P_DNS6:
		return addr, nil
	}
	return nil, errors.New("it names no host")
}

// parsePeers reads multiaddrs that end with a peer id.
func parsePeers(list []string) ([]peer.AddrInfo, error) {
	var peers []peer.AddrInfo
	for _, s := range list {
		addr, err := multiaddr.NewMultiaddr(s)
		if err != nil {
			return nil, fmt.Errorf("peer %q: %w", s, err)
		}
		info, err := peer.AddrInfoFromP2pAddr(addr)
		if err != nil {
			return nil, fmt.Errorf("peer %q: %w", s, err)
		}
		peers = append(peers, *info)
	}
	return peers, nil
}

// Close ends all ceremonies, which return an error, and everything that the node started.
func (n *Node) Close() error {
	n.mu.Lock()
	already := n.closed
	n.closed = true
	for _, s := range n.sessions {
		s.abandon()
	}
	n.mu.Unlock()
	if already {
		return nil
	}
	n.host.RemoveStreamHandler(protocolID)
	n.waitSessions()
	err := n.host.Close()
	n.wg.Wait()
	n.key.Zero()
	return err
}

// waitSessions lets ceremonies tell the others that they end, before the connections go.
func (n *Node) waitSessions() {
	for {
		n.mu.Lock()
		var s *session
		for _, s = range n.sessions {
			break
		}
		n.mu.Unlock()
		if s == nil {
			return
		}
		<-s.ended
	}
}

// PeerID is the node's own.
func (n *Node) PeerID() string { return n.host.ID().String() }

// Connected is the number of other signers that are connected now.
func (n *Node) Connected() int { return len(n.host.Network().Peers()) }

// PubKey is the compressed public key by which members know this node.
func (n *Node) PubKey() []byte { return append([]byte(nil), n.pub...) }

// Addrs are the multiaddrs at which the node listens, with its peer id: what the others put among
// their Peers.
func (n *Node) Addrs() []string {
	var out []string
	for _, a := range n.host.Addrs() {
		out = append(out, a.String()+"/p2p/"+n.PeerID())
	}
	return out
}

// PeerID returns the libp2p peer id of the signer with this compressed public key.
func PeerID(pubKey []byte) (string, error) {
	id, err := reach.ID(pubKey)
	return id.String(), err
}

// open opens a stream for a ceremony, over a connection that is there or a new one.
func (n *Node) open(ctx context.Context, id peer.ID) (network.Stream, error) {
	return n.openFor(ctx, id, protocolID)
}

func (n *Node) openFor(
	ctx context.Context, id peer.ID, protocol p2pprotocol.ID,
) (network.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if n.host.Network().Connectedness(id) != network.Connected {
		// Redialing has a back-off of its own here, made for members who start seconds apart.
		if s, ok := n.host.Network().(*swarm.Swarm); ok {
			s.Backoff().Clear(id)
		}
		if err := n.host.Connect(ctx, n.find(ctx, id)); err != nil {
			return nil, err
		}
	}
	return n.host.NewStream(network.WithNoDial(ctx, "connected"), id, protocol)
}

// begin notes that a stream is being handled, until done is called, unless the node is closed.
func (n *Node) begin(st network.Stream) (done func(), ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		_ = st.Reset()
		return nil, false
	}
	n.wg.Add(1)
	return n.wg.Done, true
}

// handle serves a stream that a peer opened. The connection gater let it in; here it must be a
// member of the ceremony that it names.
func (n *Node) handle(st network.Stream) {
	done, ok := n.begin(st)
	if !ok {
		return
	}
	defer done()
	defer func() { _ = st.Reset() }()

	_ = st.SetReadDeadline(time.Now().Add(helloTimeout))
	b, err := readFrame(st, maxHello)
	if err != nil {
		return
	}
	hello, err := decodeFrame(b)
	if err != nil || hello.kind != frameHello {
		return
	}
	n.mu.Lock()
	s := n.sessions[hello.hello.id]
	hears := n.hears(st.Conn(), hello.hello.term)
	n.mu.Unlock()
	if !hears {
		return
	}
	if s == nil {
		return // not started here yet, or over; the peer tries again
	}
	_ = st.SetReadDeadline(time.Time{})
	s.read(st, hello)
}

// hears reports whether what a member says in a term is listened to: nothing once it said hello in
// a later one, whatever the own node shows of it yet. The connections to an earlier instance of the
// member are closed: it may never read what is said there. It is called with the lock held.
func (n *Node) hears(conn network.Conn, term uint64) bool {
	p := conn.RemotePeer()
	before := n.terms[p]
	if term < before {
		return false
	}
	n.terms[p] = term
	if term == before || before == 0 {
		return true
	}
	n.cfg.Log.Info().Str("peer", p.String()).Uint64("term", term).
		Msg("another instance of this member acts by now")
	for _, other := range n.host.Network().ConnsToPeer(p) {
		if other != conn {
			n.wg.Go(func() { _ = other.Close() })
		}
	}
	return true
}

// join makes a session known to the stream handler and lets its members connect. The function it
// returns undoes that.
func (n *Node) join(s *session) (leave func(), err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, errClosed
	}
	if n.sessions[s.name] != nil {
		return nil, fmt.Errorf("ceremony %q is running already", s.name)
	}
	n.sessions[s.name] = s
	n.wg.Add(1)
	n.gate.allow(s.peers, 1)
	n.closeOthers()
	if n.cfg.PreParams != nil {
		n.cfg.PreParams.pause()
	}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.sessions, s.name)
		n.gate.allow(s.peers, -1)
		if n.cfg.PreParams != nil {
			n.cfg.PreParams.resume()
		}
		n.wg.Done()
	}, nil
}
