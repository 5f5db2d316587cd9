package tss

import (
	"context"
	"errors"
	"fmt"
	stdnet "net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// A signer is found where it says that it is, unless the configuration names it, and nobody has a
// signer dial what is not public.
func TestASignerIsDialledWhereItSaysThatItIs(t *testing.T) {
	net := newCluster(t, 2, nil)
	other := net.nodes[1]
	at := other.host.Addrs()[0].String()
	asked := 0
	says := func(addresses ...string) func(context.Context, []byte) ([]string, error) {
		return func(_ context.Context, pubKey []byte) ([]string, error) {
			asked++
			require.Equal(t, net.members[1], pubKey)
			return addresses, nil
		}
	}
	for _, row := range []struct {
		name     string
		peers    []string
		find     func(context.Context, []byte) ([]string, error)
		networks []netip.Prefix
		found    bool
		asked    int
	}{
		{"as its claim says", nil, says("nonsense", "/ip4/127.0.0.1/udp/1/quic-v1", at), loopback, true, 1},
		{"as the configuration says", []string{at + "/p2p/" + other.PeerID()}, says("/ip4/127.0.0.1/tcp/1"), nil, true, 0},
		{"not on loopback", nil, says(at), nil, false, 1},
		{"not by a name that is on loopback", nil, says("/dns4/localhost" + at[len("/ip4/127.0.0.1"):]), nil, false, 1},
		{"nowhere", nil, says(), loopback, false, 1},
		{"nowhere, when nobody knows", nil, func(context.Context, []byte) ([]string, error) {
			asked++
			return nil, errors.New("no node")
		}, loopback, false, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			asked = 0
			n, err := New(Config{
				Key: net.keys[0], Peers: row.peers, Find: row.find, Networks: row.networks, Log: zerolog.Nop(),
			})
			require.NoError(t, err)
			defer n.Close()
			id := other.host.ID()
			n.gate.allow([]peer.ID{id}, 1)
			other.gate.allow([]peer.ID{n.host.ID()}, 1)
			defer other.gate.allow([]peer.ID{n.host.ID()}, -1)
			for range 2 { // the second time nobody is asked
				st, err := n.open(t.Context(), id)
				require.Equal(t, row.found, err == nil, err)
				if err == nil {
					require.NoError(t, st.Reset())
				}
			}
			require.Equal(t, row.asked, asked)
		})
	}
}

// Whom the configuration names is dialled where that says, and not where the signer itself does.
func TestANamedSignerHasNobodyDialElsewhere(t *testing.T) {
	net := newCluster(t, 2, nil)
	inside, err := stdnet.Listen("tcp4", "127.0.0.1:0") // a service of the host's
	require.NoError(t, err)
	defer inside.Close()
	identity, err := crypto.UnmarshalSecp256k1PrivateKey(net.keys[1])
	require.NoError(t, err)
	port := inside.Addr().(*stdnet.TCPAddr).Port
	there := multiaddr.StringCast(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port))
	named, err := libp2p.New(
		libp2p.Identity(identity), libp2p.DisableRelay(),
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.AddrsFactory(func(own []multiaddr.Multiaddr) []multiaddr.Multiaddr {
			return append(own, there)
		}),
	)
	require.NoError(t, err)
	named.SetStreamHandler(protocolID, func(st network.Stream) { _ = st.Reset() })
	at := named.Network().ListenAddresses()[0].String() + "/p2p/" + named.ID().String()
	n, err := New(Config{Key: net.keys[0], Peers: []string{at}, Log: zerolog.Nop()})
	require.NoError(t, err)
	defer n.Close()
	n.gate.allow([]peer.ID{named.ID()}, 1)
	st, err := n.open(t.Context(), named.ID())
	require.NoError(t, err)
	require.NoError(t, st.Reset())
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(n.host.Peerstore().Addrs(named.ID()), there.Equal)
	}, 10*time.Second, time.Millisecond, "libp2p does not note what a peer says")
	require.NoError(t, named.Close())
	require.Eventually(t, func() bool {
		return n.host.Network().Connectedness(named.ID()) != network.Connected
	}, 10*time.Second, time.Millisecond)
	_, err = n.open(t.Context(), named.ID())
	require.Error(t, err)
	require.NoError(t, inside.(*stdnet.TCPListener).SetDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = inside.Accept()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "it dialled what is inside")
}

func TestWhatIsDialled(t *testing.T) {
	named, claimed := peer.ID("named"), peer.ID("claimed")
	g := newGate([]peer.AddrInfo{{ID: named}}, []netip.Prefix{netip.MustParsePrefix("10.8.0.0/16")})
	for addr, want := range map[string]bool{
		"/ip4/8.8.8.8/tcp/5040":              true,
		"/ip6/2606:4700:4700::1111/tcp/5040": true,
		"/ip4/10.8.1.2/tcp/5040":             true,
		"/ip4/10.9.1.2/tcp/5040":             false,
		"/ip4/127.0.0.1/tcp/5040":            false,
		"/ip4/192.168.1.2/tcp/5040":          false,
		"/ip4/169.254.169.254/tcp/80":        false,
		"/ip4/0.0.0.0/tcp/5040":              false,
		"/ip6/::1/tcp/5040":                  false,
		"/ip6/fe80::1/tcp/5040":              false,
		"/ip6/fd00::1/tcp/5040":              false,
		"/ip6/::ffff:127.0.0.1/tcp/5040":     false,
	} {
		a, err := multiaddr.NewMultiaddr(addr)
		require.NoError(t, err)
		require.Equal(t, want, g.InterceptAddrDial(claimed, a), addr)
		require.True(t, g.InterceptAddrDial(named, a), addr)
	}
}

func TestWhatASignerMaySayOfWhereItIs(t *testing.T) {
	for addr, fits := range map[string]bool{
		"/dns4/signer.example.org/tcp/5040": true,
		"/dns/signer.example.org/tcp/5040":  true,
		"/ip4/8.8.8.8/tcp/5040":             true,
		"/ip6/2606:4700:4700::1111/tcp/1":   true,
		"/ip4/8.8.8.8/udp/5040/quic-v1":     false,
		"/ip4/8.8.8.8/tcp/5040/p2p/16Uiu2HAm7JpQRUnQ7ZHPvzUJVYUy7SvFmhaP8hGDgZi4UZZYhVGi": false,
		"/ip4/8.8.8.8":         false,
		"/tcp/5040":            false,
		"/unix/tmp/x":          false,
		"signer.example.org:1": false,
		"":                     false,
	} {
		err := CheckAddresses(nil, nil, []string{addr})
		require.Equal(t, fits, err == nil, "%s: %v", addr, err)
	}
}
