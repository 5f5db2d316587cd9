package reach_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tssbackup/tssbackup/bifrost/reach"
)

func TestWhichClaimedAddressesAreDialled(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("10.8.0.0/16")}
	for _, c := range []struct {
		name, address string
		dialled       bool
	}{
		{"a public address", "93.184.216.34:5040", true},
		{"a public one of IPv6", "[2606:2800:220:1::1]:5040", true},
		{"loopback", "127.0.0.1:5040", false},
		{"loopback of IPv6", "[::1]:5040", false},
		{"loopback as IPv6", "[::ffff:127.0.0.1]:5040", false},
		{"a private address", "192.168.1.7:5040", false},
		{"a link-local one", "169.254.169.254:80", false},
		{"a link-local one of IPv6", "[fe80::1]:5040", false},
		{"a unique local one", "[fd00::1]:5040", false},
		{"a public one through a translator", "[64:ff9b::5db8:d822]:5040", true},
		{"a private one through a translator", "[64:ff9b::10.8.3.4]:5040", false},
		{"a link-local one through a translator", "[64:ff9b::169.254.169.254]:80", false},
		{"through a translator of a network alone", "[64:ff9b:1::5db8:d822]:5040", false},
		{"a public one through a tunnel", "[2002:5db8:d822::1]:5040", true},
		{"loopback through a tunnel", "[2002:7f00:1::1]:5040", false},
		{"none", "0.0.0.0:5040", false},
		{"one of the networks", "10.8.3.4:5040", true},
		{"one of the networks as IPv6", "[::ffff:10.8.3.4]:5040", true},
		{"one beside the networks", "10.9.0.1:5040", false},
		{"a name", "localhost:5040", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := reach.Control(networks)("tcp", c.address, nil)
			if c.dialled {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, reach.ErrPrivate)
			require.ErrorContains(t, err, c.address)
		})
	}
}

func TestTheIDOfWhatIsNoKey(t *testing.T) {
	_, err := reach.ID([]byte("key"))
	require.ErrorContains(t, err, "not a secp256k1 public key")
}
