package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"

	"github.com/tssbackup/tssbackup/bifrost/care"
	"github.com/tssbackup/tssbackup/bifrost/chain"
	"github.com/tssbackup/tssbackup/bifrost/reach"
	"github.com/tssbackup/tssbackup/bifrost/vault"
	"github.com/tssbackup/tssbackup/x/tssbackup/types"
)

// peerTimeout is how long a peer may take to accept a connection and to prove who it is.
const peerTimeout = 5 * time.Second

// peers dials the other signers that the configuration names.
func (d *examination) peers(ctx context.Context) {
	peers := d.Config.P2P.Peers
	if len(peers) == 0 && !d.found {
		d.add(
			"peers",
			Warn,
			"config.toml names none: this signer finds those whose claims say where they are, and is found "+
				"by those that know its address, from p2p.public or their own config.toml",
		)
		return
	}
	errs := each(peers, func(addr string) error {
		id, err := idOf(addr)
		if err != nil {
			return err
		}
		return meet(ctx, addr, id, nil)
	})
	for i, addr := range peers {
		if errs[i] != nil {
			d.add("peers", Fail, "%s: %v", addr, errs[i])
			continue
		}
		d.add("peers", OK, "%s is that signer", addr)
	}
}

// addresses looks at the claims of the signer and of those with which it has vaults: whether they
// say where these are reached, and who answers there. Where the own node lies about a claim,
// somebody else answers, or nobody.
func (d *examination) addresses(
	ctx context.Context, node *chain.Client, self care.Member, vaults []vault.Vault,
) {
	d.ownAddresses(ctx, node, self)
	known := map[peer.ID]bool{}
	for _, addr := range d.Config.P2P.Peers {
		if id, err := idOf(addr); err == nil {
			known[id] = true // the check of the peers dials it
		}
	}
	var others []types.Member
	for _, v := range vaults {
		for _, m := range v.Members {
			id, err := reach.ID(m.PubKey)
			if err != nil || known[id] || string(m.Address()) == string(self.Raw()) {
				continue
			}
			known[id] = true
			others = append(others, m)
		}
	}
	found := make([]Finding, len(others))
	var looks sync.WaitGroup
	for i, m := range others {
		looks.Go(func() { found[i] = d.other(ctx, node, m) })
	}
	looks.Wait()
	for _, f := range found {
		d.found = d.found || f.Level == OK
		d.findings = append(d.findings, f)
	}
}

// ownAddresses compares the signer's claim with its configuration.
func (d *examination) ownAddresses(ctx context.Context, node *chain.Client, self care.Member) {
	const check = "addresses"
	claim, _, err := node.SignerTerm(ctx, self.Address)
	public := d.Config.P2P.Public
	switch said := d.Config.P2P.Claimed(); {
	case err != nil:
		d.skip(err.Error(), check)
		return
	case claim.Addresses != said && claim.Term == 0:
		d.add(check, Warn, "no claim of this signer says %q yet, as p2p.public does: bifrost claims "+
			"when it starts", said)
	case claim.Addresses != said:
		d.add(check, Warn, "the claim of term %d says %q, and p2p.public %q: bifrost claims when it "+
			"starts", claim.Term, claim.Addresses, said)
	case said == "":
		d.add(check, OK, "this signer says nowhere on chain where it is: others name it in their peers")
	}
	id, err := reach.ID(self.PubKey)
	if err != nil {
		d.add(check, Fail, "%v", err)
		return
	}
	errs := each(public, func(addr string) error { return meet(ctx, addr, id, nil) })
	var other sec.ErrPeerIDMismatch
	for i, addr := range public {
		switch {
		case errs[i] == nil:
			d.add(check, OK, "this signer answers at %s", addr)
		case errors.As(errs[i], &other):
			d.add(check, Fail, "%s, from p2p.public: %v", addr, errs[i])
		default:
			d.add(check, Warn, "this signer is not reached from here at %s, from p2p.public: %v",
				addr, errs[i])
		}
	}
}

// other looks where another signer says that it is.
func (d *examination) other(ctx context.Context, node *chain.Client, m types.Member) Finding {
	f := Finding{Check: "addresses", Level: Warn}
	address, err := bech32.ConvertAndEncode(d.Config.Prefix, m.Address())
	if err != nil {
		f.Detail = err.Error()
		return f
	}
	claim, _, err := node.SignerTerm(ctx, address)
	if err != nil {
		f.Level, f.Detail = Skipped, fmt.Sprintf("not checked: %s: %v", address, err)
		return f
	}
	claimed := strings.Fields(claim.Addresses)
	if len(claimed) == 0 {
		f.Detail = fmt.Sprintf("%s says nowhere on chain where it is, and is not in peers: this signer "+
			"waits until it is dialled", address)
		return f
	}
	networks, err := d.Config.P2P.Prefixes()
	if err != nil {
		f.Level, f.Detail = Fail, err.Error()
		return f
	}
	id, err := reach.ID(m.PubKey)
	if err != nil {
		f.Detail = fmt.Sprintf("%s: %v", address, err)
		return f
	}
	may := reach.Control(networks)
	errs := each(claimed, func(addr string) error { return meet(ctx, addr, id, may) })
	for i, addr := range claimed {
		if errs[i] == nil {
			f.Level, f.Detail = OK, fmt.Sprintf("%s answers at %s, as its claim says", address, addr)
			return f
		}
		errs[i] = fmt.Errorf("%s: %w", addr, errs[i])
	}
	f.Detail = fmt.Sprintf("%s is not where its claim says: %v", address,
		strings.ReplaceAll(errors.Join(errs...).Error(), "\n", "; "))
	return f
}

// each does something with all of them at once.
func each(list []string, do func(string) error) []error {
	errs := make([]error, len(list))
	var all sync.WaitGroup
	for i, one := range list {
		all.Go(func() { errs[i] = do(one) })
	}
	all.Wait()
	return errs
}

// control is that of a [net.Dialer].
type control func(network, address string, c syscall.RawConn) error

// meet opens a connection and has the other side prove who it is, with a key that it does not know:
// it refuses whatever would follow.
func meet(ctx context.Context, addr string, id peer.ID, may control) error {
	network, address, err := tcpAddress(addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	conn, err := (&net.Dialer{Control: may}).DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return err
	}
	handshake, err := noise.New(noise.ID, key, nil)
	if err != nil {
		return err
	}
	if err := multistream.SelectProtoOrFail(handshake.ID(), conn); err != nil {
		return fmt.Errorf("no signer answers there: %w", err)
	}
	_, err = handshake.SecureOutbound(ctx, conn, id)
	if other := (sec.ErrPeerIDMismatch{}); errors.As(err, &other) {
		return fmt.Errorf("another signer answers there: %w", err)
	}
	return err
}

// idOf is who a multiaddr of peers names.
func idOf(addr string) (peer.ID, error) {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return "", err
	}
	return info.ID, nil
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
